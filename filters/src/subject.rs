//! Looking for a person in what is kept: at the places of payloads that an organization names, or everywhere.

use serde_json::Value;

use crate::model::Problem;
use crate::model::subject::{Finder, Subject, SubjectPath};
use crate::transform::path::{FieldPath, Step, resolve_lenient};

/// Tells what names a person.
///
/// A JSON payload that paths are about names them if a value at one of these does. Everything else names them if they
/// stand anywhere in it; unless it is to be looked at the paths only.
#[derive(Clone, Debug)]
pub struct Search {
    finder: Finder,
    places: Vec<Place>,
    only_places: bool,
}

#[derive(Clone, Debug)]
struct Place {
    path: FieldPath,
    event_type: Option<Box<str>>,
}

/// Why nobody can be looked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// The hash is none.
    #[error("the hash of the subject is none")]
    Hash,
    /// A path is none.
    #[error("{path:?} is no path: {reason}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Search {
    /// Looks for `subject` at `paths` and, unless `only_paths`, wherever none of them says where.
    ///
    /// # Errors
    /// If the subject's hash or one of the paths is none.
    pub fn new(subject: &Subject, paths: &[SubjectPath], only_paths: bool) -> Result<Self, SearchError> {
        let places = paths.iter().map(|place| {
            let path = FieldPath::parse(&place.path).map_err(|reason| SearchError::Path {
                path: place.path.clone(),
                reason,
            })?;
            let event_type = place.event_type.as_deref().map(Box::from);
            Ok(Place { path, event_type })
        });
        Ok(Self {
            finder: subject.finder().ok_or(SearchError::Hash)?,
            places: places.collect::<Result<_, _>>()?,
            only_places: only_paths,
        })
    }

    /// True if a JSON payload names the person: of an event of `event_type`, or of a call without one.
    pub fn is_in(&self, event_type: Option<&str>, payload: &Value) -> bool {
        let is_about = |place: &&Place| {
            let wanted = place.event_type.as_deref();
            wanted.is_none() || wanted == event_type
        };
        let mut places = self.places.iter().filter(is_about).peekable();
        // A text has no places: it is the payload of another kind, or a part of one.
        if places.peek().is_none() || payload.is_string() {
            return self.is_anywhere_in(payload);
        }
        places.any(|place| self.is_at(payload, place.path.segments()))
    }

    /// The same of a payload as it came: JSON, or a text of another kind.
    pub fn is_in_payload(&self, event_type: Option<&str>, payload: &[u8]) -> bool {
        match serde_json::from_slice(payload) {
            Ok(value) => self.is_in(event_type, &value),
            Err(_) => self.is_in_text(&String::from_utf8_lossy(payload)),
        }
    }

    /// True if something that is no payload, as an address or an error, names the person.
    pub fn is_in_text(&self, text: &str) -> bool {
        !self.only_places && self.finder.is_in_text(text)
    }

    /// The same of several texts, numbers or names of fields.
    pub fn is_anywhere_in(&self, value: &Value) -> bool {
        !self.only_places && self.finder.is_in(value)
    }

    /// True if `text`, in something that names the person, is or has what they are known by.
    pub fn is_name_in(&self, text: &str) -> bool {
        self.finder.is_in_text(text)
    }

    fn is_at(&self, value: &Value, segments: &[Vec<Step>]) -> bool {
        let Some((steps, rest)) = segments.split_first() else {
            return false;
        };
        match (resolve_lenient(value, steps), rest) {
            (None, _) => false,
            (Some(found), []) => self.finder.is_in(found),
            (Some(Value::Array(items)), rest) => items.iter().any(|item| self.is_at(item, rest)),
            (Some(single), rest) => self.is_at(single, rest),
        }
    }
}

/// Adds what is wrong with the paths of an organization, which stand at `at`.
pub(crate) fn check(paths: &[SubjectPath], at: &str, problems: &mut Vec<Problem>) {
    if paths.len() > MOST_PATHS {
        let message = format!("holds {} entries; at most {MOST_PATHS} are allowed", paths.len());
        problems.push(Problem::new(at, message));
    }
    for (index, place) in paths.iter().take(MOST_PATHS).enumerate() {
        if let Err(message) = FieldPath::parse(&place.path) {
            problems.push(Problem::new(format!("{at}[{index}].path"), message));
        }
        if place.event_type.as_deref().is_some_and(|name| name.trim().is_empty()) {
            let message = "must name a type of events, as `bill.generated`; leave it out for all payloads";
            problems.push(Problem::new(format!("{at}[{index}].eventType"), message));
        }
    }
}

const MOST_PATHS: usize = 100;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_short_number_is_found_at_its_places_only() {
        let search = search("7", &[("patient.mrn", None), ("items[].patientId", Some("bill"))], true);
        for (event_type, found) in [
            ("bill", json!({"patient": {"mrn": 7}, "total": 1})),
            ("bill", json!({"patient": {"mrn": "7"}})),
            ("bill", json!({"items": [{"patientId": 1}, {"patientId": "7"}]})),
            ("bill", json!({"items": {"patientId": 7}})),
            ("visit", json!({"patient": {"mrn": ["6", "7"]}})),
            ("visit", json!({"patient": {"mrn": "Patient/7"}})),
        ] {
            assert!(search.is_in(Some(event_type), &found), "{found}");
        }
        for (event_type, other) in [
            ("bill", json!({"patient": {"mrn": 70}, "total": 7, "ward": "7"})),
            ("bill", json!({"patient": {"mrn": 7.5}})),
            ("visit", json!({"items": [{"patientId": 7}]})),
            ("bill", json!({"items": [7, null], "patient": "7"})),
            ("bill", json!("7")),
            ("bill", json!(null)),
        ] {
            assert!(!search.is_in(Some(event_type), &other), "{other}");
        }
        assert!(search.is_in_payload(Some("bill"), br#"{"patient": {"mrn": 7}}"#));
        assert!(!search.is_in_payload(Some("bill"), b"<mrn>7</mrn>"));
        assert!(!search.is_in_text("/wards/7") && search.is_name_in("/wards/7"));
    }

    #[test]
    fn what_no_path_is_about_is_searched_as_a_whole() {
        let search = search("MRN-4711", &[("patient.mrn", Some("bill"))], false);
        let elsewhere = json!({"note": "of MRN-4711"});
        assert!(!search.is_in(Some("bill"), &elsewhere), "its paths say where to look");
        assert!(search.is_in(Some("visit"), &elsewhere) && search.is_in(None, &elsewhere));
        assert!(search.is_in(Some("bill"), &json!("<mrn>MRN-4711</mrn>")));
        assert!(search.is_in_text("/patients/MRN-4711"));
    }

    #[test]
    fn what_cannot_be_looked_for_says_so() {
        let subject = Subject::new("7", "salt");
        let none = Subject {
            hash: "none".to_owned(),
            ..subject.clone()
        };
        assert_eq!(Search::new(&none, &[], false).unwrap_err(), SearchError::Hash);
        let error = Search::new(&subject, &paths(&[("a..b", None)]), false).unwrap_err();
        assert!(error.to_string().contains("\"a..b\" is no path"), "{error}");
    }

    #[test]
    fn bad_paths_of_an_organization_are_told_at_their_place() {
        let mut problems = Vec::new();
        let wrong = paths(&[("patient.mrn", Some(" ")), ("items[", None)]);
        check(&wrong, "subjectPaths", &mut problems);
        let told: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(told, ["subjectPaths[0].eventType", "subjectPaths[1].path"]);
        problems.clear();
        check(&vec![wrong[0].clone(); 101], "subjectPaths", &mut problems);
        assert!(problems[0].message.contains("at most 100"), "{problems:?}");
    }

    fn search(name: &str, places: &[(&str, Option<&str>)], only: bool) -> Search {
        Search::new(&Subject::new(name, "salt"), &paths(places), only).unwrap()
    }

    fn paths(places: &[(&str, Option<&str>)]) -> Vec<SubjectPath> {
        let paths = places.iter().map(|(path, event_type)| SubjectPath {
            path: (*path).to_owned(),
            event_type: event_type.map(str::to_owned),
        });
        paths.collect()
    }
}
