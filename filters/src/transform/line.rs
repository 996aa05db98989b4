//! One line of a mapping table, checked on its own.

use std::sync::Arc;

use http::HeaderName;
use serde_json::Value;

use super::compose::{self, Composed};
use super::edits::Aside;
use super::operation::{self, Operation};
use super::path::FieldPath;
use super::source::{FieldRef, References, Side};
use crate::condition::Condition;
use crate::lookup::{Table, Tables};
use crate::model::Problem;
use crate::model::mapping::{FieldMapping, OmitWhen};
use crate::model::outbound::Filter;
use crate::model::problem::join;

/// A compiled line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) target: Target,
    pub(super) origin: Origin,
    /// The line applies only where this holds.
    pub(super) when: Option<When>,
    /// It says when it writes nothing, so that another line may stand in.
    pub(super) may_stand_back: bool,
}

/// Where a line writes.
#[derive(Debug)]
pub(super) enum Target {
    Body(FieldPath),
    Aside(Aside),
}

/// Where a line's value comes from.
#[derive(Debug)]
pub(super) enum Origin {
    /// A static value, as JSON text.
    Static(Box<str>, Value),
    /// A field of the source.
    Field(FieldRef, Handling),
    /// Several fields.
    Composed(Composed, Handling),
    /// It says which items of a list are written.
    Filter(Condition<FieldRef>),
}

/// What is done to a value.
#[derive(Debug)]
pub(super) struct Handling {
    pub(super) operations: Vec<Operation>,
    pub(super) default: Option<Value>,
    pub(super) required: bool,
    pub(super) omit: OmitWhen,
}

/// A compiled condition.
#[derive(Debug)]
pub(super) struct When {
    pub(super) condition: Condition<FieldRef>,
    /// It looks at the items of lists, so that it has to be asked for each.
    pub(super) of_items: bool,
}

/// What lines are read with.
pub(super) struct Reader<'r> {
    pub(super) references: &'r mut References,
    pub(super) side: Side,
    pub(super) tables: &'r Tables,
    pub(super) problems: &'r mut Vec<Problem>,
}

impl Line {
    pub(super) fn body_target(&self) -> Option<&FieldPath> {
        match &self.target {
            Target::Body(path) => Some(path),
            Target::Aside(_) => None,
        }
    }

    /// The target as it is written in the table.
    pub(super) fn target_text(&self) -> &str {
        match &self.target {
            Target::Body(path) => path.text(),
            Target::Aside(aside) => aside.text(),
        }
    }

    /// The field whose lists the target repeats for.
    pub(super) fn driver(&self) -> Option<&FieldRef> {
        match &self.origin {
            Origin::Field(field, _) => Some(field),
            Origin::Composed(composed, _) => composed.driver(),
            Origin::Static(..) | Origin::Filter(_) => None,
        }
    }

    /// True if lists that the target does not repeat for become one value.
    pub(super) fn gathers(&self) -> bool {
        match &self.origin {
            Origin::Field(_, handling) => handling.operations.first().is_some_and(Operation::gathers),
            Origin::Static(..) | Origin::Composed(..) | Origin::Filter(_) => false,
        }
    }

    pub(super) fn handling(&self) -> Option<&Handling> {
        match &self.origin {
            Origin::Field(_, handling) | Origin::Composed(_, handling) => Some(handling),
            Origin::Static(..) | Origin::Filter(_) => None,
        }
    }

    /// The lookup tables that it asks.
    pub(super) fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        let operations = self.handling().map_or(&[][..], |handling| &handling.operations);
        operations.iter().filter_map(|operation| match operation {
            Operation::Lookup(search) => Some(search.table()),
            _ => None,
        })
    }
}

impl Reader<'_> {
    /// Compiles the line at `path`, adding every problem of it; `None` if there was any.
    pub(super) fn line(&mut self, line: &FieldMapping, path: &str) -> Option<Line> {
        let before = self.problems.len();
        let target = self.target(&line.target_field, &join(path, "targetField"));
        let origin = self.origin(line, path);
        let when = line.when.as_ref().map(|when| self.when(when, &join(path, "when")));
        let (target, origin) = (target?, origin?);
        let when = match when {
            Some(when) => Some(when?),
            None => None,
        };
        if matches!((&target, &origin), (Target::Aside(_), Origin::Filter(_))) {
            let message = "a `filter` is for a list of the body, such as `lines[]`";
            self.problems.push(Problem::new(join(path, "targetField"), message));
        }
        (self.problems.len() == before).then_some(Line {
            target,
            origin,
            may_stand_back: when.is_some() || line.omit_when.is_some(),
            when,
        })
    }

    fn target(&mut self, text: &str, at: &str) -> Option<Target> {
        let read = match text.strip_prefix('$') {
            Some(_) => Aside::parse(text, self.side).map(Target::Aside),
            None => FieldPath::parse(text).and_then(|path| {
                if path.picks() {
                    return Err(format!(
                        "`{text}` picks an item that is there already, as only a source can; in a target there are `[]` and \
                         places such as `[0]`"
                    ));
                }
                Ok(Target::Body(path))
            }),
        };
        read.map_err(|message| self.problems.push(Problem::new(at, message)))
            .ok()
    }

    fn origin(&mut self, line: &FieldMapping, path: &str) -> Option<Origin> {
        let given = [
            line.source_field.is_some(),
            line.value.is_some(),
            line.template.is_some(),
            line.concat.is_some(),
            line.filter.is_some(),
        ];
        if given.into_iter().filter(|given| *given).count() != 1 {
            let message = "exactly one of `sourceField`, `value`, `template`, `concat` and `filter` is needed, to say where \
                           the value comes from";
            self.problems.push(Problem::new(path, message));
            return None;
        }
        if let Some(value) = &line.value {
            self.refuse_beside("value", line, path);
            return Some(Origin::Static(value.to_string().into(), value.clone()));
        }
        if let Some(filter) = &line.filter {
            self.refuse_beside("filter", line, path);
            if line.when.is_some() {
                let message = "has no meaning beside `filter`: put both into its `all`";
                self.problems.push(Problem::new(join(path, "when"), message));
            }
            return self.condition(filter, &join(path, "filter")).map(Origin::Filter);
        }
        let handling = self.handling(line, path);
        if let Some(text) = &line.template {
            let composed = compose::template(text, &join(path, "template"), self)?;
            return Some(Origin::Composed(composed, handling));
        }
        if let Some(concat) = &line.concat {
            let composed = compose::concat(concat, &join(path, "concat"), self)?;
            return Some(Origin::Composed(composed, handling));
        }
        let field = line.source_field.as_deref().unwrap_or_default();
        let field = self.source(field, &join(path, "sourceField"))?;
        Some(Origin::Field(field, handling))
    }

    fn handling(&mut self, line: &FieldMapping, path: &str) -> Handling {
        let steps = line.transform.iter().enumerate();
        let operations = steps.filter_map(|(index, step)| {
            let path = join(path, &format!("transform[{index}]"));
            operation::compile(step, &path, self.tables, self.problems)
        });
        Handling {
            operations: operations.collect(),
            default: line.default_value.clone(),
            required: line.required,
            omit: line.omit_when.unwrap_or(OmitWhen::Absent),
        }
    }

    fn refuse_beside(&mut self, origin: &str, line: &FieldMapping, path: &str) {
        for (given, setting) in [
            (!line.transform.is_empty(), "transform"),
            (line.default_value.is_some(), "defaultValue"),
            (line.required, "required"),
            (line.omit_when.is_some(), "omitWhen"),
        ] {
            if given {
                let message = format!("has no meaning beside `{origin}`: leave it out, or use `sourceField`");
                self.problems.push(Problem::new(join(path, setting), message));
            }
        }
    }

    fn when(&mut self, filter: &Filter, path: &str) -> Option<When> {
        let mut condition = self.condition(filter, path)?;
        let mut of_items = false;
        condition.for_each_field(&mut |field| of_items |= field.path.lists() > 0);
        Some(When { condition, of_items })
    }

    fn condition(&mut self, filter: &Filter, path: &str) -> Option<Condition<FieldRef>> {
        let Self { references, side, .. } = self;
        let mut read = |text: &str| references.read(text, *side);
        Condition::compile_with(filter, path, &mut read, self.problems)
    }

    /// A path into the source.
    pub(super) fn source(&mut self, text: &str, at: &str) -> Option<FieldRef> {
        let read = self.references.read(text, self.side);
        read.map_err(|message| self.problems.push(Problem::new(at, message)))
            .ok()
    }
}

/// True for a field that belongs to the connection or to the gateway, and that no table may write.
pub(super) fn is_reserved(name: &HeaderName) -> bool {
    RESERVED.contains(&name.as_str())
}

/// What says where a message begins and ends, whose it is and what it is made of, is never a table's to write.
const RESERVED: [&str; 20] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-request-id",
];
