//! Every test that needs running programs, one module per feature, in one binary as linking is what takes time.
#![expect(clippy::unwrap_used, reason = "a broken test stops at once")]

mod auth_inbound;
mod auth_outgoing;
mod back_pressure;
mod config_file;
mod control_plane;
mod dead_letters;
mod delivery;
mod demo;
mod durability;
mod edge;
mod egress;
mod examples;
mod examples_outbound;
mod exchange;
mod gwctl;
mod hostile;
mod hot_push;
mod ingest;
mod lifecycle;
mod limits;
mod mongo;
mod oauth2;
mod observability;
mod push_stream;
mod records;
mod recovery;
mod routing;
mod schema;
mod streaming;
mod subscriptions;
mod transform;
mod upgrade;
mod validation;
