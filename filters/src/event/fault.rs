//! Why events were not taken.

use std::fmt;

use http::StatusCode;
use thiserror::Error;

use crate::model::Problem;

/// Why a request, or one event of it, was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{kind}")]
pub struct EventFault {
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// What is wrong, with paths into the body, or names of header fields.
    pub problems: Vec<Problem>,
}

/// Kinds of faults, the gravest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// The payload is not as the schema of its event type asks.
    Schema,
    /// The organization has no such event type.
    UnknownType,
    /// A field is missing, unknown, or has a value that it cannot have.
    Invalid,
    /// The body is no JSON, or no event.
    Unreadable,
    /// An event of another organization than that of the producer's key.
    OtherOrganization,
    /// More events than one request may have.
    TooMany,
    /// No form of events that is known here.
    MediaType,
}

/// An event of a list that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemFault {
    /// Its place in the list, from 0.
    pub index: usize,
    /// Its identifier, as far as it could be read.
    pub id: Option<String>,
    /// Why.
    pub fault: EventFault,
}

impl EventFault {
    /// A fault with one problem.
    pub(super) fn one(kind: FaultKind, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            problems: vec![Problem::new(path, message)],
        }
    }

    /// Status of an answer that tells of it.
    pub fn status(&self) -> StatusCode {
        match self.kind {
            FaultKind::Invalid | FaultKind::Unreadable | FaultKind::UnknownType => StatusCode::BAD_REQUEST,
            FaultKind::Schema => StatusCode::UNPROCESSABLE_ENTITY,
            FaultKind::OtherOrganization => StatusCode::FORBIDDEN,
            FaultKind::TooMany => StatusCode::PAYLOAD_TOO_LARGE,
            FaultKind::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// What happened, for programs.
    pub fn code(&self) -> &'static str {
        match self.kind {
            FaultKind::Invalid => "VALIDATION_ERROR",
            FaultKind::Unreadable => "BAD_REQUEST",
            FaultKind::UnknownType => "UNKNOWN_EVENT_TYPE",
            FaultKind::Schema => "SCHEMA_VIOLATION",
            FaultKind::OtherOrganization => "FORBIDDEN",
            FaultKind::TooMany => "PAYLOAD_TOO_LARGE",
            FaultKind::MediaType => "UNSUPPORTED_MEDIA_TYPE",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Schema => "the payload does not fit the schema of its event type",
            Self::UnknownType => "the event type is not known",
            Self::Invalid => "the event is not valid",
            Self::Unreadable => "the body cannot be read as events",
            Self::OtherOrganization => "the event belongs to another organization than the key",
            Self::TooMany => "the body holds too many events",
            Self::MediaType => "the body is in no form that events are taken in",
        })
    }
}

/// Collects what is wrong with one event.
#[derive(Debug, Default)]
pub(super) struct Faults {
    kind: Option<FaultKind>,
    problems: Vec<Problem>,
}

impl Faults {
    pub(super) fn add(&mut self, kind: FaultKind, path: impl Into<String>, message: impl Into<String>) {
        self.add_all(kind, vec![Problem::new(path, message)]);
    }

    pub(super) fn add_all(&mut self, kind: FaultKind, problems: Vec<Problem>) {
        if !problems.is_empty() {
            self.kind = self.kind.max(Some(kind));
            self.problems.extend(problems);
        }
    }

    /// A field with a value that it cannot have.
    pub(super) fn invalid(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.add(FaultKind::Invalid, path, message);
    }

    /// A field that is not there, unless it is known already that it is there with a wrong value.
    pub(super) fn missing(&mut self, path: impl Into<String>, message: impl Into<String>) {
        let path = path.into();
        if self.problems.iter().all(|problem| problem.path != path) {
            self.invalid(path, message);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kind.is_none()
    }

    /// The fault as a whole, with paths below `place`; `None` if nothing is wrong.
    pub(super) fn fault(self, place: &str) -> Option<EventFault> {
        let kind = self.kind?;
        let problems = self.problems.into_iter().map(|problem| problem.within(place));
        Some(EventFault {
            kind,
            problems: problems.collect(),
        })
    }
}
