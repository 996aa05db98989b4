//! The arithmetic of deliveries: when an attempt is due, how it is signed, what its answer means, when an endpoint is left
//! alone, and what operators may see of it. Time is milliseconds since the epoch and always an argument.

pub mod breaker;
pub mod classify;
pub mod curl;
pub mod redact;
pub mod retry;
pub mod schedule;
pub mod sign;

pub use breaker::{Admission, Breaker, BreakerRules, Pass};
pub use classify::{Answer, AttemptResult, Classified, Health, Meaning, ReplyControl, StatusTable, advice};
pub use retry::RetryPlan;
pub use schedule::{ScheduleFault, SchedulePlan};
pub use sign::{Message, Running, SignFault, Signer};

/// The longest that `Retry-After` is honoured: a day.
pub(crate) const MAX_RETRY_AFTER_MS: i64 = 86_400_000;

#[cfg(test)]
mod tests;
