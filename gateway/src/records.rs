//! Records of calls on their way to the control plane: a bounded queue in memory, shipped in batches.
//!
//! A request only appends its record. The push stream takes a batch at a time and sends it until the control plane has
//! it on disk. Nothing of it is on this machine's disk: what a killed gateway still held is lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use filters::model::ExecutionRecord;
use filters::model::push::FromGateway;
use parking_lot::Mutex;
use prometheus::{IntCounter, IntGauge};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use uuid::Uuid;

use crate::metrics::Metrics;
use crate::tallies::Tallies;

/// The records that the control plane does not have yet.
#[derive(Debug)]
pub struct Records {
    gateway_id: Arc<str>,
    tallies: Tallies,
    queue: Mutex<Queue>,
    full: Notify,
    dropped: IntCounter,
    waiting: IntGauge,
}

#[derive(Debug, Default)]
struct Queue {
    records: VecDeque<ExecutionRecord>,
    /// Of the records, and of those in the batch on its way.
    bytes: usize,
    batch: Option<Batch>,
}

/// Records that are sent until they are acknowledged.
#[derive(Clone, Debug)]
struct Batch {
    name: String,
    /// The whole message.
    text: Utf8Bytes,
    records: usize,
    bytes: usize,
}

impl Records {
    /// An empty queue of the gateway `gateway_id`.
    pub fn new(gateway_id: &str, metrics: &Metrics) -> Self {
        Self {
            gateway_id: gateway_id.into(),
            tallies: Tallies::new(metrics),
            queue: Mutex::default(),
            full: Notify::new(),
            dropped: metrics.records_dropped.clone(),
            waiting: metrics.records_waiting.clone(),
        }
    }

    /// Name of this gateway, for its records.
    pub fn gateway_id(&self) -> &Arc<str> {
        &self.gateway_id
    }

    /// Counts of the calls, which go with the records.
    pub fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// Appends a record, or counts it as dropped if there is no room.
    pub fn put(&self, record: ExecutionRecord) {
        let bytes = bytes_of(&record);
        let mut queue = self.queue.lock();
        if queue.len() >= MOST_RECORDS || queue.bytes + bytes > MOST_BYTES {
            drop(queue);
            self.dropped.inc();
            return;
        }
        queue.bytes += bytes;
        queue.records.push_back(record);
        self.waiting.inc();
        let is_full = queue.records.len() == BATCH_RECORDS;
        drop(queue);
        if is_full {
            self.full.notify_one();
        }
    }

    /// Returns when there is a batch full of records. Safe to drop while it waits.
    pub(crate) async fn filled(&self) {
        self.full.notified().await;
    }

    /// True if a batch could be filled.
    pub(crate) fn fill_a_batch(&self) -> bool {
        self.queue.lock().records.len() >= BATCH_RECORDS
    }

    /// The message with the next batch, which stays the same until [`Self::acknowledged`]; `None` if there is nothing.
    ///
    /// # Errors
    /// If it cannot be written as JSON; its records are dropped then.
    pub(crate) fn batch(&self) -> Result<Option<Utf8Bytes>, serde_json::Error> {
        let (records, bytes) = {
            let mut queue = self.queue.lock();
            if let Some(batch) = &queue.batch {
                return Ok(Some(batch.text.clone()));
            }
            queue.take()
        };
        let tallies = self.tallies.take(Instant::now());
        if records.is_empty() && tallies.is_empty() {
            return Ok(None);
        }
        // Written without the lock, as requests wait for it.
        let name = Uuid::now_v7().to_string();
        let count = records.len();
        let text = serde_json::to_string(&FromGateway::Records {
            batch: name.clone(),
            dropped: self.dropped.get(),
            records,
            tallies,
        });
        let mut queue = self.queue.lock();
        match text {
            Ok(text) => {
                let text = Utf8Bytes::from(text);
                queue.batch = Some(Batch {
                    name,
                    text: text.clone(),
                    records: count,
                    bytes,
                });
                Ok(Some(text))
            }
            Err(error) => {
                queue.bytes -= bytes;
                self.forget(count);
                self.dropped.inc_by(count as u64);
                Err(error)
            }
        }
    }

    /// The control plane has the batch of this name. False if it is not the one on its way.
    pub(crate) fn acknowledged(&self, name: &str) -> bool {
        let mut queue = self.queue.lock();
        let Some(batch) = queue.batch.take_if(|batch| batch.name == name) else {
            return false;
        };
        queue.bytes -= batch.bytes;
        self.forget(batch.records);
        true
    }

    fn forget(&self, records: usize) {
        self.waiting.sub(i64::try_from(records).unwrap_or(i64::MAX));
    }
}

impl Queue {
    /// Records here and on their way.
    fn len(&self) -> usize {
        self.records.len() + self.batch.as_ref().map_or(0, |batch| batch.records)
    }

    /// Takes out the records of a batch, with their size.
    fn take(&mut self) -> (Vec<ExecutionRecord>, usize) {
        let mut bytes = 0;
        let mut fitting = 0;
        for record in self.records.iter().take(BATCH_RECORDS) {
            let with_this = bytes + bytes_of(record);
            if with_this > BATCH_BYTES && fitting > 0 {
                break;
            }
            bytes = with_this;
            fitting += 1;
        }
        (self.records.drain(..fitting).collect(), bytes)
    }
}

/// `at` as records have it: RFC 3339 in UTC with milliseconds.
pub fn moment(at: SystemTime) -> String {
    let at = jiff::Timestamp::try_from(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}

/// What a record takes, in memory and about as much on the wire.
fn bytes_of(record: &ExecutionRecord) -> usize {
    OVERHEAD_BYTES + record.text_bytes()
}

const MOST_RECORDS: usize = 10_000;
const MOST_BYTES: usize = 8 * 1024 * 1024;
const BATCH_RECORDS: usize = 500;
/// JSON makes at most six bytes of one, and the control plane takes messages of up to 1 MiB.
const BATCH_BYTES: usize = 160 * 1024;
/// Numbers and names of fields.
const OVERHEAD_BYTES: usize = 640;

#[cfg(test)]
mod tests;
