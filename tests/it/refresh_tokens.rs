//! Signing in to partners with refresh tokens that are replaced each time.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use harness::answer::Gate;
use harness::documents::{document, integration, with};
use harness::events::{bill, events_document, subscription};
use harness::example::Example;
use harness::token_server::{CLIENT, form};
use harness::{Answer, Gateway, Partner, TokenServer, wait};
use serde_json::{Value, json};

#[tokio::test]
async fn each_token_is_asked_for_with_the_newest_refresh_token() {
    let (server, partner) = refreshing().await;
    let gateway = Gateway::serving(&calendar(&server, &partner, json!({}))).await;
    for _ in 0..20 {
        assert_eq!(gateway.get("calendar.test", "/").await.text(), "signed in");
        server.revoke();
    }
    let asked: Vec<_> = server.requests().iter().map(form).collect();
    for (number, form) in asked.iter().enumerate() {
        assert_eq!(form["refresh_token"], format!("planted-{number}"));
        assert_eq!(form["grant_type"], "refresh_token");
    }
    assert_eq!(asked.len(), 20);
    assert!(
        server.requests()[0].header("authorization").is_some(),
        "the client's secret"
    );
    let shown = gateway.admin_get("/config?full=true").await.text();
    assert!(!shown.contains("planted"), "{shown}");
    assert!(!gateway.process.output().contains("planted"));
}

#[tokio::test]
async fn the_newest_refresh_token_outlives_restarts_and_kills() {
    let (server, partner) = refreshing().await;
    let mut gateway = Gateway::serving(&calendar(&server, &partner, json!({}))).await;
    for round in 0..6 {
        assert_eq!(gateway.get("calendar.test", "/").await.status, 200, "round {round}");
        if round % 2 == 0 {
            gateway.process.kill();
        } else {
            gateway.terminate();
            assert!(gateway.process.ended().await.success());
        }
        gateway = gateway.setup().start().await;
    }
    assert_eq!(server.tokens(), 6, "one for each start");
    let files = kept(&gateway);
    assert_eq!(files.len(), 1, "{files:?}");
    let mode = fs::metadata(&files[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let content = fs::read(&files[0]).unwrap();
    assert!(!content.windows(7).any(|window| window == b"planted"));
}

#[tokio::test]
async fn a_token_is_not_used_before_its_refresh_token_is_on_disk() {
    let (server, partner) = refreshing().await;
    let gate = Gate::new();
    server.hold(&gate);
    let gateway = Gateway::serving(&calendar(&server, &partner, json!({}))).await;
    let call = async { gateway.get("calendar.test", "/").await };
    let in_the_way = async {
        let lock = wait::until("the token to be asked for", async || {
            let lock = entries(&gateway).into_iter().find(|path| path.extension().is_some());
            lock.filter(|_| !server.requests().is_empty())
        })
        .await;
        // A file cannot take the place of a folder.
        let path = lock.with_extension("");
        fs::create_dir(&path).unwrap();
        gate.open();
        path
    };
    let (refused, path) = tokio::join!(call, in_the_way);
    assert_eq!((refused.status, refused.code().as_str()), (502, "SIGN_IN_FAILED"));
    assert!(partner.requests().is_empty());
    fs::remove_dir(&path).unwrap();
    wait::until("a token", async || {
        (gateway.get("calendar.test", "/").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(form(server.requests().last().unwrap())["refresh_token"], "planted-1");
}

#[tokio::test]
async fn integrations_with_the_same_consent_do_not_use_it_up_for_each_other() {
    let (server, partner) = refreshing().await;
    let labs = |name: &str, scope: &str| {
        let fields = json!({"grantType": "refresh_token", "refreshToken": "planted-0", "scope": scope});
        with(integration(name, &partner.url("")), server.sign_in(fields))
    };
    let mut document = document([labs("one", "read"), labs("two", "write")]);
    let gateway = Gateway::serving(&document).await;
    for _ in 0..5 {
        let replies = tokio::join!(gateway.get("one.test", "/"), gateway.get("two.test", "/"));
        assert_eq!((replies.0.status, replies.1.status), (200, 200));
        server.revoke();
    }
    document["integrations"][0]["outgoingAuthConfig"]["scope"] = json!("read write");
    gateway.swap(&document).await;
    assert_eq!(
        gateway.get("one.test", "/").await.status,
        200,
        "a change goes on with it"
    );
}

#[tokio::test]
async fn a_consent_that_is_gone_is_told_and_a_new_one_is_taken() {
    let (server, partner) = refreshing().await;
    let gone = calendar(&server, &partner, json!({"refreshToken": "planted-7"}));
    let gateway = Gateway::serving(&gone).await;
    let refused = gateway.get("calendar.test", "/").await;
    assert_eq!((refused.status, refused.code().as_str()), (502, "SIGN_IN_FAILED"));
    assert!(gateway.process.output().contains("invalid_grant"));
    server.refresh("new");
    let new = calendar(&server, &partner, json!({"refreshToken": "new-0"}));
    gateway.swap(&new).await;
    assert_eq!(gateway.get("calendar.test", "/").await.status, 200);
}

#[tokio::test]
async fn deliveries_sign_in_with_it_too() {
    let (server, endpoint) = refreshing().await;
    let fields = json!({"grantType": "refresh_token", "refreshToken": "planted-0"});
    let billing = with(subscription("billing", &endpoint.url("/hook")), server.sign_in(fields));
    let gateway = Gateway::serving(&events_document([billing])).await;
    for (number, name) in ["B-1", "B-2", "B-3"].into_iter().enumerate() {
        gateway.accept(&bill(name)).await;
        wait::until("the delivery", async || {
            (gateway.admin_get("/queue").await.json()["open"] == 0).then_some(())
        })
        .await;
        assert_eq!(server.tokens(), number as u64 + 1);
        server.revoke();
    }
    let sent = endpoint.requests();
    let last = sent.last().unwrap();
    assert_eq!(last.header("authorization"), Some("Bearer token-3"));
}

#[tokio::test]
async fn the_example_signs_in() {
    let server = TokenServer::start().await;
    server.refresh("the-token-that-we-got-when-somebody-signed-in");
    let partner = server.partner().await;
    let document = Example::named("outgoing-oauth2-refresh")
        .with("https://api.calendar.example", &partner.url(""))
        .with("https://login.calendar.example/token", &server.url())
        .with("the-client-id-that-the-partner-gave-us", CLIENT)
        .with(
            "the-token-that-we-got-when-somebody-signed-in",
            "the-token-that-we-got-when-somebody-signed-in-0",
        )
        .document();
    let gateway = Gateway::serving(&document).await;
    assert_eq!(
        gateway.get("calendar.gateway.example", "/days").await.text(),
        "signed in"
    );
    let asked = server.requests();
    assert!(asked[0].header("authorization").is_none());
    assert_eq!(form(&asked[0])["client_id"], CLIENT);
}

/// A token endpoint that takes each refresh token once, beginning with `planted-0`, and a partner that takes its tokens.
async fn refreshing() -> (TokenServer, Partner) {
    let server = TokenServer::start().await;
    server.refresh("planted");
    let partner = server.partner_saying(Answer::text("signed in")).await;
    (server, partner)
}

/// An integration, `calendar.test`, that is signed in.
fn calendar(server: &TokenServer, partner: &Partner, fields: Value) -> Value {
    let grant = json!({"grantType": "refresh_token", "refreshToken": "planted-0"});
    let sign_in = server.sign_in(with(grant, fields));
    document([with(integration("calendar", &partner.url("")), sign_in)])
}

/// What is in the folder of refresh tokens.
fn entries(gateway: &Gateway) -> Vec<PathBuf> {
    let entries = fs::read_dir(gateway.data_folder().join("refresh-tokens"));
    entries
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect()
}

/// The files of tokens.
fn kept(gateway: &Gateway) -> Vec<PathBuf> {
    entries(gateway)
        .into_iter()
        .filter(|path| path.extension().is_none())
        .collect()
}
