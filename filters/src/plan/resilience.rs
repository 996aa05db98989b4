//! What an integration does about a partner that fails, compiled.

use crate::resilience::RetryRules;

/// The options of an integration that sets any of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resilience {
    /// When an attempt is made again.
    pub retry: Option<RetryRules>,
}
