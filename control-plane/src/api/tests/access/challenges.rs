//! What is said to those who do not come in, and how long those who did stay in.

use super::*;

#[tokio::test]
async fn every_401_says_by_what_one_comes_in() {
    let bench = Bench::start().await;
    let described = bench.get("/api/v1/openapi.json").await.is(200);
    for (path, operations) in described.body["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let Some(refusal) = operation["responses"].get("401") else {
                continue;
            };
            assert_eq!(
                refusal["headers"]["WWW-Authenticate"]["required"], true,
                "{method} {path}"
            );
            let Ok(method) = method.to_uppercase().parse::<Method>() else {
                continue;
            };
            if OPEN.contains(&path.as_str()) {
                continue;
            }
            let refused = Reply::of(bench.client.request(method.clone(), bench.url(path)).json(&json!({}))).await;
            assert_eq!(
                refused.status,
                StatusCode::UNAUTHORIZED,
                "{method} {path}: {}",
                refused.text
            );
            assert_eq!(challenges(&refused), [PLAIN, KEY], "{method} {path}");
        }
    }
    let wrong = bench.sign_in("nobody@clinic.example", PASSWORD).await.is(401);
    assert_eq!(challenges(&wrong), [PLAIN, KEY]);
    let me = "/api/v1/auth/me";
    let unknown = bench.with_key("igk_unknown", Method::GET, me, None).await.is(401);
    assert_eq!(challenges(&unknown), [PLAIN, KEY]);
    let bad = bench.as_bearer("a.b.c", Method::GET, me, None).await.is(401);
    assert!(
        challenges(&bad)[0].contains(r#"error="invalid_token""#),
        "{:?}",
        bad.headers
    );
    let both = Reply::of(bench.request(Method::GET, me).bearer_auth("a.b.c"))
        .await
        .is(401);
    assert!(
        challenges(&both)[0].contains(r#"error="invalid_request""#),
        "{:?}",
        both.headers
    );
    let stream = bench.client.get(bench.url("/api/v1/gateways/stream"));
    let gateway = Reply::of(stream.bearer_auth("none")).await.is(401);
    assert_eq!(challenges(&gateway), [r#"Bearer realm="gateways""#]);
    // Where somebody came in, nobody is asked to.
    let me = bench.get(me).await.is(200);
    assert_eq!(challenges(&me), [""; 0]);
}

#[tokio::test]
async fn sessions_outlive_the_key_that_they_were_signed_with_until_it_is_removed() {
    let folder = TempDir::new().unwrap();
    let (old, new) = ("ab".repeat(32), "cd".repeat(32));
    let file = folder.path().join("mounted");
    std::fs::write(&file, &old).unwrap();
    let bench = with_keys(folder).await;
    bench.person("ben@clinic.example", "USER", json!([648])).await;
    let before = bench.token("ben@clinic.example").await;
    let me = "/api/v1/auth/me";

    let folder = stopped(bench).await;
    std::fs::write(&file, format!("{new}\n{old}\n")).unwrap();
    crate::rotate::rotate(&keyed(&folder), false).await.unwrap();
    let bench = with_keys(folder).await;
    bench.as_bearer(&before, Method::GET, me, None).await.is(200);
    let refreshed = bench
        .as_bearer(&before, Method::POST, "/api/v1/auth/refresh", None)
        .await
        .is(200);
    let after = refreshed.body["token"].as_str().unwrap().to_owned();

    let folder = stopped(bench).await;
    std::fs::write(&file, &new).unwrap();
    let bench = with_keys(folder).await;
    let ended = bench.as_bearer(&before, Method::GET, me, None).await.is(401);
    ended.has_code("UNAUTHORIZED");
    assert!(ended.text.contains("sign in again"), "{}", ended.text);
    bench.as_bearer(&after, Method::GET, me, None).await.is(200);
    bench.token("ben@clinic.example").await;
}

fn keyed(folder: &TempDir) -> ProcessConfig {
    ProcessConfig {
        secret_key_file: Some(folder.path().join("mounted")),
        ..config(folder)
    }
}

async fn with_keys(folder: TempDir) -> Bench {
    Bench {
        control_plane: crate::start(keyed(&folder)).await.unwrap(),
        client: Client::new(),
        folder,
    }
}

async fn stopped(bench: Bench) -> TempDir {
    bench.control_plane.stop().await;
    bench.folder
}

fn challenges(reply: &Reply) -> Vec<&str> {
    let all = reply.headers.get_all("www-authenticate");
    all.iter().map(|value| value.to_str().unwrap()).collect()
}

const PLAIN: &str = r#"Bearer realm="control-plane""#;
const KEY: &str = r#"ApiKey realm="control-plane", in="header", name="X-API-Key""#;
