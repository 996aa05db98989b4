//! Partners that fail, are slow, or are in several places.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use harness::answer::Gate;
use harness::client::Reply;
use harness::documents::{document, integration, with};
use harness::example::Example;
use harness::gateway::Setup;
use harness::{Answer, Gateway, Partner, wait};
use reqwest::Method;
use serde_json::{Value, json};

/// A partner that fails so many times, and then works.
async fn failing(times: usize, failure: Answer) -> Partner {
    let left = AtomicUsize::new(times);
    Partner::start(move |_| {
        let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if fails.is_ok() {
            failure.clone()
        } else {
            Answer::json(&json!("works"))
        }
    })
    .await
}

/// A partner that works while the switch is on.
async fn switched(on: &Arc<AtomicBool>, text: &'static str) -> Partner {
    let on = Arc::clone(on);
    Partner::start(move |_| {
        if on.load(Ordering::SeqCst) {
            Answer::json(&json!(text))
        } else {
            Answer::status(500)
        }
    })
    .await
}

/// An address that nobody listens on.
async fn nobody() -> String {
    let listener = harness::partner::listen("127.0.0.1:0").await;
    format!("http://{}", listener.local_addr().unwrap())
}

fn quickly(statuses: &[&str]) -> Value {
    json!({"schedule": {"type": "list", "delaysMs": [1, 1], "jitter": 0.0}, "statuses": statuses})
}

fn several(kind: &str, urls: &[&str], fields: Value) -> Value {
    let targets: Vec<_> = urls.iter().map(|url| json!({"url": url, "weight": 1})).collect();
    let mut integration = with(integration(kind, ""), json!({"targets": targets}));
    integration.as_object_mut().unwrap().remove("targetUrl");
    with(integration, fields)
}

/// The same on both paths: untouched, and with a mapping of the answer.
fn both_paths(fields: &Value) -> [Value; 2] {
    let exchanged = json!({"responseTransformationMode": "SCRIPT",
        "responseTransformScript": "fn transform(payload, context) { payload }"});
    [fields.clone(), with(fields.clone(), exchanged)]
}

async fn upstreams(gateway: &Gateway) -> Vec<Value> {
    let shown = gateway.admin_get("/upstreams").await.json();
    shown["targets"].as_array().unwrap().clone()
}

async fn metric(gateway: &Gateway, line: &str) -> bool {
    gateway.admin_get("/metrics").await.text().contains(line)
}

#[tokio::test]
async fn a_call_is_made_again_until_the_partner_answers() {
    for fields in both_paths(&json!({"retry": quickly(&["503"])})) {
        let partner = failing(2, Answer::status(503)).await;
        let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), fields)).await;

        let reply = gateway.get("labs.test", "/v1/labs").await;

        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(partner.requests().len(), 3);
        assert!(metric(&gateway, r#"gateway_retries_total{decision="again"} 2"#).await);
    }
}

#[tokio::test]
async fn the_last_answer_is_the_clients_when_no_attempt_is_left() {
    for fields in both_paths(&json!({"retry": quickly(&["5xx"])})) {
        let partner = Partner::answering(Answer::text("down").with_status(503)).await;
        let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), fields)).await;

        let reply = gateway.get("labs.test", "/").await;

        assert_eq!((reply.status, reply.text().as_str()), (503, "down"));
        assert_eq!(partner.requests().len(), 3);
        assert!(metric(&gateway, r#"gateway_retries_total{decision="exhausted"} 1"#).await);
    }
}

#[tokio::test]
async fn what_must_not_arrive_twice_is_not_repeated() {
    for fields in both_paths(&json!({"retry": quickly(&["503"])})) {
        let partner = failing(1, Answer::status(503)).await;
        let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), fields.clone())).await;

        let reply = gateway.post("labs.test", "/", &json!({"a": 1})).await;
        assert_eq!((reply.status, partner.requests().len()), (503, 1));

        for (partner_fails, header) in [(1, "idempotency-key"), (1, "x-idempotency-key")] {
            let partner = failing(partner_fails, Answer::status(503)).await;
            let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), fields.clone())).await;
            let request = gateway.request(Method::POST, "labs.test", "/").header(header, "k-1");
            let reply = Reply::of(request.json(&json!({"a": 1}))).await;
            assert_eq!((reply.status, partner.requests().len()), (200, 2), "{header}");
            assert_eq!(partner.requests()[1].json(), json!({"a": 1}));
        }

        let named = with(
            fields.clone(),
            json!({"retry": with(quickly(&["503"]), json!({"bodyMethods": ["POST"]}))}),
        );
        let partner = failing(1, Answer::status(503)).await;
        let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), named)).await;
        let reply = gateway.post("labs.test", "/", &json!({"a": 1})).await;
        assert_eq!((reply.status, partner.requests().len()), (200, 2));
    }
}

#[tokio::test]
async fn a_call_that_did_not_arrive_goes_to_another_target_whatever_its_method_is() {
    for fields in both_paths(&json!({"retry": quickly(&["503"])})) {
        let partner = Partner::echo().await;
        let urls = [nobody().await, partner.url("")];
        let gateway = Gateway::serving_one(several("labs", &[&urls[0], &urls[1]], fields)).await;
        for _ in 0..6 {
            let reply = gateway.post("labs.test", "/", &json!({"a": 1})).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
        assert_eq!(partner.requests().len(), 6);
    }
}

#[tokio::test]
async fn a_call_without_an_answer_is_made_again_within_its_time() {
    let gate = Gate::new();
    let stuck = Answer::json(&json!("late")).after(&gate);
    let timeouts = json!({"connectMs": 1000, "firstByteMs": 100, "totalMs": 20000});
    for fields in both_paths(&json!({"retry": quickly(&["503"]), "timeouts": timeouts})) {
        let partner = failing(2, stuck.clone()).await;
        let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), fields)).await;
        let reply = gateway.get("labs.test", "/").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
}

#[tokio::test]
async fn no_attempt_is_begun_that_the_client_would_not_live_to_see() {
    let partner = Partner::answering(Answer::status(503).header("retry-after", "60")).await;
    let fields = json!({"retry": quickly(&["503"])});
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), fields)).await;

    let reply = gateway.get("labs.test", "/").await;

    assert_eq!((reply.status, partner.requests().len()), (503, 1));
    assert_eq!(reply.header("retry-after"), Some("60"));
    assert!(metric(&gateway, r#"gateway_retries_total{decision="deadline"} 1"#).await);
}

#[tokio::test]
async fn retries_end_with_their_budget() {
    let partner = Partner::answering(Answer::status(503)).await;
    let retry = with(quickly(&["503"]), json!({"budget": {"percent": 0, "minRetries": 3}}));
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), json!({"retry": retry}))).await;
    for _ in 0..5 {
        assert_eq!(gateway.get("labs.test", "/").await.status, 503);
    }
    assert_eq!(partner.requests().len(), 5 + 3);
}

#[tokio::test]
async fn a_large_body_is_not_repeated_where_it_streams() {
    let partner = failing(1, Answer::status(503)).await;
    let fields = json!({"retry": quickly(&["503"])});
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), fields)).await;
    let large = Reply::of(gateway.request(Method::PUT, "labs.test", "/").body(vec![b'x'; 200_000])).await;
    assert_eq!((large.status, partner.requests().len()), (503, 1));
    assert!(metric(&gateway, r#"gateway_retries_total{decision="body_gone"} 1"#).await);
}

#[tokio::test]
async fn a_partner_that_fails_is_left_alone_and_probed_when_an_operator_says_so() {
    for fields in both_paths(&json!({"breaker": {"consecutiveFailures": 3, "openSeconds": 600}})) {
        let on = Arc::new(AtomicBool::new(false));
        let partner = switched(&on, "works").await;
        let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), fields)).await;
        for _ in 0..3 {
            assert_eq!(gateway.get("labs.test", "/").await.status, 500);
        }

        let refused = gateway.get("labs.test", "/").await;

        assert_eq!((refused.status, partner.requests().len()), (503, 3));
        assert_eq!(refused.json()["code"], "CIRCUIT_OPEN");
        let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=600).contains(&wait), "{wait}");
        assert_eq!(upstreams(&gateway).await[0]["circuit"], "open");
        assert!(
            metric(
                &gateway,
                r#"integration_circuit_open{direction="inbound",integration="labs"} 1"#
            )
            .await
        );

        on.store(true, Ordering::SeqCst);
        let reset = gateway.admin_call(Method::POST, "/upstreams/labs/reset").await;
        assert_eq!(reset.status, 204);
        wait::until("the circuit to be closed", async || {
            assert_eq!(gateway.get("labs.test", "/").await.status, 200);
            (upstreams(&gateway).await[0]["circuit"] == "closed").then_some(())
        })
        .await;
        assert!(
            metric(
                &gateway,
                r#"integration_circuit_open{direction="inbound",integration="labs"} 0"#
            )
            .await
        );
    }
}

#[tokio::test]
async fn an_example_repeats_bookings_at_the_other_data_centre() {
    let one = Partner::answering(Answer::status(503)).await;
    let two = Partner::answering(Answer::text("booked")).await;
    let example = Example::named("retry")
        .with("https://one.partner.example", &one.url(""))
        .with("https://two.partner.example", &two.url(""));
    let gateway = Gateway::serving(&example.document()).await;
    for _ in 0..4 {
        let reply = gateway.post("booking.gateway.example", "/", &json!({"slot": 7})).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "booked"));
    }
    assert_eq!(two.requests().len(), 4);
    assert!(!one.requests().is_empty());
}

#[tokio::test]
async fn an_example_leaves_a_failing_partner_alone() {
    let partner = Partner::answering(Answer::status(502)).await;
    let example = Example::named("breaker").with("https://api.insurer.example", &partner.url(""));
    let gateway = Gateway::serving(&example.document()).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(gateway.get("eligibility.gateway.example", "/").await.status);
    }
    assert_eq!(statuses, [502, 502, 502, 503, 503]);
}

#[tokio::test]
async fn an_example_sends_each_patient_to_one_target() {
    let partners = [
        Partner::answering(Answer::text("one")).await,
        Partner::answering(Answer::text("two")).await,
        Partner::answering(Answer::text("three")).await,
    ];
    let example = Example::named("balance")
        .with("https://one.partner.example", &partners[0].url(""))
        .with("https://two.partner.example", &partners[1].url(""))
        .with("https://three.partner.example", &partners[2].url(""));
    let gateway = Gateway::serving(&example.document()).await;
    let mut homes = std::collections::BTreeSet::new();
    for patient in 0..24 {
        let ask = || {
            let request = gateway.request(Method::GET, "records.gateway.example", "/x");
            Reply::of(request.header("x-patient-id", format!("p-{patient}")))
        };
        let home = ask().await.text();
        assert_eq!(ask().await.text(), home);
        homes.insert(home);
    }
    assert_eq!(homes.len(), 3);
}

#[tokio::test]
async fn requests_are_spread_by_any_key_in_turn_or_to_the_less_busy() {
    let one = Partner::answering(Answer::text("one")).await;
    let two = Partner::answering(Answer::text("two")).await;
    let urls = [one.url(""), two.url("")];
    let balanced = |kind: &str, balance: Value| several(kind, &[&urls[0], &urls[1]], json!({"balance": balance}));
    let hashed = |key: Value| json!({"type": "consistentHash", "key": key});
    let gateway = Gateway::serving(&document([
        balanced("turn", json!({"type": "roundRobin"})),
        balanced("weighted", json!({"type": "weighted"})),
        balanced("query", hashed(json!({"query": "patient"}))),
        balanced("cookie", hashed(json!({"cookie": "session"}))),
        balanced("client", hashed(json!("clientIp"))),
        balanced("caller", hashed(json!("caller"))),
        balanced("path", hashed(json!("path"))),
    ]))
    .await;
    let mut turns = Vec::new();
    for _ in 0..6 {
        turns.push(gateway.get("turn.test", "/").await.text());
    }
    assert!(turns.windows(2).all(|pair| pair[0] != pair[1]), "{turns:?}");
    for kind in ["query", "cookie", "client", "path"] {
        let host = format!("{kind}.test");
        let mut homes = std::collections::BTreeSet::new();
        for _ in 0..4 {
            let request = gateway.request(Method::GET, &host, "/p?patient=7");
            homes.insert(Reply::of(request.header("cookie", "a=b; session=s-1")).await.text());
        }
        assert_eq!(homes.len(), 1, "{kind}");
    }
    // Nobody is known by name here, so that these go by weight.
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..8 {
        seen.insert(gateway.get("caller.test", "/").await.text());
        seen.insert(gateway.get("weighted.test", "/").await.text());
    }
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn the_less_busy_target_gets_the_request() {
    let gate = Gate::new();
    let slow = Partner::answering(Answer::text("slow").after(&gate)).await;
    let quick = Partner::answering(Answer::text("quick")).await;
    let urls = [slow.url(""), quick.url("")];
    let least = several(
        "labs",
        &[&urls[0], &urls[1]],
        json!({"balance": {"type": "leastRequests"}}),
    );
    let gateway = Gateway::serving_one(least).await;
    // One after the other, until one waits at the slow target: all others go to the quick one then.
    let mut waiting = tokio::task::JoinSet::new();
    while slow.connections() == 0 {
        let request = tokio::spawn(gateway.request(Method::GET, "labs.test", "/").send());
        wait::until("an answer, or the slow target", async || {
            (request.is_finished() || slow.connections() > 0).then_some(())
        })
        .await;
        waiting.spawn(request);
    }
    for _ in 0..20 {
        assert_eq!(gateway.get("labs.test", "/").await.text(), "quick");
    }
    gate.open();
}

#[tokio::test]
async fn an_example_passes_over_a_target_that_fails() {
    let bad = Partner::answering(Answer::status(500)).await;
    let good = Partner::answering(Answer::text("good")).await;
    let example = Example::named("passive-health")
        .with("https://one.partner.example", &bad.url(""))
        .with("https://two.partner.example", &good.url(""));
    let gateway = Gateway::serving(&example.document()).await;
    while bad.requests().len() < 2 {
        gateway.get("slots.gateway.example", "/").await;
    }
    for _ in 0..10 {
        assert_eq!(gateway.get("slots.gateway.example", "/").await.status, 200);
    }
    assert_eq!(bad.requests().len(), 2);
    let ejected = upstreams(&gateway).await;
    assert_eq!(ejected.iter().filter(|target| target["ejected"] == true).count(), 1);
}

#[tokio::test]
async fn an_example_follows_the_health_checks_of_its_targets() {
    let on = Arc::new(AtomicBool::new(true));
    let one = switched(&on, "one").await;
    let two = Partner::answering(Answer::text("two")).await;
    let example = Example::named("health-check")
        .with("https://one.partner.example", &one.url(""))
        .with("https://two.partner.example", &two.url(""));
    let gateway = Gateway::serving(&example.document()).await;
    let healthy = async |count: usize| {
        wait::until("the checks to be noticed", async || {
            let targets = upstreams(&gateway).await;
            let healthy = targets.iter().filter(|target| target["healthy"] == true).count();
            (healthy == count).then_some(())
        })
        .await;
    };
    on.store(false, Ordering::SeqCst);
    healthy(1).await;
    for _ in 0..10 {
        assert_eq!(gateway.get("slots.gateway.example", "/").await.text(), "two");
    }
    let troubled = gateway
        .admin_get("/upstreams?troubled=true&integration=100-slots")
        .await
        .json();
    assert_eq!(troubled["targets"].as_array().unwrap().len(), 1);
    on.store(true, Ordering::SeqCst);
    healthy(2).await;
    let checks = one.requests();
    let check = checks.iter().find(|request| request.uri == "/health").unwrap();
    assert_eq!(check.header("authorization"), None);
}

#[tokio::test]
async fn an_example_takes_each_address_of_a_name_as_a_target() {
    let partner = Partner::answering(Answer::text("here")).await;
    let url = format!("http://localhost:{}", partner.address().port());
    let example = Example::named("discovery").with("https://cluster.partner.example", &url);
    let gateway = Gateway::serving(&example.document()).await;
    for _ in 0..3 {
        assert_eq!(gateway.get("imaging.gateway.example", "/").await.text(), "here");
    }
    let targets = upstreams(&gateway).await;
    assert!(
        targets
            .iter()
            .any(|target| target["address"] == partner.address().to_string().as_str()),
        "{targets:?}"
    );
}

#[tokio::test]
async fn an_example_turns_away_what_the_partner_does_not_bear() {
    let gate = Gate::new();
    let partner = Partner::answering(Answer::text("report").after(&gate)).await;
    let example = Example::named("adaptive-concurrency").with("https://api.partner.example", &partner.url(""));
    let gateway = Gateway::serving(&example.document()).await;
    let first = tokio::spawn(gateway.request(Method::GET, "reports.gateway.example", "/").send());
    wait::until("the first request at the partner", async || {
        (upstreams(&gateway).await[0]["inFlight"] == 1).then_some(())
    })
    .await;
    let refused = gateway.get("reports.gateway.example", "/").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    gate.open();
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    let settings = json!({"minLimit": 1, "initialLimit": 1, "maxLimit": 50, "tolerancePercent": 150});
    assert_eq!(example.document()["integrations"][0]["adaptiveConcurrency"], settings);
}

#[tokio::test]
async fn an_example_answers_in_the_place_of_a_partner_that_fails() {
    let partner = Partner::answering(Answer::status(500)).await;
    let addresses = [(partner.url(""), "UPSTREAM_ERROR"), (nobody().await, "UPSTREAM_ERROR")];
    for (address, reason) in addresses {
        let example = Example::named("fallback").with("https://api.partner.example", &address);
        let mapping = json!({"responseTransformationMode": "SCRIPT",
            "responseTransformScript": "fn transform(payload, context) { payload }"});
        for extra in [json!({}), mapping] {
            let mut document = example.document();
            let integration = document["integrations"][0].take();
            document["integrations"][0] = with(integration, extra);
            let gateway = Gateway::serving(&document).await;
            let reply = gateway.get("offers.gateway.example", "/").await;
            assert_eq!((reply.status, reply.json()), (200, json!({"offers": []})));
            assert_eq!(reply.header("x-fallback-reason"), Some(reason));
            assert_eq!(reply.header("content-type"), Some("application/json"));
        }
    }
}

#[tokio::test]
async fn bodies_hold_no_more_than_they_may_together() {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    let mapped = with(
        integration("labs", &partner.url("")),
        json!({"requestTransformationMode": "SCRIPT",
            "requestTransformScript": "fn transform(payload, context) { payload }"}),
    );
    let setup = Setup::new().set("shedding.bufferedBytes", json!(100_000));
    let gateway = setup.file(&document([mapped])).start().await;
    let small = gateway.post("labs.test", "/", &json!("x".repeat(1_000))).await;
    assert_eq!(small.status, 200);
    let large = gateway.post("labs.test", "/", &json!("x".repeat(200_000))).await;
    assert_eq!((large.status, large.header("retry-after")), (503, Some("1")));
    assert_eq!(gateway.post("labs.test", "/", &json!("again")).await.status, 200);
}

#[tokio::test]
async fn requests_are_turned_away_above_the_memory_mark() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let setup = Setup::new().set("shedding.memoryBytes", json!(1_048_576));
    let gateway = setup
        .file(&document([integration("labs", &partner.url(""))]))
        .start()
        .await;
    wait::until("the mark to be noticed", async || {
        let reply = gateway.get("labs.test", "/").await;
        (reply.status == 503 && reply.header("retry-after").is_some()).then_some(())
    })
    .await;
    assert_eq!(gateway.admin_get("/readyz").await.status, 200);
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
#[tokio::test]
async fn bad_settings_are_refused_by_name() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let wrong = [
        (
            json!({"retry": {"schedule": {"type": "exponential", "baseMs": 60_000, "factor": 2, "maxMs": 60_000, "maxRetries": 2}}}),
            "retry.schedule",
        ),
        (json!({"retry": {"statuses": ["bad"]}}), "retry.statuses[0]"),
        (json!({"retry": {"budget": {"percent": 200}}}), "retry.budget.percent"),
        (json!({"breaker": {"failurePercent": 0}}), "breaker.failurePercent"),
        (
            json!({"breaker": {"enabled": false, "windowSeconds": 0}}),
            "breaker.windowSeconds",
        ),
        (
            json!({"breaker": {"minimumAttempts": 0, "onConsecutive": "deactivate"}}),
            "breaker.minimumAttempts",
        ),
        (
            json!({"balance": {"type": "consistentHash", "key": {"header": "a b"}}}),
            "balance.key.header",
        ),
        (
            json!({"passiveHealth": {"ejectSeconds": 0}}),
            "passiveHealth.ejectSeconds",
        ),
        (
            json!({"passiveHealth": {"maxEjectedPercent": 101}}),
            "passiveHealth.maxEjectedPercent",
        ),
        (json!({"healthCheck": {"path": "health"}}), "healthCheck.path"),
        (
            json!({"healthCheck": {"path": "/", "intervalSeconds": 0}}),
            "healthCheck.intervalSeconds",
        ),
        (
            json!({"healthCheck": {"path": "/", "timeoutMs": 0}}),
            "healthCheck.timeoutMs",
        ),
        (
            json!({"healthCheck": {"path": "/", "healthyAfter": 0}}),
            "healthCheck.healthyAfter",
        ),
        (
            json!({"healthCheck": {"path": "/", "unhealthyAfter": 0}}),
            "healthCheck.unhealthyAfter",
        ),
        (
            json!({"adaptiveConcurrency": {"minLimit": 0}}),
            "adaptiveConcurrency.minLimit",
        ),
        (json!({"fallback": {"status": 99}}), "fallback.status"),
        (json!({"fallback": {"contentType": "a\nb"}}), "fallback.contentType"),
    ];
    let integrations = wrong
        .iter()
        .enumerate()
        .map(|(number, (fields, _))| with(integration(&format!("labs-{number}"), &partner.url("")), fields.clone()));
    let gateway = Setup::new().file(&document(integrations)).start_listening().await;
    let error = wait::until("the refusal", async || {
        let error = &gateway.admin_get("/config").await.json()["lastError"];
        (!error.is_null()).then(|| error.to_string())
    })
    .await;
    for (_, path) in &wrong {
        assert!(error.contains(path), "{path} is not in {error}");
    }
}

#[tokio::test]
async fn a_deactivated_partner_waits_for_an_operator() {
    let partner = Partner::answering(Answer::status(500)).await;
    let fields = json!({"breaker": {"consecutiveFailures": 2, "onConsecutive": "deactivate"}});
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), fields)).await;
    for _ in 0..2 {
        gateway.get("labs.test", "/").await;
    }
    let refused = gateway.get("labs.test", "/").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, None));
    assert_eq!(upstreams(&gateway).await[0]["circuit"], "deactivated");
    assert_eq!(
        gateway.admin_call(Method::POST, "/upstreams/nobody/reset").await.status,
        404
    );
}
