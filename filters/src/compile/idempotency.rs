//! Idempotency keys, compiled.

use std::time::Duration;

use crate::model::Problem;
use crate::model::idempotency::Idempotency;
use crate::plan::idempotency::IdempotencyPlan;
use crate::route::MethodSet;

/// Compiles what an integration does about keys; `None` if it does nothing.
pub(super) fn compile(source: Option<&Idempotency>, problems: &mut Vec<Problem>) -> Option<IdempotencyPlan> {
    let settings = source?;
    if !(60..=604_800).contains(&settings.keep_seconds) {
        let message = format!("{} must be between 60 and 604800", settings.keep_seconds);
        problems.push(Problem::new("idempotency.keepSeconds", message));
    }
    if settings.methods.is_empty() {
        let message = "must name a method; to switch keys off, set `enabled` to false";
        problems.push(Problem::new("idempotency.methods", message));
    }
    settings.enabled.then(|| IdempotencyPlan {
        methods: MethodSet::of(&settings.methods),
        is_required: settings.required,
        keep: Duration::from_secs(settings.keep_seconds.into()),
    })
}
