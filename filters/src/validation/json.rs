//! JSON that reads the same everywhere: of a name that is there twice, programs disagree which value counts, so that a
//! check here would say nothing of what the partner reads.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads `text`.
///
/// # Errors
/// Why it is not JSON, or that a name is there twice in an object. Nothing of the values is told.
pub(super) fn read(text: &[u8]) -> Result<Value, String> {
    match serde_json::from_slice::<Strict>(text) {
        Ok(Strict(value)) => Ok(value),
        Err(error) if error.is_data() => Err(format!(
            "holds an object with a name that is there twice, at line {} column {}",
            error.line(),
            error.column()
        )),
        Err(error) => Err(format!(
            "is not JSON that can be read: wrong at line {} column {}",
            error.line(),
            error.column()
        )),
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some((name, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if fields.insert(name, value).is_some() {
                return Err(de::Error::custom("a name is there twice"));
            }
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_serde_reads_is_read_the_same() {
        for text in [
            r#"{"a": [1, -2, 2.5, true, null, "x", {"b": {}}], "c": 18446744073709551615}"#,
            "[]",
            "\"\\u00e9\"",
            " 1e3 ",
        ] {
            let expected: Value = serde_json::from_str(text).unwrap();
            assert_eq!(read(text.as_bytes()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_name_that_is_there_twice_is_refused_at_each_depth() {
        for text in [r#"{"a": 1, "a": 2}"#, r#"[{"b": {"SECRET": 1, "SECRET": 1}}]"#] {
            let told = read(text.as_bytes()).unwrap_err();
            assert!(told.contains("twice") && !told.contains("SECRET"), "{told}");
        }
        assert_eq!(read(br#"[{"a": 1}, {"a": 1}]"#).unwrap(), json!([{"a": 1}, {"a": 1}]));
    }

    #[test]
    fn what_is_not_json_is_told_with_its_place() {
        let told = read(b"{\"a\":\n SECRET}").unwrap_err();
        assert!(told.contains("line 2") && !told.contains("SECRET"), "{told}");
        assert!(read(&b"[".repeat(200)).is_err());
        assert!(read(b"").is_err());
        assert!(read(b"{} {}").is_err());
        assert!(read(b"\"\xff\"").is_err());
    }
}
