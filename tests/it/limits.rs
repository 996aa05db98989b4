//! Rate limits: what a client is told, whose requests count together, and that a swap forgives nothing.

use harness::answer::Gate;
use harness::client::Reply;
use harness::documents::{document, integration, organization, with};
use harness::{Answer, Example, Gateway, Partner};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn the_request_beyond_the_limit_is_told_when_to_come_back() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let limits = json!({"rateLimits": {"maxRequests": 3, "windowSeconds": 3600}});
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), limits)).await;
    for left in [2, 1, 0] {
        let reply = gateway.get("labs.test", "/").await;
        assert_eq!(reply.status, 200);
        assert!(
            reply
                .header("ratelimit-policy")
                .is_some_and(|policy| policy.contains("q=3;w=3600")),
            "{reply:?}"
        );
        assert!(
            reply
                .header("ratelimit")
                .is_some_and(|state| state.contains(&format!("r={left}"))),
            "{reply:?}"
        );
    }
    let refused = gateway.get("labs.test", "/").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "RATE_LIMITED"));
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    // A request counts for up to a sixtieth longer than its window.
    assert!((1..=3660).contains(&seconds), "{seconds}");
    assert!(
        refused.header("ratelimit").is_some_and(|state| state.contains("r=0")),
        "{refused:?}"
    );
    assert_eq!(partner.requests().len(), 3);
}

#[tokio::test]
async fn without_limits_no_header_speaks_of_them() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let off = json!({"rateLimits": {"enabled": false, "maxRequests": 1}});
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), off)).await;
    for _ in 0..3 {
        let reply = gateway.get("labs.test", "/").await;
        assert_eq!((reply.status, reply.header("ratelimit")), (200, None));
    }
}

#[tokio::test]
async fn each_key_has_its_own_share() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let keys = json!({"inboundAuthType": "API_KEY",
        "inboundAuthConfig": {"keys": [{"name": "a", "value": "key-of-a-1"}, {"name": "b", "value": "key-of-b-2"}]},
        "rateLimits": {"perKey": {"maxRequests": 1, "windowSeconds": 3600}}});
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), keys)).await;
    assert_eq!(status(&gateway, "key-of-a-1").await, 200);
    assert_eq!(status(&gateway, "key-of-a-1").await, 429);
    assert_eq!(status(&gateway, "key-of-b-2").await, 200);
    assert_eq!(status(&gateway, "wrong").await, 401);
}

#[tokio::test]
async fn requests_without_a_good_key_use_up_nobodys_share() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let keys = json!({"inboundAuthType": "API_KEY", "inboundAuthConfig": {"keys": [{"name": "a", "value": "key-of-a-1"}]},
        "rateLimits": {"maxRequests": 1, "windowSeconds": 3600}});
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), keys)).await;
    for _ in 0..3 {
        assert_eq!(status(&gateway, "wrong").await, 401);
    }
    assert_eq!(status(&gateway, "key-of-a-1").await, 200);
}

#[tokio::test]
async fn an_organizations_integrations_share_its_limit() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let mut both = document([
        integration("one", &partner.url("")),
        integration("two", &partner.url("")),
    ]);
    let limit = json!({"rateLimit": {"maxRequests": 2, "windowSeconds": 3600}});
    both["organizations"] = json!([with(organization(), limit)]);
    let gateway = Gateway::serving(&both).await;
    assert_eq!(gateway.get("one.test", "/").await.status, 200);
    assert_eq!(gateway.get("two.test", "/").await.status, 200);
    assert_eq!(gateway.get("one.test", "/").await.status, 429);
    assert_eq!(gateway.get("two.test", "/").await.status, 429);
}

#[tokio::test]
async fn each_client_address_has_its_own_share_and_cannot_invent_another() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let limit = json!({"rateLimits": {"perClientIp": {"maxRequests": 2, "windowSeconds": 3600}}});
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), limit)).await;
    let mut statuses = Vec::new();
    for address in ["1.1.1.1", "2.2.2.2", "3.3.3.3"] {
        let request = gateway
            .request(Method::GET, "labs.test", "/")
            .header("x-forwarded-for", address);
        statuses.push(Reply::of(request).await.status);
    }
    assert_eq!(statuses, [200, 200, 429]);
}

#[tokio::test]
async fn addresses_told_by_a_trusted_proxy_count_apart() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let limit = json!({"rateLimits": {"perClientIp": {"maxRequests": 1, "windowSeconds": 3600}}});
    let setup = harness::gateway::Setup::new()
        .file(&document([with(integration("labs", &partner.url("")), limit)]))
        .set("edge", json!({"trustedProxies": ["127.0.0.0/8"]}));
    let gateway = setup.start().await;
    let mut statuses = Vec::new();
    for addresses in [
        "198.51.100.1",
        "198.51.100.2",
        "198.51.100.1",
        "198.51.100.9, 198.51.100.2",
    ] {
        let request = gateway
            .request(Method::GET, "labs.test", "/")
            .header("x-forwarded-for", addresses);
        statuses.push(Reply::of(request).await.status);
    }
    assert_eq!(
        statuses,
        [200, 200, 429, 429],
        "the last address is the one that the proxy saw"
    );
}

#[tokio::test]
async fn a_client_cannot_add_a_line_of_addresses_above_the_proxys() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let limit = json!({"rateLimits": {"perClientIp": {"maxRequests": 1, "windowSeconds": 3600}}});
    let setup = harness::gateway::Setup::new()
        .file(&document([with(integration("labs", &partner.url("")), limit)]))
        .set("edge", json!({"trustedProxies": ["127.0.0.0/8"]}));
    let gateway = setup.start().await;
    let mut statuses = Vec::new();
    for invented in ["203.0.113.1", "203.0.113.2"] {
        let request = gateway
            .request(Method::GET, "labs.test", "/")
            .header("x-forwarded-for", invented)
            .header("x-forwarded-for", "198.51.100.1");
        statuses.push(Reply::of(request).await.status);
    }
    assert_eq!(statuses, [200, 429]);
    let told = partner.only_request();
    assert_eq!(
        told.header("x-forwarded-for"),
        Some("203.0.113.1, 198.51.100.1, 127.0.0.1")
    );
}

#[tokio::test]
async fn a_swap_forgives_nothing() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let limited = |name: &str| -> Value {
        let limits = json!({"name": name, "rateLimits": {"maxRequests": 2, "windowSeconds": 3600}});
        document([with(integration("labs", &partner.url("")), limits)])
    };
    let gateway = Gateway::serving(&limited("before")).await;
    assert_eq!(gateway.get("labs.test", "/").await.status, 200);
    assert_eq!(gateway.get("labs.test", "/").await.status, 200);
    gateway.swap(&limited("after")).await;
    assert_eq!(
        gateway.get("labs.test", "/").await.status,
        429,
        "the swap gave a fresh share"
    );
}

async fn status(gateway: &Gateway, key: &str) -> u16 {
    Reply::of(gateway.request(Method::GET, "labs.test", "/").header("x-api-key", key))
        .await
        .status
}

#[tokio::test]
async fn a_burst_is_refused_although_the_minute_has_room() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let limits = json!({"rateLimits": {"maxRequests": 1000, "maxPerSecond": 3}});
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), limits)).await;
    // However fast this machine is: more than three within a second are refused at some time.
    let refused = harness::wait::until("a refused burst", async || {
        let replies = futures_util::future::join_all((0..8).map(|_| gateway.get("labs.test", "/"))).await;
        replies.into_iter().find(|reply| reply.status == 429)
    })
    .await;
    assert!(refused.text().contains("more evenly"), "{}", refused.text());
    let left = refused.header("ratelimit").unwrap();
    assert!(left.contains("\"integration-second\";r=0"), "{left}");
    assert!(!left.contains("\"integration\";r=0"), "{left}");
}

#[tokio::test]
async fn a_daily_quota_survives_a_restart_and_a_kill() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let limits = json!({"rateLimits": {"maxPerDay": 4, "timezone": "Asia/Kolkata"}});
    let document = document([with(integration("labs", &partner.url("")), limits)]);
    let setup = harness::gateway::Setup::new().file(&document);
    let mut gateway = setup.clone().start().await;
    assert_eq!(gateway.get("labs.test", "/").await.status, 200);
    assert_eq!(gateway.get("labs.test", "/").await.status, 200);
    gateway.terminate();
    assert!(gateway.process.ended().await.success());

    let mut gateway = setup.clone().start().await;
    let third = gateway.get("labs.test", "/").await;
    assert!(
        third
            .header("ratelimit")
            .unwrap()
            .contains("\"integration-day\";r=1;t="),
        "{third:?}"
    );
    // What is on disk by now, a kill does not take back.
    let file = gateway.data_folder().join("quotas.json");
    harness::wait::until("three requests on disk", async || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text.contains("\"used\":3").then_some(())
    })
    .await;
    gateway.process.kill();
    gateway.process.ended().await;

    let gateway = setup.start().await;
    assert_eq!(gateway.get("labs.test", "/").await.status, 200);
    let refused = gateway.get("labs.test", "/").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "RATE_LIMITED"));
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&seconds), "{seconds}");
    assert!(refused.text().contains("quota of the day"), "{}", refused.text());
    assert_eq!(partner.requests().len(), 4);
}

#[tokio::test]
async fn so_many_requests_are_under_way_at_a_time_streams_included() {
    let gate = Gate::new();
    let held = Answer::text("ok").after(&gate);
    let partner = Partner::answering(held).await;
    let limits = json!({"rateLimits": {"maxConcurrent": 2}});
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), limits)).await;
    let first = tokio::spawn({
        let request = gateway.request(Method::GET, "labs.test", "/");
        Reply::of(request)
    });
    let second = tokio::spawn(Reply::of(gateway.request(Method::GET, "labs.test", "/")));
    partner.received(2).await;
    let third = gateway.get("labs.test", "/").await;
    assert_eq!((third.status, third.code().as_str()), (429, "RATE_LIMITED"));
    let policy = third.header("ratelimit-policy").unwrap();
    assert_eq!(policy, "\"integration-concurrent\";q=2;qu=\"concurrent-requests\"");
    gate.open();
    assert_eq!((first.await.unwrap().status, second.await.unwrap().status), (200, 200));
    harness::wait::until("a place given back", async || {
        (gateway.get("labs.test", "/").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_limit_that_applies_stands_in_the_headers() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let keys = json!({"inboundAuthType": "API_KEY", "inboundAuthConfig": {"keys": [{"name": "a", "value": "key-of-a-1"}]},
        "rateLimits": {"maxRequests": 100, "perKey": {"maxRequests": 10, "maxPerDay": 50},
            "perClientIp": {"maxRequests": 30}}});
    let mut document = document([with(integration("labs", &partner.url("")), keys)]);
    let limit = json!({"rateLimit": {"maxRequests": 500}});
    document["organizations"] = json!([with(organization(), limit)]);
    let gateway = Gateway::serving(&document).await;
    let request = gateway
        .request(Method::GET, "labs.test", "/")
        .header("x-api-key", "key-of-a-1");
    let reply = Reply::of(request).await;
    assert_eq!(
        reply.header("ratelimit-policy"),
        Some(
            "\"client-ip\";q=30;w=60, \"key\";q=10;w=60, \"key-day\";q=50;w=86400, \"integration\";q=100;w=60, \
             \"organization\";q=500;w=60"
        )
    );
    let left = reply.header("ratelimit").unwrap();
    for part in [
        "\"client-ip\";r=29",
        "\"key\";r=9",
        "\"key-day\";r=49",
        "\"integration\";r=99",
        "\"organization\";r=499",
    ] {
        assert!(left.contains(part), "{part} in {left}");
    }
}

#[tokio::test]
async fn the_example_counts_a_consumers_day_over_all_it_calls() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let example = Example::named("quotas").with("https://api.partner.example", &partner.url(""));
    let gateway = Gateway::serving(&example.document()).await;
    let call = || {
        let request = gateway.request(Method::GET, "reports.gateway.example", "/");
        Reply::of(request.header("x-api-key", "5c1d7e9f20b84a63"))
    };
    for left in [2, 1, 0] {
        let reply = call().await;
        assert_eq!(reply.status, 200);
        let counted = reply.header("ratelimit").unwrap();
        for part in [
            format!("\"consumer-day\";r={left};"),
            format!("\"integration-day\";r={}", 4997 + left),
        ] {
            assert!(counted.contains(&part), "{part} in {counted}");
        }
    }
    let refused = call().await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "RATE_LIMITED"));
    assert_eq!(refused.header("ratelimit-policy"), Some("\"consumer-day\";q=3;w=86400"));
    assert_eq!(partner.requests().len(), 3);
}
