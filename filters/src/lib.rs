//! The pure core of the Integration Gateway: what it is told to do, and every decision that needs no I/O.
//!
//! A [`model::Snapshot`] is configuration as data. It is compiled once into an immutable plan; a request is then decided
//! by looking things up in that plan. Nothing here opens a socket or a file, reads a clock, or starts a thread: time,
//! environment and randomness are arguments.

pub mod address;
pub mod auth;
pub mod cache;
pub mod certificate;
pub mod compile;
pub mod compression;
pub(crate) mod condition;
pub mod cors;
pub mod delivery;
pub mod edits;
pub mod error_page;
pub mod event;
pub mod explain;
pub mod fault;
pub mod fit;
pub mod format;
pub mod lookup;
pub mod model;
pub mod openapi;
pub mod outgoing;
pub mod path;
pub mod plan;
pub mod redaction;
pub mod resilience;
pub mod rewrite;
pub mod route;
pub mod schema;
pub mod script;
pub mod subject;
pub mod subscription;
pub mod target;
pub mod transform;
pub mod validation;
pub mod variable;
pub mod window;

pub use compile::{check_integration, compile};

#[cfg(test)]
mod docs;
