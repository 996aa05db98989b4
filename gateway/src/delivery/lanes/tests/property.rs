//! Whatever happens, in whatever order: no two deliveries of one order are under way at a time, none is lost, none comes
//! twice, and no limit is exceeded.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::*;

const IDS: [&str; 4] = ["a", "b", "c", "d"];
const MAX_IN_FLIGHT: usize = 6;

#[derive(Clone, Debug)]
enum Happening {
    /// An event for some subscriptions, each with an order key and due after some time.
    Event(Vec<(usize, Option<u64>, i64)>),
    /// A worker asks for something to do.
    Next,
    /// One of those under way is answered.
    Answer(usize, bool),
    /// One of those that were answered is settled: it goes on, waits, or is over.
    Settle(usize, Fate),
    Pass(i64),
    Jump(i64),
    Hold(usize, bool),
    /// These subscriptions are configured, with this concurrency.
    Configure(u8, u32),
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Settled,
    Dead,
    Again(i64),
    Step(i64),
}

fn happening() -> impl Strategy<Value = Happening> {
    let order = prop_oneof![Just(None), (0..3u64).prop_map(Some)];
    let delivery = (0..IDS.len(), order, prop_oneof![3 => Just(0), 1 => 0..50_000i64]);
    let fate = prop_oneof![
        4 => Just(Fate::Settled),
        1 => Just(Fate::Dead),
        2 => (0..10_000i64).prop_map(Fate::Again),
        1 => (0..10_000i64).prop_map(Fate::Step),
    ];
    prop_oneof![
        4 => proptest::collection::vec(delivery, 1..4).prop_map(Happening::Event),
        8 => Just(Happening::Next),
        6 => (any::<usize>(), any::<bool>()).prop_map(|(which, good)| Happening::Answer(which, good)),
        6 => (any::<usize>(), fate).prop_map(|(which, fate)| Happening::Settle(which, fate)),
        3 => (0..40_000i64).prop_map(Happening::Pass),
        1 => (-3_600_000..3_600_000i64).prop_map(Happening::Jump),
        1 => (0..IDS.len(), any::<bool>()).prop_map(|(which, hold)| Happening::Hold(which, hold)),
        1 => (1..16u8, 1..4u32).prop_map(|(mask, most)| Happening::Configure(mask, most)),
    ]
}

/// What must be true, kept apart from what is tested.
#[derive(Default)]
struct Model {
    open: BTreeMap<DeliveryKey, (usize, Option<u64>)>,
    sending: Vec<Taken<()>>,
    settling: Vec<Taken<()>>,
    concurrency: u32,
}

impl Model {
    fn take(&mut self, taken: Taken<()>) -> TestCaseResult {
        let known = self.open.get(&taken.key).copied();
        prop_assert!(known.is_some(), "{:?} is not open", taken.key);
        let under_way = self.sending.iter().chain(&self.settling);
        for other in under_way {
            prop_assert!(other.key != taken.key, "{:?} is under way already", taken.key);
            let other = self.open.get(&other.key).copied();
            let same = known
                .zip(other)
                .is_some_and(|(one, other)| one == other && one.1.is_some());
            prop_assert!(!same, "two of one order are under way: {known:?}");
        }
        prop_assert!(self.sending.len() + self.settling.len() < MAX_IN_FLIGHT);
        if matches!(taken.duty, Duty::Send { .. }) {
            let lane = |taken: &&Taken<()>| {
                let duty = matches!(taken.duty, Duty::Send { .. });
                duty && self.open.get(&taken.key).map(|(id, _)| *id) == known.map(|(id, _)| id)
            };
            let of_step = self
                .sending
                .iter()
                .filter(lane)
                .filter(|other| other.state.step == taken.state.step);
            prop_assert!(of_step.count() < self.concurrency as usize);
        }
        self.sending.push(taken);
        Ok(())
    }
}

fn configure(rig: &mut Rig, model: &mut Model, mask: u8, most: u32) {
    let chosen = IDS.iter().enumerate().filter(|(place, _)| mask & (1 << place) != 0);
    let all: Vec<(&str, Rules)> = chosen.map(|(place, id)| (*id, rules(place as u64 % 2, most))).collect();
    rig.configure(&all);
    model.concurrency = most;
}

fn happen(rig: &mut Rig, model: &mut Model, happening: Happening) -> TestCaseResult {
    match happening {
        Happening::Event(wanted) => {
            let deliveries = wanted.iter().enumerate().map(|(number, (id, order_key, wait_ms))| {
                open(number as u16, IDS[*id], rig.now.wall_ms + wait_ms, *order_key)
            });
            let seq = rig.deliveries(deliveries.collect());
            for (number, (id, order_key, _)) in wanted.iter().enumerate() {
                let number = number as u16;
                model.open.insert(DeliveryKey { seq, number }, (*id, *order_key));
            }
        }
        Happening::Next => {
            if let Some(taken) = rig.next() {
                model.take(taken)?;
            }
        }
        Happening::Answer(which, good) if !model.sending.is_empty() => {
            let taken = model.sending.swap_remove(which % model.sending.len());
            rig.answer(&taken, &health(if good { Health::Good } else { Health::Bad }));
            model.settling.push(taken);
        }
        Happening::Settle(which, fate) if !model.settling.is_empty() => {
            let taken = model.settling.swap_remove(which % model.settling.len());
            let now = rig.now.wall_ms;
            let next = match fate {
                Fate::Settled => Next::Settled,
                Fate::Dead => Next::Dead {
                    state: taken.state.clone(),
                    retry_ms: None,
                },
                Fate::Again(wait) => again(&taken, now + wait),
                Fate::Step(wait) => Next::Again(DeliveryState {
                    step: Step::Forward(1),
                    due_ms: now + wait,
                    ..taken.state.clone()
                }),
            };
            if matches!(next, Next::Settled | Next::Dead { .. }) {
                model.open.remove(&taken.key);
            }
            rig.settle(&taken, next);
        }
        Happening::Answer(..) | Happening::Settle(..) => {}
        Happening::Pass(ms) => rig.pass(ms),
        Happening::Jump(ms) => rig.jump(ms),
        Happening::Hold(which, hold) => {
            let hold = hold.then(|| Hold::paused(rig.now.wall_ms));
            rig.lanes.hold(IDS[which], hold, rig.now);
        }
        Happening::Configure(mask, most) => configure(rig, model, mask, most),
    }
    let counts = rig.lanes.counts();
    prop_assert_eq!(counts.open, model.open.len());
    prop_assert_eq!(counts.in_flight, model.sending.len() + model.settling.len());
    Ok(())
}

/// Everything is let go, and all that is open comes out, in order.
fn drain(rig: &mut Rig, model: &mut Model) -> TestCaseResult {
    configure(rig, model, 15, 3);
    for id in IDS {
        rig.lanes.hold(id, None, rig.now);
    }
    let mut seen = BTreeSet::new();
    for _ in 0..10_000 {
        if model.open.is_empty() {
            break;
        }
        while let Some(taken) = rig.next() {
            prop_assert!(seen.insert(taken.key));
            model.take(taken)?;
        }
        for taken in std::mem::take(&mut model.sending) {
            rig.answer(&taken, &health(Health::Good));
            model.settling.push(taken);
        }
        for taken in std::mem::take(&mut model.settling) {
            rig.settle(&taken, Next::Settled);
            model.open.remove(&taken.key);
        }
        rig.pass(60_000);
    }
    prop_assert!(model.open.is_empty(), "these never came: {:?}", model.open.keys());
    let left = rig.lanes.counts();
    prop_assert_eq!((left.open, left.in_flight, left.memory_bytes), (0, 0, 0));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_doubled_or_out_of_order(happenings in proptest::collection::vec(happening(), 1..150)) {
        let mut rig = Rig::new(MAX_IN_FLIGHT, 4096);
        let mut model = Model { concurrency: u32::MAX, ..Model::default() };
        for one in happenings {
            happen(&mut rig, &mut model, one)?;
        }
        drain(&mut rig, &mut model)?;
    }
}
