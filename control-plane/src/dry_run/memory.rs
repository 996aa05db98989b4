//! What this thread holds, by the counters that jemalloc keeps for each thread.

use tikv_jemalloc_ctl::thread::{ThreadLocal, allocatedp, deallocatedp};

/// Measures what the thread has come to hold since the start. Without jemalloc as the allocator nothing is ever held.
pub(super) struct Meter(Option<Counters>);

struct Counters {
    allocated: ThreadLocal<u64>,
    freed: ThreadLocal<u64>,
    start: u64,
}

impl Meter {
    pub(super) fn start() -> Self {
        let counters = || {
            let mut counters = Counters {
                allocated: allocatedp::read().ok()?,
                freed: deallocatedp::read().ok()?,
                start: 0,
            };
            counters.start = counters.now();
            Some(counters)
        };
        Self(counters())
    }

    /// Bytes that were allocated since the start and not freed; 0 if more was freed.
    pub(super) fn held(&self) -> u64 {
        let grown = self
            .0
            .as_ref()
            .map_or(0, |counters| counters.now().wrapping_sub(counters.start));
        u64::try_from(grown.cast_signed()).unwrap_or(0)
    }
}

impl Counters {
    fn now(&self) -> u64 {
        self.allocated.get().wrapping_sub(self.freed.get())
    }
}
