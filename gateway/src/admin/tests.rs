use std::net::SocketAddr;

use filters::model::push::FromControlPlane;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::metrics::LetterOutcome;
use crate::sync::rig::Rig;

/// A served admin listener.
struct Served {
    rig: Rig,
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn start() -> Self {
        let rig = Rig::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stopping = Arc::new(AtomicBool::new(false));
        let context = Context {
            shared: Arc::clone(&rig.shared),
            state: Arc::clone(&rig.state),
            metrics: rig.metrics(),
            stopping: Arc::clone(&stopping),
            events: None,
        };
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, context, stop.clone()));
        Self {
            rig,
            address,
            stopping,
            stop,
            serving,
        }
    }

    async fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.ask("GET", path).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    /// Makes a version live that has an integration of each kind.
    async fn serve_something(&self) {
        let integrations = json!([
            {"id": "labs", "name": "Labs", "type": "labs", "orgId": 7, "hosts": ["labs.example", "*.labs.example"],
             "paths": [{"prefix": "/fhir"}], "methods": ["GET", "POST"], "targetUrl": "https://partner.example",
             "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "hunter2"}},
            {"id": "book", "name": "Book", "type": "book", "orgId": 7, "targetUrl": "https://partner.example",
             "requestTransformationMode": "SIMPLE",
             "requestFieldMappings": [{"sourceField": "a", "targetField": "b"}]},
            {"id": "gone", "name": "Gone", "type": "gone", "orgId": 7, "isActive": false, "hosts": ["gone.example"],
             "targetUrl": "https://partner.example"},
        ]);
        let put = integrations.as_array().unwrap().iter();
        let put = put.map(|value| serde_json::from_value(json!({"kind": "integration", "value": value})).unwrap());
        let message = FromControlPlane::Snapshot {
            version: 5,
            put: put.collect(),
            trial: false,
        };
        let outcome = self.rig.message(&message).await;
        assert!(matches!(outcome, crate::sync::rig::Outcome::Live(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn readiness_follows_the_plan_and_the_stop() {
    let served = Served::start().await;
    assert_eq!(served.get("/healthz").await.0, 200);
    let (status, body) = served.get("/readyz").await;
    assert_eq!((status, &body["code"]), (503, &json!("NOT_READY")));
    served.serve_something().await;
    assert_eq!(served.get("/readyz").await.0, 200);
    served.stopping.store(true, Ordering::Relaxed);
    assert_eq!(served.get("/readyz").await.0, 503);
    assert_eq!(served.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn readiness_tells_what_was_lost() {
    let served = Served::start().await;
    served.serve_something().await;
    let metrics = served.rig.metrics();
    for kept in [LetterOutcome::Kept, LetterOutcome::Repeated] {
        metrics.letter(kept);
    }
    assert_eq!(served.get("/readyz").await.1, json!({"status": "ready"}));
    let lost = [
        LetterOutcome::TooMany,
        LetterOutcome::Full,
        LetterOutcome::Busy,
        LetterOutcome::NoQueue,
        LetterOutcome::Failed,
    ];
    lost.into_iter().for_each(|outcome| metrics.letter(outcome));
    metrics.records_dropped.inc_by(3);
    let (status, body) = served.get("/readyz").await;
    assert_eq!((status, &body["lost"]), (200, &json!({"records": 3, "deadLetters": 5})));
}

#[tokio::test]
async fn the_config_is_shown_without_secrets() {
    let served = Served::start().await;
    let (status, body) = served.get("/config").await;
    assert_eq!(status, 200);
    assert_eq!(body["source"], Value::Null);
    served.serve_something().await;
    let (_, body) = served.get("/config").await;
    assert_eq!(body["version"], 5);
    assert_eq!(body["source"], "controlPlane");
    assert_eq!(body["integrationCount"], 3);
    assert_eq!(body["security"]["enforceHttps"], true);
    assert_eq!(body["digest"].as_str().unwrap().len(), 64);
    assert!(body["appliedAt"].is_string());
    assert!(body.get("integrations").is_none());
    let (_, body) = served.get("/config?full=true").await;
    assert_eq!(body["integrations"][2]["outgoingAuthConfig"]["token"], "***");
    assert!(!body.to_string().contains("hunter2"));
}

#[tokio::test]
async fn a_refused_version_is_told_with_its_problems() {
    let served = Served::start().await;
    served.serve_something().await;
    let bad = crate::sync::rig::integration("bad", "no address");
    let message = FromControlPlane::Change {
        from: 5,
        to: 6,
        put: vec![bad],
        delete: Vec::new(),
        trial: false,
    };
    served.rig.message(&message).await;
    let (_, body) = served.get("/config").await;
    assert_eq!(
        (&body["version"], &body["lastError"]["version"]),
        (&json!(5), &json!(6))
    );
    let path = body["lastError"]["problems"][0]["path"].as_str().unwrap();
    assert!(path.contains("targetUrl"), "{body}");
}

#[tokio::test]
async fn the_route_table_is_shown_and_searched() {
    let served = Served::start().await;
    assert_eq!(served.get("/routes").await.0, 503);
    served.serve_something().await;
    let (_, body) = served.get("/routes").await;
    assert_eq!(body["total"], 4, "{body}");
    assert!(
        !body.to_string().contains("gone"),
        "an inactive integration has no routes"
    );
    let at = |path: &str| {
        body["routes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|route| route["path"] == path)
    };
    let runtime = at("exact /api/v1/integrations/book?orgId=7").unwrap();
    assert_eq!((&runtime["mode"], &runtime["host"]), (&json!("exchange"), &Value::Null));
    let hosted = at("prefix /fhir").unwrap();
    assert_eq!(
        (&hosted["mode"], &hosted["integration"]),
        (&json!("stream"), &json!("labs"))
    );
    assert_eq!(hosted["methods"], "GET, HEAD, POST");

    let (_, body) = served.get("/routes?host=EU.labs.example").await;
    assert_eq!(
        (&body["total"], &body["routes"][0]["host"]),
        (&json!(1), &json!("*.labs.example"))
    );
    let (_, body) = served.get("/routes?host=other.example").await;
    assert_eq!(body["routes"], json!([]));
    let (_, body) = served.get("/routes?offset=3&limit=1").await;
    assert_eq!(
        (body["routes"].as_array().unwrap().len(), &body["total"]),
        (1, &json!(4))
    );
}

#[tokio::test]
async fn metrics_are_in_the_format_that_is_scraped() {
    let served = Served::start().await;
    served.serve_something().await;
    let (status, text) = served.ask("GET", "/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("\ngateway_config_version 5\n"), "{text}");
}

#[tokio::test]
async fn errors_have_the_one_shape() {
    let served = Served::start().await;
    for (method, path, status, code) in [
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("POST", "/config", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/config?ful=true", 400, "VALIDATION_ERROR"),
        ("GET", "/routes?limit=many", 400, "VALIDATION_ERROR"),
        ("GET", "/queue?limit=many", 400, "VALIDATION_ERROR"),
        ("GET", "/queue", 404, "NOT_FOUND"),
        ("PUT", "/queue/drain", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/queue/endpoints/x/pause", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/queue/events/one/B-1", 400, "VALIDATION_ERROR"),
    ] {
        let (found, body) = served.ask(method, path).await;
        let body: filters::fault::ErrorBody = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (found, body.status_code, body.code.as_str()),
            (status, status, code),
            "{path}"
        );
        assert_eq!(body.problems.is_empty(), status != 400, "{path}");
    }
}

#[tokio::test]
async fn idle_connections_end_when_it_stops() {
    let served = Served::start().await;
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    idle.read_exact(&mut byte).await.unwrap();
    served.stop.cancel();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    served.serving.await.unwrap();
}
