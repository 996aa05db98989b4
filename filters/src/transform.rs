//! Field mappings: a table of lines, compiled once, that turns one document into another.
//!
//! [`Mapping::compile`] checks every line and builds a tree that has the shape of the target. [`Mapping::apply`] reads the
//! source once and walks that tree, writing as it goes: there is no tree of the output, and an error always names the
//! field. The table lists what goes out; what it does not name is dropped. `docs/transforms.md` shows every setting.

mod check;
mod compose;
mod date;
mod edits;
mod evaluate;
mod fault;
mod fit;
mod line;
mod operation;
pub(crate) mod path;
mod source;
mod target;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use crate::lookup::{Table, Tables};
use crate::model::Problem;
use crate::model::mapping::FieldMapping;
use crate::model::problem::join;
use crate::script::ScriptContext;

pub use edits::Edits;
pub(crate) use edits::is_answer;
pub use fault::{Kind, MappingFault, ValueFault};
pub use source::Side;

use evaluate::Evaluation;
use line::{Line, Reader, Target};
use source::{Reference, References};
use target::Node;

/// The most lines of a mapping table.
pub const MAX_LINES: usize = 500;

/// The most bytes of a result, unless [`Mapping::with_max_output`] says otherwise; as large as a body may be by default.
pub const DEFAULT_MAX_OUTPUT: usize = 10_000_000;

/// A compiled mapping table.
#[derive(Debug)]
pub struct Mapping {
    lines: Vec<Line>,
    /// `None` where no line writes to the body, which then passes as it is.
    root: Option<Node>,
    /// Lines that write around the body, those for one place together.
    asides: Vec<Vec<usize>>,
    references: References,
    tables: Vec<Arc<Table>>,
    max_output: usize,
}

/// Says what is wrong with the path of a field, if anything.
///
/// # Errors
/// What is wrong, for people.
pub fn check_path(text: &str) -> Result<(), String> {
    path::FieldPath::parse(text).map(drop)
}

/// What a table is compiled for.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'r> {
    /// Which message it is for.
    pub side: Side,
    /// The lookup tables that it may ask.
    pub tables: &'r Tables,
}

/// What became of a message.
#[derive(Debug, Default)]
pub struct Mapped {
    /// The body as JSON; `None` if it stays as it is.
    pub body: Option<Vec<u8>>,
    /// What changes around it.
    pub edits: Edits,
}

impl Mapping {
    /// Compiles `lines`, the table at `path` of its document, for no message in particular and without lookup tables. Adds
    /// every problem to `problems`; `None` if there was any.
    pub fn compile(lines: &[FieldMapping], path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        Self::compile_for(Rules::default(), lines, path, problems)
    }

    /// The same for one kind of message, with the organization's lookup tables.
    pub fn compile_for(
        rules: Rules<'_>,
        lines: &[FieldMapping],
        path: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let before = problems.len();
        if lines.is_empty() {
            problems.push(Problem::new(
                path,
                "the mapping table is empty, so nothing would go out: add at least one line",
            ));
        } else if lines.len() > MAX_LINES {
            problems.push(Problem::new(
                path,
                format!("{} lines are too many: at most {MAX_LINES} are allowed", lines.len()),
            ));
            return None;
        }
        let mut references = References::default();
        let mut reader = Reader {
            references: &mut references,
            side: rules.side,
            tables: rules.tables,
            problems,
        };
        let mut compiled: Vec<Option<Line>> = lines
            .iter()
            .enumerate()
            .map(|(index, line)| reader.line(line, &join(path, &format!("[{index}]"))))
            .collect();
        let root = target::build(&mut compiled, references.roots(), path, problems);
        let asides = asides(&mut compiled, path, problems);
        if problems.len() > before {
            return None;
        }
        let lines: Vec<Line> = compiled.into_iter().flatten().collect();
        Some(Self {
            tables: tables_of(&lines),
            lines,
            root,
            asides,
            references,
            max_output: DEFAULT_MAX_OUTPUT,
        })
    }

    /// The same mapping with another cap on the size of its result, in bytes.
    #[must_use]
    pub fn with_max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes;
        self
    }

    /// The lookup tables that it asks.
    pub fn tables(&self) -> &[Arc<Table>] {
        &self.tables
    }

    /// True if it asks for something around the body, so that [`Self::apply_within`] needs a context.
    pub fn asks_around(&self) -> bool {
        !self.references.is_empty()
    }

    /// Header fields that it reads.
    pub(crate) fn header_fields(&self) -> impl Iterator<Item = &str> {
        self.references.header_fields()
    }

    /// True if it reads who is calling.
    pub(crate) fn asks_for_caller(&self) -> bool {
        self.references.has(&Reference::CallerName)
    }

    /// True if it reads what the caller's token says.
    pub(crate) fn asks_for_claims(&self) -> bool {
        self.references.has(&Reference::Claims)
    }

    /// True if it writes something around the body.
    pub fn edits_around(&self) -> bool {
        !self.asides.is_empty()
    }

    /// Maps `body`, a JSON text, to the JSON text of the target. An empty body counts as a source without any field.
    ///
    /// # Errors
    /// If the body is not JSON or nested more than 127 levels deep, a required field is missing, a value does not fit the operation
    /// asked of it, or the result is too large.
    pub fn apply(&self, body: &[u8]) -> Result<Vec<u8>, MappingFault> {
        let mapped = self.apply_within(body, &ScriptContext::default())?;
        Ok(mapped.body.unwrap_or_else(|| body.to_vec()))
    }

    /// The same with what is known around the body, and with what changes there.
    ///
    /// # Errors
    /// As of [`Self::apply`], and if a variable has no value.
    pub fn apply_within(&self, body: &[u8], context: &ScriptContext) -> Result<Mapped, MappingFault> {
        let source = if body.is_empty() {
            None
        } else {
            Some(serde_json::from_slice(body)?)
        };
        self.map(source.as_ref(), false, context)
    }

    /// The same for a body that was read already. `lenient` says that the document it comes from does not tell a list of one
    /// item from the item.
    ///
    /// # Errors
    /// As of [`Self::apply_within`].
    pub fn map(&self, source: Option<&Value>, lenient: bool, context: &ScriptContext) -> Result<Mapped, MappingFault> {
        let given: Vec<Option<Cow<'_, Value>>> = self.references.given(context)?;
        let mut run = Evaluation::new(&self.lines, source, &given, lenient, self.max_output);
        let body = self.root.as_ref().map(|root| run.body(root)).transpose()?;
        let edits = run.edits(&self.asides)?;
        Ok(Mapped { body, edits })
    }
}

/// The lines that write around the body, those for one place together, in their order.
fn asides(lines: &mut [Option<Line>], path: &str, problems: &mut Vec<Problem>) -> Vec<Vec<usize>> {
    let mut places: Vec<Vec<usize>> = Vec::new();
    for index in 0..lines.len() {
        let at = |setting: &str| join(path, &format!("[{index}].{setting}"));
        let Some(line) = lines[index].as_mut() else { continue };
        if matches!(line.target, Target::Body(_)) {
            continue;
        }
        if let Err((setting, message)) = target::settle_alone(line) {
            problems.push(Problem::new(at(setting), message));
        }
        let Some(line) = &lines[index] else { continue };
        let is_same = |other: &usize| match (&line.target, lines[*other].as_ref().map(|line| &line.target)) {
            (Target::Aside(one), Some(Target::Aside(other))) => one.is_same(other),
            _ => false,
        };
        let known = places.iter_mut().find(|place| place.first().is_some_and(is_same));
        let Some(place) = known else {
            places.push(vec![index]);
            continue;
        };
        let last = place.last().and_then(|last| lines[*last].as_ref());
        if last.is_some_and(|last| !last.may_stand_back) {
            let message = format!(
                "`{}` is written already: for another line to stand in, the one before must say when it writes nothing, by \
                 `when` or `omitWhen`",
                line.target_text()
            );
            problems.push(Problem::new(at("targetField"), message));
        }
        place.push(index);
    }
    places
}

fn tables_of(lines: &[Line]) -> Vec<Arc<Table>> {
    let mut tables: Vec<Arc<Table>> = Vec::new();
    for table in lines.iter().flat_map(Line::tables) {
        if !tables.iter().any(|known| Arc::ptr_eq(known, table)) {
            tables.push(Arc::clone(table));
        }
    }
    tables
}

impl Default for Rules<'_> {
    fn default() -> Self {
        static NONE: Tables = Tables::new();
        Self {
            side: Side::Any,
            tables: &NONE,
        }
    }
}

#[cfg(test)]
mod page;
#[cfg(test)]
mod tests;
