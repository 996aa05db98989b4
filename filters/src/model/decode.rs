//! Reads a document into a typed value and reports every problem of its shape, not just the first.
//!
//! serde stops at the first error. So the offending part is noted, mended or taken out of a copy, and the copy is read
//! again, until it reads or nothing more can be done. The repeated reading costs only those who send bad documents.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_path_to_error::{Path, Segment};

use super::problem::{Problem, join};

/// The most problems that one document reports; beyond them a longer list helps nobody.
const MOST_PROBLEMS: usize = 50;

/// Reads `value` as a `T`, adding every problem found, with paths below `path`. `None` if there was any.
pub fn from_value<T: DeserializeOwned>(value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<T> {
    // serde would read a list as the fields in their order, and nothing at all as a document without content.
    let found = match value {
        Value::Array(_) => Some("a list"),
        Value::Null => Some("nothing"),
        _ => None,
    };
    if let Some(found) = found {
        problems.push(Problem::new(
            path,
            format!("must be a mapping of fields to values, not {found}"),
        ));
        return None;
    }
    let mut error = match serde_path_to_error::deserialize::<_, T>(value) {
        Ok(read) => return Some(read),
        Err(error) => error,
    };
    let mut mending = Mending {
        document: value.clone(),
        filled: Vec::new(),
        taken: Vec::new(),
    };
    for _ in 0..MOST_PROBLEMS {
        let message = error.inner().to_string();
        if !mending.is_own_doing(error.path(), &message) {
            problems.push(Problem::new(join(path, &place_of(error.path())), message.clone()));
        }
        if !mending.mend(error.path(), &message) {
            return None;
        }
        match serde_path_to_error::deserialize::<_, T>(&mending.document) {
            Ok(_) => return None,
            Err(next) => error = next,
        }
    }
    None
}

/// Reads YAML or JSON text into a document.
///
/// # Errors
/// A problem without a path that names line and column.
pub fn from_text(text: &str) -> Result<Value, Problem> {
    if text.trim_start().starts_with(['{', '[']) {
        return serde_json::from_str(text).map_err(|error| Problem::new("", format!("not valid JSON: {error}")));
    }
    serde_saphyr::from_str_with_options(text, yaml_options())
        .map_err(|error| Problem::new("", format!("not valid YAML: {error}")))
}

fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        // As YAML 1.2 has it: `off` and `NO` are texts, only `true` and `false` are not.
        strict_booleans: true,
        // The lines around a mistake may hold secrets, and messages are logged.
        with_snippet: false,
        // Room for tens of thousands of integrations; aliases keep their own, tight limits.
        budget: serde_saphyr::budget! { max_nodes: 10_000_000, max_events: 20_000_000 },
    }
}

/// The copy that is mended, and what was put into it.
struct Mending {
    document: Value,
    /// Missing fields that were filled in, with the kind of value tried last.
    filled: Vec<(String, usize)>,
    /// Values that were reported and taken out.
    taken: Vec<String>,
}

impl Mending {
    /// True for an error about what was put in or taken out here.
    fn is_own_doing(&self, path: &Path, message: &str) -> bool {
        let place = match quoted_after(message, "missing field `") {
            Some(field) => join(&place_of(path), field),
            None => place_of(path),
        };
        self.taken.contains(&place) || self.filled.iter().any(|(filled, _)| *filled == place)
    }

    /// Mends the copy; false if nothing can be done, which ends the search.
    fn mend(&mut self, path: &Path, message: &str) -> bool {
        let segments: Vec<&Segment> = path.iter().collect();
        if let Some(field) = quoted_after(message, "missing field `") {
            return self.fill(&place_of(path), &segments, field);
        }
        let place = place_of(path);
        if let Some((parent, last)) = split_place(&segments)
            && self.filled.iter().any(|(filled, _)| *filled == place)
        {
            return self.fill(&place_of_segments(parent), parent, last);
        }
        if let Some(field) = quoted_after(message, "unknown field `") {
            let parents = match segments.split_last() {
                Some((Segment::Map { key }, parents)) if key == field => parents,
                _ => &segments,
            };
            return remove_key(step(&mut self.document, parents), field);
        }
        match segments.split_last() {
            Some((Segment::Map { key }, parents)) => {
                self.taken.push(place);
                remove_key(step(&mut self.document, parents), key)
            }
            Some((Segment::Seq { index }, parents)) => {
                self.taken.push(place);
                remove_item(step(&mut self.document, parents), *index)
            }
            _ => false,
        }
    }

    /// Puts a value into the missing field: of another kind at each call, until one fits.
    fn fill(&mut self, parent_place: &str, parent: &[&Segment], field: &str) -> bool {
        let kinds = [json!(""), json!(0), json!(true), json!([]), json!({})];
        let place = join(parent_place, field);
        let tried = match self.filled.iter_mut().find(|(filled, _)| *filled == place) {
            Some((_, tried)) => {
                *tried += 1;
                *tried
            }
            None => {
                self.filled.push((place, 0));
                0
            }
        };
        match (step(&mut self.document, parent), kinds.into_iter().nth(tried)) {
            (Some(Value::Object(fields)), Some(value)) => {
                fields.insert(field.to_owned(), value);
                true
            }
            _ => false,
        }
    }
}

fn split_place<'a>(segments: &'a [&'a Segment]) -> Option<(&'a [&'a Segment], &'a str)> {
    match segments.split_last() {
        Some((Segment::Map { key }, parent)) => Some((parent, key)),
        _ => None,
    }
}

fn place_of(path: &Path) -> String {
    place_of_segments(&path.iter().collect::<Vec<_>>())
}

fn place_of_segments(segments: &[&Segment]) -> String {
    segments.iter().fold(String::new(), |place, segment| match segment {
        Segment::Map { key } | Segment::Enum { variant: key } => join(&place, key),
        Segment::Seq { index } => format!("{place}[{index}]"),
        Segment::Unknown => place,
    })
}

fn remove_key(place: Option<&mut Value>, key: &str) -> bool {
    place
        .and_then(Value::as_object_mut)
        .is_some_and(|fields| fields.shift_remove(key).is_some())
}

fn remove_item(place: Option<&mut Value>, index: usize) -> bool {
    let Some(Value::Array(items)) = place else {
        return false;
    };
    if index >= items.len() {
        return false;
    }
    // Emptied rather than removed, so that the paths of later problems stay true. Where an empty item fits no better, the
    // whole list goes, so that what follows it is still read.
    if items[index].is_null() {
        items.clear();
    } else {
        items[index] = Value::Null;
    }
    true
}

fn step<'a>(place: &'a mut Value, path: &[&Segment]) -> Option<&'a mut Value> {
    path.iter().try_fold(place, |place, segment| match segment {
        Segment::Map { key } | Segment::Enum { variant: key } => place.get_mut(key),
        Segment::Seq { index } => place.get_mut(index),
        Segment::Unknown => Some(place),
    })
}

fn quoted_after<'a>(message: &'a str, intro: &str) -> Option<&'a str> {
    message.strip_prefix(intro)?.split('`').next()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[expect(dead_code, reason = "only the reading is of interest")]
    struct Sample {
        name: String,
        size: u32,
        items: Vec<Item>,
        flag: bool,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the reading is of interest")]
    struct Item {
        code: String,
    }

    #[test]
    fn every_problem_is_reported_at_once_with_its_path() {
        let document =
            json!({"name": 5, "items": [{"code": "a"}, {"code": 1, "colour": "red"}], "extra": 1, "flag": true});
        let mut problems = Vec::new();
        assert!(from_value::<Sample>(&document, "doc", &mut problems).is_none());
        let mut paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        paths.sort_unstable();
        assert!(paths.contains(&"doc.name"), "{problems:?}");
        assert!(paths.contains(&"doc.items[1].code"), "{problems:?}");
        assert!(
            paths.iter().any(|path| path.starts_with("doc.items[1]")),
            "{problems:?}"
        );
        assert!(
            problems.iter().any(|problem| problem.message.contains("`extra`")),
            "{problems:?}"
        );
        assert!(
            problems
                .iter()
                .any(|problem| problem.message.contains("missing field `size`")),
            "{problems:?}"
        );
    }

    #[test]
    fn a_bad_item_hides_nothing_behind_it_and_is_told_once() {
        let document = json!({"items": [{"code": "a"}, "b"], "name": 5, "size": "x", "flag": true});
        let mut problems = Vec::new();
        assert!(from_value::<Sample>(&document, "", &mut problems).is_none());
        let mut paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["items[1]", "name", "size"], "{problems:?}");
    }

    #[test]
    fn only_a_mapping_is_a_document() {
        for document in [json!([]), json!(["n", 1, [], true]), json!(null)] {
            let mut problems = Vec::new();
            assert!(
                from_value::<Sample>(&document, "doc", &mut problems).is_none(),
                "{document}"
            );
            assert!(problems[0].message.starts_with("must be a mapping"), "{problems:?}");
        }
    }

    #[test]
    fn a_good_document_reads() {
        let document = json!({"name": "n", "size": 1, "items": [], "flag": false});
        let mut problems = Vec::new();
        assert!(from_value::<Sample>(&document, "", &mut problems).is_some());
        assert!(problems.is_empty());
    }

    #[test]
    fn yaml_and_json_both_read() {
        assert_eq!(from_text("a: [1, 2]").unwrap(), json!({"a": [1, 2]}));
        assert_eq!(from_text("{\"a\": [1, 2]}").unwrap(), json!({"a": [1, 2]}));
        assert!(from_text("{\"a\": ").unwrap_err().message.contains("line 1"));
    }

    #[test]
    fn yaml_words_that_look_like_switches_are_texts() {
        assert_eq!(
            from_text("a: off\nb: NO\nc: true").unwrap(),
            json!({"a": "off", "b": "NO", "c": true})
        );
    }

    #[test]
    fn an_error_shows_nothing_of_the_lines_around_it() {
        let problem = from_text("token: hunter2\nname: [").unwrap_err();
        assert!(!problem.message.contains("hunter2"), "{problem}");
    }

    #[test]
    fn a_large_document_reads() {
        let text = "- {a: 1, b: 2}\n".repeat(60_000);
        assert_eq!(from_text(&text).unwrap().as_array().map(Vec::len), Some(60_000));
    }
}
