//! The fields of a JSON object or the items of a list, each as the text that it is: a payload is looked over, never read.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;
use serde_json::value::RawValue;

use super::fault::Faults;

/// The most fields of one event.
pub(super) const MOST_FIELDS: usize = 100;

/// The fields of an object, in their order. They are taken out one by one; what is left over is unknown.
#[derive(Debug, Default)]
pub(super) struct Fields<'b> {
    list: Vec<(Cow<'b, str>, &'b RawValue)>,
    /// The first name that is there twice.
    twice: Option<String>,
    too_many: bool,
}

impl<'b> Fields<'b> {
    /// The fields of the object `text`.
    ///
    /// # Errors
    /// That it is none, for people.
    pub(super) fn of(text: &'b str) -> Result<Self, String> {
        let fields: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Ok(fields)
    }

    /// Adds what is wrong with the object as such.
    pub(super) fn check(&self, faults: &mut Faults) {
        if let Some(name) = &self.twice {
            faults.invalid(name.clone(), "is there twice; give it once");
        }
        if self.too_many {
            faults.invalid("", format!("has more than {MOST_FIELDS} fields"));
        }
    }

    /// Takes a field out. Null counts as absent.
    pub(super) fn take(&mut self, name: &str) -> Option<&'b RawValue> {
        self.take_any(name).filter(|value| value.get() != "null")
    }

    /// Takes a field out for which null is a value.
    pub(super) fn take_any(&mut self, name: &str) -> Option<&'b RawValue> {
        let at = self.list.iter().position(|(found, _)| found == name)?;
        Some(self.list.swap_remove(at).1)
    }

    /// Takes a text out; a value of another kind is a fault.
    pub(super) fn text(&mut self, name: &'static str, faults: &mut Faults) -> Option<String> {
        let value = self.take(name)?;
        let text = serde_json::from_str(value.get());
        text.map_err(|_| faults.invalid(name, no_text(value))).ok()
    }

    /// Takes a whole number out; a value of another kind is a fault.
    pub(super) fn number<T: de::DeserializeOwned>(&mut self, name: &'static str, faults: &mut Faults) -> Option<T> {
        let value = self.take(name)?;
        let number = serde_json::from_str(value.get());
        number.map_err(|_| faults.invalid(name, no_number(value))).ok()
    }

    /// Takes true or false out; a value of another kind is a fault.
    pub(super) fn truth(&mut self, name: &'static str, faults: &mut Faults) -> Option<bool> {
        let value = self.take(name)?;
        let truth = serde_json::from_str(value.get());
        truth
            .map_err(|_| faults.invalid(name, format!("must be true or false, not {}", kind(value))))
            .ok()
    }

    /// True if it has a field of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.list.iter().any(|(found, _)| found == name)
    }

    /// What was not taken.
    pub(super) fn rest(self) -> impl Iterator<Item = (Cow<'b, str>, &'b RawValue)> {
        self.list.into_iter()
    }
}

impl<'de: 'b, 'b> Deserialize<'de> for Fields<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        #[derive(Deserialize)]
        struct Name<'b>(#[serde(borrow)] Cow<'b, str>);

        let mut fields = Fields::default();
        while let Some(Name(name)) = map.next_key()? {
            if fields.list.len() >= MOST_FIELDS {
                fields.too_many = true;
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if fields.has(&name) {
                fields.twice.get_or_insert_with(|| name.clone().into_owned());
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            fields.list.push((name, map.next_value()?));
        }
        Ok(fields)
    }
}

/// The items of a list: at most `most` of them, and how many there are.
#[derive(Debug)]
pub(super) struct Items<'b> {
    pub(super) list: Vec<&'b RawValue>,
    pub(super) count: usize,
}

impl<'b> Items<'b> {
    /// The items of the list `text`.
    ///
    /// # Errors
    /// That it is none, for people.
    pub(super) fn of(text: &'b str, most: usize) -> Result<Self, String> {
        let mut json = serde_json::Deserializer::from_str(text);
        let items = json.deserialize_seq(ItemsVisitor { most });
        items
            .and_then(|items| json.end().map(|()| items))
            .map_err(|error| error.to_string())
    }
}

struct ItemsVisitor {
    most: usize,
}

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Items<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items<'de>, A::Error> {
        let mut items = Items {
            list: Vec::new(),
            count: 0,
        };
        while items.list.len() < self.most {
            match seq.next_element()? {
                Some(item) => items.list.push(item),
                None => break,
            }
        }
        items.count = items.list.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            items.count += 1;
        }
        Ok(items)
    }
}

/// What kind of value a text is, for people. The value itself may be nobody's business.
pub(super) fn kind(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'"') => "a text",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// True for what JSON calls a string, even if its escapes make no Unicode.
pub(super) fn is_text(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

/// Why a value is no text, for people.
pub(super) fn no_text(value: &RawValue) -> String {
    if is_text(value) {
        return "must be Unicode; it holds one half of a surrogate pair".to_owned();
    }
    format!("must be a text, not {}", kind(value))
}

/// Why a value is not the whole number that is asked for, for people.
fn no_number(value: &RawValue) -> String {
    let digits = value.get().trim_start_matches('-');
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("{} is out of range", shown(value));
    }
    format!("must be a whole number, not {}", shown(value))
}

/// A number or a short text as it is, anything else by its kind.
fn shown(value: &RawValue) -> Cow<'static, str> {
    match serde_json::from_str(value.get()) {
        Ok(Value::Number(_) | Value::String(_)) if value.get().len() <= 40 => Cow::Owned(value.get().to_owned()),
        _ => Cow::Borrowed(kind(value)),
    }
}
