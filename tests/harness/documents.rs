//! Configuration documents for tests: short to write, and as an operator would write them.

use serde_json::{Value, json};

/// Organization of the tests, whose targets may lie on this machine.
pub const ORG: u64 = 648;

/// A document with these integrations, in which targets on this machine are allowed.
pub fn document(integrations: impl IntoIterator<Item = Value>) -> Value {
    json!({
        "security": {"blockPrivateNetworks": true, "enforceHttps": false},
        "organizations": [organization()],
        "integrations": integrations.into_iter().collect::<Vec<_>>(),
    })
}

/// The organization of the tests.
pub fn organization() -> Value {
    json!({"orgId": ORG, "name": "Tests", "allowedNetworks": ["127.0.0.0/8", "::1/128"]})
}

/// An integration that sends every request for `{kind}.test` to `target`, path kept.
pub fn integration(kind: &str, target: &str) -> Value {
    json!({
        "id": kind,
        "name": kind,
        "type": kind,
        "orgId": ORG,
        "hosts": [format!("{kind}.test")],
        "targetUrl": target,
        "pathRewrite": "appendPath",
    })
}

/// The same document with some fields set: `with(integration(...), json!({"methods": ["GET"]}))`.
///
/// # Panics
/// If one of them is not an object.
#[must_use]
pub fn with(mut document: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else {
        panic!("{fields} is not an object");
    };
    let target = document.as_object_mut().expect("a document is an object");
    target.extend(fields);
    document
}
