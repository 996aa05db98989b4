//! Dead letters: how many there are, how quickly they become more, and which were given up.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::super::alert::{Alert, DeadLetterCount, Finding, Rule, Subject};
use super::{Judge, Verdict, seconds, words};

impl Judge<'_> {
    pub(super) fn find_dead_letters(&self, findings: &mut Vec<Finding>) {
        let Some(counts) = self.facts.dead_letters else { return };
        let rule = self.rules.dead_letters;
        let mut of_organization: BTreeMap<u64, u64> = BTreeMap::new();
        for count in counts {
            let total = count.waiting.saturating_add(count.abandoned);
            let of_all = of_organization.entry(count.org_id).or_default();
            *of_all = of_all.saturating_add(total);
            if self.rules.abandoned.enabled && count.newly_abandoned > 0 {
                findings.push(self.abandoned(count));
            }
            if rule.enabled && reached(total, rule.per_subscription) {
                findings.push(self.many(count, total));
            }
            if rule.enabled && reached(count.new, rule.growth) {
                findings.push(self.growth(count));
            }
        }
        for (org_id, total) in of_organization {
            if rule.enabled && reached(total, rule.per_organization) {
                findings.push(self.many_of_organization(org_id, total));
            }
        }
    }

    pub(super) fn dead_letter_verdict(&self, alert: &Alert) -> Verdict {
        let Some(counts) = self.facts.dead_letters else {
            return Verdict::Undecided;
        };
        let about = |count: &&DeadLetterCount| match &alert.integration_config_id {
            Some(id) => count.integration_config_id == *id,
            None => Some(count.org_id) == alert.org_id,
        };
        let left: u64 = counts
            .iter()
            .filter(about)
            .map(|count| count.waiting + count.abandoned)
            .sum();
        let left = words::count(left, "dead letter");
        Verdict::Over(match alert.rule {
            Rule::DeadLettersAbandoned => format!(
                "No delivery was given up for {}; there are {left}.",
                words::duration(minutes(self.rules.abandoned.quiet_minutes))
            ),
            Rule::DeadLetterGrowth => {
                format!("Dead letters do not become more that quickly any more; there are {left}.")
            }
            _ => format!("There are {left} now."),
        })
    }

    fn abandoned(&self, count: &DeadLetterCount) -> Finding {
        let quiet = words::duration(minutes(self.rules.abandoned.quiet_minutes));
        Finding {
            title: format!("Deliveries to {} were given up", self.name(count)),
            detail: format!(
                "{} given up in the last {quiet} after the last automatic retry. {}",
                words::count(count.newly_abandoned, "dead letter"),
                totals(count)
            ),
            advice: "Nobody tries them again by itself. Look at the errors of the dead letters, mend the cause, then retry \
                     them, or delete those that are not needed.",
            ..finding(Rule::DeadLettersAbandoned, count)
        }
    }

    fn many(&self, count: &DeadLetterCount, total: u64) -> Finding {
        Finding {
            title: format!(
                "There are {} of {}",
                words::count(total, "dead letter"),
                self.name(count)
            ),
            detail: format!(
                "The threshold is {}. {}",
                self.rules.dead_letters.per_subscription,
                totals(count)
            ),
            advice: LOOK,
            ..finding(Rule::DeadLetters, count)
        }
    }

    fn growth(&self, count: &DeadLetterCount) -> Finding {
        let window = words::duration(minutes(self.rules.dead_letters.growth_minutes));
        Finding {
            title: format!("Dead letters of {} become more quickly", self.name(count)),
            detail: format!(
                "{} in the last {window}. {}",
                words::count(count.new, "new dead letter"),
                totals(count)
            ),
            advice: LOOK,
            ..finding(Rule::DeadLetterGrowth, count)
        }
    }

    fn many_of_organization(&self, org_id: u64, total: u64) -> Finding {
        let name = words::organization(self.facts.snapshot, org_id);
        Finding {
            rule: Rule::DeadLetters,
            subject: Subject::Organization(org_id),
            gateway_ids: Vec::new(),
            title: format!("There are {} of {name}", words::count(total, "dead letter")),
            detail: format!("The threshold is {}.", self.rules.dead_letters.per_organization),
            advice: LOOK,
            since: None,
            hold: seconds(0),
        }
    }

    fn name(&self, count: &DeadLetterCount) -> String {
        words::subscription(self.facts.snapshot, count.org_id, &count.integration_config_id)
    }
}

/// Without its words.
fn finding(rule: Rule, count: &DeadLetterCount) -> Finding {
    Finding {
        rule,
        subject: Subject::Subscription {
            org_id: count.org_id,
            id: count.integration_config_id.clone(),
        },
        gateway_ids: Vec::new(),
        title: String::new(),
        detail: String::new(),
        advice: "",
        since: None,
        hold: seconds(0),
    }
}

fn totals(count: &DeadLetterCount) -> String {
    let waiting = words::count(count.waiting, "dead letter");
    format!("{waiting} will be tried again, {} will not.", count.abandoned)
}

fn minutes(minutes: u64) -> SignedDuration {
    seconds(minutes.saturating_mul(60))
}

/// A threshold of 0 is none.
fn reached(value: u64, threshold: u64) -> bool {
    threshold > 0 && value >= threshold
}

const LOOK: &str =
    "Look at the errors of the dead letters and mend the cause, then retry them, all at once if they are many.";
