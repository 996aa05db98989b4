//! How deliveries stand, by subscription, as operators see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use filters::model::push::EndpointStatus;

use crate::clock::rfc3339;
use crate::delivery::hold::Cause;
use crate::delivery::stats::{EndpointState, EndpointStats};
use crate::events::EventFlow;

/// The subscriptions with undelivered events, and those that are left alone; those with most first.
pub(super) async fn standing(events: &EventFlow) -> Vec<EndpointStatus> {
    let Some(queue) = events.queue() else {
        return Vec::new();
    };
    let waiting = queue.stats().subscriptions.into_iter();
    let oldest: BTreeMap<Arc<str>, i64> = waiting
        .filter_map(|one| Some((one.subscription, one.oldest_ms?)))
        .collect();
    let endpoints = events.dispatcher().stats().await.endpoints;
    let endpoints = endpoints
        .into_iter()
        .filter(|endpoint| endpoint.open > 0 || !endpoint.state.works());
    let mut worst: BTreeMap<Arc<str>, Subscription> = BTreeMap::new();
    for endpoint in endpoints {
        let id = Arc::clone(&endpoint.id);
        match worst.get_mut(&id) {
            Some(known) => known.add(endpoint),
            None => drop(worst.insert(id, Subscription::of(endpoint))),
        }
    }
    let mut standing: Vec<EndpointStatus> = worst
        .into_iter()
        .map(|(id, subscription)| {
            let oldest_ms = oldest.get(&id).copied();
            subscription.shown(id, oldest_ms)
        })
        .collect();
    standing.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.open));
    standing.truncate(MOST);
    standing
}

/// The endpoints of one subscription: one for each of its steps.
struct Subscription {
    open: u64,
    next_ms: Option<i64>,
    /// The step that stands worst.
    worst: EndpointStats,
}

impl Subscription {
    fn of(endpoint: EndpointStats) -> Self {
        Self {
            open: endpoint.open,
            next_ms: endpoint.next_ms,
            worst: endpoint,
        }
    }

    fn add(&mut self, endpoint: EndpointStats) {
        self.open += endpoint.open;
        self.next_ms = [self.next_ms, endpoint.next_ms].into_iter().flatten().min();
        if rank(&endpoint.state) > rank(&self.worst.state) {
            self.worst = endpoint;
        }
    }

    fn shown(self, id: Arc<str>, oldest_ms: Option<i64>) -> EndpointStatus {
        let failure = self.worst.last_failure.as_ref().map(|failure| failure.message.clone());
        let reason = match &self.worst.state {
            EndpointState::Held(hold) => Some(hold.reason.clone()),
            _ => failure,
        };
        EndpointStatus {
            integration_config_id: id,
            org_id: self.worst.org_id,
            open: self.open,
            oldest: oldest_ms.map(rfc3339),
            state: name(&self.worst.state).to_owned(),
            reason,
            next_attempt_at: self.next_ms.map(rfc3339),
        }
    }
}

fn name(state: &EndpointState) -> &'static str {
    match state {
        EndpointState::Working => "working",
        EndpointState::RateLimited => "rateLimited",
        EndpointState::Waiting => "waiting",
        EndpointState::HalfOpen => "halfOpen",
        EndpointState::CircuitOpen => "circuitOpen",
        EndpointState::Inactive => "inactive",
        EndpointState::Unknown => "unknown",
        EndpointState::Missing => "missing",
        EndpointState::Held(hold) => match hold.cause {
            Cause::Paused => "paused",
            Cause::Disabled => "disabled",
            Cause::Deactivated => "deactivated",
        },
    }
}

/// The larger, the worse.
fn rank(state: &EndpointState) -> u8 {
    match state {
        EndpointState::Working => 0,
        EndpointState::RateLimited => 1,
        EndpointState::Waiting => 2,
        EndpointState::HalfOpen => 3,
        EndpointState::CircuitOpen => 4,
        EndpointState::Inactive | EndpointState::Unknown | EndpointState::Missing => 5,
        EndpointState::Held(_) => 6,
    }
}

/// Of one message.
const MOST: usize = 500;
