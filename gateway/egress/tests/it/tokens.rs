//! Tokens of a token endpoint: one request however many wait, and another token after a refused one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use egress::{TokenCall, TokenError, TokenSource, Tokens};
use filters::model::Snapshot;
use http::Response;
use http_body_util::Full;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::partner::{Partner, open, resolver};

const PATIENT: Duration = Duration::from_secs(20);

/// A token endpoint that counts its tokens, and the source of them.
struct Rig {
    endpoint: Partner,
    source: Arc<TokenSource>,
    granted: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    _tokens: Tokens,
}

impl Rig {
    async fn new(endpoint: Partner) -> Self {
        let document = json!({"security": {"enforceHttps": false, "blockPrivateNetworks": false}, "integrations": [{
            "name": "labs", "type": "labs", "id": "labs", "orgId": 1, "targetUrl": "http://partner.example",
            "outgoingAuthType": "OAUTH2", "outgoingAuthConfig":
                {"tokenUrl": endpoint.url(), "clientId": "c", "clientSecret": "s"}}]});
        let snapshot = Snapshot::from_document(&document).expect("a document");
        let plan = filters::compile(&snapshot, None).expect("a plan");
        let sign_in = plan.integration("labs").expect("the integration").outgoing.clone();
        let [granted, refused] = [(); 2].map(|()| Arc::<AtomicUsize>::default());
        let counts = (Arc::clone(&granted), Arc::clone(&refused));
        let trust = egress::Trust::load(None).expect("TLS settings");
        let tokens = Tokens::new(resolver(), trust, move |call| {
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
            _tokens: tokens,
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
