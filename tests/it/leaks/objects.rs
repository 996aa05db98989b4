//! Objects of every kind, with a secret wherever one can be.

use std::path::Path;

use harness::Partner;
use harness::authority::Pair;
use harness::documents::{ORG, integration, with};
use harness::events::subscription;
use serde_json::{Value, json};

/// An object, and where it belongs.
pub(super) struct Planted {
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) body: Value,
}

/// Hosts of the inbound integrations that are called.
pub(super) const HOSTS: [&str; 12] = [
    "key", "bearer", "basic", "headers", "query", "oauth", "refresh", "hmac", "aws", "file", "vault", "many",
];
/// Subscriptions that get an event.
pub(super) const SUBSCRIPTIONS: usize = 2;

/// All of them, each after what it needs.
pub(super) fn all(partner: &Partner, pair: &Pair, files: &Path) -> Vec<Planted> {
    let mut all = vec![
        planted(
            "event-types",
            "bill",
            json!({"eventType": "bill.generated", "name": "Bill"}),
        ),
        planted(
            "certificates",
            "tls",
            json!({"name": "tls", "certificate": pair.certificate, "privateKey": pair.key}),
        ),
        planted("lookups", "codes", json!({"name": "codes", "entries": {"a": "b"}})),
        planted("consumers", "app", json!({"name": "app", "credentials": credentials()})),
        planted("scheduled-jobs", "export", job()),
        planted("scheduled-jobs", "read", job_of_a_database()),
    ];
    for host in HOSTS.into_iter().chain(["tls"]) {
        let body = match host {
            "file" | "vault" => by_reference(host, partner, files),
            "tls" => with(inbound("key", partner), in_tls(pair)),
            host => inbound(host, partner),
        };
        all.push(planted("inbound-integrations", host, body));
    }
    for id in ["signed", "steps"] {
        all.push(planted("outbound-integrations", id, outbound(id, partner)));
    }
    all
}

fn planted(path: &'static str, id: &'static str, body: Value) -> Planted {
    let body = with(body, json!({"id": id, "orgId": ORG}));
    Planted { path, id, body }
}

/// An inbound integration that asks for something and signs in with something.
/// True for one that takes a key in `X-Desk`.
pub(super) fn has_a_key(id: &str) -> bool {
    !["bearer", "basic", "hmac", "oauth", "refresh"].contains(&id)
}

pub(super) fn inbound(id: &str, partner: &Partner) -> Value {
    let (incoming, outgoing) = (incoming(id, partner), outgoing(id, partner));
    let common = json!({
        "records": "all", "recordContent": {"headers": true, "bodyBytes": 1024},
        "deadLetter": {"enabled": true},
        "responseTransformationMode": "SIMPLE",
        "responseFieldMappings": [{"sourceField": "absent", "targetField": "a", "required": true}],
    });
    with(
        with(with(integration(id, &partner.url("")), common), incoming),
        outgoing,
    )
}

/// One whose secrets are kept elsewhere.
fn by_reference(id: &str, partner: &Partner, files: &Path) -> Value {
    let reference = match id {
        "file" => format!("secret://file{}/lab", files.display()),
        _ => "secret://store/648/lab#token".to_owned(),
    };
    let config = json!({"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": reference}});
    with(
        inbound("key", partner),
        with(json!({"type": id, "hosts": [format!("{id}.test")]}), config),
    )
}

fn in_tls(pair: &Pair) -> Value {
    let tls = json!({
        "authorities": pair.certificate, "clientCertificate": pair.certificate, "privateKey": pair.key,
    });
    json!({"type": "tls", "hosts": ["mtls.test"], "targetUrl": "https://partner.test", "outgoingTls": tls})
}

fn incoming(id: &str, partner: &Partner) -> Value {
    let keys = json!([{"name": "desk", "value": "planted-client-key"}]);
    let (kind, config) = match id {
        "bearer" => (
            "BEARER",
            json!({"tokens": [{"name": "desk", "value": "planted-client-token"}]}),
        ),
        "basic" => (
            "BASIC",
            json!({"users": [{"username": "desk", "password": "planted-client-password"}]}),
        ),
        "hmac" => (
            "HMAC",
            json!({"keys": [{"name": "desk", "value": "planted-client-secret"}], "components": ["method", "path", "timestamp"]}),
        ),
        "oauth" => (
            "JWT",
            json!({
                "issuer": "desk", "audiences": ["gateway"], "algorithms": ["HS256"],
                "secrets": [{"name": "desk", "value": "planted-secret-of-tokens-of-both"}],
            }),
        ),
        "refresh" => (
            "INTROSPECTION",
            json!({
                "introspectionUrl": partner.url("/introspect"), "clientId": "gateway",
                "clientSecret": "planted-introspection-secret",
            }),
        ),
        "many" => (
            "ANY_OF",
            json!({"anyOf": [
                {"inboundAuthType": "API_KEY", "inboundAuthConfig": {"headerName": "X-Desk", "keys": keys}},
                {"inboundAuthType": "BEARER", "inboundAuthConfig": {"tokens": [{"name": "a", "value": "planted-any-token"}]}},
            ]}),
        ),
        _ => ("API_KEY", json!({"headerName": "X-Desk", "keys": keys})),
    };
    json!({"inboundAuthType": kind, "inboundAuthConfig": config})
}

fn outgoing(id: &str, partner: &Partner) -> Value {
    let oauth = |more: Value| {
        let common = json!({
            "tokenUrl": partner.url("/token"), "clientId": "gateway", "clientSecret": "planted-client-secret-of-oauth",
            "parameters": {"tenant": "planted-parameter"},
        });
        ("OAUTH2", with(common, more))
    };
    let (kind, config) = match id {
        "key" => (
            "API_KEY",
            json!({"headerName": "X-Key", "apiKey": "planted-partner-key"}),
        ),
        "query" => (
            "API_KEY",
            json!({"queryName": "key", "apiKey": "planted-partner-key-in-query"}),
        ),
        "bearer" | "many" => ("BEARER", json!({"token": "planted-partner-token"})),
        "basic" => (
            "BASIC",
            json!({"username": "gateway", "password": "planted-partner-password"}),
        ),
        "headers" => (
            "CUSTOM_HEADERS",
            json!({"headers": {"X-Any": "planted-partner-header"}}),
        ),
        "oauth" => oauth(json!({"clientAuthentication": "client_secret_post"})),
        "refresh" => oauth(json!({"grantType": "refresh_token", "refreshToken": "planted-refresh-token"})),
        "hmac" => ("HMAC", json!({"secret": "planted-partner-secret", "keyId": "gateway"})),
        "aws" => (
            "AWS_SIGV4",
            json!({
                "accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "planted-aws-key", "sessionToken": "planted-aws-token",
                "region": "eu-central-1", "service": "execute-api",
            }),
        ),
        _ => return json!({}),
    };
    json!({"outgoingAuthType": kind, "outgoingAuthConfig": config})
}

fn outbound(id: &str, partner: &Partner) -> Value {
    let target = partner.url("/endpoint");
    let once = json!({"retry": {"type": "none"}});
    let base = with(subscription(id, &target), once);
    match id {
        "signed" => {
            let more = json!({
                "signingType": "STANDARD_WEBHOOKS",
                "signingConfig": {"secrets": [{"name": "new", "value": "whsec_cGxhbnRlZC1zaWduaW5nLXNlY3JldC0wMDAx"}]},
            });
            with(with(base, more), outgoing("headers", partner))
        }
        _ => {
            let step = json!({"name": "one", "targetUrl": target, "httpMethod": "POST", "transformationMode": "SIMPLE",
                "fieldMappings": [{"sourceField": "bill", "targetField": "bill"}]});
            let fetched = json!({"name": "bill", "url": partner.url("/ok"), "httpMethod": "GET"});
            let more = json!({
                "signingType": "GITHUB", "signingConfig": {"secrets": [{"name": "a", "value": "planted-github-secret"}]},
                "actions": [with(step, outgoing("basic", partner))],
                "enrichments": [with(fetched, outgoing("bearer", partner))],
            });
            with(with(base, more), outgoing("oauth", partner))
        }
    }
}

fn credentials() -> Value {
    json!([
        {"type": "API_KEY", "name": "a", "value": "planted-consumer-key"},
        {"type": "BEARER", "name": "b", "value": "planted-consumer-token"},
        {"type": "BASIC", "username": "app", "password": "planted-consumer-password"},
        {"type": "HMAC", "name": "c", "value": "planted-consumer-secret"},
    ])
}

fn job() -> Value {
    json!({
        "name": "export", "type": "DAILY_EXPORT", "targetUrl": "https://partner.example/bills",
        "schedule": {"type": "CRON", "expression": "0 9 * * *"},
        "dataSource": {"type": "API", "url": "https://api.example/bills", "headers": {"X-Key": "planted-source-header"}},
        "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "planted-job-token"},
    })
}

fn job_of_a_database() -> Value {
    let source = json!({
        "type": "MONGODB", "connectionString": "mongodb://reader:planted-in-an-address@db.example/", "database": "his",
        "collection": "bills",
    });
    with(job(), json!({"name": "read", "dataSource": source}))
}

/// A template, which others see as it is: it may have no secret but in what is filled in.
pub(super) fn template() -> Value {
    json!({
        "orgId": ORG, "name": "labs", "kind": "INBOUND",
        "parameters": [{"name": "token", "type": "secret"}],
        "body": {"name": "Labs", "type": "labs", "targetUrl": "https://partner.example/api",
            "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "planted-in-a-template"}},
    })
}
