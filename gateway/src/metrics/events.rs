//! Metrics of the event flow, beside those that the queue keeps itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::{GaugeVec, IntCounter, IntGauge, IntGaugeVec, Opts, Registry};

use super::integration::circuit_open;
use super::labels::{Attempted, Pause, Taken};
use super::{by_label, registered};

/// Metrics of the event flow.
#[derive(Debug)]
pub struct EventMetrics {
    taken: [IntCounter; Taken::ALL.len()],
    attempted: [IntCounter; Attempted::ALL.len()],
    paused: [IntGauge; Pause::ALL.len()],
    depths: Depths,
    own_series: usize,
    /// One look at a time: a scrape must not see the half of another's.
    shown: Mutex<()>,
}

/// What waits for one subscription.
#[derive(Clone, Debug)]
pub struct Depth {
    /// The subscription.
    pub subscription: Arc<str>,
    /// Its organization.
    pub org_id: u64,
    /// Open deliveries.
    pub open: u64,
    /// Seconds since the oldest of their events was accepted.
    pub oldest_seconds: f64,
    /// Dead letters.
    pub dead: u64,
    /// True while its endpoint is left alone as it fails.
    pub circuit_open: bool,
}

#[derive(Debug)]
struct Depths {
    organization_open: IntGaugeVec,
    organization_oldest: GaugeVec,
    lag: IntGaugeVec,
    dead: IntGaugeVec,
    circuit_open: IntGaugeVec,
}

impl EventMetrics {
    pub(super) fn new(registry: &Registry, own_series: usize) -> Result<Self, prometheus::Error> {
        let taken = Opts::new(
            "gateway_ingest_events_total",
            "Events handed over, by what became of them.",
        );
        let attempted = Opts::new(
            "gateway_delivery_attempts_total",
            "Attempts at deliveries, by what came of them.",
        );
        let paused = Opts::new(
            "gateway_ingest_paused",
            "1 while no events are taken in for this reason.",
        );
        let numbers = |name, help, label| registered(registry, IntGaugeVec::new(Opts::new(name, help), &[label])?);
        let oldest = Opts::new(
            "gateway_queue_organization_oldest_seconds",
            "Age of the oldest event with an open delivery.",
        );
        Ok(Self {
            taken: by_label(registry, taken, "outcome", Taken::ALL.map(Taken::label))?,
            attempted: by_label(registry, attempted, "outcome", Attempted::ALL.map(Attempted::label))?,
            paused: {
                let family = registered(registry, IntGaugeVec::new(paused, &["reason"])?)?;
                Pause::ALL.map(|reason| family.with_label_values(&[reason.label()]))
            },
            depths: Depths {
                organization_open: numbers(
                    "gateway_queue_organization_open_deliveries",
                    "Open deliveries by organization.",
                    "organization",
                )?,
                organization_oldest: registered(registry, GaugeVec::new(oldest, &["organization"])?)?,
                lag: numbers(
                    "integration_consumer_lag",
                    "Open deliveries of an outbound integration.",
                    "integration",
                )?,
                dead: numbers(
                    "integration_dlq_depth",
                    "Dead letters of an outbound integration.",
                    "integration",
                )?,
                circuit_open: registered(registry, circuit_open("outbound")?)?,
            },
            own_series,
            shown: Mutex::default(),
        })
    }

    /// Counts events that were handed over.
    pub fn taken(&self, outcome: Taken, events: u64) {
        if events > 0 {
            self.taken[outcome as usize].inc_by(events);
        }
    }

    /// Counts an attempt at a delivery.
    pub fn attempted(&self, outcome: Attempted) {
        self.attempted[outcome as usize].inc();
    }

    /// Says for which reasons no events are taken in.
    pub fn paused(&self, reasons: &[Pause]) {
        for reason in Pause::ALL {
            self.paused[reason as usize].set(i64::from(reasons.contains(&reason)));
        }
    }

    /// Shows how much waits, and calls `render` before anything else is shown. The busiest have series of their own, the
    /// rest is shown under `other`.
    pub fn shown<T>(&self, mut depths: Vec<Depth>, render: impl FnOnce() -> T) -> T {
        let _one_at_a_time = self.shown.lock();
        depths.sort_by_key(|depth| std::cmp::Reverse(depth.open + depth.dead));
        self.show_integrations(&depths);
        self.show_organizations(&depths);
        render()
    }

    fn show_integrations(&self, depths: &[Depth]) {
        let Depths {
            lag,
            dead,
            circuit_open,
            ..
        } = &self.depths;
        for family in [lag, dead, circuit_open] {
            family.reset();
        }
        for (place, depth) in depths.iter().enumerate() {
            let label = if place < self.own_series {
                &*depth.subscription
            } else {
                OTHER
            };
            lag.with_label_values(&[label]).add(number(depth.open));
            dead.with_label_values(&[label]).add(number(depth.dead));
            circuit_open
                .with_label_values(&[label])
                .add(i64::from(depth.circuit_open));
        }
    }

    fn show_organizations(&self, depths: &[Depth]) {
        let mut organizations = BTreeMap::<u64, (u64, f64)>::new();
        for depth in depths {
            let (open, oldest) = organizations.entry(depth.org_id).or_default();
            *open += depth.open;
            *oldest = oldest.max(depth.oldest_seconds);
        }
        let mut organizations: Vec<_> = organizations.into_iter().collect();
        organizations.sort_by_key(|(_, (open, _))| std::cmp::Reverse(*open));
        let Depths {
            organization_open,
            organization_oldest,
            ..
        } = &self.depths;
        organization_open.reset();
        organization_oldest.reset();
        for (place, (org_id, (open, oldest))) in organizations.into_iter().enumerate() {
            let own = org_id.to_string();
            let label = if place < self.own_series { &*own } else { OTHER };
            organization_open.with_label_values(&[label]).add(number(open));
            let known = organization_oldest.with_label_values(&[label]);
            known.set(known.get().max(oldest));
        }
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Label of all that have no series of their own.
const OTHER: &str = "other";
