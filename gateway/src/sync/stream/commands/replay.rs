//! Delivering events once more that the queue still has.

use std::sync::Arc;
use std::time::Duration;

use filters::event::Payload;
use filters::model::command::{CommandFailure, CommandResult};
use filters::model::delivery::TriggerType;
use filters::plan::Plan;
use filters::subscription::Subscription;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;
use uuid::Uuid;

use super::{Operator, Unfinished};
use crate::clock::now_ms;
use crate::queue::{DeliveryState, HistoryRange, KeptEvent, OpenDelivery, Queue, Replay, Step};

/// What is to be delivered once more, and to whom.
pub(super) struct Wanted<'c> {
    /// Identifier of the command.
    pub(super) command: &'c str,
    pub(super) org_id: u64,
    /// To this one only; to all that match if `None`.
    pub(super) subscription: Option<&'c Arc<str>>,
    /// These events; those of a range of time if empty.
    pub(super) event_ids: &'c [String],
    pub(super) from: Option<&'c str>,
    pub(super) to: Option<&'c str>,
}

impl Operator {
    pub(super) async fn replay(&self, queue: &Queue, wanted: &Wanted<'_>) -> Result<CommandResult, Unfinished> {
        let mut result = CommandResult {
            done: 0,
            failed: Vec::new(),
        };
        if wanted.event_ids.is_empty() {
            let range = millis(wanted.from, 0)..millis(wanted.to, now_ms());
            self.replay_range(queue, wanted, range, &mut result).await?;
        } else {
            let events = queue.find(wanted.org_id, wanted.event_ids.to_vec()).await?;
            let is_missing = |id: &&String| !events.iter().any(|kept| kept.event.head.id == **id);
            for id in wanted.event_ids.iter().filter(is_missing) {
                fail(&mut result, id, "this gateway does not have it, or has it no more");
            }
            self.replay_events(queue, wanted, events, &mut result).await?;
        }
        Ok(queue
            .command_finish(wanted.command.to_owned(), result, Vec::new())
            .await?)
    }

    async fn replay_range(
        &self,
        queue: &Queue,
        wanted: &Wanted<'_>,
        range: std::ops::Range<i64>,
        result: &mut CommandResult,
    ) -> Result<(), Unfinished> {
        let mut after = 0;
        loop {
            let page = HistoryRange {
                org_id: wanted.org_id,
                from_ms: range.start,
                to_ms: range.end,
                after,
                limit: PAGE,
            };
            let page = queue.history(page).await?;
            self.replay_events(queue, wanted, page.events, result).await?;
            match page.next {
                Some(next) => after = next,
                None => return Ok(()),
            }
            // New events have room beside it.
            while queue.levels().open > MOST_OPEN {
                sleep(PAUSE).await;
            }
        }
    }

    async fn replay_events(
        &self,
        queue: &Queue,
        wanted: &Wanted<'_>,
        events: Vec<KeptEvent>,
        result: &mut CommandResult,
    ) -> Result<(), Unfinished> {
        let live = self.shared.load().ok_or(Unfinished::Stopping)?;
        let mut replays = Vec::with_capacity(events.len());
        for kept in events {
            let deliveries = deliveries(&live.plan, wanted, &kept);
            match deliveries {
                Ok(deliveries) if deliveries.is_empty() => {}
                Ok(deliveries) => replays.push(Replay {
                    seq: kept.seq,
                    deliveries,
                }),
                Err(why) => fail(result, &kept.event.head.id, &why),
            }
        }
        if replays.is_empty() {
            return Ok(());
        }
        let made = queue.replay(replays, None).await?;
        result.done += made.done;
        for failure in made.failed {
            fail(result, &failure.id, &failure.error);
        }
        Ok(())
    }
}

/// The deliveries of an event that is replayed, or why there are none to the subscription that is meant.
fn deliveries(plan: &Plan, wanted: &Wanted<'_>, kept: &KeptEvent) -> Result<Vec<OpenDelivery>, String> {
    let event = &*kept.event;
    let payload = Payload::of(event);
    let deliver = |subscription: &Arc<Subscription>| OpenDelivery {
        number: 0,
        subscription: Arc::clone(&subscription.id),
        state: DeliveryState {
            id: delivery_id(wanted.command, kept.seq, &subscription.id),
            trigger: TriggerType::Replay,
            due_ms: now_ms(),
            attempts: 0,
            order_key: subscription
                .schedule
                .is_immediate()
                .then(|| subscription.order_key(event, &payload))
                .flatten(),
            step: Step::Forward(0),
            answers: None,
            occurrences: 0,
            dead_retries: None,
            payload: None,
        },
    };
    let Some(id) = wanted.subscription else {
        let matched = plan.events.matches(event, &payload);
        return Ok(matched.subscriptions.iter().map(deliver).collect());
    };
    let subscription = plan
        .events
        .subscription(id)
        .ok_or("this gateway has no such subscription")?;
    match subscription.skip_reason(event, &payload) {
        None => Ok(vec![deliver(subscription)]),
        Some(reason) => Err(format!("the subscription does not get it: {reason}")),
    }
}

/// The same each time that the same command is carried out, as it may be begun anew after a crash: receivers know the
/// second one by it.
fn delivery_id(command: &str, seq: i64, subscription: &str) -> Uuid {
    let digest = Sha256::new()
        .chain_update(command)
        .chain_update(seq.to_be_bytes())
        .chain_update(subscription)
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

fn fail(result: &mut CommandResult, id: &str, why: &str) {
    if result.failed.len() < MOST_FAILURES {
        result.failed.push(CommandFailure {
            id: id.to_owned(),
            error: why.to_owned(),
        });
    }
}

fn millis(text: Option<&str>, otherwise: i64) -> i64 {
    let at = text.and_then(|text| text.parse::<Timestamp>().ok());
    at.map_or(otherwise, Timestamp::as_millisecond)
}

/// Events of a commit.
const PAGE: usize = 500;
/// A replay waits while so many deliveries are open.
const MOST_OPEN: u64 = 50_000;
const PAUSE: Duration = Duration::from_millis(100);
const MOST_FAILURES: usize = 100;
