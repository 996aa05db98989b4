//! How calls and deliveries went lately: what the counts by hour grew by from look to look.

use std::collections::{BTreeMap, VecDeque};

use filters::model::Tally;
use jiff::{SignedDuration, Timestamp};

use crate::rollups::{Flow, Span};
use crate::store::{Counted, Store, StoreError, Sums};

/// Calls or attempts at deliveries of one integration in a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) org_id: u64,
    pub(crate) flow: Flow,
    pub(crate) integration: String,
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    /// Milliseconds that 99 of 100 did not exceed.
    pub(crate) p99_ms: Option<u64>,
}

/// What was seen of a time that is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watched {
    /// By integration.
    pub(crate) traffic: Vec<Traffic>,
    /// False while less than all of that time was watched: what is not in it may have happened all the same.
    pub(crate) whole: bool,
}

/// By integration.
type Counts = BTreeMap<Counted, Tally>;

/// Looks at the counts now and then, and remembers what they grew by.
#[derive(Debug, Default)]
pub(super) struct Meter {
    counted: Option<Total>,
    /// What each look found more than the one before, with its moment.
    grown: VecDeque<(Timestamp, Counts)>,
}

/// The counts at the last look.
#[derive(Debug)]
struct Total {
    at: Timestamp,
    /// Hours that begin from here on are in them.
    from: Timestamp,
    counts: Counts,
}

impl Meter {
    /// Looks, if the last look is long enough ago for a window of this length, and forgets what is older than it.
    ///
    /// # Errors
    /// If the store does not work.
    pub(super) async fn look(
        &mut self,
        store: &Store,
        window: SignedDuration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(last) = &self.counted else {
            self.counted = Some(begun(store, now).await?);
            self.grown.push_back((now, Counts::new()));
            return Ok(());
        };
        if now.duration_since(last.at) < every(window) {
            return Ok(());
        }
        let counts = counts(store, last.from, now).await?;
        let grown = growth(&last.counts, &counts);
        let is_long = now.duration_since(last.from) > KEPT;
        let next = Total {
            at: now,
            from: last.from,
            counts,
        };
        // Hours that are over are counted no longer than necessary.
        self.counted = Some(if is_long { begun(store, now).await? } else { next });
        self.grown.push_back((now, grown));
        self.forget(window, now);
        Ok(())
    }

    /// Leaves one look from before the window: it tells that the window was watched as a whole.
    fn forget(&mut self, window: SignedDuration, now: Timestamp) {
        let begin = now.checked_sub(window).unwrap_or(Timestamp::MIN);
        while self.grown.get(1).is_some_and(|(at, _)| *at <= begin) {
            self.grown.pop_front();
        }
    }

    /// What is known of the last `window`.
    pub(super) fn since(&self, window: SignedDuration, now: Timestamp) -> Watched {
        let begin = now.checked_sub(window).unwrap_or(Timestamp::MIN);
        let mut sums = Counts::new();
        for (_, grown) in self.grown.iter().filter(|(at, _)| *at > begin) {
            for (counted, tally) in grown {
                sums.entry(counted.clone()).or_default().add(tally);
            }
        }
        let traffic = sums.into_iter().map(|(counted, tally)| Traffic {
            org_id: counted.org_id,
            flow: counted.flow,
            integration: counted.integration,
            calls: tally.total(),
            failed: tally.failed,
            p99_ms: tally.latency.percentile(99),
        });
        Watched {
            traffic: traffic.collect(),
            whole: self.grown.front().is_some_and(|(at, _)| *at <= begin),
        }
    }
}

async fn begun(store: &Store, now: Timestamp) -> Result<Total, StoreError> {
    let from = now.checked_sub(BACK).unwrap_or(Timestamp::MIN);
    Ok(Total {
        at: now,
        from,
        counts: counts(store, from, now).await?,
    })
}

async fn counts(store: &Store, from: Timestamp, now: Timestamp) -> Result<Counts, StoreError> {
    let sums = Sums {
        org_id: None,
        span: Span::Hour,
        from,
        // A clock that is ahead counts for a later hour.
        before: now.checked_add(BACK).unwrap_or(Timestamp::MAX),
    };
    let mut counts = store.sums(&sums).await?;
    counts.retain(|counted, _| !counted.integration.is_empty());
    Ok(counts)
}

/// What `now` has more than `before`.
fn growth(before: &Counts, now: &Counts) -> Counts {
    let mut grown = Counts::new();
    for (counted, tally) in now {
        let mut more = tally.clone();
        if let Some(known) = before.get(counted) {
            more.succeeded = more.succeeded.saturating_sub(known.succeeded);
            more.failed = more.failed.saturating_sub(known.failed);
            for (range, count) in &mut more.latency.ranges {
                let known = known.latency.ranges.get(range).copied().unwrap_or(0);
                *count = count.saturating_sub(known);
            }
        }
        if more.total() > 0 {
            grown.insert(counted.clone(), more);
        }
    }
    grown
}

/// From one look to the next.
fn every(window: SignedDuration) -> SignedDuration {
    (window / LOOKS).max(SignedDuration::from_secs(5))
}

/// Looks in a window.
const LOOKS: i32 = 10;
/// Records that come late are counted for hours that are over.
const BACK: SignedDuration = SignedDuration::from_hours(2);
/// After this long the counting begins with later hours.
const KEPT: SignedDuration = SignedDuration::from_hours(4);

#[cfg(test)]
mod tests {
    use super::*;

    fn counts_of(succeeded: u64, failed: u64) -> Counts {
        let mut tally = Tally::default();
        for _ in 0..succeeded {
            tally.success(10);
        }
        for _ in 0..failed {
            tally.failure(None, false, 900);
        }
        let counted = Counted {
            org_id: 648,
            flow: Flow::Inbound,
            integration: "labs".to_owned(),
        };
        Counts::from([(counted, tally)])
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn what_came_since_the_last_look_is_told_from_what_was_there() {
        let grown = growth(&counts_of(90, 10), &counts_of(95, 15));
        let tally = grown.values().next().unwrap();
        assert_eq!((tally.succeeded, tally.failed, tally.latency.count()), (5, 5, 10));
        assert!(growth(&counts_of(90, 10), &counts_of(90, 10)).is_empty());
    }

    #[test]
    fn a_window_is_known_once_it_was_watched_and_forgets_what_is_older() {
        let mut meter = Meter::default();
        let window = SignedDuration::from_secs(60);
        assert_eq!(meter.since(window, at(0)), Watched::default());
        meter.grown.push_back((at(0), Counts::new()));
        meter.grown.push_back((at(30), counts_of(100, 0)));
        let known = meter.since(window, at(30));
        assert_eq!(
            (known.traffic[0].calls, known.whole),
            (100, false),
            "it was watched for 30 s"
        );
        meter.grown.push_back((at(60), counts_of(1, 3)));
        meter.grown.push_back((at(90), counts_of(2, 0)));
        let known = meter.since(window, at(90));
        let one = &known.traffic[0];
        assert_eq!((one.calls, one.failed, known.whole), (6, 3, true), "{known:?}");
        assert!(one.p99_ms.is_some_and(|ms| ms >= 900));
        meter.forget(window, at(90));
        assert_eq!(meter.grown.len(), 3, "that of 0 s is older than all of the window");
        assert_eq!(meter.since(window, at(90)), known);
    }
}
