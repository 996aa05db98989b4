//! Taking events in: read, checked, matched, and on disk before the producer is told so.
//!
//! Nothing here knows of connections; the request flow reads a body and hands it over, whoever sent it.

mod accept;
pub mod answer;
pub mod pressure;
pub mod scheduled;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use filters::event::{EventFault, Incoming, ItemFault};
use filters::plan::events::{EventPlan, Producer};
use http::HeaderMap;
use tokio::sync::watch;
use tracing::error;
use uuid::Uuid;

use self::accept::{Terms, Windows};
use self::answer::{Answer, Item};
use self::pressure::{Overload, Pressure, Room};
use crate::clock;
use crate::config;
use crate::metrics::{EventMetrics, Taken};
use crate::queue::{Accepted, Queue, QueueError};

/// The queue, once it is open.
pub type OpenQueue = watch::Receiver<Option<Queue>>;

/// Takes events in.
pub struct Ingest {
    settings: config::Ingest,
    windows: Windows,
    gateway_id: Arc<str>,
    queue: OpenQueue,
    pressure: Arc<Pressure>,
    metrics: Arc<EventMetrics>,
}

/// Events as a producer hands them over.
pub struct Handed<'r> {
    /// Whose they are.
    pub producer: &'r Producer,
    /// Header of the request.
    pub headers: &'r HeaderMap,
    /// Body of the request.
    pub body: Bytes,
    /// The request's trace.
    pub trace_id: [u8; 16],
    /// What a batch is that does not say so itself: refused as a whole for one bad event, or not.
    pub atomic: bool,
}

/// Why none of the events was taken in.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The gateway takes none now.
    #[error("{}", .0.message())]
    Overloaded(Overload),
    /// They are wrong.
    #[error("{0}")]
    Wrong(Box<EventFault>),
}

impl From<Overload> for Refused {
    fn from(overload: Overload) -> Self {
        Self::Overloaded(overload)
    }
}

impl Ingest {
    /// Takes events in for the queue that `queue` holds once it is open.
    pub fn new(
        config: &config::ProcessConfig,
        queue: OpenQueue,
        pressure: Arc<Pressure>,
        metrics: Arc<EventMetrics>,
    ) -> Self {
        Self {
            settings: config.ingest.clone(),
            windows: Windows::of(config.queue.dedupe),
            gateway_id: config.gateway_id().into(),
            queue,
            pressure,
            metrics,
        }
    }

    /// Limits of a request.
    pub fn settings(&self) -> &config::Ingest {
        &self.settings
    }

    /// Makes room for one request of the organization.
    ///
    /// # Errors
    /// Why there is none.
    pub fn enter(&self, org_id: u64) -> Result<Room, Overload> {
        self.pressure.enter(org_id)
    }

    /// Takes the events of one request in. They are on disk when this returns.
    ///
    /// # Errors
    /// Why none of them was taken in.
    pub async fn take(&self, plan: &EventPlan, handed: Handed<'_>) -> Result<Answer, Refused> {
        let queue = self.queue().await?;
        let now_ms = clock::now_ms();
        let mut trace_id = [0; 32];
        let incoming = Incoming {
            org_id: handed.producer.org_id,
            producer: &handed.producer.name,
            headers: handed.headers,
            body: handed.body,
            trace_id: hex_text(handed.trace_id, &mut trace_id),
            new_id: &mut || Uuid::now_v7().to_string(),
            most_events: self.settings.max_batch,
            atomic: handed.atomic,
        };
        let batch = filters::event::decode(incoming, plan).map_err(|fault| self.wrong(fault))?;
        let terms = Terms {
            producer: handed.producer,
            gateway_id: &self.gateway_id,
            windows: self.windows,
            now_ms,
        };
        let mut arrivals = Vec::with_capacity(batch.items.len());
        let mut results = Vec::with_capacity(batch.items.len());
        for item in batch.items {
            match item {
                Ok(decoded) => {
                    let arrival = accept::arrival(plan, decoded, &terms);
                    results.push(Item::New {
                        id: arrival.event.head.id.clone(),
                        deliveries: arrival.deliveries.len(),
                    });
                    arrivals.push(arrival);
                }
                Err(fault) => results.push(Item::Refused(fault)),
            }
        }
        if arrivals.is_empty()
            && let Some(fault) = all_refused(&mut results)
        {
            return Err(self.wrong(fault));
        }
        let accepted = queue.accept(arrivals).await.map_err(not_kept)?;
        settle(&mut results, accepted);
        self.count(&results);
        Ok(match &*results {
            [only] if !batch.is_list => Answer::single(only),
            _ => Answer::list(&results),
        })
    }

    /// The queue; waited for a while if the process before this one still has it.
    async fn queue(&self) -> Result<Queue, Overload> {
        if let Some(queue) = &*self.queue.borrow() {
            return Ok(queue.clone());
        }
        let mut opened = self.queue.clone();
        match tokio::time::timeout(QUEUE_PATIENCE, opened.wait_for(Option::is_some)).await {
            Ok(Ok(queue)) => queue.clone().ok_or(Overload::QueueNotOpen),
            Ok(Err(_)) | Err(_) => Err(Overload::QueueNotOpen),
        }
    }

    fn wrong(&self, fault: EventFault) -> Refused {
        self.metrics.taken(Taken::Refused, 1);
        Refused::Wrong(Box::new(fault))
    }

    fn count(&self, results: &[Item]) {
        let [mut new, mut repeats, mut refused] = [0; 3];
        for result in results {
            match result {
                Item::New { .. } => new += 1,
                Item::Repeat { .. } => repeats += 1,
                Item::Refused(_) => refused += 1,
            }
        }
        self.metrics.taken(Taken::New, new);
        self.metrics.taken(Taken::Repeat, repeats);
        self.metrics.taken(Taken::Refused, refused);
    }
}

/// Puts what the queue said in the place of what was hoped for.
fn settle(results: &mut [Item], accepted: Vec<Accepted>) {
    let hoped = results.iter_mut().filter(|result| matches!(result, Item::New { .. }));
    for (result, accepted) in hoped.zip(accepted) {
        if let Accepted::Repeat(id) = accepted {
            *result = Item::Repeat { id };
        }
    }
}

/// One fault for a batch in which nothing is right.
fn all_refused(results: &mut Vec<Item>) -> Option<EventFault> {
    let mut faults = results.drain(..).filter_map(|result| match result {
        Item::Refused(ItemFault { fault, .. }) => Some(fault),
        Item::New { .. } | Item::Repeat { .. } => None,
    });
    let mut first = faults.next()?;
    first.problems.extend(faults.flat_map(|fault| fault.problems));
    Some(first)
}

fn not_kept(error: QueueError) -> Overload {
    match error {
        QueueError::Closed => Overload::Draining,
        QueueError::Busy => Overload::InFlight,
        QueueError::Full => Overload::DiskSpace,
        error => {
            error!(%error, "the queue did not take events");
            Overload::QueueFailed
        }
    }
}

fn hex_text(bytes: [u8; 16], text: &mut [u8; 32]) -> &str {
    hex::encode_to_slice(bytes, text).expect("16 bytes have 32 digits");
    std::str::from_utf8(text).expect("digits are ASCII")
}

/// How long a request waits for the queue of the process before this one.
const QUEUE_PATIENCE: Duration = Duration::from_secs(2);
