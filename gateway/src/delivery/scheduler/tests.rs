use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use filters::delivery::Health;
use filters::event::Event;
use filters::model::delivery::DeliveryRecord;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{sleep, timeout};

use super::super::hold::{Cause, NotKept};
use super::super::job::{Job, Outcome, Verdict};
use super::super::subscriptions::Rules;
use super::super::testing::{event, open, rules};
use super::super::work::{Crash, Unread, Unsettled};
use super::*;
use crate::queue::{DeliveryState, Next, OpenDelivery, Seq, Settlement};

/// Endpoints and a queue that do what a test tells them.
#[derive(Default)]
struct World {
    /// Open deliveries, as a queue would have them.
    open: Mutex<BTreeMap<DeliveryKey, OpenDelivery>>,
    events: Mutex<HashMap<Seq, Arc<Event>>>,
    /// Attempts in the order of their beginning.
    attempts: Mutex<Vec<(Arc<str>, DeliveryKey)>>,
    under_way: Mutex<HashMap<Arc<str>, usize>>,
    most_under_way: AtomicUsize,
    /// While true nothing is written.
    disk_is_full: AtomicBool,
    refused_writes: AtomicUsize,
    /// While true even what becomes of a crashed attempt cannot be said.
    is_broken: AtomicBool,
    buried: AtomicUsize,
    holds: Mutex<BTreeMap<Arc<str>, Option<Hold>>>,
    next_seq: AtomicI64,
    written: Notify,
}

/// What an endpoint does.
#[derive(Clone, Debug)]
enum Manner {
    /// It answers after so long.
    Good(Duration),
    /// It never answers.
    Hangs,
    /// The attempt has a bug.
    Panics,
    /// It answers once it may.
    Gated(Arc<Semaphore>),
    /// It says that it is gone.
    Gone,
}

struct Endpoint {
    id: Arc<str>,
    manner: Manner,
}

#[derive(Clone, Default)]
struct Partner(Arc<World>);

impl Work for Partner {
    type Endpoint = Endpoint;

    async fn attempt(&self, job: Job, endpoint: &Arc<Endpoint>) -> Outcome {
        let world = &self.0;
        world.attempts.lock().push((Arc::clone(&endpoint.id), job.key));
        let _guard = UnderWay::enter(world, &endpoint.id);
        let disable = match &endpoint.manner {
            Manner::Good(time) => {
                sleep(*time).await;
                None
            }
            Manner::Hangs => std::future::pending().await,
            Manner::Panics => panic!("a bug"),
            Manner::Gated(gate) => {
                gate.acquire().await.unwrap().forget();
                None
            }
            Manner::Gone => Some("410".to_owned()),
        };
        Outcome {
            settlement: settlement(&job, Next::Settled),
            verdict: Verdict {
                health: Health::Good,
                disable,
                ..Verdict::default()
            },
        }
    }

    fn crashed(&self, job: &Job, _: &Arc<Endpoint>, _: Crash) -> Outcome {
        assert!(!self.0.is_broken.load(Ordering::SeqCst), "another bug");
        let state = DeliveryState {
            attempts: job.state.attempts + 1,
            due_ms: wall_ms() + 60_000,
            ..job.state.clone()
        };
        Outcome {
            settlement: settlement(job, Next::Again(state)),
            verdict: Verdict::default(),
        }
    }

    fn bury(&self, job: &Job, _: &Arc<str>, _: Option<&Arc<Endpoint>>) -> Settlement {
        self.0.buried.fetch_add(1, Ordering::SeqCst);
        let state = job.state.clone();
        settlement(job, Next::Dead { state, retry_ms: None })
    }

    async fn settle(&self, settlement: &Arc<Settlement>) -> Result<(), Unsettled> {
        sleep(Duration::from_millis(1)).await;
        if self.0.disk_is_full.load(Ordering::SeqCst) {
            self.0.refused_writes.fetch_add(1, Ordering::SeqCst);
            self.0.written.notify_waiters();
            return Err(Unsettled::Later("the disk is full".to_owned()));
        }
        let mut open = self.0.open.lock();
        match &settlement.next {
            Next::Again(state) => open.get_mut(&settlement.key).ok_or(Unsettled::Gone)?.state = state.clone(),
            Next::Settled | Next::Dead { .. } | Next::StillDead { .. } => {
                open.remove(&settlement.key).ok_or(Unsettled::Gone)?;
            }
        }
        self.0.written.notify_waiters();
        Ok(())
    }

    async fn event(&self, seq: Seq) -> Result<Arc<Event>, Unread> {
        self.0.events.lock().get(&seq).cloned().ok_or(Unread::Missing)
    }

    async fn remember(&self, subscription: Arc<str>, hold: Option<&Hold>) -> Result<(), NotKept> {
        if self.0.disk_is_full.load(Ordering::SeqCst) {
            return Err(NotKept("the disk is full".to_owned()));
        }
        self.0.holds.lock().insert(subscription, hold.cloned());
        self.0.written.notify_waiters();
        Ok(())
    }

    fn room_percent(&self) -> u8 {
        100
    }
}

struct UnderWay<'w>(&'w World, &'w str);

impl<'w> UnderWay<'w> {
    fn enter(world: &'w World, id: &'w Arc<str>) -> Self {
        let mut under_way = world.under_way.lock();
        *under_way.entry(Arc::clone(id)).or_default() += 1;
        world
            .most_under_way
            .fetch_max(under_way.values().sum(), Ordering::SeqCst);
        Self(world, id)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        *self.0.under_way.lock().get_mut(self.1).unwrap() -= 1;
    }
}

fn settlement(job: &Job, next: Next) -> Settlement {
    Settlement {
        key: job.key,
        next,
        records: Vec::<DeliveryRecord>::new(),
    }
}

/// Virtual time, as tokio tells it.
fn wall_ms() -> i64 {
    static START: OnceLock<std::time::Instant> = OnceLock::new();
    let start = START.get_or_init(std::time::Instant::now);
    let passed = Instant::now().into_std().saturating_duration_since(*start);
    1_700_000_000_000 + passed.as_millis() as i64
}

struct Rig {
    world: Arc<World>,
    scheduler: Scheduler<Partner>,
    endpoints: BTreeMap<&'static str, (Arc<Endpoint>, Rules)>,
}

impl Rig {
    fn new(settings: Settings) -> Self {
        let partner = Partner::default();
        let scheduler = Scheduler::new(settings, Clock::new(wall_ms));
        let rig = Self {
            world: Arc::clone(&partner.0),
            scheduler,
            endpoints: BTreeMap::new(),
        };
        rig.scheduler.start(partner, Handle::current(), Vec::new());
        rig
    }

    fn endpoint(&mut self, id: &'static str, manner: Manner, rules: Rules) {
        let endpoint = Endpoint { id: id.into(), manner };
        self.endpoints.insert(id, (Arc::new(endpoint), rules));
    }

    fn configure(&self) {
        let all = self.endpoints.values().map(|(endpoint, rules)| Configured {
            id: Arc::clone(&endpoint.id),
            endpoint: Arc::clone(endpoint),
            rules: rules.clone(),
        });
        self.scheduler.configure(all);
    }

    /// An event with a delivery to each of `ids`, as the queue hands it over.
    fn event(&self, ids: &[&str], order_key: Option<u64>) {
        let seq = self.world.next_seq.fetch_add(1, Ordering::SeqCst);
        let deliveries = ids.iter().enumerate();
        let deliveries = deliveries.map(|(number, id)| open(number as u16, id, wall_ms(), order_key));
        let deliveries: Vec<OpenDelivery> = deliveries.collect();
        for delivery in &deliveries {
            let number = delivery.number;
            self.world
                .open
                .lock()
                .insert(DeliveryKey { seq, number }, delivery.clone());
        }
        let event = event(seq, 100);
        self.world.events.lock().insert(seq, Arc::clone(&event));
        self.scheduler.hand(vec![Handed {
            seq,
            accepted_ms: wall_ms(),
            event: Some(event),
            deliveries,
        }]);
    }

    /// Waits until so many deliveries are open.
    async fn until_open(&self, count: usize) {
        self.until(|world| world.open.lock().len() <= count).await;
        assert_eq!(self.world.open.lock().len(), count);
    }

    async fn until(&self, reached: impl Fn(&World) -> bool) {
        let wait = async {
            loop {
                let written = self.world.written.notified();
                tokio::pin!(written);
                written.as_mut().enable();
                if reached(&self.world) {
                    return;
                }
                written.await;
            }
        };
        timeout(Duration::from_secs(3600), wait)
            .await
            .expect("it never came to that");
    }

    /// Waits until nothing is under way although more could be.
    async fn idle(&self) {
        self.scheduler.stop();
        assert!(self.scheduler.idle(Duration::from_secs(60)).await);
    }

    fn of(&self, id: &str) -> Vec<DeliveryKey> {
        let attempts = self.world.attempts.lock();
        attempts
            .iter()
            .filter(|(other, _)| &**other == id)
            .map(|(_, key)| *key)
            .collect()
    }
}

fn settings(max_in_flight: usize) -> Settings {
    Settings {
        max_in_flight,
        organization_percent: 50,
        memory_bytes: 1 << 20,
    }
}

fn quick() -> Manner {
    Manner::Good(Duration::from_millis(2))
}

#[tokio::test(start_paused = true)]
async fn every_delivery_is_made_once() {
    let mut rig = Rig::new(settings(100));
    rig.endpoint("a", quick(), rules(1, 7));
    rig.endpoint("b", quick(), rules(2, 50));
    rig.configure();
    for number in 0..500 {
        rig.event(&["a", "b"], Some(number % 5));
    }
    rig.until_open(0).await;
    rig.idle().await;
    for id in ["a", "b"] {
        let mut keys = rig.of(id);
        assert_eq!(keys.len(), 500);
        let by_order = |rest: i64| keys.iter().filter(move |key| key.seq % 5 == rest).map(|key| key.seq);
        assert!((0..5).all(|rest| by_order(rest).is_sorted()));
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 500);
    }
    let stats = rig.scheduler.stats().await;
    assert_eq!((stats.open, stats.in_flight, stats.memory_bytes), (0, 0, 0));
    assert_eq!((stats.totals.attempts, stats.totals.settled), (1000, 1000));
}

#[tokio::test(start_paused = true)]
async fn no_more_are_under_way_than_may_be() {
    let mut rig = Rig::new(Settings {
        organization_percent: 100,
        ..settings(9)
    });
    for (id, org) in [("a", 1), ("b", 2), ("c", 3)] {
        rig.endpoint(id, quick(), rules(org, 1000));
    }
    rig.configure();
    for _ in 0..200 {
        rig.event(&["a", "b", "c"], None);
    }
    rig.until_open(0).await;
    let most = rig.world.most_under_way.load(Ordering::SeqCst);
    assert!((6..=9).contains(&most), "{most}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_hangs_costs_its_neighbours_nothing() {
    let mut rig = Rig::new(settings(64));
    let mut patient = rules(1, 1000);
    patient.longest_attempt = Duration::from_secs(600);
    rig.endpoint("hung", Manner::Hangs, patient);
    rig.endpoint("neighbour", quick(), rules(1, 10));
    rig.endpoint("stranger", quick(), rules(2, 10));
    rig.configure();
    for _ in 0..300 {
        rig.event(&["hung", "neighbour", "stranger"], None);
    }
    let begin = Instant::now();
    rig.until_open(300).await;
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert!(rig.of("hung").len() < 40);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_outlasts_everything_or_panics_frees_its_lane() {
    let mut rig = Rig::new(settings(64));
    rig.endpoint("hung", Manner::Hangs, rules(1, 2));
    rig.endpoint("buggy", Manner::Panics, rules(1, 2));
    rig.configure();
    for _ in 0..10 {
        rig.event(&["hung", "buggy"], None);
    }
    let retried = |world: &World| world.open.lock().values().all(|delivery| delivery.state.attempts > 0);
    rig.until(retried).await;
    assert_eq!(rig.world.open.lock().len(), 20, "they are tried again");
    assert!(rig.scheduler.stats().await.totals.crashed >= 20);
}

#[tokio::test(start_paused = true)]
async fn a_fault_beside_an_attempt_gives_the_delivery_back() {
    let mut rig = Rig::new(settings(64));
    rig.endpoint("buggy", Manner::Panics, rules(1, 1));
    rig.configure();
    rig.world.is_broken.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        rig.event(&["buggy"], Some(1));
    }
    // Each minute the first one is tried again, in the same state.
    sleep(Duration::from_secs(150)).await;
    let stats = rig.scheduler.stats().await;
    assert_eq!((stats.open, stats.in_flight), (3, 0));
    assert_eq!(rig.of("buggy").iter().map(|key| key.seq).collect::<Vec<_>>(), [0, 0, 0]);
    rig.endpoint("buggy", quick(), rules(1, 1));
    rig.configure();
    rig.until_open(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_was_called_off_during_its_attempt_is_not_tried_again() {
    let mut rig = Rig::new(settings(8));
    rig.endpoint("hung", Manner::Hangs, rules(1, 1));
    rig.configure();
    rig.event(&["hung"], Some(1));
    sleep(Duration::from_secs(1)).await;
    rig.world.open.lock().clear();
    // The attempt is given up after a minute, and would be repeated after another.
    sleep(Duration::from_secs(300)).await;
    assert_eq!(rig.of("hung").len(), 1);
    let stats = rig.scheduler.stats().await;
    assert_eq!((stats.open, stats.in_flight), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn while_the_disk_is_full_nothing_new_is_sent_and_nothing_is_sent_twice() {
    let mut rig = Rig::new(settings(64));
    rig.endpoint("a", quick(), rules(1, 4));
    rig.configure();
    rig.world.disk_is_full.store(true, Ordering::SeqCst);
    for _ in 0..100 {
        rig.event(&["a"], None);
    }
    rig.until(|world| world.refused_writes.load(Ordering::SeqCst) > 30)
        .await;
    let sent = rig.of("a").len();
    assert!(sent < 20, "{sent}");
    sleep(Duration::from_secs(600)).await;
    assert_eq!(rig.of("a").len(), sent);
    rig.world.disk_is_full.store(false, Ordering::SeqCst);
    rig.until_open(0).await;
    assert_eq!(rig.of("a").len(), 100, "an outcome is kept until it is written");
}

#[tokio::test(start_paused = true)]
async fn retries_come_when_they_are_due_without_anybody_asking() {
    let mut rig = Rig::new(settings(64));
    rig.endpoint("a", Manner::Panics, rules(1, 4));
    rig.configure();
    rig.event(&["a"], None);
    let retried = |world: &World| world.attempts.lock().len() == 5;
    let begin = Instant::now();
    rig.until(retried).await;
    // Four pauses of a minute each.
    let passed = begin.elapsed().as_millis();
    assert!((240_000..241_000).contains(&passed), "{passed}");
}

#[tokio::test(start_paused = true)]
async fn events_that_left_memory_are_read_back() {
    let mut rig = Rig::new(Settings {
        memory_bytes: 1024,
        ..settings(8)
    });
    rig.endpoint("a", quick(), rules(1, 4));
    rig.configure();
    for _ in 0..50 {
        rig.event(&["a"], None);
    }
    rig.until_open(0).await;
    assert!(rig.scheduler.stats().await.totals.read_back > 40);
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_remembered_and_holds_until_it_is_over() {
    let mut rig = Rig::new(settings(8));
    rig.endpoint("a", quick(), rules(1, 4));
    rig.configure();
    let id: Arc<str> = "a".into();
    assert_eq!(rig.scheduler.pause(&id).await, Ok(true));
    assert_eq!(rig.scheduler.pause(&"b".into()).await, Ok(false));
    let kept = rig.world.holds.lock().get(&id).cloned().flatten();
    assert_eq!(kept.map(|hold| hold.cause), Some(Cause::Paused));
    rig.event(&["a"], None);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(rig.of("a").len(), 0);
    rig.world.disk_is_full.store(true, Ordering::SeqCst);
    assert!(rig.scheduler.resume(&id).await.is_err());
    sleep(Duration::from_secs(100)).await;
    assert_eq!(rig.of("a").len(), 0, "what cannot be remembered is not done");
    rig.world.disk_is_full.store(false, Ordering::SeqCst);
    assert_eq!(rig.scheduler.resume(&id).await, Ok(true));
    rig.until_open(0).await;
    assert_eq!(rig.world.holds.lock().get(&id), Some(&None));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_gone_is_held_and_that_is_remembered() {
    let mut rig = Rig::new(settings(8));
    rig.endpoint("a", Manner::Gone, rules(1, 1));
    rig.configure();
    for _ in 0..10 {
        rig.event(&["a"], None);
    }
    rig.until(|world| !world.holds.lock().is_empty()).await;
    sleep(Duration::from_secs(100)).await;
    assert_eq!(rig.of("a").len(), 1);
    let hold = rig.world.holds.lock().get("a").cloned().flatten().unwrap();
    assert_eq!(hold.cause, Cause::Disabled);
}

#[tokio::test(start_paused = true)]
async fn deliveries_of_a_deleted_subscription_become_dead_letters() {
    let mut rig = Rig::new(settings(8));
    rig.endpoint("a", Manner::Hangs, rules(1, 1));
    rig.endpoint("b", quick(), rules(1, 1));
    rig.configure();
    for _ in 0..20 {
        rig.event(&["a", "b"], Some(1));
    }
    rig.until_open(20).await;
    rig.endpoints.remove("a");
    rig.configure();
    // The one that hangs is given up after a minute, and goes the way of the others.
    rig.until_open(0).await;
    assert_eq!(rig.world.buried.load(Ordering::SeqCst), 20);
    assert_eq!(rig.of("a").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn stopping_lets_those_under_way_end_and_begins_no_other() {
    let gate = Arc::new(Semaphore::new(0));
    let mut rig = Rig::new(settings(8));
    rig.endpoint("a", Manner::Gated(Arc::clone(&gate)), rules(1, 2));
    rig.configure();
    for _ in 0..10 {
        rig.event(&["a"], None);
    }
    sleep(Duration::from_millis(10)).await;
    assert_eq!(rig.of("a").len(), 2);
    rig.scheduler.stop();
    assert!(!rig.scheduler.idle(Duration::from_secs(1)).await);
    gate.add_permits(100);
    assert!(rig.scheduler.idle(Duration::from_secs(1)).await);
    assert_eq!(rig.of("a").len(), 2);
    rig.until_open(8).await;
    rig.scheduler.go_on();
    rig.until_open(0).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_over_before_the_start_is_made_after_it() {
    let partner = Partner::default();
    let world = Arc::clone(&partner.0);
    let rig = Rig {
        world,
        scheduler: Scheduler::new(settings(8), Clock::new(wall_ms)),
        endpoints: BTreeMap::new(),
    };
    for _ in 0..10 {
        rig.event(&["a"], None);
    }
    let mut rig = rig;
    rig.endpoint("a", quick(), rules(1, 4));
    rig.configure();
    rig.scheduler.start(partner, Handle::current(), Vec::new());
    rig.until_open(0).await;
}
