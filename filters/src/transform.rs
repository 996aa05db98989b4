//! Field mappings: a table of lines, compiled once, that turns one JSON text into another.
//!
//! [`Mapping::compile`] checks every line and builds a tree that has the shape of the target. [`Mapping::apply`] reads the
//! source once and walks that tree, writing as it goes: there is no tree of the output, and an error always names the
//! field. The table lists what goes out; what it does not name is dropped. `docs/transforms.md` shows every setting.

mod date;
mod evaluate;
mod fault;
mod line;
mod operation;
pub(crate) mod path;
mod target;

use crate::model::Problem;
use crate::model::mapping::FieldMapping;
use crate::model::problem::join;

pub use fault::{Kind, MappingFault, ValueFault};

use line::Line;
use target::Node;

/// The most lines of a mapping table.
pub const MAX_LINES: usize = 500;

/// The most bytes of a result, unless [`Mapping::with_max_output`] says otherwise; as large as a body may be by default.
pub const DEFAULT_MAX_OUTPUT: usize = 10_000_000;

/// A compiled mapping table.
#[derive(Debug)]
pub struct Mapping {
    lines: Vec<Line>,
    root: Node,
    max_output: usize,
}

impl Mapping {
    /// Compiles `lines`, the table at `path` of its document. Adds every problem to `problems`; `None` if there was any.
    pub fn compile(lines: &[FieldMapping], path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
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
        let compiled: Vec<Option<Line>> = lines
            .iter()
            .enumerate()
            .map(|(index, line)| line::compile(line, &join(path, &format!("[{index}]")), problems))
            .collect();
        let root = target::build(&compiled, path, problems);
        if problems.len() > before {
            return None;
        }
        Some(Self {
            lines: compiled.into_iter().flatten().collect(),
            root: root?,
            max_output: DEFAULT_MAX_OUTPUT,
        })
    }

    /// The same mapping with another cap on the size of its result, in bytes.
    #[must_use]
    pub fn with_max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes;
        self
    }

    /// Maps `body`, a JSON text, to the JSON text of the target. An empty body counts as a source without any field.
    ///
    /// # Errors
    /// If the body is not JSON or nested more than 127 levels deep, a required field is missing, a value does not fit the operation
    /// asked of it, or the result is too large.
    pub fn apply(&self, body: &[u8]) -> Result<Vec<u8>, MappingFault> {
        let source = if body.is_empty() {
            None
        } else {
            Some(serde_json::from_slice(body)?)
        };
        evaluate::evaluate(&self.lines, &self.root, source.as_ref(), self.max_output)
    }
}

#[cfg(test)]
mod page;
#[cfg(test)]
mod tests;
