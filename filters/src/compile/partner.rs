//! What a call of a partner is made of, whoever makes it: target, sign-in, timeouts.

use std::sync::Arc;

use serde_json::Value;

use crate::address::EgressPolicy;
use crate::model::limits::Timeouts;
use crate::model::outgoing::OutgoingAuth;
use crate::model::route::TargetHosts;
use crate::model::{OutgoingAuthType, Problem, Security, secret};
use crate::outgoing::{Owner, SignIn, TlsPlan};
use crate::target::{Scheme, TargetUrl, check_host_pattern};

/// The longest timeout that may be set, in milliseconds.
const LONGEST_TIMEOUT: u64 = 3_600_000;

/// Which targets are allowed.
#[derive(Clone)]
pub(super) struct TargetRules {
    pub(super) egress: EgressPolicy,
    pub(super) security: Security,
    pub(super) hosts: TargetHosts,
}

impl TargetRules {
    /// Whose sign-ins are compiled under these rules.
    pub(super) fn owner(&self, org_id: u64) -> Owner<'_> {
        Owner {
            org_id,
            egress: &self.egress,
            security: &self.security,
        }
    }

    /// Adds what is wrong with the lists of hosts, which stand in `targetHosts`.
    pub(super) fn check_hosts(&self, problems: &mut Vec<Problem>) {
        for (list, patterns) in [("allow", &self.hosts.allow), ("deny", &self.hosts.deny)] {
            for (index, pattern) in patterns.iter().enumerate() {
                if let Err(error) = check_host_pattern(pattern) {
                    problems.push(Problem::new(format!("targetHosts.{list}[{index}]"), error.to_string()));
                }
            }
        }
    }

    /// Reads the target at `path`, adding its problems.
    pub(super) fn target(&self, url: &str, path: &str, problems: &mut Vec<Problem>) -> Option<TargetUrl> {
        match TargetUrl::parse(url) {
            Ok(target) => {
                self.check(&target, path, problems);
                Some(target)
            }
            Err(error) => {
                problems.push(Problem::new(path, error.to_string()));
                None
            }
        }
    }

    /// Adds the objections to a target.
    pub(super) fn check(&self, target: &TargetUrl, path: &str, problems: &mut Vec<Problem>) {
        let refused = target.check_policy(&self.egress, &self.security, &self.hosts);
        problems.extend(refused.into_iter().map(|message| Problem::new(path, message)));
    }
}

/// Reads `outgoingAuthType` and `outgoingAuthConfig`, adding their problems.
pub(super) fn sign_in(
    kind: OutgoingAuthType,
    config: Option<&Value>,
    owner: &Owner<'_>,
    problems: &mut Vec<Problem>,
) -> SignIn {
    if config.is_none() && kind != OutgoingAuthType::None {
        problems.push(Problem::new("outgoingAuthConfig", "is needed by this outgoingAuthType"));
    }
    refuse_mask(config, "outgoingAuthConfig", problems);
    match OutgoingAuth::read(kind, config, problems) {
        Some(auth) => SignIn::compile(&auth, owner, problems),
        None => SignIn::default(),
    }
}

/// Reads `outgoingTls`, which is for `targets`, adding its problems.
pub(super) fn tls<'a>(
    config: Option<&Value>,
    targets: impl Iterator<Item = &'a TargetUrl>,
    problems: &mut Vec<Problem>,
) -> Option<Arc<TlsPlan>> {
    refuse_mask(config, "outgoingTls", problems);
    let plan = TlsPlan::read(config, "outgoingTls", problems)?;
    let mut targets = targets.peekable();
    if targets.peek().is_some() && !targets.any(|target| target.scheme() == Scheme::Https) {
        problems.push(Problem::new(
            "outgoingTls",
            "needs an https address; the partner is spoken to without TLS",
        ));
    }
    Some(plan)
}

/// Adds a mask that stands for no stored secret.
pub(super) fn refuse_mask(config: Option<&Value>, path: &str, problems: &mut Vec<Problem>) {
    if config.is_some_and(secret::has_mask) {
        let message = format!("{} stands for a stored secret, and none is stored here", secret::MASK);
        problems.push(Problem::new(path, message));
    }
}

/// Adds what is wrong with `timeouts`.
pub(super) fn check_timeouts(timeouts: Timeouts, problems: &mut Vec<Problem>) {
    let Timeouts {
        connect_ms,
        first_byte_ms,
        total_ms,
    } = timeouts;
    for (field, value) in [
        ("connectMs", connect_ms),
        ("firstByteMs", first_byte_ms),
        ("totalMs", total_ms),
    ] {
        if !(1..=LONGEST_TIMEOUT).contains(&value) {
            let message = format!("{value} must be between 1 and {LONGEST_TIMEOUT}");
            problems.push(Problem::new(format!("timeouts.{field}"), message));
        }
    }
}
