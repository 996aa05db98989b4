//! What a thread holds, by the counters that jemalloc keeps for each thread.

use tikv_jemalloc_ctl::thread::{ThreadLocal, allocatedp, deallocatedp};

/// Measures what the current thread has come to hold since the meter was started. Where jemalloc is not the allocator its
/// counters stand still, and nothing is ever held.
pub(super) struct Meter {
    counters: Option<(ThreadLocal<u64>, ThreadLocal<u64>)>,
    start: u64,
}

impl Meter {
    pub(super) fn start() -> Self {
        let counters = allocatedp::read().ok().zip(deallocatedp::read().ok());
        Self {
            counters,
            start: counters.map_or(0, held_in_all),
        }
    }

    /// Bytes that were allocated since the start and not freed. Memory of other threads that this one frees counts
    /// against them, down to zero.
    pub(super) fn held(&self) -> u64 {
        let now = self.counters.map_or(0, held_in_all);
        let grown = now.wrapping_sub(self.start);
        // Beyond the half it is a negative number that wrapped around.
        if grown > u64::MAX / 2 { 0 } else { grown }
    }
}

fn held_in_all((allocated, freed): (ThreadLocal<u64>, ThreadLocal<u64>)) -> u64 {
    allocated.get().wrapping_sub(freed.get())
}
