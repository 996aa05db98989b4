//! What both sides of a call agree on: sign-in and bodies.

use filters::model::mapping::{FieldMapping, TransformationMode};
use serde::Serialize;
use serde_json::Value;

use super::markdown::{Markdown, code, plain};
use super::word;

/// One direction of bodies: how it is transformed.
pub(super) struct Body<'a> {
    pub(super) mode: Option<TransformationMode>,
    pub(super) mappings: &'a [FieldMapping],
    pub(super) script: Option<&'a str>,
    pub(super) sample: Option<&'a Value>,
}

/// How somebody signs in: the kind, and each setting of it but the secrets.
pub(super) fn sign_in(title: &str, kind: &impl Serialize, config: Option<&Value>, page: &mut Markdown) {
    page.heading(4, title);
    let mut rows = vec![vec!["Type".to_owned(), code(&word(kind))]];
    if let Some(config) = config {
        leaves(config, "", &mut rows);
    }
    page.table(&["Setting", "Value"], rows);
}

/// A transformation, field by field.
pub(super) fn transformation(body: &Body<'_>, page: &mut Markdown) {
    match body.mode {
        None => page.paragraph("The body is passed on as it comes."),
        Some(TransformationMode::Simple) => {
            let rows = body.mappings.iter().map(|mapping| {
                vec![
                    code(&mapping.target_field),
                    source(mapping),
                    steps(mapping),
                    if mapping.required { "yes" } else { "no" }.to_owned(),
                ]
            });
            page.table(&["Target field", "Source", "Changes", "Required"], rows);
        }
        Some(TransformationMode::Script) => {
            page.paragraph("The body is made by this script:");
            page.block("rust", body.script.unwrap_or_default());
        }
    }
    if let Some(sample) = body.sample {
        page.paragraph("A sample of what comes in:");
        page.block("json", &pretty(sample));
    }
}

/// JSON for people.
pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn source(mapping: &FieldMapping) -> String {
    let json = |value: &Value| code(&value.to_string());
    let from = match mapping {
        FieldMapping {
            source_field: Some(field),
            ..
        } => code(field),
        FieldMapping {
            template: Some(template),
            ..
        } => format!("template {}", code(template)),
        FieldMapping { value: Some(value), .. } => format!("always {}", json(value)),
        FieldMapping {
            concat: Some(concat), ..
        } => format!(
            "joined {}",
            serde_json::to_value(concat).map_or_else(|_| String::new(), |concat| json(&concat))
        ),
        _ => String::new(),
    };
    match &mapping.default_value {
        Some(default) => format!("{from}, else {}", json(default)),
        None => from,
    }
}

fn steps(mapping: &FieldMapping) -> String {
    let steps = mapping.transform.iter().filter_map(|step| {
        let step = serde_json::to_value(step).ok()?;
        step["type"].as_str().map(code)
    });
    let mut steps: Vec<String> = steps.collect();
    if mapping.when.is_some() {
        steps.push("only where a condition holds".to_owned());
    }
    if let Some(omit) = &mapping.omit_when {
        steps.push(format!("left out if {}", plain(&word(omit))));
    }
    steps.join(", ")
}

/// Each single value with its path. Masked ones show that they are there.
fn leaves(value: &Value, path: &str, rows: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                leaves(value, &path, rows);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{path}[{index}]"), rows);
            }
        }
        Value::String(text) if text == filters::model::secret::MASK => {
            rows.push(vec![code(path), "set, and kept secret".to_owned()]);
        }
        Value::String(text) => rows.push(vec![code(path), code(text)]),
        other => rows.push(vec![code(path), code(&other.to_string())]),
    }
}
