//! Values that must never be printed, and how a document is shown without them.

use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroize;

pub use self::reference::{BadReference, SecretReference};

mod reference;

/// What stands in the place of a secret wherever a person or a log may see it.
pub const MASK: &str = "***";

/// A secret text. `Debug` prints the mask, and memory is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes ownership of a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Replaces every secret in an auth configuration by the mask. Names, header names, user names and references to secrets
/// stay.
pub fn mask(config: &mut Value) {
    for_each(config, &mut |secret| {
        if !secret.as_str().is_some_and(SecretReference::is_meant) {
            *secret = Value::String(MASK.to_owned());
        }
    });
}

/// A copy of a document with each of its secrets masked, for those whose secrets are told by the names of their fields.
#[must_use]
pub fn masked<T: Serialize + DeserializeOwned>(document: &T) -> T {
    through_json(document, mask)
}

/// Puts the secrets of `previous` back where `document` carries the mask.
pub fn restore_in<T: Serialize + DeserializeOwned>(document: &mut T, previous: &T) {
    let previous = serde_json::to_value(previous).expect("model types have text keys and serialize without fail");
    *document = through_json(document, |value| restore(value, &previous));
}

fn through_json<T: Serialize + DeserializeOwned>(document: &T, change: impl FnOnce(&mut Value)) -> T {
    let mut value = serde_json::to_value(document).expect("model types have text keys and serialize without fail");
    change(&mut value);
    serde_json::from_value(value).expect("one text in the place of another is of the same type")
}

/// Calls `visit` with each secret of an auth configuration, so that it can be masked, encrypted or decrypted in place.
pub fn for_each(config: &mut Value, visit: &mut dyn FnMut(&mut Value)) {
    match config {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(_) if is_secret(name) => visit(value),
                    Value::Object(values) if is_secret_map(name) => values.values_mut().for_each(&mut *visit),
                    other => for_each(other, visit),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| for_each(item, visit)),
        _ => {}
    }
}

/// Puts the secrets of `previous` back where `config` carries the mask, so that a document can be read, edited and
/// written again. Entries of a list belong together when their `name`, `username` or `inboundAuthType` is the same.
pub fn restore(config: &mut Value, previous: &Value) {
    match (config, previous) {
        (Value::String(text), Value::String(old)) if text == MASK => old.clone_into(text),
        (Value::Object(fields), Value::Object(old)) => {
            for (name, value) in fields.iter_mut() {
                if let Some(old) = old.get(name) {
                    restore(value, old);
                }
            }
        }
        (Value::Array(items), Value::Array(old)) => {
            for item in items {
                if let Some(old) = old.iter().find(|old| label(old).is_some() && label(old) == label(item)) {
                    restore(item, old);
                }
            }
        }
        _ => {}
    }
}

/// True where a mask is left in `config`: it names no stored secret and must not be saved as one.
pub fn has_mask(config: &Value) -> bool {
    match config {
        Value::String(text) => text == MASK,
        Value::Object(fields) => fields.values().any(has_mask),
        Value::Array(items) => items.iter().any(has_mask),
        _ => false,
    }
}

fn label(item: &Value) -> Option<&str> {
    let labels = ["name", "username", "inboundAuthType"];
    labels.iter().find_map(|label| item.get(label))?.as_str()
}

fn is_secret(field: &str) -> bool {
    matches!(
        field,
        "value"
            | "hash"
            | "apiKey"
            | "token"
            | "password"
            | "passwordHash"
            | "clientSecret"
            | "privateKey"
            | "refreshToken"
            | "secret"
            | "secretAccessKey"
            | "sessionToken"
    )
}

/// True for objects all of whose values are secrets.
fn is_secret_map(field: &str) -> bool {
    matches!(field, "headers" | "parameters")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_masked_document_written_back_keeps_its_secrets() {
        let stored = json!({"keys": [{"name": "a", "hash": "sha256:aa"}, {"name": "b", "hash": "sha256:bb"}],
            "headers": {"X-One": "1"}, "headerName": "X-API-Key"});
        let mut shown = stored.clone();
        mask(&mut shown);
        assert!(!shown.to_string().contains("sha256"));
        assert_eq!(shown["headers"]["X-One"], MASK);
        assert_eq!(shown["headerName"], "X-API-Key");
        shown["keys"].as_array_mut().unwrap().reverse();
        restore(&mut shown, &stored);
        assert_eq!(shown["keys"][0], stored["keys"][1]);
        assert_eq!(shown["headers"], stored["headers"]);
        assert!(!has_mask(&shown));
    }

    #[test]
    fn a_mask_without_a_stored_secret_stays_visible() {
        let mut new = json!({"keys": [{"name": "c", "value": MASK}]});
        restore(&mut new, &json!({"keys": [{"name": "a", "value": "x"}]}));
        assert!(has_mask(&new));
    }

    #[test]
    fn a_reference_is_shown() {
        let mut config = json!({"token": "secret://env/LAB_TOKEN", "headers": {"X-Key": "secret"}});
        mask(&mut config);
        assert_eq!(
            config,
            json!({"token": "secret://env/LAB_TOKEN", "headers": {"X-Key": MASK}})
        );
    }

    #[test]
    fn debug_prints_no_secret() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), MASK);
    }
}
