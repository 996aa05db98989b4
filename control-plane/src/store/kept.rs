//! What gateways tell of calls and deliveries, in the form that both stores keep: the record as its exact JSON text, and beside it
//! the fields by which it is looked for, under their JSON names.

mod rows;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;

/// A kind of record.
pub trait Kept: DeserializeOwned + fmt::Debug + Send + 'static {
    /// Its table or collection.
    const PLACE: Place;
    /// What one of them is called.
    const NAME: &'static str;
    /// The fields in which a search looks.
    const SEARCHED: &'static [&'static str];
    /// Fields that have an index of their own in the embedded store, those first that leave the fewest records.
    const LEADING: &'static [Field] = &[];
    /// Identifiers that have an index in both stores: a text that is one of them finds all its records.
    const IDENTIFIERS: &'static [Field] = &[];
    /// True where the embedded store has an index of what failed.
    const FAILURES: bool = false;
    /// A part that may be large and that lists leave out, kept beside the record.
    const LARGE: Option<&'static str> = None;

    /// The record as it is kept.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    fn into_row(self) -> Result<Row, StoreError>;

    /// Puts the large part back, which is JSON.
    ///
    /// # Errors
    /// If it is not JSON.
    fn restore(&mut self, _large: &str) -> Result<(), serde_json::Error> {
        Ok(())
    }

    /// Where it stands in lists.
    fn cursor(&self) -> Cursor;
}

/// The tables or collections of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Calls.
    ExecutionLogs,
    /// Attempts.
    DeliveryLogs,
    /// Dead letters.
    DeadLetters,
    /// Dead letters that are none any more.
    DeadLettersGone,
    /// Scheduled deliveries.
    Scheduled,
    /// Commands to gateways.
    Commands,
    /// Retries of many dead letters.
    BulkRetries,
    /// Alerts.
    Alerts,
    /// What operators did.
    AdminAudit,
}

impl Place {
    /// Its name in both stores; where the product's source documents have one, it is that.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ExecutionLogs => "execution_logs",
            Self::DeliveryLogs => "delivery_logs",
            Self::DeadLetters => "dlq",
            Self::DeadLettersGone => "dlq_gone",
            Self::Scheduled => "scheduled_integrations",
            Self::Commands => "commands",
            Self::BulkRetries => "bulk_retries",
            Self::Alerts => "alert_center_logs",
            Self::AdminAudit => "admin_audit",
        }
    }
}

impl Place {
    /// Its name in names of files.
    pub(crate) fn file_name(self) -> String {
        self.name().replace('_', "-")
    }

    /// True of what organizations may keep for less time than the installation does.
    pub(super) const fn is_of_organizations(self) -> bool {
        match self {
            Self::ExecutionLogs | Self::DeliveryLogs | Self::DeadLetters | Self::Scheduled => true,
            Self::DeadLettersGone | Self::Commands | Self::BulkRetries | Self::Alerts | Self::AdminAudit => false,
        }
    }

    /// True where the embedded store keeps the texts that are searched beside the records, which may be large.
    pub(super) const fn has_texts(self) -> bool {
        match self {
            Self::ExecutionLogs | Self::DeliveryLogs | Self::DeadLetters | Self::Scheduled => true,
            Self::DeadLettersGone | Self::Commands | Self::BulkRetries | Self::Alerts | Self::AdminAudit => false,
        }
    }
}

/// A record as it is kept.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its identifier.
    pub(super) id: String,
    /// The fields by which it is looked for.
    pub(super) fields: Vec<(&'static str, Cell)>,
    /// Fields that only a search looks at.
    pub(super) searched: Vec<(&'static str, Option<String>)>,
    /// The record, without its large part.
    pub(super) document: String,
}

/// A value by which a record is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Number(u64),
    Text(String),
    Moment(Option<Timestamp>),
    /// Neither a number nor a text.
    Nothing,
}

/// A field with which a list can be narrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// How it ended, or its state.
    Status,
    /// The subscription.
    Integration,
    /// The event's type; not of calls.
    EventType,
    /// The event; of attempts and dead letters.
    Event,
    /// The delivery; of attempts only.
    Message,
    /// Inbound or outbound; of attempts and dead letters.
    Direction,
    /// The trace; not of scheduled deliveries.
    Trace,
    /// What the producer calls the matter; of attempts only.
    Correlation,
    /// The kind of error; not of scheduled deliveries.
    ErrorCategory,
    /// The rule; of alerts only.
    Rule,
    /// Who did it; of the audit only.
    Actor,
    /// What was done; of the audit only.
    Action,
    /// What it was done to; of the audit only.
    Target,
}

impl Field {
    /// Its name in both stores.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Integration => "integrationConfigId",
            Self::EventType => "eventType",
            Self::Event => "eventId",
            Self::Message => "messageId",
            Self::Direction => "direction",
            Self::Trace => "traceId",
            Self::Correlation => "correlationId",
            Self::ErrorCategory => "errorCategory",
            Self::Rule => "rule",
            Self::Actor => "actor",
            Self::Action => "action",
            Self::Target => "target",
        }
    }

    /// True of identifiers whose records are all of one organization, and few.
    pub(super) const fn is_of_one_organization(self) -> bool {
        match self {
            Self::Event | Self::Message | Self::Trace | Self::Correlation => true,
            Self::Status
            | Self::Integration
            | Self::EventType
            | Self::Direction
            | Self::ErrorCategory
            | Self::Rule
            | Self::Actor
            | Self::Action
            | Self::Target => false,
        }
    }
}

/// Which records, and which of those that fit; the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Of this organization; of all if `None`.
    pub org_id: Option<u64>,
    /// Only those with these values.
    pub equal: Vec<(Field, String)>,
    /// Only those made from this moment on.
    pub from: Option<Timestamp>,
    /// Only those made before this moment.
    pub before: Option<Timestamp>,
    /// Only those with this text in one of [`Kept::SEARCHED`], upper and lower case of ASCII letters being the same. It is
    /// looked for in the newest [`super::MOST_SEARCHED`] that fit the rest.
    pub search: Option<String>,
    /// Only those that come after this place.
    pub after: Option<Cursor>,
    /// How many to pass over.
    pub skip: u32,
    /// The most that are returned.
    pub limit: u32,
}

/// A place in a list that is ordered by time, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When the record at this place was made; whole milliseconds.
    pub(super) at: Timestamp,
    /// Its identifier.
    pub(super) id: String,
}

impl Cursor {
    /// True if this is further down in the list than `other`: it is older.
    pub fn is_after(&self, other: &Self) -> bool {
        (self.at, &self.id) < (other.at, &other.id)
    }
}

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no place in a list; give the `nextCursor` of a page")]
pub struct NoCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.as_millisecond(), self.id)
    }
}

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (at, id) = text.split_once('.').ok_or(NoCursor)?;
        let at = at.parse().map_err(|_| NoCursor)?;
        Ok(Self {
            at: Timestamp::from_millisecond(at).map_err(|_| NoCursor)?,
            id: id.to_owned(),
        })
    }
}

/// Records that go when they are old.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aged {
    /// Table or collection.
    pub(super) place: Place,
    /// The field that says how old they are.
    pub(super) since: &'static str,
    /// Only those in one of these states; all if empty.
    pub(super) states: &'static [&'static str],
}

/// What goes when it is old. Dead letters go once nobody tries them again, scheduled deliveries and alerts once they
/// are over.
pub(super) const AGED: [Aged; 8] = [
    Aged {
        place: Place::ExecutionLogs,
        since: "createdAt",
        states: &[],
    },
    Aged {
        place: Place::DeliveryLogs,
        since: "createdAt",
        states: &[],
    },
    Aged {
        place: Place::DeadLetters,
        since: "updatedAt",
        states: &["ABANDONED"],
    },
    Aged {
        place: Place::DeadLettersGone,
        since: "goneAt",
        states: &[],
    },
    Aged {
        place: Place::Scheduled,
        since: "updatedAt",
        states: &["COMPLETED", "FAILED", "CANCELLED"],
    },
    Aged {
        place: Place::Commands,
        since: "createdAt",
        states: &[],
    },
    Aged {
        place: Place::BulkRetries,
        since: "createdAt",
        states: &[],
    },
    Aged {
        place: Place::Alerts,
        since: "resolvedAt",
        states: &["RESOLVED"],
    },
];

/// Records of which there are so many that their number is limited.
pub(super) const MANY: [Place; 2] = [Place::ExecutionLogs, Place::DeliveryLogs];

/// How many records one search looks at, so that none keeps the store from its other work.
pub const MOST_SEARCHED: u32 = 20_000;
/// The most records of one trace that are returned.
pub const MOST_OF_A_TRACE: u32 = 200;

/// A moment in a record. A gateway with a broken clock does not lose its records.
pub(super) fn moment(text: &str) -> Timestamp {
    let at = text.parse().unwrap_or_else(|_| Timestamp::now());
    whole(at)
}

/// The same moment in whole milliseconds, as both stores keep them.
pub(super) fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

pub(super) fn encode(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unavailable(error.into()))
}

pub(super) fn decode<T: DeserializeOwned>(name: &str, id: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| unreadable(name, id, &error))
}

/// The record `id`, with its large part if that is given.
pub(super) fn record<K: Kept>(id: &str, document: &str, large: Option<&str>) -> Result<K, StoreError> {
    let mut record: K = decode(K::NAME, id, document)?;
    if let Some(large) = large {
        record.restore(large).map_err(|error| unreadable(K::NAME, id, &error))?;
    }
    Ok(record)
}

fn unreadable(name: &str, id: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt {
        object: format!("{name} {id}"),
        reason: error.to_string(),
    }
}
