//! One target: the attempts that are under way at it, and what earlier ones said.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Instant;

use filters::delivery::Health;
use filters::delivery::breaker::{Pass, State};
use filters::plan::resilience::Resilience as Rules;
use filters::resilience::{Ejection, Gradient, HealthRules, Streak, balance, health};
use parking_lot::Mutex;
use prometheus::IntGauge;

use super::circuit::Circuit;
use super::{Resilience, Unavailable};
use crate::clock;
use crate::live::TargetRuntime;

/// What is known of one target.
#[derive(Debug)]
pub struct Endpoint {
    /// The target.
    pub target: Arc<TargetRuntime>,
    /// Its share of the requests, relative to the others; never 0.
    pub weight: u32,
    /// Its place among the others for requests with a key.
    pub(super) hash: u64,
    integration: Arc<str>,
    /// The configured target and its address, where it was discovered.
    discovered: Option<(Arc<TargetRuntime>, SocketAddr)>,
    in_flight: AtomicUsize,
    gauge: IntGauge,
    circuit: Option<Mutex<Circuit>>,
    ejection: Option<Mutex<Ejection>>,
    gradient: Option<Mutex<Gradient>>,
    checks: Mutex<Streak>,
    /// When it is checked next; never while a check is under way.
    check_due_ms: AtomicI64,
}

/// One target, for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its address, where it was discovered.
    pub address: Option<SocketAddr>,
    /// What its breaker does; `None` if it has none.
    pub circuit: Option<State>,
    /// True if health checks find it well, or there are none.
    pub is_healthy: bool,
    /// True while it is passed over after failures.
    pub is_ejected: bool,
    /// Attempts under way.
    pub in_flight: usize,
    /// The most attempts at a time, where that is learnt.
    pub limit: Option<u32>,
}

impl Endpoint {
    /// Nothing is known of it yet.
    pub(super) fn new(
        integration: &Arc<str>,
        target: Arc<TargetRuntime>,
        weight: u32,
        rules: &Rules,
        open: &IntGauge,
    ) -> Arc<Self> {
        Self::build(integration, target, weight, rules, open, None)
    }

    /// The same target at one of its addresses.
    pub(super) fn at(&self, address: SocketAddr, rules: &Rules) -> Arc<Self> {
        let target = Arc::new(self.target.pinned(address));
        let discovered = Some((Arc::clone(&self.target), address));
        Self::build(&self.integration, target, self.weight, rules, &self.gauge, discovered)
    }

    fn build(
        integration: &Arc<str>,
        target: Arc<TargetRuntime>,
        weight: u32,
        rules: &Rules,
        open: &IntGauge,
        discovered: Option<(Arc<TargetRuntime>, SocketAddr)>,
    ) -> Arc<Self> {
        let url = target.upstream.target();
        let name = match &discovered {
            Some((_, address)) => format!("{integration} {url} at {address}"),
            None => format!("{integration} {url}"),
        };
        Arc::new(Self {
            hash: balance::hash(name.as_bytes()),
            in_flight: AtomicUsize::new(0),
            gauge: open.clone(),
            circuit: rules
                .breaker
                .map(|rules| Mutex::new(Circuit::new(name, rules, open.clone()))),
            ejection: rules.passive.map(|rules| Mutex::new(Ejection::new(rules))),
            gradient: rules.concurrency.map(|rules| Mutex::new(Gradient::new(rules))),
            checks: Mutex::default(),
            check_due_ms: AtomicI64::new(0),
            integration: Arc::clone(integration),
            target,
            weight,
            discovered,
        })
    }

    /// The configured target.
    pub(super) fn origin(&self) -> &Arc<TargetRuntime> {
        self.discovered.as_ref().map_or(&self.target, |(origin, _)| origin)
    }

    /// Its address, where it was discovered.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.discovered.as_ref().map(|(_, address)| *address)
    }

    /// Attempts under way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// False while checks or earlier answers speak against it.
    pub(super) fn is_well(&self, now_ms: i64) -> bool {
        self.checks.lock().is_well() && !self.is_ejected(now_ms)
    }

    pub(super) fn is_ejected(&self, now_ms: i64) -> bool {
        self.ejection
            .as_ref()
            .is_some_and(|ejection| ejection.lock().is_out(now_ms))
    }

    pub(super) fn reset(&self, now_ms: i64) {
        if let Some(circuit) = &self.circuit {
            circuit.lock().resume(now_ms);
        }
    }

    /// Takes the check that is due at `now_ms`; nobody else makes it then until it was recorded.
    pub(super) fn take_check(&self, now_ms: i64) -> bool {
        let due_ms = self.check_due_ms.load(Ordering::Relaxed);
        let take = || {
            self.check_due_ms
                .compare_exchange(due_ms, i64::MAX, Ordering::Relaxed, Ordering::Relaxed)
        };
        due_ms <= now_ms && take().is_ok()
    }

    /// Takes in a check, and makes the next one due.
    pub(super) fn checked(&self, now_ms: i64, good: bool, rules: &HealthRules) {
        if self.checks.lock().record(good, rules) {
            let partner = self.target.upstream.target();
            let integration = &*self.integration;
            tracing::warn!(integration, %partner, address = ?self.address(), good, "the health checks of a target changed");
        }
        self.check_due_ms
            .store(now_ms.saturating_add(rules.interval_ms), Ordering::Relaxed);
    }

    /// What operators are told of it.
    pub fn shown(&self, now_ms: i64) -> Shown {
        Shown {
            address: self.address(),
            circuit: self.circuit.as_ref().map(|circuit| circuit.lock().state()),
            is_healthy: self.checks.lock().is_well(),
            is_ejected: self.is_ejected(now_ms),
            in_flight: self.in_flight(),
            limit: self.gradient.as_ref().map(|gradient| gradient.lock().limit()),
        }
    }
}

/// Begins an attempt at `endpoint`, one of `owner`.
///
/// # Errors
/// Why it takes none at the moment.
pub(super) fn enter(endpoint: &Arc<Endpoint>, owner: &Arc<Resilience>, now_ms: i64) -> Result<Attempt, Unavailable> {
    // From here on it is counted; the attempt that is dropped early takes it back.
    let in_flight = endpoint.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
    let mut attempt = Attempt {
        endpoint: Arc::clone(endpoint),
        owner: Arc::clone(owner),
        began: Instant::now(),
        pass: None,
        is_settled: false,
    };
    let limit = endpoint.gradient.as_ref().map(|gradient| gradient.lock().limit());
    if limit.is_some_and(|limit| in_flight > limit as usize) {
        return Err(Unavailable::Busy);
    }
    if let Some(circuit) = &endpoint.circuit {
        attempt.pass = Some(circuit.lock().enter(now_ms)?);
    }
    Ok(attempt)
}

/// An attempt that is under way, until it is dropped.
#[derive(Debug)]
pub struct Attempt {
    endpoint: Arc<Endpoint>,
    owner: Arc<Resilience>,
    began: Instant,
    pass: Option<Pass>,
    is_settled: bool,
}

impl Attempt {
    /// Where it goes.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Says what it shows of the target. The first word counts.
    pub fn settle(&mut self, health: Health) {
        if std::mem::replace(&mut self.is_settled, true) {
            return;
        }
        let endpoint = &self.endpoint;
        let now_ms = clock::now_ms();
        if let (Some(circuit), Some(pass)) = (&endpoint.circuit, self.pass) {
            circuit.lock().record(now_ms, pass, health);
        }
        if let Some(ejection) = &endpoint.ejection {
            self.eject(ejection, now_ms, health);
        }
        if let Some(gradient) = &endpoint.gradient {
            let took_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
            match health {
                Health::Good => gradient.lock().answered(took_us, endpoint.in_flight()),
                Health::Bad => gradient.lock().failed(),
                Health::Unknown => {}
            }
        }
    }

    fn eject(&self, ejection: &Mutex<Ejection>, now_ms: i64, health: Health) {
        // Counted before the lock is taken, as it looks at all targets.
        let may_go = || {
            let members = self.owner.members.load();
            let others = members.iter().filter(|other| !Arc::ptr_eq(other, &self.endpoint));
            let out = others.filter(|other| other.is_ejected(now_ms)).count();
            let rules = self.owner.rules.passive;
            rules.is_some_and(|rules| health::may_eject(rules, out, members.len()))
        };
        let may_go = health == Health::Bad && may_go();
        if ejection.lock().record(now_ms, health, || may_go) {
            let partner = self.endpoint.target.upstream.target();
            let integration = &*self.endpoint.integration;
            tracing::warn!(integration, %partner, address = ?self.endpoint.address(), "a target is passed over for a while");
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.settle(Health::Unknown);
        self.endpoint.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
