//! Where the API has the objects of each kind.

use filters::model::push::ObjectKind;

use super::{Deletable, Noun};

/// A kind of objects in the API.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) kind: ObjectKind,
    /// Its path below `/api/v1`.
    pub(super) path: &'static [&'static str],
    /// The field of its list, and of a document, that they are in.
    pub(super) list: &'static str,
    /// What one of them is called.
    pub(super) noun: &'static str,
}

impl Kind {
    /// True if its objects are known by numbers.
    pub(super) const fn is_numbered(self) -> bool {
        matches!(self.kind, ObjectKind::Organization | ObjectKind::Unit)
    }
}

const INBOUND: Kind = Kind {
    kind: ObjectKind::Integration,
    path: &["inbound-integrations"],
    list: "integrations",
    noun: "integration",
};
const OUTBOUND: Kind = Kind {
    kind: ObjectKind::Outbound,
    path: &["outbound-integrations"],
    list: "integrations",
    noun: "outbound integration",
};
const EVENT_TYPES: Kind = Kind {
    kind: ObjectKind::EventType,
    path: &["event-types"],
    list: "eventTypes",
    noun: "event type",
};
const PRODUCER_KEYS: Kind = Kind {
    kind: ObjectKind::ProducerKey,
    path: &["producer-keys"],
    list: "producerKeys",
    noun: "producer key",
};
const CERTIFICATES: Kind = Kind {
    kind: ObjectKind::Certificate,
    path: &["certificates"],
    list: "certificates",
    noun: "certificate",
};
const LOOKUPS: Kind = Kind {
    kind: ObjectKind::Lookup,
    path: &["lookups"],
    list: "lookups",
    noun: "lookup table",
};
const CONSUMERS: Kind = Kind {
    kind: ObjectKind::Consumer,
    path: &["consumers"],
    list: "consumers",
    noun: "consumer",
};
const UNITS: Kind = Kind {
    kind: ObjectKind::Unit,
    path: &["admin", "org-units"],
    list: "units",
    noun: "unit",
};
const ORGANIZATIONS: Kind = Kind {
    kind: ObjectKind::Organization,
    path: &["admin", "organizations"],
    list: "organizations",
    noun: "organization",
};

impl Noun {
    /// The kind of the objects; `None` for versions, which are none.
    pub(super) fn kind(self) -> Option<Kind> {
        Some(match self {
            Self::Integrations => INBOUND,
            Self::Outbound => OUTBOUND,
            Self::EventTypes => EVENT_TYPES,
            Self::ProducerKeys => PRODUCER_KEYS,
            Self::Certificates => CERTIFICATES,
            Self::Lookups => LOOKUPS,
            Self::Consumers => CONSUMERS,
            Self::Units => UNITS,
            Self::Organizations => ORGANIZATIONS,
            Self::Versions => return None,
        })
    }
}

impl Deletable {
    /// The kind of the object.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Integration => INBOUND,
            Self::Outbound => OUTBOUND,
            Self::EventType => EVENT_TYPES,
            Self::ProducerKey => PRODUCER_KEYS,
            Self::Certificate => CERTIFICATES,
            Self::Lookup => LOOKUPS,
            Self::Consumer => CONSUMERS,
            Self::Unit => UNITS,
        }
    }
}
