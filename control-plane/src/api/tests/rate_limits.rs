//! Limits of requests: seen, and set back.

use super::*;

async fn limited(bench: &Bench) {
    let organization = json!({"name": "Clinic", "rateLimit": {"maxRequests": 100}});
    bench
        .send(Method::PUT, "/api/v1/admin/organizations/648", &organization)
        .await
        .is(201);
    let mut lab = integration("lab");
    lab["inboundAuthType"] = json!("API_KEY");
    lab["inboundAuthConfig"] = json!({"keys": [{"name": "desk", "value": "a-key-of-the-front-desk"}]});
    lab["rateLimits"] = json!({"maxRequests": 10, "perKey": {"maxPerDay": 5}});
    bench.put("lab", &lab).await.is(201);
}

#[tokio::test]
async fn limits_are_shown_with_what_is_used_up() {
    let bench = Bench::start().await;
    limited(&bench).await;
    let mut gateway = stream::Gateway::connect(&bench, "g", None).await;
    gateway.next().await;
    let used = json!({"message": "limits", "limits": [
        {"scope": "integration", "orgId": 648, "id": "lab", "kind": "window", "limit": 10, "used": 7, "resetSeconds": 12},
        {"scope": "organization", "orgId": 7, "kind": "day", "limit": 3, "used": 3, "resetSeconds": 99}
    ]});
    gateway.say(used).await;
    let path = "/api/v1/admin/rate-limits?orgId=648";
    let shown = loop {
        let shown = bench.scoped(Method::GET, path, None).await.is(200).body;
        if shown["usage"].as_array().is_some_and(|usage| !usage.is_empty()) {
            break shown;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert_eq!(
        shown["usage"].as_array().unwrap().len(),
        1,
        "the other organization's is not shown: {shown}"
    );
    assert_eq!(
        (&shown["usage"][0]["id"], &shown["usage"][0]["gateways"]),
        (
            &json!("lab"),
            &json!([{"gatewayId": "g", "used": 7, "resetSeconds": 12}])
        )
    );
    let scopes: Vec<&Value> = shown["limits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|limit| &limit["scope"])
        .collect();
    assert_eq!(scopes, ["organization", "integration"]);
    assert_eq!(shown["limits"][1]["rateLimits"]["maxRequests"], 10);
    bench
        .scoped(Method::GET, "/api/v1/admin/rate-limits?orgId=7", None)
        .await
        .is(403);
}

#[tokio::test]
async fn limits_are_set_back_by_a_command() {
    let bench = Bench::start().await;
    limited(&bench).await;
    let path = "/api/v1/admin/rate-limits/reset";
    let lab = json!({"orgId": 648, "scope": "integration", "id": "lab"});
    bench.send(Method::POST, path, &lab).await.is(409);
    let _gateway = stream::Gateway::connect(&bench, "g", None).await;
    let given = bench.scoped(Method::POST, path, Some(&lab)).await.is(202);
    assert_eq!(
        given.body["commands"][0]["command"],
        json!({"action": "resetLimits", "orgId": 648, "scope": "integration", "id": "lab"})
    );
    let none = json!({"orgId": 648, "scope": "consumer", "id": "none"});
    bench.send(Method::POST, path, &none).await.is(404);
    let wrong = json!({"orgId": 648, "scope": "integration"});
    assert_eq!(bench.send(Method::POST, path, &wrong).await.is(400).problems(), ["id"]);
    let foreign = json!({"orgId": 7, "scope": "organization"});
    bench.scoped(Method::POST, path, Some(&foreign)).await.is(403);
}
