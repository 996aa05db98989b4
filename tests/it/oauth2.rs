//! Signing in to partners with tokens of a token endpoint.

use harness::answer::Gate;
use harness::client::Reply;
use harness::documents::{document, integration, with};
use harness::events::{bill, events_document, subscription};
use harness::example::Example;
use harness::h2_client::{self, H2Client};
use harness::token_server::{CLIENT, CLIENT_SECRET, form};
use harness::{Answer, Gateway, Partner, Received, Receiver, TokenServer, wait};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_token_is_fetched_once_and_sent_on_both_paths() {
    let server = TokenServer::start().await;
    let partner = server.partner().await;
    let gateway = serving(
        &server,
        &partner,
        json!({"grantType": "client_credentials", "scope": "read write"}),
    )
    .await;
    for host in ["stream.test", "exchange.test"] {
        let request = gateway
            .request(Method::POST, host, "/x")
            .header("authorization", "Bearer forged")
            .json(&json!({"a": 1}));
        assert_eq!(Reply::of(request).await.text(), "signed in", "{host}");
    }
    for received in partner.requests() {
        let values: Vec<_> = received.headers.get_all("authorization").iter().collect();
        assert_eq!(values, ["Bearer token-1"]);
    }
    let asked = only(server.requests());
    assert_eq!((asked.method.as_str(), asked.uri.path()), ("POST", "/token"));
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    let form = form(&asked);
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["scope"], "read write");
    assert!(!form.contains_key("client_secret"), "the secret is in the header");
}

#[tokio::test]
async fn clients_show_who_they_are_in_the_body_or_by_an_assertion() {
    let server = TokenServer::start().await;
    let partner = server.partner().await;
    let kinds = [
        json!({"clientAuthentication": "client_secret_post", "audience": "labs-api", "resource": ["https://labs.example/"],
            "parameters": {"tenant": "a b"}}),
        json!({"clientAuthentication": "private_key_jwt", "clientSecret": null, "privateKey": server.key(), "keyId": "k-1",
            "algorithm": "ES256", "assertionAudience": "https://login.example"}),
    ];
    for kind in kinds {
        let gateway = serving(&server, &partner, kind).await;
        assert_eq!(gateway.get("stream.test", "/").await.text(), "signed in");
    }
    let asked: Vec<_> = server.requests().iter().map(form).collect();
    assert_eq!(asked[0]["client_id"], CLIENT);
    assert_eq!(asked[0]["client_secret"], CLIENT_SECRET);
    assert_eq!(
        (&*asked[0]["audience"], &*asked[0]["resource"]),
        ("labs-api", "https://labs.example/")
    );
    assert_eq!(asked[0]["tenant"], "a b");
    assert!(asked[1].contains_key("client_assertion") && !asked[1].contains_key("client_secret"));
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
}

/// Requests at a time, over so many connections.
const AT_ONCE: usize = 10_000;
const CONNECTIONS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_cold_requests_at_once_make_one_token_call() {
    let server = TokenServer::start().await;
    let gate = Gate::new();
    server.hold(&gate);
    let partner = server.partner().await;
    let gateway = harness::gateway::Setup::new()
        .set("listen.h2c", json!("127.0.0.1:0"))
        .set("edge.h2Streams", json!(AT_ONCE / CONNECTIONS))
        .file(&both_ways(&server, &partner, json!({})))
        .start()
        .await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut client = H2Client::connect(&gateway.h2c()).await;
        for number in 0..AT_ONCE / CONNECTIONS {
            let host = if number % 2 == 0 {
                "stream.test"
            } else {
                "exchange.test"
            };
            let request = H2Client::request(Method::GET, host, "/").body(()).unwrap();
            let (answer, _) = client.begin(request, true).await;
            calls.spawn(async move { h2_client::read(answer).await.status });
        }
    }
    wait::until("all requests to wait for the token", async || {
        (gauge(&gateway, "gateway_in_flight").await >= AT_ONCE as u64).then_some(())
    })
    .await;
    assert!(
        partner.requests().is_empty(),
        "nothing goes out before there is a token"
    );
    gate.open();
    let statuses = calls.join_all().await;
    let failed: Vec<_> = statuses.iter().filter(|status| **status != 200).collect();
    assert!(failed.is_empty(), "{} of {AT_ONCE}: {failed:?}", failed.len());
    assert_eq!(server.requests().len(), 1);
    assert_eq!(partner.requests().len(), AT_ONCE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_expiries_are_never_seen_by_a_client() {
    let server = TokenServer::start().await;
    let partner = server.partner().await;
    let gateway = serving(&server, &partner, json!({})).await;
    assert_eq!(gateway.get("stream.test", "/").await.status, 200);
    for round in 0..1_000 {
        server.revoke();
        let body = json!({"round": round});
        let replies = tokio::join!(
            gateway.get("stream.test", "/"),
            gateway.post("stream.test", "/", &body),
            gateway.get("exchange.test", "/"),
            gateway.post("exchange.test", "/", &body),
        );
        for reply in [replies.0, replies.1, replies.2, replies.3] {
            assert_eq!(
                (reply.status, reply.text().as_str()),
                (200, "signed in"),
                "round {round}"
            );
        }
        assert_eq!(server.tokens(), round + 2, "one renewal for all who need it");
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let server = TokenServer::start().await;
    server.lifetime(Some(2));
    let partner = server.partner().await;
    let gateway = serving(&server, &partner, json!({})).await;
    wait::until("three tokens", async || {
        assert_eq!(gateway.get("stream.test", "/").await.status, 200);
        (server.tokens() >= 3).then_some(())
    })
    .await;
    assert!(partner.requests().len() > 3);
}

#[tokio::test]
async fn a_body_that_was_streamed_on_is_repeated_as_it_was() {
    let server = TokenServer::start().await;
    let partner = server.partner().await;
    let gateway = serving(&server, &partner, json!({})).await;
    assert_eq!(gateway.get("stream.test", "/").await.status, 200);
    server.revoke();
    let body = "x".repeat(50_000);
    let reply = Reply::of(gateway.request(Method::POST, "stream.test", "/big").body(body.clone())).await;
    assert_eq!(reply.status, 200);
    let last = partner.requests().pop().unwrap();
    assert_eq!((last.uri.path(), last.body.len()), ("/big", body.len()));
}

#[tokio::test]
async fn a_partner_that_takes_no_token_is_heard_and_the_token_endpoint_spared() {
    let server = TokenServer::start().await;
    let partner = Partner::answering(Answer::text("not you").with_status(401)).await;
    let gateway = serving(&server, &partner, json!({})).await;
    for _ in 0..10 {
        for host in ["stream.test", "exchange.test"] {
            let reply = gateway.get(host, "/").await;
            assert_eq!((reply.status, reply.text().as_str()), (401, "not you"));
        }
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_token_endpoint_that_fails_is_a_fault_of_its_own_and_says_nothing_of_its_answer() {
    let server = TokenServer::start().await;
    let partner = server.partner().await;
    for answer in [
        Answer::text("planted-in-the-answer").with_status(500),
        Answer::json(&json!({"error": "invalid_client", "error_description": "planted-in-the-answer"}))
            .with_status(401),
        Answer::json(&json!({"token": "planted-in-the-answer"})),
        Answer::status(302).header("location", "http://planted-in-the-answer.test/"),
    ] {
        server.always(Some(answer));
        let gateway = serving(&server, &partner, json!({})).await;
        for host in ["stream.test", "exchange.test"] {
            let reply = gateway.get(host, "/").await;
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (502, "SIGN_IN_FAILED"),
                "{}",
                reply.text()
            );
            assert!(!reply.text().contains("planted"), "{}", reply.text());
            assert!(!reply.text().contains(&server.url()), "{}", reply.text());
        }
        assert!(
            !gateway.process.output().contains("planted"),
            "the log holds the token endpoint's answer"
        );
    }
    assert!(partner.requests().is_empty(), "nothing goes out without a token");
    assert_eq!(
        server.requests().len(),
        4,
        "after a failure the endpoint is left alone for a while"
    );
}

#[tokio::test]
async fn calls_go_on_when_the_token_endpoint_is_back() {
    let server = TokenServer::start().await;
    let partner = server.partner().await;
    server.always(Some(Answer::status(503)));
    let gateway = serving(&server, &partner, json!({})).await;
    assert_eq!(gateway.get("stream.test", "/").await.status, 502);
    server.always(None);
    wait::until("a token", async || {
        (gateway.get("stream.test", "/").await.status == 200).then_some(())
    })
    .await;
    let text = gateway.admin_get("/metrics").await.text();
    for series in ["granted\"} 1", "refused\"} 1"] {
        assert!(
            text.contains(&format!("gateway_token_calls_total{{outcome=\"{series}")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_token_endpoint_that_is_down_does_not_matter_while_the_token_is_good() {
    let server = TokenServer::start().await;
    server.lifetime(Some(1));
    let partner = server.partner().await;
    let gateway = serving(&server, &partner, json!({})).await;
    assert_eq!(gateway.get("stream.test", "/").await.status, 200);
    server.always(Some(Answer::status(503)));
    // The endpoint was asked again and failed: the token that is there stands in, a little over its end.
    wait::until("two failed renewals", async || {
        assert_eq!(gateway.get("stream.test", "/").await.status, 200);
        (server.requests().len() >= 3).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_has_the_same_credential_shares_tokens_and_nobody_else() {
    let server = TokenServer::start().await;
    let partner = server.partner().await;
    let labs = |name: &str, fields: Value| with(integration(name, &partner.url("")), server.sign_in(fields));
    let foreign = with(
        labs("foreign", json!({})),
        json!({"orgId": 649, "hosts": ["foreign.test"]}),
    );
    let mut document = document([
        labs("one", json!({})),
        labs("two", json!({})),
        labs("narrow", json!({"scope": "read"})),
        foreign,
    ]);
    let organizations = document["organizations"].as_array_mut().unwrap();
    organizations.push(json!({"orgId": 649, "allowedNetworks": ["127.0.0.0/8"]}));
    let gateway = Gateway::serving(&document).await;
    for (host, tokens) in [
        ("one.test", 1),
        ("two.test", 1),
        ("narrow.test", 2),
        ("foreign.test", 3),
        ("two.test", 3),
    ] {
        assert_eq!(gateway.get(host, "/").await.status, 200, "{host}");
        assert_eq!(server.tokens(), tokens, "{host}");
    }
    document["integrations"][0]["name"] = json!("renamed");
    gateway.swap(&document).await;
    assert_eq!(gateway.get("one.test", "/").await.status, 200);
    assert_eq!(server.tokens(), 3, "a new version goes on with the token that is there");
    let shown = gateway.admin_get("/config").await.text();
    assert!(!shown.contains(CLIENT_SECRET), "{shown}");
}

#[tokio::test]
async fn the_token_endpoint_is_bound_by_the_rules_for_addresses() {
    let server = TokenServer::start().await;
    let partner = server.partner().await;
    let name = server.url().replace("127.0.0.1", "localhost");
    let labs = with(
        integration("labs", &partner.url("")),
        server.sign_in(json!({"tokenUrl": name})),
    );
    let mut document = document([labs]);
    // The partner's address is allowed, the others that the name of the token endpoint may have are not.
    document["organizations"][0]["allowedNetworks"] = json!(["127.0.0.1/32"]);
    document["integrations"][0]["outgoingAuthConfig"]["tokenUrl"] = json!("http://127.0.0.2:9/token");
    let gateway = harness::gateway::Setup::new().file(&document).start_listening().await;
    let error = wait::until("the problem", async || {
        let error = gateway.admin_get("/config").await.json()["lastError"].to_string();
        (error != "null").then_some(error)
    })
    .await;
    assert!(error.contains("outgoingAuthConfig.tokenUrl"), "{error}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn deliveries_are_signed_in_and_a_refused_token_is_renewed_at_once() {
    let server = TokenServer::start().await;
    let endpoint = server.partner().await;
    // An hour to the next attempt: what comes sooner is the same one.
    let patient = json!({"retry": {"type": "list", "delaysMs": [3_600_000], "jitter": 0}});
    let billing = with(
        with(
            subscription("billing", &endpoint.url("/hook")),
            server.sign_in(json!({})),
        ),
        patient,
    );
    let gateway = Gateway::serving(&events_document([billing])).await;
    gateway.accept(&bill("B-1")).await;
    endpoint.received(1).await;
    settled(&gateway).await;
    server.revoke();
    gateway.accept(&bill("B-2")).await;
    let requests = endpoint.received(3).await;
    settled(&gateway).await;
    let sent: Vec<_> = requests.iter().map(|request| request.header("authorization")).collect();
    assert_eq!(
        sent,
        [Some("Bearer token-1"), Some("Bearer token-1"), Some("Bearer token-2")]
    );
    assert_eq!(
        requests[1].header("idempotency-key"),
        requests[2].header("idempotency-key")
    );
    assert_eq!(requests[1].body, requests[2].body);
    assert_eq!(endpoint.requests().len(), 3);
}

#[tokio::test]
async fn an_endpoint_that_takes_no_token_makes_a_dead_letter_at_once() {
    let server = TokenServer::start().await;
    let endpoint = Receiver::start().await;
    endpoint.always(Answer::status(401));
    let billing = with(subscription("billing", &endpoint.url("/")), server.sign_in(json!({})));
    let gateway = Gateway::serving(&events_document([billing])).await;
    gateway.accept(&bill("B-1")).await;
    wait::until("a dead letter", async || {
        (gateway.admin_get("/queue").await.json()["dead"] == 1).then_some(())
    })
    .await;
    assert_eq!(endpoint.requests().len(), 1);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn deliveries_wait_for_a_token_endpoint_that_is_down() {
    let server = TokenServer::start().await;
    server.always(Some(Answer::status(500)));
    let endpoint = server.partner().await;
    let often = json!({"retry": {"type": "list", "delaysMs": vec![500; 50], "jitter": 0}});
    let billing = with(
        with(subscription("billing", &endpoint.url("/")), server.sign_in(json!({}))),
        often,
    );
    let gateway = Gateway::serving(&events_document([billing])).await;
    gateway.accept(&bill("B-1")).await;
    wait::until("a token call", async || (!server.requests().is_empty()).then_some(())).await;
    server.always(None);
    endpoint.received(1).await;
    settled(&gateway).await;
    assert_eq!(endpoint.requests().len(), 1, "nothing goes out without a token");
}

#[tokio::test]
async fn each_step_and_each_enrichment_signs_in_for_itself() {
    let (server, other) = (TokenServer::start().await, TokenServer::start().await);
    let endpoint = server.partner().await;
    let source = other.partner_saying(Answer::json(&json!({"fresh": true}))).await;
    let mut enrichment = with(
        other.sign_in(json!({})),
        json!({"name": "bill", "url": source.url("/bill")}),
    );
    enrichment["targetField"] = json!("data");
    let billing = with(
        subscription("billing", &endpoint.url("/")),
        json!({"enrichments": [enrichment], "actions": [
            with(server.sign_in(json!({})), json!({"name": "first", "targetUrl": endpoint.url("/first")})),
            with(server.sign_in(json!({"scope": "second"})), json!({"name": "second", "targetUrl": endpoint.url("/second")})),
        ]}),
    );
    let gateway = Gateway::serving(&events_document([billing])).await;
    gateway.accept(&bill("B-1")).await;
    endpoint.received(2).await;
    settled(&gateway).await;
    assert_eq!((server.tokens(), other.tokens()), (2, 1));
    other.revoke();
    server.revoke();
    gateway.accept(&bill("B-2")).await;
    settled(&gateway).await;
    let taken: Vec<_> = endpoint
        .requests()
        .into_iter()
        .skip(2)
        .map(|request| request.uri.to_string())
        .collect();
    assert_eq!(
        taken,
        ["/first", "/first", "/second", "/second"],
        "each with the old token and with a new one"
    );
    assert_eq!(
        endpoint.requests().last().unwrap().json()["data"],
        json!({"fresh": true})
    );
    assert_eq!((server.tokens(), other.tokens()), (4, 2));
}

#[tokio::test]
async fn the_example_signs_in() {
    let server = TokenServer::start().await;
    let partner = server.partner().await;
    let document = Example::named("outgoing-oauth2")
        .with("https://api.partner.example", &partner.url(""))
        .with("https://login.partner.example/oauth2/token", &server.url())
        .with("the-client-id-that-the-partner-gave-us", CLIENT)
        .with("the-secret-that-the-partner-gave-us", CLIENT_SECRET)
        .document();
    let gateway = Gateway::serving(&document).await;
    assert_eq!(gateway.get("labs.gateway.example", "/orders").await.text(), "signed in");
    assert_eq!(form(&only(server.requests()))["scope"], "orders:read orders:write");
}

/// A gateway with a streaming and an exchanging integration, `stream.test` and `exchange.test`, both signed in.
async fn serving(server: &TokenServer, partner: &Partner, fields: Value) -> Gateway {
    Gateway::serving(&both_ways(server, partner, fields)).await
}

/// A streaming and an exchanging integration.
fn both_ways(server: &TokenServer, partner: &Partner, fields: Value) -> Value {
    let exchanging = json!({"requestTransformationMode": "SIMPLE",
        "requestFieldMappings": [{"sourceField": "a", "targetField": "b"}]});
    let mut auth = server.sign_in(fields);
    if auth["outgoingAuthConfig"]["clientSecret"].is_null() {
        auth["outgoingAuthConfig"]
            .as_object_mut()
            .unwrap()
            .remove("clientSecret");
    }
    let stream = with(integration("stream", &partner.url("")), auth.clone());
    let exchange = with(with(integration("exchange", &partner.url("")), auth), exchanging);
    document([stream, exchange])
}

async fn settled(gateway: &Gateway) {
    wait::until("the queue to be empty", async || {
        (gateway.admin_get("/queue").await.json()["open"] == 0).then_some(())
    })
    .await;
}

async fn gauge(gateway: &Gateway, name: &str) -> u64 {
    let text = gateway.admin_get("/metrics").await.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap())
}

fn only(mut requests: Vec<Received>) -> Received {
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests.remove(0)
}

#[tokio::test]
async fn the_example_with_an_assertion_signs_in() {
    let server = TokenServer::start().await;
    let partner = server.partner().await;
    let mut document = Example::named("outgoing-oauth2-assertion")
        .with("https://api.partner.example", &partner.url(""))
        .with("https://login.partner.example/oauth2/token", &server.url())
        .with("the-client-id-that-the-partner-gave-us", CLIENT)
        .document();
    // The token endpoint of the test knows another key than that of the example.
    document["integrations"][0]["outgoingAuthConfig"]["privateKey"] = json!(server.key());
    let gateway = Gateway::serving(&document).await;
    assert_eq!(
        gateway.get("fhir.gateway.example", "/Patient/7").await.text(),
        "signed in"
    );
}
