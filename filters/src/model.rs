//! Every type that crosses a wire or a file.
//!
//! Field names are those of the product's source documents (`targetUrl`, `outgoingAuthType`, ...), in camel case; unknown
//! fields are refused. `docs/model.md` shows each of them as JSON. This module imports nothing of the crate but itself.

pub mod auth;
pub mod decode;
pub mod integration;
pub mod limits;
pub mod mapping;
pub mod organization;
pub mod problem;
pub mod push;
pub mod record;
pub mod route;
pub mod secret;
pub mod snapshot;

pub use auth::{InboundAuthType, OutgoingAuthType};
pub use integration::InboundIntegration;
pub use organization::Organization;
pub use problem::Problem;
pub use record::ExecutionRecord;
pub use secret::Secret;
pub use snapshot::{Entry, Security, Snapshot};

/// Version of this model. A gateway says in its `Hello` which one it speaks.
pub const MODEL_VERSION: u32 = 1;
