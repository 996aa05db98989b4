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
use super::webhook::{Webhook, WebhookError};
use crate::config::alerts::receivers::Only;

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

/// The queues of all channels.
#[derive(Debug)]
pub(super) struct Outbox {
    queues: Vec<Queue>,
    counts: Counts,
    stop: CancellationToken,
    workers: TaskTracker,
}

/// What waits for one channel.
#[derive(Debug)]
struct Queue {
    kind: &'static str,
    only: Only,
    sender: mpsc::Sender<Arc<Notice>>,
}

impl Outbox {
    /// Starts a task for each channel, which gets what it is for. A notice is tried again after each of `pauses`, and then
    /// given up.
    pub(super) fn start(channels: Vec<(Only, Channel)>, counts: &Counts, pauses: &'static [Duration]) -> Self {
        let (stop, workers) = (CancellationToken::new(), TaskTracker::new());
        let start = |(only, channel): (Only, Channel)| {
            let (sender, waiting) = mpsc::channel(MOST_WAITING);
            let kind = channel.kind();
            let worker = Worker {
                channel,
                counts: counts.clone(),
                pauses,
                stop: stop.clone(),
            };
            workers.spawn(worker.work(waiting));
            Queue { kind, only, sender }
        };
        Self {
            queues: channels.into_iter().map(start).collect(),
            counts: counts.clone(),
            stop,
            workers,
        }
    }

    /// Queues a notice for every channel that is for it.
    pub(super) fn post(&self, notice: Notice) {
        let notice = Arc::new(notice);
        for Queue { kind, only, sender } in &self.queues {
            if only.takes(notice.about) && sender.try_send(Arc::clone(&notice)).is_err() {
                self.counts.sent(kind, Sent::Lost);
                tracing::error!(
                    channel = kind,
                    subject = notice.subject,
                    "an alert is not sent: too many wait"
                );
            }
        }
    }

    /// Tries once more what waits, and ends; gives up after `limit`.
    pub(super) async fn stop(&mut self, limit: Duration) {
        self.stop.cancel();
        self.queues.clear();
        self.workers.close();
        if tokio::time::timeout(limit, self.workers.wait()).await.is_err() {
            tracing::warn!("alerts that waited to be sent are lost");
        }
    }
}

struct Worker {
    channel: Channel,
    counts: Counts,
    pauses: &'static [Duration],
    stop: CancellationToken,
}

impl Worker {
    async fn work(self, mut waiting: mpsc::Receiver<Arc<Notice>>) {
        while let Some(notice) = waiting.recv().await {
            self.deliver(&notice).await;
        }
    }

    async fn deliver(&self, notice: &Notice) {
        let mut pauses = self.pauses.iter();
        loop {
            let (channel, host, subject) = (self.channel.kind(), self.channel.host(), &notice.subject);
            let error = match self.channel.send(notice).await {
                Ok(()) => {
                    self.counts.sent(channel, Sent::Delivered);
                    tracing::debug!(channel, host, subject, "an alert was sent");
                    return;
                }
                Err(error) => error,
            };
            let pause = pauses.next().filter(|_| error.may_pass() && !self.stop.is_cancelled());
            let Some(pause) = pause else {
                self.counts.sent(channel, Sent::Failed);
                tracing::error!(channel, host, subject, %error, "an alert could not be sent");
                return;
            };
            self.counts.sent(channel, Sent::Retried);
            tracing::warn!(channel, host, subject, %error, "an alert could not be sent yet; it is tried again");
            let pause = pause.mul_f64(rand::rng().random_range(0.8..1.2));
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
