//! A queue in a folder of its own, and what is put into it.

mod accepting;
mod calls;
mod dead_letters;
mod erasing;
mod keeping;
mod offline;
mod settling;
mod starting;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use filters::event::Event;
use filters::model::EventHead;
use filters::model::delivery::{DeliveryRecord, TriggerType};
use prometheus::Registry;
use tempfile::TempDir;
use uuid::Uuid;

use super::{
    Accepted, Arrival, Dedupe, DeliveryKey, DeliveryState, Handed, Next, OpenDelivery, Queue, QueueMetrics,
    QueueSettings, Seq, Settlement, Step,
};

/// A queue, and what it hands over.
struct Opened {
    queue: Queue,
    handed: Receiver<Vec<Handed>>,
}

impl Opened {
    fn new(dir: &Path) -> Self {
        Self::with(dir, settings())
    }

    fn with(dir: &Path, settings: QueueSettings) -> Self {
        let (sender, handed) = channel();
        let hand_off = Box::new(move |batch| drop(sender.send(batch)));
        Self {
            queue: Queue::open(dir, settings, hand_off).unwrap(),
            handed,
        }
    }

    /// The next `count` deliveries that are handed over, with their events' places.
    fn handed(&self, count: usize) -> Vec<(Seq, OpenDelivery)> {
        let mut found = Vec::new();
        while found.len() < count {
            let batch = self
                .handed
                .recv_timeout(PATIENCE)
                .expect("too few deliveries were handed over");
            for handed in batch {
                found.extend(handed.deliveries.into_iter().map(|delivery| (handed.seq, delivery)));
            }
        }
        assert_eq!(found.len(), count, "too many deliveries were handed over");
        found
    }

    /// Keeps one event with one delivery to `subscription`, which is handed over.
    async fn one(&self, id: &str, subscription: &str) -> (DeliveryKey, OpenDelivery) {
        let seq = self.accept(arrival(id, &[subscription])).await;
        let (_, delivery) = self.handed(1).remove(0);
        (DeliveryKey { seq, number: 0 }, delivery)
    }

    async fn accept(&self, arrival: Arrival) -> Seq {
        match self.queue.accept(vec![arrival]).await.unwrap().remove(0) {
            Accepted::New(seq) => seq,
            Accepted::Repeat(id) => panic!("{id} is a repeat"),
        }
    }

    async fn settle(&self, key: DeliveryKey, next: Next, records: Vec<DeliveryRecord>) {
        self.queue.settle(settlement(key, next, records)).await.unwrap();
    }

    /// Waits until `done` holds.
    async fn until(&self, mut done: impl FnMut(&Queue) -> bool) {
        let started = Instant::now();
        while !done(&self.queue) {
            assert!(
                started.elapsed() < PATIENCE,
                "it never came to that: {:?}",
                self.queue.stats()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn settings() -> QueueSettings {
    QueueSettings::new(QueueMetrics::new(&Registry::new()).unwrap())
}

fn arrival(id: &str, subscriptions: &[&str]) -> Arrival {
    let mut key = [0; 16];
    for (place, byte) in key.iter_mut().zip(id.bytes()) {
        *place = byte;
    }
    let head = EventHead {
        org_id: 7,
        id: id.to_owned(),
        source: "billing".to_owned(),
        event_type: "bill.generated".to_owned(),
        action_id: None,
        entity_rid: None,
        subject: None,
        time: None,
        data_content_type: None,
        correlation_id: None,
        trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned(),
        status_callback: None,
        extensions: Default::default(),
    };
    Arrival {
        event: Arc::new(Event {
            head,
            payload: Bytes::from(format!(r#"{{"bill":"{id}"}}"#)),
        }),
        producer: "erp".into(),
        scheduled: Vec::new(),
        dedupe: Dedupe {
            key,
            window_ms: 86_400_000,
        },
        deliveries: subscriptions
            .iter()
            .zip(0..)
            .map(|(subscription, number)| OpenDelivery {
                number,
                subscription: (*subscription).into(),
                state: state(),
            })
            .collect(),
        skipped: Vec::new(),
    }
}

fn state() -> DeliveryState {
    DeliveryState {
        id: Uuid::now_v7(),
        trigger: TriggerType::Event,
        due_ms: 1_700_000_000_000,
        attempts: 0,
        order_key: Some(42),
        step: Step::Forward(0),
        answers: None,
        occurrences: 0,
        dead_retries: None,
        payload: None,
    }
}

fn settlement(key: DeliveryKey, next: Next, records: Vec<DeliveryRecord>) -> Arc<Settlement> {
    Arc::new(Settlement { key, next, records })
}

/// A record that tells nothing but its name.
fn record(name: &str) -> DeliveryRecord {
    DeliveryRecord::DeadLetterGone(name.to_owned())
}

/// Copies the queue's files as they are, which is what a crash leaves.
fn copied(from: &Path) -> TempDir {
    let copy = folder();
    for file in ["queue.db", "queue.db-wal"] {
        std::fs::copy(from.join(file), copy.path().join(file)).unwrap();
    }
    copy
}

const PATIENCE: Duration = Duration::from_secs(30);
