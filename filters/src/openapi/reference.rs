//! References from one place of the document to another.

use serde_json::Value;

use super::Reading;
use crate::model::problem::join;

/// Follows references.
pub(super) struct References<'d> {
    root: &'d Value,
}

impl<'d> References<'d> {
    pub(super) fn of(root: &'d Value) -> Self {
        Self { root }
    }

    /// What stands at a pointer `#/a/b`.
    fn target(&self, reference: &str) -> Option<&'d Value> {
        let fragment = reference.strip_prefix('#')?;
        let pointer = percent_encoding::percent_decode_str(fragment).decode_utf8().ok()?;
        self.root.pointer(&pointer)
    }
}

impl<'d> Reading<'d> {
    /// `part`, or what it refers to.
    pub(super) fn resolved(&mut self, part: &'d Value, place: &str) -> Option<&'d Value> {
        let mut part = part;
        for _ in 0..MOST_REFERENCES {
            let Some(reference) = part.get("$ref").and_then(Value::as_str) else {
                return Some(part);
            };
            match self.references.target(reference) {
                Some(target) => part = target,
                None => {
                    let message = if reference.starts_with('#') {
                        format!("{reference:?} leads nowhere")
                    } else {
                        format!("{reference:?} leads out of the document, and nothing is fetched; copy it in")
                    };
                    self.refuse(join(place, "$ref"), message);
                    return None;
                }
            }
        }
        self.refuse(join(place, "$ref"), "leads from one reference to the next without end");
        None
    }

    /// The name of a schema in `components`, and what follows it; `None` for a reference to anything else.
    pub(super) fn schema_name<'r>(&self, reference: &'r str) -> Option<(String, &'r str)> {
        self.references.target(reference)?;
        let rest = reference.strip_prefix("#/components/schemas/")?;
        let (name, after) = match rest.split_once('/') {
            Some((name, _)) => (name, &rest[name.len()..]),
            None => (rest, ""),
        };
        let decoded = percent_encoding::percent_decode_str(name).decode_utf8().ok()?;
        Some((decoded.replace("~1", "/").replace("~0", "~"), after))
    }
}

/// The most references from one to the next.
const MOST_REFERENCES: usize = 16;
