//! What this process counts, for Prometheus.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use crate::publish::Mode;

/// All metrics. Their labels have a fixed, small set of values.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: Histogram,
    publish_seconds: Histogram,
    publishes: IntCounterVec,
    version: IntGauge,
    gateways: IntGauge,
    pushes: IntCounter,
    acks: IntCounter,
    nacks: IntCounter,
}

impl Metrics {
    /// A set of its own.
    ///
    /// # Errors
    /// Never with the names below; a duplicate or malformed one would be reported.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let by_route = Opts::new(
            "control_plane_requests_total",
            "API requests by route template and status class.",
        );
        let published = Opts::new(
            "control_plane_publishes_total",
            "Changes by whether they were made, tried or refused.",
        );
        Ok(Self {
            requests: registered(&registry, IntCounterVec::new(by_route, &["method", "route", "status"])?)?,
            request_seconds: registered(
                &registry,
                Histogram::with_opts(
                    HistogramOpts::new("control_plane_request_seconds", "Time of API requests.").buckets(seconds()),
                )?,
            )?,
            publish_seconds: registered(
                &registry,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "control_plane_publish_seconds",
                        "Time from a change's turn in the queue to its hand-over to the push streams.",
                    )
                    .buckets(seconds()),
                )?,
            )?,
            publishes: registered(&registry, IntCounterVec::new(published, &["result"])?)?,
            version: registered(
                &registry,
                IntGauge::new("control_plane_version", "The newest version.")?,
            )?,
            gateways: registered(
                &registry,
                IntGauge::new("control_plane_gateways_connected", "Gateways on the push stream.")?,
            )?,
            pushes: registered(
                &registry,
                IntCounter::new(
                    "control_plane_pushes_total",
                    "Messages with configuration sent to gateways.",
                )?,
            )?,
            acks: registered(
                &registry,
                IntCounter::new("control_plane_acks_total", "Versions that gateways took.")?,
            )?,
            nacks: registered(
                &registry,
                IntCounter::new("control_plane_nacks_total", "Versions that gateways refused.")?,
            )?,
            registry,
        })
    }

    /// Adds a metric of another part.
    pub(crate) fn add<T: Collector + Clone + 'static>(&self, metric: T) -> Result<T, prometheus::Error> {
        registered(&self.registry, metric)
    }

    pub(crate) fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let class = match status {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.requests.with_label_values(&[method, route, class]).inc();
        self.request_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn publish(&self, mode: Mode, succeeded: bool, took: Duration) {
        let result = match (mode, succeeded) {
            (Mode::Commit, true) => "made",
            (Mode::DryRun, true) => "tried",
            (_, false) => "refused",
        };
        self.publishes.with_label_values(&[result]).inc();
        if mode == Mode::Commit && succeeded {
            self.publish_seconds.observe(took.as_secs_f64());
        }
    }

    pub(crate) fn version(&self, number: u64) {
        self.version.set(i64::try_from(number).unwrap_or(i64::MAX));
    }

    pub(crate) fn gateway_connected(&self) {
        self.gateways.inc();
    }

    pub(crate) fn gateway_gone(&self) {
        self.gateways.dec();
    }

    pub(crate) fn pushed(&self) {
        self.pushes.inc();
    }

    pub(crate) fn acked(&self) {
        self.acks.inc();
    }

    pub(crate) fn nacked(&self) {
        self.nacks.inc();
    }

    /// Everything in the text format.
    ///
    /// # Errors
    /// If the collected values cannot be written.
    pub fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

fn registered<T: Collector + Clone + 'static>(registry: &Registry, metric: T) -> Result<T, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn seconds() -> Vec<f64> {
    vec![
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ]
}
