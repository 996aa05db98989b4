//! The event flow of one process: taking in, keeping, delivering; from its opening to its end.
//!
//! `ingest` puts events into `queue`, which hands them to `delivery` once they are on disk. In an upgrade the process
//! before this one still has the queue for a moment; then it is opened in the background, and ingest waits.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use crate::clock;
use crate::config::{ConfigSource, ProcessConfig};
use crate::delivery::{Attempts, Dispatcher, DispatcherSettings};
use crate::ingest::Ingest;
use crate::ingest::pressure::Pressure;
use crate::live::Shared;
use crate::metrics::{Depth, Metrics};
use crate::queue::{Queue, QueueError, QueueSettings};

/// The event flow of one process.
pub struct EventFlow {
    ingest: Arc<Ingest>,
    pressure: Arc<Pressure>,
    dispatcher: Dispatcher,
    queue: watch::Sender<Option<Queue>>,
    metrics: Arc<Metrics>,
    opening: Opening,
    /// Why the queue is not open, if opening it failed.
    trouble: Mutex<Option<String>>,
}

/// What the queue is opened with.
struct Opening {
    dir: PathBuf,
    settings: QueueSettings,
    attempts: Arc<Attempts>,
}

impl EventFlow {
    /// Opens the queue and begins to deliver. With `upgrade.takeOver` that happens in the background, as soon as the
    /// process before this one lets go of it. Where the disk does not give the queue, that is tried again and again, and
    /// the gateway proxies meanwhile.
    ///
    /// # Errors
    /// If the queue is somebody else's: of another process, another program, or a later version of this one.
    pub async fn start(
        config: &ProcessConfig,
        shared: &Shared,
        metrics: Arc<Metrics>,
        attempts: Arc<Attempts>,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Result<Arc<Self>, QueueError> {
        let (queue, opened) = watch::channel(None);
        let pressure = Pressure::new(&config.ingest, &config.queue);
        let ingest = Ingest::new(config, opened, Arc::clone(&pressure), Arc::clone(&metrics.events));
        let flow = Arc::new(Self {
            ingest: Arc::new(ingest),
            pressure,
            dispatcher: Dispatcher::new(DispatcherSettings::of(config)),
            queue,
            opening: Opening {
                dir: config.queue_dir(),
                settings: queue_settings(config, &metrics),
                attempts,
            },
            metrics,
            trouble: Mutex::new(None),
        });
        let dispatcher = flow.dispatcher.clone();
        shared.follow(Box::new(move |live| dispatcher.configured(live)));
        if config.upgrade.take_over {
            tasks.spawn(Arc::clone(&flow).open_when_free(stop.clone()));
        } else if let Err(error) = flow.open().await {
            if error.is_final() {
                return Err(error);
            }
            flow.note_trouble(&error);
            tasks.spawn(Arc::clone(&flow).open_when_it_works(stop.clone()));
        }
        tasks.spawn(Arc::clone(&flow).watch(stop.clone()));
        Ok(flow)
    }

    /// Takes events in.
    pub fn ingest(&self) -> Arc<Ingest> {
        Arc::clone(&self.ingest)
    }

    /// Whether events are taken in.
    pub fn pressure(&self) -> &Pressure {
        &self.pressure
    }

    /// What delivers.
    pub fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    /// What makes attempts.
    pub fn attempts(&self) -> &Arc<Attempts> {
        &self.opening.attempts
    }

    /// The queue, if it is open.
    pub fn queue(&self) -> Option<Queue> {
        self.queue.borrow().clone()
    }

    /// Why the queue is not open, if opening it failed.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// The queue, as soon as it is open.
    pub fn opened(&self) -> watch::Receiver<Option<Queue>> {
        self.queue.subscribe()
    }

    /// Takes no more requests in, and makes no more attempts. Those under way go on.
    pub fn wind_down(&self) {
        self.pressure.drain(true);
        self.dispatcher.stop();
    }

    /// Waits for the attempts under way, at most for `patience`, and closes the queue: another process can open it then.
    /// What is not settled by then is delivered again.
    pub async fn close(&self, patience: Duration) {
        self.wind_down();
        if !self.dispatcher.idle(patience).await {
            info!("attempts were still under way when the queue was closed; they are made again");
        }
        if let Some(queue) = self.queue() {
            queue.close().await;
            info!("the queue is closed");
        }
    }

    /// What waits, by subscription, for metrics.
    pub fn depths(&self) -> Vec<Depth> {
        let Some(queue) = self.queue() else {
            return Vec::new();
        };
        let now_ms = clock::now_ms();
        let open_circuits = self.dispatcher.open_circuits();
        let waiting = queue.stats().subscriptions.into_iter().map(|waiting| Depth {
            circuit_open: open_circuits.contains(&waiting.subscription),
            org_id: waiting.org_id,
            open: waiting.open,
            oldest_seconds: waiting.oldest_ms.map_or(0.0, |oldest_ms| seconds(now_ms - oldest_ms)),
            dead: waiting.dead,
            subscription: waiting.subscription,
        });
        waiting.collect()
    }

    async fn open_when_free(self: Arc<Self>, stop: CancellationToken) {
        let opening = async {
            loop {
                match self.open().await {
                    Err(QueueError::Locked(_)) => tokio::time::sleep(LOCK_INTERVAL).await,
                    opened => return opened,
                }
            }
        };
        tokio::select! {
            opened = opening => match opened {
                Ok(()) => info!("took over the queue"),
                Err(error) => {
                    self.note_trouble(&error);
                    if !error.is_final() {
                        self.open_when_it_works(stop).await;
                    }
                }
            },
            () = stop.cancelled() => {}
        }
    }

    async fn open_when_it_works(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(OPEN_INTERVAL) => {}
                () = stop.cancelled() => return,
            }
            match self.open().await {
                Ok(()) => {
                    *self.trouble.lock() = None;
                    self.pressure.miss_queue(false);
                    info!("the queue could be opened; events are taken in and delivered again");
                    return;
                }
                Err(error) => self.note_trouble(&error),
            }
        }
    }

    fn note_trouble(&self, error: &QueueError) {
        let text = error.to_string();
        let known = self.trouble.lock().replace(text.clone());
        self.pressure.miss_queue(true);
        if known.as_ref() != Some(&text) {
            error!(%error, "the queue cannot be opened: no events are taken in or delivered; calls are proxied");
        }
    }

    async fn open(&self) -> Result<(), QueueError> {
        let (dir, settings) = (self.opening.dir.clone(), self.opening.settings.clone());
        let dispatcher = self.dispatcher.clone();
        let opening = move || Queue::open(&dir, settings, Box::new(move |handed| dispatcher.hand(handed)));
        let queue = tokio::task::spawn_blocking(opening)
            .await
            .map_err(|error| QueueError::Invalid(format!("opening the queue failed: {error}")))??;
        let held = queue.held().await?;
        self.dispatcher
            .start(Arc::clone(&self.opening.attempts), queue.clone(), held);
        self.queue.send_replace(Some(queue));
        Ok(())
    }

    /// Looks at what the queue holds, for ingest and for metrics.
    async fn watch(self: Arc<Self>, stop: CancellationToken) {
        loop {
            if let Some(queue) = self.queue() {
                self.pressure.observe(&queue.levels(), &queue.open_by_organization());
            }
            self.metrics.events.paused(&self.pressure.pauses());
            tokio::select! {
                () = tokio::time::sleep(WATCH_INTERVAL) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

fn queue_settings(config: &ProcessConfig, metrics: &Metrics) -> QueueSettings {
    QueueSettings {
        retention: Duration::from_secs(u64::from(config.queue.retention_days) * 86_400),
        max_bytes: config.queue.max_bytes,
        records: matches!(config.config, ConfigSource::ControlPlane(_)),
        ..QueueSettings::new(metrics.queue.clone())
    }
}

fn seconds(millis: i64) -> f64 {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default()).as_secs_f64()
}

/// How often a process that takes over asks for the queue.
const LOCK_INTERVAL: Duration = Duration::from_millis(5);
/// How often a queue that could not be opened is tried again.
const OPEN_INTERVAL: Duration = Duration::from_secs(2);
/// How often it is looked at what the queue holds.
const WATCH_INTERVAL: Duration = Duration::from_millis(200);
