//! Organizations with their units, how the console looks to them, and how everything is.

use super::*;

async fn clinic(bench: &Bench) {
    let organization = json!({"name": "Clinic", "timezone": "Asia/Kolkata"});
    bench
        .send(Method::PUT, "/api/v1/admin/organizations/648", &organization)
        .await
        .is(201);
    for (rid, name) in [(70, "North"), (71, "South")] {
        let path = format!("/api/v1/admin/org-units/{rid}");
        bench
            .send(Method::PUT, &path, &json!({"orgId": 648, "name": name}))
            .await
            .is(201);
    }
    let path = "/api/v1/outbound-integrations";
    let mut of_unit = outbound("for north");
    of_unit["tenantId"] = json!(70);
    bench.send(Method::POST, path, &of_unit).await.is(201);
    let mut whole = outbound("for all");
    whole["scope"] = json!("ALL_ENTITIES");
    whole["excludedEntityRids"] = json!([71]);
    bench.send(Method::POST, path, &whole).await.is(201);
    let mut inactive = integration("lab");
    inactive["isActive"] = json!(false);
    bench.put("lab", &inactive).await.is(201);
}

#[tokio::test]
async fn an_organization_is_shown_with_its_units_and_counts() {
    let bench = Bench::start().await;
    clinic(&bench).await;
    let tenant = bench
        .scoped(Method::GET, "/api/v1/tenant?orgId=648", None)
        .await
        .is(200)
        .body;
    assert_eq!(
        (
            &tenant["organization"]["name"],
            &tenant["timezone"],
            &tenant["units"][1]["name"]
        ),
        (&json!("Clinic"), &json!("Asia/Kolkata"), &json!("South"))
    );
    assert!(tenant["localTime"].as_str().unwrap().ends_with("+05:30"), "{tenant}");
    let counts = &tenant["counts"];
    assert_eq!(
        [
            "units",
            "inboundIntegrations",
            "activeInboundIntegrations",
            "outboundIntegrations",
            "activeOutboundIntegrations"
        ]
        .map(|name| counts[name].as_u64().unwrap()),
        [2, 1, 0, 2, 2]
    );
    let tree = bench
        .scoped(Method::GET, "/api/v1/admin/organizations/648/hierarchy", None)
        .await
        .is(200)
        .body;
    assert_eq!(tree["outboundIntegrations"], 1);
    let unit = |at: usize| {
        (
            tree["units"][at]["outboundIntegrations"].clone(),
            tree["units"][at]["excludedFrom"].clone(),
        )
    };
    assert_eq!((unit(0), unit(1)), ((json!(1), json!(0)), (json!(0), json!(1))));

    bench.scoped(Method::GET, "/api/v1/tenant?orgId=7", None).await.is(403);
    bench
        .scoped(Method::GET, "/api/v1/admin/organizations/7/hierarchy", None)
        .await
        .is(403);
    bench.get("/api/v1/admin/organizations/7/hierarchy").await.is(404);
    let unknown = bench.get("/api/v1/tenant?orgId=7").await.is(200).body;
    assert_eq!(
        (&unknown["organization"], &unknown["timezone"]),
        (&json!({"orgId": 7}), &json!("UTC"))
    );
}

#[tokio::test]
async fn the_console_looks_as_it_was_set() {
    let bench = Bench::start().await;
    let path = "/api/v1/ui-config?orgId=648";
    let usual = bench.scoped(Method::GET, path, None).await.is(200).body;
    assert_eq!((&usual["pageSize"], &usual["theme"]), (&json!(50), &json!("system")));
    let wanted = json!({"title": "Clinic", "theme": "dark", "pageSize": 100, "hiddenSections": ["templates"]});
    let set = bench.scoped(Method::PUT, path, Some(&wanted)).await.is(200);
    let read = bench.scoped(Method::GET, path, None).await.is(200);
    assert_eq!((&read.body, &read.tag), (&set.body, &set.tag));
    assert_eq!((&read.body["locale"], read.body.get("id")), (&json!("en"), None));
    let again = bench.scoped(Method::PUT, path, Some(&set.body)).await.is(200);
    assert_eq!(again.tag, set.tag, "nothing was to be changed");
    let features = bench.get("/api/v1/tenant?orgId=648").await.body["features"].clone();
    assert!(
        !features.as_array().unwrap().contains(&json!("templates")),
        "{features}"
    );

    let wrong = json!({"title": "", "logoUrl": "javascript:alert(1)", "accentColor": "red", "locale": "e", "pageSize": 1,
        "refreshSeconds": 1, "landingPage": "logs", "hiddenSections": ["logs"], "supportEmail": "x", "orgId": 7});
    let refused = bench.send(Method::PUT, path, &wrong).await.is(400);
    assert_eq!(
        refused.problems(),
        [
            "title",
            "logoUrl",
            "accentColor",
            "locale",
            "pageSize",
            "refreshSeconds",
            "landingPage",
            "supportEmail",
            "orgId"
        ]
    );
    let stale = bench
        .request(Method::PUT, path)
        .header("If-Match", "\"other\"")
        .json(&wanted);
    Reply::of(stale).await.is(412);
    bench
        .scoped(Method::PUT, "/api/v1/ui-config?orgId=7", Some(&wanted))
        .await
        .is(403);
    bench.send(Method::DELETE, path, &Value::Null).await.is(204);
    assert_eq!(bench.get(path).await.is(200).body, usual);
    bench.send(Method::DELETE, path, &Value::Null).await.is(404);
}

#[tokio::test]
async fn health_tells_of_gateways_that_are_away() {
    let bench = Bench::start().await;
    let health = bench.get("/api/v1/health").await.is(200).body;
    assert_eq!(
        (&health["status"], &health["store"]["works"]),
        (&json!("ok"), &json!(true))
    );
    let mut gateway = stream::Gateway::connect(&bench, "g", None).await;
    gateway.next().await;
    let health = bench.get("/api/v1/health").await.is(200).body;
    assert_eq!(
        (&health["status"], &health["gateways"]["behind"]),
        (&json!("degraded"), &json!(1)),
        "{health}"
    );
    drop(gateway);
    bench.scoped(Method::GET, "/api/v1/health", None).await.is(400);
    bench
        .scoped(Method::GET, "/api/v1/health?orgId=648", None)
        .await
        .is(200);
    bench.scoped(Method::GET, "/api/v1/health?orgId=7", None).await.is(403);
}
