//! The rows of a lookup table.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Rows in the order of their keys, each key once. In JSON they are the fields of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entries(Box<[(Box<str>, Value)]>);

impl Entries {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let at = self.0.binary_search_by(|(other, _)| (**other).cmp(key)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// All rows.
    pub fn rows(&self) -> &[(Box<str>, Value)] {
        &self.0
    }

    /// Gives `key` this value.
    pub fn set(&mut self, key: &str, value: Value) {
        let mut rows = std::mem::take(&mut self.0).into_vec();
        match rows.binary_search_by(|(other, _)| (**other).cmp(key)) {
            Ok(at) => rows[at].1 = value,
            Err(at) => rows.insert(at, (key.into(), value)),
        }
        self.0 = rows.into();
    }

    /// Removes the row of `key`; false if there is none.
    pub fn remove(&mut self, key: &str) -> bool {
        let Ok(at) = self.0.binary_search_by(|(other, _)| (**other).cmp(key)) else {
            return false;
        };
        let mut rows = std::mem::take(&mut self.0).into_vec();
        rows.remove(at);
        self.0 = rows.into();
        true
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Of several rows with the same key the last one counts.
impl FromIterator<(Box<str>, Value)> for Entries {
    fn from_iter<I: IntoIterator<Item = (Box<str>, Value)>>(rows: I) -> Self {
        let mut rows: Vec<(Box<str>, Value)> = rows.into_iter().collect();
        rows.reverse();
        // Stable: the last row of each key is the first one now, and stays.
        rows.sort_by(|(one, _), (other, _)| one.cmp(other));
        rows.dedup_by(|(later, _), (first, _)| later == first);
        Self(rows.into())
    }
}

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Rows)
    }
}

struct Rows;

impl<'de> Visitor<'de> for Rows {
    type Value = Entries;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of keys and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut rows: Vec<(Box<str>, Value)> = Vec::new();
        while let Some(row) = map.next_entry::<Box<str>, Value>()? {
            rows.push(row);
        }
        rows.sort_by(|(one, _), (other, _)| one.cmp(other));
        if let Some(pair) = rows.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(A::Error::custom(format_args!("the key {:?} is there twice", pair[0].0)));
        }
        Ok(Entries(rows.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_kept_in_the_order_of_their_keys() {
        let entries: Entries = serde_json::from_str(r#"{"b": 1, "a": {"x": 2}, "": null}"#).unwrap();
        assert_eq!(entries.get("b"), Some(&Value::from(1)));
        assert_eq!(entries.get("c"), None);
        assert_eq!(
            serde_json::to_string(&entries).unwrap(),
            r#"{"":null,"a":{"x":2},"b":1}"#
        );
    }

    #[test]
    fn rows_are_set_and_removed_in_their_place() {
        let rows = [("b", 1), ("a", 2), ("b", 3)];
        let mut entries: Entries = rows
            .iter()
            .map(|(key, value)| ((*key).into(), Value::from(*value)))
            .collect();
        assert_eq!(serde_json::to_string(&entries).unwrap(), r#"{"a":2,"b":3}"#);
        entries.set("aa", 4.into());
        entries.set("b", 5.into());
        assert!(entries.remove("a") && !entries.remove("a"));
        assert_eq!(serde_json::to_string(&entries).unwrap(), r#"{"aa":4,"b":5}"#);
        assert_eq!(entries.get("aa"), Some(&Value::from(4)));
    }

    #[test]
    fn a_key_is_there_once() {
        let fault = serde_json::from_str::<Entries>(r#"{"a": 1, "b": 2, "a": 3}"#).unwrap_err();
        assert!(fault.to_string().contains(r#"the key "a" is there twice"#), "{fault}");
    }
}
