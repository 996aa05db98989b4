//! What partners and receivers take, held against mapping tables when they are saved and against bodies as they go.

use harness::client::Reply;
use harness::documents::{integration, with};
use harness::{Answer, ControlPlane, Example, Gateway, Partner};
use reqwest::Method;
use serde_json::{Value, json};

fn mapped(partner: &str) -> Value {
    with(
        integration("book", partner),
        json!({
            "requestTransformationMode": "SIMPLE",
            "requestFieldMappings": [
                {"sourceField": "patient.id", "targetField": "patientId", "transform": [{"type": "toText"}]},
                {"sourceField": "patient.ward", "targetField": "ward"}
            ],
            "requestTargetSchema": {"schema": {"type": "object", "required": ["patientId", "ward"],
                "properties": {"patientId": {"type": "string"}, "ward": {"type": "string", "maxLength": 4}}}}
        }),
    )
}

#[tokio::test]
async fn a_table_that_cannot_make_what_the_partner_takes_is_refused_when_it_is_saved() {
    let control_plane = ControlPlane::start().await;
    control_plane.allow_this_machine().await;
    let good = mapped("http://127.0.0.1:9/");
    assert_eq!(control_plane.try_save(&good).await.unwrap().status, 201);
    let mut bad = with(good, json!({"type": "book-2", "hosts": ["book-2.test"]}));
    bad["requestFieldMappings"] = json!([
        {"targetField": "patientId", "value": 7},
        {"sourceField": "patient.name", "targetField": "name"}
    ]);
    bad["responseTransformationMode"] = json!("SIMPLE");
    bad["responseFieldMappings"] = json!([{"sourceField": "ok", "targetField": "ok"}]);
    bad["responseTargetSchema"] = json!({"schema": {"required": ["number"]}, "validate": false});
    let refused = control_plane.try_save(&bad).await.unwrap();
    assert_eq!(refused.status, 400, "{}", refused.text());
    let problems = refused.json()["problems"].to_string();
    for expected in ["requestFieldMappings[0].targetField", "`ward`", "`number`"] {
        assert!(problems.contains(expected), "{problems}");
    }
}

/// The example, which checks each body as well.
#[tokio::test]
async fn bodies_that_their_target_does_not_take_do_not_go_out() {
    let partner = Partner::start(|request| match request.uri.path() {
        "/bad" => Answer::json(&json!({"booking": {"number": "B-1"}})),
        _ => Answer::json(&json!({"booking": {"number": 1}})),
    })
    .await;
    let example = Example::named("target-schema").with("https://api.partner.example", &partner.url(""));
    let gateway = Gateway::serving(&example.document()).await;
    let book = async |path: &str, body: Value| {
        let request = gateway
            .request(Method::POST, "booking.gateway.example", path)
            .json(&body);
        Reply::of(request).await
    };
    let good = json!({"patient": {"id": 7, "ward": "ICU"}});
    let reply = book("/", good.clone()).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"bookingNumber": 1})));
    assert_eq!(partner.only_request().json(), json!({"patientId": "7", "ward": "ICU"}));

    let reply = book("/", json!({"patient": {"id": 7}})).await;
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (400, Some("VALIDATION_ERROR"))
    );
    assert!(reply.text().contains("ward"), "{}", reply.text());
    let reply = book("/", json!({"patient": {"id": 7, "ward": "SECRET-WARD"}})).await;
    assert_eq!(reply.json()["problems"][0]["path"], "ward", "{}", reply.text());
    assert!(!reply.text().contains("SECRET"), "{}", reply.text());
    assert_eq!(partner.requests().len(), 1, "the partner got what it does not take");

    let reply = book("/bad", good).await;
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (502, Some("TRANSFORMATION_FAILED"))
    );
}
