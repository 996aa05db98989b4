//! Idempotency keys: a repeat gets the first answer, and the partner one call.

use harness::answer::Gate;
use harness::client::Reply;
use harness::documents::{document, integration, with};
use harness::issuer::{ISSUER, Issuer};
use harness::{Answer, Example, Gateway, Partner, wait};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_the_partner_one_call() {
    let partner = numbering().await;
    let gateway = Gateway::serving_one(keyed(&partner, json!({}))).await;
    let first = send(&gateway, "k-1", "one").await;
    assert_eq!((first.status, first.text()), (201, "answer 1".to_owned()));
    assert_eq!(first.header("idempotency-replayed"), None);
    let again = send(&gateway, "k-1", "one").await;
    assert_eq!((again.status, again.text()), (201, "answer 1".to_owned()));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("x-partner"), Some("labs"));
    assert_ne!(first.header("x-request-id"), again.header("x-request-id"));
    let told = partner.only_request();
    assert_eq!(told.header("idempotency-key"), Some("k-1"));

    let other = send(&gateway, "k-1", "two").await;
    assert_eq!((other.status, other.code().as_str()), (422, "IDEMPOTENCY_KEY_REUSED"));
    assert_eq!(send(&gateway, "k-2", "two").await.text(), "answer 2");
    let get = gateway
        .request(Method::GET, "labs.test", "/")
        .header("idempotency-key", "k-1");
    assert_eq!(Reply::of(get).await.text(), "answer 3", "a GET has no key");
}

#[tokio::test]
async fn callers_of_the_same_name_have_keys_of_their_own() {
    let (issuer, partner) = (Issuer::start().await, numbering().await);
    let key = json!({"inboundAuthType": "API_KEY", "inboundAuthConfig": {"headerName": "X-API-Key",
        "keys": [{"name": "clinic", "value": "key-of-the-clinic"}]}});
    let token = json!({"inboundAuthType": "JWT", "inboundAuthConfig": {"issuer": ISSUER, "algorithms": ["EdDSA"],
        "audiences": ["integration-gateway"], "jwksUrl": issuer.url("/certs")}});
    let either = json!({"inboundAuthType": "ANY_OF", "inboundAuthConfig": {"anyOf": [key, token]}});
    let gateway = Gateway::serving_one(with(keyed(&partner, json!({})), either)).await;
    let request = || {
        gateway
            .request(Method::POST, "labs.test", "/")
            .header("idempotency-key", "k-1")
            .body("one")
    };
    let of_key = Reply::of(request().header("x-api-key", "key-of-the-clinic")).await;
    assert_eq!((of_key.status, of_key.text()), (201, "answer 1".to_owned()));
    // Whoever the issuer calls so is somebody else.
    let token = issuer.token(json!({"sub": "clinic"}));
    let of_token = Reply::of(request().bearer_auth(&token)).await;
    assert_eq!((of_token.status, of_token.text()), (201, "answer 2".to_owned()));
    for (repeat, answer) in [
        (request().header("x-api-key", "key-of-the-clinic"), "answer 1"),
        (request().bearer_auth(&token), "answer 2"),
    ] {
        let repeat = Reply::of(repeat).await;
        assert_eq!(repeat.header("idempotency-replayed"), Some("true"));
        assert_eq!(repeat.text(), answer);
    }
}

#[tokio::test]
async fn repeats_wait_for_the_first_one() {
    let gate = Gate::new();
    let partner = Partner::answering(Answer::text("slow").after(&gate)).await;
    let gateway = Gateway::serving_one(keyed(&partner, json!({}))).await;
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(request(&gateway, "k", "body"))).collect();
    partner.received(1).await;
    gate.open();
    let mut replayed = 0;
    for call in calls {
        let reply = call.await.unwrap();
        assert_eq!((reply.status, reply.text()), (200, "slow".to_owned()));
        replayed += usize::from(reply.header("idempotency-replayed").is_some());
    }
    assert_eq!((replayed, partner.requests().len()), (19, 1));
}

#[tokio::test]
async fn a_client_that_hung_up_finds_its_answer() {
    let gate = Gate::new();
    let partner = Partner::answering(Answer::text("done").after(&gate)).await;
    let gateway = Gateway::serving_one(keyed(&partner, json!({}))).await;
    let first = tokio::spawn(request(&gateway, "k", "body"));
    partner.received(1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    gate.open();
    let again = send(&gateway, "k", "body").await;
    assert_eq!((again.status, again.text()), (200, "done".to_owned()));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(partner.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_asks_to_come_back_is_not_kept() {
    let partner = Partner::start(|received| match received.header("x-attempt") {
        Some("1") => Answer::status(503),
        _ => Answer::text("now it works"),
    })
    .await;
    let gateway = Gateway::serving_one(keyed(&partner, json!({}))).await;
    let attempt = |number: &str| {
        let request = gateway
            .request(Method::POST, "labs.test", "/")
            .header("idempotency-key", "k");
        Reply::of(request.header("x-attempt", number).body("b"))
    };
    assert_eq!(attempt("1").await.status, 503);
    assert_eq!(attempt("2").await.text(), "now it works");
    assert_eq!(attempt("3").await.header("idempotency-replayed"), Some("true"));
}

#[tokio::test]
async fn a_key_belongs_to_its_caller() {
    let partner = numbering().await;
    let auth = json!({"inboundAuthType": "API_KEY", "inboundAuthConfig": {"keys": [
        {"name": "a", "value": "key-of-a-1"}, {"name": "b", "value": "key-of-b-2"}]}});
    let gateway = Gateway::serving_one(with(keyed(&partner, json!({})), auth)).await;
    let by = |credential: &'static str| {
        let request = gateway
            .request(Method::POST, "labs.test", "/")
            .header("idempotency-key", "k");
        Reply::of(request.header("x-api-key", credential).body("b"))
    };
    assert_eq!(by("key-of-a-1").await.text(), "answer 1");
    assert_eq!(by("key-of-b-2").await.text(), "answer 2");
    assert_eq!(by("key-of-a-1").await.text(), "answer 1");
}

#[tokio::test]
async fn a_key_that_is_missing_or_wrong_is_refused() {
    let partner = numbering().await;
    let settings = json!({"required": true, "methods": ["PUT"], "keepSeconds": 60});
    let gateway = Gateway::serving_one(keyed(&partner, settings)).await;
    let put = |fields: &'static [&'static str]| {
        let request = gateway.request(Method::PUT, "labs.test", "/").body("b");
        let add = |request: reqwest::RequestBuilder, value: &&str| request.header("x-idempotency-key", *value);
        Reply::of(fields.iter().fold(request, add))
    };
    for fields in [&[][..], &["two words"], &["one", "two"]] {
        let refused = put(fields).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (400, "VALIDATION_ERROR"),
            "{fields:?}"
        );
        assert_eq!(refused.json()["problems"][0]["path"], "Idempotency-Key");
    }
    assert_eq!(put(&["one", "one"]).await.text(), "answer 1");
    assert_eq!(put(&["one"]).await.text(), "answer 1");
    // Another method has no key.
    assert_eq!(gateway.post("labs.test", "/", &json!({})).await.text(), "answer 2");
}

#[tokio::test]
async fn switched_off_a_key_is_a_field_as_any_other() {
    let partner = numbering().await;
    let gateway = Gateway::serving_one(keyed(&partner, json!({"enabled": false}))).await;
    assert_eq!(send(&gateway, "k", "b").await.text(), "answer 1");
    assert_eq!(send(&gateway, "k", "b").await.text(), "answer 2");
    assert_eq!(partner.requests()[1].header("idempotency-key"), Some("k"));
}

#[tokio::test]
async fn when_memory_is_full_old_answers_go() {
    let partner = Partner::start(|_| Answer::text("x".repeat(10_000))).await;
    let setup = harness::gateway::Setup::new()
        .file(&document([keyed(&partner, json!({}))]))
        .set("idempotency", json!({"maxBytes": 65_536}));
    let gateway = setup.start().await;
    for n in 0..20 {
        assert_eq!(send(&gateway, &format!("k-{n}"), "b").await.status, 200);
    }
    let newest = send(&gateway, "k-19", "b").await;
    assert_eq!(newest.header("idempotency-replayed"), Some("true"));
    let oldest = send(&gateway, "k-0", "b").await;
    assert_eq!((oldest.status, oldest.header("idempotency-replayed")), (200, None));
}

#[tokio::test]
async fn the_example_answers_a_repeated_booking_once() {
    let partner = numbering().await;
    let example = Example::named("idempotency").with("https://api.partner.example", &partner.url(""));
    let gateway = Gateway::serving(&example.document()).await;
    let book = || {
        let request = gateway.request(Method::POST, "bookings.gateway.example", "/");
        Reply::of(request.header("idempotency-key", "booking-17").body("{}"))
    };
    assert_eq!(book().await.text(), "answer 1");
    let again = book().await;
    assert_eq!(
        (again.text().as_str(), again.header("idempotency-replayed")),
        ("answer 1", Some("true"))
    );
    let without = gateway.post("bookings.gateway.example", "/", &json!({})).await;
    assert_eq!(without.status, 400);
    wait::until("the replay in the metrics", async || {
        let metrics = gateway.admin_get("/metrics").await.text();
        metrics.contains("gateway_idempotency_replays_total 1").then_some(())
    })
    .await;
}

/// A partner that numbers its answers.
async fn numbering() -> Partner {
    let count = std::sync::atomic::AtomicU32::new(0);
    Partner::start(move |_| {
        let number = 1 + count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Answer::text(format!("answer {number}"))
            .with_status(201)
            .header("x-partner", "labs")
    })
    .await
}

fn keyed(partner: &Partner, settings: Value) -> Value {
    with(integration("labs", &partner.url("")), json!({"idempotency": settings}))
}

async fn send(gateway: &Gateway, key: &str, body: &'static str) -> Reply {
    request(gateway, key, body).await
}

fn request(gateway: &Gateway, key: &str, body: &'static str) -> impl Future<Output = Reply> + Send + use<> {
    let request = gateway.request(Method::POST, "labs.test", "/");
    Reply::of(request.header("idempotency-key", key).body(body))
}
