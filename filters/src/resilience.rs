//! The arithmetic of calls to partners that fail: when an attempt is made again, and where it goes. Time is milliseconds
//! since the epoch and always an argument, and so is chance.

pub mod balance;
pub mod budget;
pub mod retry;
pub mod status;

pub use budget::Budget;
pub use retry::{Failure, RetryRules, Subject, Verdict};
pub use status::StatusSet;
