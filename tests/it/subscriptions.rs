//! What a subscription says of itself decides what its endpoint gets.

use harness::control_plane::ControlPlane;
use harness::documents::{ORG, with};
use harness::events::{bill, events_document, subscription};
use harness::{Answer, Gateway, Partner, Receiver, wait};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn each_comparison_of_a_filter_keeps_other_events_away() {
    let receiver = Receiver::start().await;
    let amount = |comparison: Value| with(json!({"field": "bill.amount"}), comparison);
    let code = |comparison: Value| with(json!({"field": "bill.code"}), comparison);
    let filters = [
        amount(json!({"atLeast": 100})),
        amount(json!({"greaterThan": 99.5})),
        amount(json!({"atMost": 200})),
        amount(json!({"lessThan": 200})),
        code(json!({"startsWith": "ICU-"})),
        code(json!({"endsWith": "-7"})),
        code(json!({"contains": "CU"})),
        code(json!({"oneOf": ["ICU-7", "ICU-8"]})),
        code(json!({"equals": "ICU-7"})),
        json!({"not": code(json!({"equals": "LAB-1"}))}),
        json!({"any": [code(json!({"equals": "no"})), {"field": "bill.tags", "contains": "final"}]}),
        json!({"all": [code(json!({"notEquals": "no"})), {"field": "bill.tags", "exists": true}]}),
    ];
    let subscriptions = filters.iter().enumerate().map(|(index, filter)| {
        let name = format!("filter-{index}");
        let target = receiver.url(&format!("/{name}"));
        with(subscription(&name, &target), json!({ "filter": filter }))
    });
    let gateway = Gateway::serving(&events_document(subscriptions)).await;
    let event = |id: &str, amount: f64, code: &str, tags: Value| {
        json!({"id": id, "eventType": "bill.generated",
            "payload": {"bill": {"amount": amount, "code": code, "tags": tags}}})
    };
    let outside =
        json!({"id": "none", "eventType": "bill.generated", "payload": {"bill": {"code": "LAB-1", "amount": 99}}});
    let high = event("high", 201.0, "LAB-1", Value::Null);
    let reply = gateway.hand_over(&outside).await.json();
    assert_eq!(reply["deliveries"], 2, "amount is below both upper bounds: {reply}");
    let reply = gateway.hand_over(&high).await.json();
    assert_eq!(reply["deliveries"], 2, "amount is above both lower bounds: {reply}");
    let reply = gateway
        .hand_over(&event("all", 125.5, "ICU-7", json!(["final"])))
        .await
        .json();
    assert_eq!(reply["deliveries"], 12, "{reply}");
    let requests = receiver.received(16).await;
    let of_all = requests.iter().filter(|request| request.header("ce-id") == Some("all"));
    let mut paths: Vec<_> = of_all.map(|request| request.uri.path().to_owned()).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), 12, "{paths:?}");
}

#[tokio::test]
async fn units_decide_whose_events_a_subscription_gets() {
    let receiver = Receiver::start().await;
    let of = |name: &str, fields: Value| with(subscription(name, &receiver.url(&format!("/{name}"))), fields);
    let document = with(
        events_document([
            of("north", json!({"tenantId": 701})),
            of(
                "all-but-north",
                json!({"scope": "ALL_ENTITIES", "excludedEntityRids": [701]}),
            ),
            of("head-office", json!({"scope": "ENTITY_ONLY"})),
        ]),
        json!({"units": [{"rid": 701, "orgId": ORG, "name": "North"}, {"rid": 702, "orgId": ORG, "name": "South"}]}),
    );
    let gateway = Gateway::serving(&document).await;
    for (id, unit) in [("n", Some(701)), ("s", Some(702)), ("o", None)] {
        let event = unit.map_or_else(|| bill(id), |rid| with(bill(id), json!({"entityRid": rid})));
        gateway.accept(&event).await;
    }
    let requests = receiver.received(4).await;
    settled(&gateway).await;
    let mut got: Vec<_> = requests
        .iter()
        .map(|request| {
            (
                request.uri.path().to_owned(),
                request.header("ce-id").unwrap().to_owned(),
            )
        })
        .collect();
    got.sort_unstable();
    let wanted = [
        ("/all-but-north", "o"),
        ("/all-but-north", "s"),
        ("/head-office", "o"),
        ("/north", "n"),
    ];
    assert_eq!(got, wanted.map(|(path, id)| (path.to_owned(), id.to_owned())));
    assert_eq!(receiver.requests().len(), 4);
}

#[tokio::test]
async fn steps_see_the_answers_before_them_and_are_undone() {
    let receiver = Partner::start(|request| match request.uri.path() {
        "/beds" => Answer::json(&json!({"bedId": "b-1"})),
        "/insurer" => Answer::status(400),
        _ => Answer::status(200),
    })
    .await;
    let line = |from: &str, to: &str| json!([{"sourceField": from, "targetField": to}]);
    let actions = json!([
        {"name": "reserve", "targetUrl": receiver.url("/beds"), "compensate": {
            "targetUrl": receiver.url("/release"), "httpMethod": "DELETE", "transformationMode": "SIMPLE",
            "fieldMappings": line("steps.reserve.body.bedId", "bed")}},
        {"name": "inform", "targetUrl": receiver.url("/insurer"), "httpMethod": "PUT", "delayMs": 20,
            "transformationMode": "SCRIPT",
            "transformScript": "fn transform(payload, context) { #{ bed: payload.steps.reserve.body.bedId } }"},
    ]);
    let admission = with(
        subscription("admission", &receiver.url("/unused")),
        json!({"actions": actions, "transformationMode": "SIMPLE", "fieldMappings": line("bill.number", "id")}),
    );
    let gateway = Gateway::serving(&events_document([admission])).await;
    gateway.accept(&bill("B-1")).await;
    let requests = receiver.received(3).await;
    let shown: Vec<_> = requests
        .iter()
        .map(|request| (request.method.as_str(), request.uri.path(), request.json()))
        .collect();
    let wanted = [
        ("POST", "/beds", json!({"id": "B-1"})),
        ("PUT", "/insurer", json!({"bed": "b-1"})),
        ("DELETE", "/release", json!({"bed": "b-1"})),
    ];
    assert_eq!(shown, wanted);
}

#[tokio::test]
async fn fresh_data_is_fetched_into_the_payload() {
    let his = Partner::start(|request| match request.uri.path() {
        "/patients/P%207" => Answer::json(&json!({"name": "Asha"})),
        "/letters/L-1" => Answer::text("%PDF"),
        _ => Answer::status(404),
    })
    .await;
    let receiver = Receiver::start().await;
    let calls = json!([
        {"name": "patient", "url": his.url("/patients/{patientId}"), "targetField": "patient"},
        {"name": "letter", "url": his.url("/letters/{letterId}"), "encoding": "base64", "targetField": "document",
            "maxBytes": 4},
    ]);
    let letters = with(
        subscription("letters", &receiver.url("/")),
        json!({ "enrichments": calls }),
    );
    let gateway = Gateway::serving(&events_document([letters])).await;
    let event = json!({"id": "e-1", "eventType": "bill.generated", "payload": {"patientId": "P 7", "letterId": "L-1"}});
    gateway.accept(&event).await;
    let request = receiver.received(1).await.remove(0);
    let wanted = json!({"patientId": "P 7", "letterId": "L-1", "patient": {"name": "Asha"}, "document": "JVBERg=="});
    assert_eq!(request.json(), wanted);
}

#[tokio::test]
async fn a_subscription_says_what_statuses_mean_and_how_often_is_enough() {
    let receiver = Receiver::start().await;
    receiver.always(Answer::status(404).body("x".repeat(5000)));
    let rules = json!({
        "statusHandling": [{"statuses": ["404"], "treatAs": "retry"}],
        "retry": {"type": "exponential", "baseMs": 10, "factor": 2, "maxMs": 20, "maxRetries": 3, "jitter": 0},
        "deadLetterRetry": {"enabled": false},
        "rateLimits": {"maxResponseBytes": 100, "maxConcurrency": 1},
        "recordBodies": "none",
    });
    let document = events_document([with(subscription("billing", &receiver.url("/")), rules)]);
    let gateway = Gateway::serving(&document).await;
    gateway.accept(&bill("B-1")).await;
    receiver.received(4).await;
    settled(&gateway).await;
    assert_eq!(receiver.requests().len(), 4, "one attempt and three retries");
}

#[tokio::test]
async fn those_behind_a_failing_one_wait_no_longer_than_they_must() {
    let receiver = Receiver::start().await;
    receiver.next([Answer::status(500)]);
    let rules = json!({
        "ordering": {"mode": "perKey", "key": "bill.number", "onBlocked": {"deadLetterAfter": 1}},
        "retry": {"type": "list", "delaysMs": [3_600_000], "jitter": 0},
        "deadLetterRetry": {"enabled": false},
    });
    let document = events_document([with(subscription("billing", &receiver.url("/")), rules)]);
    let gateway = Gateway::serving(&document).await;
    for id in ["first", "second"] {
        gateway.accept(&with(bill("B-1"), json!({ "id": id }))).await;
    }
    settled(&gateway).await;
    let requests = receiver.requests();
    let ids: Vec<_> = requests.iter().filter_map(|request| request.header("ce-id")).collect();
    assert_eq!(ids, ["first", "second"]);
}

#[tokio::test]
async fn failures_in_a_row_stop_an_endpoint_for_good_where_that_is_asked_for() {
    let receiver = Receiver::start().await;
    receiver.always(Answer::status(500));
    let breaker = json!({"enabled": true, "consecutiveFailures": 2, "failurePercent": 100, "windowSeconds": 60,
        "minimumAttempts": 1000, "openSeconds": 1, "onConsecutive": "deactivate"});
    let billing = with(
        subscription("billing", &receiver.url("/")),
        json!({ "breaker": breaker }),
    );
    let gateway = Gateway::serving(&events_document([billing])).await;
    gateway.accept(&bill("B-1")).await;
    wait::until("the endpoint to be deactivated", async || {
        let queue = gateway.admin_get("/queue").await.json();
        (queue["endpoints"][0]["state"] == "deactivated").then_some(())
    })
    .await;
    assert_eq!(receiver.requests().len(), 2);
    receiver.always(Answer::status(200));
    let resumed = gateway
        .admin_call(Method::POST, "/queue/endpoints/billing/resume")
        .await;
    assert_eq!(resumed.status, 200);
    settled(&gateway).await;
    assert_eq!(receiver.requests().len(), 3);
}

#[tokio::test]
async fn deliveries_wait_for_their_time() {
    let receiver = Receiver::start().await;
    let scheduled = |name: &str, mode: &str, config: Value| {
        let fields = json!({"schedulingMode": mode, "schedulingConfig": config});
        with(subscription(name, &receiver.url(&format!("/{name}"))), fields)
    };
    let always = json!({"days": ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"], "from": "00:00", "to": "24:00"});
    let document = events_document([
        scheduled(
            "past",
            "DELAYED",
            json!({"untilField": "bill.dueAt", "delayMs": -1000, "timezone": "Asia/Kolkata", "window": always}),
        ),
        scheduled("twice", "RECURRING", json!({"intervalMs": 1000, "count": 2})),
        scheduled(
            "some-day",
            "RECURRING",
            json!({"cron": "0 0 29 2 *", "end": "2200-01-01T00:00:00Z"}),
        ),
    ]);
    let gateway = Gateway::serving(&document).await;
    let event =
        json!({"id": "B-1", "eventType": "bill.generated", "payload": {"bill": {"dueAt": "2020-01-01T10:00:00"}}});
    assert_eq!(gateway.hand_over(&event).await.json()["deliveries"], 3);
    receiver.received(3).await;
    let open = wait::until("only the far one to be open", async || {
        let queue = gateway.admin_get("/queue").await.json();
        (queue["open"] == 1).then_some(queue)
    })
    .await;
    assert_eq!(open["endpoints"][0]["integrationConfigId"], "some-day", "{open}");
    let mut paths: Vec<_> = receiver
        .requests()
        .iter()
        .map(|request| request.uri.path().to_owned())
        .collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/past", "/twice", "/twice"]);
}

#[tokio::test]
async fn what_is_said_of_organizations_units_and_event_types_comes_back() {
    let control_plane = ControlPlane::start().await;
    let profile = json!({"name": "Lakeside", "code": "LKS", "email": "it@lakeside.example", "phone": "+91 80 5550 0100",
        "address": "1 Shore Road", "tags": ["south"], "region": "IN-KA", "timezone": "Asia/Kolkata"});
    let unit = with(profile.clone(), json!({"orgId": ORG}));
    let event_type = json!({"orgId": ORG, "eventType": "bill.paid", "name": "Bill paid", "description": "In full."});
    for (path, body) in [
        (format!("/api/v1/admin/organizations/{ORG}"), profile),
        ("/api/v1/admin/org-units/701".to_owned(), unit),
        ("/api/v1/event-types/paid".to_owned(), event_type),
    ] {
        let made = control_plane.put(&path, &body).await;
        assert!((200..300).contains(&made.status), "{path}: {}", made.text());
        let read = control_plane.get(&path).await.json();
        for (field, value) in body.as_object().unwrap() {
            assert_eq!(read[field], *value, "{path}: {read}");
        }
    }
}

/// Waits until nothing is open.
async fn settled(gateway: &Gateway) {
    wait::until("the queue to be empty", async || {
        (gateway.admin_get("/queue").await.json()["open"] == 0).then_some(())
    })
    .await;
}
