//! `${NAME}` in the texts of a document, replaced by what `--set NAME=VALUE` says.
//!
//! Replacement happens after parsing, so that a value can never change the structure of a document. The environment is
//! not looked at: a file means the same on every machine. Scripts are left alone, as `${...}` is theirs too.

use std::collections::BTreeMap;

use filters::model::Problem;
use filters::model::problem::join;
use serde_json::Value;

/// What `--set` gave, by name.
pub(super) type Settings = BTreeMap<String, String>;

/// Reads the argument of `--set`.
pub(super) fn parse_setting(argument: &str) -> Result<(String, String), String> {
    let (name, value) = argument
        .split_once('=')
        .ok_or_else(|| "must have the form NAME=VALUE".to_owned())?;
    if is_name(name) {
        Ok((name.to_owned(), value.to_owned()))
    } else {
        Err(format!(
            "the name {name:?} must be upper case letters, digits and underscores, starting with a letter"
        ))
    }
}

/// Replaces every placeholder in the texts of `document`; one without a setting and without a default is a problem.
pub(super) fn fill(document: &mut Value, settings: &Settings, problems: &mut Vec<Problem>) {
    fill_below(document, "", settings, problems);
}

/// Writes the texts of `document` so that [`fill`] makes of them what they are.
pub(super) fn escape(document: &mut Value) {
    match document {
        Value::String(text) if text.contains("${") => *text = escaped(text),
        Value::Object(fields) => {
            let texts = fields.iter_mut().filter(|(name, _)| !is_script(name));
            texts.for_each(|(_, field)| escape(field));
        }
        Value::Array(items) => items.iter_mut().for_each(escape),
        _ => {}
    }
}

/// The text with another `$` before each placeholder, and before each that has one already.
fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len() + 1);
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        let Some((inside, after)) = from[2..].split_once('}') else {
            break;
        };
        let name = inside.split_once(":-").map_or(inside, |(name, _)| name);
        result.push_str(before);
        if is_name(name) || before.ends_with('$') {
            result.push('$');
        }
        result.push_str(&from[..inside.len() + 3]);
        rest = after;
    }
    result.push_str(rest);
    result
}

fn fill_below(value: &mut Value, path: &str, settings: &Settings, problems: &mut Vec<Problem>) {
    match value {
        Value::String(text) if text.contains("${") => match filled(text, settings) {
            Ok(new) => *text = new,
            Err(name) => problems.push(Problem::new(
                path,
                format!("${{{name}}} has no value; give it with --set {name}=VALUE"),
            )),
        },
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut().filter(|(name, _)| !is_script(name)) {
                fill_below(field, &join(path, name), settings, problems);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                fill_below(item, &format!("{path}[{index}]"), settings, problems);
            }
        }
        _ => {}
    }
}

/// The text with its placeholders replaced, or the name of the first one that has no value.
fn filled(text: &str, settings: &Settings) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        let Some((inside, after)) = from[2..].split_once('}') else {
            break;
        };
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if let Some(escaped) = before.strip_suffix('$') {
            result.push_str(escaped);
            result.push_str(&from[..inside.len() + 3]);
        } else if is_name(name) {
            let value = settings.get(name).map(String::as_str).or(default);
            result.push_str(before);
            result.push_str(value.ok_or(name)?);
        } else {
            result.push_str(before);
            result.push_str(&from[..inside.len() + 3]);
        }
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

fn is_script(field: &str) -> bool {
    matches!(field, "requestTransformScript" | "responseTransformScript")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(pairs: &[&str]) -> Settings {
        pairs.iter().map(|pair| parse_setting(pair).unwrap()).collect()
    }

    #[test]
    fn placeholders_are_replaced_in_texts_only_and_scripts_stay() {
        let mut document = json!({"a": ["${HOST}/x/${HOST}", 5], "b": {"requestTransformScript": "`${HOST}`"}});
        let mut problems = Vec::new();
        fill(&mut document, &settings(&["HOST=http://h"]), &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(
            document,
            json!({"a": ["http://h/x/http://h", 5], "b": {"requestTransformScript": "`${HOST}`"}})
        );
    }

    #[test]
    fn a_placeholder_without_a_value_is_a_problem_at_its_path() {
        let mut document = json!({"integrations": [{"targetUrl": "${PARTNER}/v1"}]});
        let mut problems = Vec::new();
        fill(&mut document, &Settings::new(), &mut problems);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].path, "integrations[0].targetUrl");
        assert!(problems[0].message.contains("--set PARTNER=VALUE"), "{}", problems[0]);
    }

    #[test]
    fn defaults_escapes_and_other_dollars() {
        let given = settings(&["A=1"]);
        for (text, expected) in [
            ("${A:-2}", "1"),
            ("${B:-http://x:90}/y", "http://x:90/y"),
            ("${B:-}", ""),
            ("$${A}", "${A}"),
            ("${lower} $5 ${A", "${lower} $5 ${A"),
        ] {
            assert_eq!(filled(text, &given).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_was_escaped_is_filled_to_what_it_was() {
        for text in [
            "${A}",
            "$${A}",
            "$$${A:-x}",
            "a ${lower} $5 ${A",
            "${A}${B}",
            "$${lower}",
            "${A:-${B}}",
            "$",
        ] {
            let mut document = json!({"a": [text], "requestTransformScript": text});
            let original = document.clone();
            escape(&mut document);
            let mut problems = Vec::new();
            fill(&mut document, &Settings::new(), &mut problems);
            assert!(problems.is_empty(), "{text}: {problems:?}");
            assert_eq!(document, original, "{text}");
        }
    }

    #[test]
    fn a_value_is_not_looked_at_again() {
        assert_eq!(filled("${A}", &settings(&["A=${B}"])).unwrap(), "${B}");
    }

    #[test]
    fn a_setting_without_a_proper_name_is_refused() {
        assert!(parse_setting("novalue").is_err());
        assert!(parse_setting("lower=x").is_err());
        assert_eq!(parse_setting("A=b=c").unwrap(), ("A".to_owned(), "b=c".to_owned()));
    }
}
