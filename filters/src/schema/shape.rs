//! What a schema costs, told from its text alone: a schema of a few lines may ask for work without end.

use std::borrow::Cow;

use ahash::AHashMap;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// The most subschemas, references written out.
pub(super) const MOST_SUBSCHEMAS: u64 = 20_000;
/// The deepest nesting of subschemas, references followed.
pub(super) const MAX_NESTING: usize = 64;

/// What a schema costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// How many subschemas it has, references written out and those to itself cut.
    pub(super) weight: u64,
    /// It holds the same value against itself more than once, so that the work doubles with each level of a payload.
    pub(super) is_tangled: bool,
}

/// Why a schema is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Excess {
    #[error("has references that come back to where they were without going deeper into the payload")]
    Endless,
    #[error("is nested more than {MAX_NESTING} levels deep, references followed")]
    TooDeep,
    #[error("has more than {MOST_SUBSCHEMAS} subschemas with its references written out")]
    TooLarge,
}

impl Shape {
    /// Looks at `schema`, whose references all lead into itself.
    ///
    /// # Errors
    /// [`Excess`] of a schema that would cost too much whatever the payload is.
    pub(super) fn of(schema: &Value) -> Result<Self, Excess> {
        let mut survey = Survey::of(schema);
        let root = survey.visit(schema, false);
        if let Some(excess) = survey.excess {
            return Err(excess);
        }
        if root.weight > MOST_SUBSCHEMAS {
            return Err(Excess::TooLarge);
        }
        Ok(Self {
            weight: root.weight,
            is_tangled: root.loops && survey.is_tangled(schema),
        })
    }
}

/// What a subschema looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Edge<'s> {
    /// The same value.
    Here,
    /// A field.
    Field(&'s str),
    /// Any fields, or their names.
    Fields,
    /// Items of a list.
    Items,
}

/// What is known of a subschema.
#[derive(Clone, Copy)]
struct Known {
    weight: u64,
    /// Levels below it, itself included.
    height: usize,
    /// It leads to a reference that leads back.
    loops: bool,
}

struct Survey<'s> {
    root: &'s Value,
    anchors: AHashMap<&'s str, &'s Value>,
    known: AHashMap<*const Value, Known>,
    /// The subschemas that are being looked at, each with whether it looks at the same value as the one before.
    stack: Vec<(*const Value, bool)>,
    excess: Option<Excess>,
}

impl<'s> Survey<'s> {
    fn of(root: &'s Value) -> Self {
        let mut anchors = AHashMap::new();
        find_anchors(root, &mut anchors);
        Self {
            root,
            anchors,
            known: AHashMap::new(),
            stack: Vec::new(),
            excess: None,
        }
    }

    fn visit(&mut self, node: &'s Value, is_here: bool) -> Known {
        let key: *const Value = node;
        let leaf = |loops| Known {
            weight: 1,
            height: 1,
            loops,
        };
        if let Some(at) = self.stack.iter().position(|(other, _)| *other == key) {
            if is_here && self.stack[at + 1..].iter().all(|(_, is_here)| *is_here) {
                self.excess = Some(Excess::Endless);
            }
            return leaf(true);
        }
        let height = self.known.get(&key).map_or(1, |known| known.height);
        if self.stack.len() + height > MAX_NESTING {
            self.excess = self.excess.or(Some(Excess::TooDeep));
        }
        if self.excess.is_some() {
            return leaf(false);
        }
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        self.stack.push((key, is_here));
        let mut all = leaf(false);
        for (edge, child) in self.edges(node) {
            let child = self.visit(child, edge == Edge::Here);
            all.weight = all.weight.saturating_add(child.weight);
            all.height = all.height.max(child.height + 1);
            all.loops |= child.loops;
        }
        self.stack.pop();
        self.known.insert(key, all);
        all
    }

    /// True if a value deeper in the payload may be held more than once against something that leads back to itself.
    fn is_tangled(&self, node: &'s Value) -> bool {
        let mut counts = AHashMap::new();
        let mut waiting = vec![node];
        let mut seen = ahash::AHashSet::new();
        while let Some(node) = waiting.pop() {
            let key: *const Value = node;
            if !seen.insert(key) {
                continue;
            }
            let mut budget = MOST_SUBSCHEMAS;
            counts.clear();
            self.count(node, &mut counts, &mut budget);
            let of = |edge: &Edge<'_>| counts.get(edge).copied().unwrap_or(0);
            let any_field = of(&Edge::Fields);
            let fields = counts
                .iter()
                .filter(|(edge, _)| matches!(edge, Edge::Field(_)))
                .map(|(_, count)| count + any_field)
                .max();
            if budget == 0 || fields.unwrap_or(any_field) > 1 || any_field > 1 || of(&Edge::Items) > 1 {
                return true;
            }
            waiting.extend(self.edges(node).into_iter().map(|(_, child)| child));
        }
        false
    }

    /// Counts, by what they look at, the subschemas below `node` that lead back, where `node` meets one value.
    fn count(&self, node: &'s Value, counts: &mut AHashMap<Edge<'s>, u64>, budget: &mut u64) {
        for (edge, child) in self.edges(node) {
            *budget = budget.saturating_sub(1);
            if *budget == 0 {
                return;
            }
            let child_key: *const Value = child;
            match edge {
                Edge::Here => self.count(child, counts, budget),
                edge if self.known.get(&child_key).is_some_and(|known| known.loops) => {
                    *counts.entry(edge).or_default() += 1;
                }
                Edge::Field(_) | Edge::Fields | Edge::Items => {}
            }
        }
    }

    /// The subschemas of `node`, and what they look at.
    fn edges(&self, node: &'s Value) -> Vec<(Edge<'s>, &'s Value)> {
        let mut edges = Vec::new();
        let Some(fields) = node.as_object() else {
            return edges;
        };
        for (keyword, value) in fields {
            let edge = match keyword.as_str() {
                "$ref" | "$dynamicRef" => {
                    let target = value.as_str().and_then(|target| self.target(target));
                    edges.extend(target.map(|target| (Edge::Here, target)));
                    continue;
                }
                "properties" => {
                    let named = value.as_object().into_iter().flatten();
                    edges.extend(named.map(|(name, child)| (Edge::Field(name), child)));
                    continue;
                }
                "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" | "dependentSchemas" => Edge::Here,
                "patternProperties" | "additionalProperties" | "unevaluatedProperties" | "propertyNames" => {
                    Edge::Fields
                }
                "prefixItems" | "items" | "contains" | "unevaluatedItems" => Edge::Items,
                _ => continue,
            };
            let is_map = matches!(keyword.as_str(), "patternProperties" | "dependentSchemas");
            match value {
                Value::Array(items) => edges.extend(items.iter().map(|child| (edge, child))),
                Value::Object(named) if is_map => edges.extend(named.values().map(|child| (edge, child))),
                child => edges.push((edge, child)),
            }
        }
        edges
    }

    /// What `#`, `#/a/pointer` or `#anchor` leads to.
    fn target(&self, reference: &str) -> Option<&'s Value> {
        let fragment = percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?;
        match fragment {
            Cow::Borrowed("") => Some(self.root),
            pointer if pointer.starts_with('/') => self.root.pointer(&pointer),
            anchor => self.anchors.get(&*anchor).copied(),
        }
    }
}

fn find_anchors<'s>(part: &'s Value, anchors: &mut AHashMap<&'s str, &'s Value>) {
    match part {
        Value::Object(fields) => {
            for name in ["$anchor", "$dynamicAnchor"] {
                if let Some(Value::String(anchor)) = fields.get(name) {
                    anchors.insert(anchor, part);
                }
            }
            fields.values().for_each(|value| find_anchors(value, anchors));
        }
        Value::Array(items) => items.iter().for_each(|item| find_anchors(item, anchors)),
        _ => {}
    }
}
