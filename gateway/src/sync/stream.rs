//! The push stream: one WebSocket that the gateway dials and keeps, whatever happens to it.

mod commands;
mod connect;
mod endpoints;
mod limits;
mod outcomes;
mod shipping;

use std::sync::Arc;
use std::time::Duration;

use filters::model::MODEL_VERSION;
use filters::model::push::{FromControlPlane, FromGateway, REPLACED};
use futures_util::{SinkExt as _, StreamExt as _};
use rand::Rng as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_tungstenite::tungstenite::{self, Bytes, Message, Utf8Bytes};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use self::commands::Commands;
use self::connect::{ConnectError, Connected, Socket};
use self::outcomes::Outcomes;
use self::shipping::Shipping;
use super::apply::{Applier, Outcome, Update};
use super::endpoint::Endpoint;
use super::state::State;
use crate::clock::Moment;
use crate::config::ControlPlane;
use crate::events::EventFlow;
use crate::live::Shared;
use crate::metrics::Metrics;
use crate::records::Records;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the connection broke: {0}")]
    Broken(#[from] tungstenite::Error),
    #[error("the control plane closed the connection{0}")]
    Closed(String),
    #[error("another process took the place of this gateway; give each gateway a `gateway.id` of its own")]
    Replaced,
    #[error("the control plane said nothing for {} seconds", .0.as_secs())]
    Silent(Duration),
    #[error("a message could not be sent within {} seconds", .0.as_secs())]
    Stuck(Duration),
    #[error("the control plane sent bytes where JSON text is due")]
    Binary,
    #[error("a message cannot be written as JSON: {0}")]
    Write(#[from] serde_json::Error),
}

/// The gateway's side of the push stream.
pub(super) struct Stream {
    pub(super) endpoint: Endpoint,
    pub(super) control_plane: ControlPlane,
    pub(super) gateway_id: String,
    pub(super) applier: Arc<Applier>,
    pub(super) state: Arc<State>,
    pub(super) tls: Arc<rustls::ClientConfig>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) records: Arc<Records>,
    pub(super) events: Option<Events>,
    pub(super) pace: Pace,
}

/// The event flow as the control plane has to do with it.
pub(super) struct Events {
    flow: Arc<EventFlow>,
    commands: Commands,
}

impl Events {
    /// Begins to carry commands out, until `stop`.
    pub(super) fn begin(
        flow: Arc<EventFlow>,
        shared: Arc<Shared>,
        gateway_id: &str,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let commands = Commands::begin(Arc::clone(&flow), shared, gateway_id, stop, tasks);
        Self { flow, commands }
    }
}

/// How often and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Shortest and longest wait before the next try to connect.
    pub(super) backoff: (Duration, Duration),
    /// The wait after another process took this gateway's place, so that two of one name do not throw each other out all
    /// the time.
    pub(super) replaced: Duration,
    /// Between two status messages. A bad version is known by them.
    pub(super) status: Duration,
    /// Between two messages about endpoints.
    pub(super) endpoints: Duration,
    /// Between two looks for records of calls that wait.
    pub(super) records: Duration,
    /// Between two pings.
    pub(super) ping: Duration,
    /// Silence after which the connection counts as dead.
    pub(super) silence: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            backoff: (Duration::from_millis(100), Duration::from_secs(10)),
            replaced: Duration::from_secs(30),
            status: Duration::from_secs(1),
            endpoints: Duration::from_secs(5),
            records: Duration::from_millis(500),
            ping: Duration::from_secs(15),
            silence: Duration::from_secs(60),
        }
    }
}

impl Pace {
    /// How long to wait after that many failures, the last of which was `failure`.
    fn wait(&self, failure: Option<&StreamError>, failures: u32) -> Duration {
        match failure {
            Some(StreamError::Replaced) => self.replaced + backoff(self.backoff, failures),
            _ => backoff(self.backoff, failures),
        }
    }
}

impl Stream {
    /// Connects, and connects again, until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut failures = 0;
        let mut known_as_replaced = false;
        while !stop.is_cancelled() {
            let began = Instant::now();
            let failure = self.connection(&stop).await.err();
            let was_replaced = matches!(failure, Some(StreamError::Replaced));
            let reason = failure.as_ref().map(ToString::to_string);
            if let Some(reason) = &reason {
                let address = &self.endpoint.stream_url;
                if was_replaced && !known_as_replaced {
                    error!(address, reason, "the control plane is not connected");
                } else {
                    warn!(address, reason, "the control plane is not connected");
                }
            }
            known_as_replaced |= was_replaced;
            self.state.disconnected(reason);
            let held = began.elapsed() > self.pace.backoff.1;
            failures = if held { 1 } else { failures + 1 };
            tokio::select! {
                () = sleep(self.pace.wait(failure.as_ref(), failures)) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// One connection, from the first byte to the last.
    async fn connection(&self, stop: &CancellationToken) -> Result<(), StreamError> {
        let Connected { socket, model_version } = tokio::select! {
            connected = connect::connect(&self.endpoint, &self.control_plane, &self.tls) => connected?,
            () = stop.cancelled() => return Ok(()),
        };
        info!(address = self.endpoint.stream_url, "connected to the control plane");
        let told_nothing = model_version.and_then(other_model);
        if let Some(reason) = &told_nothing {
            warn!(
                reason,
                "the control plane tells this gateway nothing; what is live stays"
            );
        }
        self.state.connected(told_nothing);
        let (messages, queue) = mpsc::channel(QUEUE);
        let (outcomes, results) = mpsc::channel(QUEUE);
        let applying = tokio::spawn(apply_each(Arc::clone(&self.applier), queue, outcomes));
        let mut conversation = Conversation {
            stream: self,
            socket,
            asked: None,
            shipping: Shipping::new(Arc::clone(&self.records)),
            outcomes: self.events.as_ref().map(|events| Outcomes::begin(events.flow.opened())),
            told_of_endpoints: false,
            told_of_limits: false,
        };
        let ended = conversation.run(messages, results, stop).await;
        drop(conversation);
        // What is being applied is finished first, so that the next `Hello` says what is live.
        if applying.await.is_err() {
            warn!("applying a version was cut off");
        }
        ended
    }
}

/// Applies the messages of one connection in their order, beside it, so that it goes on answering.
async fn apply_each(applier: Arc<Applier>, mut queue: mpsc::Receiver<Utf8Bytes>, outcomes: mpsc::Sender<Outcome>) {
    while let Some(message) = queue.recv().await {
        let outcome = applier.apply(Update::Message(message)).await;
        if outcomes.send(outcome).await.is_err() {
            return;
        }
    }
}

struct Conversation<'a> {
    stream: &'a Stream,
    socket: Socket,
    /// When `Hello` was said last, in answer to a change that does not fit.
    asked: Option<Instant>,
    shipping: Shipping,
    outcomes: Option<Outcomes>,
    /// True if the control plane was told last of endpoints that have something undelivered.
    told_of_endpoints: bool,
    /// The same of limits of which something is used up.
    told_of_limits: bool,
}

impl Conversation<'_> {
    async fn run(
        &mut self,
        messages: mpsc::Sender<Utf8Bytes>,
        mut results: mpsc::Receiver<Outcome>,
        stop: &CancellationToken,
    ) -> Result<(), StreamError> {
        self.hello().await?;
        let pace = self.stream.pace;
        let mut status = every(pace.status);
        let mut endpoints = every(pace.endpoints);
        let mut ping = every(pace.ping);
        let mut records = every(pace.records);
        let mut heard_at = Instant::now();
        let mut waiting: Option<Utf8Bytes> = None;
        loop {
            tokio::select! {
                // While the queue is full, nothing more is read: the control plane waits, the memory stays bounded.
                permit = messages.reserve(), if waiting.is_some() => {
                    if let (Ok(permit), Some(message)) = (permit, waiting.take()) {
                        permit.send(message);
                    }
                }
                frame = self.socket.next(), if waiting.is_none() => {
                    heard_at = Instant::now();
                    waiting = text_of(frame)?;
                    if waiting.take_if(|text| self.hears(text)).is_some() && self.shipping.has_full_batch() {
                        self.ship().await?;
                    }
                }
                Some(outcome) = results.recv() => self.answer(outcome).await?,
                _ = status.tick() => {
                    let metrics = &self.stream.metrics;
                    let status = FromGateway::Status {
                        requests: metrics.requests_finished(),
                        in_flight: metrics.in_flight.get().try_into().unwrap_or(0),
                        counts: self.stream.applier.counts(),
                    };
                    self.say(&status).await?;
                }
                _ = endpoints.tick() => {
                    self.tell_of_endpoints().await?;
                    self.tell_of_limits().await?;
                }
                batch = next_of(&mut self.outcomes) => self.send(Message::Text(batch)).await?,
                _ = records.tick() => self.ship().await?,
                () = self.shipping.filled() => self.ship().await?,
                _ = ping.tick() => {
                    if waiting.is_none() && heard_at.elapsed() > pace.silence {
                        return Err(StreamError::Silent(pace.silence));
                    }
                    self.send(Message::Ping(Bytes::new())).await?;
                }
                () = stop.cancelled() => {
                    // What is not acknowledged in time is lost with this process.
                    let _ = timeout(LAST_RECORDS, self.ship_all()).await;
                    let _ = timeout(Duration::from_secs(1), self.socket.close(None)).await;
                    return Ok(());
                }
            }
        }
    }

    /// Takes in what is not about the configuration; false for what is.
    fn hears(&mut self, text: &Utf8Bytes) -> bool {
        match small_talk(text) {
            Some(FromControlPlane::Recorded { batch }) => self.shipping.acknowledged(&batch),
            Some(FromControlPlane::Settled { up_to }) => {
                if let Some(outcomes) = &self.outcomes {
                    outcomes.settled(up_to);
                }
            }
            Some(FromControlPlane::Command { id, command }) => match &self.stream.events {
                Some(events) => events.commands.take(id, command),
                None => warn!(id, "a command came, and this gateway takes no events"),
            },
            Some(FromControlPlane::Snapshot { .. } | FromControlPlane::Change { .. }) | None => return false,
        }
        true
    }

    /// Says how deliveries stand; once more when there is nothing left to say.
    async fn tell_of_endpoints(&mut self) -> Result<(), StreamError> {
        let Some(events) = &self.stream.events else {
            return Ok(());
        };
        let endpoints = endpoints::standing(&events.flow).await;
        let has_some = !endpoints.is_empty();
        if has_some || self.told_of_endpoints {
            self.say(&FromGateway::Deliveries { endpoints }).await?;
        }
        self.told_of_endpoints = has_some;
        Ok(())
    }

    /// Says how much of limits is used up; once more when there is nothing left to say.
    async fn tell_of_limits(&mut self) -> Result<(), StreamError> {
        let live = self.stream.applier.live();
        let limits = live
            .map(|live| limits::standing(&live, Moment::now()))
            .unwrap_or_default();
        let has_some = !limits.is_empty();
        if has_some || self.told_of_limits {
            self.say(&FromGateway::Limits { limits }).await?;
        }
        self.told_of_limits = has_some;
        Ok(())
    }

    async fn answer(&mut self, outcome: Outcome) -> Result<(), StreamError> {
        match outcome {
            Outcome::Live(have) => {
                self.asked = None;
                let (version, digest) = (have.version, have.digest);
                self.say(&FromGateway::Ack { version, digest }).await
            }
            Outcome::Refused { version, problems } => {
                self.asked = None;
                match version {
                    Some(version) => self.say(&FromGateway::Nack { version, problems }).await,
                    // There is nothing to refuse by name; what it was is in the log.
                    None => Ok(()),
                }
            }
            Outcome::DoesNotFit => {
                // Changes that were already on their way do not fit either; one answer is enough for all of them.
                if self.asked.is_some_and(|asked| asked.elapsed() < ASK_AGAIN) {
                    return Ok(());
                }
                self.asked = Some(Instant::now());
                self.hello().await
            }
        }
    }

    /// Sends the next batch of records, unless one is on its way.
    async fn ship(&mut self) -> Result<(), StreamError> {
        match self.shipping.due() {
            Some(batch) => self.send(Message::Text(batch)).await,
            None => Ok(()),
        }
    }

    /// Sends all records, each batch after the answer to the one before.
    async fn ship_all(&mut self) -> Result<(), StreamError> {
        self.shipping.end();
        loop {
            self.ship().await?;
            if !self.shipping.is_unanswered() {
                return Ok(());
            }
            if let Some(text) = text_of(self.socket.next().await)? {
                self.hears(&text);
            }
        }
    }

    async fn hello(&mut self) -> Result<(), StreamError> {
        let hello = FromGateway::Hello {
            gateway_id: self.stream.gateway_id.clone(),
            model_version: MODEL_VERSION,
            have: self.stream.applier.have(),
        };
        debug!(?hello, "saying hello");
        self.say(&hello).await
    }

    async fn say(&mut self, message: &FromGateway) -> Result<(), StreamError> {
        self.send(Message::text(serde_json::to_string(message)?)).await
    }

    async fn send(&mut self, message: Message) -> Result<(), StreamError> {
        match timeout(SEND_TIMEOUT, self.socket.send(message)).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(StreamError::Stuck(SEND_TIMEOUT)),
        }
    }
}

/// Why a control plane that speaks this version of the model tells nothing to this gateway.
fn other_model(version: u32) -> Option<String> {
    (version != MODEL_VERSION).then(|| {
        format!("it speaks model version {version}, and this gateway {MODEL_VERSION}; upgrade the older of them")
    })
}

/// The text in a frame; `None` for those that only keep the connection alive.
fn text_of(frame: Option<Result<Message, tungstenite::Error>>) -> Result<Option<Utf8Bytes>, StreamError> {
    match frame {
        Some(Ok(Message::Text(text))) => Ok(Some(text)),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(None),
        Some(Ok(Message::Binary(_))) => Err(StreamError::Binary),
        Some(Ok(Message::Close(Some(frame)))) if frame.reason.as_str() == REPLACED => Err(StreamError::Replaced),
        Some(Ok(Message::Close(Some(frame)))) if !frame.reason.is_empty() => {
            Err(StreamError::Closed(format!(": {}", frame.reason)))
        }
        Some(Ok(Message::Close(_))) | None => Err(StreamError::Closed(String::new())),
        Some(Err(error)) => Err(error.into()),
    }
}

/// What the control plane says beside the configuration, which is read elsewhere: that takes its time. Only commands may be
/// long, and say at their beginning that they are.
fn small_talk(text: &str) -> Option<FromControlPlane> {
    if text.len() > LONGEST_ANSWER && !text.starts_with(r#"{"message":"command","#) {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// The next batch of outcomes; never without an event flow.
async fn next_of(outcomes: &mut Option<Outcomes>) -> Utf8Bytes {
    match outcomes {
        Some(outcomes) => outcomes.next().await,
        None => std::future::pending().await,
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The wait before the next try: doubled with each failure, with half of it by chance, so that the gateways of a
/// control plane that comes back do not all call at once.
fn backoff((shortest, longest): (Duration, Duration), failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let wait = shortest.saturating_mul(1 << doublings).min(longest);
    wait.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// Messages that may wait while one is applied.
const QUEUE: usize = 64;
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// For the records that are left when the process is to stop.
const LAST_RECORDS: Duration = Duration::from_secs(2);
const ASK_AGAIN: Duration = Duration::from_secs(5);
const LONGEST_ANSWER: usize = 256;

#[cfg(test)]
mod tests;
