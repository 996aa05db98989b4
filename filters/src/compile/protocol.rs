//! The protocols of an integration, compiled.

use http::HeaderValue;

use crate::model::protocol::{HttpsRule, OnPlain, TargetProtocol};
use crate::model::{InboundIntegration, Problem};
use crate::plan::{Mode, Protocols};

/// The most that may be promised, in seconds.
const LONGEST_HSTS: u64 = 10 * 365 * 24 * 60 * 60;

/// Compiles them; `mode` says how requests are carried.
pub(super) fn compile(source: &InboundIntegration, mode: Option<&Mode>, problems: &mut Vec<Problem>) -> Protocols {
    if source.target_protocol == TargetProtocol::Http2 && matches!(mode, Some(Mode::Exchange { .. })) {
        problems.push(Problem::new(
            "targetProtocol",
            "http2 is not supported yet where bodies are transformed or checked; leave it out there",
        ));
    }
    Protocols {
        on_plain: source.https.map_or(OnPlain::Serve, |rule| rule.on_plain),
        hsts: source.https.and_then(|rule| hsts(rule, problems)),
        http2: source.target_protocol == TargetProtocol::Http2,
    }
}

fn hsts(rule: HttpsRule, problems: &mut Vec<Problem>) -> Option<HeaderValue> {
    let hsts = rule.hsts?;
    if hsts.max_age_seconds > LONGEST_HSTS {
        let message = format!("{} must be at most {LONGEST_HSTS} (ten years)", hsts.max_age_seconds);
        problems.push(Problem::new("https.hsts.maxAgeSeconds", message));
    }
    let below = if hsts.include_subdomains {
        "; includeSubDomains"
    } else {
        ""
    };
    let value = format!("max-age={}{below}", hsts.max_age_seconds);
    HeaderValue::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compiled(fields: &serde_json::Value) -> (Protocols, Vec<Problem>) {
        let mut integration = json!({"name": "a", "type": "a", "orgId": 1, "targetUrl": "https://a.example"});
        let own = integration.as_object_mut().unwrap();
        own.extend(fields.as_object().unwrap().clone());
        let integration: InboundIntegration = serde_json::from_value(integration).unwrap();
        let mut problems = Vec::new();
        let mode = Mode::Exchange {
            request: None,
            response: None,
        };
        let compiled = compile(&integration, Some(&mode), &mut problems);
        (compiled, problems)
    }

    #[test]
    fn left_out_it_asks_for_nothing() {
        let (protocols, problems) = compiled(&json!({}));
        assert_eq!(
            (protocols.on_plain, protocols.hsts, protocols.http2),
            (OnPlain::Serve, None, false)
        );
        assert!(problems.is_empty());
    }

    #[test]
    fn an_empty_rule_redirects() {
        let hsts = json!({"maxAgeSeconds": 60, "includeSubdomains": true});
        let (protocols, problems) = compiled(&json!({"https": {"hsts": hsts}}));
        assert_eq!(protocols.on_plain, OnPlain::Redirect);
        assert_eq!(protocols.hsts.unwrap(), "max-age=60; includeSubDomains");
        assert!(problems.is_empty());
    }

    #[test]
    fn what_does_not_work_is_refused() {
        let hsts = json!({"maxAgeSeconds": u64::MAX});
        let (_, problems) = compiled(&json!({"https": {"hsts": hsts}, "targetProtocol": "http2"}));
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["targetProtocol", "https.hsts.maxAgeSeconds"]);
    }
}
