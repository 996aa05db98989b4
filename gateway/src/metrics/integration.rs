//! Metrics of single integrations, within a budget of series.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::labels::{CacheResult, Failure, StatusClass, UpstreamPart};
use super::registered;

/// The handles of one integration, or those that all integrations without series of their own share.
#[derive(Debug)]
pub struct IntegrationMetrics {
    requests: [IntCounter; StatusClass::ALL.len()],
    errors: [IntCounter; Failure::ALL.len()],
    latency: Histogram,
    circuit_open: IntGauge,
    /// Those of `other` where there is nothing in it.
    cache: OnceLock<CacheCounters>,
    /// Nothing where no details are wanted: these are many series, and all partners together have one of their own.
    upstream: OnceLock<UpstreamTimes>,
    /// None for the shared ones.
    own: Option<Own>,
}

type CacheCounters = [IntCounter; CacheResult::ALL.len()];
type UpstreamTimes = [Histogram; UpstreamPart::ALL.len()];

impl IntegrationMetrics {
    /// Counts a request that was answered with `status` after `latency`, whoever wrote the answer.
    pub fn answered(&self, status: u16, latency: Duration) {
        if let Some(class) = StatusClass::of(status) {
            self.requests[class as usize].inc();
        }
        self.latency.observe(latency.as_secs_f64() * 1_000.0);
    }

    /// Counts a request to the partner that failed.
    pub fn failed(&self, why: Failure) {
        self.errors[why as usize].inc();
    }

    /// Counts a request at an integration that keeps answers.
    pub fn cached(&self, result: CacheResult) {
        let shared = || self.own.as_ref()?.integrations.other.cache.get();
        if let Some(counters) = self.cache.get().or_else(shared) {
            counters[result as usize].inc();
        }
    }

    /// Notes a part of the time that the partner took.
    pub fn upstream(&self, part: UpstreamPart, time: Duration) {
        if let Some(times) = self.upstream.get() {
            times[part as usize].observe(time.as_secs_f64() * 1_000.0);
        }
    }

    /// Gives an integration that keeps answers series for that, if it has series of its own.
    pub fn keeps_answers(&self) {
        if let Some(own) = &self.own {
            self.cache.get_or_init(|| own.integrations.families.cache_of(&own.id));
        }
    }

    /// The same for the times of its partner.
    fn times_its_partner(&self) {
        if let Some(own) = &self.own {
            self.upstream
                .get_or_init(|| own.integrations.families.upstream_of(&own.id));
        }
    }

    /// Counts the targets that are left alone as they failed too often.
    pub const fn circuit_open(&self) -> &IntGauge {
        &self.circuit_open
    }

    /// True if the integration has series of its own.
    pub const fn has_own_series(&self) -> bool {
        self.own.is_some()
    }
}

impl Drop for IntegrationMetrics {
    fn drop(&mut self) {
        if let Some(own) = &self.own {
            own.integrations.release(&own.id);
        }
    }
}

/// What an integration's own series need to end with it.
#[derive(Debug)]
struct Own {
    id: Box<str>,
    integrations: Arc<Integrations>,
}

/// Who has series of its own.
#[derive(Debug)]
pub(super) struct Integrations {
    families: Families,
    other: Arc<IntegrationMetrics>,
    budget: usize,
    bound: Mutex<Bound>,
}

#[derive(Debug, Default)]
struct Bound {
    by_id: HashMap<Box<str>, Entry>,
    /// Entries that count against the budget.
    budgeted: usize,
}

#[derive(Debug)]
struct Entry {
    handles: Weak<IntegrationMetrics>,
    /// False if the integration asked for series of its own.
    budgeted: bool,
}

impl Integrations {
    pub(super) fn new(registry: &Registry, budget: usize) -> Result<Arc<Self>, prometheus::Error> {
        let families = Families::new(registry)?;
        let other = families.handles(OTHER, None);
        other.cache.get_or_init(|| families.cache_of(OTHER));
        Ok(Arc::new(Self {
            other: Arc::new(other),
            families,
            budget,
            bound: Mutex::default(),
        }))
    }

    pub(super) fn bind(self: &Arc<Self>, id: &str, detailed: bool) -> Arc<IntegrationMetrics> {
        let handles = self.handles(id, detailed);
        if detailed {
            handles.times_its_partner();
        }
        handles
    }

    fn handles(self: &Arc<Self>, id: &str, detailed: bool) -> Arc<IntegrationMetrics> {
        let mut bound = self.bound.lock();
        let Bound { by_id, budgeted } = &mut *bound;
        let known = by_id.get_mut(id);
        let counted = known.as_ref().is_some_and(|entry| entry.budgeted);
        if id == OTHER || !detailed && !counted && *budgeted >= self.budget {
            return Arc::clone(&self.other);
        }
        *budgeted = *budgeted + usize::from(!detailed) - usize::from(counted);
        if let Some(entry) = known {
            entry.budgeted = !detailed;
            if let Some(handles) = entry.handles.upgrade() {
                return handles;
            }
        }
        let own = Own {
            id: id.into(),
            integrations: Arc::clone(self),
        };
        let handles = Arc::new(self.families.handles(id, Some(own)));
        let entry = Entry {
            handles: Arc::downgrade(&handles),
            budgeted: !detailed,
        };
        by_id.insert(id.into(), entry);
        handles
    }

    /// Ends the series of `id`, unless it was bound anew since its last handles were dropped.
    fn release(&self, id: &str) {
        let mut bound = self.bound.lock();
        if bound
            .by_id
            .get(id)
            .is_some_and(|entry| entry.handles.strong_count() == 0)
            && let Some(entry) = bound.by_id.remove(id)
        {
            bound.budgeted -= usize::from(entry.budgeted);
            self.families.remove(id);
        }
    }
}

#[derive(Debug)]
struct Families {
    requests: IntCounterVec,
    errors: IntCounterVec,
    latency: HistogramVec,
    circuit_open: IntGaugeVec,
    cache: IntCounterVec,
    upstream: HistogramVec,
}

impl Families {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new("integration_requests_total", "Requests answered, by class of status."),
            &["integration", "status_class"],
        )?;
        let errors = IntCounterVec::new(
            Opts::new(
                "integration_errors_total",
                "Requests to the partner that failed, by kind.",
            ),
            &["integration", "kind"],
        )?;
        let latency = HistogramVec::new(
            HistogramOpts::new(
                "integration_latency_ms",
                "Time from a request to the end of its answer, in milliseconds.",
            )
            .buckets(LATENCY_MS.to_vec()),
            &["integration"],
        )?;
        let cache = IntCounterVec::new(
            Opts::new(
                "integration_cache_requests_total",
                "Requests at integrations that keep answers, by what became of them.",
            ),
            &["integration", "result"],
        )?;
        let upstream = HistogramVec::new(
            HistogramOpts::new(
                "integration_upstream_ms",
                "Time that the partner took, from the first attempt on, in milliseconds.",
            )
            .buckets(UPSTREAM_MS.to_vec()),
            &["integration", "part"],
        )?;
        Ok(Self {
            requests: registered(registry, requests)?,
            errors: registered(registry, errors)?,
            latency: registered(registry, latency)?,
            circuit_open: registered(registry, circuit_open("inbound")?)?,
            cache: registered(registry, cache)?,
            upstream: registered(registry, upstream)?,
        })
    }

    fn cache_of(&self, id: &str) -> CacheCounters {
        CacheResult::ALL.map(|result| self.cache.with_label_values(&[id, result.label()]))
    }

    fn upstream_of(&self, id: &str) -> UpstreamTimes {
        UpstreamPart::ALL.map(|part| self.upstream.with_label_values(&[id, part.label()]))
    }

    fn handles(&self, id: &str, own: Option<Own>) -> IntegrationMetrics {
        IntegrationMetrics {
            requests: StatusClass::ALL.map(|class| self.requests.with_label_values(&[id, class.label()])),
            errors: Failure::ALL.map(|kind| self.errors.with_label_values(&[id, kind.label()])),
            latency: self.latency.with_label_values(&[id]),
            circuit_open: self.circuit_open.with_label_values(&[id]),
            cache: OnceLock::new(),
            upstream: OnceLock::new(),
            own,
        }
    }

    fn remove(&self, id: &str) {
        // A series that is missing is what is wanted.
        for class in StatusClass::ALL {
            let _ = self.requests.remove_label_values(&[id, class.label()]);
        }
        for kind in Failure::ALL {
            let _ = self.errors.remove_label_values(&[id, kind.label()]);
        }
        let _ = self.latency.remove_label_values(&[id]);
        let _ = self.circuit_open.remove_label_values(&[id]);
        for result in CacheResult::ALL {
            let _ = self.cache.remove_label_values(&[id, result.label()]);
        }
        for part in UpstreamPart::ALL {
            let _ = self.upstream.remove_label_values(&[id, part.label()]);
        }
    }
}

/// The family of one direction: both have the same name, and differ by the label.
pub(super) fn circuit_open(direction: &str) -> Result<IntGaugeVec, prometheus::Error> {
    let options = Opts::new(
        "integration_circuit_open",
        "Targets that are left alone or probed, as they failed too often.",
    );
    IntGaugeVec::new(options.const_label("direction", direction), &["integration"])
}

/// Label of all integrations without series of their own.
const OTHER: &str = "other";
const UPSTREAM_MS: &[f64] = &[1.0, 5.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 5_000.0];
const LATENCY_MS: &[f64] = &[5.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 5_000.0];
