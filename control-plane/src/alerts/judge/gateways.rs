//! Gateways that are not there.

use super::super::alert::{Alert, Finding, Rule, Subject};
use super::{Judge, Verdict, seconds, words};
use crate::fleet::Standing;

impl Judge<'_> {
    pub(super) fn find_gateways(&self, findings: &mut Vec<Finding>) {
        let rule = self.rules.gateway_gone;
        if !rule.enabled {
            return;
        }
        for gateway in self.facts.gateways {
            let now = self.facts.now;
            let missed_since = gateway.last_seen.max(self.facts.watching_since);
            let is_gone = !gateway.connected && now.duration_since(missed_since) >= seconds(rule.for_seconds);
            if !is_gone || self.is_retired(gateway) {
                continue;
            }
            findings.push(Finding {
                rule: Rule::GatewayGone,
                subject: Subject::Gateway(gateway.gateway_id.clone()),
                gateway_ids: vec![gateway.gateway_id.clone()],
                title: format!("Gateway {} is not connected", gateway.gateway_id),
                detail: format!(
                    "It was heard of last at {}, {} ago. Whether it carries calls and delivers events is not known.",
                    words::moment(gateway.last_seen),
                    words::duration(now.duration_since(gateway.last_seen)),
                ),
                advice: "Look at the gateway's process, machine and log, and at the network between it and the control \
                         plane. While it runs, it goes on with the configuration that it has. If it was taken away for \
                         good, `gwctl remove-gateway` has it forgotten.",
                since: Some(gateway.last_seen),
                // The threshold is part of the condition.
                hold: seconds(0),
            });
        }
    }

    pub(super) fn gateway_verdict(&self, alert: &Alert) -> Verdict {
        let mut named = self.facts.gateways.iter();
        let gateway = named.find(|gateway| alert.gateway_ids.contains(&gateway.gateway_id));
        Verdict::Over(match gateway {
            Some(gateway) if self.is_retired(gateway) => format!(
                "Nothing was heard of it for {} days, so that it counts as taken away for good.",
                self.rules.gateway_gone.retired_after_days
            ),
            Some(_) => "The gateway was heard of again.".to_owned(),
            None => "The gateway is not known any more.".to_owned(),
        })
    }

    /// True for a gateway that was taken away for good.
    pub(super) fn is_retired(&self, gateway: &Standing) -> bool {
        let days = self.rules.gateway_gone.retired_after_days;
        let longest = seconds(days.saturating_mul(86_400));
        !gateway.connected && self.facts.now.duration_since(gateway.last_seen) >= longest
    }
}
