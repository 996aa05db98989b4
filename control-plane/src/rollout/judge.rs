//! Whether a rollout goes on, waits, or is taken back: a pure decision over what gateways say.

use std::collections::BTreeMap;

use filters::model::Problem;
use filters::model::push::{Counts, VersionCounts};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Rollout, Rules};

/// How one gateway is doing.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Standing {
    /// Its name.
    pub(crate) gateway_id: String,
    /// True while it is connected to this control plane.
    pub(crate) connected: bool,
    /// When it was heard of last (RFC 3339).
    #[schemars(with = "String")]
    pub(crate) last_seen: Timestamp,
    /// The version that it runs.
    pub(crate) applied_version: Option<u64>,
    /// Why it refused the version of the rollout, if it did.
    pub(crate) refused: Option<Vec<Problem>>,
    /// What it counted since it runs the version that it runs.
    pub(crate) counts: Option<VersionCounts>,
    /// What it counted while it ran the version before.
    pub(crate) counts_before: Option<VersionCounts>,
}

/// All that is known.
#[derive(Debug)]
pub(super) struct Facts {
    /// The gateways of the rollout.
    pub(super) canaries: Vec<Standing>,
    /// All others.
    pub(super) others: Vec<Standing>,
    /// Since when this control plane listens to gateways.
    pub(super) since: Timestamp,
    /// True if they may be connected to other control planes, which tell of them now and then.
    pub(super) elsewhere: bool,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    Wait,
    /// It goes to all gateways, for this reason.
    Promote(String),
    /// It is taken back, for this reason.
    RollBack(String),
}

/// Decides at `now`.
pub(super) fn judge(rollout: &Rollout, facts: &Facts, now: Timestamp) -> Verdict {
    if let Some(reason) = refused(facts).or_else(|| failing(rollout, facts)) {
        return Verdict::RollBack(reason);
    }
    if !rollout.is_over(now) {
        return Verdict::Wait;
    }
    let behind = rollout.gateways.iter().find(|name| {
        let canary = facts.canaries.iter().find(|canary| canary.gateway_id == **name);
        canary.is_none_or(|canary| canary.applied_version != Some(rollout.version))
    });
    if let Some(name) = behind {
        return Verdict::RollBack(format!("the gateway {name} did not take it in time"));
    }
    if let Some(verdict) = away(facts, now) {
        return verdict;
    }
    if !rollout.rules.promote {
        return Verdict::Wait;
    }
    let requests = total(&facts.canaries, rollout.version).requests;
    let seconds = rollout.rules.watch_seconds;
    Verdict::Promote(format!(
        "nothing was wrong for {seconds} s, in which {requests} request(s) were served"
    ))
}

/// A gateway that took the version and is not there any more may have ended by it. One that comes back soon did not.
fn away(facts: &Facts, now: Timestamp) -> Option<Verdict> {
    let longest = if facts.elsewhere { TOLD_ELSEWHERE } else { LONGEST_AWAY };
    let mut absent = facts.canaries.iter().filter(|canary| !canary.connected);
    absent.find_map(|canary| {
        let seconds = now.duration_since(canary.last_seen.max(facts.since));
        if seconds >= longest {
            let reason = format!("the gateway {} took it and is not there any more", canary.gateway_id);
            return Some(Verdict::RollBack(reason));
        }
        (!facts.elsewhere).then_some(Verdict::Wait)
    })
}

fn refused(facts: &Facts) -> Option<String> {
    facts.canaries.iter().find_map(|canary| {
        let problems = canary.refused.as_ref()?;
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        Some(format!("the gateway {} refused it: {first}", canary.gateway_id))
    })
}

/// Holds the share of failed requests against that of the other gateways and that of before: of each gateway, of all
/// together, and of each integration.
fn failing(rollout: &Rollout, facts: &Facts) -> Option<String> {
    let (version, rules) = (rollout.version, &rollout.rules);
    let others = Groups::of(facts.others.iter().filter_map(|other| other.counts.as_ref()));
    let before = Groups::of(facts.canaries.iter().filter_map(|canary| canary.before(version)));
    let now = Groups::of(facts.canaries.iter().filter_map(|canary| canary.of(version)));
    let alone = facts.canaries.iter().filter_map(|canary| {
        let before = canary
            .before(version)
            .map_or_else(Counts::default, |counts| counts.total);
        let name = format!("at the gateway {}", canary.gateway_id);
        Some((name, canary.of(version)?.total, before, others.total))
    });
    let together = ("at its gateways".to_owned(), now.total, before.total, others.total);
    let integrations = now.integrations.iter().map(|(id, counts)| {
        let (before, others) = (before.integration(id), others.integration(id));
        (
            format!("of the integration {id:?} at its gateways"),
            *counts,
            before,
            others,
        )
    });
    let mut groups = std::iter::once(together).chain(alone).chain(integrations);
    groups.find_map(|(name, now, before, others)| worse(rules, &name, now, before, others))
}

/// The reason if so many more fail that it cannot be chance.
fn worse(rules: &Rules, name: &str, now: Counts, before: Counts, others: Counts) -> Option<String> {
    let usual = percent(before).max(percent(others));
    let is_worse = now.failed >= rules.min_failures && percent(now) > usual + rules.tolerance_percent;
    is_worse.then(|| {
        format!(
            "{} of {} request(s) failed {name} ({:.1} %; {:.1} % before, {:.1} % at the other gateways)",
            now.failed,
            now.requests,
            percent(now),
            percent(before),
            percent(others)
        )
    })
}

fn total(canaries: &[Standing], version: u64) -> Counts {
    Groups::of(canaries.iter().filter_map(|canary| canary.of(version))).total
}

fn percent(counts: Counts) -> f64 {
    if counts.requests == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "shares of request counts, far below 2^52")]
    let share = counts.failed as f64 / counts.requests as f64;
    share * 100.0
}

impl Standing {
    fn of(&self, version: u64) -> Option<&VersionCounts> {
        self.counts.as_ref().filter(|counts| counts.version == version)
    }

    /// What was counted before `version`.
    fn before(&self, version: u64) -> Option<&VersionCounts> {
        let both = [&self.counts, &self.counts_before].into_iter().flatten();
        both.into_iter().find(|counts| counts.version < version)
    }
}

/// The counts of several gateways together.
#[derive(Default)]
struct Groups<'a> {
    total: Counts,
    integrations: BTreeMap<&'a str, Counts>,
}

impl<'a> Groups<'a> {
    fn of(all: impl Iterator<Item = &'a VersionCounts>) -> Self {
        let mut groups = Self::default();
        for counts in all {
            groups.total.add(counts.total);
            for one in &counts.integrations {
                groups.integrations.entry(&one.id).or_default().add(one.counts);
            }
        }
        groups
    }

    fn integration(&self, id: &str) -> Counts {
        self.integrations.get(id).copied().unwrap_or_default()
    }
}

/// How long a gateway may be away when the time is over.
const LONGEST_AWAY: SignedDuration = SignedDuration::from_secs(30);
/// The same where other control planes tell of it: they do so twice a minute.
const TOLD_ELSEWHERE: SignedDuration = SignedDuration::from_secs(90);

#[cfg(test)]
mod tests;
