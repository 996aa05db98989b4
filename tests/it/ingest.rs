//! Handing events over: what is taken in, what is refused and how a producer is told, and when it is to come back.

use harness::client::Reply;
use harness::documents::{ORG, document, with};
use harness::events::{KEY, bill, events_document, start_request, subscription};
use harness::gateway::Setup;
use harness::{Gateway, Receiver, wait};
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/events";

#[tokio::test]
async fn an_event_is_answered_with_its_identifier() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::serving(&events_document([subscription("billing", &receiver.url("/hook"))])).await;
    let reply = gateway.hand_over(&bill("B-1")).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(
        reply.json(),
        json!({"id": "B-1", "accepted": true, "deliveries": 1, "duplicate": false})
    );
    for name in ["x-request-id", "traceparent"] {
        assert!(reply.header(name).is_some(), "no {name}");
    }
    let made = gateway.accept(&json!({"actionId": 57, "payload": {"rid": 7}})).await;
    assert_eq!((made.len(), &made[14..15]), (36, "7"), "a version 7 UUID");
}

#[tokio::test]
async fn an_event_that_nobody_wants_is_taken_in_too() {
    let gateway = Gateway::serving(&events_document([])).await;
    let reply = gateway.hand_over(&bill("B-1")).await;
    assert_eq!((reply.status, &reply.json()["deliveries"]), (202, &json!(0)));
}

#[tokio::test]
async fn a_repeat_is_told_so_and_is_not_delivered_again() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::serving(&events_document([subscription("billing", &receiver.url("/"))])).await;
    gateway.accept(&bill("B-1")).await;
    let repeat = gateway.hand_over(&bill("B-1")).await;
    assert_eq!(
        (repeat.status, repeat.json()),
        (202, json!({"id": "B-1", "accepted": true, "duplicate": true}))
    );
    let unnamed = json!({"eventType": "bill.generated", "payload": {"id": 9}});
    let kept = gateway.accept(&unnamed).await;
    let repeat = gateway.hand_over(&unnamed).await.json();
    assert_eq!((&repeat["id"], &repeat["duplicate"]), (&json!(kept), &json!(true)));
    gateway.accept(&bill("B-2")).await;
    let bodies: Vec<Value> = receiver
        .received(3)
        .await
        .iter()
        .map(|request| request.json())
        .collect();
    assert_eq!(bodies.len(), 3, "{bodies:?}");
}

#[tokio::test]
async fn a_repeat_is_known_after_a_restart() {
    let mut gateway = Gateway::serving(&events_document([])).await;
    gateway.accept(&bill("B-1")).await;
    gateway.process.kill();
    let gateway = gateway.setup().start().await;
    assert_eq!(gateway.hand_over(&bill("B-1")).await.json()["duplicate"], true);
}

#[tokio::test]
async fn only_a_producer_with_a_good_key_gets_in() {
    let mut document = events_document([]);
    let keys = document["producerKeys"].as_array_mut().unwrap();
    keys.push(json!({"orgId": ORG, "name": "old", "value": "key-of-the-old-one-0123456789", "isActive": false}));
    let gateway = Gateway::serving(&document).await;
    let post = |headers: &[(&'static str, &str)]| {
        let mut request = gateway.request(Method::POST, "gateway.test", PATH).json(&bill("B-1"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::of(request)
    };
    let bearer = format!("Bearer {KEY}");
    assert_eq!(post(&[("x-api-key", KEY)]).await.status, 202);
    assert_eq!(post(&[("authorization", &bearer)]).await.status, 202);
    let refused: [&[(&'static str, &str)]; 6] = [
        &[],
        &[("x-api-key", "")],
        &[("x-api-key", "another-key-0123456789")],
        &[("x-api-key", "key-of-the-old-one-0123456789")],
        &[("authorization", KEY)],
        &[("x-api-key", KEY), ("x-api-key", KEY)],
    ];
    for headers in refused {
        let reply = post(headers).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (401, "UNAUTHORIZED"),
            "{headers:?}"
        );
        assert!(
            reply
                .header("www-authenticate")
                .is_some_and(|value| value.contains("Bearer"))
        );
    }
}

#[tokio::test]
async fn a_bad_key_is_refused_before_the_body_is_read() {
    let gateway = Gateway::serving(&events_document([])).await;
    let mut client = gateway.raw().await;
    let head = [
        "POST /api/v1/events HTTP/1.1",
        "Host: gateway.test",
        "X-API-Key: wrong",
        "Content-Length: 100",
    ];
    client.request(&head, "").await;
    assert_eq!(client.answer().await.status, 401);
}

#[tokio::test]
async fn other_methods_and_paths_are_refused() {
    let gateway = Gateway::serving(&events_document([])).await;
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let reply = Reply::of(
            gateway
                .request(method.clone(), "gateway.test", PATH)
                .header("x-api-key", KEY),
        )
        .await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (405, "METHOD_NOT_ALLOWED"),
            "{method}"
        );
        assert_eq!(reply.header("allow"), Some("POST"));
    }
    for path in ["/api/v1/events/", "/api/v1/events/B-1", "/api/v1/event"] {
        let request = gateway
            .request(Method::POST, "gateway.test", path)
            .header("x-api-key", KEY);
        let reply = Reply::of(request.json(&bill("B-1"))).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "NOT_FOUND"), "{path}");
    }
}

#[tokio::test]
async fn a_gateway_may_be_told_to_take_no_events() {
    let setup = Setup::new()
        .file(&events_document([]))
        .set("ingest", json!({"enabled": false}));
    let gateway = setup.start().await;
    let reply = gateway.hand_over(&bill("B-1")).await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "NOT_FOUND"));
    assert!(!gateway.data_folder().join("queue").exists());
}

#[tokio::test]
async fn what_cannot_be_read_is_told_in_full() {
    let mut document = events_document([]);
    document["eventTypes"][0]["schema"] = json!({"type": "object", "required": ["bill"],
        "properties": {"bill": {"properties": {"amount": {"type": "number"}}}}});
    let gateway = Gateway::serving(&document).await;
    let json_type = "application/json";
    let cases = [
        (json_type, "", 400, ""),
        (json_type, "{", 400, ""),
        (json_type, "7", 400, ""),
        (json_type, "[]", 400, ""),
        (json_type, r#"{"eventType": "no.such", "payload": 1}"#, 400, "eventType"),
        (json_type, r#"{"actionId": 9, "payload": 1}"#, 400, "actionId"),
        (json_type, r#"{"payload": 1}"#, 400, "eventType"),
        (json_type, r#"{"eventType": "bill.generated"}"#, 400, "payload"),
        (
            json_type,
            r#"{"eventType": "bill.generated", "payload": {}, "colour": 1}"#,
            400,
            "colour",
        ),
        (
            json_type,
            r#"{"eventType": "bill.generated", "payload": {}, "entityRid": "x"}"#,
            400,
            "entityRid",
        ),
        (
            json_type,
            r#"{"eventType": "bill.generated", "payload": {}, "orgId": 7}"#,
            403,
            "orgId",
        ),
        (
            json_type,
            r#"{"eventType": "bill.generated", "payload": {"bill": {"amount": "x"}}}"#,
            422,
            "payload",
        ),
        ("text/plain", "hello", 415, ""),
    ];
    for (media_type, body, status, field) in cases {
        let request = gateway.events_request().header("content-type", media_type);
        let reply = Reply::of(request.body(body)).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
        reply.code();
        let problems = &reply.json()["problems"];
        let named = problems[0]["path"].as_str().unwrap_or_default();
        assert!(named.starts_with(field), "{body}: {problems}");
    }
    assert_eq!(gateway.admin_get("/queue").await.json()["open"], 0);
}

#[tokio::test]
async fn cloud_events_come_in_every_form() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::serving(&events_document([subscription("billing", &receiver.url("/"))])).await;
    let event = json!({"specversion": "1.0", "id": "C-1", "source": "/his", "type": "bill.generated",
        "datacontenttype": "application/json", "data": {"number": "C-1"}});
    let post = |media_type: &'static str, body: Value| {
        let request = gateway.events_request().header("content-type", media_type);
        Reply::of(request.body(body.to_string()))
    };
    let structured = post("application/cloudevents+json", event.clone()).await;
    assert_eq!((structured.status, &structured.json()["id"]), (202, &json!("C-1")));
    let binary = gateway
        .events_request()
        .header("ce-specversion", "1.0")
        .header("ce-id", "C-2")
        .header("ce-source", "/his")
        .header("ce-type", "bill.generated")
        .json(&json!({"number": "C-2"}));
    let binary = Reply::of(binary).await;
    assert_eq!((binary.status, &binary.json()["id"]), (202, &json!("C-2")));
    let batch = json!([
        with(event.clone(), json!({"id": "C-3", "data": {"number": "C-3"}})),
        with(event, json!({"id": "C-1"})),
    ]);
    let batch = post("application/cloudevents-batch+json; charset=UTF-8", batch).await;
    assert_eq!(batch.status, 202, "{}", batch.text());
    let results = &batch.json()["results"];
    assert_eq!(
        (&results[0]["id"], &results[0]["duplicate"]),
        (&json!("C-3"), &json!(false))
    );
    assert_eq!(
        (&results[1]["id"], &results[1]["duplicate"]),
        (&json!("C-1"), &json!(true))
    );
    let mut numbers: Vec<String> = receiver
        .received(3)
        .await
        .iter()
        .map(|request| request.json()["number"].as_str().unwrap().to_owned())
        .collect();
    numbers.sort();
    assert_eq!(numbers, ["C-1", "C-2", "C-3"]);
}

#[tokio::test]
async fn a_batch_is_taken_in_as_a_whole_or_not_at_all() {
    let gateway = Gateway::serving(&events_document([])).await;
    let wrong = json!([bill("B-1"), {"eventType": "no.such", "payload": 1}, bill("B-2"), {"payload": 2}]);
    let reply = gateway.hand_over(&wrong).await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    reply.code();
    let paths: Vec<String> = reply.json()["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["path"].as_str().unwrap().to_owned())
        .collect();
    assert!(paths.iter().any(|path| path.starts_with("[1]")), "{paths:?}");
    assert!(paths.iter().any(|path| path.starts_with("[3]")), "{paths:?}");
    let right = gateway.hand_over(&json!([bill("B-1"), bill("B-2")])).await;
    assert_eq!(right.status, 202);
    assert_eq!(
        right.json(),
        json!({"results": [
            {"index": 0, "status": 202, "id": "B-1", "accepted": true, "deliveries": 0, "duplicate": false},
            {"index": 1, "status": 202, "id": "B-2", "accepted": true, "deliveries": 0, "duplicate": false},
        ]}),
        "nothing of the refused batch was kept"
    );
}

#[tokio::test]
async fn a_batch_may_ask_for_what_is_right_of_it() {
    let gateway = Gateway::serving(&events_document([])).await;
    let post = |query: &str, body: Value| {
        let path = format!("{PATH}?{query}");
        let request = gateway
            .request(Method::POST, "gateway.test", &path)
            .header("x-api-key", KEY);
        Reply::of(request.json(&body))
    };
    let mixed = json!([bill("B-1"), {"id": "B-2", "eventType": "no.such", "payload": 1}, bill("B-1")]);
    let reply = post("atomic=false", mixed).await;
    assert_eq!(reply.status, 207, "{}", reply.text());
    let results = reply.json()["results"].clone();
    assert_eq!(
        (&results[0]["status"], &results[0]["accepted"], &results[0]["duplicate"]),
        (&json!(202), &json!(true), &json!(false))
    );
    assert_eq!(
        (&results[1]["status"], &results[1]["accepted"], &results[1]["id"]),
        (&json!(400), &json!(false), &json!("B-2"))
    );
    assert!(
        results[1]["problems"][0]["path"]
            .as_str()
            .unwrap()
            .contains("eventType"),
        "{results}"
    );
    assert_eq!(
        (&results[2]["index"], &results[2]["duplicate"]),
        (&json!(2), &json!(true))
    );
    let none = post("atomic=false", json!([{"payload": 1}, {"payload": 2}])).await;
    assert_eq!(
        (none.status, none.json()["problems"].as_array().unwrap().len()),
        (400, 2)
    );
    let unclear = post("atomic=perhaps", json!([bill("B-9")])).await;
    assert_eq!(unclear.status, 400);
    assert_eq!(unclear.json()["problems"][0]["path"], "atomic");
}

#[tokio::test]
async fn sizes_have_limits() {
    let setup = Setup::new()
        .file(&events_document([]))
        .set("ingest", json!({"bodyBytes": 2048, "maxBatch": 3}));
    let gateway = setup.start().await;
    let long = json!({"eventType": "bill.generated", "payload": "x".repeat(2048)});
    let reply = gateway.hand_over(&long).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "PAYLOAD_TOO_LARGE"));
    let mut client = gateway.raw().await;
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    start_request(&mut client, "Transfer-Encoding: chunked", &chunk).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "PAYLOAD_TOO_LARGE"));
    let many: Vec<_> = (0..4).map(|number| bill(&format!("B-{number}"))).collect();
    let reply = gateway.hand_over(&json!(many)).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "PAYLOAD_TOO_LARGE"));
    assert_eq!(gateway.hand_over(&json!(many[..3])).await.status, 202);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let setup = Setup::new()
        .file(&events_document([]))
        .set("ingest", json!({"bodyTimeoutMs": 200}));
    let gateway = setup.start().await;
    let mut client = gateway.raw().await;
    start_request(&mut client, "Content-Length: 100", "{").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (408, "REQUEST_TIMEOUT"));
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let gateway = Gateway::serving(&events_document([])).await;
    let mut client = gateway.raw().await;
    let body = bill("B-1").to_string();
    let lines = format!("Content-Length: {}\r\nExpect: 100-continue", body.len());
    start_request(&mut client, &lines, "").await;
    assert_eq!(client.answer().await.status, 100);
    client.send(&body).await;
    assert_eq!(client.answer().await.status, 202);
}

#[tokio::test]
async fn an_event_whose_client_is_gone_is_delivered_all_the_same() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::serving(&events_document([subscription("billing", &receiver.url("/"))])).await;
    let mut client = gateway.raw().await;
    let body = bill("B-1").to_string();
    start_request(&mut client, &format!("Content-Length: {}", body.len()), &body).await;
    drop(client);
    receiver.received(1).await;
}

#[tokio::test]
async fn each_request_has_its_line_and_its_counts() {
    let setup = Setup::new().file(&events_document([]));
    let log = setup.data_folder().with_extension("access");
    let gateway = setup.set("accessLog", json!({"output": {"file": log}})).start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = gateway
        .events_request()
        .header("x-request-id", "request-of-a-test")
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    let reply = Reply::of(request.json(&bill("B-1"))).await;
    assert_eq!(reply.header("x-request-id"), Some("request-of-a-test"));
    gateway.hand_over(&bill("B-1")).await;
    gateway.hand_over(&json!({"eventType": "no.such", "payload": 1})).await;
    let lines: Vec<Value> = wait::until("three lines in the access log", async || {
        let text = std::fs::read_to_string(&log).ok()?;
        let lines: Vec<_> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        (lines.len() == 3).then_some(lines)
    })
    .await;
    let taken = &lines[0];
    for (field, expected) in [
        ("requestId", json!("request-of-a-test")),
        ("traceId", json!(trace)),
        ("path", json!(PATH)),
        ("status", json!(202)),
        ("mode", json!("ingest")),
        ("orgId", json!(ORG)),
        ("consumer", json!("hospital")),
    ] {
        assert_eq!(taken[field], expected, "{field} in {taken}");
    }
    assert_eq!(
        (&lines[2]["status"], &lines[2]["code"]),
        (&json!(400), &json!("UNKNOWN_EVENT_TYPE"))
    );
    let metrics = gateway.admin_get("/metrics").await.text();
    for line in [
        "gateway_ingest_events_total{outcome=\"new\"} 1",
        "gateway_ingest_events_total{outcome=\"repeat\"} 1",
        "gateway_ingest_events_total{outcome=\"refused\"} 1",
        "gateway_refused_total{reason=\"invalid_event\"} 1",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
}

#[tokio::test]
async fn integrations_keep_the_address_of_events_on_their_own_hosts() {
    let receiver = Receiver::start().await;
    let mut document = document([
        json!({"id": "own", "name": "own", "type": "own", "orgId": ORG, "hosts": ["own.test"],
        "targetUrl": receiver.url(""), "pathRewrite": "appendPath"}),
    ]);
    document["producerKeys"] = json!([{"orgId": ORG, "name": "hospital", "value": KEY}]);
    let gateway = Gateway::serving(&document).await;
    let reply = Reply::of(gateway.request(Method::POST, "own.test", PATH).json(&bill("B-1"))).await;
    assert_eq!(reply.status, 200);
    assert_eq!(receiver.requests()[0].uri.path(), PATH);
}
