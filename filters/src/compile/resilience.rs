//! What an integration does about a partner that fails.

use crate::model::{InboundIntegration, Problem};
use crate::plan::resilience::Resilience;
use crate::resilience::RetryRules;

/// Compiles the options; `None` where there are none, so that a call has nothing to ask.
pub(super) fn compile(source: &InboundIntegration, problems: &mut Vec<Problem>) -> Option<Box<Resilience>> {
    let retry = source.retry.as_ref();
    let resilience = Resilience {
        retry: retry.and_then(|retry| RetryRules::compile(retry, source.timeouts, problems)),
    };
    (resilience != Resilience::default()).then(|| Box::new(resilience))
}
