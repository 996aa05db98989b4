//! Spans of calls, sent to a collector by OTLP over HTTP, in its JSON form.
//!
//! A request only appends its span to a bounded queue. What finds no room, or is not taken by the collector after some
//! attempts, is dropped and counted: traces never hold up traffic.

mod export;
mod otlp;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use filters::address::EgressPolicy;
use filters::target::{InvalidTarget, TargetUrl};
use prometheus::IntCounter;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::ProcessConfig;
use crate::live::Deps;
use crate::trace::TraceContext;

/// Decides which traces are recorded, and takes their spans.
#[derive(Debug)]
pub struct Tracer {
    /// Traces whose number is below this are recorded.
    below: u64,
    spans: mpsc::Sender<Span>,
    dropped: IntCounter,
}

/// What is told of a call. None of it is a secret: no query, no header, no body.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its place in its trace.
    pub context: TraceContext,
    /// Method and route, as `GET labs`.
    pub name: String,
    /// When the call came.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// The call of the partner, if there was one.
    pub partner: Option<PartnerSpan>,
    /// True if the gateway or the partner failed.
    pub failed: bool,
    /// What is known besides, by the names of the OpenTelemetry conventions where these have one.
    pub attributes: Vec<(&'static str, Value)>,
}

/// The call of the partner within a call.
#[derive(Clone, Debug, PartialEq)]
pub struct PartnerSpan {
    /// After the beginning of the call.
    pub after: Duration,
    /// Until the partner's answer began.
    pub took: Duration,
    /// What is known besides.
    pub attributes: Vec<(&'static str, Value)>,
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl Tracer {
    /// Begins to send spans, if the settings say where to; `None` otherwise.
    ///
    /// # Errors
    /// If that is no address.
    pub fn start(
        config: &ProcessConfig,
        deps: &Deps,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Result<Option<Arc<Self>>, InvalidTarget> {
        let Some(address) = &config.traces.otlp else {
            return Ok(None);
        };
        let url = TargetUrl::parse(address)?;
        let dropped = deps.metrics.spans_dropped.clone();
        let (spans, queue) = mpsc::channel(MOST_WAITING);
        let exporter = export::Exporter::new(&url, &collector_policy(), deps, service(config), dropped.clone());
        tasks.spawn(exporter.run(queue, stop.clone()));
        Ok(Some(Arc::new(Self {
            below: share(config.traces.sample_ratio),
            spans,
            dropped,
        })))
    }

    /// True if a trace that begins here is recorded.
    pub fn takes(&self, trace_id: [u8; 16]) -> bool {
        let [.., a, b, c, d, e, f, g, h] = trace_id;
        // The random part of an identifier, so that all who sample by it choose the same traces.
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) < self.below || self.below == u64::MAX
    }

    /// Appends a span, or counts it as dropped if there is no room.
    pub fn finished(&self, span: Span) {
        if self.spans.try_send(span).is_err() {
            self.dropped.inc();
        }
    }
}

fn service(config: &ProcessConfig) -> otlp::Service {
    otlp::Service {
        name: config.traces.service_name.clone(),
        instance: config.gateway_id(),
    }
}

/// The collector is named by whoever runs the gateway, not by an operator of integrations: it may be anywhere.
fn collector_policy() -> EgressPolicy {
    EgressPolicy {
        block_private_networks: false,
        allowed_networks: Vec::new(),
    }
}

/// The part of all numbers that `ratio` is.
fn share(ratio: f64) -> u64 {
    // Out of range numbers are brought to the nearest one.
    (ratio * u64::MAX as f64) as u64
}

/// Spans that wait for the collector.
const MOST_WAITING: usize = 4_096;

#[cfg(test)]
mod tests;
