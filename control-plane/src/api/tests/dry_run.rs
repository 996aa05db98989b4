//! Transformations tried on samples.

use super::*;

const PATH: &str = "/api/v1/inbound-integrations/test";

fn mapped(lines: &Value) -> Value {
    let mut integration = integration("lab");
    integration["requestTransformationMode"] = json!("SIMPLE");
    integration["requestFieldMappings"] = lines.clone();
    integration
}

fn scripted(script: &str) -> Value {
    let mut integration = integration("lab");
    integration["responseTransformationMode"] = json!("SCRIPT");
    integration["responseTransformScript"] = json!(script);
    integration
}

async fn attempt(bench: &Bench, side: &str, integration: &Value, sample: &Value) -> Reply {
    let body = json!({"side": side, "sample": sample, "integration": integration,
        "context": {"status": 200, "headers": {"x-mode": "full"}}});
    bench.send(Method::POST, PATH, &body).await
}

#[tokio::test]
async fn a_mapping_is_tried_with_its_faults() {
    let bench = Bench::start().await;
    let lines = json!([{"sourceField": "patient.name", "targetField": "name", "transform": [{"type": "upper"}],
        "required": true}]);
    let good = attempt(&bench, "request", &mapped(&lines), &json!({"patient": {"name": "ada"}}))
        .await
        .is(200);
    assert_eq!(good.body, json!({"mode": "SIMPLE", "output": {"name": "ADA"}}));
    let fault = attempt(&bench, "request", &mapped(&lines), &json!({})).await.is(200);
    assert!(
        fault.body["fault"]["message"]
            .as_str()
            .unwrap()
            .contains("patient.name"),
        "{}",
        fault.text
    );
    assert_eq!(fault.body["fault"]["field"], "name");
    assert!(fault.body.get("output").is_none());

    let wrong = attempt(&bench, "request", &mapped(&json!([{"targetField": ""}])), &json!({}))
        .await
        .is(400);
    assert!(
        wrong.problems()[0].starts_with("integration.requestFieldMappings[0]"),
        "{}",
        wrong.text
    );
}

#[tokio::test]
async fn a_script_is_tried_with_its_context_and_its_limits() {
    let bench = Bench::start().await;
    let script = "fn transform(payload, context) {
        payload.seen = context.status;
        payload.mode = context.headers[\"x-mode\"];
        payload
    }";
    let good = attempt(&bench, "response", &scripted(script), &json!({"a": 1}))
        .await
        .is(200);
    assert_eq!(
        good.body,
        json!({"mode": "SCRIPT", "output": {"a": 1, "seen": 200, "mode": "full"}})
    );
    let endless = "fn transform(payload, context) { loop { } }";
    let stopped = attempt(&bench, "response", &scripted(endless), &json!({}))
        .await
        .is(200);
    assert!(
        stopped.body["fault"]["message"].as_str().unwrap().contains("stopped"),
        "{}",
        stopped.text
    );
    let thrown = "fn transform(payload, context) {\n  throw \"no\";\n}";
    let failed = attempt(&bench, "response", &scripted(thrown), &json!({})).await.is(200);
    assert_eq!(failed.body["fault"]["line"], 2, "{}", failed.text);
    let broken = attempt(&bench, "response", &scripted("fn transform("), &json!({}))
        .await
        .is(400);
    assert_eq!(broken.problems(), ["integration.responseTransformScript"]);
}

#[tokio::test]
async fn a_stored_integration_is_tried_by_those_who_may_see_it() {
    let bench = Bench::start().await;
    bench
        .put("lab", &mapped(&json!([{"sourceField": "a", "targetField": "b"}])))
        .await
        .is(201);
    let path = "/api/v1/inbound-integrations/lab/test";
    let body = json!({"side": "request", "sample": {"a": 5}});
    assert_eq!(
        bench.send(Method::POST, path, &body).await.is(200).body["output"],
        json!({"b": 5})
    );
    let plain = json!({"side": "response", "sample": {"a": 5}});
    assert_eq!(
        bench.send(Method::POST, path, &plain).await.is(200).body,
        json!({"output": {"a": 5}})
    );
    let mut foreign = integration("other");
    foreign["orgId"] = json!(7);
    bench.put("foreign", &foreign).await.is(201);
    let path = "/api/v1/inbound-integrations/foreign/test";
    bench.scoped(Method::POST, path, Some(&body)).await.is(404);
}
