//! What the gateway does for browsers, and to header fields on their way.

use harness::client::Reply;
use harness::documents::{document, integration, with};
use harness::gateway::Setup;
use harness::{Answer, Example, Gateway, Partner, wait};
use reqwest::Method;
use serde_json::json;

async fn example(name: &str, partner: &Partner) -> Gateway {
    let example = Example::named(name).with("https://api.partner.example", &partner.url(""));
    Gateway::serving(&example.document()).await
}

const PAGE: &str = "https://www.clinic.example";

async fn asked(gateway: &Gateway, origin: &str, method: &str) -> Reply {
    let request = gateway.request(Method::OPTIONS, "booking.gateway.example", "/");
    let request = request
        .header("origin", origin)
        .header("access-control-request-method", method);
    Reply::of(request.header("access-control-request-headers", "x-api-key")).await
}

#[tokio::test]
async fn browsers_are_told_what_pages_may_do() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let gateway = example("cors", &partner).await;
    for origin in [PAGE, "https://lakeside.portal.clinic.example"] {
        let reply = asked(&gateway, origin, "POST").await;
        let told = |name: &str| reply.header(name).unwrap_or_default();
        assert_eq!((reply.status, told("access-control-allow-origin")), (204, origin));
        assert_eq!(told("access-control-allow-methods"), "GET, HEAD, POST");
        assert_eq!(told("access-control-allow-headers"), "content-type, x-api-key");
        assert_eq!(told("access-control-allow-credentials"), "true");
        assert_eq!(told("access-control-max-age"), "3600");
        assert!(
            reply.headers.get_all("vary").iter().any(|value| value == "origin"),
            "{reply:?}"
        );
        assert!(reply.body.is_empty());
    }
    let stranger = asked(&gateway, "https://portal.clinic.example.evil.example", "POST").await;
    assert_eq!(
        (stranger.status, stranger.header("access-control-allow-origin")),
        (204, None)
    );
    assert_eq!(stranger.header("access-control-allow-methods"), None);
    // The integration does not answer to this method, whoever asks.
    assert_eq!(asked(&gateway, PAGE, "DELETE").await.status, 405);
    assert_eq!(partner.requests().len(), 0);
}

#[tokio::test]
async fn answers_speak_of_origins_with_one_voice() {
    let answer = Answer::text("ok")
        .header("access-control-allow-origin", "*")
        .header("x-kept", "1");
    let partner = Partner::answering(answer).await;
    let gateway = example("cors", &partner).await;
    let get = |origin: &'static str, key: &'static str| {
        let request = gateway.request(Method::GET, "booking.gateway.example", "/");
        Reply::of(request.header("origin", origin).header("x-api-key", key))
    };
    let reply = get(PAGE, "5c1d7e9f20b84a63").await;
    let all = |name: &str| reply.headers.get_all(name).iter().count();
    assert_eq!((reply.status, reply.header("x-kept")), (200, Some("1")));
    assert_eq!(
        (
            reply.header("access-control-allow-origin"),
            all("access-control-allow-origin")
        ),
        (Some(PAGE), 1)
    );
    assert_eq!(
        reply.header("access-control-expose-headers"),
        Some("x-request-id, ratelimit")
    );
    let stranger = get("https://evil.example", "5c1d7e9f20b84a63").await;
    assert_eq!(
        (stranger.status, stranger.header("access-control-allow-origin")),
        (200, None)
    );
    assert_eq!(stranger.header("vary"), Some("origin"));
    // A page must be able to read why it is refused.
    let refused = get(PAGE, "wrong").await;
    assert_eq!(
        (refused.status, refused.header("access-control-allow-origin")),
        (401, Some(PAGE))
    );
}

#[tokio::test]
async fn without_cors_the_partner_answers_browsers() {
    let partner = Partner::answering(Answer::status(204).header("access-control-allow-origin", "*")).await;
    let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;
    let request = gateway
        .request(Method::OPTIONS, "labs.test", "/")
        .header("origin", PAGE);
    let reply = Reply::of(request.header("access-control-request-method", "GET")).await;
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(partner.only_request().method, Method::OPTIONS);
}

#[tokio::test]
async fn header_fields_are_edited_both_ways() {
    let answer = Answer::text("ok")
        .header("x-powered-by", "partner")
        .header("x-backend-node", "7")
        .header("x-content-type-options", "sniff");
    let partner = Partner::answering(answer).await;
    let gateway = example("header-edits", &partner).await;
    let request = gateway.request(
        Method::GET,
        "reports.gateway.example",
        "/clinics/lakeside/reports?page=2",
    );
    let request = request
        .header("x-api-key", "8a2e4f6071c95bd3")
        .header("cookie", "a=b")
        .header("x-internal-user", "root")
        .header("x-clinic", "forged")
        .header("x-via", "client")
        .header("x-request-id", "batch-1");
    let reply = Reply::of(request).await;
    let received = partner.only_request();
    assert_eq!(
        (received.header("cookie"), received.header("x-internal-user")),
        (None, None)
    );
    assert_eq!(received.header("x-clinic"), Some("lakeside"));
    assert_eq!(received.header("x-caller"), Some("ward-system from 127.0.0.1"));
    assert_eq!(received.header("x-page"), Some("2"));
    // The client sent no X-Batch.
    assert_eq!(received.header("x-trace"), None);
    let via: Vec<_> = received
        .headers
        .get_all("x-via")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert_eq!(via, ["client", "gateway reports.gateway.example"]);
    assert_eq!(received.header("accept-language"), Some("de"));
    assert_eq!(
        (reply.header("x-powered-by"), reply.header("x-backend-node")),
        (None, None)
    );
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(reply.header("x-clinic"), Some("lakeside"));
}

#[tokio::test]
async fn edits_never_take_the_place_of_a_credential() {
    let partner = Partner::answering(Answer::json(&json!({"ok": true}))).await;
    let edits = json!({
        "request": {
            "remove": ["X-Gone"],
            "set": [{"name": "Authorization", "value": "Bearer {{query.token}}"}],
            "append": [{"name": "X-More", "value": "1"}],
            "default": [{"name": "X-More", "value": "2"}]
        },
        "response": {"set": [{"name": "X-Edited", "value": "yes"}]}
    });
    for mode in [
        json!({}),
        json!({
            "responseTransformationMode": "SIMPLE",
            "responseFieldMappings": [{"sourceField": "ok", "targetField": "ok"}]
        }),
    ] {
        let signed = json!({
            "outgoingAuthType": "BEARER",
            "outgoingAuthConfig": {"token": "the-partners-token"},
            "headers": edits
        });
        let gateway = Gateway::serving_one(with(with(integration("labs", &partner.url("")), signed), mode)).await;
        let reply = gateway.get("labs.test", "/?token=forged").await;
        assert_eq!((reply.status, reply.header("x-edited")), (200, Some("yes")));
    }
    for received in partner.requests() {
        assert_eq!(received.header("authorization"), Some("Bearer the-partners-token"));
        assert_eq!(received.header("x-more"), Some("1"));
    }
}

#[tokio::test]
async fn errors_are_told_in_the_words_of_the_integration() {
    let partner = Partner::answering(Answer::text("stack trace").with_status(503)).await;
    let gateway = example("error-pages", &partner).await;
    let get = |key: &'static str, accept: &'static str| {
        let request = gateway.request(Method::GET, "portal.gateway.example", "/");
        Reply::of(
            request
                .header("x-api-key", key)
                .header("accept", accept)
                .header("x-request-id", "ask-<7>"),
        )
    };
    let refused = get("wrong", "*/*").await;
    assert_eq!(
        (refused.status, refused.header("content-type")),
        (401, Some("application/problem+json"))
    );
    assert_eq!(refused.json()["status"], 401);
    assert!(refused.header("www-authenticate").is_some());
    let page = get("5c1d7e9f20b84a63", "text/html").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (503, Some("text/html; charset=utf-8"))
    );
    assert!(page.text().contains("(503 UPSTREAM_STATUS)"), "{}", page.text());
    assert!(
        !page.text().contains("stack trace") && !page.text().contains("<7>"),
        "{}",
        page.text()
    );
    // Programs that do not want the page get what they got before.
    let plain = get("5c1d7e9f20b84a63", "application/json").await;
    assert_eq!((plain.status, plain.text().as_str()), (503, "stack trace"));
}

#[tokio::test]
async fn what_cannot_work_is_refused_by_its_place() {
    for (fields, place) in [
        (
            json!({"cors": {"allowOrigins": ["*"], "allowCredentials": true}}),
            "cors.allowOrigins",
        ),
        (
            json!({"cors": {"allowOrigins": ["https://a.example/"]}}),
            "cors.allowOrigins[0]",
        ),
        (
            json!({"cors": {"allowOrigins": ["*"], "maxAgeSeconds": 100_000}}),
            "cors.maxAgeSeconds",
        ),
        (
            json!({"cors": {"allowOrigins": ["*"], "allowHeaders": ["a b"]}}),
            "cors.allowHeaders[0]",
        ),
        (
            json!({"cors": {"allowOrigins": ["*"], "exposeHeaders": [""], "allowMethods": ["GET"]}}),
            "cors.exposeHeaders[0]",
        ),
        (
            json!({"headers": {"request": {"set": [{"name": "Host", "value": "x"}]}}}),
            "headers.request.set[0].name",
        ),
        (
            json!({"errorPages": [{"contentType": "text/html", "body": "{{x}}", "replacesPartner": true}]}),
            "errorPages[0].body",
        ),
        (
            json!({"errorPages": [{"contentType": "a/b", "body": "", "statuses": ["200"]}]}),
            "errorPages[0].statuses[0]",
        ),
        (
            json!({"errorPages": [{"contentType": "a/b", "body": "", "codes": ["x"]}]}),
            "errorPages[0].codes[0]",
        ),
    ] {
        let labs = with(integration("labs", "http://127.0.0.1:1"), fields);
        let gateway = Setup::new().file(&document([labs])).start_listening().await;
        let error = wait::until("an error at /config", async || {
            let error = gateway.admin_get("/config").await.json()["lastError"].clone();
            (!error.is_null()).then_some(error.to_string())
        })
        .await;
        assert!(error.contains(place), "{place}: {error}");
    }
}
