//! What a client may send and how slowly, before anything is routed.

use harness::answer::Gate;
use harness::documents::{document, integration, with};
use harness::gateway::Setup;
use harness::{Answer, Gateway, Partner, wait};
use serde_json::json;

#[tokio::test]
async fn heads_beyond_the_limits_are_refused() {
    let (partner, gateway) = with_edge(json!({"headBytes": 4096, "headers": 20, "uriBytes": 200})).await;
    let long = "x".repeat(5_000);
    let mut client = gateway.raw().await;
    client
        .request(&["GET / HTTP/1.1", "Host: labs.test", &format!("X-Long: {long}")], "")
        .await;
    assert_eq!(client.answer().await.status, 431);

    let many: Vec<String> = (0..30).map(|number| format!("X-{number}: 1")).collect();
    let mut lines = vec!["GET / HTTP/1.1", "Host: labs.test"];
    lines.extend(many.iter().map(String::as_str));
    let mut client = gateway.raw().await;
    client.request(&lines, "").await;
    assert_eq!(client.answer().await.status, 431);

    let mut client = gateway.raw().await;
    client
        .request(&[&format!("GET /{} HTTP/1.1", &long[..300]), "Host: labs.test"], "")
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 414);
    assert_eq!(answer.json()["statusCode"], 414);
    assert_eq!(partner.requests().len(), 0);
}

#[tokio::test]
async fn a_head_without_end_is_cut_off_at_its_limit() {
    let (_partner, gateway) = open_gateway().await;
    let mut client = gateway.raw().await;
    client.send("GET / HTTP/1.1\r\nHost: labs.test\r\nX-Endless: ").await;
    client.send(vec![b'x'; 200_000]).await;
    assert_eq!(client.answer().await.status, 431);
    assert!(client.closed().await);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_whether_announced_or_not() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let small = json!({"bodyLimits": {"requestBytes": 100}});
    let mapping = json!({"requestTransformationMode": "SIMPLE",
        "requestFieldMappings": [{"sourceField": "a", "targetField": "b"}]});
    let stream = with(integration("stream", &partner.url("")), small.clone());
    let exchange = with(with(integration("exchange", &partner.url("")), small), mapping);
    let gateway = Gateway::serving(&document([stream, exchange])).await;
    for host in ["Host: stream.test", "Host: exchange.test"] {
        let mut client = gateway.raw().await;
        client
            .request(&["POST / HTTP/1.1", host, "Content-Length: 101"], "")
            .await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (413, "PAYLOAD_TOO_LARGE"),
            "{host}, announced"
        );

        let mut client = gateway.raw().await;
        let body = format!("65\r\n{}\r\n0\r\n\r\n", "x".repeat(101));
        client
            .request(&["POST / HTTP/1.1", host, "Transfer-Encoding: chunked"], &body)
            .await;
        assert_eq!(client.answer().await.status, 413, "{host}, in chunks");
    }
    assert_eq!(
        partner.requests().len(),
        0,
        "a body that is too large reached the partner whole"
    );
}

#[tokio::test]
async fn a_head_that_does_not_come_is_answered_with_408() {
    let (_partner, gateway) = with_edge(json!({"headTimeoutMs": 300})).await;
    let mut client = gateway.raw().await;
    client.send("GET / HTTP/1.1\r\nHost: labs").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (408, "REQUEST_TIMEOUT"));
    assert!(client.closed().await);
}

#[tokio::test]
async fn a_head_that_drips_is_ended_by_the_total_deadline() {
    let (_partner, gateway) = with_edge(json!({"headTimeoutMs": 500})).await;
    let mut client = gateway.raw().await;
    client.send("GET / HTTP/1.1\r\nX-Slow: ").await;
    // Each byte comes well within any timeout between two reads.
    let dripping = async {
        loop {
            client.send("x").await;
            if let Ok(Some(answer)) = tokio::time::timeout(DRIP, client.maybe_answer()).await {
                return answer;
            }
        }
    };
    assert_eq!(wait::within("the end of a dripping head", dripping).await.status, 408);
}

#[tokio::test]
async fn the_client_does_not_set_how_long_its_connection_is_kept() {
    let (_partner, gateway) = with_edge(json!({"keepAliveSeconds": 1})).await;
    let mut client = gateway.raw().await;
    let lines = [
        "GET / HTTP/1.1",
        "Host: labs.test",
        "Connection: keep-alive",
        "Keep-Alive: timeout=9999",
    ];
    client.request(&lines, "").await;
    assert_eq!(client.answer().await.status, 200);
    assert!(client.closed().await, "the idle connection was kept");
}

#[tokio::test]
async fn a_connection_ends_after_its_number_of_requests() {
    let (_partner, gateway) = with_edge(json!({"requestsPerConnection": 3})).await;
    let mut client = gateway.raw().await;
    for _ in 0..3 {
        client.request(&["GET / HTTP/1.1", "Host: labs.test"], "").await;
        assert_eq!(client.answer().await.status, 200);
    }
    assert!(client.closed().await);
}

#[tokio::test]
async fn connections_beyond_the_cap_are_closed_and_the_rest_is_served() {
    let (_partner, gateway) = with_edge(json!({"maxConnections": 2})).await;
    let (mut one, mut two) = (gateway.raw().await, gateway.raw().await);
    for client in [&mut one, &mut two] {
        client.request(&["GET / HTTP/1.1", "Host: labs.test"], "").await;
        assert_eq!(client.answer().await.status, 200);
    }
    let mut third = gateway.raw().await;
    third.request(&["GET / HTTP/1.1", "Host: labs.test"], "").await;
    if let Some(answer) = third.maybe_answer().await {
        assert_eq!(answer.status, 503);
    }
    drop(one);
    wait::until("the place of the closed connection", async || {
        let mut next = gateway.raw().await;
        next.request(&["GET / HTTP/1.1", "Host: labs.test"], "").await;
        next.maybe_answer().await.filter(|answer| answer.status == 200)
    })
    .await;
}
#[tokio::test]
async fn an_old_client_is_served_and_its_connection_closed() {
    let (_partner, gateway) = open_gateway().await;
    let mut client = gateway.raw().await;
    client.request(&["GET / HTTP/1.0", "Host: labs.test"], "").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    assert!(client.closed().await);
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_its_partner_only_until_the_deadline() {
    let partner = Partner::answering(Answer::text(vec![b'x'; 32 * 1024 * 1024])).await;
    let quick = json!({"timeouts": {"totalMs": 500}});
    let gateway = Gateway::serving_one(with(integration("files", &partner.url("")), quick)).await;
    let mut client = gateway.raw().await;
    client.request(&["GET / HTTP/1.1", "Host: files.test"], "").await;
    partner.received(1).await;
    wait::until("the partner to be let go", async || {
        (partner.open_connections() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stuck_client_holds_up_nobody() {
    let gate = Gate::new();
    let waiting = gate.clone();
    let partner = Partner::start(move |request| match request.uri.path() {
        "/stuck" => Answer::text("late").after(&waiting),
        _ => Answer::text("ok"),
    })
    .await;
    let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;
    let mut stuck = Vec::new();
    for _ in 0..50 {
        let mut client = gateway.raw().await;
        client.request(&["GET /stuck HTTP/1.1", "Host: labs.test"], "").await;
        stuck.push(client);
    }
    partner.received(50).await;
    assert_eq!(gateway.get("labs.test", "/").await.text(), "ok");
    gate.open();
    for client in &mut stuck {
        assert_eq!(client.answer().await.text(), "late");
    }
}

async fn open_gateway() -> (Partner, Gateway) {
    with_edge(json!({})).await
}

async fn with_edge(edge: serde_json::Value) -> (Partner, Gateway) {
    let partner = Partner::answering(Answer::text("ok")).await;
    let setup = Setup::new()
        .file(&document([integration("labs", &partner.url(""))]))
        .set("edge", edge);
    (partner, setup.start().await)
}

/// Time between two drips; short, so that no timeout between reads would end them.
const DRIP: std::time::Duration = std::time::Duration::from_millis(50);
