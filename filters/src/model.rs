//! Every type that crosses a wire or a file.
//!
//! Field names are those of the product's source documents (`targetUrl`, `outgoingAuthType`, ...), in camel case; unknown
//! fields are refused. `docs/model.md` shows each of them as JSON. This module imports nothing of the crate but itself.

pub mod auth;
pub mod cache;
pub mod certificate;
pub mod client_networks;
pub mod command;
pub mod compression;
pub mod consumer;
pub mod cors;
pub mod dead_letter;
pub mod decode;
pub mod delivery;
pub mod error_page;
pub mod event;
pub mod event_type;
pub mod format;
pub mod headers;
pub mod idempotency;
pub mod integration;
pub mod limits;
pub mod lookup;
pub mod mapping;
pub mod object;
pub mod organization;
pub mod outbound;
pub mod outgoing;
pub mod problem;
pub mod producer;
pub mod protocol;
pub mod push;
pub mod record;
pub mod redaction;
pub mod resilience;
pub mod route;
pub mod secret;
pub mod snapshot;
pub mod status_mapping;
pub mod subject;
pub mod tally;
pub mod target_schema;
pub mod unit;
pub mod validation;

pub use auth::InboundAuthType;
pub use certificate::Certificate;
pub use consumer::Consumer;
pub use event::EventHead;
pub use event_type::EventType;
pub use integration::InboundIntegration;
pub use lookup::{Entries, Lookup};
pub use organization::Organization;
pub use outbound::OutboundIntegration;
pub use outgoing::OutgoingAuthType;
pub use problem::Problem;
pub use producer::ProducerKey;
pub use record::ExecutionRecord;
pub use redaction::{RecordContent, Redaction};
pub use secret::Secret;
pub use snapshot::{Entry, Security, Snapshot};
pub use tally::Tally;
pub use unit::OrgUnit;

/// Version of this model. A gateway says in its `Hello` which one it speaks.
pub const MODEL_VERSION: u32 = 1;
