//! Which calls of an integration become dead letters, compiled.

use http::Method;

use crate::model::dead_letter::CallFailure;
use crate::route::MethodSet;

/// Which calls of an integration become dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterPlan {
    pub(crate) failures: Box<[CallFailure]>,
    pub(crate) beyond_limits: bool,
    pub(crate) methods: MethodSet,
    /// Bytes of the largest body that is kept; `None` if no body is.
    pub most_bytes: Option<usize>,
    /// The most dead letters of the integration at a time.
    pub most_letters: u32,
}

impl DeadLetterPlan {
    /// True if calls with `method` may become dead letters at all.
    pub fn is_for(&self, method: &Method) -> bool {
        self.methods.contains(method)
    }

    /// True if a call that failed so becomes one.
    pub fn takes(&self, failure: CallFailure) -> bool {
        self.failures.contains(&failure)
    }

    /// True if a call beyond a limit becomes one.
    pub const fn takes_beyond_limits(&self) -> bool {
        self.beyond_limits
    }
}
