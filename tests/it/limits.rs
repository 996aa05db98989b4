//! Rate limits: what a client is told, whose requests count together, and that a swap forgives nothing.

use harness::client::Reply;
use harness::documents::{document, integration, organization, with};
use harness::{Answer, Gateway, Partner};
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
    assert!((1..=3600).contains(&seconds), "{seconds}");
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
