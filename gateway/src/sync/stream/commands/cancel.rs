//! Calling scheduled deliveries off.

use filters::model::command::{CommandFailure, CommandResult};
use filters::model::delivery::{ScheduledDelivery, ScheduledStatus};

use super::{Operator, Unfinished};
use crate::clock::now_rfc3339;
use crate::ingest::scheduled;
use crate::queue::{Cancellation, DeliveryKey, Handed, Next, OpenEntry, OpenFilter, Queue, Record, Settlement};

impl Operator {
    /// Calls off those of `ids` that wait for their time.
    pub(super) async fn cancel(
        &self,
        queue: &Queue,
        ids: &[String],
        command: &str,
    ) -> Result<CommandResult, Unfinished> {
        let mut failed = Vec::new();
        let mut withdrawn = Vec::new();
        let mut cancellations = Vec::new();
        for id in ids {
            match self.withdraw(queue, id).await? {
                Ok((entry, cancellation)) => {
                    withdrawn.push(entry);
                    cancellations.push(cancellation);
                }
                Err(why) => failed.push(CommandFailure {
                    id: id.clone(),
                    error: why.to_owned(),
                }),
            }
        }
        let result = if failed.is_empty() {
            queue.cancel(cancellations, Some(command.to_owned())).await
        } else {
            self.cancel_some(queue, cancellations, failed, command).await
        };
        if result.is_err() {
            // They are still open in the queue.
            self.events
                .dispatcher()
                .hand(withdrawn.into_iter().map(handed).collect());
        }
        Ok(result?)
    }

    /// The same where some of them are not there; the result is remembered afterwards.
    async fn cancel_some(
        &self,
        queue: &Queue,
        cancellations: Vec<Cancellation>,
        mut failed: Vec<CommandFailure>,
        command: &str,
    ) -> Result<CommandResult, crate::queue::QueueError> {
        let mut result = queue.cancel(cancellations, None).await?;
        result.failed.append(&mut failed);
        queue.command_finish(command.to_owned(), result, Vec::new()).await
    }

    /// Takes a delivery from the dispatcher; the reason if there is nothing to take.
    async fn withdraw(
        &self,
        queue: &Queue,
        id: &str,
    ) -> Result<Result<(OpenEntry, Cancellation), &'static str>, Unfinished> {
        let Some(key) = DeliveryKey::of_scheduled(id, &self.gateway_id) else {
            return Ok(Err("no delivery of this gateway is named so"));
        };
        let filter = OpenFilter {
            after: key.seq - 1,
            limit: 1,
            ..OpenFilter::default()
        };
        let found = queue.open_deliveries(filter).await?;
        let found = found
            .into_iter()
            .find(|entry| entry.seq == key.seq && entry.delivery.number == key.number);
        let Some(entry) = found else {
            return Ok(Err("it does not wait any more"));
        };
        let Some(event) = queue.event(key.seq).await? else {
            return Ok(Err("its event is gone"));
        };
        if self.events.dispatcher().withdraw(&[key]).is_empty() {
            return Ok(Err("it is being delivered right now"));
        }
        let told = self.told(&entry, &event.head).map(|told| ScheduledDelivery {
            id: id.to_owned(),
            status: ScheduledStatus::Cancelled,
            updated_at: now_rfc3339(),
            ..told
        });
        let cancellation = Cancellation {
            id: id.to_owned(),
            settlement: Settlement {
                key,
                next: Next::Settled,
                records: told.map(|told| Record::Scheduled(Box::new(told))).into_iter().collect(),
            },
        };
        Ok(Ok((entry, cancellation)))
    }

    pub(super) fn told(&self, entry: &OpenEntry, event: &filters::model::EventHead) -> Option<ScheduledDelivery> {
        let live = self.shared.load()?;
        let subscription = live.plan.events.subscription(&entry.delivery.subscription)?;
        let state = &entry.delivery.state;
        Some(scheduled::told(
            subscription,
            event,
            state,
            entry.accepted_ms,
            &self.gateway_id,
        ))
    }
}

fn handed(entry: OpenEntry) -> Handed {
    Handed {
        seq: entry.seq,
        accepted_ms: entry.accepted_ms,
        event: None,
        deliveries: vec![entry.delivery],
    }
}
