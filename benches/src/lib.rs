//! What the two benchmarks share: the tools they need, the upstream, a client, and what is said of the machine.
//!
//! `proxy` puts the gateway beside nginx, HAProxy and Envoy; `config` times the way of a change from the API to the
//! gateway. Both start everything they measure, on 127.0.0.1 and on free ports, print a table and write
//! `target/bench/NAME.json`. A peer that is not there is named and left out: no figure is ever carried over.

pub mod client;
pub mod control_plane;
pub mod error;
pub mod machine;
pub mod nginx;
pub mod output;
pub mod statistics;
pub mod tools;
pub mod usage;
