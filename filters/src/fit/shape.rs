//! What JSON Schemas say of the values at a path: whether there can be any, and of which kinds.
//!
//! Of a schema only what takes values away is read, and not all of that (`not` and `if` are passed over): what is said to
//! be impossible is impossible, and what is not said to be may still be.

mod spot;

use serde_json::{Map, Value};

pub(crate) use self::spot::Spot;
use super::kinds::Kinds;
use crate::transform::path::{FieldPath, Step};

/// The schemas that a body may have. It fits one of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape<'s> {
    schemas: Vec<Source<'s>>,
    /// A body may also be one that no schema speaks of.
    is_open: bool,
    /// Fields that are put into the body before the table reads it.
    added: Vec<&'s str>,
}

/// A schema, and where its references lead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'s> {
    /// The schema.
    pub(crate) schema: &'s Value,
    /// What `#/$defs/NAME` means where the schema does not have it itself.
    pub(crate) definitions: Option<&'s Map<String, Value>>,
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Values of these kinds.
    Kinds(Kinds),
    /// Whatever there is: no schema names it, and none forbids it. Where it was left, for people.
    Unnamed(String),
    /// Nothing, in all the bodies that fit. Why, for people.
    Nothing(String),
}

impl<'s> Shape<'s> {
    pub(crate) fn add(&mut self, source: Source<'s>) {
        self.schemas.push(source);
    }

    /// A body may be anything.
    pub(crate) fn open(&mut self) {
        self.is_open = true;
    }

    /// The body has a field `name` that no schema speaks of.
    pub(crate) fn with(&mut self, name: &'s str) {
        self.added.push(name);
    }

    /// True if nothing can be told.
    pub(crate) fn is_anything(&self) -> bool {
        self.is_open || self.schemas.is_empty()
    }

    /// What `path` leads to. `lenient` says that bodies do not tell a list of one item from the item.
    pub(crate) fn find(&self, path: &FieldPath, lenient: bool) -> Found {
        let mut steps = path.segments().iter().flatten();
        let is_added = match steps.next() {
            Some(Step::Field(first)) => self.added.iter().any(|added| **added == **first),
            _ => false,
        };
        if self.is_anything() || is_added {
            return Found::Kinds(Kinds::ALL);
        }
        let mut walk = Walk {
            reached: self
                .schemas
                .iter()
                .map(|source| Place::of(*source, vec![source.schema]))
                .collect(),
            is_open: false,
            unnamed: None,
            is_untold: false,
            lenient,
        };
        let mut reason = None;
        for (index, segment) in path.segments().iter().enumerate() {
            if index > 0 {
                reason = walk.step(&Down::Items, &path.list_at(index - 1, &[]));
            }
            for step in segment {
                if reason.is_some() {
                    break;
                }
                reason = walk.step(&Down::Step(step), path.text());
            }
        }
        match (reason, walk.unnamed) {
            (Some(reason), _) => Found::Nothing(reason),
            (None, Some(told)) if walk.reached.is_empty() && !walk.is_untold => Found::Unnamed(told),
            (None, _) if walk.is_open => Found::Kinds(Kinds::ALL),
            (None, _) => {
                let kinds = walk.reached.iter().map(Place::kinds);
                Found::Kinds(kinds.fold(Kinds::NONE, Kinds::or))
            }
        }
    }
}

/// Where a path has come to.
struct Walk<'s> {
    reached: Vec<Place<'s>>,
    /// It may also have come to where no schema says anything.
    is_open: bool,
    /// Where it left the schema, if there are other fields.
    unnamed: Option<String>,
    /// It left the schema where that names nothing at all.
    is_untold: bool,
    lenient: bool,
}

enum Down<'p> {
    Step(&'p Step),
    /// To each item of a list.
    Items,
}

impl Walk<'_> {
    /// Goes one step down everywhere; why it leads nowhere, if it does.
    fn step(&mut self, down: &Down<'_>, path: &str) -> Option<String> {
        let mut next = Vec::new();
        let mut reasons = Vec::new();
        for place in self.reached.drain(..) {
            for way in place.ways() {
                let went = match down {
                    Down::Step(Step::Field(name)) => way.field(name),
                    Down::Step(Step::Place(at)) => way.item(Some(*at), self.lenient),
                    Down::Step(Step::FromEnd(_) | Step::Where(..)) | Down::Items => way.item(None, self.lenient),
                };
                match went {
                    Went::To(place) => next.push(place),
                    Went::Same => next.push(place.clone()),
                    Went::Anywhere(told) => {
                        self.is_open = true;
                        self.is_untold |= told.is_none();
                        self.unnamed = self.unnamed.take().or(told);
                    }
                    Went::Nowhere(reason) => reasons.push(reason),
                }
                if next.len() > MOST_WAYS {
                    (self.is_open, self.is_untold) = (true, true);
                    next.clear();
                }
            }
        }
        let is_lost = next.is_empty() && !self.is_open;
        self.reached = next;
        is_lost.then(|| match reasons.into_iter().next() {
            Some(reason) => format!("`{path}` leads nowhere: {reason}"),
            None => format!("`{path}` leads nowhere: the schema allows no value before it"),
        })
    }
}

/// Schemas that all hold for one value.
#[derive(Clone, Debug)]
struct Place<'s> {
    source: Source<'s>,
    schemas: Vec<&'s Value>,
}

impl<'s> Place<'s> {
    fn of(source: Source<'s>, schemas: Vec<&'s Value>) -> Self {
        Self { source, schemas }
    }

    /// The ways in which a value can fit.
    fn ways(&self) -> Vec<Way<'s>> {
        let mut budget = Budget {
            steps: MOST_STEPS,
            depth: MAX_NESTING,
        };
        let parts = all(self.source, &self.schemas, &mut budget).unwrap_or_else(|| vec![Vec::new()]);
        let ways = parts.into_iter().map(|parts| Way {
            source: self.source,
            parts,
        });
        ways.filter(|way| !way.kinds().is_empty()).collect()
    }

    fn kinds(&self) -> Kinds {
        let ways = self.ways();
        ways.iter().fold(Kinds::NONE, |kinds, way| kinds.or(way.kinds()))
    }
}

/// Where a step leads from one way.
enum Went<'s> {
    To(Place<'s>),
    /// To something that the schema does not name; with where it was left, if there are names.
    Anywhere(Option<String>),
    Nowhere(String),
    /// To the value itself, which counts as the one item of a list.
    Same,
}

/// Objects of schemas that all hold for one value.
#[derive(Clone, Debug)]
struct Way<'s> {
    source: Source<'s>,
    parts: Vec<&'s Map<String, Value>>,
}

impl<'s> Way<'s> {
    fn kinds(&self) -> Kinds {
        self.parts
            .iter()
            .fold(Kinds::ALL, |kinds, part| kinds.and(Kinds::allowed_by(part)))
    }

    fn field(&self, name: &str) -> Went<'s> {
        let kinds = self.kinds();
        if !kinds.meets(Kinds::OBJECT) {
            return Went::Nowhere(format!("by the schema there is {kinds}, which has no field `{name}`"));
        }
        let mut found = Vec::new();
        let mut may_match = false;
        for part in &self.parts {
            let named = part.get("properties").and_then(|fields| fields.get(name));
            let patterns = part.get("patternProperties").and_then(Value::as_object);
            if let Some(schema) = named {
                found.push(schema);
            } else if patterns.is_some_and(|patterns| !patterns.is_empty()) {
                may_match = true;
            } else {
                match part.get("additionalProperties") {
                    Some(Value::Bool(false)) => return Went::Nowhere(self.no_field(name)),
                    Some(schema @ Value::Object(_)) => found.push(schema),
                    _ => {}
                }
            }
        }
        if !found.is_empty() {
            return self.to(found, || self.no_field(name));
        }
        if !may_match && self.is_closed("unevaluatedProperties") {
            return Went::Nowhere(self.no_field(name));
        }
        let told = self.names();
        Went::Anywhere(told.map(|names| format!("the schema does not name `{name}`, but {names}")))
    }

    fn item(&self, place: Option<usize>, lenient: bool) -> Went<'s> {
        let kinds = self.kinds();
        if !kinds.meets(Kinds::LIST) {
            if lenient {
                return Went::Same;
            }
            return Went::Nowhere(format!("by the schema there is {kinds}, not a list"));
        }
        let mut found = Vec::new();
        for part in &self.parts {
            let first = part.get("prefixItems").and_then(Value::as_array);
            let at = first.zip(place).and_then(|(first, place)| first.get(place));
            match (at, first, part.get("items")) {
                (Some(schema), _, _) => found.push(schema),
                // Any of the first or of the others.
                (None, Some(_), _) if place.is_none() => return Went::Anywhere(None),
                (None, _, Some(schema)) => found.push(schema),
                (None, _, None) => {}
            }
        }
        if found.is_empty() {
            return Went::Anywhere(None);
        }
        self.to(found, || "by the schema the list has no such item".to_owned())
    }

    fn to(&self, schemas: Vec<&'s Value>, nowhere: impl FnOnce() -> String) -> Went<'s> {
        let place = Place::of(self.source, schemas);
        if place.kinds().without(Kinds::NULL).is_empty() {
            return Went::Nowhere(nowhere());
        }
        Went::To(place)
    }

    /// True if a keyword closes the value to whatever no part speaks of.
    fn is_closed(&self, keyword: &str) -> bool {
        let is_false = |part: &&Map<String, Value>| part.get(keyword) == Some(&Value::Bool(false));
        let may_add = |part: &&Map<String, Value>| ADDING.iter().any(|keyword| part.contains_key(*keyword));
        self.parts.iter().any(is_false) && !self.parts.iter().any(may_add)
    }

    fn no_field(&self, name: &str) -> String {
        match self.names() {
            Some(names) => format!("the schema allows no `{name}`, but {names}"),
            None => format!("the schema allows no `{name}`"),
        }
    }

    /// Some of the fields that are named.
    fn names(&self) -> Option<String> {
        let fields = self.parts.iter().filter_map(|part| part.get("properties")?.as_object());
        let names: Vec<&str> = fields
            .flat_map(Map::keys)
            .take(MOST_NAMED)
            .map(String::as_str)
            .collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}

/// How much of a schema is looked at for one step of a path.
struct Budget {
    steps: usize,
    /// Subschemas within each other.
    depth: usize,
}

/// The combinations of objects that hold for a value for which all `schemas` hold. `None` if there are too many.
fn all<'s>(source: Source<'s>, schemas: &[&'s Value], budget: &mut Budget) -> Option<Vec<Vec<&'s Map<String, Value>>>> {
    let mut combined = vec![Vec::new()];
    for schema in schemas {
        combined = product(&combined, &one(source, schema, budget)?)?;
    }
    Some(combined)
}

fn one<'s>(source: Source<'s>, schema: &'s Value, budget: &mut Budget) -> Option<Vec<Vec<&'s Map<String, Value>>>> {
    budget.steps = budget.steps.checked_sub(1)?;
    budget.depth = budget.depth.checked_sub(1)?;
    let combined = combinations(source, schema, budget);
    budget.depth += 1;
    combined
}

fn combinations<'s>(
    source: Source<'s>,
    schema: &'s Value,
    budget: &mut Budget,
) -> Option<Vec<Vec<&'s Map<String, Value>>>> {
    let part = match schema {
        Value::Bool(false) => return Some(Vec::new()),
        Value::Object(part) => part,
        _ => return Some(vec![Vec::new()]),
    };
    let mut combined = vec![vec![part]];
    if let Some(target) = part.get("$ref").and_then(Value::as_str) {
        combined = match source.target(target) {
            Some(target) => product(&combined, &one(source, target, budget)?)?,
            None => combined,
        };
    }
    for schema in listed(part, "allOf") {
        combined = product(&combined, &one(source, schema, budget)?)?;
    }
    for keyword in ["anyOf", "oneOf"] {
        if !part.contains_key(keyword) {
            continue;
        }
        let mut ways = Vec::new();
        for schema in listed(part, keyword) {
            ways.extend(one(source, schema, budget)?);
        }
        combined = product(&combined, &ways)?;
    }
    Some(combined)
}

fn product<'s>(
    left: &[Vec<&'s Map<String, Value>>],
    right: &[Vec<&'s Map<String, Value>>],
) -> Option<Vec<Vec<&'s Map<String, Value>>>> {
    if left.len().saturating_mul(right.len()) > MOST_WAYS {
        return None;
    }
    let pairs = left
        .iter()
        .flat_map(|left| right.iter().map(move |right| (left, right)));
    Some(pairs.map(|(left, right)| [left.as_slice(), right].concat()).collect())
}

fn listed<'s>(part: &'s Map<String, Value>, keyword: &str) -> impl Iterator<Item = &'s Value> + use<'s> {
    part.get(keyword).and_then(Value::as_array).into_iter().flatten()
}

impl<'s> Source<'s> {
    /// What `#`, `#/a/pointer` or a definition leads to; `None` of an anchor, which then says nothing.
    fn target(self, reference: &str) -> Option<&'s Value> {
        let fragment = reference.strip_prefix('#')?;
        let fragment = percent_encoding::percent_decode_str(fragment).decode_utf8().ok()?;
        let defined = || {
            let rest = fragment.strip_prefix("/$defs/")?;
            let (name, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let name = name.replace("~1", "/").replace("~0", "~");
            self.definitions?.get(&name)?.pointer(below)
        };
        self.schema.pointer(&fragment).or_else(defined)
    }
}

/// Keywords by which fields may be spoken of that are passed over here.
const ADDING: [&str; 7] = [
    "if",
    "dependentSchemas",
    "$dynamicRef",
    "patternProperties",
    "additionalProperties",
    "then",
    "else",
];
/// The most ways that a value may fit before nothing is told of it.
const MOST_WAYS: usize = 64;
/// The most subschemas that are looked at for one step.
const MOST_STEPS: usize = 2_000;
/// The most subschemas within each other; deeper schemas are refused where they are compiled.
const MAX_NESTING: usize = 64;
/// The most fields that a message names.
const MOST_NAMED: usize = 10;

#[cfg(test)]
mod tests;
