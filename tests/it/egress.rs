//! Where the gateway connects to, and what clients hear when it cannot. On streaming routes and on exchanges alike.

use harness::answer::Gate;
use harness::documents::{ORG, document, integration, with};
use harness::gateway::Setup;
use harness::{Answer, Gateway, Partner, TlsFront, wait};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[tokio::test]
async fn addresses_inside_are_refused_however_they_are_written() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for (number, host) in INSIDE.iter().enumerate() {
        let target = format!("http://{host}:{port}/");
        let mut closed = document(both_kinds(&target));
        closed["organizations"] = json!([{"orgId": ORG}]);
        let mut gateway = Setup::new().file(&closed).start_listening().await;
        let refused_at_once = wait::until("a verdict on the target", async || {
            let config = gateway.admin_get("/config").await.json();
            (!config["lastError"].is_null() || !config["digest"].is_null()).then(|| config["digest"].is_null())
        })
        .await;
        assert!(gateway.process.is_running());
        if refused_at_once {
            continue;
        }
        for kind in ["stream.test", "exchange.test"] {
            let reply = gateway.get(kind, "/").await;
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (502, "TARGET_REFUSED"),
                "{number}: {host} by {kind}"
            );
        }
    }
    let nobody = tokio::time::timeout(std::time::Duration::ZERO, listener.accept()).await;
    assert!(nobody.is_err(), "something connected to a refused address");
}

const INSIDE: &[&str] = &[
    "127.0.0.1",
    "localhost",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "0.0.0.0",
    "2130706433",
    "0x7f.1",
    "169.254.169.254",
    "10.0.0.1",
    "[fd00::1]",
];

#[tokio::test]
async fn an_allowed_range_opens_only_itself() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let target = format!("http://localhost:{}/", partner.address().port());
    let mut narrow = document([with(integration("stream", &target), json!({"pathRewrite": "target"}))]);
    narrow["organizations"] = json!([{"orgId": ORG, "allowedNetworks": ["127.0.0.1/32"]}]);
    let gateway = Gateway::serving(&narrow).await;
    assert_eq!(gateway.get("stream.test", "/").await.status, 200);
    narrow = document(both_kinds(&target));
    narrow["organizations"] = json!([{"orgId": ORG, "allowedNetworks": ["127.0.0.2/32"]}]);
    gateway.swap(&narrow).await;
    for kind in ["stream.test", "exchange.test"] {
        assert_eq!(gateway.get(kind, "/").await.code(), "TARGET_REFUSED", "{kind}");
    }
    assert_eq!(partner.requests().len(), 1);
}

#[tokio::test]
async fn another_organizations_range_opens_nothing() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let mut other = document(both_kinds(&partner.url("/")));
    other["organizations"] = json!([{"orgId": ORG}, {"orgId": 7, "allowedNetworks": ["127.0.0.0/8"]}]);
    let mut gateway = Setup::new().file(&other).start_listening().await;
    if gateway.admin_get("/readyz").await.status == 200 {
        assert_eq!(gateway.get("stream.test", "/").await.status, 502);
    }
    assert!(gateway.process.is_running());
    assert_eq!(partner.connections(), 0);
}

#[tokio::test]
async fn redirects_are_the_clients_business() {
    let secret = Partner::answering(Answer::text("inside")).await;
    let location = secret.url("/inside");
    let partner = Partner::answering(Answer::status(302).header("location", &location)).await;
    let gateway = Gateway::serving(&document(both_kinds(&partner.url("/")))).await;
    for kind in ["stream.test", "exchange.test"] {
        let reply = gateway.get(kind, "/").await;
        assert_eq!(
            (reply.status, reply.header("location")),
            (302, Some(location.as_str())),
            "{kind}"
        );
    }
    assert_eq!(secret.connections(), 0, "the gateway followed a redirect");
}

#[tokio::test]
async fn a_partner_that_is_down_is_a_502() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let gateway = Gateway::serving(&document(both_kinds(&target))).await;
    for kind in ["stream.test", "exchange.test"] {
        let reply = gateway.get(kind, "/").await;
        assert_eq!(reply.status, 502, "{kind}: {}", reply.text());
        reply.code();
        assert!(
            !reply.text().contains("127.0.0.1"),
            "an inner address is told: {}",
            reply.text()
        );
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_a_502() {
    let gateway = Gateway::serving(&document(both_kinds("http://no-such-name.invalid/"))).await;
    for kind in ["stream.test", "exchange.test"] {
        let reply = gateway.get(kind, "/").await;
        assert_eq!(reply.status, 502, "{kind}: {}", reply.text());
        reply.code();
    }
}

#[tokio::test]
async fn a_partner_that_does_not_answer_is_a_504() {
    let gate = Gate::new();
    let partner = Partner::answering(Answer::text("late").after(&gate)).await;
    let quick = json!({"timeouts": {"connectMs": 1000, "firstByteMs": 200}});
    let routes = both_kinds(&partner.url("/")).map(|route| with(route, quick.clone()));
    let gateway = Gateway::serving(&document(routes)).await;
    for kind in ["stream.test", "exchange.test"] {
        let reply = gateway.get(kind, "/").await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (504, "UPSTREAM_TIMEOUT"),
            "{kind}"
        );
    }
    wait::until("the late calls to be given up", async || {
        (partner.open_connections() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_drips_is_ended_by_the_total_deadline() {
    let partner = Partner::answering(Answer::status(200).trickle()).await;
    let quick = json!({"timeouts": {"totalMs": 400}});
    let routes = both_kinds(&partner.url("/")).map(|route| with(route, quick.clone()));
    let gateway = Gateway::serving(&document(routes)).await;
    let exchanged = gateway.get("exchange.test", "/").await;
    assert_eq!(exchanged.status, 504, "{}", exchanged.text());
    let streamed = harness::client::Reply::try_of(gateway.request(Method::GET, "stream.test", "/")).await;
    assert!(
        streamed.is_err() || streamed.is_ok_and(|reply| reply.status == 504),
        "the drip was taken for a whole answer"
    );
    wait::until("the dripping calls to be given up", async || {
        (partner.open_connections() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_falls_silent_is_ended_unless_it_is_a_stream_of_events() {
    let (stuck, later) = (Gate::new(), Gate::new());
    let partner = Partner::answering(Answer::text("").first_then("begun", &stuck, "never")).await;
    let events = Answer::status(200).header("content-type", "text/event-stream");
    let feed = Partner::answering(events.first_then("data: 1\n\n", &later, "data: 2\n\n")).await;
    let quick = json!({"timeouts": {"connectMs": 1000, "firstByteMs": 200, "totalMs": 20_000}});
    let routes = [("labs", partner.url("/")), ("feed", feed.url("/"))];
    let routes = routes.map(|(name, target)| with(integration(name, &target), quick.clone()));
    let gateway = Gateway::serving(&document(routes)).await;

    let mut events = gateway.request(Method::GET, "feed.test", "/").send().await.unwrap();
    assert_eq!(events.chunk().await.unwrap().as_deref(), Some(&b"data: 1\n\n"[..]));
    for request in [
        gateway.request(Method::GET, "labs.test", "/"),
        gateway.request(Method::POST, "labs.test", "/").body("with a body"),
    ] {
        let mut answer = request.send().await.unwrap();
        assert_eq!(answer.chunk().await.unwrap().as_deref(), Some(&b"begun"[..]));
        assert!(
            answer.chunk().await.is_err(),
            "what was cut off was taken for a whole answer"
        );
    }
    wait::until("the silent calls to be given up", async || {
        (partner.open_connections() == 0).then_some(())
    })
    .await;
    later.open();
    assert_eq!(events.chunk().await.unwrap().as_deref(), Some(&b"data: 2\n\n"[..]));
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_a_502_where_it_is_read() {
    let small = json!({"bodyLimits": {"responseBytes": 100}});
    let body = json!({"a": "x".repeat(200)});
    for answer in [Answer::json(&body), Answer::status(200).trickle()] {
        let partner = Partner::answering(answer).await;
        let gateway = Gateway::serving(&document(
            both_kinds(&partner.url("/")).map(|route| with(route, small.clone())),
        ))
        .await;
        let reply = gateway.get("exchange.test", "/").await;
        assert_eq!((reply.status, reply.code().as_str()), (502, "UPSTREAM_ERROR"));
    }
}

#[tokio::test]
async fn hosts_that_are_denied_are_refused() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let target = format!("http://localhost:{}/", partner.address().port());
    let denied = json!({"targetHosts": {"deny": ["localhost"]}});
    let routes = both_kinds(&target).map(|route| with(route, denied.clone()));
    let mut gateway = Setup::new().file(&document(routes)).start_listening().await;
    if gateway.admin_get("/readyz").await.status == 200 {
        assert_eq!(gateway.get("stream.test", "/").await.status, 502);
    }
    assert!(gateway.process.is_running());
    assert_eq!(partner.connections(), 0);
}

#[tokio::test]
async fn a_partner_with_tls_is_called_if_its_certificate_is_trusted_and_its_own() {
    let partner = Partner::answering(Answer::json(&json!({"a": 1}))).await;
    let front = TlsFront::before(&partner).await;
    let port = front.port();
    let good = document(both_kinds(&format!("https://localhost:{port}/")));
    let trusting = Setup::new().set("egress", json!({"extraCaFile": harness::tls::authority()}));

    let gateway = trusting.file(&good).start().await;
    for kind in ["stream.test", "exchange.test"] {
        let reply = gateway.get(kind, "/").await;
        assert_eq!(reply.status, 200, "{kind}: {}", reply.text());
    }
    // Another name than the one in the certificate; it resolves to this machine as well.
    let other_name = document(both_kinds(&format!("https://127.0.0.1:{port}/")));
    let trusting = Setup::new().set("egress", json!({"extraCaFile": harness::tls::authority()}));
    let gateways = [
        trusting.file(&other_name).start_listening().await,
        Gateway::serving(&good).await,
    ];
    for gateway in &gateways {
        for kind in ["stream.test", "exchange.test"] {
            let reply = gateway.get(kind, "/").await;
            assert!(
                [502, 503].contains(&reply.status),
                "{kind}: {} {}",
                reply.status,
                reply.text()
            );
        }
    }
    assert_eq!(
        partner.requests().len(),
        2,
        "a request went to a partner that nobody vouched for"
    );
}

#[tokio::test]
async fn targets_without_tls_are_refused_where_it_is_enforced() {
    let mut strict = document([integration("labs", "http://partner.example/")]);
    strict["security"] = json!({});
    let gateway = Setup::new().file(&strict).start_listening().await;
    wait::until("the refusal", async || {
        let refused = gateway.admin_get("/config").await.json()["lastError"].to_string();
        (refused.contains("targetUrl") && refused.contains("https")).then_some(())
    })
    .await;
}

/// The same target behind a streaming route and behind an exchange that maps the answer.
fn both_kinds(target: &str) -> [Value; 2] {
    let mapping = json!({"responseTransformationMode": "SIMPLE",
        "responseFieldMappings": [{"sourceField": "a", "targetField": "b"}]});
    [
        with(integration("stream", target), json!({"pathRewrite": "target"})),
        with(
            with(integration("exchange", target), json!({"pathRewrite": "target"})),
            mapping,
        ),
    ]
}
