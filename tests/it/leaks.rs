//! Every kind of secret in every kind of place that can hold one, and then everything that both programs answer, log, count, send
//! and write: none of the secrets may be in it. Once with the embedded store, and once with MongoDB.

mod objects;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use harness::client::Reply;
use harness::control_plane::Setup;
use harness::documents::{ORG, with};
use harness::{Answer, Authority, ControlPlane, Gateway, Mongo, Partner, gateway, wait};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

#[tokio::test]
async fn no_secret_gets_out_with_the_embedded_store() {
    no_secret_gets_out(Setup::new(), None).await;
}

#[tokio::test]
async fn no_secret_gets_out_with_mongodb() {
    let Some(mongo) = Mongo::available().await else { return };
    let setup = Setup::new().mongo(&mongo);
    no_secret_gets_out(setup, mongo.folder()).await;
}

async fn no_secret_gets_out(setup: Setup, database: Option<PathBuf>) {
    let partner = partner().await;
    let collector = Partner::answering(Answer::json(&json!({}))).await;
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("lab"), "planted-in-a-file").unwrap();
    let mut control_plane = settings(setup, &partner, files.path()).start().await;
    control_plane.allow_this_machine().await;
    let mut leaks = Leaks::default();
    leaks.never(control_plane.gateway_token());
    leaks.never(control_plane.operator_key());
    let mut gateway = gateway::Setup::new()
        .control_plane(&control_plane)
        .set("log", json!({"level": "debug"}))
        .set("traces", json!({"otlp": collector.url("/v1/traces"), "sampleRatio": 1}))
        .set(
            "accessLog",
            json!({"output": "stdout", "headers": ["Authorization", "X-Desk"]}),
        )
        .start()
        .await;

    configure(&control_plane, &mut leaks, &partner, files.path()).await;
    let producer = admit(&control_plane, &mut leaks).await;
    caught_up(&control_plane).await;
    call(&gateway, &control_plane, &producer, &partner).await;
    leaks.walk(&control_plane).await;
    for path in [
        "/metrics",
        "/routes",
        "/upstreams",
        "/config?full=true",
        "/queue",
        "/readyz",
    ] {
        leaks.saw(path, gateway.admin_get(path).await.text());
    }
    wait::until("spans", async || (!collector.requests().is_empty()).then_some(())).await;

    // While both run, logs of databases included, and after they have ended.
    leaks.folder(&control_plane.data_folder());
    leaks.folder(&gateway.data_folder());
    database.iter().for_each(|folder| leaks.folder(folder));
    gateway.terminate();
    gateway.process.ended().await;
    control_plane.terminate();
    control_plane.process.ended().await;
    leaks.folder(&control_plane.data_folder());
    leaks.folder(&gateway.data_folder());
    let spans: Vec<String> = collector
        .requests()
        .iter()
        .map(|span| span.json().to_string())
        .collect();
    leaks.saw("spans", spans.join("\n"));
    leaks.saw("the log of the gateway", gateway.process.output());
    leaks.saw("the log of the control plane", control_plane.process.output());
    leaks.assert_none();
}

/// An endpoint that gives tokens and takes everything else for a fault of the caller's.
async fn partner() -> Partner {
    Partner::start(|request| match request.uri.path() {
        "/token" => Answer::json(&json!({
            "access_token": "planted-access-token", "token_type": "Bearer", "expires_in": 300,
            "refresh_token": "planted-refresh-token-2",
        })),
        "/ok" => Answer::json(&json!({"ok": true})).header("set-cookie", "s=planted-cookie"),
        path if path.starts_with("/vault/") => {
            Answer::json(&json!({"data": {"data": {"token": "planted-in-the-vault"}}}))
        }
        _ => Answer::status(500),
    })
    .await
}

/// A control plane with every secret that its settings can have.
fn settings(setup: Setup, partner: &Partner, files: &Path) -> Setup {
    let webhooks = json!([
        {"url": partner.url("/hook/planted-path?key=planted-query"), "secret": "whsec_cGxhbnRlZC1zZWNyZXQtb2Ytd2ViaG9va3M="},
        {"url": partner.url("/slack/planted-slack"), "format": "slack"},
        {"url": partner.url("/pager"), "format": "pagerDuty", "routingKey": "planted-routing-key"},
    ]);
    let mail = json!({
        "host": "127.0.0.1", "port": 9, "tls": "none", "username": "gateway", "password": "planted-mail-password",
        "from": "gateway@clinic.example", "to": ["ops@clinic.example"],
    });
    let provider = json!({
        "issuer": partner.url("/provider"), "clientId": "gateway", "clientSecret": "planted-oidc-secret",
        "redirectUrl": "http://gateway.example/api/v1/auth/oidc/callback", "roles": {"admins": "ADMIN"},
        "allowedNetworks": ["127.0.0.0/8"], "allowPlaintext": true,
    });
    let sources = json!({
        "files": [{"prefix": format!("{}/", files.display())}],
        "store": {
            "url": partner.url("/vault"), "token": "planted-vault-token", "allowPlaintext": true,
            "allowedNetworks": ["127.0.0.0/8"], "paths": [{"prefix": "648/"}],
        },
        "refreshSeconds": 1,
    });
    setup
        .set("log", json!({"level": "debug"}))
        .set("auth", json!({"oidc": provider}))
        .set("secretSources", sources)
        .set(
            "alerts",
            json!({
                "checkEverySeconds": 1, "webhooks": webhooks, "mail": mail, "allowedNetworks": ["127.0.0.0/8"],
                "allowPlaintext": true, "rules": {"deadLetters": {"perSubscription": 1, "countEverySeconds": 5}},
            }),
        )
}

/// Makes every kind of object, tries to make one that is wrong, and has one of each deleted.
async fn configure(control_plane: &ControlPlane, leaks: &mut Leaks, partner: &Partner, files: &Path) {
    let pair = Authority::new().vouch_for(&["tls.test"]);
    leaks.never(pair.key.lines().nth(1).unwrap());
    for object in objects::all(partner, &pair, files) {
        let path = format!("/api/v1/{}/{}?orgId={ORG}", object.path, object.id);
        let reply = control_plane.put(&path, &object.body).await;
        assert!([200, 201].contains(&reply.status), "{path}: {}", reply.text());
        leaks.answered(&path, &reply);
        for wrong in [json!({"planned": true}), json!({"orgId": 7}), json!({"name": 7})] {
            let wrong = control_plane.put(&path, &with(object.body.clone(), wrong)).await;
            assert!((400..500).contains(&wrong.status), "{path}: {}", wrong.text());
            leaks.answered(&path, &wrong);
        }
        if object.path != "scheduled-jobs" {
            let validate = format!("/api/v1/{}/validate?orgId={ORG}", object.path);
            leaks.answered(&validate, &control_plane.post(&validate, &object.body).await);
        }
        let spare = with(
            object.body.clone(),
            json!({"id": "spare", "name": "spare", "type": "spare", "hosts": []}),
        );
        let path = format!("/api/v1/{}/spare?orgId={ORG}", object.path);
        let made = control_plane.put(&path, &spare).await;
        leaks.answered(&path, &made);
        let deleted = Reply::of(control_plane.request(Method::DELETE, &path)).await;
        leaks.answered(&path, &deleted);
        leaks.tried.insert(object.path);
    }
    let labs = objects::inbound("bearer", partner);
    let put = json!([{"kind": "integration", "value": with(labs.clone(), json!({"isActive": false}))}]);
    for (path, body) in [
        ("drafts", json!({"name": "a draft", "put": put})),
        ("rollouts", json!({"percent": 50, "put": put})),
        (
            "apply",
            json!({"put": [{"kind": "integration", "value": with(labs.clone(), json!({"hosts": ["other.test"]}))}]}),
        ),
        (
            "inbound-integrations/test",
            json!({"side": "request", "sample": {}, "integration": labs}),
        ),
        ("templates", objects::template()),
    ] {
        let path = format!("/api/v1/{path}?orgId={ORG}");
        leaks.answered(&path, &control_plane.post(&path, &body).await);
    }
}

/// Lets in whoever can be let in, and tries wrong passwords. The key of a producer.
async fn admit(control_plane: &ControlPlane, leaks: &mut Leaks) -> String {
    let password = "planted-password-of-somebody";
    let person = json!({"email": "ana@clinic.example", "role": "ADMIN", "password": password});
    let made = control_plane.post("/api/v1/admin/users", &person).await;
    assert_eq!(made.status, 201, "{}", made.text());
    leaks.answered("the new user", &made);
    let sign_in = async |path: &str, body: Value| {
        let reply = control_plane.post(&format!("/api/v1/auth/{path}"), &body).await;
        (reply.status, reply)
    };
    let (status, reply) = sign_in("login", json!({"email": "ana@clinic.example", "password": password})).await;
    assert_eq!(status, 200, "{}", reply.text());
    leaks.never(reply.json()["token"].as_str().unwrap());
    for (path, body) in [
        (
            "login",
            json!({"email": "ana@clinic.example", "password": "planted-wrong-password"}),
        ),
        (
            "login",
            json!({"email": ["planted-as-a-list"], "password": "planted-wrong-password"}),
        ),
        (
            "first-admin",
            json!({"token": "planted-token", "email": "a@b.example", "password": "planted-first-password"}),
        ),
    ] {
        let (status, reply) = sign_in(path, body).await;
        assert!((400..500).contains(&status), "{}", reply.text());
        leaks.answered(path, &reply);
    }
    let wrong = |request: RequestBuilder| Reply::of(request.header("x-request-id", "of-a-wrong-key"));
    let url = format!("{}/api/v1/auth/me", control_plane.url());
    let client = harness::client::client();
    leaks.answered(
        "a wrong key",
        &wrong(client.get(&url).header("x-api-key", "planted-wrong-key")).await,
    );
    leaks.answered(
        "a wrong token",
        &wrong(client.get(&url).bearer_auth("planted-wrong-token")).await,
    );
    leaks.answered(
        "a query",
        &wrong(client.get(format!("{url}?token=planted-in-a-query"))).await,
    );

    let key = json!({"name": "desk", "orgIds": [ORG]});
    let made = control_plane.post("/api/v1/admin/api-keys", &key).await;
    assert_eq!(made.status, 201, "{}", made.text());
    leaks.never(made.json()["key"].as_str().unwrap());
    let key = json!({"orgId": ORG, "name": "hospital"});
    let made = control_plane.post("/api/v1/producer-keys", &key).await.json();
    let producer = made["value"].as_str().unwrap().to_owned();
    leaks.never(&producer);
    producer
}

async fn caught_up(control_plane: &ControlPlane) {
    wait::until("the gateway to know of everything", async || {
        let listed = control_plane.get("/api/v1/gateways").await.json();
        (listed["gateways"][0]["lagVersions"] == 0).then_some(())
    })
    .await;
}

/// Calls everything, with credentials that are good and with others, and hands over events that fail.
async fn call(gateway: &Gateway, control_plane: &ControlPlane, producer: &str, partner: &Partner) {
    for host in objects::HOSTS {
        for key in ["planted-client-key", "planted-wrong-client-key"] {
            let request = gateway.request(Method::POST, &format!("{host}.test"), "/ok?token=planted-in-the-query");
            let mut request = request.basic_auth("desk", Some("planted-client-password"));
            // Elsewhere it is a field as any other, which records show.
            if objects::has_a_key(host) {
                request = request.header("x-desk", key);
            }
            drop(Reply::of(request.json(&json!({"a": 1}))).await);
        }
    }
    let event = json!({"id": "e1", "eventType": "bill.generated", "payload": {"bill": 1}});
    let request = gateway.request(Method::POST, "gateway.test", "/api/v1/events");
    let accepted = Reply::of(request.header("x-api-key", producer).json(&event)).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    let request = gateway.request(Method::POST, "gateway.test", "/api/v1/events");
    drop(Reply::of(request.header("x-api-key", "planted-wrong-producer").json(&event)).await);
    wait::until(
        "records, attempts, dead letters and an alert that could not be sent",
        async || {
            let rows = async |path: &str, list: &str| {
                let shown = control_plane
                    .get(&format!("/api/v1/{path}orgId={ORG}&limit=200"))
                    .await
                    .json();
                shown[list].as_array().map_or(0, Vec::len)
            };
            let told = partner.requests().iter().any(|request| request.uri.path() == "/pager");
            let there = rows("execution-logs?", "executionLogs").await >= objects::HOSTS.len()
                && rows("logs?", "logs").await >= objects::SUBSCRIPTIONS
                && rows("dlq?", "deadLetters").await >= objects::SUBSCRIPTIONS
                && rows("logs?direction=INBOUND&", "logs").await > 0;
            (told && there).then_some(())
        },
    )
    .await;
}

/// What must not get out, and where it did.
#[derive(Debug, Default)]
struct Leaks {
    /// Beside all that begins with `planted-`.
    secrets: BTreeSet<String>,
    seen: Vec<(String, Vec<u8>)>,
    tried: BTreeSet<&'static str>,
}

impl Leaks {
    fn never(&mut self, secret: &str) {
        self.secrets.insert(secret.to_owned());
    }

    fn saw(&mut self, place: &str, text: impl Into<Vec<u8>>) {
        self.seen.push((place.to_owned(), text.into()));
    }

    fn answered(&mut self, place: &str, reply: &Reply) {
        self.saw(place, reply.text());
    }

    /// Asks for everything that can be read, as the description says, by identifiers that the lists show.
    async fn walk(&mut self, control_plane: &ControlPlane) {
        let document = control_plane.get("/api/v1/openapi.json").await.json();
        let mut paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
        // Lists before what they list.
        paths.sort_by_key(|path| path.matches('{').count());
        let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut read = BTreeSet::new();
        for path in paths {
            let operation = &document["paths"][path]["get"];
            if operation.is_null() {
                continue;
            }
            for place in places(path, &known) {
                let separator = if place.contains('?') { '&' } else { '?' };
                for query in [
                    "",
                    "limit=200",
                    &format!("orgId={ORG}"),
                    &format!("orgId={ORG}&limit=200"),
                ] {
                    let reply = control_plane.get(&format!("{place}{separator}{query}")).await;
                    // 503: the identity provider is not there.
                    assert!(reply.status < 500 || reply.status == 503, "{place}: {}", reply.text());
                    if reply.status == 200 {
                        read.insert(path.clone());
                    }
                    if !path.contains('{') && reply.status == 200 {
                        let found: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
                        names(&found, known.entry(path.clone()).or_default());
                    }
                    self.answered(&place, &reply);
                }
            }
        }
        self.saw("metrics", control_plane.get("/metrics").await.text());
        assert!(read.len() > 50, "too little can be read: {read:#?}");
    }

    fn folder(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.folder(&path);
            } else if let Ok(content) = std::fs::read(&path) {
                self.saw(&path.display().to_string(), content);
            }
        }
    }

    fn assert_none(&self) {
        // As it is, and in base64, wherever in it the word begins.
        let mut needles: Vec<&str> = vec!["planted-", "cGxhbnRl", "bGFudGVk", "YW50ZWQt"];
        needles.extend(self.secrets.iter().map(String::as_str));
        let mut found = BTreeSet::new();
        for (place, text) in &self.seen {
            for needle in &needles {
                let hit = text
                    .windows(needle.len())
                    .position(|window| window == needle.as_bytes());
                if let Some(at) = hit {
                    let around = &text[at.saturating_sub(120)..(at + 60).min(text.len())];
                    found.insert(format!("{place}: ...{}...", String::from_utf8_lossy(around)));
                }
            }
        }
        assert!(self.seen.len() > 200, "too little was looked at: {}", self.seen.len());
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// The path with each identifier that the list before it shows.
fn places(path: &str, known: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let Some((list, rest)) = path.split_once("/{") else {
        return vec![path.to_owned()];
    };
    let after = rest.split_once('}').map_or("", |(_, after)| after);
    // What stands in it once more is a key of a table.
    let after = match after.split_once('{') {
        Some((before, rest)) => format!("{before}a{}", rest.split_once('}').map_or("", |(_, end)| end)),
        None => after.to_owned(),
    };
    let ids = known.get(list).into_iter().flatten().take(MOST_OF_A_LIST);
    ids.map(|id| format!("{list}/{id}{after}")).collect()
}

/// What objects of a list may be called by.
fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("id" | "traceId" | "eventType", Value::String(text)) => drop(found.insert(text.clone())),
                    ("orgId" | "rid" | "number" | "version", Value::Number(number)) => {
                        found.insert(number.to_string());
                    }
                    (_, value) => names(value, found),
                }
            }
        }
        _ => {}
    }
}

const MOST_OF_A_LIST: usize = 80;
