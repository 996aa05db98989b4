//! Which conditions hold, of what is known now. Nothing here waits, asks or remembers.
//!
//! A condition that is not found to hold is not thereby over: a gateway that is not connected says nothing of its
//! endpoints. [`Judge::verdict`] tells the two apart.

mod certificates;
mod dead_letters;
mod endpoints;
mod gateways;
mod traffic;
pub(super) mod words;

use filters::model::Snapshot;
use jiff::{SignedDuration, Timestamp};

use super::alert::{Alert, DeadLetterCount, Finding, Rule, Subject};
use super::certificates::Expiry;
use super::traffic::Watched;
use crate::config::alerts::AlertRules;
use crate::fleet::Standing;

/// What is known now.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) now: Timestamp,
    /// Since when somebody has watched. A gateway can only be missed from then on.
    pub(crate) watching_since: Timestamp,
    /// The configuration that gateways should have.
    pub(crate) snapshot: &'a Snapshot,
    /// What gateways say of themselves.
    pub(crate) gateways: &'a [Standing],
    /// `None` if they could not be counted.
    pub(crate) dead_letters: Option<&'a [DeadLetterCount]>,
    /// How calls and deliveries went lately; `None` if it is not known.
    pub(crate) traffic: Option<&'a Watched>,
    /// When the certificates that gateways show expire.
    pub(crate) certificates: &'a [Expiry],
    /// Why the store does not work, if so.
    pub(crate) store_fault: Option<&'a str>,
}

/// What becomes of an open alert whose condition was not found to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody knows; it stays open.
    Undecided,
    /// It is over, in this way.
    Over(String),
}

/// The conditions over the facts.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    facts: Facts<'a>,
    rules: AlertRules,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(facts: Facts<'a>, rules: AlertRules) -> Self {
        Self { facts, rules }
    }

    /// What holds now, the worst first.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        findings.extend(self.store_down());
        self.find_gateways(&mut findings);
        self.find_endpoints(&mut findings);
        self.find_dead_letters(&mut findings);
        self.find_certificates(&mut findings);
        self.find_traffic(&mut findings);
        findings.sort_by_key(|finding| finding.rule);
        findings
    }

    /// What becomes of an open alert that is not among the findings.
    pub(crate) fn verdict(&self, alert: &Alert) -> Verdict {
        if !self.is_enabled(alert.rule) {
            return Verdict::Over("Its rule was switched off.".to_owned());
        }
        match alert.rule {
            Rule::StoreDown => Verdict::Over("The store works again.".to_owned()),
            Rule::GatewayGone => self.gateway_verdict(alert),
            Rule::EndpointDown | Rule::Lag => self.endpoint_verdict(alert),
            Rule::DeadLettersAbandoned | Rule::DeadLetters | Rule::DeadLetterGrowth => self.dead_letter_verdict(alert),
            Rule::CertificateExpiry => self.certificate_verdict(alert),
            Rule::ErrorRate | Rule::Latency => self.traffic_verdict(alert),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.facts.now
    }

    fn store_down(&self) -> Option<Finding> {
        let rule = self.rules.store_down;
        let fault = self.facts.store_fault.filter(|_| rule.enabled)?;
        Some(Finding {
            rule: Rule::StoreDown,
            subject: Subject::Store,
            gateway_ids: Vec::new(),
            title: "The store of the control plane does not work".to_owned(),
            detail: words::sentence(fault),
            advice: "Look at the database and at `store` in the settings. Gateways go on with what they have; changes are \
                     refused until the store works.",
            since: None,
            hold: seconds(rule.for_seconds),
        })
    }

    fn is_enabled(&self, rule: Rule) -> bool {
        match rule {
            Rule::StoreDown => self.rules.store_down.enabled,
            Rule::GatewayGone => self.rules.gateway_gone.enabled,
            Rule::EndpointDown => self.rules.endpoint_down.enabled,
            Rule::Lag => self.rules.lag.enabled,
            Rule::DeadLettersAbandoned => self.rules.abandoned.enabled,
            Rule::DeadLetters | Rule::DeadLetterGrowth => self.rules.dead_letters.enabled,
            Rule::CertificateExpiry => self.rules.certificate_expiry.enabled,
            Rule::ErrorRate | Rule::Latency => self.rules.traffic.enabled,
        }
    }
}

fn seconds(seconds: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
