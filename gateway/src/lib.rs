//! The data plane: proxies partner APIs by a configuration that is swapped in while it runs.

pub mod config;
pub mod limiter;
pub mod live;
pub mod metrics;
pub mod sync;
pub mod trace;
