//! Removing what the queue has of a person: the events that name them, with what is open of them and their dead letters.

use std::sync::Arc;
use std::time::Duration;

use filters::model::command::{CommandFailure, CommandResult};
use filters::model::delivery::{ScheduledDelivery, ScheduledStatus};
use filters::subject::{Search, SearchError};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::{Operator, Unfinished};
use crate::clock::now_rfc3339;
use crate::queue::{
    Cancellation, DeadFilter, DeliveryKey, Handed, HistoryRange, KeptEvent, Next, OpenEntry, OpenFilter, Queue, Record,
    Scrubbed, Settlement,
};

impl Operator {
    /// Removes the events of an organization whose payload, subject or attributes name the person.
    pub(super) async fn erase(
        &self,
        queue: &Queue,
        org_id: u64,
        search: Result<Search, SearchError>,
        command: &str,
    ) -> Result<CommandResult, Unfinished> {
        let mut result = CommandResult {
            done: 0,
            failed: Vec::new(),
        };
        match search {
            Ok(search) => {
                let search = Arc::new(search);
                self.erase_events(queue, org_id, &search, &mut result).await?;
                self.erase_calls(queue, org_id, &search, &mut result).await?;
                self.scrub(queue, &mut result).await?;
            }
            Err(error) => result.failed.push(CommandFailure {
                id: "subject".to_owned(),
                error: error.to_string(),
            }),
        }
        Ok(queue.command_finish(command.to_owned(), result, Vec::new()).await?)
    }

    async fn erase_events(
        &self,
        queue: &Queue,
        org_id: u64,
        search: &Arc<Search>,
        result: &mut CommandResult,
    ) -> Result<(), Unfinished> {
        let mut after = Some(0);
        while let Some(seq) = after {
            let range = HistoryRange {
                org_id,
                from_ms: 0,
                to_ms: i64::MAX,
                after: seq,
                limit: PAGE,
            };
            let page = queue.history(range).await?;
            after = page.next;
            for kept in naming(Arc::clone(search), page.events).await? {
                self.note(queue, &kept, result).await?;
            }
        }
        Ok(())
    }

    /// Takes what was removed out of the queue's files, also what was removed before, and what the control plane has by now
    /// of the records that wait for it. What is not possible yet is in the result: the control plane says it again.
    async fn scrub(&self, queue: &Queue, result: &mut CommandResult) -> Result<(), Unfinished> {
        let mut failed = |error: &str| {
            result.failed.push(CommandFailure {
                id: "queue".to_owned(),
                error: error.to_owned(),
            });
        };
        if timeout(TOLD_WITHIN, queue.spool_told()).await.is_err() {
            failed("records that wait for the control plane may have it");
        }
        let mut tries = 0;
        loop {
            match queue.scrub().await? {
                Scrubbed::Whole => return Ok(()),
                Scrubbed::InPart => {}
                Scrubbed::Held if tries < TRIES => {
                    tries += 1;
                    sleep(PAUSE).await;
                }
                Scrubbed::Held => {
                    failed("its log is being read for long; what was removed is still in it");
                    return Ok(());
                }
            }
        }
    }

    /// Removes the calls among the dead letters that name the person. They are no part of the history.
    async fn erase_calls(
        &self,
        queue: &Queue,
        org_id: u64,
        search: &Search,
        result: &mut CommandResult,
    ) -> Result<(), Unfinished> {
        let mut after = None;
        loop {
            let filter = DeadFilter {
                org_id: Some(org_id),
                after,
                limit: PAGE,
                ..DeadFilter::default()
            };
            let page = queue.dead(filter).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.key);
            for entry in page {
                let Some(call) = &entry.letter.call else { continue };
                let Some(event) = queue.event(entry.key.seq).await? else {
                    continue;
                };
                let shown = serde_json::to_value(call).unwrap_or_default();
                if search.is_anywhere_in(&shown) || search.is_in_payload(Some(&event.head.event_type), &event.payload) {
                    let kept = KeptEvent {
                        seq: entry.key.seq,
                        accepted_ms: 0,
                        event,
                    };
                    self.note(queue, &kept, result).await?;
                }
            }
        }
    }

    /// Removes an event, and counts it.
    async fn note(&self, queue: &Queue, kept: &KeptEvent, result: &mut CommandResult) -> Result<(), Unfinished> {
        if self.erase_event(queue, kept).await? {
            result.done += 1;
        } else if result.failed.len() < MOST_FAILURES {
            result.failed.push(CommandFailure {
                id: kept.seq.to_string(),
                error: "it is being delivered right now; erase again".to_owned(),
            });
        }
        Ok(())
    }

    /// False if it is still being delivered after some tries.
    async fn erase_event(&self, queue: &Queue, kept: &KeptEvent) -> Result<bool, Unfinished> {
        for _ in 0..TRIES {
            if self.call_off(queue, kept).await? {
                self.forget(queue, kept).await?;
                if queue.erase(vec![kept.seq]).await?.failed.is_empty() {
                    return Ok(true);
                }
            }
            sleep(PAUSE).await;
        }
        Ok(false)
    }

    /// Calls off what is open of an event; false if some of it is in flight.
    async fn call_off(&self, queue: &Queue, kept: &KeptEvent) -> Result<bool, Unfinished> {
        let filter = OpenFilter {
            after: kept.seq - 1,
            limit: 1,
            ..OpenFilter::default()
        };
        let mut open = queue.open_deliveries(filter).await?;
        open.retain(|entry| entry.seq == kept.seq);
        let keys: Vec<DeliveryKey> = open.iter().map(key_of).collect();
        let withdrawn = self.events.dispatcher().withdraw(&keys);
        open.retain(|entry| withdrawn.contains(&key_of(entry)));
        let cancellations = open.iter().map(|entry| self.cancellation(entry, kept)).collect();
        if !open.is_empty()
            && let Err(error) = queue.cancel(cancellations, None).await
        {
            // They are still open in the queue.
            let handed = open.into_iter().map(|entry| Handed {
                seq: entry.seq,
                accepted_ms: entry.accepted_ms,
                event: None,
                deliveries: vec![entry.delivery],
            });
            self.events.dispatcher().hand(handed.collect());
            return Err(error.into());
        }
        Ok(withdrawn.len() == keys.len())
    }

    fn cancellation(&self, entry: &OpenEntry, kept: &KeptEvent) -> Cancellation {
        let key = key_of(entry);
        let told = self
            .told(entry, &kept.event.head)
            .filter(|_| self.waits_for_its_time(entry))
            .map(|told| ScheduledDelivery {
                id: key.scheduled_id(&self.gateway_id),
                status: ScheduledStatus::Cancelled,
                updated_at: now_rfc3339(),
                original_event_id: String::new(),
                ..told
            });
        Cancellation {
            id: kept.seq.to_string(),
            settlement: Settlement {
                key,
                next: Next::Settled,
                records: told.map(|told| Record::Scheduled(Box::new(told))).into_iter().collect(),
            },
        }
    }

    fn waits_for_its_time(&self, entry: &OpenEntry) -> bool {
        let live = self.shared.load();
        let subscription = live
            .as_ref()
            .and_then(|live| live.plan.events.subscription(&entry.delivery.subscription));
        subscription.is_some_and(|subscription| !subscription.schedule.is_immediate())
    }

    /// Forgets the dead letters of an event.
    async fn forget(&self, queue: &Queue, kept: &KeptEvent) -> Result<(), Unfinished> {
        let filter = DeadFilter {
            after: Some(DeliveryKey {
                seq: kept.seq - 1,
                number: u16::MAX,
            }),
            limit: PAGE,
            ..DeadFilter::default()
        };
        let dead = queue.dead(filter).await?;
        let ids = dead.into_iter().filter(|entry| entry.key.seq == kept.seq);
        let ids: Vec<String> = ids.map(|entry| entry.letter.id).collect();
        if !ids.is_empty() {
            queue.dead_drop(ids, None).await?;
        }
        Ok(())
    }
}

/// Those of the events that name the person; on a thread of its own, as every word of theirs is hashed.
async fn naming(search: Arc<Search>, events: Vec<KeptEvent>) -> Result<Vec<KeptEvent>, Unfinished> {
    let (found, told) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let names = |kept: &KeptEvent| {
            let head = &kept.event.head;
            let texts = [Some(&head.id), head.subject.as_ref(), head.correlation_id.as_ref()];
            search.is_in_payload(Some(&head.event_type), &kept.event.payload)
                || texts.into_iter().flatten().any(|text| search.is_in_text(text))
                || head.extensions.values().any(|value| search.is_anywhere_in(value))
        };
        let found_ones: Vec<KeptEvent> = events.into_iter().filter(names).collect();
        let _ = found.send(found_ones);
    });
    told.await.map_err(|_| Unfinished::Stopping)
}

fn key_of(entry: &OpenEntry) -> DeliveryKey {
    DeliveryKey {
        seq: entry.seq,
        number: entry.delivery.number,
    }
}

const PAGE: usize = 256;
/// Records go to the control plane within moments; it is there, as it gave the command.
const TOLD_WITHIN: Duration = Duration::from_secs(10);
const MOST_FAILURES: usize = 100;
/// What is in flight gets so long to end.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);
