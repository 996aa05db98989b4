//! Counts of calls and attempts: how they ended, why they failed, and how long they took.
//!
//! Tallies are added up, never averaged, so that percentiles of a day are those of all its calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// How many calls, or attempts at deliveries, ended in which way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Tally {
    /// Those that succeeded.
    pub succeeded: u64,
    /// Those that failed.
    pub failed: u64,
    /// Of those that failed, those that are tried again.
    pub retried: u64,
    /// Those that failed, by category of error.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// How long they took.
    pub latency: Latencies,
}

/// What a gateway counted of one integration's calls in a quarter of an hour, since it told of them last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallTally {
    /// Organization.
    pub org_id: u64,
    /// The integration.
    pub integration_config_id: Arc<str>,
    /// When the quarter of an hour began: seconds since 1970.
    pub from: i64,
    /// The counts.
    pub tally: Tally,
}

/// How long calls took, by ranges of milliseconds that are at most a sixteenth of their values wide.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Latencies {
    /// How many by range.
    #[serde(deserialize_with = "ranges")]
    pub ranges: BTreeMap<u16, u64>,
    /// Milliseconds of all together.
    pub total_ms: u64,
}

impl Tally {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.succeeded.saturating_add(self.failed)
    }

    /// Counts one that succeeded after `ms`.
    pub fn success(&mut self, ms: u64) {
        self.succeeded += 1;
        self.latency.add(ms);
    }

    /// Counts one that failed after `ms`.
    pub fn failure(&mut self, category: Option<&str>, retried: bool, ms: u64) {
        self.failed += 1;
        self.retried += u64::from(retried);
        self.latency.add(ms);
        let category = category.filter(|category| is_plain(category)).unwrap_or(OTHER);
        // The few categories that there are never fill this; what is no category must not grow it either.
        let category = if self.errors.len() < MOST_CATEGORIES || self.errors.contains_key(category) {
            category
        } else {
            OTHER
        };
        *self.errors.entry(category.to_owned()).or_default() += 1;
    }

    /// Adds the counts of another.
    pub fn add(&mut self, other: &Self) {
        self.succeeded = self.succeeded.saturating_add(other.succeeded);
        self.failed = self.failed.saturating_add(other.failed);
        self.retried = self.retried.saturating_add(other.retried);
        for (category, count) in &other.errors {
            let sum = self.errors.entry(category.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
        self.latency.merge(&other.latency);
    }
}

impl Latencies {
    /// Counts one that took `ms`.
    pub fn add(&mut self, ms: u64) {
        *self.ranges.entry(range_of(ms)).or_default() += 1;
        self.total_ms = self.total_ms.saturating_add(ms.min(LONGEST_MS));
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.ranges
            .values()
            .fold(0, |sum: u64, count| sum.saturating_add(*count))
    }

    /// The mean in milliseconds; `None` of nothing.
    pub fn mean_ms(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.total_ms as f64 / count as f64)
    }

    /// Milliseconds that at least `percent` of all did not exceed; `None` of nothing. Below 32 ms it is exact, above that
    /// it may be up to a sixteenth too high.
    pub fn percentile(&self, percent: u8) -> Option<u64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = (u128::from(count) * u128::from(percent)).div_ceil(100).max(1);
        let mut passed = 0_u128;
        let range = self.ranges.iter().find(|(_, count)| {
            passed += u128::from(**count);
            passed >= rank
        });
        range.map(|(range, _)| last_of(*range))
    }

    fn merge(&mut self, other: &Self) {
        for (range, count) in &other.ranges {
            let sum = self.ranges.entry(*range).or_default();
            *sum = sum.saturating_add(*count);
        }
        self.total_ms = self.total_ms.saturating_add(other.total_ms);
    }
}

/// Numbers as keys are texts in JSON, which serde tells apart inside of tagged messages.
fn ranges<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<u16, u64>, D::Error> {
    let texts: BTreeMap<String, u64> = BTreeMap::deserialize(deserializer)?;
    let read = |(range, count): (String, u64)| Ok((range.parse().map_err(serde::de::Error::custom)?, count));
    texts.into_iter().map(read).collect()
}

/// The range of `ms`: up to [`EXACT`] each value is one, then each power of two is parted into [`PARTS`].
fn range_of(ms: u64) -> u16 {
    let ms = ms.min(LONGEST_MS);
    if ms < EXACT {
        return ms as u16;
    }
    let power = ms.ilog2();
    let part = (ms >> (power - PART_BITS)) - PARTS;
    (EXACT + u64::from(power - EXACT_BITS) * PARTS + part) as u16
}

/// The largest value of a range.
fn last_of(range: u16) -> u64 {
    let range = u64::from(range);
    if range < EXACT {
        return range;
    }
    let (power, part) = ((range - EXACT) / PARTS, (range - EXACT) % PARTS);
    // What no call made may still come over a wire.
    let power = power.min(u64::from(LONGEST_MS.ilog2() - EXACT_BITS));
    let width = 1 << (power + u64::from(EXACT_BITS - PART_BITS));
    (PARTS + part + 1) * width - 1
}

/// True of what can be a key in every store: a short word in capital letters.
fn is_plain(category: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=64).contains(&category.len()) && category.bytes().all(is_plain)
}

const PART_BITS: u32 = 4;
const PARTS: u64 = 1 << PART_BITS;
const EXACT_BITS: u32 = 5;
const EXACT: u64 = 1 << EXACT_BITS;
/// Some hours; what takes longer counts as this.
const LONGEST_MS: u64 = (1 << 24) - 1;
const MOST_CATEGORIES: usize = 64;
/// For failures without a category.
const OTHER: &str = "OTHER";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_each_other_without_gaps_and_are_narrow() {
        let mut before = None;
        for ms in 0..200_000_u64 {
            let range = range_of(ms);
            let last = last_of(range);
            assert!(last >= ms, "{ms} is beyond its range, which ends at {last}");
            assert!(last - ms <= ms / 16, "{ms} is taken for {last}");
            if let Some(before) = before {
                assert!(
                    range == before || range == before + 1,
                    "{before} is followed by {range}"
                );
            }
            before = Some(range);
        }
        assert_eq!(last_of(range_of(LONGEST_MS)), LONGEST_MS);
        assert_eq!(range_of(u64::MAX), range_of(LONGEST_MS));
        assert_eq!(last_of(u16::MAX) >> 32, 0, "a range that nobody counts does no harm");
    }

    #[test]
    fn percentiles_are_those_of_all_that_were_added() {
        let mut tallies = [Tally::default(), Tally::default()];
        for ms in 1..=100 {
            tallies[usize::from(ms > 90)].success(ms);
        }
        let [mut all, slow] = tallies;
        all.add(&slow);
        assert_eq!(all.latency.percentile(0), Some(1));
        assert_eq!(all.latency.percentile(20), Some(20));
        assert_eq!(all.latency.percentile(50), Some(51), "up to a sixteenth too high");
        assert_eq!(all.latency.percentile(99), Some(99));
        assert_eq!(all.latency.percentile(100), Some(103));
        assert_eq!(all.latency.mean_ms(), Some(50.5));
        assert_eq!(Latencies::default().percentile(50), None);
        assert_eq!(Latencies::default().mean_ms(), None);
    }

    #[test]
    fn failures_are_counted_by_category() {
        let mut tally = Tally::default();
        tally.success(3);
        tally.failure(Some("TIMEOUT"), true, 30_000);
        tally.failure(Some("TIMEOUT"), false, 30_000);
        tally.failure(None, false, 1);
        tally.failure(Some("a.$b"), false, 1);
        assert_eq!((tally.total(), tally.failed, tally.retried), (5, 4, 1));
        let errors = BTreeMap::from([("OTHER".to_owned(), 2), ("TIMEOUT".to_owned(), 2)]);
        assert_eq!(tally.errors, errors);
        for number in 0..1_000 {
            tally.failure(Some(&format!("E{number}")), false, 1);
        }
        assert!(tally.errors.len() <= MOST_CATEGORIES + 1);
        assert_eq!(tally.errors.values().sum::<u64>(), tally.failed);
    }
}
