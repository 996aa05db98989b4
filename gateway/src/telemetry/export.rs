//! Hands spans over to the collector, batch by batch.

use std::time::Duration;

use bytes::Bytes;
use egress::Timeouts;
use filters::address::EgressPolicy;
use filters::target::TargetUrl;
use http::{Request, header};
use http_body_util::Full;
use prometheus::IntCounter;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Span;
use super::otlp::{self, Service};
use crate::destination::Destination;
use crate::live::Deps;

/// The way to the collector.
pub(super) struct Exporter {
    collector: Destination,
    service: Service,
    dropped: IntCounter,
    /// True while the collector takes what it is sent.
    works: bool,
}

/// Why a batch was not taken.
enum NotTaken {
    /// Another attempt may help.
    Now(String),
    /// It would come to the same.
    Ever(String),
}

impl Exporter {
    pub(super) fn new(
        url: &TargetUrl,
        policy: &EgressPolicy,
        deps: &Deps,
        service: Service,
        dropped: IntCounter,
    ) -> Self {
        Self {
            collector: Destination::new(url, policy, deps),
            service,
            dropped,
            works: true,
        }
    }

    /// Sends what comes until `stop`, and then what is left, once.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Span>, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let is_over = tokio::select! {
                biased;
                () = stop.cancelled() => true,
                got = queue.recv_many(&mut batch, BATCH) => got == 0,
            };
            if is_over {
                break;
            }
            // Few spans at a time are gathered for a moment.
            let gathering = async {
                while batch.len() < BATCH {
                    let Some(span) = queue.recv().await else { break };
                    batch.push(span);
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                _ = tokio::time::timeout(GATHER, gathering) => {}
            }
            self.hand_over(&batch, &stop).await;
            batch.clear();
        }
        queue.close();
        while let Ok(span) = queue.try_recv() {
            batch.push(span);
        }
        for batch in batch.chunks(BATCH) {
            self.hand_over(batch, &stop).await;
        }
    }

    /// Tries until the batch is taken, or it is no use.
    async fn hand_over(&mut self, spans: &[Span], stop: &CancellationToken) {
        if spans.is_empty() {
            return;
        }
        let body = Bytes::from(otlp::body(&self.service, spans).to_string());
        let mut pauses = PAUSES.iter();
        let why = loop {
            match self.send(body.clone()).await {
                Ok(()) => {
                    if !self.works {
                        tracing::info!("the collector takes spans again");
                    }
                    self.works = true;
                    return;
                }
                Err(NotTaken::Ever(why)) => break why,
                Err(NotTaken::Now(why)) => match pauses.next() {
                    Some(pause) if !stop.is_cancelled() => tokio::time::sleep(*pause).await,
                    _ => break why,
                },
            }
        };
        self.dropped.inc_by(spans.len() as u64);
        if self.works {
            tracing::warn!(%why, "the collector does not take spans; they are dropped until it does");
        }
        self.works = false;
    }

    async fn send(&self, body: Bytes) -> Result<(), NotTaken> {
        let request = Request::post(self.collector.path_and_query())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| NotTaken::Ever(error.to_string()))?;
        let answer = self.collector.pool().send_repeatable(request, TIMEOUTS).await;
        let answer = answer.map_err(|error| NotTaken::Now(error.to_string()))?;
        let status = answer.status;
        // What it says does not matter; the connection is used again.
        let _ = answer.collect(MOST_ANSWER).await;
        match status.as_u16() {
            200..=299 => Ok(()),
            429 | 502..=504 => Err(NotTaken::Now(format!("it answered {status}"))),
            _ => Err(NotTaken::Ever(format!("it answered {status}"))),
        }
    }
}

/// Spans in one request, and how long they are gathered.
const BATCH: usize = 512;
const GATHER: Duration = Duration::from_secs(1);
/// Waits between attempts.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];
const MOST_ANSWER: usize = 64 * 1024;
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(2),
    first_byte: Duration::from_secs(5),
    total: Duration::from_secs(5),
};
