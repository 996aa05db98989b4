//! The push stream: one WebSocket per gateway.

mod errands;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use filters::model::push::{self, FromControlPlane, FromGateway, Have, REPLACED};
use filters::model::{MODEL_VERSION, Problem};
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::sync::watch;

use self::errands::{Done, Errands};
use super::App;
use super::error::{ApiError, Challenge};
use crate::fleet::{Due, Member, Session, other_model};
use crate::listener::Peer;
use crate::publish::State as Configuration;
use crate::rollups::Deltas;
use crate::store::CommandRecord;

/// Opens a stream for a gateway that shows a token.
pub(super) async fn open(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
    let refused = |why: &str| ApiError::unauthorized(why).challenging(Challenge::Gateway);
    let token = token.ok_or_else(|| refused("give the gateway's token as Authorization: Bearer"))?;
    let owner = app
        .access
        .gateway(token)
        .ok_or_else(|| refused("the token is not known"))?;
    let is_own = peer.address.ip().to_canonical().is_loopback();
    if !is_own && !peer.is_secure && !app.stream.allow_plaintext {
        return Err(ApiError::forbidden(
            "this stream carries secrets and is not encrypted: set `tls` in the control plane's settings, connect over \
             loopback, or come through a TLS terminator with `stream.allowPlaintext` set",
        ));
    }
    let upgrade = upgrade
        .map_err(|rejection| ApiError::new(StatusCode::BAD_REQUEST, format!("open a WebSocket here: {rejection}")))?;
    let streams = app.streams.clone();
    let upgrade = upgrade
        .max_message_size(push::MOST_MESSAGE_BYTES)
        .max_frame_size(push::MOST_MESSAGE_BYTES);
    let mut answer = upgrade.on_upgrade(move |socket| {
        // Tracked, so that the process waits for the farewell; the upgraded connection is nobody else's to wait for.
        streams.track_future(async move {
            let (reason, socket) = converse(&app, socket, &owner, peer.address).await;
            farewell(socket, &reason).await;
        })
    });
    let spoken = HeaderValue::from(MODEL_VERSION);
    answer.headers_mut().insert(push::MODEL_VERSION_FIELD, spoken);
    Ok(answer)
}

/// Why a stream ends, in the words and the code of the close frame.
#[derive(Debug)]
struct End {
    code: u16,
    reason: String,
}

impl End {
    fn new(code: u16, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }

    /// The gateway went away by itself.
    fn gone() -> Self {
        Self::new(NORMAL, "")
    }
}

async fn converse(app: &App, socket: WebSocket, owner: &Arc<str>, peer: SocketAddr) -> (End, WebSocket) {
    let mut stream = Stream {
        socket,
        heard: Instant::now(),
    };
    let end = match talk(app, &mut stream, owner, peer).await {
        Ok(never) => match never {},
        Err(end) => end,
    };
    (end, stream.socket)
}

async fn talk(
    app: &App,
    stream: &mut Stream,
    owner: &Arc<str>,
    peer: SocketAddr,
) -> Result<std::convert::Infallible, End> {
    let hello = tokio::time::timeout(HELLO_WITHIN, stream.next()).await;
    let first = hello.map_err(|_| End::new(POLICY, "no Hello came"))??;
    let FromGateway::Hello {
        gateway_id,
        model_version,
        have,
    } = first
    else {
        return Err(End::new(POLICY, "the first message must be a Hello"));
    };
    let member = app
        .fleet
        .join(&gateway_id, model_version, have.as_ref(), owner, peer)
        .map_err(|refusal| End::new(POLICY, refusal.to_string()))?;
    let version = have.as_ref().map(|have| have.version);
    tracing::info!(gateway_id, %peer, token = %owner, version, "a gateway is connected");
    let mut talk = Talk {
        session: Session::new(have),
        muted: other_model(model_version),
        states: app.publisher.subscribe(),
        member,
        errands: Errands::default(),
    };
    if let Some(reason) = &talk.muted {
        tracing::warn!(gateway_id, reason, "a gateway is told nothing");
    }
    let end = talk.run(app, stream).await;
    if let Err(end) = &end {
        tracing::info!(
            gateway_id,
            code = end.code,
            reason = end.reason,
            "a gateway is disconnected"
        );
    }
    end
}

/// A conversation after the first `Hello`.
struct Talk {
    session: Session,
    /// Why the gateway is told nothing.
    muted: Option<String>,
    states: watch::Receiver<Arc<Configuration>>,
    member: Member,
    /// What the store is doing for it.
    errands: Errands,
}

impl Talk {
    async fn run(&mut self, app: &App, stream: &mut Stream) -> Result<std::convert::Infallible, End> {
        let mut pings = tokio::time::interval(PING_EVERY);
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let bell = app.commands.bell(self.member.gateway_id());
        loop {
            self.tell(app, stream).await?;
            tokio::select! {
                changed = self.states.changed() => changed.map_err(|_| stopping())?,
                message = stream.next() => {
                    let message = message?;
                    self.hear(app, message);
                }
                done = self.errands.done() => self.answer(app, stream, done).await?,
                () = bell.notified() => self.look_for_commands(app),
                _ = looks.tick() => self.look_for_commands(app),
                _ = pings.tick() => {
                    if stream.heard.elapsed() > SILENT_FOR {
                        return Err(End::new(POLICY, "nothing was heard for too long"));
                    }
                    if self.session.is_overdue(Instant::now()) {
                        return Err(End::new(POLICY, "a version was not answered in time"));
                    }
                    stream.send(Message::Ping(bytes::Bytes::new())).await?;
                }
                () = self.member.replaced.cancelled() => {
                    return Err(End::new(POLICY, REPLACED));
                }
                () = app.stop.cancelled() => return Err(stopping()),
            }
        }
    }

    /// Sends what is due.
    async fn tell(&mut self, app: &App, stream: &mut Stream) -> Result<(), End> {
        if self.muted.is_some() {
            return Ok(());
        }
        let newest = Arc::clone(&self.states.borrow_and_update());
        let state = newest.for_gateway(self.member.gateway_id());
        let Some(due) = self.session.due(state) else {
            return Ok(());
        };
        let whole = due == Due::Snapshot;
        let text = app.messages.text(state, due).await;
        let text = text.ok_or_else(|| End::new(FAULT, "the message could not be made"))?;
        stream.send(Message::Text(text)).await?;
        app.metrics.pushed();
        self.session.sent(state.snapshot.version, whole, Instant::now());
        Ok(())
    }

    fn hear(&mut self, app: &App, message: FromGateway) {
        match message {
            FromGateway::Hello { have, .. } => {
                self.member.runs(have.as_ref());
                self.session.said_hello(have);
            }
            FromGateway::Ack { version, digest } => {
                let expected = self.states.borrow().digest_at(version).map(str::to_owned);
                let have = Have { version, digest };
                self.member.acked(&have);
                if !self.session.acked(have, expected.as_deref()) {
                    let problem = Problem::new("", "the gateway has another content under this version than was sent");
                    self.member.nacked(version, vec![problem]);
                }
            }
            FromGateway::Nack { version, problems } => {
                tracing::warn!(version, problems = problems.len(), "a gateway refused a version");
                self.member.nacked(version, problems);
                self.session.nacked(version);
            }
            FromGateway::Status {
                requests,
                in_flight,
                counts,
            } => {
                self.member.status(requests, in_flight);
                if let Some(counts) = counts {
                    self.member.counted(counts);
                }
            }
            FromGateway::Deliveries { endpoints } => self.member.endpoints(endpoints),
            FromGateway::Limits { limits } => self.member.limits(limits),
            FromGateway::Outcomes { up_to, records } => {
                self.errands.keep_outcomes(
                    &app.store,
                    self.member.gateway_id(),
                    up_to,
                    records,
                    app.publisher.clocks(),
                );
            }
            FromGateway::Records {
                batch,
                dropped,
                records,
                tallies,
            } => {
                self.member.dropped(dropped);
                let counted = Deltas::of_calls(&tallies, &app.publisher.clocks());
                self.errands
                    .keep_records(&app.store, self.member.gateway_id(), batch, records, counted);
            }
        }
    }

    /// Says what the store has done.
    async fn answer(&mut self, app: &App, stream: &mut Stream, done: Done) -> Result<(), End> {
        match done {
            Done::Recorded(batch) => stream.say(&FromControlPlane::Recorded { batch }).await,
            Done::Settled { up_to, commanded } => {
                if commanded {
                    self.look_for_commands(app);
                }
                stream.say(&FromControlPlane::Settled { up_to }).await
            }
            Done::Commands(commands) => {
                if self.errands.should_look_again() {
                    self.look_for_commands(app);
                }
                for CommandRecord { id, command, .. } in commands {
                    stream.say(&FromControlPlane::Command { id, command }).await?;
                }
                Ok(())
            }
            // Without an answer the gateway sends it again.
            Done::Nothing => Ok(()),
        }
    }

    fn look_for_commands(&mut self, app: &App) {
        if self.muted.is_none() {
            self.errands.fetch_commands(&app.commands, self.member.gateway_id());
        }
    }
}

/// The socket, with a limit on the time of each message.
struct Stream {
    socket: WebSocket,
    heard: Instant,
}

impl Stream {
    /// The next message of the gateway. Safe to drop while it waits.
    async fn next(&mut self) -> Result<FromGateway, End> {
        loop {
            let message = self.socket.next().await.ok_or_else(End::gone)?;
            let message = message.map_err(|error| End::new(PROTOCOL, error.to_string()))?;
            self.heard = Instant::now();
            match message {
                Message::Text(text) => {
                    return serde_json::from_str(&text)
                        .map_err(|error| End::new(PROTOCOL, format!("not a message of a gateway: {error}")));
                }
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Binary(_) => return Err(End::new(PROTOCOL, "messages are texts")),
                Message::Close(_) => return Err(End::gone()),
            }
        }
    }

    async fn say(&mut self, message: &FromControlPlane) -> Result<(), End> {
        let text = serde_json::to_string(message)
            .map_err(|error| End::new(FAULT, format!("the message could not be made: {error}")))?;
        self.send(Message::Text(text.into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match tokio::time::timeout(SEND_WITHIN, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::gone()),
            Err(_) => Err(End::new(POLICY, "a message was not taken in time")),
        }
    }
}

async fn farewell(mut socket: WebSocket, end: &End) {
    let mut reason = end.reason.clone();
    reason.truncate(reason.floor_char_boundary(MOST_REASON_BYTES));
    let frame = CloseFrame {
        code: end.code,
        reason: reason.into(),
    };
    // Whether it arrives is of no consequence: the connection ends here either way.
    let _ = tokio::time::timeout(FAREWELL_WITHIN, socket.send(Message::Close(Some(frame)))).await;
}

fn stopping() -> End {
    End::new(GOING_AWAY, "the control plane stops")
}

const HELLO_WITHIN: Duration = Duration::from_secs(10);
const SEND_WITHIN: Duration = Duration::from_secs(30);
const FAREWELL_WITHIN: Duration = Duration::from_secs(1);
const PING_EVERY: Duration = Duration::from_secs(15);
/// Three pings without an answer.
const SILENT_FOR: Duration = Duration::from_secs(50);
/// Commands of other control planes, and those that could not be read, are found so often.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// RFC 6455 section 5.5 leaves 125 bytes to a close frame, two of them to its code.
const MOST_REASON_BYTES: usize = 123;

// RFC 6455 section 7.4.1.
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;
const PROTOCOL: u16 = 1002;
const POLICY: u16 = 1008;
const FAULT: u16 = 1011;
