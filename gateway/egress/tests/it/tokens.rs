//! Tokens of a token endpoint: one request however many wait, and another token after a refused one.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use egress::{Claim, GrantStore, TokenCall, TokenError, TokenSource, Tokens};
use filters::model::Snapshot;
use filters::model::secret::Secret;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::partner::{Partner, open, resolver};

const PATIENT: Duration = Duration::from_secs(20);

/// A token endpoint that counts its tokens, and the source of them.
struct Rig {
    endpoint: Partner,
    source: Arc<TokenSource>,
    granted: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    tokens: Tokens,
}

/// Keeps refresh tokens in memory, unless it is broken.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    token: Option<Secret>,
    is_claimed: bool,
    is_broken: bool,
}

impl GrantStore for Memory {
    fn claim(&self, _: &[u8; 32]) -> io::Result<Option<Box<dyn Claim>>> {
        let mut kept = self.0.lock().expect("nothing panics");
        if std::mem::replace(&mut kept.is_claimed, true) {
            return Ok(None);
        }
        Ok(Some(Box::new(Claimed {
            token: kept.token.clone(),
            memory: self.clone(),
        })))
    }
}

struct Claimed {
    token: Option<Secret>,
    memory: Memory,
}

impl Claim for Claimed {
    fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    fn replace(&mut self, token: Secret) -> io::Result<()> {
        let mut kept = self.memory.0.lock().expect("nothing panics");
        kept.token = Some(token);
        if kept.is_broken {
            return Err(io::Error::other("no room"));
        }
        Ok(())
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        self.memory.0.lock().expect("nothing panics").is_claimed = false;
    }
}

impl Rig {
    async fn new(endpoint: Partner) -> Self {
        Self::with(endpoint, Memory::default(), json!({})).await
    }

    /// With fields of the configuration.
    async fn with(endpoint: Partner, memory: Memory, fields: Value) -> Self {
        let mut config = json!({"tokenUrl": endpoint.url(), "clientId": "c", "clientSecret": "s"});
        let fields = fields.as_object().expect("an object").clone();
        config.as_object_mut().expect("an object").extend(fields);
        let document = json!({"security": {"enforceHttps": false, "blockPrivateNetworks": false}, "integrations": [{
            "name": "labs", "type": "labs", "id": "labs", "orgId": 1, "targetUrl": "http://partner.example",
            "outgoingAuthType": "OAUTH2", "outgoingAuthConfig": config}]});
        let snapshot = Snapshot::from_document(&document).expect("a document");
        let plan = filters::compile(&snapshot, None).expect("a plan");
        let sign_in = plan.integration("labs").expect("the integration").outgoing.clone();
        let [granted, refused] = [(); 2].map(|()| Arc::<AtomicUsize>::default());
        let counts = (Arc::clone(&granted), Arc::clone(&refused));
        let trust = egress::Trust::load(None).expect("TLS settings");
        let tokens = Tokens::new(resolver(), trust, Arc::new(memory), move |call| {
            let count = match call {
                TokenCall::Granted => &counts.0,
                TokenCall::Refused | TokenCall::Failed => &counts.1,
            };
            count.fetch_add(1, Ordering::SeqCst);
        });
        let plan = sign_in.token.expect("a sign-in with tokens");
        let source = tokens.source(&plan, &open());
        assert!(Arc::ptr_eq(&source, &tokens.source(&plan, &open())));
        Self {
            endpoint,
            source,
            granted,
            refused,
            tokens,
        }
    }

    /// With an endpoint that numbers its tokens.
    async fn granting() -> Self {
        let number = AtomicUsize::new(0);
        let number = Arc::new(number);
        Self::new(
            Partner::start(move |_| {
                let number = number.fetch_add(1, Ordering::SeqCst) + 1;
                let body = json!({"access_token": format!("t{number}"), "expires_in": 3_600});
                Response::new(Full::new(Bytes::from(body.to_string())))
            })
            .await,
        )
        .await
    }

    async fn token(&self) -> String {
        let token = self.source.token(PATIENT).await.expect("a token");
        token.authorization().to_str().expect("text").to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_callers_at_once_make_one_request() {
    let (open_gate, gate) = watch::channel(false);
    let endpoint = Partner::accept(move |mut stream: TcpStream| {
        let mut gate = gate.clone();
        async move {
            use tokio::io::AsyncWriteExt as _;
            while crate::partner::read_head(&mut stream).await {
                let _ = gate.wait_for(|open| *open).await;
                let body = r#"{"access_token":"t1","expires_in":3600}"#;
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    })
    .await;
    let rig = Rig::new(endpoint).await;
    let waiting = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..10_000 {
        let (source, waiting) = (Arc::clone(&rig.source), Arc::clone(&waiting));
        callers.spawn(async move {
            waiting.fetch_add(1, Ordering::SeqCst);
            source.token(PATIENT).await.expect("a token").authorization().clone()
        });
    }
    crate::partner::eventually("all callers to wait", || waiting.load(Ordering::SeqCst) == 10_000).await;
    open_gate.send_replace(true);
    let got = callers.join_all().await;
    assert!(got.iter().all(|token| token == "Bearer t1"));
    assert_eq!(rig.granted.load(Ordering::SeqCst), 1);
    assert_eq!(rig.endpoint.connections(), 1);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_for_all_who_had_it() {
    let rig = Rig::granting().await;
    let first = rig.source.token(PATIENT).await.expect("a token");
    first.accepted();
    let [one, two] = [(); 2].map(|()| rig.source.renewed(&first, PATIENT));
    let (one, two) = tokio::join!(one, two);
    for renewed in [one, two] {
        let renewed = renewed.expect("an answer").expect("another token");
        assert_eq!(renewed.authorization(), "Bearer t2");
    }
    let late = rig.source.renewed(&first, PATIENT).await.expect("an answer");
    assert_eq!(late.expect("the token that is there").authorization(), "Bearer t2");
    assert_eq!(rig.granted.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_new_token_that_was_never_taken_is_not_replaced() {
    let rig = Rig::granting().await;
    let first = rig.source.token(PATIENT).await.expect("a token");
    assert!(rig.source.renewed(&first, PATIENT).await.expect("an answer").is_none());
    assert_eq!(rig.token().await, "Bearer t1");
    assert_eq!(rig.granted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_failure_is_told_to_all_and_not_repeated_at_once() {
    let refusing = Partner::start(|_| {
        let mut response = Response::new(Full::new(Bytes::from_static(b"{\"error\":\"invalid_client\"}")));
        *response.status_mut() = http::StatusCode::UNAUTHORIZED;
        response
    })
    .await;
    let rig = Rig::new(refusing).await;
    for _ in 0..5 {
        let error = rig.source.token(PATIENT).await.expect_err("no token");
        assert!(matches!(&*error, TokenError::Refused { .. }), "{error:?}");
        assert!(
            error.to_string().ends_with("answered with status 401 (invalid_client)"),
            "{error}"
        );
    }
    assert_eq!(rig.refused.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn nobody_waits_longer_than_it_wants_to() {
    let silent = Partner::accept(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let rig = Rig::new(silent).await;
    let error = rig.source.token(Duration::from_millis(50)).await.expect_err("no token");
    assert!(matches!(&*error, TokenError::Timeout { .. }), "{error:?}");
}

/// An endpoint that takes each refresh token once, and counts the tokens that it gives, once `gate` is open.
async fn exchanging(gate: watch::Receiver<bool>) -> Partner {
    let given = Arc::new(AtomicUsize::new(0));
    Partner::accept(move |stream| {
        let (given, gate) = (Arc::clone(&given), gate.clone());
        let service = service_fn(move |request: http::Request<Incoming>| {
            let (given, mut gate) = (Arc::clone(&given), gate.clone());
            async move {
                let body = request.into_body().collect().await.expect("a body").to_bytes();
                let form: BTreeMap<_, _> = form_urlencoded::parse(&body).into_owned().collect();
                let _ = gate.wait_for(|open| *open).await;
                let number = given.load(Ordering::SeqCst);
                let is_next = form["refresh_token"] == format!("r{number}");
                given.store(number + 1, Ordering::SeqCst);
                let next = number + 1;
                let body = json!({"access_token": format!("t{next}"), "refresh_token": format!("r{next}")});
                let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
                if !is_next {
                    *response.status_mut() = http::StatusCode::BAD_REQUEST;
                }
                Ok::<_, Infallible>(response)
            }
        });
        async move {
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        }
    })
    .await
}

fn refreshing(scope: &str) -> Value {
    json!({"grantType": "refresh_token", "refreshToken": "r0", "scope": scope})
}

#[tokio::test]
async fn each_refresh_token_is_used_once_by_all_who_begin_with_the_same() {
    let (_open, gate) = watch::channel(true);
    let memory = Memory::default();
    let endpoint = exchanging(gate).await;
    let address = endpoint.url();
    let one = Rig::with(endpoint, memory.clone(), refreshing("read")).await;
    let at = json!({"tokenUrl": address, "scope": "write"});
    let mut fields = refreshing("write");
    fields
        .as_object_mut()
        .expect("an object")
        .extend(at.as_object().expect("an object").clone());
    let other = Rig::with(Partner::start(|_| Response::default()).await, memory.clone(), fields).await;
    let tokens = tokio::join!(one.source.token(PATIENT), other.source.token(PATIENT));
    let mut tokens = [tokens.0.expect("a token"), tokens.1.expect("a token")];
    for _ in 0..10 {
        for (rig, token) in [&one, &other].into_iter().zip(&mut tokens) {
            token.accepted();
            let renewed = rig.source.renewed(token, PATIENT).await.expect("an answer");
            *token = renewed.expect("another token");
        }
    }
    let kept = memory.0.lock().expect("nothing panics").token.clone();
    assert_eq!(kept, Some(Secret::new("r22")));
}

#[tokio::test]
async fn no_token_is_used_whose_refresh_token_is_not_kept() {
    let (_open, gate) = watch::channel(true);
    let memory = Memory::default();
    memory.0.lock().expect("nothing panics").is_broken = true;
    let rig = Rig::with(exchanging(gate).await, memory.clone(), refreshing("read")).await;
    let error = rig.source.token(PATIENT).await.expect_err("no token");
    assert!(matches!(&*error, TokenError::NotKept(_)), "{error:?}");
    memory.0.lock().expect("nothing panics").is_broken = false;
    let deadline = Instant::now() + PATIENT;
    let token = loop {
        match rig.source.token(PATIENT).await {
            Ok(token) => break token,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(
        token.authorization(),
        "Bearer t2",
        "asked with the token that came first"
    );
}

#[tokio::test]
async fn the_end_waits_for_an_answer_that_may_bring_a_refresh_token() {
    let (open_gate, gate) = watch::channel(false);
    let memory = Memory::default();
    let rig = Rig::with(exchanging(gate).await, memory.clone(), refreshing("read")).await;
    rig.tokens.settled().await;
    let impatient = rig.source.token(Duration::from_millis(10)).await;
    impatient.expect_err("nobody waits for the token any more");
    let mut settled = std::pin::pin!(rig.tokens.settled());
    assert!(futures_util::poll!(&mut settled).is_pending());
    open_gate.send_replace(true);
    settled.await;
    assert!(memory.0.lock().expect("nothing panics").token.is_some());
}
