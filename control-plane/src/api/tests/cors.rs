//! Pages of browsers: which may use the API, and what the others are told.

use super::*;
use crate::config::security::{CorsConfig, SecurityConfig};

const CONSOLE: &str = "https://console.example";

#[tokio::test]
async fn a_browser_learns_that_a_listed_page_may_send_what_the_api_reads() {
    let bench = bench(Some(CONSOLE)).await;
    let path = "/api/v1/inbound-integrations/labs";
    let reply = Reply::of(preflight(&bench, path, CONSOLE)).await.is(204);
    let field = |name: &str| reply.headers[name].to_str().unwrap().to_owned();
    assert_eq!(field("access-control-allow-origin"), CONSOLE);
    assert_eq!(field("access-control-allow-credentials"), "true");
    assert_eq!(field("access-control-max-age"), "600");
    assert!(
        field("access-control-allow-methods").contains("PATCH"),
        "{:?}",
        reply.headers
    );
    for name in ["x-api-key", "authorization", "if-match"] {
        assert!(
            field("access-control-allow-headers").contains(name),
            "{:?}",
            reply.headers
        );
    }
}

#[tokio::test]
async fn every_answer_to_a_listed_page_can_be_read_by_it_errors_too() {
    let bench = bench(Some(CONSOLE)).await;
    let get = |path: &str| bench.request(Method::GET, path).header("origin", CONSOLE);
    let missing = Reply::of(get("/api/v1/inbound-integrations/none")).await.is(404);
    let anonymous = bench.client.get(bench.url("/api/v1/export")).header("origin", CONSOLE);
    let refused = Reply::of(anonymous).await.is(401);
    let listed = Reply::of(get("/api/v1/export")).await.is(200);
    for reply in [missing, refused, listed] {
        assert_eq!(reply.headers["access-control-allow-origin"], CONSOLE, "{}", reply.text);
        assert_eq!(reply.headers["vary"], "origin");
        let exposed = reply.headers["access-control-expose-headers"].to_str().unwrap();
        for name in READ {
            let mut names = exposed.split(',').map(str::trim);
            assert!(names.any(|known| known == name), "{name} is not in {exposed}");
        }
    }
}

#[tokio::test]
async fn every_field_of_ours_is_one_that_a_listed_page_may_read() {
    let bench = bench(Some(CONSOLE)).await;
    let place = "/api/v1/inbound-integrations/lab";
    bench.put("lab", &integration("lab")).await.is(201);
    let answers = [
        bench.request(Method::GET, place),
        bench.request(Method::GET, "/api/v1/inbound-integrations?limit=1"),
        bench
            .request(Method::POST, "/api/v1/inbound-integrations")
            .json(&integration("other")),
        bench
            .request(Method::PUT, place)
            .header("if-match", "\"x\"")
            .json(&integration("lab")),
        bench.client.get(bench.url(place)),
    ];
    for request in answers {
        let reply = Reply::of(request.header("origin", CONSOLE)).await;
        for name in reply.headers.keys().map(reqwest::header::HeaderName::as_str) {
            let is_known = READ.contains(&name) || SAFE.contains(&name) || name.starts_with("access-control-");
            assert!(is_known, "{name}: a page can have a use for it, or not; say so here");
        }
    }
}

/// Fields that pages may read because we say so.
const READ: [&str; 8] = [
    "content-disposition",
    "etag",
    "link",
    "location",
    "retry-after",
    "www-authenticate",
    "x-request-id",
    "x-session-token",
];
/// Fields that pages may read anyway, or have no use for.
const SAFE: [&str; 6] = [
    "cache-control",
    "content-length",
    "content-type",
    "date",
    "vary",
    "connection",
];

#[tokio::test]
async fn other_pages_are_told_nothing() {
    for origins in [None, Some(CONSOLE)] {
        let bench = bench(origins).await;
        for origin in ["https://evil.example", "https://console.example.evil.example", "null"] {
            let asked = Reply::of(preflight(&bench, "/api/v1/export", origin)).await;
            let read = Reply::of(bench.request(Method::GET, "/api/v1/export").header("origin", origin)).await;
            for reply in [asked, read] {
                let told = reply
                    .headers
                    .keys()
                    .find(|name| name.as_str().starts_with("access-control"));
                assert_eq!(told, None, "{origin}: {:?}", reply.headers);
            }
        }
    }
}

fn preflight(bench: &Bench, path: &str, origin: &str) -> RequestBuilder {
    let request = bench.client.request(Method::OPTIONS, bench.url(path));
    request
        .header("origin", origin)
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type,x-api-key")
}

async fn bench(origin: Option<&str>) -> Bench {
    let folder = TempDir::new().unwrap();
    let cors = origin.map(|origin| CorsConfig {
        allow_origins: vec![origin.to_owned()],
        allow_credentials: true,
        max_age_seconds: 600,
    });
    let config = ProcessConfig {
        security: SecurityConfig {
            cors,
            ..SecurityConfig::default()
        },
        ..config(&folder)
    };
    Bench {
        control_plane: crate::start(config).await.unwrap(),
        client: Client::new(),
        folder,
    }
}
