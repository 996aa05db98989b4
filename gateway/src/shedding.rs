//! Turns requests away before memory runs out: a cap on what request bodies hold together, and a watermark of the process.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::config;

/// Why a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// The bodies of the requests under way hold as much as they may.
    BufferedBytes,
    /// The process has almost as much memory as it may have.
    Memory,
}

/// Decides whether there is room for one more request, and for its bodies.
#[derive(Debug)]
pub struct Shedding {
    most_buffered: u64,
    buffered: AtomicU64,
    /// Bytes of memory from which on requests are turned away.
    watermark: u64,
    is_above: AtomicBool,
}

impl Shedding {
    /// With the limits of the settings, and of the machine where they say nothing.
    pub fn new(settings: &config::Shedding) -> Arc<Self> {
        let watermark = settings.memory_bytes.or_else(|| Some(available_bytes()? / 10 * 9));
        Arc::new(Self {
            most_buffered: settings.buffered_bytes,
            buffered: AtomicU64::new(0),
            watermark: watermark.unwrap_or(u64::MAX),
            is_above: AtomicBool::new(false),
        })
    }

    /// Lets a request in.
    ///
    /// # Errors
    /// [`Shed::Memory`] while the process is above the watermark.
    pub fn enter(&self) -> Result<(), Shed> {
        if self.is_above.load(Ordering::Relaxed) {
            Err(Shed::Memory)
        } else {
            Ok(())
        }
    }

    /// Room for the bodies of one request; none of it is taken yet.
    pub fn room(self: &Arc<Self>) -> Room {
        Room {
            shedding: Arc::clone(self),
            bytes: 0,
        }
    }

    /// Bytes that bodies hold.
    pub fn buffered(&self) -> u64 {
        self.buffered.load(Ordering::Relaxed)
    }

    /// Watches the process until `stop`.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Some(used) = resident_bytes() {
                self.note(used);
            }
        }
    }

    fn note(&self, used: u64) {
        let was_above = self.is_above.load(Ordering::Relaxed);
        // It has to fall by a twentieth, so that requests do not come and go around the mark.
        let mark = if was_above {
            self.watermark / 20 * 19
        } else {
            self.watermark
        };
        let is_above = used >= mark;
        if is_above != was_above {
            self.is_above.store(is_above, Ordering::Relaxed);
            let watermark = self.watermark;
            tracing::warn!(
                used,
                watermark,
                is_above,
                "memory crossed its mark: requests are turned away above it"
            );
        }
    }
}

/// What the bodies of one request hold; given back when it is dropped.
#[derive(Debug)]
pub struct Room {
    shedding: Arc<Shedding>,
    bytes: u64,
}

impl Room {
    /// Takes room for `more` bytes.
    ///
    /// # Errors
    /// [`Shed::BufferedBytes`] if there is none.
    pub fn take(&mut self, more: u64) -> Result<(), Shed> {
        let before = self.shedding.buffered.fetch_add(more, Ordering::Relaxed);
        // Counted even if it is too much: the room is given back as a whole.
        self.bytes += more;
        if before.saturating_add(more) > self.shedding.most_buffered {
            return Err(Shed::BufferedBytes);
        }
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shedding.buffered.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Memory of the process that is not swapped out.
fn resident_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE)
}

/// Memory that the process may have: what its control group is limited to, else that of the machine.
fn available_bytes() -> Option<u64> {
    let group = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let limited = group
        .iter()
        .find_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        let kibibytes: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(kibibytes * 1024)
    });
    match (limited, machine) {
        (Some(limited), Some(machine)) => Some(limited.min(machine)),
        (limited, machine) => limited.or(machine),
    }
}

const TICK: Duration = Duration::from_millis(200);
const PAGE: u64 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    fn shedding(memory_bytes: u64) -> Arc<Shedding> {
        Shedding::new(&config::Shedding {
            buffered_bytes: 100,
            memory_bytes: Some(memory_bytes),
        })
    }

    #[test]
    fn bodies_hold_no_more_than_they_may_together() {
        let shedding = shedding(1_000);
        let mut one = shedding.room();
        let mut two = shedding.room();
        assert_eq!(one.take(60), Ok(()));
        assert_eq!(two.take(41), Err(Shed::BufferedBytes));
        drop(two);
        assert_eq!((one.take(40), shedding.buffered()), (Ok(()), 100));
        drop(one);
        assert_eq!(shedding.buffered(), 0);
    }

    #[test]
    fn requests_are_turned_away_from_the_mark_until_memory_fell_well_below() {
        let shedding = shedding(1_000);
        let let_in: Vec<_> = [999, 1_000, 960, 951, 949, 990]
            .map(|used| {
                shedding.note(used);
                shedding.enter().is_ok()
            })
            .into();
        assert_eq!(let_in, [true, false, false, false, true, true]);
    }

    #[test]
    fn the_memory_of_this_process_is_known() {
        assert!(resident_bytes().is_some_and(|used| used > 1 << 20));
        assert!(available_bytes().is_some_and(|all| all > 1 << 26));
    }
}
