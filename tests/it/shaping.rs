//! Bodies and what is around them, shaped by tables and scripts; the examples of each setting.

use std::time::Duration;

use harness::client::Reply;
use harness::documents::{document, integration, with};
use harness::events::{bill, events_document, subscription};
use harness::gateway::Setup;
use harness::receiver::Receiver;
use harness::{Answer, ControlPlane, Example, Gateway, Partner, wait};
use reqwest::Method;
use serde_json::{Value, json};

/// A gateway that runs the example `name`, in which `partner` stands in the place of `address`.
async fn running(name: &str, address: &str, partner: &Partner) -> Gateway {
    let example = Example::named(name).with(address, &partner.url(""));
    Gateway::serving(&example.document()).await
}

#[tokio::test]
async fn mapping_lists() {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    let gateway = running("mapping-lists", "https://api.insurer.example", &partner).await;
    let body = json!({
        "his.version": "7.2",
        "patient": {"id": 7, "first": "Asha", "last": "Rao", "weight": "61.24",
            "telecom": [{"system": "mail", "value": "a@b"}, {"system": "phone", "value": "123"}], "insurance": {"number": ""}},
        "visit": {"number": 4711, "ward": "WARD_ICU_2", "wards": ["A", "B"], "days": "3", "emergency": "N",
            "at": "2026-03-02T15:00:00", "allergies": "nuts; latex"},
        "orders": [
            {"number": 1, "items": [{"code": "a", "price": 10, "billable": true}, {"code": "b", "price": 5, "billable": false}]},
            {"number": 2, "items": [{"code": "c", "price": 2.5}]}
        ]
    });
    let reply = gateway.post("claims.gateway.example", "/", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let mut sent = partner.only_request().json();
    let reference = sent["reference"].take();
    assert!(reference.as_str().unwrap().starts_with("4711/20"), "{reference}");
    assert_eq!(
        sent,
        json!({
            "reference": null,
            "member": {"name": "Asha Rao", "phone": "123", "number": 7},
            "lastWard": "B", "origin": "7.2", "caseNumber": "00004711", "weight": 61.2, "days": 3, "emergency": false,
            "admittedAt": "2026-03-02T09:30:00Z", "ward": "ICU 2", "allergies": ["nuts", "latex"],
            "lines": [
                {"code": "a", "order": 1, "amount": "10.00", "patient": 7}, {"code": "c", "order": 2, "amount": "2.50", "patient": 7}
            ],
            "total": 17.5, "orders": "1,2", "firstOrder": 1, "lastOrder": 2, "orderCount": 2
        })
    );
}

#[tokio::test]
async fn mapping_around() {
    let partner = Partner::start(|request| match request.uri.to_string().as_str() {
        uri if uri.starts_with("/icu/patients/404") => Answer::json(&json!({})).with_status(404),
        uri if uri.starts_with("/icu/patients/500") => Answer::text("<html>").with_status(500),
        uri if uri.starts_with("/icu/patients/bad") => Answer::json(&json!({"error": "no"})),
        _ => Answer::json(&json!({"patient": {"name": "Asha"}})).header("X-Version", "3"),
    })
    .await;
    let gateway = running("mapping-around", "https://api.records.example", &partner).await;
    let call = |path: &str, body: Value| {
        let request = gateway
            .request(Method::POST, "records.gateway.example", path)
            .header("X-Api-Key", "not-a-real-key")
            .header("X-Device", "tablet")
            .json(&body);
        Reply::of(request)
    };
    let reply = call(
        "/patients/42?reason=check%20up&tag=a&tag=b&page=1",
        json!({"ward": "ICU", "note": "n", "limit": 5}),
    )
    .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json(), json!({"name": "Asha", "partnerStatus": 200}));
    assert_eq!(reply.header("x-record-version"), Some("3"));
    let sent = partner.only_request();
    assert_eq!(sent.uri, "/icu/patients/42?tag=a&tag=b&page=1&limit=5");
    assert_eq!(sent.header("x-priority"), Some("routine"));
    assert_eq!(
        sent.json(),
        json!({"device": "tablet", "reason": "check up", "tags": ["a", "b"], "patient": "42", "by": "his", "note": "n"})
    );

    let ward = json!({"ward": "ICU"});
    let not_found = call("/patients/404", ward.clone()).await;
    assert_eq!(
        (not_found.status, not_found.json()),
        (200, json!({"partnerStatus": 404}))
    );
    let failed = call("/patients/500", ward.clone()).await;
    assert_eq!((failed.status, failed.text().as_str()), (502, "<html>"));
    let wrong = call("/patients/bad", ward).await;
    assert_eq!(
        (wrong.status, wrong.json()),
        (422, json!({"partnerStatus": 200, "error": "no"}))
    );
    let without_ward = call("/patients/42", json!({})).await;
    assert_eq!(without_ward.status, 400, "{}", without_ward.text());
    assert!(without_ward.text().contains("ward"), "{}", without_ward.text());
}

#[tokio::test]
async fn a_request_without_a_body_is_edited_and_stays_without() {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    let mappings = json!([
        {"sourceField": "$query.mrn", "targetField": "$header.X-Mrn"},
        {"sourceField": "$header.X-Page", "targetField": "$query.page"}
    ]);
    let fields = json!({"requestTransformationMode": "SIMPLE", "requestFieldMappings": mappings});
    let gateway = Gateway::serving_one(with(integration("book", &partner.url("")), fields)).await;
    let request = gateway
        .request(Method::GET, "book.test", "/list?mrn=7")
        .header("X-Page", "2");
    assert_eq!(Reply::of(request).await.status, 200);
    let sent = partner.only_request();
    assert_eq!(
        (sent.uri.to_string().as_str(), sent.header("x-mrn")),
        ("/list?mrn=7&page=2", Some("7"))
    );
    assert!(sent.body.is_empty());
    assert_eq!(sent.header("content-type"), None);
}

#[tokio::test]
async fn statuses_are_mapped_where_bodies_are_streamed() {
    let partner = Partner::start(|request| match request.uri.to_string().as_str() {
        "/gone" => Answer::text("nothing").with_status(410),
        "/empty" => Answer::status(204),
        _ => Answer::text("fine"),
    })
    .await;
    let statuses = json!([{"statuses": ["4xx"], "status": 404}, {"statuses": ["2xx"], "status": 201}]);
    let fields = json!({"statusMapping": statuses});
    let gateway = Gateway::serving_one(with(integration("book", &partner.url("")), fields)).await;
    for (path, status, text) in [("/gone", 404, "nothing"), ("/", 201, "fine"), ("/empty", 204, "")] {
        let reply = gateway.get("book.test", path).await;
        assert_eq!((reply.status, reply.text().as_str()), (status, text), "{path}");
    }
}

#[tokio::test]
async fn lookups() {
    let partner = Partner::answering(Answer::json(&json!({"gender": "male", "ward": "General"}))).await;
    let gateway = running("lookups", "https://api.admissions.example", &partner).await;
    let reply = gateway
        .post("admissions.gateway.example", "/", &json!({"sex": "F", "ward": "ICU"}))
        .await;
    assert_eq!(reply.json(), json!({"sex": "M", "ward": "GEN"}));
    let other = gateway
        .post("admissions.gateway.example", "/", &json!({"sex": "M", "ward": "XYZ"}))
        .await;
    assert_eq!(other.status, 200, "{}", other.text());
    let sent = partner.requests();
    assert_eq!(
        sent[0].json(),
        json!({"gender": "female", "ward": "Intensive care", "wardCode": "ICU"})
    );
    assert_eq!(
        sent[1].json(),
        json!({"gender": "male", "ward": "Unknown", "wardCode": "XYZ"})
    );
    let unknown = gateway
        .post("admissions.gateway.example", "/", &json!({"sex": "X"}))
        .await;
    assert_eq!(unknown.status, 400);
    assert!(unknown.text().contains("genders"), "{}", unknown.text());
}

#[tokio::test]
async fn body_formats() {
    let in_xml = |text: &'static str| Answer::status(200).header("content-type", "text/xml").body(text);
    let slots = "<r:Result xmlns:r=\"urn:r\"><Number>7</Number><Slot at=\"09:30\"/></r:Result>";
    let legacy = Partner::answering(in_xml(slots)).await;
    let echo = Partner::answering(Answer::json(&json!({"ok": true}))).await;
    let paid = in_xml("<p:Paid xmlns:p=\"urn:p\">1</p:Paid>");
    let payments = Partner::answering(paid).await;
    let example = Example::named("body-formats")
        .with("https://api.legacy.example", &legacy.url(""))
        .with("https://api.feedback.example", &echo.url(""))
        .with("https://api.payments.example", &payments.url(""));
    let gateway = Gateway::serving(&example.document()).await;

    let body = json!({"id": 5, "patient": {"name": "A & B", "mrn": "7"}, "codes": ["x", "y"]});
    let reply = gateway.post("referrals.gateway.example", "/", &body).await;
    assert_eq!(
        (reply.status, reply.json()),
        (200, json!({"number": 7, "slots": ["09:30"]}))
    );
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let sent = legacy.only_request();
    assert_eq!(sent.header("content-type"), Some("text/xml; charset=utf-8"));
    assert_eq!(
        String::from_utf8_lossy(&sent.body),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Referral id=\"5\"><Patient mrn=\"7\">A &amp; B</Patient>\
         <Code>x</Code><Code>y</Code></Referral>"
    );

    let form = gateway
        .request(Method::POST, "feedback.gateway.example", "/")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("stars=5&tag=a&tag=b");
    assert_eq!(Reply::of(form).await.json(), json!({"ok": true}));
    assert_eq!(echo.only_request().json(), json!({"stars": "5", "tag": ["a", "b"]}));

    let reply = gateway
        .post(
            "payments.gateway.example",
            "/",
            &json!({"amount": 12.5, "currency": "INR"}),
        )
        .await;
    assert_eq!(reply.json(), json!({"p:Paid": {"@xmlns:p": "urn:p", "#text": "1"}}));
    let sent = payments.only_request();
    assert_eq!(sent.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(String::from_utf8_lossy(&sent.body), "amount=12.5&currency=INR");
}

#[tokio::test]
async fn a_body_that_is_not_in_its_format_is_the_clients_fault() {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    let fields = json!({"requestFormat": {"from": "xml"}});
    let gateway = Gateway::serving_one(with(integration("book", &partner.url("")), fields)).await;
    let bomb = "<!DOCTYPE a [<!ENTITY x \"xxxxxxxxxx\"><!ENTITY y \"&x;&x;&x;&x;\">]><a>&y;</a>";
    for body in ["<a>", "no xml", bomb, "{\"a\": 1}"] {
        let request = gateway.request(Method::POST, "book.test", "/").body(body);
        let reply = Reply::of(request).await;
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
        assert_eq!(reply.code(), "VALIDATION_ERROR");
    }
    assert_eq!(partner.requests().len(), 0);
}

#[tokio::test]
async fn script_library() {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    let example = Example::named("script-library").with("https://api.archive.example", &partner.url(""));
    let gateway = Setup::new()
        .file(&example.document())
        .set("scripts.env", json!(["REGION"]))
        .environment("REGION", "south")
        .start()
        .await;
    let body = json!({"at": "02/03/2026 15:00", "file": "scan-0042.pdf", "department": "CARD", "content": "abc"});
    let reply = gateway.post("uploads.gateway.example", "/", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let mut sent = partner.only_request().json();
    let [document, request] = ["document", "request"].map(|name| sent[name].take());
    assert!(document.is_string() && request.is_string() && document != request);
    assert_eq!(
        sent,
        json!({
            "document": null, "request": null, "number": "0042", "takenAt": "2026-03-02T09:30:00Z", "department": "Cardiology",
            "checksum": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "signature": sent["signature"], "content": "YWJj", "by": "nobody", "place": "south/100"
        })
    );
    let refused = gateway
        .post(
            "uploads.gateway.example",
            "/",
            &json!({"at": "02/03/2026 15:00", "file": "x", "content": ""}),
        )
        .await;
    assert!(refused.text().contains("the file has no number"), "{}", refused.text());
}

#[tokio::test]
async fn the_environment_is_closed_but_for_what_the_settings_name() {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    let mappings = json!([{"targetField": "x", "template": "{{env.PLANTED_SECRET}}"}]);
    let fields = json!({"requestTransformationMode": "SIMPLE", "requestFieldMappings": mappings});
    let gateway = Setup::new()
        .file(&document([with(integration("book", &partner.url("")), fields)]))
        .environment("PLANTED_SECRET", "planted-value")
        .start()
        .await;
    let reply = gateway.post("book.test", "/", &json!({})).await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert!(!reply.text().contains("planted-value"));
    assert_eq!(partner.requests().len(), 0);
}

#[tokio::test]
async fn outbound_format() {
    let receiver = Receiver::start().await;
    let mut document = Example::named("outbound-format")
        .with("https://ledger.example/bills", &receiver.url("/bills"))
        .document();
    let producers = events_document([subscription("other", &receiver.url("/other"))]);
    document["producerKeys"] = producers["producerKeys"].clone();
    for key in document["producerKeys"].as_array_mut().unwrap() {
        key["orgId"] = json!(100);
    }
    let gateway = Gateway::serving(&document).await;
    let mut event = bill("e-1");
    event["payload"] = json!({"bill": {"id": "B-1", "amount": 12.5}});
    gateway.accept(&event).await;
    let sent = receiver.received(1).await.remove(0);
    assert_eq!(sent.header("content-type"), Some("application/xml"));
    assert!(sent.header("x-event").is_some());
    assert_eq!(
        String::from_utf8_lossy(&sent.body),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Bill type=\"bill.generated\"><Number>B-1</Number><Amount>12.50</Amount></Bill>"
    );
}

#[tokio::test]
async fn a_table_that_does_not_fit_its_sample_is_refused_when_it_is_saved() {
    let control_plane = ControlPlane::start().await;
    control_plane.allow_this_machine().await;
    let fields = json!({
        "requestTransformationMode": "SIMPLE",
        "requestFieldMappings": [
            {"sourceField": "patient.nam", "targetField": "name"},
            {"sourceField": "patient.id", "targetField": "id", "transform": [{"type": "trim"}]}
        ],
        "requestSample": {"patient": {"id": 7, "name": "Asha"}}
    });
    let refused = control_plane
        .try_save(&with(integration("book", "http://127.0.0.1:9/"), fields))
        .await
        .unwrap();
    assert_eq!(refused.status, 400, "{}", refused.text());
    let problems = refused.json()["problems"].to_string();
    for expected in [
        "requestFieldMappings[0].sourceField",
        "but there id, name",
        "requestFieldMappings[1].transform[0]",
    ] {
        assert!(problems.contains(expected), "{problems}");
    }
}

#[tokio::test]
async fn a_lookup_table_that_changes_is_live_and_one_in_use_cannot_go() {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    let control_plane = ControlPlane::start().await;
    control_plane.allow_this_machine().await;
    let lookup = |value: &str| json!({"id": "codes", "orgId": 648, "name": "codes", "entries": {"a": value}});
    let saved = control_plane.post("/api/v1/lookups", &lookup("one")).await;
    assert!(saved.status < 300, "{}", saved.text());
    let mappings =
        json!([{"sourceField": "a", "targetField": "b", "transform": [{"type": "lookup", "table": "codes"}]}]);
    let fields = json!({"id": "book", "requestTransformationMode": "SIMPLE", "requestFieldMappings": mappings});
    control_plane
        .save(&with(integration("book", &partner.url("")), fields))
        .await;
    let gateway = Gateway::fed_by(&control_plane).await;
    let mapped = async || {
        gateway.post("book.test", "/", &json!({"a": "a"})).await;
        partner.requests().last().map(|request| request.json()["b"].clone())
    };
    wait::until("the table", async || {
        (mapped().await == Some(json!("one"))).then_some(())
    })
    .await;
    let changed = control_plane.put("/api/v1/lookups/codes", &lookup("two")).await;
    assert!(changed.status < 300, "{}", changed.text());
    wait::until("the change", async || {
        (mapped().await == Some(json!("two"))).then_some(())
    })
    .await;
    let request = control_plane.request(Method::DELETE, "/api/v1/lookups/codes");
    let refused = Reply::of(request.timeout(Duration::from_secs(30))).await;
    assert!((400..500).contains(&refused.status), "{}", refused.text());
    assert!(refused.text().contains("codes"), "{}", refused.text());
}

#[tokio::test]
async fn a_dry_run_shows_the_body_what_is_around_it_and_what_does_not_fit() {
    let control_plane = ControlPlane::start().await;
    control_plane.allow_this_machine().await;
    let lookup = json!({"orgId": 648, "name": "wards", "entries": {"ICU": {"label": "Intensive care"}}});
    let saved = control_plane.post("/api/v1/lookups", &lookup).await;
    assert!(saved.status < 300, "{}", saved.text());
    let mappings = json!([
        {"targetField": "name", "concat": {"fields": ["first", "last"], "separator": " "}},
        {"sourceField": "at", "targetField": "at", "transform": [{"type": "date", "sourceZone": "Asia/Kolkata", "zone": "UTC"}]},
        {"sourceField": "ward", "targetField": "ward",
         "transform": [{"type": "lookup", "table": "wards", "column": "label", "reverse": true, "onMissing": "keep"}]},
        {"sourceField": "price", "targetField": "price", "transform": [{"type": "toText", "decimals": 2}]},
        {"sourceField": "code", "targetField": "code", "transform": [
            {"type": "replace", "find": "_", "with": "-"}, {"type": "substring", "start": 1, "length": 3}
        ]},
        {"sourceField": "mrn", "targetField": "$header.X-Mrn"},
        {"targetField": "$status", "value": 201},
        {"sourceField": "gone", "targetField": "gone"}
    ]);
    let tried = json!({
        "side": "response",
        "sample": {"first": "Asha", "last": "Rao", "at": "2026-03-02T15:00:00", "ward": "Intensive care", "price": 12.5,
            "code": "LAB_1", "mrn": 7},
        "integration": with(integration("book", "http://127.0.0.1:9/"), json!({
            "responseTransformationMode": "SIMPLE", "responseFieldMappings": mappings, "transformErrors": true
        })),
    });
    let reply = control_plane.post("/api/v1/inbound-integrations/test", &tried).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let outcome = reply.json();
    assert_eq!(
        outcome["output"],
        json!({"name": "Asha Rao", "at": "2026-03-02T09:30:00Z", "ward": "ICU", "price": "12.50", "code": "AB-"})
    );
    assert_eq!(
        (&outcome["headers"], &outcome["status"]),
        (&json!({"x-mrn": "7"}), &json!(201))
    );
    let problems = outcome["problems"].to_string();
    assert!(
        problems.contains("integration.responseFieldMappings[7].sourceField"),
        "{problems}"
    );
}

#[tokio::test]
async fn a_dry_run_reads_and_writes_other_formats() {
    let control_plane = ControlPlane::start().await;
    control_plane.allow_this_machine().await;
    let xml = json!({
        "responseFormat": {"from": "xml", "keepPrefixes": true}, "responseTransformationMode": "SIMPLE",
        "responseFieldMappings": [{"sourceField": "s:Slot.s:At[].#text", "targetField": "at[]"}, {"sourceField": "s:Slot.@id", "targetField": "id"}],
    });
    let tried = json!({
        "side": "response", "sample": "<s:Slot xmlns:s=\"urn:s\" id=\"1\"><s:At x=\"1\">09:30</s:At></s:Slot>",
        "integration": with(integration("book", "http://127.0.0.1:9/"), xml),
    });
    let reply = control_plane.post("/api/v1/inbound-integrations/test", &tried).await;
    assert_eq!(
        reply.json()["output"],
        json!({"at": ["09:30"], "id": "1"}),
        "{}",
        reply.text()
    );

    let bills = with(
        subscription("bills", "http://127.0.0.1:9/"),
        json!({"bodyFormat": {"to": "xml", "root": "Bill"}, "transformationMode": "SIMPLE",
            "fieldMappings": [{"sourceField": "bill.id", "targetField": "Number"}]}),
    );
    let tried = json!({"sample": {"bill": {"id": "B-1"}}, "integration": bills});
    let reply = control_plane.post("/api/v1/outbound-integrations/test", &tried).await;
    let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Bill><Number>B-1</Number></Bill>";
    assert_eq!(reply.json()["output"], json!(text), "{}", reply.text());
}

#[tokio::test]
async fn answers_are_held_against_their_own_sample() {
    let gateway = Setup::new()
        .file(&document([with(
            integration("book", "http://127.0.0.1:9/"),
            json!({"responseTransformationMode": "SIMPLE", "responseSample": {"a": 1},
                "responseFieldMappings": [{"sourceField": "b", "targetField": "c"}]}),
        )]))
        .start_listening()
        .await;
    wait::until("the refusal", async || {
        let error = gateway.admin_get("/config").await.json()["lastError"].to_string();
        error.contains("responseFieldMappings[0].sourceField").then_some(())
    })
    .await;
}
