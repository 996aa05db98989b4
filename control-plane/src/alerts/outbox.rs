//! What is to be sent, by receiver: each has its own queue and its own pace, so that none waits for another, and nobody
//! waits for any of them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rand::Rng as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::counts::{Counts, Sent};
use super::mail::{Mail, MailError};
use super::notice::Notice;
use super::waiting::{Held, Shelter};
use super::webhook::{Webhook, WebhookError};
use crate::config::alerts::receivers::Only;
use crate::store::{Store, StoreError};

/// A way to tell somebody.
pub(super) enum Channel {
    Webhook(Box<Webhook>),
    Mail(Box<Mail>),
}

/// Why a channel did not take it.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    #[error(transparent)]
    Mail(#[from] MailError),
}

impl SendError {
    fn may_pass(&self) -> bool {
        match self {
            Self::Webhook(error) => error.may_pass(),
            Self::Mail(error) => error.may_pass(),
        }
    }
}

impl Channel {
    fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Mail(_) => "mail",
        }
    }

    fn host(&self) -> &str {
        match self {
            Self::Webhook(webhook) => webhook.host(),
            Self::Mail(mail) => mail.host(),
        }
    }

    async fn send(&self, notice: &Notice) -> Result<(), SendError> {
        match self {
            Self::Webhook(webhook) => Ok(webhook.send(notice, Timestamp::now()).await?),
            Self::Mail(mail) => Ok(mail.send(notice).await?),
        }
    }
}

/// Somebody who is told.
pub(super) struct Told {
    /// Under which messages wait for them, over restarts.
    pub(super) key: String,
    pub(super) only: Only,
    pub(super) channel: Channel,
}

/// The queues of all channels.
#[derive(Debug)]
pub(super) struct Outbox {
    queues: Vec<Queue>,
    shelter: Shelter,
    counts: Counts,
    stop: CancellationToken,
    workers: TaskTracker,
}

/// What waits for one channel.
#[derive(Debug)]
struct Queue {
    key: String,
    kind: &'static str,
    only: Only,
    sender: mpsc::Sender<Held>,
}

impl Outbox {
    /// Starts a task for each channel, which gets what it is for. A notice is tried again after each of `pauses`, and then
    /// given up.
    pub(super) fn start(told: Vec<Told>, counts: &Counts, pauses: &'static [Duration]) -> Self {
        let (stop, workers) = (CancellationToken::new(), TaskTracker::new());
        let shelter = Shelter::default();
        let start = |Told { key, only, channel }: Told| {
            let (sender, waiting) = mpsc::channel(MOST_WAITING);
            let kind = channel.kind();
            let worker = Worker {
                channel,
                counts: counts.clone(),
                shelter: shelter.clone(),
                pauses,
                stop: stop.clone(),
            };
            workers.spawn(worker.work(waiting));
            Queue {
                key,
                kind,
                only,
                sender,
            }
        };
        Self {
            queues: told.into_iter().map(start).collect(),
            shelter,
            counts: counts.clone(),
            stop,
            workers,
        }
    }

    /// Keeps what waits in `store` from now on.
    pub(super) fn keep_in(&self, store: &Arc<Store>) {
        self.shelter.keep_in(store);
    }

    /// Queues a notice for every channel that is for it.
    pub(super) async fn post(&self, notice: Notice) {
        let takers = self.queues.iter().filter(|queue| queue.only.takes(notice.about));
        let held = self.shelter.keep(&notice, takers.map(|queue| queue.key.as_str())).await;
        held.into_iter().for_each(|held| self.queue(held));
    }

    /// Takes over what waits and nobody has; `is_start` where this process begins.
    ///
    /// # Errors
    /// If the store does not work.
    pub(super) async fn take_over(&self, is_start: bool) -> Result<(), StoreError> {
        let held = self.shelter.take_over(is_start).await?;
        held.into_iter().for_each(|held| self.queue(held));
        Ok(())
    }

    fn queue(&self, held: Held) {
        // Of a channel that is not configured any more, nothing is sent.
        let Some(queue) = self.queues.iter().find(|queue| queue.key == held.waiting.channel) else {
            self.shelter.leave(&held);
            return;
        };
        let Err(refused) = queue.sender.try_send(held) else {
            return;
        };
        let held = refused.into_inner();
        self.shelter.leave(&held);
        self.counts.sent(queue.kind, Sent::Lost);
        tracing::error!(
            channel = queue.kind,
            subject = held.waiting.notice.subject,
            "an alert is not sent: too many wait"
        );
    }

    /// Tries once more what waits, and ends after `limit`; what could not be sent is left to the next process.
    pub(super) async fn stop(&mut self, limit: Duration) {
        self.stop.cancel();
        self.queues.clear();
        self.workers.close();
        if tokio::time::timeout(limit, self.workers.wait()).await.is_err() {
            tracing::warn!("alerts that wait to be sent are left to the next start");
        }
    }
}

struct Worker {
    channel: Channel,
    counts: Counts,
    shelter: Shelter,
    pauses: &'static [Duration],
    stop: CancellationToken,
}

impl Worker {
    async fn work(self, mut waiting: mpsc::Receiver<Held>) {
        while let Some(mut held) = waiting.recv().await {
            // It may have waited behind others for long.
            if self.shelter.hold(&mut held, Duration::ZERO).await {
                self.deliver(held).await;
            }
        }
    }

    async fn deliver(&self, mut held: Held) {
        let notice = held.waiting.notice.clone();
        let mut pauses = self.pauses.iter();
        loop {
            let (channel, host, subject) = (self.channel.kind(), self.channel.host(), &notice.subject);
            let error = match self.channel.send(&notice).await {
                Ok(()) => {
                    self.counts.sent(channel, Sent::Delivered);
                    tracing::debug!(channel, host, subject, "an alert was sent");
                    return self.shelter.forget(&held).await;
                }
                Err(error) => error,
            };
            if error.may_pass() && self.stop.is_cancelled() && self.shelter.leave(&held) {
                self.counts.sent(channel, Sent::Retried);
                tracing::warn!(channel, host, subject, %error, "an alert could not be sent yet; the next start sends it");
                return;
            }
            let pause = pauses.next().filter(|_| error.may_pass() && !self.stop.is_cancelled());
            let Some(pause) = pause else {
                self.counts.sent(channel, Sent::Failed);
                tracing::error!(channel, host, subject, %error, "an alert could not be sent");
                return self.shelter.forget(&held).await;
            };
            self.counts.sent(channel, Sent::Retried);
            tracing::warn!(channel, host, subject, %error, "an alert could not be sent yet; it is tried again");
            let pause = pause.mul_f64(rand::rng().random_range(0.8..1.2));
            if !self.shelter.hold(&mut held, pause).await {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }
}

/// From one try to the next: about two hours in all.
pub(super) const PAUSES: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(60 * 60),
];
/// Beyond it somebody has not listened for days.
const MOST_WAITING: usize = 1_000;
