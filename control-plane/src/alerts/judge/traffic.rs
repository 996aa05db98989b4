//! Integrations whose calls or deliveries fail too often, or take too long.

use super::super::alert::{Alert, Finding, Rule, Subject};
use super::super::traffic::Traffic;
use super::{Judge, Verdict, seconds, words};
use crate::rollups::Flow;

impl Judge<'_> {
    pub(super) fn find_traffic(&self, findings: &mut Vec<Finding>) {
        let rule = self.rules.traffic;
        let Some(watched) = self.facts.traffic.filter(|_| rule.enabled) else {
            return;
        };
        for one in watched.traffic.iter().filter(|one| one.calls >= rule.minimum_calls) {
            let is_failing = one.failed.saturating_mul(100) >= one.calls.saturating_mul(rule.error_percent);
            if rule.error_percent > 0 && is_failing {
                findings.push(self.failing(one));
            }
            if rule.p99_ms > 0 && one.p99_ms.is_some_and(|ms| ms >= rule.p99_ms) {
                findings.push(self.slow(one));
            }
        }
    }

    pub(super) fn traffic_verdict(&self, alert: &Alert) -> Verdict {
        match (self.facts.traffic.is_some_and(|watched| watched.whole), alert.rule) {
            (false, _) => Verdict::Undecided,
            (true, Rule::Latency) => Verdict::Over("It answers in time again, or nobody calls.".to_owned()),
            (true, _) => Verdict::Over("It does not fail that often any more, or nobody calls.".to_owned()),
        }
    }

    fn failing(&self, one: &Traffic) -> Finding {
        Finding {
            title: format!(
                "{} % of the {} of {} fail",
                one.failed.saturating_mul(100) / one.calls.max(1),
                what(one.flow),
                self.integration_name(one)
            ),
            detail: format!(
                "{} of {} in the last {}; the threshold is {} %.",
                one.failed,
                words::count(one.calls, what(one.flow).trim_end_matches('s')),
                words::duration(seconds(self.rules.traffic.window_minutes.saturating_mul(60))),
                self.rules.traffic.error_percent
            ),
            advice: "Look at the newest failures in the logs: they name the cause, and whether it is the partner's.",
            ..self.about(Rule::ErrorRate, one)
        }
    }

    fn slow(&self, one: &Traffic) -> Finding {
        Finding {
            title: format!(
                "The {} of {} take up to {} ms (99th percentile)",
                what(one.flow),
                self.integration_name(one),
                one.p99_ms.unwrap_or_default()
            ),
            detail: format!(
                "{} in the last {}; the threshold is {} ms.",
                words::count(one.calls, what(one.flow).trim_end_matches('s')),
                words::duration(seconds(self.rules.traffic.window_minutes.saturating_mul(60))),
                self.rules.traffic.p99_ms
            ),
            advice: "See whether the partner is slow, and whether timeouts and circuit breaker are set for it.",
            ..self.about(Rule::Latency, one)
        }
    }

    /// Without its words.
    fn about(&self, rule: Rule, one: &Traffic) -> Finding {
        let (org_id, id) = (one.org_id, one.integration.clone());
        Finding {
            rule,
            subject: match one.flow {
                Flow::Inbound => Subject::Inbound { org_id, id },
                Flow::Outbound => Subject::Subscription { org_id, id },
            },
            gateway_ids: Vec::new(),
            title: String::new(),
            detail: String::new(),
            advice: "",
            since: None,
            hold: seconds(0),
        }
    }

    fn integration_name(&self, one: &Traffic) -> String {
        match one.flow {
            Flow::Inbound => words::inbound(self.facts.snapshot, one.org_id, &one.integration),
            Flow::Outbound => words::subscription(self.facts.snapshot, one.org_id, &one.integration),
        }
    }
}

fn what(flow: Flow) -> &'static str {
    match flow {
        Flow::Inbound => "calls",
        Flow::Outbound => "delivery attempts",
    }
}
