//! How many connections may be open without an exchange, over all pools.
//!
//! Each pool has its own limit, and with thousands of endpoints those limits add up to more than the process can hold. A
//! connection beyond the common limit takes the place of one that was idle for longer: of the longest idle ones of a few
//! pools, picked at random, the oldest. With one pool or a thousand this costs the same.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::connections::Connections;

/// The most idle connections of all pools that share it.
#[derive(Debug)]
pub struct IdleLimit {
    most: usize,
    open: AtomicUsize,
    pools: Mutex<Vec<Weak<Connections>>>,
    /// Picks pools; any numbers will do.
    ticket: AtomicUsize,
}

impl IdleLimit {
    /// A limit of `most` connections.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            open: AtomicUsize::new(0),
            pools: Mutex::new(Vec::new()),
            ticket: AtomicUsize::new(0),
        })
    }

    /// Idle connections now; those that carry several exchanges count while they are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, pool: &Arc<Connections>) {
        let mut pools = self.pools.lock();
        if pools.len() == pools.capacity() {
            pools.retain(|pool| pool.strong_count() > 0);
        }
        pools.push(Arc::downgrade(pool));
    }

    /// Room for one more, made by closing another one if need be; `None` if there is none to close. No pool's lock may be
    /// held.
    pub(crate) fn room(self: &Arc<Self>) -> Option<Room> {
        let room = self.enter();
        if self.open() <= self.most || self.close_one() {
            return Some(room);
        }
        None
    }

    fn enter(self: &Arc<Self>) -> Room {
        self.open.fetch_add(1, Ordering::Relaxed);
        Room(Arc::clone(self))
    }

    /// Closes a connection that was idle for long.
    fn close_one(&self) -> bool {
        let picked = self.pick();
        let oldest = picked.iter().filter_map(|pool| Some((pool.idle_since()?, pool)));
        let oldest: Option<(Instant, _)> = oldest.min_by_key(|(since, _)| *since);
        oldest.is_some_and(|(_, pool)| pool.close_oldest())
    }

    fn pick(&self) -> Vec<Arc<Connections>> {
        let pools = self.pools.lock();
        let count = pools.len().min(PICKED);
        let picked = (0..count).filter_map(|turn| {
            let place = if pools.len() <= PICKED {
                turn
            } else {
                let ticket = self.ticket.fetch_add(1, Ordering::Relaxed);
                ticket.wrapping_mul(0x9e37_79b9_7f4a_7c15) % pools.len()
            };
            pools.get(place)?.upgrade()
        });
        picked.collect()
    }
}

/// The place of an idle connection; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Room(Arc<IdleLimit>);

impl Drop for Room {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Pools that are looked at to find a connection to close.
const PICKED: usize = 16;
