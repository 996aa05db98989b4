//! A key for one organization sees nothing of another.

use super::*;

#[tokio::test]
async fn another_organization_is_not_there() {
    let bench = Bench::start().await;
    let mut foreign = integration("foreign");
    foreign["orgId"] = json!(7);
    bench.put("foreign", &foreign).await.is(201);
    bench.put("own", &integration("own")).await.is(201);
    let path = "/api/v1/inbound-integrations/foreign";

    bench
        .scoped(Method::GET, path, None)
        .await
        .is(404)
        .has_code("NOT_FOUND");
    bench.scoped(Method::DELETE, path, None).await.is(404);
    bench
        .scoped(Method::PATCH, path, Some(&json!({"isActive": false})))
        .await
        .is(404);
    bench
        .scoped(Method::PUT, path, Some(&integration("foreign")))
        .await
        .is(404);
    bench
        .scoped(Method::PUT, path, Some(&foreign))
        .await
        .is(403)
        .has_code("FORBIDDEN");
    assert_eq!(bench.get(path).await.is(200).body["orgId"], 7, "it is as it was");

    bench
        .scoped(Method::GET, "/api/v1/inbound-integrations/own", None)
        .await
        .is(200);
    let elsewhere = bench
        .scoped(Method::GET, "/api/v1/inbound-integrations/own?orgId=7", None)
        .await;
    elsewhere.is(403);
    bench.get("/api/v1/inbound-integrations/own?orgId=7").await.is(404);
    bench.get("/api/v1/inbound-integrations/own?orgId=648").await.is(200);
}

#[tokio::test]
async fn lists_of_a_limited_key_need_its_organization() {
    let bench = Bench::start().await;
    let mut foreign = integration("foreign");
    foreign["orgId"] = json!(7);
    bench.put("foreign", &foreign).await.is(201);
    bench.put("own", &integration("own")).await.is(201);
    for path in ["/api/v1/inbound-integrations", "/api/v1/export"] {
        let refused = bench.scoped(Method::GET, path, None).await.is(400);
        assert_eq!(refused.problems(), ["orgId"]);
        bench
            .scoped(Method::GET, &format!("{path}?orgId=7"), None)
            .await
            .is(403);
        let own = bench
            .scoped(Method::GET, &format!("{path}?orgId=648"), None)
            .await
            .is(200);
        assert!(
            own.text.contains("\"own\"") && !own.text.contains("foreign"),
            "{}",
            own.text
        );
    }
}

#[tokio::test]
async fn a_limited_key_cannot_touch_what_is_for_all() {
    let bench = Bench::start().await;
    for path in ["/api/v1/versions", "/api/v1/versions/1", "/api/v1/gateways"] {
        bench
            .scoped(Method::GET, path, None)
            .await
            .is(403)
            .has_code("FORBIDDEN");
    }
    let organization = json!({"name": "Free for all", "allowedNetworks": ["0.0.0.0/0"]});
    let path = "/api/v1/admin/organizations/648";
    bench.scoped(Method::PUT, path, Some(&organization)).await.is(403);
    let apply = json!({"put": [{"kind": "organization", "value": {"orgId": 648}}]});
    bench.scoped(Method::POST, "/api/v1/apply", Some(&apply)).await.is(403);
}

#[tokio::test]
async fn the_organization_of_the_query_stands_in_for_that_of_the_body() {
    let bench = Bench::start().await;
    let mut body = integration("lab");
    body.as_object_mut().unwrap().remove("orgId");
    let path = "/api/v1/inbound-integrations";
    let missing = bench.send(Method::POST, path, &body).await.is(400);
    assert!(missing.text.contains("`orgId`"), "{}", missing.text);
    let made = bench
        .scoped(Method::POST, &format!("{path}?orgId=648"), Some(&body))
        .await
        .is(201);
    assert_eq!(made.body["orgId"], 648);
    body["orgId"] = json!(7);
    let differs = bench
        .send(Method::POST, &format!("{path}?orgId=648"), &body)
        .await
        .is(400);
    assert_eq!(differs.problems(), ["orgId"]);
}

#[tokio::test]
async fn an_integration_stays_in_its_organization() {
    let bench = Bench::start().await;
    bench.put("lab", &integration("lab")).await.is(201);
    let mut moved = integration("lab");
    moved["orgId"] = json!(7);
    assert_eq!(bench.put("lab", &moved).await.is(400).problems(), ["orgId"]);
}
