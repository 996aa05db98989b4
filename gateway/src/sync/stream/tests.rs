mod deliveries;

use std::net::SocketAddr;

use filters::model::push::{FromControlPlane, FromGateway, Have};
use filters::model::{ExecutionRecord, Secret, Snapshot};
use http::header::AUTHORIZATION;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;
use crate::sync::rig::{Rig, integration, snapshot, until};

/// A gateway's stream, and the listener that it dials.
struct Dialled {
    rig: Rig,
    records: Arc<Records>,
    listener: TcpListener,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

/// The control plane's side of one connection.
struct Side {
    socket: WebSocketStream<TcpStream>,
    token: Option<String>,
}

fn fast() -> Pace {
    Pace {
        backoff: (Duration::from_millis(1), Duration::from_millis(5)),
        status: Duration::from_secs(3600),
        endpoints: Duration::from_secs(3600),
        ..Pace::default()
    }
}

impl Dialled {
    async fn start(pace: Pace) -> Self {
        let token = Some(Secret::new("t0ken"));
        Self::start_with(pace, |control_plane| control_plane.token = token).await
    }

    async fn start_with(pace: Pace, settings: impl FnOnce(&mut ControlPlane)) -> Self {
        Self::start_on(Rig::new(), pace, None, settings).await
    }

    async fn start_on(rig: Rig, pace: Pace, events: Option<Events>, settings: impl FnOnce(&mut ControlPlane)) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let mut control_plane = ControlPlane::default();
        settings(&mut control_plane);
        let records = Arc::new(Records::new("gw-1", &rig.metrics()));
        let stream = Stream {
            endpoint: Endpoint::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap(),
            control_plane,
            gateway_id: "gw-1".to_owned(),
            applier: Arc::clone(&rig.applier),
            state: Arc::clone(&rig.state),
            tls: egress::client_config(None).unwrap(),
            metrics: rig.metrics(),
            records: Arc::clone(&records),
            events,
            pace,
        };
        let stop = CancellationToken::new();
        let running = tokio::spawn(stream.run(stop.clone()));
        Self {
            rig,
            records,
            listener,
            stop,
            running,
        }
    }

    async fn accept(&self) -> Side {
        let accepting = async {
            let (tcp, _) = self.listener.accept().await.unwrap();
            let mut token = None;
            #[expect(clippy::result_large_err, reason = "the callback's type is given")]
            let callback = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
                assert_eq!(request.uri().path(), "/api/v1/gateways/stream");
                let value = request.headers().get(AUTHORIZATION);
                token = value.map(|value| value.to_str().unwrap().to_owned());
                Ok(response)
            };
            let socket = tokio_tungstenite::accept_hdr_async(tcp, callback).await.unwrap();
            Side { socket, token }
        };
        timeout(PATIENCE, accepting).await.unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.running).await.unwrap().unwrap();
    }
}

impl Side {
    async fn send(&mut self, message: &FromControlPlane) {
        let text = serde_json::to_string(message).unwrap();
        self.socket.send(Message::text(text)).await.unwrap();
    }

    async fn frame(&mut self) -> Message {
        timeout(PATIENCE, self.socket.next()).await.unwrap().unwrap().unwrap()
    }

    /// The next message; control frames are skipped.
    async fn next(&mut self) -> FromGateway {
        loop {
            if let Message::Text(text) = self.frame().await {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// The next batch: its name, and what is in it.
    async fn records(&mut self) -> (String, Vec<String>) {
        match self.next().await {
            FromGateway::Records { batch, records, .. } => {
                (batch, records.into_iter().map(|record| record.id).collect())
            }
            other => panic!("expected Records, got {other:?}"),
        }
    }

    /// What the gateway says that it has.
    async fn hello(&mut self) -> Option<Have> {
        match self.next().await {
            FromGateway::Hello {
                gateway_id,
                model_version,
                have,
            } => {
                assert_eq!((gateway_id.as_str(), model_version), ("gw-1", MODEL_VERSION));
                have
            }
            other => panic!("expected Hello, got {other:?}"),
        }
    }
}

fn change(from: u64, to: u64, id: &str, target: &str) -> FromControlPlane {
    FromControlPlane::Change {
        from,
        to,
        put: vec![integration(id, target)],
        delete: Vec::new(),
        trial: false,
    }
}

const GOOD: &str = "https://partner.example";

#[tokio::test]
async fn a_version_is_pushed_applied_and_acknowledged() {
    let dialled = Dialled::start(fast()).await;
    let mut side = dialled.accept().await;
    assert_eq!(side.token.as_deref(), Some("Bearer t0ken"));
    assert_eq!(side.hello().await, None);
    let pushed = snapshot(3, &["a"]);
    side.send(&pushed).await;
    let FromControlPlane::Snapshot { put, .. } = pushed else {
        unreachable!()
    };
    let digest = Snapshot::from_objects(3, put).digest();
    assert_eq!(side.next().await, FromGateway::Ack { version: 3, digest });
    side.send(&change(3, 4, "b", GOOD)).await;
    assert!(matches!(side.next().await, FromGateway::Ack { version: 4, .. }));
    assert_eq!(dialled.rig.live().unwrap(), ["a", "b"]);
    assert!(dialled.rig.state.report().connected);
    dialled.stop().await;
}

#[tokio::test]
async fn a_refused_version_is_answered_with_its_problems_and_the_old_one_stays() {
    let dialled = Dialled::start(fast()).await;
    let mut side = dialled.accept().await;
    side.hello().await;
    side.send(&snapshot(1, &["a"])).await;
    side.next().await;
    side.send(&change(1, 2, "b", "no address")).await;
    let FromGateway::Nack { version: 2, problems } = side.next().await else {
        panic!("expected Nack");
    };
    assert!(
        problems.iter().any(|problem| problem.path.contains("targetUrl")),
        "{problems:?}"
    );
    assert_eq!(dialled.rig.live().unwrap(), ["a"]);
    side.send(&change(1, 3, "b", GOOD)).await;
    assert!(matches!(side.next().await, FromGateway::Ack { version: 3, .. }));
    dialled.stop().await;
}

#[tokio::test]
async fn a_change_that_does_not_fit_is_answered_with_hello_once() {
    let dialled = Dialled::start(fast()).await;
    let mut side = dialled.accept().await;
    side.hello().await;
    side.send(&snapshot(1, &["a"])).await;
    let FromGateway::Ack { digest, .. } = side.next().await else {
        panic!("expected Ack");
    };
    for version in 7..10 {
        side.send(&change(version, version + 1, "b", GOOD)).await;
    }
    assert_eq!(side.hello().await, Some(Have { version: 1, digest }));
    side.send(&snapshot(10, &["a", "b"])).await;
    assert!(
        matches!(side.next().await, FromGateway::Ack { version: 10, .. }),
        "one Hello for all of them"
    );
    side.send(&change(1, 11, "c", GOOD)).await;
    assert_eq!(
        side.hello().await.map(|have| have.version),
        Some(10),
        "the next one is answered again"
    );
    dialled.stop().await;
}

#[tokio::test]
async fn a_broken_connection_is_made_again_with_what_is_live() {
    let dialled = Dialled::start(fast()).await;
    let mut side = dialled.accept().await;
    side.hello().await;
    side.send(&snapshot(5, &["a"])).await;
    side.next().await;
    drop(side);
    let mut side = dialled.accept().await;
    assert_eq!(side.hello().await.map(|have| have.version), Some(5));
    // Also when the control plane does not speak the protocol at first.
    drop(side);
    drop(dialled.listener.accept().await.unwrap());
    let mut side = dialled.accept().await;
    assert_eq!(side.hello().await.map(|have| have.version), Some(5));
    assert_eq!(dialled.rig.live().unwrap(), ["a"]);
    dialled.stop().await;
}

#[tokio::test]
async fn a_refused_token_is_named_and_a_new_one_is_read_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "old\n").unwrap();
    let dialled = Dialled::start_with(fast(), |control_plane| control_plane.token_file = Some(path.clone())).await;
    let (tcp, _) = dialled.listener.accept().await.unwrap();
    #[expect(clippy::result_large_err, reason = "the callback's type is given")]
    let refuse = |_: &Request, _: Response| {
        let mut response = ErrorResponse::new(None);
        *response.status_mut() = http::StatusCode::UNAUTHORIZED;
        Err(response)
    };
    assert!(tokio_tungstenite::accept_hdr_async(tcp, refuse).await.is_err());
    until("the refusal is reported", || {
        let error = dialled.rig.state.report().connection_error;
        error.is_some_and(|error| error.contains("refused the gateway's token"))
    })
    .await;
    std::fs::write(&path, "new\n").unwrap();
    // A try that began before has the old one.
    while dialled.accept().await.token.as_deref() != Some("Bearer new") {}
    dialled.stop().await;
}

#[tokio::test]
async fn a_control_plane_that_falls_silent_is_left() {
    let pace = Pace {
        ping: Duration::from_millis(5),
        silence: Duration::from_millis(50),
        ..fast()
    };
    let dialled = Dialled::start(pace).await;
    // Its frames are not read, so its pings are not answered.
    let silent = dialled.accept().await;
    let mut side = dialled.accept().await;
    side.hello().await;
    drop(silent);
    dialled.stop().await;
}

#[tokio::test]
async fn pings_are_answered_and_the_status_is_sent() {
    let pace = Pace {
        status: Duration::from_millis(5),
        ..fast()
    };
    let dialled = Dialled::start(pace).await;
    dialled.rig.metrics().in_flight.set(3);
    let mut side = dialled.accept().await;
    side.hello().await;
    side.socket
        .send(Message::Ping(Bytes::from_static(b"here")))
        .await
        .unwrap();
    let (mut pong, mut status) = (false, false);
    while !(pong && status) {
        match side.frame().await {
            Message::Pong(payload) => pong = payload == "here",
            Message::Text(text) => {
                let message = serde_json::from_str(&text).unwrap();
                status = matches!(message, FromGateway::Status { in_flight: 3, .. });
            }
            _ => {}
        }
    }
    dialled.stop().await;
}

#[tokio::test]
async fn what_is_no_message_harms_nothing() {
    let dialled = Dialled::start(fast()).await;
    let mut side = dialled.accept().await;
    side.hello().await;
    side.socket.send(Message::text("{")).await.unwrap();
    side.socket
        .send(Message::text(r#"{"message": "dance"}"#))
        .await
        .unwrap();
    side.send(&snapshot(1, &["a"])).await;
    assert!(matches!(side.next().await, FromGateway::Ack { version: 1, .. }));
    side.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    let mut side = dialled.accept().await;
    assert_eq!(side.hello().await.map(|have| have.version), Some(1));
    dialled.stop().await;
}

#[tokio::test]
async fn a_stopping_gateway_says_goodbye() {
    let dialled = Dialled::start(fast()).await;
    let mut side = dialled.accept().await;
    side.hello().await;
    dialled.stop.cancel();
    while !matches!(side.frame().await, Message::Close(_)) {}
    timeout(PATIENCE, dialled.running).await.unwrap().unwrap();
}

#[tokio::test]
async fn records_are_sent_until_they_are_acknowledged() {
    let pace = Pace {
        records: Duration::from_millis(5),
        ..fast()
    };
    let dialled = Dialled::start(pace).await;
    dialled.records.put(record(1));
    let mut side = dialled.accept().await;
    side.hello().await;
    let (first, ids) = side.records().await;
    assert_eq!(ids, ["r1"]);
    dialled.records.put(record(2));
    drop(side);
    let mut side = dialled.accept().await;
    side.hello().await;
    assert_eq!(
        side.records().await,
        (first.clone(), ids),
        "the same batch, as it was not acknowledged"
    );
    side.send(&FromControlPlane::Recorded { batch: first }).await;
    let (second, ids) = side.records().await;
    assert_eq!(ids, ["r2"]);
    side.send(&FromControlPlane::Recorded { batch: second }).await;
    until("the gateway has forgotten them", || {
        dialled.rig.metrics().records_waiting.get() == 0
    })
    .await;
    // Answers to batches do not get in the way of versions.
    side.send(&snapshot(1, &["a"])).await;
    assert!(matches!(side.next().await, FromGateway::Ack { version: 1, .. }));
    dialled.stop().await;
}

#[tokio::test]
async fn full_batches_do_not_wait_and_a_stopping_gateway_ships_the_rest() {
    let pace = Pace {
        records: Duration::from_secs(3600),
        ..fast()
    };
    let dialled = Dialled::start(pace).await;
    let mut side = dialled.accept().await;
    side.hello().await;
    (0..520).for_each(|number| dialled.records.put(record(number)));
    let mut shipped = 0;
    let mut stopped = false;
    while shipped < 520 {
        let (batch, ids) = side.records().await;
        shipped += ids.len();
        if !stopped {
            dialled.stop.cancel();
            stopped = true;
        }
        side.send(&FromControlPlane::Recorded { batch }).await;
    }
    while !matches!(side.frame().await, Message::Close(_)) {}
    timeout(PATIENCE, dialled.running).await.unwrap().unwrap();
}

fn record(number: u32) -> ExecutionRecord {
    serde_json::from_value(serde_json::json!({
        "id": format!("r{number}"), "traceId": "t", "requestId": "q", "orgId": 1, "integrationConfigId": "a",
        "integrationName": "A", "direction": "INBOUND", "status": "SUCCESS", "httpMethod": "GET", "path": "/",
        "attempts": 1, "requestBytes": 0, "responseBytes": 0, "durationMs": 1, "createdAt": "2026-01-15T10:00:00.000Z",
        "gatewayId": "gw-1",
    }))
    .unwrap()
}

#[test]
fn the_wait_grows_to_its_limit_and_varies() {
    let pace = (Duration::from_millis(100), Duration::from_secs(10));
    for (failures, most) in [
        (0, 100),
        (1, 100),
        (2, 200),
        (5, 1_600),
        (8, 10_000),
        (u32::MAX, 10_000),
    ] {
        let waits: Vec<_> = (0..100).map(|_| backoff(pace, failures).as_millis()).collect();
        assert!(
            waits.iter().all(|wait| (most / 2..=most).contains(wait)),
            "{failures}: {waits:?}"
        );
        assert!(
            waits.iter().any(|wait| *wait != waits[0]),
            "{failures}: all gateways would call at once"
        );
    }
}

/// Two gateways of one name would otherwise throw each other out as fast as they can connect.
#[test]
fn whoever_is_replaced_waits_much_longer() {
    let close = |reason: &str| {
        let frame = CloseFrame {
            code: CloseCode::Policy,
            reason: reason.into(),
        };
        text_of(Some(Ok(Message::Close(Some(frame))))).unwrap_err()
    };
    let pace = Pace::default();
    let replaced = close(REPLACED);
    assert!(replaced.to_string().contains("`gateway.id`"), "{replaced}");
    assert!(pace.wait(Some(&replaced), 1) >= Duration::from_secs(30));
    assert!(pace.wait(Some(&close("stopping")), 1) <= pace.backoff.0);
}

const PATIENCE: Duration = Duration::from_secs(30);
