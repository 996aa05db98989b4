//! The control plane: keeps integrations and versions, pushes them to gateways, and speaks with operators.
//!
//! A change takes one path, in this order: `api/` (who asks, and for what) -> `publish.rs` (prepare, compile, version,
//! store, swap) -> `fleet/` (what is each gateway to be told) -> `api/stream.rs` (one WebSocket each).

pub mod access;
pub mod alerts;
mod api;
pub mod audit;
mod bulk;
pub mod cli;
mod commands;
mod comparable;
pub mod config;
mod differences;
mod draft;
mod dry_run;
mod erasures;
mod field_schemas;
pub mod fleet;
mod jobs;
mod listener;
mod lookups;
pub mod metrics;
pub mod migrate;
mod outcomes;
pub mod publish;
mod records;
pub mod retention;
mod rollout;
pub mod rollups;
pub mod rotate;
pub mod seal;
pub mod secrets;
mod server;
pub mod store;
mod templates;
mod tls;
mod trash;
mod ui_config;
mod users;

pub use server::{ControlPlane, StartError, start};
pub use tls::TlsError;
