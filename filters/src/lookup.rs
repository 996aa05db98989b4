//! Lookup tables, ready to be asked. A table has its rows once, however many integrations use it and however many versions
//! of the configuration hold it unchanged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::model::Lookup;

/// The tables of one organization, by name.
pub type Tables = BTreeMap<Box<str>, Arc<Table>>;

/// A table.
#[derive(Debug)]
pub struct Table {
    source: Arc<Lookup>,
    digest: [u8; 32],
    /// For each column that is looked up in reverse: its rows in the order of that column.
    reversed: Mutex<Vec<Reversed>>,
}

/// A column (or the whole value), and the rows in its order.
type Reversed = (Option<Box<str>>, Arc<[u32]>);

impl Table {
    /// A table over `source`, whose content has this digest.
    pub fn new(source: Arc<Lookup>, digest: [u8; 32]) -> Self {
        Self {
            source,
            digest,
            reversed: Mutex::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.source.name
    }

    /// Digest of its content.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.source.entries.len()
    }

    /// True if it has no row.
    pub fn is_empty(&self) -> bool {
        self.source.entries.is_empty()
    }

    /// What `key` stands for; one column of it, where `column` is given.
    pub fn get(&self, key: &str, column: Option<&str>) -> Option<&Value> {
        let value = self.source.entries.get(key)?;
        match column {
            None => Some(value),
            Some(column) => value.get(column),
        }
    }

    /// The order of `column` (or of whole values), in which [`Self::key_of`] searches. It is made once.
    pub fn reversed(&self, column: Option<&str>) -> Arc<[u32]> {
        let mut known = self.reversed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, order)) = known.iter().find(|(other, _)| other.as_deref() == column) {
            return Arc::clone(order);
        }
        let rows = self.source.entries.rows();
        let mut order: Vec<u32> = (0..u32::try_from(rows.len()).unwrap_or(u32::MAX))
            .filter(|row| self.text_at(*row, column).is_some())
            .collect();
        // Stable: of several rows with the same value the first is found.
        order.sort_by_cached_key(|row| self.text_at(*row, column));
        let order: Arc<[u32]> = order.into();
        known.push((column.map(Into::into), Arc::clone(&order)));
        order
    }

    /// The key of the first row that has `text` in `column`, found by the order that [`Self::reversed`] gave for it.
    pub fn key_of(&self, text: &str, column: Option<&str>, order: &[u32]) -> Option<&str> {
        let at = order.partition_point(|row| self.text_at(*row, column).is_some_and(|found| *found < *text));
        let row = *order.get(at)?;
        self.text_at(row, column).filter(|found| **found == *text)?;
        let (key, _) = self.source.entries.rows().get(row as usize)?;
        Some(key)
    }

    fn text_at(&self, row: u32, column: Option<&str>) -> Option<std::borrow::Cow<'_, str>> {
        let (_, value) = self.source.entries.rows().get(row as usize)?;
        text_of(match column {
            None => value,
            Some(column) => value.get(column)?,
        })
    }
}

/// A text, number or boolean as the text that tables are searched with.
pub fn text_of(value: &Value) -> Option<std::borrow::Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(truth) => Some(if *truth { "true" } else { "false" }.into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(entries: &Value) -> Table {
        let lookup = json!({"id": "t", "orgId": 1, "name": "codes", "entries": entries});
        Table::new(Arc::new(serde_json::from_value(lookup).unwrap()), [0; 32])
    }

    #[test]
    fn keys_lead_to_values_and_values_back_to_the_first_key() {
        let table = table(&json!({"F": "female", "M": "male", "W": "female", "1": 1, "no": null}));
        assert_eq!(table.get("M", None), Some(&json!("male")));
        assert_eq!(table.get("X", None), None);
        let order = table.reversed(None);
        assert_eq!(table.key_of("female", None, &order), Some("F"));
        assert_eq!(table.key_of("male", None, &order), Some("M"));
        assert_eq!(table.key_of("1", None, &order), Some("1"));
        for absent in ["", "a", "femal", "zzz"] {
            assert_eq!(table.key_of(absent, None, &order), None, "{absent}");
        }
        assert!(Arc::ptr_eq(&order, &table.reversed(None)));
    }

    #[test]
    fn columns_are_looked_up_in_both_directions() {
        let table = table(&json!({"A01": {"name": "Typhoid", "group": 1}, "A02": {"name": "Other"}}));
        assert_eq!(table.get("A01", Some("name")), Some(&json!("Typhoid")));
        assert_eq!(table.get("A02", Some("group")), None);
        let order = table.reversed(Some("name"));
        assert_eq!(table.key_of("Other", Some("name"), &order), Some("A02"));
        assert_eq!(
            table.key_of("1", Some("group"), &table.reversed(Some("group"))),
            Some("A01")
        );
    }
}
