//! A table held against the schemas of what it will get, and of what it is to make.

mod target;

use super::Mapping;
use super::compose::Part;
use super::line::{Handling, Line, Origin};
use super::operation::Operation;
use super::path::FieldPath;
use super::source::FieldRef;
use crate::fit::{Bodies, Findings, Found, Kinds};
use crate::model::Problem;
use crate::model::problem::join;

impl Mapping {
    /// Adds what is wrong with the table, which stands at `path` of its document, if it gets `bodies`.
    pub(crate) fn fit(&self, bodies: &Bodies<'_>, path: &str, findings: &mut Findings) {
        if bodies.shape.is_anything() {
            return;
        }
        for (index, line) in self.lines.iter().enumerate() {
            let mut fitting = Fitting {
                bodies,
                path: join(path, &format!("[{index}]")),
                findings,
            };
            fitting.line(line);
        }
    }
}

struct Fitting<'f> {
    bodies: &'f Bodies<'f>,
    /// Of the line.
    path: String,
    findings: &'f mut Findings,
}

impl Fitting<'_> {
    fn line(&mut self, line: &Line) {
        match &line.origin {
            Origin::Field(field, handling) => {
                let is_prepared = line.may_stand_back || handling.default.is_some();
                let Some(mut kinds) = self.source(field, "sourceField", is_prepared) else {
                    return;
                };
                if line.gathers() && field.path.lists() > 0 {
                    kinds = Kinds::LIST;
                }
                self.operations(handling, kinds);
            }
            Origin::Composed(composed, handling) => {
                let is_concat = composed.separator.is_some();
                let setting = if is_concat { "concat" } else { "template" };
                let is_prepared = is_concat || line.may_stand_back || handling.default.is_some();
                for part in &composed.parts {
                    if let Part::Field(field) = part {
                        self.source(field, setting, is_prepared);
                    }
                }
            }
            Origin::Static(..) | Origin::Filter(_) => {}
        }
    }

    /// The kinds that a field of the body may have; `None` if there is nothing to say of it.
    fn source(&mut self, field: &FieldRef, setting: &str, is_prepared: bool) -> Option<Kinds> {
        if field.root != 0 {
            return None;
        }
        match self.bodies.find(&field.path) {
            Found::Kinds(kinds) => Some(kinds),
            Found::Unnamed(told) => {
                self.warn(setting, told);
                None
            }
            Found::Nothing(reason) if is_prepared => {
                self.warn(setting, format!("{reason}; the line never has a value of it"));
                None
            }
            Found::Nothing(reason) => {
                let message = format!("{reason}; correct the path, or the schema if bodies do have it");
                self.refuse(setting, message);
                None
            }
        }
    }

    fn operations(&mut self, handling: &Handling, mut kinds: Kinds) {
        if let Some(default) = handling.default.as_ref().filter(|_| kinds.meets(Kinds::NULL)) {
            kinds = kinds.without(Kinds::NULL).or(Kinds::of(default));
        }
        for (index, operation) in handling.operations.iter().enumerate() {
            let (name, takes) = operation.takes();
            let given = kinds.without(Kinds::NULL);
            let setting = format!("transform[{index}]");
            if !given.is_empty() && !given.meets(takes) {
                self.refuse(
                    &setting,
                    format!("`{name}` takes {takes}, and by the schema it gets {given}: it fails on every body"),
                );
                return;
            }
            // Of what may be anything there is nothing to warn of.
            let wrong = given.without(takes);
            if !wrong.is_empty() && kinds != Kinds::ALL {
                self.warn(
                    &setting,
                    format!("`{name}` takes {takes}, and by the schema it may get {wrong}, on which it fails"),
                );
            }
            kinds = operation.makes(kinds);
        }
    }

    fn refuse(&mut self, setting: &str, message: String) {
        let place = join(&self.path, setting);
        self.findings.problems.push(Problem::new(place, message));
    }

    fn warn(&mut self, setting: &str, message: String) {
        let place = join(&self.path, setting);
        self.findings.warnings.push(Problem::new(place, message));
    }
}

impl Bodies<'_> {
    fn find(&self, path: &FieldPath) -> Found {
        self.shape.find(path, self.lenient)
    }
}

impl Operation {
    /// Its name in documents, and the kinds of values that it takes; null passes through all of them.
    fn takes(&self) -> (&'static str, Kinds) {
        let text_or_number = Kinds::TEXT.or(Kinds::NUMBER);
        match self {
            Self::Trim => ("trim", Kinds::TEXT),
            Self::Upper => ("upper", Kinds::TEXT),
            Self::Lower => ("lower", Kinds::TEXT),
            Self::Replace { .. } => ("replace", Kinds::TEXT),
            Self::Substring { .. } => ("substring", Kinds::TEXT),
            Self::Split(_) => ("split", Kinds::TEXT),
            Self::Date(_) => ("date", text_or_number),
            Self::Default(_) => ("default", Kinds::ALL),
            Self::Lookup(_) => ("lookup", Kinds::ALL),
            Self::ToText(Some(_)) => ("toText", text_or_number),
            Self::ToText(None) => ("toText", Kinds::PLAIN),
            Self::ToNumber(_) => ("toNumber", text_or_number),
            Self::ToInteger => ("toInteger", text_or_number),
            Self::ToBoolean(_) => ("toBoolean", Kinds::ALL),
            Self::PadStart { .. } => ("padStart", text_or_number),
            Self::Join(_) => ("join", Kinds::LIST),
            Self::First => ("first", Kinds::LIST),
            Self::Last => ("last", Kinds::LIST),
            Self::Count => ("count", Kinds::LIST),
            Self::Sum => ("sum", Kinds::LIST),
        }
    }

    /// The kinds that may come of it, where it does not fail.
    fn makes(&self, given: Kinds) -> Kinds {
        let null = given.and(Kinds::NULL);
        // A text with nothing in it becomes null in some.
        match self {
            Self::Trim | Self::Upper | Self::Lower | Self::Replace { .. } | Self::Substring { .. } | Self::Join(_) => {
                Kinds::TEXT.or(null)
            }
            Self::ToText(_) | Self::PadStart { .. } => Kinds::TEXT.or(null),
            Self::Date(_) => Kinds::TEXT.or(Kinds::NULL),
            Self::ToNumber(_) | Self::ToInteger => Kinds::NUMBER.or(Kinds::NULL),
            Self::ToBoolean(_) => Kinds::BOOLEAN.or(Kinds::NULL),
            Self::Split(_) => Kinds::LIST.or(null),
            Self::Count | Self::Sum => Kinds::NUMBER.or(null),
            Self::Default(value) => given.without(Kinds::NULL).or(Kinds::of(value)),
            Self::Lookup(_) | Self::First | Self::Last => Kinds::ALL,
        }
    }
}

#[cfg(test)]
mod tests;
