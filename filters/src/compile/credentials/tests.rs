use serde_json::{Value, json};

use crate::model::Snapshot;

/// The problems of an integration with this inbound auth, in organization 1 with these consumers.
fn problems_with(kind: &str, config: &Value, consumers: &Value) -> Vec<String> {
    let integration = json!({"id": "a", "name": "a", "type": "a", "orgId": 1, "targetUrl": "https://p.example/",
        "inboundAuthType": kind, "inboundAuthConfig": config});
    let document = json!({"integrations": [integration], "consumers": consumers});
    let snapshot = match Snapshot::from_document(&document) {
        Ok(snapshot) => snapshot,
        Err(problems) => return problems.iter().map(ToString::to_string).collect(),
    };
    match crate::compile(&snapshot, None) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn problems(kind: &str, config: &Value) -> Vec<String> {
    problems_with(kind, config, &json!([]))
}

/// `good` with each of `changes` is refused with a problem at its path; as it is, it compiles.
fn each_is_named(kind: &str, good: &Value, changes: &[(Value, &str)]) {
    assert_eq!(problems(kind, good), Vec::<String>::new());
    for (change, path) in changes {
        let mut bad = good.clone();
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(bad.as_object_mut().unwrap().remove(name)),
                value => bad[name] = value.clone(),
            }
        }
        let expected = format!("inboundAuthConfig{path}: ");
        let found = problems(kind, &bad);
        assert!(
            found.iter().any(|problem| problem.contains(&expected)),
            "{change}: no {expected:?} in {found:?}"
        );
    }
}

#[test]
fn bad_settings_of_signed_tokens_are_named() {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let key = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
    let private = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "d": "AAAA"});
    let good = json!({"issuer": "joe", "audiences": ["gateway"], "algorithms": ["EdDSA"], "jwks": {"keys": [key]}});
    each_is_named(
        "JWT",
        &good,
        &[
            (json!({"issuer": ""}), ".issuer"),
            (json!({"audiences": null}), ".audiences"),
            (json!({"anyAudience": true}), ".audiences"),
            (json!({"audiences": [""]}), ".audiences[0]"),
            (json!({"algorithms": []}), ".algorithms"),
            (json!({"algorithms": ["none"]}), ".algorithms[0]"),
            (json!({"algorithms": ["EdDSA", "HS256"]}), ".algorithms[1]"),
            (json!({"jwks": null}), ""),
            (json!({"jwksUrl": "https://login.example/certs"}), ""),
            (json!({"jwks": {"keys": []}}), ".jwks"),
            (json!({"jwks": {"keys": [private]}}), ".jwks.keys[0]"),
            (json!({"jwks": null, "jwksUrl": "https://127.0.0.1/certs"}), ".jwksUrl"),
            (
                json!({"jwks": null, "jwksUrl": "http://login.example/certs"}),
                ".jwksUrl",
            ),
            (
                json!({"jwks": null, "secrets": [{"name": "a", "value": "short"}]}),
                ".secrets[0].value",
            ),
            (json!({"leewaySeconds": 301}), ".leewaySeconds"),
            (json!({"requiredClaims": [{"claim": ""}]}), ".requiredClaims[0].claim"),
            (json!({"nameClaim": ""}), ".nameClaim"),
            (json!({"consumerClaim": ""}), ".consumerClaim"),
            (json!({"headerName": "Host"}), ".headerName"),
            (json!({"audience": "gateway"}), ".audience"),
        ],
    );
}

#[test]
fn bad_settings_of_introspection_are_named() {
    let good = json!({"introspectionUrl": "https://login.example/i", "clientId": "gateway", "clientSecret": "s3cr3t"});
    each_is_named(
        "INTROSPECTION",
        &good,
        &[
            (json!({"introspectionUrl": "login"}), ".introspectionUrl"),
            (json!({"introspectionUrl": "https://10.0.0.1/"}), ".introspectionUrl"),
            (json!({"clientId": ""}), ".clientId"),
            (json!({"clientSecret": "***"}), ".clientSecret"),
            (json!({"cacheSeconds": 3_601}), ".cacheSeconds"),
            (
                json!({"requiredClaims": [{"claim": "a", "equals": 1, "contains": ["b"]}]}),
                ".requiredClaims[0]",
            ),
        ],
    );
}

#[test]
fn bad_settings_of_signed_requests_are_named() {
    let good = json!({"keys": [{"name": "a", "value": "0123456789abcdef"}]});
    each_is_named(
        "HMAC",
        &good,
        &[
            (json!({"keys": []}), ".keys"),
            (json!({"keys": [{"name": "a", "value": "short"}]}), ".keys[0].value"),
            (json!({"keys": [{"name": "a", "value": "***"}]}), ".keys[0].value"),
            (
                json!({"keys": [{"name": "", "value": "0123456789abcdef"}]}),
                ".keys[0].name",
            ),
            (json!({"clockSkewSeconds": 0}), ".clockSkewSeconds"),
            (json!({"components": ["method", "path"]}), ".components"),
            (
                json!({"components": ["method", "path", "timestamp", "body"]}),
                ".components[3]",
            ),
            (
                json!({"nonceHeader": "X-Nonce", "components": ["method", "path", "timestamp"]}),
                ".components",
            ),
            (json!({"nonceHeader": "Host"}), ".nonceHeader"),
            (json!({"signatureHeader": "no name"}), ".signatureHeader"),
            (json!({"algorithm": "MD5"}), ".algorithm"),
            (json!({"encoding": "BASE32"}), ".encoding"),
        ],
    );
}

#[test]
fn bad_certificates_are_named() {
    let good = json!({"certificates": [{"name": "a", "san": "dns:a.example"}]});
    let same = json!({"name": "b", "san": "dns:A.example"});
    each_is_named(
        "CLIENT_CERTIFICATE",
        &good,
        &[
            (json!({"certificates": []}), ".certificates"),
            (json!({"certificates": [{"name": "a"}]}), ".certificates[0]"),
            (
                json!({"certificates": [{"name": "a", "san": "a.example"}]}),
                ".certificates[0].san",
            ),
            (
                json!({"certificates": [{"name": "a", "fingerprint": "aa"}]}),
                ".certificates[0].fingerprint",
            ),
            (
                json!({"certificates": [{"name": "a", "san": "dns:a.example"}, same]}),
                ".certificates[1]",
            ),
        ],
    );
}

#[test]
fn bad_alternatives_are_named() {
    let key = |name: &str, value: &str| json!({"inboundAuthType": "API_KEY", "inboundAuthConfig": {"keys": [{"name": name, "value": value}]}});
    let token =
        json!({"inboundAuthType": "BEARER", "inboundAuthConfig": {"tokens": [{"name": "b", "value": "token-of-b"}]}});
    let none = json!({"inboundAuthType": "NONE", "inboundAuthConfig": {}});
    let nested = json!({"inboundAuthType": "ANY_OF", "inboundAuthConfig": {"anyOf": []}});
    let good = json!({"anyOf": [key("a", "key-of-a"), token]});
    each_is_named(
        "ANY_OF",
        &good,
        &[
            (json!({"anyOf": [token]}), ".anyOf"),
            (json!({"anyOf": [token, none]}), ".anyOf[1].inboundAuthType"),
            (json!({"anyOf": [token, nested]}), ".anyOf[1].inboundAuthType"),
            (
                json!({"anyOf": [key("a", "key-of-a"), key("c", "key-of-c")]}),
                ".anyOf[1].name",
            ),
            (
                json!({"anyOf": [token, key("b", "key-of-b")]}),
                ".anyOf[1].inboundAuthConfig.keys[0].name",
            ),
            (
                json!({"anyOf": [token, key("c", "short")]}),
                ".anyOf[1].inboundAuthConfig.keys[0].value",
            ),
        ],
    );
}

#[test]
fn bad_consumers_are_named() {
    let consumer = |credentials: Value| json!({"id": "c", "orgId": 1, "name": "c", "credentials": credentials});
    let config = json!({"consumers": true});
    let problems = |consumer: Value| problems_with("API_KEY", &config, &json!([consumer]));
    let good = consumer(json!([
        {"type": "API_KEY", "name": "k", "value": "key-of-c"},
        {"type": "BEARER", "name": "k", "value": "key-of-c"},
        {"type": "BASIC", "username": "c", "password": "password"},
        {"type": "JWT", "name": "j", "subject": "c"},
        {"type": "HMAC", "name": "h", "value": "0123456789abcdef"},
        {"type": "CLIENT_CERTIFICATE", "name": "t", "san": "dns:c.example"},
    ]));
    assert_eq!(problems(good), Vec::<String>::new());
    for (credentials, path) in [
        (json!([{"type": "API_KEY", "name": "k"}]), "credentials[0]"),
        (
            json!([{"type": "BASIC", "username": "a:b", "password": "password"}]),
            "credentials[0].username",
        ),
        (
            json!([{"type": "JWT", "name": "j", "subject": ""}]),
            "credentials[0].subject",
        ),
        (
            json!([{"type": "HMAC", "name": "h", "value": "short"}]),
            "credentials[0].value",
        ),
        (
            json!([{"type": "CLIENT_CERTIFICATE", "name": "t", "san": "c"}]),
            "credentials[0].san",
        ),
        (
            json!([{"type": "JWT", "name": "j", "subject": "s"}, {"type": "JWT", "name": "i", "subject": "s"}]),
            "credentials[1]",
        ),
    ] {
        let found = problems(consumer(credentials.clone()));
        let expected = format!("consumers[\"c\"].{path}: ");
        assert!(
            found.iter().any(|problem| problem.contains(&expected)),
            "{credentials}: no {expected:?} in {found:?}"
        );
    }
}
