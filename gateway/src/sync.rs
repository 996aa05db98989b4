//! The config flow of the gateway: where versions come from, and how one becomes live.

pub mod endpoint;
