//! Tokens of identity providers: signed ones, and those that their issuer is asked about.

use std::sync::Arc;

use harness::answer::Gate;
use harness::client::Reply;
use harness::documents::{document, integration, with};
use harness::issuer::{ASKER, ISSUER, now_s};
use harness::{Answer, Example, Gateway, Issuer, Partner, wait};
use reqwest::Method;
use serde_json::{Value, json};

const HOST: &str = "referrals.gateway.example";

async fn example(name: &str, issuer: &Issuer, partner: &Partner) -> Gateway {
    let example = Example::named(name).with("https://api.partner.example", &partner.url(""));
    let example = match name {
        "inbound-introspection" => example.with("https://login.example/introspect", &issuer.url("/introspect")),
        _ => example.with("https://login.example/certs", &issuer.url("/certs")),
    };
    Gateway::serving(&example.document()).await
}

async fn call(gateway: &Gateway, host: &str, token: &str) -> Reply {
    Reply::of(gateway.request(Method::GET, host, "/").bearer_auth(token)).await
}

async fn guarded(config: Value) -> (Partner, Gateway) {
    let partner = Partner::answering(Answer::text("ok")).await;
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), config)).await;
    (partner, gateway)
}

fn jwt(issuer: &Issuer, fields: Value) -> Value {
    let config = json!({"issuer": ISSUER, "audiences": ["integration-gateway"], "algorithms": ["EdDSA"],
        "jwksUrl": issuer.url("/certs")});
    json!({"inboundAuthType": "JWT", "inboundAuthConfig": with(config, fields)})
}

fn introspection(issuer: &Issuer, fields: Value) -> Value {
    let config = json!({"introspectionUrl": issuer.url("/introspect"), "clientId": ASKER.0, "clientSecret": ASKER.1});
    json!({"inboundAuthType": "INTROSPECTION", "inboundAuthConfig": with(config, fields)})
}

#[tokio::test]
async fn a_token_opens_by_its_claims() {
    let (issuer, partner) = (Issuer::start().await, Partner::answering(Answer::text("ok")).await);
    let gateway = example("inbound-jwt", &issuer, &partner).await;
    let good = json!({"preferred_username": "dr.ana", "scope": "referrals.read referrals.write",
        "realm_access": {"roles": ["clinician"]}});
    let reply = call(&gateway, HOST, &issuer.token(good.clone())).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        partner.only_request().header("authorization"),
        None,
        "the token went to the partner"
    );
    wait::until("a line that names the caller", async || {
        gateway.process.output().contains("dr.ana").then_some(())
    })
    .await;

    for (claims, status, code) in [
        (json!({"aud": "other"}), 401, "UNAUTHORIZED"),
        (json!({"iss": "https://evil.example"}), 401, "UNAUTHORIZED"),
        (json!({"exp": now_s() - 60}), 401, "UNAUTHORIZED"),
        (json!({"nbf": now_s() + 3_600}), 401, "UNAUTHORIZED"),
        (json!({"exp": "tomorrow"}), 401, "UNAUTHORIZED"),
        (json!({"preferred_username": null}), 401, "UNAUTHORIZED"),
        (json!({"scope": "referrals.read"}), 403, "FORBIDDEN"),
        (json!({"realm_access": {"roles": []}}), 403, "FORBIDDEN"),
    ] {
        let reply = call(&gateway, HOST, &issuer.token(with(good.clone(), claims.clone()))).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (status, code),
            "{claims}: {}",
            reply.text()
        );
        if status == 401 {
            let challenge = reply.header("www-authenticate").unwrap_or_default();
            assert!(challenge.starts_with("Bearer"), "{claims}: {challenge}");
        }
    }
    let expired = call(&gateway, HOST, &issuer.token(with(good, json!({"exp": 1})))).await;
    assert!(expired.text().contains("expired"), "{}", expired.text());
    for nonsense in ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        assert_eq!(call(&gateway, HOST, nonsense).await.status, 401, "{nonsense}");
    }
    assert_eq!(gateway.get(HOST, "/").await.status, 401);
    assert_eq!(partner.requests().len(), 1);
    assert_eq!(issuer.asked("/certs"), 1, "the keys were fetched more than once");
}

#[tokio::test]
async fn waiting_requests_share_one_fetch_of_the_keys() {
    let issuer = Issuer::start().await;
    let gate = Gate::new();
    issuer.after(&gate);
    // Two integrations of one organization with the same issuer.
    let partner = Partner::answering(Answer::text("ok")).await;
    let guarded = |kind: &str| with(integration(kind, &partner.url("")), jwt(&issuer, json!({})));
    let gateway = Arc::new(Gateway::serving(&document([guarded("labs"), guarded("book")])).await);
    let token = issuer.token(json!({"sub": "ana"}));
    let calls: Vec<_> = (0..50)
        .map(|number| {
            let (gateway, token) = (Arc::clone(&gateway), token.clone());
            let host = if number % 2 == 0 { "labs.test" } else { "book.test" };
            tokio::spawn(async move { call(&gateway, host, &token).await.status })
        })
        .collect();
    wait::until("the keys to be asked for", async || {
        (issuer.asked("/certs") > 0).then_some(())
    })
    .await;
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(issuer.asked("/certs"), 1);
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_fetched_when_a_token_names_it() {
    let issuer = Issuer::start().await;
    let (_partner, gateway) = guarded(jwt(&issuer, json!({}))).await;
    let before = issuer.token(json!({}));
    assert_eq!(call(&gateway, "labs.test", &before).await.status, 200);
    issuer.rotate();
    assert_eq!(call(&gateway, "labs.test", &issuer.token(json!({}))).await.status, 200);
    assert_eq!(
        call(&gateway, "labs.test", &before).await.status,
        401,
        "its key was withdrawn"
    );
    // Names of keys that nobody has do not wear the issuer out.
    for _ in 0..20 {
        assert_eq!(call(&gateway, "labs.test", &before).await.status, 401);
    }
    assert!(issuer.asked("/certs") <= 5, "{} fetches", issuer.asked("/certs"));
}

#[tokio::test]
async fn known_keys_are_used_on_while_the_issuer_is_away() {
    let issuer = Issuer::start().await;
    issuer.cache_control("max-age=0");
    let (_partner, gateway) = guarded(jwt(&issuer, json!({}))).await;
    let token = issuer.token(json!({}));
    assert_eq!(call(&gateway, "labs.test", &token).await.status, 200);
    issuer.away(true);
    wait::until("the keys to be renewed", async || {
        assert_eq!(call(&gateway, "labs.test", &token).await.status, 200);
        (issuer.asked("/certs") > 1).then_some(())
    })
    .await;
    assert_eq!(call(&gateway, "labs.test", &token).await.status, 200);
}

#[tokio::test]
async fn without_any_keys_nobody_can_tell() {
    let issuer = Issuer::start().await;
    issuer.away(true);
    let (partner, gateway) = guarded(jwt(&issuer, json!({}))).await;
    let token = issuer.token(json!({}));
    let reply = call(&gateway, "labs.test", &token).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "SERVICE_UNAVAILABLE"));
    assert!(reply.header("retry-after").is_some());
    assert!(!reply.text().contains("127.0.0.1"), "{}", reply.text());
    assert_eq!(partner.requests().len(), 0);
    issuer.away(false);
    wait::until("the keys to be there", async || {
        (call(&gateway, "labs.test", &token).await.status == 200).then_some(())
    })
    .await;
    let metrics = gateway.admin_get("/metrics").await.text();
    for line in [
        r#"gateway_identity_calls_total{call="keys"} 1"#,
        r#"gateway_refused_total{reason="no_issuer"}"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[tokio::test]
async fn keys_secrets_and_headers_of_tokens_can_be_given() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::hmac;
    let issuer = Issuer::start().await;
    let set = reqwest::get(issuer.url("/certs"))
        .await
        .unwrap()
        .json::<Value>()
        .await
        .unwrap();
    let own = json!({"inboundAuthType": "JWT", "inboundAuthConfig": {"issuer": ISSUER, "anyAudience": true,
        "algorithms": ["EdDSA"], "jwks": set, "headerName": "X-Assertion", "nameClaim": "aud",
        "requiredClaims": [{"claim": "aud", "oneOf": ["whoever", "nobody"]}, {"claim": "iss", "equals": ISSUER}]}});
    let (partner, gateway) = guarded(own).await;
    let token = issuer.token(json!({"aud": "whoever"}));
    let request = gateway
        .request(Method::GET, "labs.test", "/")
        .header("x-assertion", &token);
    assert_eq!(Reply::of(request).await.status, 200);
    assert_eq!(
        partner.only_request().header("x-assertion"),
        None,
        "the token went to the partner"
    );
    assert_eq!(call(&gateway, "labs.test", &token).await.status, 401);

    let shared = "a-secret-of-both-sides";
    let config = json!({"inboundAuthType": "JWT", "inboundAuthConfig": {"issuer": ISSUER, "anyAudience": true,
        "algorithms": ["HS256"], "leewaySeconds": 5,
        "secrets": [{"name": "new", "value": "another-secret-of-both"}, {"name": "old", "value": shared}]}});
    let (_partner, gateway) = guarded(config).await;
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let claims = encoded(&json!({"iss": ISSUER, "exp": now_s() + 60}));
    let signed = format!("{}.{claims}", encoded(&json!({"alg": "HS256"})));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, shared.as_bytes()), signed.as_bytes());
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
    assert_eq!(call(&gateway, "labs.test", &token).await.status, 200);
    assert_eq!(call(&gateway, "labs.test", &issuer.token(json!({}))).await.status, 401);
}

#[tokio::test]
async fn an_issuer_in_a_private_network_is_not_asked() {
    let issuer = Issuer::start().await;
    let mut closed = document([with(
        integration("labs", "https://partner.example/"),
        jwt(&issuer, json!({})),
    )]);
    closed["organizations"] = json!([]);
    let gateway = harness::gateway::Setup::new().file(&closed).start_listening().await;
    let error = wait::until("an error at /config", async || {
        let error = gateway.admin_get("/config").await.json()["lastError"].clone();
        (!error.is_null()).then(|| error.to_string())
    })
    .await;
    assert!(error.contains("inboundAuthConfig.jwksUrl"), "{error}");
    assert_eq!(issuer.asked("/certs"), 0);
}

#[tokio::test]
async fn a_token_is_asked_about_once() {
    let (issuer, partner) = (Issuer::start().await, Partner::answering(Answer::text("ok")).await);
    issuer.says(
        "good",
        json!({"active": true, "sub": "ana", "scope": "referrals.write", "exp": now_s() + 300}),
    );
    issuer.says(
        "narrow",
        json!({"active": true, "sub": "bo", "scope": "referrals.read"}),
    );
    issuer.says(
        "old",
        json!({"active": true, "scope": "referrals.write", "exp": now_s() - 1}),
    );
    let gateway = example("inbound-introspection", &issuer, &partner).await;
    for _ in 0..5 {
        assert_eq!(call(&gateway, HOST, "good").await.status, 200);
    }
    assert_eq!(issuer.asked("/introspect"), 1);
    assert_eq!(
        partner.requests()[0].header("authorization"),
        None,
        "the token went to the partner"
    );
    for (token, status) in [
        ("narrow", 403),
        ("old", 401),
        ("unknown", 401),
        ("unknown", 401),
        ("a%20b", 401),
    ] {
        assert_eq!(call(&gateway, HOST, token).await.status, status, "{token}");
    }
    assert_eq!(issuer.asked("/introspect"), 4, "a bad token was asked about twice");
    assert_eq!(partner.requests().len(), 5);
}

#[tokio::test]
async fn a_revoked_token_opens_nothing_where_each_request_asks() {
    let issuer = Issuer::start().await;
    issuer.says("token", json!({"active": true, "iss": ISSUER, "aud": ["labs"]}));
    let config = json!({"cacheSeconds": 0, "issuer": ISSUER, "audiences": ["labs"]});
    let (partner, gateway) = guarded(introspection(&issuer, config)).await;
    assert_eq!(call(&gateway, "labs.test", "token").await.status, 200);
    issuer.says("token", json!({"active": false}));
    assert_eq!(call(&gateway, "labs.test", "token").await.status, 401);
    issuer.says("token", json!({"active": true, "aud": "other"}));
    assert_eq!(call(&gateway, "labs.test", "token").await.status, 401);
    issuer.away(true);
    let reply = call(&gateway, "labs.test", "token").await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "SERVICE_UNAVAILABLE"));
    assert_eq!(partner.requests().len(), 1);
}

#[tokio::test]
async fn requests_with_one_token_share_a_question() {
    let issuer = Issuer::start().await;
    let gate = Gate::new();
    issuer.after(&gate);
    issuer.says("token", json!({"active": true}));
    let (_partner, gateway) = guarded(introspection(&issuer, json!({}))).await;
    let gateway = Arc::new(gateway);
    let calls: Vec<_> = (0..30)
        .map(|_| {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move { call(&gateway, "labs.test", "token").await.status })
        })
        .collect();
    wait::until("a question", async || (issuer.asked("/introspect") > 0).then_some(())).await;
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(issuer.asked("/introspect"), 1);
}

#[tokio::test]
async fn either_of_two_kinds_opens() {
    let (issuer, partner) = (Issuer::start().await, Partner::answering(Answer::text("ok")).await);
    let gateway = example("inbound-any-of", &issuer, &partner).await;
    let with_key = |key: &str| Reply::of(gateway.request(Method::GET, HOST, "/").header("x-api-key", key));
    assert_eq!(with_key("0f9d1c5a7e3b4826").await.status, 200);
    assert_eq!(call(&gateway, HOST, &issuer.token(json!({}))).await.status, 200);
    let both = gateway
        .request(Method::GET, HOST, "/")
        .header("x-api-key", "wrong")
        .bearer_auth(issuer.token(json!({})));
    assert_eq!(Reply::of(both).await.status, 200);
    for received in partner.requests() {
        assert_eq!(
            (received.header("x-api-key"), received.header("authorization")),
            (None, None)
        );
    }
    let refused = with_key("wrong").await;
    assert_eq!(refused.status, 401);
    let challenges: Vec<_> = refused.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges.len(), 2, "{challenges:?}");
    let expired = call(&gateway, HOST, &issuer.token(json!({"exp": 1}))).await;
    assert!(expired.text().contains("expired"), "{}", expired.text());
}

#[tokio::test]
async fn mappings_and_scripts_see_the_claims() {
    let (issuer, partner) = (Issuer::start().await, Partner::echo().await);
    let mapped = json!({"requestTransformationMode": "SIMPLE", "requestFieldMappings": [
        {"sourceField": "bill", "targetField": "bill"},
        {"sourceField": "$caller.claims.ward", "targetField": "ward"},
        {"sourceField": "$caller.name", "targetField": "by"},
    ]});
    let scripted = json!({"requestTransformationMode": "SCRIPT", "requestTransformScript":
        "fn transform(payload, context) { #{ward: context.caller.claims.ward, by: context.caller.name} }"});
    let all = [("labs", mapped), ("book", scripted)].map(|(kind, how)| {
        let guarded = with(integration(kind, &partner.url("")), jwt(&issuer, json!({})));
        with(guarded, how)
    });
    let gateway = Gateway::serving(&document(all)).await;
    let token = issuer.token(json!({"sub": "ana", "ward": 7}));
    for host in ["labs.test", "book.test"] {
        let request = gateway
            .request(Method::POST, host, "/")
            .bearer_auth(&token)
            .json(&json!({"bill": 1}));
        let reply = Reply::of(request).await;
        assert_eq!(reply.status, 200, "{host}: {}", reply.text());
    }
    let [mapped, scripted] = partner.requests().try_into().unwrap();
    assert_eq!(mapped.json(), json!({"bill": 1, "ward": 7, "by": "ana"}));
    assert_eq!(scripted.json(), json!({"ward": 7, "by": "ana"}));
}
