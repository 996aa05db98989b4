//! Every option that an integration sets, without the secrets in it.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::OptionLine;
use crate::model::InboundIntegration;
use crate::model::secret::{self, MASK};

/// A line for each field of the document, so that no option can be forgotten here.
pub(super) fn of(source: &InboundIntegration) -> Vec<OptionLine> {
    // Model types have text keys and serialize without fail.
    let Ok(Value::Object(mut fields)) = serde_json::to_value(source.masked()) else {
        return Vec::new();
    };
    fields.retain(|name, _| !KNOWN.contains(&name.as_str()));
    let mut document = Value::Object(fields);
    // What is no secret by the model may hold one: fixed values of mappings, header fields that are set.
    secret::mask(&mut document);
    shorten(&mut document);
    let Value::Object(fields) = document else {
        return Vec::new();
    };
    lines(fields)
}

fn lines(fields: Map<String, Value>) -> Vec<OptionLine> {
    let lines = fields
        .into_iter()
        .map(|(option, configured)| OptionLine { option, configured });
    lines.collect()
}

/// Puts a digest in the place of scripts and other long texts, which may hold anything, and takes queries off addresses.
fn shorten(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(text) if name.ends_with("Script") || name == "body" || name == "template" => {
                        *text = digest(text);
                    }
                    value if name.ends_with("Sample") || name == "defaultValue" || name == "default" => {
                        *value = Value::String(MASK.to_owned());
                    }
                    other => shorten(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::String(text) if text.starts_with("http://") || text.starts_with("https://") => {
            if let Some(end) = text.find(['?', '#']) {
                text.truncate(end);
                text.push_str("?***");
            }
        }
        Value::String(text) if text.len() > LONGEST => *text = digest(text),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn digest(text: &str) -> String {
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    format!("[{} lines, sha256 {}]", text.lines().count(), &digest[..16])
}

/// Said elsewhere.
const KNOWN: [&str; 6] = ["id", "name", "orgId", "direction", "createdAt", "updatedAt"];
/// The longest text that is shown as it stands.
const LONGEST: usize = 500;
