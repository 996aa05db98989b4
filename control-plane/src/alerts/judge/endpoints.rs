//! Endpoints that get nothing, or not in time.

use std::collections::BTreeMap;

use filters::model::push::EndpointStatus;
use jiff::Timestamp;

use super::super::alert::{Alert, Finding, Rule, Subject};
use super::{Judge, Verdict, seconds, words};

/// What gateways say of the endpoints of one subscription.
type Reports<'a> = Vec<(&'a str, &'a EndpointStatus)>;

/// What the state of an endpoint means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// Deliveries go out, or nothing keeps them.
    Working,
    /// An operator keeps them.
    Paused,
    /// A few go out, to see whether it works again.
    HalfOpen,
    /// The breaker is open.
    Open,
    /// The breaker gave up; an operator must resume it.
    Deactivated,
    /// The endpoint does not want any more; an operator must resume it.
    Disabled,
}

impl State {
    fn of(status: &EndpointStatus) -> Self {
        match status.state.as_str() {
            "circuitOpen" => Self::Open,
            "halfOpen" => Self::HalfOpen,
            "deactivated" => Self::Deactivated,
            "disabled" => Self::Disabled,
            "paused" | "inactive" => Self::Paused,
            // What a newer gateway says is no reason to wake somebody.
            _ => Self::Working,
        }
    }

    fn is_down(self) -> bool {
        match self {
            Self::Open | Self::Deactivated | Self::Disabled => true,
            Self::Working | Self::Paused | Self::HalfOpen => false,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Disabled => "it is disabled",
            Self::Deactivated => "it is deactivated after failures",
            Self::Open | Self::HalfOpen => "its circuit breaker is open",
            Self::Working | Self::Paused => "it waits",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Disabled | Self::Deactivated => {
                "Find out why the endpoint refuses events, mend it or its settings, and resume it. Events wait until then."
            }
            _ => {
                "See whether the endpoint can be reached and takes the requests. The gateway tries it by itself and goes on \
                 once it answers; events wait until then."
            }
        }
    }
}

impl Judge<'_> {
    pub(super) fn find_endpoints(&self, findings: &mut Vec<Finding>) {
        for (id, reports) in self.reports() {
            let worst = reports.iter().map(|(_, status)| State::of(status)).max();
            let down = worst.filter(|state| state.is_down());
            match down {
                // What waits behind it is part of this alert.
                Some(state) if self.rules.endpoint_down.enabled => findings.push(self.down(id, state, &reports)),
                _ => findings.extend(self.lag(id, &reports)),
            }
        }
    }

    pub(super) fn endpoint_verdict(&self, alert: &Alert) -> Verdict {
        let id = alert.integration_config_id.as_deref().unwrap_or_default();
        if !self.facts.snapshot.outbound.contains_key(id) {
            return Verdict::Over("The subscription was deleted.".to_owned());
        }
        let named = self.facts.gateways.iter();
        let mut named = named.filter(|gateway| alert.gateway_ids.contains(&gateway.gateway_id));
        let is_silent =
            named.any(|gateway| !(gateway.connected && gateway.endpoints.is_some() || self.is_retired(gateway)));
        let reports = self.reports().remove(id).unwrap_or_default();
        let states: Vec<State> = reports.iter().map(|(_, status)| State::of(status)).collect();
        match alert.rule {
            _ if is_silent || states.contains(&State::HalfOpen) => Verdict::Undecided,
            Rule::Lag if states.iter().any(|state| state.is_down()) => {
                Verdict::Over("The endpoint gets nothing at all now, which is an alert of its own.".to_owned())
            }
            Rule::Lag => Verdict::Over("No event has been waiting for that long any more.".to_owned()),
            _ if states.contains(&State::Paused) => Verdict::Over("An operator keeps its events now.".to_owned()),
            _ => Verdict::Over("The endpoint gets its events again.".to_owned()),
        }
    }

    /// By subscription; those that do not exist any more left out.
    fn reports(&self) -> BTreeMap<&str, Reports<'_>> {
        let mut reports: BTreeMap<&str, Reports<'_>> = BTreeMap::new();
        for gateway in self.facts.gateways.iter().filter(|gateway| gateway.connected) {
            for status in gateway.endpoints.iter().flat_map(|endpoints| endpoints.iter()) {
                if self
                    .facts
                    .snapshot
                    .outbound
                    .contains_key(&*status.integration_config_id)
                {
                    let of_id = reports.entry(&status.integration_config_id).or_default();
                    of_id.push((&gateway.gateway_id, status));
                }
            }
        }
        reports
    }

    fn down(&self, id: &str, state: State, reports: &Reports<'_>) -> Finding {
        let down: Reports<'_> = reports
            .iter()
            .filter(|(_, status)| State::of(status).is_down())
            .copied()
            .collect();
        let org_id = self
            .facts
            .snapshot
            .outbound
            .get(id)
            .map_or(0, |entry| entry.value.org_id);
        let name = words::subscription(self.facts.snapshot, org_id, id);
        Finding {
            rule: Rule::EndpointDown,
            subject: subject(org_id, id),
            gateway_ids: gateways(&down),
            title: format!("The endpoint of {name} gets nothing: {}", state.reason()),
            detail: self.waiting(&down),
            advice: state.advice(),
            since: None,
            hold: seconds(self.rules.endpoint_down.for_seconds),
        }
    }

    fn lag(&self, id: &str, reports: &Reports<'_>) -> Option<Finding> {
        let rule = self.rules.lag;
        let late: Reports<'_> = reports
            .iter()
            .filter(|(_, status)| self.is_late(status))
            .copied()
            .collect();
        let oldest = late.iter().filter_map(|(_, status)| oldest(status)).min();
        let oldest = oldest.filter(|_| rule.enabled)?;
        let org_id = self
            .facts
            .snapshot
            .outbound
            .get(id)
            .map_or(0, |entry| entry.value.org_id);
        let name = words::subscription(self.facts.snapshot, org_id, id);
        let is_kept = late.iter().any(|(_, status)| State::of(status) == State::Paused);
        let advice = if is_kept {
            "An operator paused the endpoint or the subscription is not active. Resume it, or deliver its events in another \
             way."
        } else {
            "Look at the endpoint's last attempts in the delivery logs: it may be slow, refuse an event that others wait \
             behind, or have limits that are too low for what comes in."
        };
        Some(Finding {
            rule: Rule::Lag,
            subject: subject(org_id, id),
            gateway_ids: gateways(&late),
            title: format!(
                "Events for {name} have been waiting for {}",
                words::duration(self.facts.now.duration_since(oldest))
            ),
            detail: self.waiting(&late),
            advice,
            since: Some(oldest),
            hold: seconds(rule.for_seconds),
        })
    }

    /// True if its oldest event waits for too long, and not for a time that it was scheduled for.
    fn is_late(&self, status: &EndpointStatus) -> bool {
        let threshold = match State::of(status) {
            State::Paused => self.rules.lag.paused_seconds,
            _ => self.rules.lag.seconds,
        };
        let now = self.facts.now;
        let is_old = oldest(status).is_some_and(|oldest| now.duration_since(oldest) >= seconds(threshold));
        let next = status
            .next_attempt_at
            .as_deref()
            .and_then(|at| at.parse::<Timestamp>().ok());
        let is_scheduled = status.reason.is_none() && next.is_some_and(|next| next > now);
        status.open > 0 && is_old && !is_scheduled
    }

    /// What waits, and why, in sentences.
    fn waiting(&self, reports: &Reports<'_>) -> String {
        let open: u64 = reports.iter().map(|(_, status)| status.open).sum();
        let mut text = format!(
            "{} undelivered at {}",
            words::count(open, "event"),
            gateways(reports).join(", ")
        );
        if let Some(oldest) = reports.iter().filter_map(|(_, status)| oldest(status)).min() {
            text.push_str(&format!(", the oldest accepted at {}", words::moment(oldest)));
        }
        text.push('.');
        if let Some(reason) = reports.iter().find_map(|(_, status)| status.reason.as_deref()) {
            text.push_str(&format!(" Last word on it: {}", words::sentence(reason)));
        }
        let next = reports
            .iter()
            .filter_map(|(_, status)| status.next_attempt_at.as_deref()?.parse::<Timestamp>().ok());
        if let Some(next) = next.min() {
            text.push_str(&format!(" Next attempt: {}.", words::moment(next)));
        }
        text
    }
}

fn subject(org_id: u64, id: &str) -> Subject {
    Subject::Subscription {
        org_id,
        id: id.to_owned(),
    }
}

fn gateways(reports: &Reports<'_>) -> Vec<String> {
    let mut gateways: Vec<String> = reports.iter().map(|(gateway, _)| (*gateway).to_owned()).collect();
    gateways.dedup();
    gateways
}

fn oldest(status: &EndpointStatus) -> Option<Timestamp> {
    status.oldest.as_deref()?.parse().ok()
}
