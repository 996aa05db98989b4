//! The control plane: keeps integrations and versions, pushes them to gateways, and speaks with operators.

pub mod access;
pub mod cli;
pub mod config;
pub mod fleet;
pub mod metrics;
pub mod publish;
pub mod seal;
pub mod store;
