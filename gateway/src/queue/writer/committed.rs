//! What follows a commit: the queue knows what is on disk, callers get their answers, deliveries are handed over.

use tracing::warn;

use super::super::group::Staged;
use super::super::operation::{Incoming, Operation};
use super::super::stats::Move;
use super::super::{Accepted, Handed, Seq};
use super::{RETRY_PAUSE_MS, Writer, now_ms};

impl Writer {
    /// Takes in what is on disk now, answers, and hands over.
    pub(super) fn committed(&mut self, staged: Staged, group: Vec<Operation>) {
        self.next_seq = staged.next_seq;
        self.digests.learn(staged.digests);
        let mut handed = self.count(&group, &staged.moves, staged.now_ms);
        self.spooled(staged.spool.newest, staged.spool.written, staged.acknowledged);
        self.retry_ms = match (self.retry_ms, staged.retry_ms) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        if staged.retries_changed {
            self.retry_ms = self.next_retry();
        }
        let mut scrubs = Vec::new();
        for operation in group {
            match operation {
                Operation::Accept(mut task) => {
                    let events = std::mem::take(&mut task.input);
                    if let (Some(Ok(accepted)), None) = (&task.outcome, self.recovery) {
                        hand(events, accepted, staged.now_ms, &mut handed);
                    }
                    task.tell();
                }
                Operation::Settle(task) => task.tell(),
                Operation::Bury(task) => task.tell(),
                Operation::Acknowledge(task) => task.tell(),
                Operation::Command(task) => task.tell(),
                Operation::Scrub(task) => scrubs.push(task),
                Operation::RetryDue | Operation::Close(_) => {}
            }
        }
        handed.extend(staged.handed.into_iter().filter(|one| self.is_counted(one.seq)));
        if !handed.is_empty() {
            (self.hand_off)(handed);
        }
        for mut task in scrubs {
            task.outcome = Some(self.scrub());
            task.tell();
        }
    }

    /// Brings the depths up to date.
    fn count(&self, group: &[Operation], moves: &[Move], now_ms: i64) -> Vec<Handed> {
        let mut handed = Vec::new();
        let (mut new, mut repeated) = (0, 0);
        let mut depths = self.shared.depths.lock();
        for operation in group {
            let Operation::Accept(task) = operation else { continue };
            let Some(Ok(accepted)) = &task.outcome else { continue };
            for (event, accepted) in task.input.iter().zip(accepted) {
                match accepted {
                    Accepted::New(_) => new += 1,
                    Accepted::Repeat(_) => {
                        repeated += 1;
                        continue;
                    }
                }
                // The scan at the start counts what comes while it runs.
                if self.recovery.is_some() {
                    continue;
                }
                for delivery in &event.arrival.deliveries {
                    depths.open(&delivery.subscription, event.arrival.event.head.org_id, now_ms);
                }
            }
        }
        // Dead letters were counted when the queue was opened.
        let counted = |change: &&Move| change.open == 0 || self.is_counted(change.seq);
        for change in moves.iter().filter(counted) {
            depths.note(change);
        }
        let (open, dead) = (depths.open, depths.dead);
        drop(depths);
        {
            let mut levels = self.shared.levels.lock();
            (levels.open, levels.dead, levels.failing) = (open, dead, false);
        }
        self.metrics.accepted.inc_by(new);
        self.metrics.repeated.inc_by(repeated);
        self.metrics.open.set(open.cast_signed());
        self.metrics.dead.set(dead.cast_signed());
        handed.reserve(usize::try_from(new).unwrap_or(0));
        handed
    }

    /// False for events that the scan at the start has yet to come to: it counts them and hands them over.
    fn is_counted(&self, seq: Seq) -> bool {
        self.recovery.is_none_or(|recovery| seq <= recovery.read_to)
    }

    fn spooled(&self, newest: Option<i64>, written: u64, acknowledged: Option<(i64, u64)>) {
        if newest.is_none() && acknowledged.is_none() {
            return;
        }
        let (up_to, gone) = acknowledged.unwrap_or_default();
        let bytes = {
            let mut levels = self.shared.levels.lock();
            levels.spool_bytes = (levels.spool_bytes + written).saturating_sub(gone);
            levels.spool_bytes
        };
        self.metrics.spool_bytes.set(bytes.cast_signed());
        self.shared.reach.send_modify(|reach| {
            reach.newest = newest.unwrap_or(reach.newest);
            reach.acknowledged = reach.acknowledged.max(up_to);
        });
    }

    /// When the next dead letter is tried again.
    fn next_retry(&self) -> Option<i64> {
        let select = self.store.prepare_cached("SELECT min(retry_ms) FROM dead");
        select
            .and_then(|mut select| select.query_row([], |row| row.get(0)))
            .unwrap_or_else(|error| {
                warn!(%error, "the queue cannot read when dead letters are tried again");
                Some(now_ms() + RETRY_PAUSE_MS)
            })
    }
}

fn hand(events: Vec<Incoming>, accepted: &[Accepted], accepted_ms: i64, handed: &mut Vec<Handed>) {
    for (event, accepted) in events.into_iter().zip(accepted) {
        let Accepted::New(seq) = accepted else { continue };
        if event.arrival.deliveries.is_empty() {
            continue;
        }
        handed.push(Handed {
            seq: *seq,
            accepted_ms,
            event: Some(event.arrival.event),
            deliveries: event.arrival.deliveries,
        });
    }
}
