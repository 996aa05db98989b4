//! What Prometheus scrapes: few series however many integrations there are, and handles that are bound before a
//! request needs them.

mod cache;
mod events;
mod integration;
mod labels;

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

pub use self::cache::CacheMetrics;
pub use self::events::{Depth, EventMetrics};
pub use self::integration::IntegrationMetrics;
use self::integration::Integrations;
pub use self::labels::{
    Attempted, CacheResult, Failure, IdentityCall, LetterOutcome, Outcome, Pause, Refusal, Retried, StatusClass, Taken,
    TokenOutcome, UpstreamPart,
};
use crate::live::tally::Tally;
use crate::queue::QueueMetrics;

/// All metrics of one gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// What came of requests, for the control plane.
    pub tally: Tally,
    integrations: Arc<Integrations>,
    requests: [IntCounter; Outcome::ALL.len()],
    refused: [IntCounter; Refusal::ALL.len()],
    retries: [IntCounter; Retried::ALL.len()],
    upstream_seconds: Histogram,
    token_calls: [IntCounter; TokenOutcome::ALL.len()],
    identity_calls: [IntCounter; IdentityCall::ALL.len()],
    letters: [IntCounter; LetterOutcome::ALL.len()],
    /// Client connections that are open.
    pub connections: IntGauge,
    /// Requests that were received and not answered to the end yet.
    pub in_flight: IntGauge,
    /// Version of the configuration that is live; 0 before the first.
    pub config_version: IntGauge,
    /// Configurations that were swapped in.
    pub config_swaps: IntCounter,
    /// Configurations that were refused.
    pub config_rejected: IntCounter,
    /// Time from a configuration's arrival to its swap, in seconds.
    pub config_swap_seconds: Histogram,
    /// Access log lines that were lost.
    pub access_log_dropped: IntCounter,
    /// Repeats that got the answer of the first request with their idempotency key.
    pub idempotency_replays: IntCounter,
    /// Failures to open or write the access log.
    pub access_log_errors: IntCounter,
    /// Records of calls that the control plane does not have yet.
    pub records_waiting: IntGauge,
    /// Records of calls that were lost, as there was no room for them.
    pub records_dropped: IntCounter,
    /// Calls that were not counted for the control plane, as there was no room for their integration.
    pub tallies_dropped: IntCounter,
    /// Spans that were lost.
    pub spans_dropped: IntCounter,
    /// The answer cache.
    pub cache: CacheMetrics,
    /// The event flow.
    pub events: Arc<EventMetrics>,
    /// The queue.
    pub queue: QueueMetrics,
}

impl Metrics {
    /// Makes and registers everything. The first `own_series` integrations get series of their own (beside those that
    /// ask for them), the rest share the label `other`.
    ///
    /// # Errors
    /// If a metric is described wrongly or twice, which no input can cause.
    #[expect(clippy::too_many_lines, reason = "one entry for each metric")]
    pub fn new(own_series: usize) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let build = Opts::new("gateway_build_info", "Always 1; the version is in the label.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        registered(&registry, IntGauge::with_opts(build)?)?.set(1);
        let requests = Opts::new("gateway_requests_total", "Requests by how they ended.");
        let refused = Opts::new(
            "gateway_refused_total",
            "Requests that the gateway refused itself, by reason.",
        );
        let retries = Opts::new(
            "gateway_retries_total",
            "Attempts that failed in a way that another may mend, by what was decided then.",
        );
        let tokens = Opts::new(
            "gateway_token_calls_total",
            "Requests to token endpoints, by what came of them.",
        );
        let identity = Opts::new(
            "gateway_identity_calls_total",
            "Calls of issuers of tokens that clients show.",
        );
        let letters = Opts::new(
            "gateway_call_dead_letters_total",
            "Calls that were to become dead letters, by what became of them; all but kept and repeated are lost.",
        );
        let counter = |name, help| registered(&registry, IntCounter::new(name, help)?);
        let gauge = |name, help| registered(&registry, IntGauge::new(name, help)?);
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            registered(
                &registry,
                Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?,
            )
        };
        Ok(Self {
            integrations: Integrations::new(&registry, own_series)?,
            requests: by_label(&registry, requests, "outcome", Outcome::ALL.map(Outcome::label))?,
            refused: by_label(&registry, refused, "reason", Refusal::ALL.map(Refusal::label))?,
            retries: by_label(&registry, retries, "decision", Retried::ALL.map(Retried::label))?,
            identity_calls: by_label(&registry, identity, "call", IdentityCall::ALL.map(IdentityCall::label))?,
            letters: by_label(
                &registry,
                letters,
                "outcome",
                LetterOutcome::ALL.map(LetterOutcome::label),
            )?,
            token_calls: by_label(&registry, tokens, "outcome", TokenOutcome::ALL.map(TokenOutcome::label))?,
            upstream_seconds: histogram(
                "gateway_upstream_seconds",
                "Time that partners took to answer.",
                UPSTREAM_SECONDS,
            )?,
            connections: gauge("gateway_connections", "Open client connections.")?,
            in_flight: gauge(
                "gateway_in_flight",
                "Requests received and not answered to the end yet.",
            )?,
            config_version: gauge("gateway_config_version", "Version of the live configuration.")?,
            config_swaps: counter("gateway_config_swaps_total", "Configurations swapped in.")?,
            config_rejected: counter("gateway_config_rejected_total", "Configurations refused.")?,
            config_swap_seconds: histogram(
                "gateway_config_swap_seconds",
                "Time from a configuration's arrival to its swap.",
                SWAP_SECONDS,
            )?,
            idempotency_replays: counter(
                "gateway_idempotency_replays_total",
                "Repeats answered with what the first request of their key got.",
            )?,
            access_log_dropped: counter("gateway_access_log_dropped_total", "Access log lines lost.")?,
            access_log_errors: counter(
                "gateway_access_log_errors_total",
                "Failures to open or write the access log.",
            )?,
            records_waiting: gauge(
                "gateway_records_waiting",
                "Records of calls on their way to the control plane.",
            )?,
            records_dropped: counter("gateway_records_dropped_total", "Records of calls lost.")?,
            tallies_dropped: counter("gateway_call_counts_dropped_total", "Calls missing in the analytics.")?,
            spans_dropped: counter("gateway_spans_dropped_total", "Spans of calls lost.")?,
            cache: CacheMetrics::new(&registry)?,
            events: Arc::new(EventMetrics::new(&registry, own_series)?),
            queue: QueueMetrics::new(&registry)?,
            tally: Tally::default(),
            registry,
        })
    }

    /// The handles of the integration `id`; call it when a configuration is built and keep them for the requests.
    ///
    /// As long as anyone keeps them, the same `id` gets the same handles again. When nobody does any more, its series
    /// end and their place goes to another integration. `detailed` gives it series of its own in any case.
    pub fn integration(&self, id: &str, detailed: bool) -> Arc<IntegrationMetrics> {
        self.integrations.bind(id, detailed)
    }

    /// Counts a request that is over.
    pub fn finished(&self, outcome: Outcome) {
        self.requests[outcome as usize].inc();
    }

    /// Requests that are over, however they ended.
    pub fn requests_finished(&self) -> u64 {
        self.requests.iter().map(IntCounter::get).sum()
    }

    /// Counts a request (or connection) that the gateway refused itself.
    pub fn refused(&self, reason: Refusal) {
        self.refused[reason as usize].inc();
    }

    /// Counts what was decided after an attempt failed.
    pub fn retried(&self, decision: Retried) {
        self.retries[decision as usize].inc();
    }

    /// Counts a call of an issuer of tokens that clients show.
    pub fn identity_called(&self, call: IdentityCall) {
        self.identity_calls[call as usize].inc();
    }

    /// Counts a call that was to become a dead letter.
    pub fn letter(&self, outcome: LetterOutcome) {
        self.letters[outcome as usize].inc();
    }

    /// Calls that were to become dead letters, and are lost.
    pub fn letters_lost(&self) -> u64 {
        let lost = LetterOutcome::ALL.into_iter().filter(|outcome| outcome.is_lost());
        lost.map(|outcome| self.letters[outcome as usize].get()).sum()
    }

    /// Counts a request to a token endpoint.
    pub fn token_called(&self, outcome: TokenOutcome) {
        self.token_calls[outcome as usize].inc();
    }

    /// Notes the time from calling a partner to the end of its answer's head.
    pub fn upstream_answered(&self, after: Duration) {
        self.upstream_seconds.observe(after.as_secs_f64());
    }

    /// Everything in the text format of Prometheus (version 0.0.4).
    pub fn render(&self) -> String {
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics are incomplete");
        }
        text
    }
}

/// One in a gauge for as long as it lives.
#[derive(Debug)]
pub struct Held(IntGauge);

impl Held {
    /// Adds one to `gauge` until the value is dropped.
    pub fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Counters of one family for a closed set of values, in their order.
fn by_label<const N: usize>(
    registry: &Registry,
    opts: Opts,
    label: &str,
    values: [&str; N],
) -> Result<[IntCounter; N], prometheus::Error> {
    let family = registered(registry, IntCounterVec::new(opts, &[label])?)?;
    Ok(values.map(|value| family.with_label_values(&[value])))
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

const UPSTREAM_SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const SWAP_SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

#[cfg(test)]
mod tests;
