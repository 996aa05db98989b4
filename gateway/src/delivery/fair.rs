//! Who may make the next attempt: fair shares between organizations, and between the lanes of each.
//!
//! Organizations take turns (deficit round robin: an attempt with a large event costs several turns), and so do the lanes of
//! an organization. How many attempts one of them may have under way depends on what is free: an organization gets a fixed
//! multiple of what is free, a lane at most what its organization may still take. So one that hangs gets its share of
//! all permits and no more, and however many hang, there is always something left for the others.

use std::collections::{HashMap, VecDeque};

use ahash::RandomState;

use super::lanes::LaneIx;

/// The attempts that may be under way, and who is waiting for one.
#[derive(Debug)]
pub(super) struct Shares {
    max: usize,
    /// The most that one organization gets while it is alone, in percent.
    percent: usize,
    in_flight: usize,
    organizations: HashMap<u64, Organization, RandomState>,
    /// Organizations with lanes that want to make an attempt, in turn.
    turns: VecDeque<u64>,
    /// True if nobody in turn may take any of what is free.
    is_stuck: bool,
}

#[derive(Debug, Default)]
struct Organization {
    in_flight: usize,
    /// Lanes that want to make an attempt, in turn.
    lanes: VecDeque<LaneIx>,
    is_in_turn: bool,
    credit: i64,
}

/// What a lane makes of the offer of an attempt.
#[derive(Debug)]
pub(super) enum Reply<T> {
    /// It takes it.
    Takes {
        /// What it is taken for.
        what: T,
        /// Turns that it costs; at least 1.
        cost: i64,
        /// True if the lane wants another one.
        wants_more: bool,
    },
    /// It has as many as it may have, and stays in turn.
    Waits,
    /// It wants none now.
    Leaves,
}

impl Shares {
    /// At most `max` attempts under way at a time, `percent` of them for one organization.
    pub(super) fn new(max: usize, percent: u8) -> Self {
        Self {
            max: max.max(1),
            percent: usize::from(percent.clamp(1, 100)),
            in_flight: 0,
            organizations: HashMap::default(),
            turns: VecDeque::new(),
            is_stuck: false,
        }
    }

    /// Attempts under way.
    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The most attempts under way.
    pub(super) const fn max(&self) -> usize {
        self.max
    }

    /// True if somebody may be able to make an attempt.
    pub(super) fn has_work(&self) -> bool {
        !self.is_stuck && !self.turns.is_empty() && self.in_flight < self.max
    }

    /// `lane` of `org` wants to make attempts. It must not be in turn already.
    pub(super) fn enter(&mut self, org: u64, lane: LaneIx) {
        let organization = self.organizations.entry(org).or_default();
        organization.lanes.push_back(lane);
        if !organization.is_in_turn {
            organization.is_in_turn = true;
            self.turns.push_back(org);
        }
        self.is_stuck = false;
    }

    /// `lane` of `org` is not there any more.
    pub(super) fn leave(&mut self, org: u64, lane: LaneIx) {
        if let Some(organization) = self.organizations.get_mut(&org) {
            organization.lanes.retain(|other| *other != lane);
        }
    }

    /// Offers an attempt to those in turn until one takes it. `offer` gets the lane, and how many attempts the lane may
    /// have under way with this one.
    pub(super) fn next<T>(&mut self, mut offer: impl FnMut(LaneIx, usize) -> Reply<T>) -> Option<T> {
        let mut refused = 0;
        while refused < self.turns.len() && self.in_flight < self.max {
            let org = *self.turns.front()?;
            let free = self.max - self.in_flight;
            let organization = self.organizations.entry(org).or_default();
            let room = organization.room(free, self.percent);
            if room > 0 && !organization.has_credit() {
                refused = 0;
                self.turns.rotate_left(1);
                continue;
            }
            let taken = if room > 0 {
                organization.offer(room, &mut offer)
            } else {
                None
            };
            if organization.lanes.is_empty() {
                organization.is_in_turn = false;
                self.turns.pop_front();
            } else if taken.is_none() || organization.credit <= 0 {
                self.turns.rotate_left(1);
                refused += 1;
            }
            if taken.is_some() {
                self.in_flight += 1;
                return taken;
            }
        }
        self.is_stuck = true;
        None
    }

    /// At most `max` attempts under way from now on.
    pub(super) fn limit(&mut self, max: usize) {
        if self.max != max.max(1) {
            self.max = max.max(1);
            self.is_stuck = false;
        }
    }

    /// An attempt of `org` is over.
    pub(super) fn release(&mut self, org: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.is_stuck = false;
        if let Some(organization) = self.organizations.get_mut(&org) {
            organization.in_flight = organization.in_flight.saturating_sub(1);
        }
    }
}

impl Organization {
    /// How many more it may have under way while `free` are free. It ends at `percent` of all if it is alone.
    fn room(&self, free: usize, percent: usize) -> usize {
        let most = if percent == 100 {
            usize::MAX
        } else {
            free * percent / (100 - percent)
        };
        let room = most.saturating_sub(self.in_flight).min(free);
        if self.in_flight == 0 { room.max(1) } else { room }
    }

    /// Each turn earns a credit, and who owes some waits for a later turn.
    const fn has_credit(&mut self) -> bool {
        if self.credit <= 0 {
            self.credit += 1;
        }
        self.credit > 0
    }

    fn offer<T>(&mut self, room: usize, offer: &mut impl FnMut(LaneIx, usize) -> Reply<T>) -> Option<T> {
        for _ in 0..self.lanes.len() {
            let lane = self.lanes.pop_front()?;
            match offer(lane, room) {
                Reply::Takes { what, cost, wants_more } => {
                    if wants_more {
                        self.lanes.push_back(lane);
                    }
                    self.credit -= cost;
                    self.in_flight += 1;
                    return Some(what);
                }
                Reply::Waits => self.lanes.push_back(lane),
                Reply::Leaves => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn lane(number: u32) -> LaneIx {
        LaneIx(number)
    }

    fn always(cost: i64) -> impl FnMut(LaneIx, usize) -> Reply<u32> {
        move |lane, _| Reply::Takes {
            what: lane.0,
            cost,
            wants_more: true,
        }
    }

    #[test]
    fn organizations_take_turns_whatever_the_number_of_their_lanes() {
        let mut shares = Shares::new(10_000, 100);
        for number in 0..100 {
            shares.enter(1, lane(number));
        }
        shares.enter(2, lane(1000));
        let taken: Vec<u32> = (0..1000).filter_map(|_| shares.next(always(1))).collect();
        let of_second = taken.iter().filter(|lane| **lane == 1000).count();
        assert_eq!((taken.len(), of_second), (1000, 500));
        let mut by_lane: BTreeMap<u32, usize> = BTreeMap::new();
        for lane in taken.iter().filter(|lane| **lane < 1000) {
            *by_lane.entry(*lane).or_default() += 1;
        }
        assert!(by_lane.len() == 100 && by_lane.values().all(|count| *count == 5));
    }

    #[test]
    fn large_events_cost_several_turns() {
        let mut shares = Shares::new(10_000, 100);
        shares.enter(1, lane(1));
        shares.enter(2, lane(2));
        let cost = |lane: LaneIx, _: usize| Reply::Takes {
            what: lane.0,
            cost: if lane.0 == 1 { 9 } else { 1 },
            wants_more: true,
        };
        let taken: Vec<u32> = (0..1000).filter_map(|_| shares.next(cost)).collect();
        let large = taken.iter().filter(|lane| **lane == 1).count();
        assert!((95..=105).contains(&large), "{large}");
    }

    #[test]
    fn one_lane_that_hangs_leaves_room_for_its_own_organization_and_for_others() {
        let mut shares = Shares::new(100, 60);
        let mut under_way: BTreeMap<u32, usize> = BTreeMap::new();
        for number in 0..3 {
            shares.enter(1, lane(number));
        }
        let take = |shares: &mut Shares, under_way: &mut BTreeMap<u32, usize>| {
            let mut taken = 0;
            while let Some(lane) = shares.next(|lane, room| {
                if under_way.get(&lane.0).copied().unwrap_or_default() >= room {
                    return Reply::Waits;
                }
                Reply::Takes {
                    what: lane.0,
                    cost: 1,
                    wants_more: true,
                }
            }) {
                *under_way.entry(lane).or_default() += 1;
                taken += 1;
            }
            taken
        };
        assert!(take(&mut shares, &mut under_way) >= 50);
        assert!(!shares.has_work(), "nobody may take more, so nobody is to be called");
        let before = shares.in_flight();
        for org in 2..6 {
            shares.enter(org, lane(u32::try_from(org * 10).unwrap_or_default()));
            assert!(shares.has_work());
            assert!(take(&mut shares, &mut under_way) > 0, "organization {org}");
        }
        assert!(before < shares.in_flight() && shares.in_flight() < 100);
    }

    #[test]
    fn never_more_than_the_maximum_and_all_of_it_if_many_want_it() {
        let mut shares = Shares::new(7, 50);
        for number in 0..50 {
            shares.enter(u64::from(number), lane(number));
        }
        let taken = std::iter::from_fn(|| shares.next(always(1))).count();
        assert_eq!((taken, shares.in_flight()), (7, 7));
        assert!(!shares.has_work());
        shares.release(0);
        assert!(shares.has_work());
        assert!(shares.next(always(1)).is_some());
        assert!(shares.next(always(1)).is_none());
    }

    #[test]
    fn a_single_permit_is_enough() {
        let mut shares = Shares::new(0, 1);
        shares.enter(1, lane(1));
        assert_eq!(shares.next(always(1)), Some(1));
        shares.release(1);
        assert_eq!(shares.next(always(64)), Some(1));
        shares.release(1);
        assert_eq!(
            shares.next(always(1)),
            Some(1),
            "who owes turns is not shut out when alone"
        );
    }
}
