//! The data plane: proxies partner APIs by a configuration that is swapped in while it runs.

pub mod access_log;
pub mod admin;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod delivery;
pub mod edge;
pub mod events;
pub mod identity;
pub mod idempotency;
pub mod ingest;
pub mod limiter;
pub mod live;
pub mod metrics;
pub mod proxy;
pub mod queue;
pub mod quota;
pub mod records;
pub mod scripts;
pub mod server;
pub mod shedding;
mod sign_in;
pub mod sync;
pub mod tls;
pub mod tool;
pub mod trace;
pub mod upstream;
