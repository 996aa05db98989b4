//! Answers that are kept for the next request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::answer::Gate;
use harness::client::Reply;
use harness::documents::{integration, with};
use harness::{Answer, Example, Gateway, Partner};
use reqwest::Method;
use serde_json::json;

const HOST: &str = "prices.gateway.example";
const WARD: &str = "8a2e4f6071c95bd3";
const DESK: &str = "91e0b6d4c8a7f352";

/// A gateway with the example, and a partner whose answers are numbered; `edit` is told the number.
async fn numbered(edit: impl Fn(usize, Answer) -> Answer + Send + Sync + 'static) -> (Partner, Gateway) {
    let count = AtomicUsize::new(0);
    let partner = Partner::start(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        edit(number, Answer::text(format!("answer {number}")))
    })
    .await;
    let example = Example::named("cache").with("https://api.partner.example", &partner.url(""));
    let gateway = Gateway::serving(&example.document()).await;
    (partner, gateway)
}

async fn get(gateway: &Gateway, path: &str, key: &str, fields: &[(&str, &str)]) -> Reply {
    let request = gateway.request(Method::GET, HOST, path).header("x-api-key", key);
    Reply::of(
        fields
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value)),
    )
    .await
}

#[tokio::test]
async fn the_next_request_gets_the_kept_answer() {
    let (partner, gateway) = numbered(|_, answer| answer.header("x-kept", "1").header("etag", "\"7\"")).await;
    let first = get(&gateway, "/a", WARD, &[("x-request-id", "one")]).await;
    let next = get(&gateway, "/a", WARD, &[("x-request-id", "two")]).await;
    assert_eq!(
        (first.text(), next.text()),
        ("answer 0".to_owned(), "answer 0".to_owned())
    );
    assert_eq!(
        (next.header("cache-status"), next.header("x-kept")),
        (Some("gateway; hit"), Some("1"))
    );
    assert!(next.header("age").is_some() && first.header("age").is_none());
    assert_eq!(
        (first.header("x-request-id"), next.header("x-request-id")),
        (Some("one"), Some("two"))
    );
    let known = get(&gateway, "/a", WARD, &[("if-none-match", "W/\"7\"")]).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(partner.requests().len(), 1);
}

#[tokio::test]
async fn what_differs_is_kept_apart() {
    let (partner, gateway) = numbered(|_, answer| answer.header("vary", "accept-language")).await;
    let german: &[(&str, &str)] = &[("accept-language", "de")];
    for (round, expected) in [("first", [0, 1, 2, 3]), ("again", [0, 1, 2, 3])] {
        let told = [
            get(&gateway, "/a", WARD, &[]).await.text(),
            get(&gateway, "/a?page=2", WARD, &[]).await.text(),
            get(&gateway, "/a", WARD, german).await.text(),
            // Another caller never gets what was given to the first.
            get(&gateway, "/a", DESK, &[]).await.text(),
        ];
        assert_eq!(told, expected.map(|number| format!("answer {number}")), "{round}");
    }
    assert_eq!(partner.requests().len(), 4);
}

#[tokio::test]
async fn what_may_not_be_kept_is_asked_for_each_time() {
    let (partner, gateway) = numbered(|number, answer| match number / 2 {
        0 => answer.header("cache-control", "no-store"),
        1 => answer.header("set-cookie", "a=b"),
        2 => answer.header("vary", "x-other"),
        3 => answer.with_status(404),
        _ => answer.body("x".repeat(300_000)),
    })
    .await;
    for path in ["/a", "/b", "/c", "/d", "/e"] {
        let (one, other) = (
            get(&gateway, path, WARD, &[]).await,
            get(&gateway, path, WARD, &[]).await,
        );
        assert_eq!(
            (one.header("cache-status"), other.header("cache-status")),
            (None, None),
            "{path}"
        );
    }
    // What only one may see is left alone, whatever is kept.
    for fields in [("cookie", "a=b"), ("cache-control", "no-store"), ("range", "bytes=0-1")] {
        get(&gateway, "/f", WARD, &[fields]).await;
    }
    assert_eq!(partner.requests().len(), 13);
}

#[tokio::test]
async fn a_client_may_ask_for_a_new_answer() {
    let (_partner, gateway) = numbered(|_, answer| answer).await;
    get(&gateway, "/a", WARD, &[]).await;
    assert_eq!(
        get(&gateway, "/a", WARD, &[("cache-control", "no-cache")]).await.text(),
        "answer 1"
    );
    assert_eq!(get(&gateway, "/a", WARD, &[]).await.text(), "answer 1");
}

#[tokio::test]
async fn many_who_ask_at_once_cost_the_partner_one_call() {
    let gate = Gate::new();
    let held = gate.clone();
    let (partner, gateway) = numbered(move |_, answer| answer.after(&held)).await;
    let gateway = Arc::new(gateway);
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move { get(&gateway, "/a", WARD, &[]).await.text() })
        })
        .collect();
    partner.received(1).await;
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap(), "answer 0");
    }
    assert_eq!(partner.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_whose_time_is_over_stands_in_for_an_error() {
    let (partner, gateway) = numbered(|number, answer| match number {
        // Its time is over at once, as far as a client can tell.
        0 => answer.header("cache-control", "max-age=1"),
        _ => answer.with_status(503),
    })
    .await;
    assert_eq!(get(&gateway, "/a", WARD, &[]).await.text(), "answer 0");
    let stale = harness::wait::until("the answer to be over", async || {
        let reply = get(&gateway, "/a", WARD, &[]).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "answer 0"));
        reply
            .header("cache-status")
            .filter(|how| how.contains("stale-if-error"))
            .map(str::to_owned)
    })
    .await;
    assert_eq!(stale, "gateway; hit; detail=stale-if-error");
    assert!(partner.requests().len() > 1);
}

#[tokio::test]
async fn mapped_answers_are_kept_as_they_were_given_and_a_new_configuration_keeps_nothing() {
    let partner = Partner::answering(Answer::json(&json!({"price": 7}))).await;
    let mapped = |target: &str| {
        let fields = json!({
            "cache": {"ttlSeconds": 60, "shared": true, "vary": ["Accept"], "maxBodyBytes": 1000, "staleIfErrorSeconds": 1},
            "responseTransformationMode": "SIMPLE",
            "responseFieldMappings": [{"sourceField": "price", "targetField": target}]
        });
        harness::documents::document([with(integration("labs", &partner.url("")), fields)])
    };
    let gateway = Gateway::serving(&mapped("cost")).await;
    for _ in 0..2 {
        let reply = gateway.get("labs.test", "/").await;
        assert_eq!(
            (reply.json(), reply.header("content-type")),
            (json!({"cost": 7}), Some("application/json"))
        );
    }
    assert_eq!(partner.requests().len(), 1);
    gateway.swap(&mapped("sum")).await;
    assert_eq!(gateway.get("labs.test", "/").await.json(), json!({"sum": 7}));
    assert_eq!(partner.requests().len(), 2);
}

#[tokio::test]
async fn an_answer_that_is_made_of_its_client_is_kept_for_that_one_only() {
    let keys = json!({"inboundAuthType": "API_KEY", "inboundAuthConfig": {"headerName": "X-API-Key",
        "keys": [{"name": "ward", "value": WARD}, {"name": "desk", "value": DESK}]}, "cache": {"shared": true, "ttlSeconds": 60}});
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let partner = Partner::start(move |_| Answer::json(&json!({"n": counted.fetch_add(1, Ordering::SeqCst)}))).await;
    let made =
        |name: &str, field: serde_json::Value| with(with(integration(name, &partner.url("")), keys.clone()), field);
    let answer = |source: &str| {
        json!({"responseTransformationMode": "SIMPLE",
            "responseFieldMappings": [{"sourceField": source, "targetField": "of"}, {"sourceField": "n", "targetField": "n"}]})
    };
    let edit = |value: &str| json!({"headers": {"request": {"set": [{"name": "X-Of", "value": value}]}}});
    let script = json!({"responseTransformationMode": "SCRIPT",
        "responseTransformScript": "fn transform(payload, context) { #{ of: context.caller.name, n: payload.n } }"});
    let gateway = Gateway::serving(&harness::documents::document([
        made("same", json!({})),
        made("name", answer("$caller.name")),
        made("lang", edit("{{header.Accept-Language}}")),
        made("edit", edit("{{caller.name}}")),
        made("code", script),
    ]))
    .await;
    let call = async |host: &str, key: &str, language: &str| {
        let request = gateway
            .request(Method::GET, host, "/")
            .header("x-api-key", key)
            .header("accept-language", language);
        Reply::of(request).await.text()
    };
    for (host, by_caller, by_language) in [
        ("same.test", false, false),
        ("name.test", true, false),
        ("lang.test", false, true),
        ("edit.test", true, false),
        ("code.test", true, false),
    ] {
        let first = call(host, WARD, "de").await;
        assert_eq!(call(host, WARD, "de").await, first, "{host}: kept");
        assert_eq!(call(host, DESK, "de").await != first, by_caller, "{host}");
        assert_eq!(call(host, WARD, "en").await != first, by_language, "{host}");
    }
}

#[tokio::test]
async fn what_becomes_of_requests_is_counted() {
    let (_partner, gateway) = numbered(|number, answer| match number {
        0..3 => answer,
        _ => Answer::status(500),
    })
    .await;
    let requests: [&[(&str, &str)]; 5] = [
        &[],
        &[],
        &[("cache-control", "no-store")],
        &[("range", "bytes=0-1")],
        // The partner fails: what is kept stands in.
        &[("cache-control", "no-cache")],
    ];
    for fields in requests {
        assert_eq!(get(&gateway, "/a", WARD, fields).await.status, 200, "{fields:?}");
    }
    let counts = harness::wait::until("all requests to be counted", async || {
        let metrics = gateway.admin_get("/metrics").await.text();
        let count = |name: &str, result: &str| {
            let lines = metrics
                .lines()
                .filter(|line| line.starts_with(name) && line.contains(result));
            lines
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .sum::<f64>()
        };
        let results = ["\"hit\"", "\"miss\"", "\"stale\"", "\"bypass\""];
        let results = results.map(|result| count("integration_cache_requests_total{", result));
        (results.iter().sum::<f64>() >= 6.0).then(|| (results, count("gateway_cache_stored_total", "")))
    })
    .await;
    assert_eq!(counts, ([1.0, 2.0, 1.0, 2.0], 1.0));
}
