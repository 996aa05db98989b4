//! Which calls of an integration become dead letters.

use crate::model::limits::OnExceeded;
use crate::model::protocol::TargetProtocol;
use crate::model::{InboundIntegration, Problem};
use crate::plan::dead_letters::DeadLetterPlan;
use crate::route::MethodSet;

/// Compiles `deadLetter` and `rateLimits.onExceeded`; `None` where no call becomes a dead letter, so that a call has nothing
/// to ask.
pub(super) fn compile(source: &InboundIntegration, problems: &mut Vec<Problem>) -> Option<Box<DeadLetterPlan>> {
    let limits = source.rate_limits.as_ref();
    let beyond_limits = limits.is_some_and(|limits| limits.enabled && limits.on_exceeded == OnExceeded::Dlq);
    let own = source.dead_letter.as_ref();
    let is_on = own.is_some_and(|own| own.enabled);
    // Also where it is switched off: what is written there is not to be wrong.
    let settings = own.cloned().unwrap_or_default();
    if own.is_some() {
        check(source, problems);
    }
    if !is_on && !beyond_limits {
        return None;
    }
    if source.target_protocol == TargetProtocol::Http2 {
        let field = if is_on { "deadLetter" } else { "rateLimits.onExceeded" };
        let message = "is not supported yet with `targetProtocol: http2`, as dead letters are sent over HTTP/1.1";
        problems.push(Problem::new(field, message));
    }
    let most_bytes = usize::try_from(settings.max_body_bytes).unwrap_or(usize::MAX);
    Some(Box::new(DeadLetterPlan {
        failures: if is_on { settings.on.into() } else { [].into() },
        beyond_limits,
        methods: MethodSet::of(&settings.methods),
        most_bytes: settings.body.then_some(most_bytes),
        most_letters: settings.max_letters,
    }))
}

fn check(source: &InboundIntegration, problems: &mut Vec<Problem>) {
    let Some(settings) = &source.dead_letter else { return };
    let mut problem = |field: &str, message: String| {
        problems.push(Problem::new(format!("deadLetter.{field}"), message));
    };
    for (index, failure) in settings.on.iter().enumerate() {
        if settings.on[..index].contains(failure) {
            problem(
                &format!("on[{index}]"),
                "is there twice; name each failure once".to_owned(),
            );
        }
    }
    if settings.on.is_empty() {
        let message = "must name a failure; to keep no calls, set `enabled` to false";
        problem("on", message.to_owned());
    }
    if settings.methods.is_empty() {
        let message = "must name a method; to keep no calls, set `enabled` to false";
        problem("methods", message.to_owned());
    }
    if !(1..=LARGEST_BODY).contains(&settings.max_body_bytes) {
        let message = format!(
            "{} must be between 1 and {LARGEST_BODY}; to keep no bodies, set `body` to false",
            settings.max_body_bytes
        );
        problem("maxBodyBytes", message);
    }
    if !(1..=MOST_LETTERS).contains(&settings.max_letters) {
        let message = format!("{} must be between 1 and {MOST_LETTERS}", settings.max_letters);
        problem("maxLetters", message);
    }
}

/// Bytes of the largest body that may be kept.
const LARGEST_BODY: u64 = 16 << 20;
/// The most dead letters of one integration at a gateway.
const MOST_LETTERS: u32 = 100_000;

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::{Value, json};

    use super::*;
    use crate::model::dead_letter::CallFailure;

    fn compiled(fields: &Value) -> (Option<Box<DeadLetterPlan>>, Vec<String>) {
        let mut integration = json!({"name": "a", "type": "a", "orgId": 1, "targetUrl": "https://a.example"});
        let own = integration.as_object_mut().unwrap();
        own.extend(fields.as_object().unwrap().clone());
        let integration: InboundIntegration = serde_json::from_value(integration).unwrap();
        let mut problems = Vec::new();
        let plan = compile(&integration, &mut problems);
        (plan, problems.into_iter().map(|problem| problem.path).collect())
    }

    #[test]
    fn left_out_or_switched_off_there_is_nothing_to_ask() {
        for fields in [
            json!({}),
            json!({"deadLetter": {"enabled": false}}),
            json!({"rateLimits": {"maxRequests": 1, "onExceeded": "reject"}}),
            json!({"rateLimits": {"enabled": false, "maxRequests": 1, "onExceeded": "dlq"}}),
        ] {
            assert_eq!(compiled(&fields), (None, vec![]), "{fields}");
        }
    }

    #[test]
    fn an_empty_rule_is_for_failures_of_the_way_and_methods_that_change_something() {
        let (plan, problems) = compiled(&json!({"deadLetter": {}}));
        let plan = plan.unwrap();
        assert!(problems.is_empty());
        for failure in CallFailure::ALL {
            assert_eq!(plan.takes(failure), failure != CallFailure::RateLimited, "{failure:?}");
        }
        assert!(plan.is_for(&Method::POST) && plan.is_for(&Method::DELETE) && !plan.is_for(&Method::GET));
        assert!(!plan.takes_beyond_limits());
        assert_eq!((plan.most_bytes, plan.most_letters), (Some(262_144), 1_000));
    }

    #[test]
    fn limits_alone_take_no_other_failures() {
        let (plan, problems) = compiled(&json!({"rateLimits": {"maxRequests": 1, "onExceeded": "dlq"}}));
        let plan = plan.unwrap();
        assert!(problems.is_empty() && plan.takes_beyond_limits());
        assert!(!CallFailure::ALL.into_iter().any(|failure| plan.takes(failure)));
        let (plan, _) = compiled(&json!({
            "rateLimits": {"maxRequests": 1, "onExceeded": "dlq"},
            "deadLetter": {"enabled": false, "body": false, "methods": ["PUT"]},
        }));
        let plan = plan.unwrap();
        assert!(plan.takes_beyond_limits() && !plan.takes(CallFailure::Network));
        assert!(plan.most_bytes.is_none() && !plan.is_for(&Method::POST));
    }

    #[test]
    fn what_does_not_work_is_refused() {
        let letters = json!({
            "on": ["network", "network"], "methods": [], "maxBodyBytes": 0, "maxLetters": 100_001,
        });
        let (_, problems) = compiled(&json!({"deadLetter": letters, "targetProtocol": "http2"}));
        assert_eq!(
            problems,
            [
                "deadLetter.on[1]",
                "deadLetter.methods",
                "deadLetter.maxBodyBytes",
                "deadLetter.maxLetters",
                "deadLetter",
            ]
        );
        let (_, problems) = compiled(&json!({"deadLetter": {"enabled": false, "on": []}}));
        assert_eq!(problems, ["deadLetter.on"]);
    }
}
