//! One target, and the attempts that are under way at it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::live::TargetRuntime;

/// What is known of one target.
#[derive(Debug)]
pub struct Endpoint {
    /// The target.
    pub target: Arc<TargetRuntime>,
    /// Its share of the requests, relative to the others; never 0.
    pub weight: u32,
    in_flight: AtomicUsize,
}

impl Endpoint {
    /// Nothing is known of it yet.
    pub fn new(target: Arc<TargetRuntime>, weight: u32) -> Arc<Self> {
        Arc::new(Self {
            target,
            weight,
            in_flight: AtomicUsize::new(0),
        })
    }

    /// Attempts under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Begins an attempt.
    pub fn enter(self: &Arc<Self>) -> Attempt {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Attempt {
            endpoint: Arc::clone(self),
        }
    }
}

/// An attempt that is under way, until it is dropped.
#[derive(Debug)]
pub struct Attempt {
    endpoint: Arc<Endpoint>,
}

impl Attempt {
    /// Where it goes.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.endpoint.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
