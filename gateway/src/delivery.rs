//! The event flow behind the queue: lanes, attempts, settlements.

pub mod job;

pub use job::{Health, Job, Outcome, Verdict};
