//! Paths of fields: `patient.name`, `items[0].code`, `items[].code`, `telecom[system=phone].value`.

use serde_json::Value;

/// The most steps of a path: names, places and `[]` together.
pub(crate) const MAX_DEPTH: usize = 32;

/// A path, cut at each `[]`: `items[].code` has the segments `items` and `code`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldPath {
    text: Box<str>,
    segments: Vec<Vec<Step>>,
}

/// One step down from a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// To a field of an object.
    Field(Box<str>),
    /// To a place of a list.
    Place(usize),
    /// To a place counted from the end of a list, from 1.
    FromEnd(usize),
    /// To the first item of a list whose field has this value, given as text.
    Where(Box<str>, Box<str>),
}

impl FieldPath {
    /// Parses `text`.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the path is empty: name a field, such as `patient.name`".to_owned());
        }
        Self::parse_rest(text, text, true)
    }

    /// Parses what follows the root in `text`: `rest` is empty, or starts with a `.` or a `[`.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(crate) fn below_root(text: &str, rest: &str) -> Result<Self, String> {
        Self::parse_rest(text, rest, false)
    }

    fn parse_rest(text: &str, rest: &str, mut first: bool) -> Result<Self, String> {
        if text.chars().any(char::is_control) {
            return Err("the path has a control character in it".to_owned());
        }
        let mut segments = vec![Vec::new()];
        let mut depth = 0;
        let mut rest = rest;
        while !rest.is_empty() {
            rest = if rest.starts_with('[') {
                bracket(rest, &mut segments).map_err(|fault| format!("`{text}`: {fault}"))?
            } else {
                name(rest, first, &mut segments).map_err(|fault| format!("`{text}`: {fault}"))?
            };
            first = false;
            depth += 1;
            if depth > MAX_DEPTH {
                return Err(format!("the path has more than {MAX_DEPTH} steps"));
            }
        }
        Ok(Self {
            text: text.into(),
            segments,
        })
    }

    /// How many `[]` it has.
    pub(crate) fn lists(&self) -> usize {
        self.segments.len() - 1
    }

    /// The parts between the `[]`, one more than there are of these.
    pub(crate) fn segments(&self) -> &[Vec<Step>] {
        &self.segments
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The first step that picks an item of what is there, as no target can.
    pub(crate) fn picks(&self) -> bool {
        let mut steps = self.segments.iter().flatten();
        steps.any(|step| matches!(step, Step::FromEnd(_) | Step::Where(..)))
    }

    /// The text with the places of the items in the lists: `lines[2].sku`.
    pub(crate) fn at(&self, places: &[usize]) -> String {
        let mut parts = self.text.split("[]");
        let mut shown = parts.next().unwrap_or_default().to_owned();
        let mut places = places.iter();
        for part in parts {
            match places.next() {
                Some(place) => shown.push_str(&format!("[{place}]")),
                None => shown.push_str("[]"),
            }
            shown.push_str(part);
        }
        shown
    }

    /// The text up to the `[]` number `list` (from 0), without it, with the places of the items in the lists before.
    pub(crate) fn list_at(&self, list: usize, places: &[usize]) -> String {
        let end = self
            .text
            .match_indices("[]")
            .nth(list)
            .map_or(self.text.len(), |(at, _)| at);
        let head = Self {
            text: self.text[..end].into(),
            segments: Vec::new(),
        };
        match head.at(places) {
            root if root.is_empty() => "the body".to_owned(),
            shown => shown,
        }
    }
}

/// The value that `steps` lead to. A step that does not fit the value (a field of a text) leads nowhere.
pub(crate) fn resolve<'a>(value: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    steps.iter().try_fold(value, |value, step| match (step, value) {
        (Step::Field(name), Value::Object(fields)) => fields.get(&**name),
        (step, Value::Array(items)) => pick(step, items),
        _ => None,
    })
}

/// The same in a document that does not tell a list of one item from the item, as XML and forms do not.
pub(crate) fn resolve_lenient<'a>(value: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    steps.iter().try_fold(value, |value, step| match (step, value) {
        (Step::Field(name), Value::Object(fields)) => fields.get(&**name),
        (step, Value::Array(items)) => pick(step, items),
        (Step::Field(_), _) => None,
        (step, single) => pick(step, std::slice::from_ref(single)),
    })
}

fn pick<'a>(step: &Step, items: &'a [Value]) -> Option<&'a Value> {
    match step {
        Step::Field(_) => None,
        Step::Place(place) => items.get(*place),
        Step::FromEnd(place) => items.get(items.len().checked_sub(*place)?),
        Step::Where(name, wanted) => items
            .iter()
            .find(|item| item.get(&**name).is_some_and(|found| is_text(found, wanted))),
    }
}

/// True if `value` is written as `text`.
fn is_text(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found == text,
        Value::Number(number) => number.to_string() == text,
        Value::Bool(truth) => text == if *truth { "true" } else { "false" },
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Takes a bracket off the front: `[]`, `[7]`, `[-1]`, `[system=phone]` or `["a.name"]`.
fn bracket<'a>(rest: &'a str, segments: &mut Vec<Vec<Step>>) -> Result<&'a str, String> {
    let (inside, after) = rest[1..]
        .split_once(']')
        .ok_or_else(|| "a `[` is not closed".to_owned())?;
    if inside.is_empty() {
        segments.push(Vec::new());
    } else {
        push(segments, step(inside)?);
    }
    if after.is_empty() || after.starts_with(['.', '[']) {
        Ok(after)
    } else {
        Err(format!("a `.` is missing before `{after}`"))
    }
}

fn step(inside: &str) -> Result<Step, String> {
    if let Some(quoted) = inside.strip_prefix('"') {
        let name = quoted.strip_suffix('"').filter(|name| !name.is_empty());
        return name
            .map(|name| Step::Field(name.into()))
            .ok_or_else(|| format!("`[{inside}]` must be a name in quotes, as in `[\"address.city\"]`"));
    }
    if let Some((name, value)) = inside.split_once('=') {
        if name.is_empty() || value.is_empty() || name.contains(['.', '[']) {
            return Err(format!(
                "`[{inside}]` must be a field of the items and the value it has, as in `[system=phone]`"
            ));
        }
        return Ok(Step::Where(name.into(), value.into()));
    }
    let number = |digits: &str| {
        let place: Option<usize> = digits.parse().ok();
        place.filter(|place| *place <= MAX_PLACE && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let found = match inside.strip_prefix('-') {
        Some(digits) => number(digits).filter(|place| *place > 0).map(Step::FromEnd),
        None => number(inside).map(Step::Place),
    };
    found.ok_or_else(|| {
        format!(
            "`[{inside}]` must be `[]` for each item, a place from `[0]` to `[{MAX_PLACE}]` (or `[-1]` for the last), or \
             `[field=value]` for the first item with that value"
        )
    })
}

/// Takes a name off the front, with the dot before it.
fn name<'a>(rest: &'a str, first: bool, segments: &mut Vec<Vec<Step>>) -> Result<&'a str, String> {
    let rest = if first {
        rest
    } else {
        rest.strip_prefix('.').unwrap_or(rest)
    };
    let end = rest.find(['.', '[', ']']).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    if name.is_empty() {
        return Err("a name is missing: names are parted by single dots, with none at the ends".to_owned());
    }
    if after.starts_with(']') {
        return Err("a `]` has no `[` before it".to_owned());
    }
    push(segments, Step::Field(name.into()));
    Ok(after)
}

fn push(segments: &mut Vec<Vec<Step>>, step: Step) {
    match segments.last_mut() {
        Some(segment) => segment.push(step),
        None => segments.push(vec![step]),
    }
}

const MAX_PLACE: usize = 9_999;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(name: &str) -> Step {
        Step::Field(name.into())
    }

    #[test]
    fn paths_are_cut_at_each_list() {
        let path = FieldPath::parse("orders[].items[0].tests[].code").unwrap();
        assert_eq!(path.lists(), 2);
        assert_eq!(
            path.segments(),
            [
                vec![field("orders")],
                vec![field("items"), Step::Place(0), field("tests")],
                vec![field("code")]
            ]
        );
        assert_eq!(path.at(&[3, 4]), "orders[3].items[0].tests[4].code");
        assert_eq!(path.list_at(1, &[3]), "orders[3].items[0].tests");
    }

    #[test]
    fn items_are_picked_by_place_from_the_end_and_by_value() {
        let body =
            json!({"telecom": [{"system": "phone", "value": "1"}, {"system": 5, "value": "2"}], "a.b": {"c": 3}});
        let found = |text: &str| {
            let path = FieldPath::parse(text).unwrap();
            resolve(&body, &path.segments()[0]).cloned().unwrap_or_default()
        };
        for (text, expected) in [
            ("telecom[system=phone].value", json!("1")),
            ("telecom[system=5].value", json!("2")),
            ("telecom[system=fax].value", json!(null)),
            ("telecom[-1].value", json!("2")),
            ("telecom[-3].value", json!(null)),
            ("[\"a.b\"].c", json!(3)),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn a_single_item_counts_as_a_list_where_the_document_cannot_tell() {
        let body = json!({"line": {"code": "a", "kind": "x"}});
        for text in ["line[0].code", "line[-1].code", "line[kind=x].code"] {
            let path = FieldPath::parse(text).unwrap();
            assert_eq!(resolve(&body, &path.segments()[0]), None, "{text}");
            assert_eq!(resolve_lenient(&body, &path.segments()[0]), Some(&json!("a")), "{text}");
        }
        let second = FieldPath::parse("line[1].code").unwrap();
        assert_eq!(resolve_lenient(&body, &second.segments()[0]), None);
    }

    #[test]
    fn the_body_itself_may_be_a_list() {
        let path = FieldPath::parse("[].code").unwrap();
        assert_eq!(path.segments(), [vec![], vec![field("code")]]);
        assert_eq!(path.list_at(0, &[]), "the body");
    }

    #[test]
    fn bad_paths_say_what_is_wrong() {
        for (text, fault) in [
            ("", "empty"),
            (".a", "a name is missing"),
            ("a.", "a name is missing"),
            ("a..b", "a name is missing"),
            ("a.[0]", "a name is missing"),
            ("a[", "not closed"),
            ("a[0", "not closed"),
            ("a]", "no `[` before it"),
            ("a[x]", "must be `[]`"),
            ("a[+1]", "must be `[]`"),
            ("a[99999999999999999999]", "must be `[]`"),
            ("a[-0]", "must be `[]`"),
            ("a[=b]", "must be a field of the items"),
            ("a[b=]", "must be a field of the items"),
            ("[\"a]", "must be a name in quotes"),
            ("a[0]b", "a `.` is missing before `b`"),
            ("a\u{0}", "control character"),
        ] {
            let message = FieldPath::parse(text).unwrap_err();
            assert!(message.contains(fault), "{text}: {message}");
        }
        let deep = vec!["a"; MAX_DEPTH + 1].join(".");
        assert!(FieldPath::parse(&deep).unwrap_err().contains("more than 32 steps"));
        assert!(FieldPath::parse(&deep[2..]).is_ok());
    }
}
