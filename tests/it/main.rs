//! Every test that needs running programs, one module per feature, in one binary as linking is what takes time.

mod auth_inbound;
mod auth_outgoing;
mod config_file;
mod edge;
mod egress;
mod exchange;
mod lifecycle;
mod limits;
mod observability;
mod routing;
mod streaming;
mod transform;
