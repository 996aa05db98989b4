//! The event flow behind the queue: lanes, attempts, settlements.
//!
//! `dispatcher` wires the queue and the attempts to the `scheduler`: one lock around `lanes`, which holds every open
//! delivery and decides which is next, and the workers and the timer around it.

pub mod attempt;
mod burial;
mod clock;
mod crew;
mod dispatcher;
mod entry;
mod fair;
pub mod hold;
pub mod job;
mod lane;
mod lanes;
mod memory;
mod order;
mod rate;
mod scheduler;
mod slab;
pub mod stats;
mod subscriptions;
#[cfg(test)]
mod testing;
mod timer;
mod work;
mod worker;

pub use attempt::Attempts;
pub use dispatcher::{Dispatcher, DispatcherSettings};
pub use job::{Health, Job, Outcome, Verdict};
