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
    bench
        .scoped(Method::GET, "/api/v1/gateways", None)
        .await
        .is(403)
        .has_code("FORBIDDEN");
    for path in ["/api/v1/versions", "/api/v1/versions/1"] {
        let refused = bench.scoped(Method::GET, path, None).await.is(400);
        assert_eq!(refused.problems(), ["orgId"], "versions have what belongs to others");
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

#[tokio::test]
async fn a_limited_key_gives_only_hosts_that_its_organization_is_allowed() {
    let bench = Bench::start().await;
    let path = "/api/v1/inbound-integrations/own";
    let with = |hosts: Value| {
        let mut own = integration("own");
        own["hosts"] = hosts;
        own
    };
    let public = with(json!(["gateway.example"]));
    let refused = bench.scoped(Method::PUT, path, Some(&public)).await.is(400);
    assert_eq!(refused.problems(), ["hosts[0]"]);
    assert!(refused.text.contains("has no list of `hosts`"), "{}", refused.text);
    let apply = json!({"put": [{"kind": "integration", "value": &public}]});
    let refused = bench.scoped(Method::POST, "/api/v1/apply", Some(&apply)).await.is(400);
    assert_eq!(refused.problems(), ["put[0].value.hosts[0]"]);

    // What was given by somebody who may, stays.
    bench.put("own", &public).await.is(201);
    bench
        .scoped(Method::PATCH, path, Some(&json!({"name": "Renamed"})))
        .await
        .is(200);
    let more = with(json!(["gateway.example", "a.clinic.example"]));
    let refused = bench.scoped(Method::PUT, path, Some(&more)).await.is(400);
    assert_eq!(refused.problems(), ["hosts[1]"]);

    let organization = json!({"hosts": ["gateway.example", "*.clinic.example"]});
    bench
        .send(Method::PUT, "/api/v1/admin/organizations/648", &organization)
        .await
        .is(201);
    bench.scoped(Method::PUT, path, Some(&more)).await.is(200);
    let beyond = with(json!(["other.example"]));
    let refused = bench.scoped(Method::PUT, path, Some(&beyond)).await.is(400);
    assert!(refused.text.contains("not within `hosts`"), "{}", refused.text);
}

#[tokio::test]
async fn a_refusal_names_nothing_of_another_organization() {
    let bench = Bench::start().await;
    let organization = json!({"hosts": ["*.clinic.example"]});
    let organizations = "/api/v1/admin/organizations/648";
    bench.send(Method::PUT, organizations, &organization).await.is(201);
    // The lower identifier has a contested host, so that the problem would be found on either side.
    for foreign_id in ["a-foreign", "z-foreign"] {
        let mut foreign = integration(foreign_id);
        foreign["orgId"] = json!(7);
        foreign["hosts"] = json!([format!("{foreign_id}.clinic.example")]);
        bench.put(foreign_id, &foreign).await.is(201);
        let mut own = integration("own");
        own["hosts"] = json!([format!("{foreign_id}.clinic.example")]);
        let refused = bench
            .scoped(Method::PUT, "/api/v1/inbound-integrations/own", Some(&own))
            .await
            .is(400);
        assert_eq!(refused.problems(), ["hosts[0]"]);
        assert!(
            refused.text.contains("belongs to another organization"),
            "{}",
            refused.text
        );
        assert!(!refused.text.contains(&format!("The {foreign_id}")), "{}", refused.text);
    }
    let mut own = integration("own");
    own["id"] = json!("a-foreign");
    let apply = json!({"put": [{"kind": "integration", "value": own}]});
    let refused = bench.scoped(Method::POST, "/api/v1/apply", Some(&apply)).await.is(404);
    assert_eq!(refused.body["error"], "the integration \"a-foreign\" is not there");
}
