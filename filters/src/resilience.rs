//! The arithmetic of calls to partners that fail: when an attempt is made again, and where it goes. Time is milliseconds
//! since the epoch and always an argument, and so is chance.

pub mod balance;
pub mod budget;
pub mod fallback;
pub mod gradient;
pub mod health;
pub mod retry;
pub mod status;

pub use balance::{Balance, KeySource};
pub use budget::Budget;
pub use fallback::Fallback;
pub use gradient::Gradient;
pub use health::{Ejection, HealthRules, Streak, health_of};
pub use retry::{Failure, RetryRules, Subject, Verdict};
pub use status::StatusSet;
