//! A person whose payloads are to be removed, named by a salted hash: whoever keeps or passes on the order to remove them
//! keeps no name of theirs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// What a person is known by in payloads, as an identifier or an e-mail address, hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subject {
    /// What is hashed before it.
    pub salt: String,
    /// SHA-256 of both: 64 hexadecimal digits.
    pub hash: String,
}

/// Where the identifiers of persons stand in payloads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubjectPath {
    /// The place, as `patient.mrn` or `items[].patientId`.
    pub path: String,
    /// Only in payloads of events of this type; in all payloads if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
}

/// Looks for a person.
#[derive(Clone, Debug)]
pub struct Finder {
    salted: Sha256,
    hash: [u8; 32],
}

impl Subject {
    /// The person who is known by `name`.
    pub fn new(name: &str, salt: &str) -> Self {
        let digest = Sha256::new().chain_update(salt).chain_update(name).finalize();
        Self {
            salt: salt.to_owned(),
            hash: hex::encode(digest),
        }
    }

    /// What looks for them; `None` if the hash is none.
    pub fn finder(&self) -> Option<Finder> {
        let mut hash = [0; 32];
        hex::decode_to_slice(&self.hash, &mut hash).ok()?;
        Some(Finder {
            salted: Sha256::new().chain_update(&self.salt),
            hash,
        })
    }
}

impl Finder {
    /// True if a text, number or name of a field in `value` is the person's name, or a text has it as a word.
    pub fn is_in(&self, value: &Value) -> bool {
        match value {
            Value::Null | Value::Bool(_) => false,
            Value::Number(number) => self.is(&number.to_string()),
            Value::String(text) => self.is_in_text(text),
            Value::Array(items) => items.iter().any(|item| self.is_in(item)),
            Value::Object(fields) => fields
                .iter()
                .any(|(name, value)| self.is_in_text(name) || self.is_in(value)),
        }
    }

    /// True if `text` is the person's name or has it as a word: between other characters than letters, digits, `-`, `_`,
    /// `.` and `@`, or with some of those four before or after it.
    pub fn is_in_text(&self, text: &str) -> bool {
        let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.' | '@');
        self.is(text)
            || text.split(|letter| !is_part(letter)).any(|word| {
                let bare = word.trim_matches(['-', '_', '.', '@']);
                word.len() < text.len() && self.is(word) || bare.len() < word.len() && self.is(bare)
            })
    }

    /// The same in a payload: JSON, or a text of another kind.
    pub fn is_in_payload(&self, payload: &[u8]) -> bool {
        match serde_json::from_slice(payload) {
            Ok(value) => self.is_in(&value),
            Err(_) => self.is_in_text(&String::from_utf8_lossy(payload)),
        }
    }

    fn is(&self, text: &str) -> bool {
        !text.is_empty() && self.salted.clone().chain_update(text).finalize().as_slice() == self.hash
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_person_is_found_as_a_value_or_a_word() {
        let finder = Subject::new("MRN-4711", "salt").finder().unwrap();
        for found in [
            json!("MRN-4711"),
            json!({"patient": {"ids": ["x", "MRN-4711"]}}),
            json!({"MRN-4711": true}),
            json!("seen: MRN-4711."),
            json!("/patients/MRN-4711/labs?x=1"),
        ] {
            assert!(finder.is_in(&found), "{found}");
        }
        for other in [
            json!("MRN-47112"),
            json!("xMRN-4711"),
            json!(4711),
            json!(null),
            json!({"a": []}),
        ] {
            assert!(!finder.is_in(&other), "{other}");
        }
        let number = Subject::new("4711", "salt").finder().unwrap();
        assert!(number.is_in(&json!({"n": 4711})) && number.is_in(&json!("4711")));
        assert!(!number.is_in(&json!("MRN-4711")));
        assert!(number.is_in_payload(b"<patient id=\"4711\"/>") && number.is_in_payload(b"[4711]"));
        assert!(!number.is_in_payload(b"\xff\xfe") && !number.is_in_payload(b""));
    }

    #[test]
    fn a_subject_does_not_hold_the_name_and_is_another_one_with_another_salt() {
        let subject = Subject::new("MRN-4711", "one");
        assert!(!serde_json::to_string(&subject).unwrap().contains("4711"));
        assert_ne!(subject.hash, Subject::new("MRN-4711", "two").hash);
    }
}
