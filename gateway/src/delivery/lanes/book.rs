//! The deliveries with their lanes, and where each of them waits.

use std::sync::Arc;

use filters::delivery::Pass;
use filters::event::Event;

use super::{Duty, EntryIx, LaneIx, Taken, Ticket};
use crate::delivery::entry::{Entry, Place};
use crate::delivery::fair::Reply;
use crate::delivery::hold::Hold;
use crate::delivery::job::Verdict;
use crate::delivery::lane::{Admitted, Lane};
use crate::delivery::memory::Bodies;
use crate::delivery::slab::Slab;
use crate::delivery::stats::Failure;
use crate::delivery::subscriptions::{Mode, Standing, SubscriptionIx, Subscriptions};
use crate::delivery::timer::{Now, Timer, Wake};
use crate::queue::{DeliveryKey, DeliveryState, Step};

/// Deliveries, lanes and subscriptions: everything but whose turn it is.
#[derive(Debug)]
pub(super) struct Book<E> {
    pub(super) entries: Slab<EntryIx, Entry>,
    pub(super) lanes: Slab<LaneIx, Lane>,
    pub(super) subscriptions: Subscriptions<E>,
    pub(super) timer: Timer,
    pub(super) bodies: Bodies,
}

impl<E> Book<E> {
    /// Without deliveries.
    pub(super) fn new(memory_bytes: usize) -> Self {
        Self {
            entries: Slab::new(),
            lanes: Slab::new(),
            subscriptions: Subscriptions::new(),
            timer: Timer::default(),
            bodies: Bodies::new(memory_bytes),
        }
    }

    /// Takes a delivery in, which waits nowhere yet.
    pub(super) fn add(
        &mut self,
        key: DeliveryKey,
        accepted_ms: i64,
        subscription: &Arc<str>,
        state: DeliveryState,
        now: Now,
    ) -> EntryIx {
        let subscription = self.subscriptions.find_or_add(subscription, now);
        let lane = self.lane_of(subscription, state.step);
        self.lanes[lane].depth += 1;
        self.subscriptions[subscription].depth += 1;
        self.entries.insert(Entry::new(key, accepted_ms, subscription, state))
    }

    /// Puts a delivery behind those with its order key, or in its lane: the lane, if it is there.
    pub(super) fn line_up(&mut self, ix: EntryIx, event: Option<&Arc<Event>>, now: Now) -> Option<LaneIx> {
        let entry = &self.entries[ix];
        let (subscription, key) = (entry.subscription, entry.key());
        let is_first = entry.order_key().is_none_or(|order_key| {
            let orders = &mut self.subscriptions[subscription].orders;
            orders.enter(order_key, ix, key, |other| self.entries[other].key())
        });
        if is_first {
            return Some(self.schedule(ix, event, now));
        }
        if let Some(event) = event {
            self.keep_body(ix, event);
        }
        None
    }

    /// Offers an attempt to a lane that may have `room` of them under way.
    pub(super) fn offer(&mut self, ix: LaneIx, room: usize, now: Now) -> Reply<Taken<E>> {
        let lane = &mut self.lanes[ix];
        if lane.held >= room {
            return Reply::Waits;
        }
        // The organization whose turn it is, even if the lane belongs to another one by now.
        let org = lane.in_turn_of.take().unwrap_or(lane.org);
        if !lane.has_ready() {
            return Reply::Leaves;
        }
        let Some((duty, most)) = self.admit(ix, now) else {
            return Reply::Leaves;
        };
        let lane = &mut self.lanes[ix];
        let Some(entry_ix) = lane.pop() else {
            return Reply::Leaves;
        };
        lane.held += 1;
        let wants_more = lane.has_ready() && lane.sending < most;
        lane.in_turn_of = wants_more.then_some(org);
        let entry = &mut self.entries[entry_ix];
        entry.place = Place::InFlight;
        let taken = Taken {
            ticket: Ticket {
                entry: entry_ix,
                lane: ix,
                org,
            },
            key: entry.key(),
            accepted_ms: entry.accepted_ms,
            state: entry.state(),
            event: self.bodies.get(entry.seq()).cloned(),
            duty,
        };
        Reply::Takes {
            what: taken,
            cost: cost(self.bodies.bytes_of(entry.seq())),
            wants_more,
        }
    }

    /// What a lane may do now, which is counted already, and how much of it at a time.
    fn admit(&mut self, ix: LaneIx, now: Now) -> Option<(Duty<E>, u32)> {
        let lane = &mut self.lanes[ix];
        let subscription = &self.subscriptions[lane.subscription];
        match (subscription.mode(now), &subscription.standing) {
            (Mode::Send(rules), Standing::Configured { endpoint, .. }) => match lane.admit(rules, now) {
                Admitted::Yes(pass) => {
                    let (endpoint, longest) = (Arc::clone(endpoint), rules.longest_attempt);
                    Some((
                        Duty::Send {
                            endpoint,
                            pass,
                            longest,
                        },
                        rules.max_concurrency,
                    ))
                }
                Admitted::Until(until, _) => {
                    let wake = Wake::at_mono(until);
                    self.timer.set(ix, std::mem::replace(&mut lane.wake, wake), wake);
                    None
                }
                Admitted::Busy | Admitted::Deactivated => None,
            },
            (Mode::Bury, Standing::Missing { last, .. }) if lane.sending < BURIALS => {
                lane.sending += 1;
                let (id, last) = (Arc::clone(&subscription.id), last.clone());
                Some((Duty::Bury { id, last }, BURIALS))
            }
            _ => None,
        }
    }

    /// Takes in what an attempt says of its endpoint.
    pub(super) fn answered(
        &mut self,
        ix: LaneIx,
        pass: Pass,
        verdict: &Verdict,
        failure: Option<Failure>,
        now: Now,
    ) -> Option<(Arc<str>, Hold)> {
        let lane = &mut self.lanes[ix];
        let gave_up = lane.answered(pass, verdict.health, verdict.pause_until_ms, now);
        if failure.is_some() {
            lane.last_error = failure;
        }
        let subscription = &mut self.subscriptions[lane.subscription];
        if subscription.hold.is_some() {
            return None;
        }
        let hold = match &verdict.disable {
            Some(reason) => Hold::disabled(reason.clone(), now.wall_ms),
            None if gave_up => {
                let last = lane.last_error.as_ref().map(|failure| failure.message.as_str());
                Hold::deactivated(last, now.wall_ms)
            }
            None => return None,
        };
        subscription.hold = Some(hold.clone());
        Some((Arc::clone(&subscription.id), hold))
    }

    /// A burial is over.
    pub(super) fn buried(&mut self, ix: LaneIx) {
        let lane = &mut self.lanes[ix];
        lane.sending = lane.sending.saturating_sub(1);
    }

    /// An attempt is settled.
    pub(super) fn release(&mut self, ix: LaneIx) {
        let lane = &mut self.lanes[ix];
        lane.held = lane.held.saturating_sub(1);
    }

    /// Goes on with a delivery in another state: its lane if it waits there, and the lane of the one that it let pass.
    pub(super) fn go_on(
        &mut self,
        ix: EntryIx,
        state: DeliveryState,
        event: &Arc<Event>,
        now: Now,
    ) -> (Option<LaneIx>, Option<LaneIx>) {
        let entry = &mut self.entries[ix];
        let (subscription, old_step, old_order) = (entry.subscription, entry.step(), entry.order_key());
        entry.update(state);
        let (step, order) = (entry.step(), entry.order_key());
        if step != old_step {
            self.count(subscription, old_step, -1);
            self.count(subscription, step, 1);
        }
        if order == old_order {
            return (Some(self.schedule(ix, Some(event), now)), None);
        }
        let passed = self.leave_line(subscription, old_order, ix, now);
        (self.line_up(ix, Some(event), now), passed)
    }

    /// A delivery is due again after `wait_ms`, in the same state.
    pub(super) fn postpone(&mut self, ix: EntryIx, lane: LaneIx, wait_ms: i64, now: Now) {
        let until_ms = now.mono_ms().saturating_add(wait_ms);
        self.lanes[lane].push_until(ix, &mut self.entries[ix], until_ms);
    }

    /// Forgets a delivery: its subscription, and the lane of the one that comes after it.
    pub(super) fn remove(&mut self, ix: EntryIx, now: Now) -> (SubscriptionIx, Option<LaneIx>) {
        self.drop_body(ix);
        let (subscription, step, order) = {
            let entry = &self.entries[ix];
            (entry.subscription, entry.step(), entry.order_key())
        };
        self.count(subscription, step, -1);
        self.subscriptions[subscription].depth -= 1;
        let next = self.leave_line(subscription, order, ix, now);
        self.entries.remove(ix);
        (subscription, next)
    }

    /// Those of `keys` that are not in flight, among some deliveries from the place `from` on; and where to go on.
    pub(super) fn find(&self, keys: &[DeliveryKey], from: u32) -> (Vec<(DeliveryKey, EntryIx)>, Option<u32>) {
        let (some, next) = self.entries.some_from(from);
        let waiting = some.filter(|(_, entry)| entry.place != Place::InFlight);
        let named = waiting.map(|(ix, entry)| (entry.key(), ix));
        (named.filter(|(key, _)| keys.contains(key)).collect(), next)
    }

    /// Takes a delivery out of the lane that it waits in.
    pub(super) fn take_out(&mut self, ix: EntryIx) {
        let entry = &self.entries[ix];
        let lane = self.subscriptions[entry.subscription].lane(entry.step());
        if let Some(lane) = lane {
            self.lanes[lane].withdraw(ix, entry.place);
        }
    }

    /// The timer rang for a lane: its subscription.
    pub(super) fn woken(&mut self, ix: LaneIx, gone: Wake) -> SubscriptionIx {
        let lane = &mut self.lanes[ix];
        if gone.mono_ms.is_some() {
            lane.wake.mono_ms = None;
        }
        if gone.wall_ms.is_some() {
            lane.wake.wall_ms = None;
        }
        lane.subscription
    }

    /// Sets the timer for a lane. If the lane wants to make an attempt and is not in turn: the organization in whose
    /// turn it is to be.
    pub(super) fn refresh(&mut self, ix: LaneIx, now: Now) -> Option<u64> {
        let lane = &mut self.lanes[ix];
        let subscription = &self.subscriptions[lane.subscription];
        let (wants_turn, wake) = match subscription.mode(now) {
            Mode::Shut => (false, Wake::default()),
            Mode::Missing(until) => (false, Wake::at_mono(until)),
            Mode::Bury => {
                lane.promote(&mut self.entries, now, true);
                (lane.has_ready() && lane.sending < BURIALS, Wake::default())
            }
            Mode::Send(rules) => {
                lane.org = rules.org_id;
                lane.promote(&mut self.entries, now, false);
                match lane.barrier(now) {
                    Some((until, _)) if lane.has_ready() => (false, Wake::at_mono(until)),
                    _ => (
                        lane.has_ready() && lane.sending < rules.max_concurrency,
                        lane.next_due(),
                    ),
                }
            }
        };
        if wake != lane.wake {
            self.timer.set(ix, std::mem::replace(&mut lane.wake, wake), wake);
        }
        if !wants_turn || lane.in_turn_of.is_some() {
            return None;
        }
        lane.in_turn_of = Some(lane.org);
        Some(lane.org)
    }

    /// The lane of a step, made if it is not there.
    fn lane_of(&mut self, subscription: SubscriptionIx, step: Step) -> LaneIx {
        if let Some(known) = self.subscriptions[subscription].lane(step) {
            return known;
        }
        let mut lane = Lane::new(subscription, step);
        if let Some(rules) = self.subscriptions[subscription].rules() {
            lane.org = rules.org_id;
        }
        let lane = self.lanes.insert(lane);
        self.subscriptions[subscription].lanes.push((step, lane));
        lane
    }

    /// Puts a delivery in its lane, for now or for its time.
    pub(super) fn schedule(&mut self, ix: EntryIx, event: Option<&Arc<Event>>, now: Now) -> LaneIx {
        let (subscription, step) = (self.entries[ix].subscription, self.entries[ix].step());
        let lane = self.lane_of(subscription, step);
        let is_over = self.subscriptions[subscription].mode(now) == Mode::Bury;
        let entry = &mut self.entries[ix];
        let due_ms = entry.due_ms;
        if is_over || due_ms <= now.wall_ms || entry.is_immediate() {
            self.lanes[lane].push_ready(ix, entry);
        } else {
            self.lanes[lane].push_later(ix, entry, now);
        }
        if due_ms.saturating_sub(now.wall_ms) > KEEP_BODY_MS {
            self.drop_body(ix);
        } else if let Some(event) = event {
            self.keep_body(ix, event);
        }
        lane
    }

    fn leave_line(
        &mut self,
        subscription: SubscriptionIx,
        order_key: Option<u64>,
        ix: EntryIx,
        now: Now,
    ) -> Option<LaneIx> {
        let next = self.subscriptions[subscription].orders.leave(order_key?, ix)?;
        Some(self.schedule(next, None, now))
    }

    fn count(&mut self, subscription: SubscriptionIx, step: Step, by: isize) {
        let lane = self.lane_of(subscription, step);
        let lane = &mut self.lanes[lane];
        lane.depth = lane.depth.saturating_add_signed(by);
    }

    /// Keeps the event of a delivery in memory, if there is room and the subscription does not have too much already.
    fn keep_body(&mut self, ix: EntryIx, event: &Arc<Event>) {
        let entry = &mut self.entries[ix];
        let subscription = &mut self.subscriptions[entry.subscription];
        let share = self.bodies.budget() / BODY_SHARE;
        if entry.keeps_body || subscription.body_bytes >= share {
            return;
        }
        if let Some(bytes) = self.bodies.keep(entry.seq(), event) {
            entry.keeps_body = true;
            subscription.body_bytes += bytes;
        }
    }

    fn drop_body(&mut self, ix: EntryIx) {
        let entry = &mut self.entries[ix];
        if std::mem::take(&mut entry.keeps_body) {
            let bytes = self.bodies.release(entry.seq());
            let subscription = &mut self.subscriptions[entry.subscription];
            subscription.body_bytes = subscription.body_bytes.saturating_sub(bytes);
        }
    }
}

/// Turns that an event of so many bytes costs.
fn cost(bytes: usize) -> i64 {
    1 + i64::try_from(bytes / BYTES_OF_A_TURN).map_or(MOST_TURNS, |turns| turns.min(MOST_TURNS))
}

/// Bytes of an event that cost a turn more.
const BYTES_OF_A_TURN: usize = 64 * 1024;
/// The most that an event costs.
const MOST_TURNS: i64 = 63;
/// An event that is due later than this leaves memory.
const KEEP_BODY_MS: i64 = 60_000;
/// A subscription may have this part of the memory for its events, so that one that hangs leaves room for the others.
const BODY_SHARE: usize = 16;
/// Dead letters of one deleted subscription that are being written at a time.
const BURIALS: u32 = 4;
