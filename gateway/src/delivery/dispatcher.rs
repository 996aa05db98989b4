//! The dispatcher of a gateway: the scheduler, with the queue and the attempts behind it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ahash::AHashSet;
use filters::delivery::BreakerRules;
use filters::event::Event;
use filters::model::delivery::ErrorCategory;
use filters::plan::Integration;
use tokio::runtime::Handle;

use super::attempt::Attempts;
use super::burial;
use super::clock::Clock;
use super::hold::{Hold, NotKept};
use super::job::{Job, Outcome};
use super::scheduler::{Scheduler, Settings};
use super::stats::DispatcherStats;
use super::subscriptions::{Configured, Rules};
use super::work::{Crash, Unread, Unsettled, Work};
use crate::config::ProcessConfig;
use crate::live::Live;
use crate::live::endpoint::Endpoint;
use crate::live::subscription::SubscriptionRuntime;
use crate::proxy::letter::CallsAgain;
use crate::queue::{self, DeliveryKey, Handed, Queue, QueueError, Seq, Settlement};

/// How much a dispatcher may do at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DispatcherSettings {
    /// Attempts under way at a time, over all endpoints.
    pub max_in_flight: usize,
    /// How many of them one organization gets while nobody else wants any, in percent; the rest is for the others.
    pub organization_percent: u8,
    /// Bytes of events that are kept in memory; the others are read back when they are due.
    pub memory_bytes: usize,
    /// Bytes of records that may wait for the control plane; no attempt begins beyond it, and fewer shortly before.
    pub spool_max_bytes: u64,
}

impl DispatcherSettings {
    /// Those of a configuration.
    pub fn of(config: &ProcessConfig) -> Self {
        Self {
            max_in_flight: config.delivery.max_in_flight,
            organization_percent: config.delivery.organization_percent,
            memory_bytes: usize::try_from(config.delivery.memory_bytes).unwrap_or(usize::MAX),
            spool_max_bytes: config.queue.spool_max_bytes,
        }
    }
}

/// Takes deliveries in and has them made. Clones are the same dispatcher.
#[derive(Clone)]
pub struct Dispatcher {
    scheduler: Scheduler<Gateway>,
    spool_max_bytes: u64,
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").finish_non_exhaustive()
    }
}

impl Dispatcher {
    /// A dispatcher that takes deliveries in, and makes none before [`Self::start`].
    pub fn new(settings: DispatcherSettings) -> Self {
        let DispatcherSettings {
            max_in_flight,
            organization_percent,
            memory_bytes,
            spool_max_bytes,
        } = settings;
        let settings = Settings {
            max_in_flight,
            organization_percent,
            memory_bytes,
        };
        Self {
            scheduler: Scheduler::new(settings, Clock::system()),
            spool_max_bytes,
        }
    }

    /// Takes in deliveries that are to be made. It does not wait, and can be called from any thread.
    pub fn hand(&self, handed: Vec<Handed>) {
        self.scheduler.hand(handed);
    }

    /// Begins to make deliveries, on the runtime that it is called on. `held` are the subscriptions that the queue
    /// remembers as held. Only the first call starts anything.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn start(&self, attempts: Arc<Attempts>, queue: Queue, held: Vec<queue::Hold>) {
        let calls = CallsAgain::new(Arc::clone(attempts.scripts()), Arc::clone(attempts.gateway_id()));
        let gateway = Gateway {
            attempts,
            calls,
            queue,
            spool_max_bytes: self.spool_max_bytes,
        };
        let holds = held.into_iter().map(|held| {
            let hold = Hold::read(&held.reason, held.since_ms);
            (held.integration_config_id, hold)
        });
        self.scheduler.start(gateway, Handle::current(), holds.collect());
    }

    /// Follows a new version. The deliveries of subscriptions that it does not have wait for a minute; then they become
    /// dead letters. It is not to be called twice at a time.
    pub fn configured(&self, live: &Arc<Live>) {
        self.scheduler.configure(live.endpoints.iter().map(configured));
    }

    /// Stops deliveries to a subscription until [`Self::resume`], over restarts; false if there is no such subscription.
    ///
    /// # Errors
    /// If it cannot be remembered; then nothing was stopped.
    pub async fn pause(&self, id: &Arc<str>) -> Result<bool, NotKept> {
        self.scheduler.pause(id).await
    }

    /// Lets deliveries go on, whatever stopped them: a pause, the endpoint, its breaker. One attempt goes first. False if
    /// there is no such subscription.
    ///
    /// # Errors
    /// If it cannot be remembered; then nothing goes on.
    pub async fn resume(&self, id: &Arc<str>) -> Result<bool, NotKept> {
        self.scheduler.resume(id).await
    }

    /// Holds a subscription back, or lets it go on, where the caller has remembered it already; false if there is no
    /// such subscription.
    pub fn hold_in_memory(&self, id: &str, hold: Option<Hold>) -> bool {
        self.scheduler.hold_in_memory(id, hold)
    }

    /// Takes deliveries out that are not in flight: those that are gone and will not be made. It looks at every open
    /// delivery.
    pub fn withdraw(&self, keys: &[DeliveryKey]) -> Vec<DeliveryKey> {
        self.scheduler.withdraw(keys)
    }

    /// No attempt begins from now on. Those under way go on.
    pub fn stop(&self) {
        self.scheduler.stop();
    }

    /// Attempts begin again after [`Self::stop`].
    pub fn go_on(&self) {
        self.scheduler.go_on();
    }

    /// Waits until no attempt is under way or unsettled, at most for `longest`; false if some are left. It comes to an
    /// end early only after [`Self::stop`].
    pub async fn idle(&self, longest: Duration) -> bool {
        self.scheduler.idle(longest).await
    }

    /// What there is.
    pub async fn stats(&self) -> DispatcherStats {
        self.scheduler.stats().await
    }

    /// Subscriptions with an endpoint that is left alone because it fails.
    pub fn open_circuits(&self) -> AHashSet<Arc<str>> {
        self.scheduler.open_circuits()
    }
}

/// The queue and the attempts of a gateway.
struct Gateway {
    attempts: Arc<Attempts>,
    calls: CallsAgain,
    queue: Queue,
    spool_max_bytes: u64,
}

impl Work for Gateway {
    type Endpoint = Endpoint;

    async fn attempt(&self, job: Job, endpoint: &Arc<Endpoint>) -> Outcome {
        match (&**endpoint, is_call(&job)) {
            (Endpoint::Subscription(subscription), false) => self.attempts.run(job, subscription).await,
            (Endpoint::Calls(integration), true) => Box::pin(self.calls.run(job, integration)).await,
            (endpoint, _) => self.of_another_kind(&job, endpoint),
        }
    }

    fn crashed(&self, job: &Job, endpoint: &Arc<Endpoint>, crash: Crash) -> Outcome {
        match (&**endpoint, is_call(job)) {
            (Endpoint::Subscription(subscription), false) => {
                self.attempts.crashed(job, subscription, &crash.to_string())
            }
            (_, true) => CallsAgain::failed(job, ErrorCategory::Internal, crash.to_string()).into(),
            (endpoint, false) => self.of_another_kind(job, endpoint),
        }
    }

    fn bury(&self, job: &Job, id: &Arc<str>, last: Option<&Arc<Endpoint>>) -> Settlement {
        if is_call(job) {
            return CallsAgain::failed(job, ErrorCategory::Internal, NO_INTEGRATION.to_owned());
        }
        let last = last.and_then(|last| match &**last {
            Endpoint::Subscription(subscription) => Some(subscription),
            Endpoint::Calls(_) => None,
        });
        burial::bury(job, id, last, self.attempts.gateway_id())
    }

    async fn settle(&self, settlement: &Arc<Settlement>) -> Result<(), Unsettled> {
        match self.queue.settle(Arc::clone(settlement)).await {
            Ok(()) => Ok(()),
            Err(QueueError::NotOpen(_)) => Err(Unsettled::Gone),
            Err(QueueError::Closed) => Err(Unsettled::Closed),
            Err(error) => Err(Unsettled::Later(error.to_string())),
        }
    }

    async fn event(&self, seq: Seq) -> Result<Arc<Event>, Unread> {
        match self.queue.event(seq).await {
            Ok(Some(event)) => Ok(event),
            Ok(None) => Err(Unread::Missing),
            Err(error) => Err(Unread::Later(error.to_string())),
        }
    }

    async fn remember(&self, subscription: Arc<str>, hold: Option<&Hold>) -> Result<(), NotKept> {
        let reason = hold.map(Hold::to_string);
        let written = self.queue.hold(subscription, reason, None).await;
        written.map(drop).map_err(|error| NotKept(error.to_string()))
    }

    fn room_percent(&self) -> u8 {
        let used = self.queue.levels().spool_bytes;
        let free = self.spool_max_bytes.saturating_sub(used);
        // From three quarters on fewer and fewer, so that the control plane can catch up before everything stops.
        u8::try_from(free.saturating_mul(400) / self.spool_max_bytes.max(1)).map_or(100, |percent| percent.min(100))
    }
}

impl Gateway {
    /// What becomes of a delivery whose identifier is that of something else by now: of a call where a subscription is, or the
    /// other way round.
    fn of_another_kind(&self, job: &Job, endpoint: &Endpoint) -> Outcome {
        let id = match endpoint {
            Endpoint::Subscription(subscription) => &subscription.subscription.id,
            Endpoint::Calls(integration) => &integration.integration.id,
        };
        self.bury(job, id, None).into()
    }
}

fn is_call(job: &Job) -> bool {
    job.event.head.event_type == queue::CALL
}

fn configured(endpoint: &Arc<Endpoint>) -> Configured<Endpoint> {
    let (id, rules) = match &**endpoint {
        Endpoint::Subscription(runtime) => (&runtime.subscription.id, of_subscription(runtime)),
        Endpoint::Calls(runtime) => (&runtime.integration.id, of_calls(&runtime.integration)),
    };
    Configured {
        id: Arc::clone(id),
        endpoint: Arc::clone(endpoint),
        rules,
    }
}

fn of_subscription(runtime: &SubscriptionRuntime) -> Rules {
    let subscription = &runtime.subscription;
    Rules {
        org_id: subscription.org_id,
        is_active: subscription.is_active,
        max_concurrency: subscription.max_concurrency,
        rate: subscription.limit,
        breaker: subscription.breaker,
        longest_attempt: runtime.longest_attempt(),
    }
}

/// A call has the rules of its integration about failing partners; the lane has none of its own.
fn of_calls(integration: &Integration) -> Rules {
    Rules {
        org_id: integration.source.org_id,
        is_active: integration.source.is_active,
        max_concurrency: CALLS_AT_A_TIME,
        rate: None,
        breaker: BreakerRules::OFF,
        longest_attempt: Duration::from_millis(integration.timeouts.total_ms) + LONGEST_PREPARATION,
    }
}

/// Calls of an integration that are made again at a time: what failed in a rush is not to come back in one.
const CALLS_AT_A_TIME: u32 = 4;
/// For the wait for a script's thread and its run.
const LONGEST_PREPARATION: Duration = Duration::from_secs(30);
const NO_INTEGRATION: &str = "the integration was deleted, or has no dead letters of calls any more";
