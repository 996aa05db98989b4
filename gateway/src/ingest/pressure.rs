//! When events are not taken in: before the memory or the disk is full, and before one organization crowds out the others.
//!
//! What the requests under way hold is counted as they come and go. What the queue holds is looked at now and then; a
//! limit that was reached counts as reached until the level is a tenth below it, so that ingest does not flutter.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use ahash::AHashSet;
use arc_swap::ArcSwap;

use crate::config;
use crate::metrics::Pause;
use crate::queue::Levels;

/// Why an event is not taken in now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Overload {
    /// An operator drains the gateway, or it is about to stop.
    Draining,
    /// The queue is not open yet: the process before this one still has it.
    QueueNotOpen,
    /// Too many requests are being taken in.
    InFlight,
    /// Too many bytes are being taken in.
    BufferedBytes,
    /// Too many deliveries are open.
    OpenDeliveries,
    /// The organization has too many open deliveries.
    OrganizationShare,
    /// The queue's files are as large as they may be.
    QueueBytes,
    /// The disk is almost full.
    DiskSpace,
    /// The control plane does not take the records.
    SpoolBytes,
    /// The queue cannot write.
    QueueFailed,
}

impl Overload {
    /// Seconds until it is worth coming back.
    pub const fn retry_after_seconds(self) -> u32 {
        match self {
            Self::QueueNotOpen | Self::InFlight | Self::BufferedBytes => 1,
            Self::Draining | Self::OpenDeliveries | Self::OrganizationShare | Self::QueueFailed => 5,
            Self::QueueBytes | Self::DiskSpace | Self::SpoolBytes => 30,
        }
    }

    /// What it is in metrics, if it lasts longer than a request and holds for all organizations.
    const fn pause(self) -> Option<Pause> {
        match self {
            Self::Draining => Some(Pause::Draining),
            Self::OpenDeliveries => Some(Pause::OpenDeliveries),
            Self::QueueBytes => Some(Pause::QueueBytes),
            Self::DiskSpace => Some(Pause::DiskSpace),
            Self::SpoolBytes => Some(Pause::SpoolBytes),
            Self::QueueNotOpen | Self::InFlight | Self::BufferedBytes | Self::OrganizationShare | Self::QueueFailed => {
                None
            }
        }
    }

    /// What a producer is told.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Draining => "the gateway takes no events at the moment",
            Self::QueueNotOpen => "the queue is not open yet",
            Self::InFlight | Self::BufferedBytes => "too many events are being taken in",
            Self::OpenDeliveries => "too many deliveries are open",
            Self::OrganizationShare => "the organization has too many open deliveries",
            Self::QueueBytes | Self::DiskSpace => "there is no room for more events",
            Self::SpoolBytes => "the control plane is behind with the records of deliveries",
            Self::QueueFailed => "the queue cannot be opened, or cannot write",
        }
    }
}

/// Decides whether one more event is taken in.
#[derive(Debug)]
pub struct Pressure {
    limits: Limits,
    in_flight: AtomicU64,
    buffered: AtomicU64,
    /// One bit for each of [`LASTING`].
    reached: AtomicU8,
    crowding: ArcSwap<AHashSet<u64>>,
    draining: AtomicBool,
    /// The last commit failed. Events are still tried: nothing else tells whether it works again.
    failing: AtomicBool,
    /// There is no queue, as it cannot be opened.
    missing: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    in_flight: u64,
    buffered: u64,
    open: u64,
    of_one_organization: u64,
    queue_bytes: u64,
    spool_bytes: u64,
    free_disk_bytes: u64,
}

impl Pressure {
    /// With the limits of the settings.
    pub fn new(ingest: &config::Ingest, queue: &config::Queue) -> Arc<Self> {
        let limits = Limits {
            in_flight: ingest.max_in_flight.try_into().unwrap_or(u64::MAX),
            buffered: ingest.max_buffered_bytes,
            open: queue.max_open_deliveries,
            of_one_organization: (queue.max_open_deliveries / 100) * u64::from(queue.organization_percent),
            queue_bytes: queue.max_bytes,
            spool_bytes: queue.spool_max_bytes,
            free_disk_bytes: queue.min_free_disk_bytes,
        };
        Arc::new(Self {
            limits,
            in_flight: AtomicU64::new(0),
            buffered: AtomicU64::new(0),
            reached: AtomicU8::new(0),
            crowding: ArcSwap::default(),
            draining: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            missing: AtomicBool::new(false),
        })
    }

    /// Makes room for one request of the organization.
    ///
    /// # Errors
    /// Why there is none.
    pub fn enter(self: &Arc<Self>, org_id: u64) -> Result<Room, Overload> {
        if self.is_draining() {
            return Err(Overload::Draining);
        }
        if self.missing.load(Ordering::Relaxed) {
            return Err(Overload::QueueFailed);
        }
        let reached = self.reached.load(Ordering::Relaxed);
        if let Some(overload) = first_of(reached) {
            return Err(overload);
        }
        if self.crowding.load().contains(&org_id) {
            return Err(Overload::OrganizationShare);
        }
        // What is counted from here on is given back when the room is dropped.
        let room = Room {
            pressure: Arc::clone(self),
            bytes: 0,
        };
        if self.in_flight.fetch_add(1, Ordering::Relaxed) >= self.limits.in_flight {
            return Err(Overload::InFlight);
        }
        Ok(room)
    }

    /// Takes note of what the queue holds: in all, and open deliveries by organization.
    pub fn observe(&self, levels: &Levels, organizations: &[(u64, u64)]) {
        let limits = &self.limits;
        let before = self.reached.load(Ordering::Relaxed);
        let free = levels.free_disk_bytes.unwrap_or(u64::MAX);
        let mut reached = 0;
        for (bit, overload) in LASTING.iter().enumerate() {
            let was = before & (1 << bit) != 0;
            let is = match overload {
                Overload::OpenDeliveries => above(levels.open, limits.open, was),
                Overload::QueueBytes => above(levels.used_bytes, limits.queue_bytes, was),
                Overload::SpoolBytes => above(levels.spool_bytes, limits.spool_bytes, was),
                Overload::DiskSpace => below(free, limits.free_disk_bytes, was),
                _ => false,
            };
            reached |= u8::from(is) << bit;
        }
        self.reached.store(reached, Ordering::Relaxed);
        self.failing.store(levels.failing, Ordering::Relaxed);
        let crowding = self.crowding.load();
        let now: AHashSet<u64> = organizations
            .iter()
            .filter(|(org_id, open)| above(*open, limits.of_one_organization, crowding.contains(org_id)))
            .map(|(org_id, _)| *org_id)
            .collect();
        if now != **crowding {
            self.crowding.store(Arc::new(now));
        }
    }

    /// Why no events are taken in for a while, of any organization.
    pub fn pauses(&self) -> Vec<Pause> {
        let reached = self.reached.load(Ordering::Relaxed);
        let lasting = LASTING.iter().enumerate().filter(|(bit, _)| reached & (1 << bit) != 0);
        let draining = self.is_draining().then_some(Pause::Draining);
        let failed = self.failing.load(Ordering::Relaxed) || self.missing.load(Ordering::Relaxed);
        draining
            .into_iter()
            .chain(failed.then_some(Pause::QueueFailed))
            .chain(lasting.filter_map(|(_, overload)| overload.pause()))
            .collect()
    }

    /// Says whether the queue is missing, as it cannot be opened.
    pub fn miss_queue(&self, missing: bool) {
        self.missing.store(missing, Ordering::Relaxed);
    }

    /// Stops taking events in, or goes on with it.
    pub fn drain(&self, draining: bool) {
        self.draining.store(draining, Ordering::Relaxed);
    }

    /// True while no events are taken in as somebody said so.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Requests that are being taken in.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }
}

/// What one request takes up, given back when it is dropped.
#[derive(Debug)]
pub struct Room {
    pressure: Arc<Pressure>,
    bytes: u64,
}

impl Room {
    /// Makes room for so many bytes in all.
    ///
    /// # Errors
    /// If there is none.
    pub fn hold(&mut self, bytes: u64) -> Result<(), Overload> {
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else {
            return Ok(());
        };
        self.bytes = bytes;
        let before = self.pressure.buffered.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > self.pressure.limits.buffered {
            return Err(Overload::BufferedBytes);
        }
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.pressure.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.pressure.buffered.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn first_of(reached: u8) -> Option<Overload> {
    LASTING.get(usize::try_from(reached.trailing_zeros()).ok()?).copied()
}

fn above(level: u64, limit: u64, was: bool) -> bool {
    level >= if was { limit - limit / 10 } else { limit }
}

fn below(level: u64, limit: u64, was: bool) -> bool {
    level < if was { limit.saturating_add(limit / 10) } else { limit }
}

/// Limits that last longer than a request, in the order in which producers are told of them.
const LASTING: [Overload; 4] = [
    Overload::DiskSpace,
    Overload::QueueBytes,
    Overload::SpoolBytes,
    Overload::OpenDeliveries,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn pressure() -> Arc<Pressure> {
        let ingest = config::Ingest {
            max_in_flight: 2,
            max_buffered_bytes: 100,
            ..config::Ingest::default()
        };
        let queue = config::Queue {
            max_open_deliveries: 1_000,
            organization_percent: 30,
            max_bytes: 1_000,
            min_free_disk_bytes: 1_000,
            spool_max_bytes: 1_000,
            ..config::Queue::default()
        };
        Pressure::new(&ingest, &queue)
    }

    fn levels() -> Levels {
        Levels {
            free_disk_bytes: Some(10_000),
            ..Levels::default()
        }
    }

    fn refused(pressure: &Arc<Pressure>, org_id: u64) -> Option<Overload> {
        pressure.enter(org_id).err()
    }

    #[test]
    fn requests_give_back_what_they_take_up() {
        let pressure = pressure();
        let mut one = pressure.enter(1).unwrap();
        let two = pressure.enter(1).unwrap();
        assert_eq!(refused(&pressure, 1), Some(Overload::InFlight));
        drop(two);
        let mut two = pressure.enter(1).unwrap();
        one.hold(40).unwrap();
        one.hold(60).unwrap();
        assert_eq!(two.hold(41), Err(Overload::BufferedBytes));
        drop(two);
        pressure.enter(1).unwrap().hold(40).unwrap();
        drop(one);
        assert_eq!(pressure.in_flight(), 0);
        assert_eq!(pressure.buffered.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_limit_that_was_reached_holds_until_the_level_is_a_tenth_below() {
        let pressure = pressure();
        for overload in [Overload::QueueBytes, Overload::SpoolBytes, Overload::OpenDeliveries] {
            for (level, expected) in [(999, false), (1_000, true), (901, true), (899, false), (999, false)] {
                let mut levels = levels();
                match overload {
                    Overload::QueueBytes => levels.used_bytes = level,
                    Overload::SpoolBytes => levels.spool_bytes = level,
                    _ => levels.open = level,
                }
                pressure.observe(&levels, &[]);
                assert_eq!(refused(&pressure, 1), expected.then_some(overload), "at {level}");
            }
        }
        for (free, expected) in [(1_000, false), (999, true), (1_099, true), (1_100, false)] {
            let level = Levels {
                free_disk_bytes: Some(free),
                ..levels()
            };
            pressure.observe(&level, &[]);
            assert_eq!(
                refused(&pressure, 1),
                expected.then_some(Overload::DiskSpace),
                "at {free}"
            );
        }
    }

    #[test]
    fn an_organization_over_its_share_stops_only_itself() {
        let pressure = pressure();
        for (open, expected) in [(299, false), (300, true), (280, true), (260, false)] {
            pressure.observe(&levels(), &[(1, open), (2, 100)]);
            assert_eq!(
                refused(&pressure, 1),
                expected.then_some(Overload::OrganizationShare),
                "at {open}"
            );
            assert_eq!(refused(&pressure, 2), None);
        }
    }

    #[test]
    fn draining_ends_when_it_is_said() {
        let pressure = pressure();
        pressure.drain(true);
        assert_eq!(refused(&pressure, 1), Some(Overload::Draining));
        pressure.drain(false);
        assert_eq!(refused(&pressure, 1), None);
    }
}
