//! A change of a body, compiled: by a mapping table or by a script, perhaps into another format.

use serde_json::Value;

use crate::format::Conversion;
use crate::lookup::Tables;
use crate::model::Problem;
use crate::model::format::{BodyFormat, Format};
use crate::model::mapping::{FieldMapping, ScriptLanguage, TransformationMode};
use crate::model::problem::join;
use crate::model::target_schema::TargetSchema;
use crate::plan::{Change, Transform};
use crate::schema::Schema;
use crate::script::Script;
use crate::transform::{Mapping, Rules, Side};

/// What is configured for one body, and what its fields are called.
#[derive(Clone, Copy, Debug)]
pub struct Transformation<'s> {
    /// By table or script; by neither if `None`.
    pub mode: Option<TransformationMode>,
    /// The table.
    pub mappings: &'s [FieldMapping],
    /// The script.
    pub script: Option<&'s str>,
    /// Its language.
    pub language: ScriptLanguage,
    /// Formats that it comes in and goes out in.
    pub format: Option<&'s BodyFormat>,
    /// A body that the mapping table is held against.
    pub sample: Option<&'s Value>,
    /// What whoever gets the result takes.
    pub target: Option<&'s TargetSchema>,
    /// Which message it is for.
    pub side: Side,
    /// The organization's lookup tables.
    pub tables: &'s Tables,
    /// The most bytes of the result.
    pub most_bytes: u64,
    /// What its fields are called.
    pub names: Names,
}

/// The fields of a transformation in their document.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// Of [`Transformation::mode`].
    pub mode: &'static str,
    /// Of [`Transformation::mappings`].
    pub mappings: &'static str,
    /// Of [`Transformation::script`].
    pub script: &'static str,
    /// Of [`Transformation::format`].
    pub format: &'static str,
    /// Of [`Transformation::target`].
    pub target: &'static str,
}

/// Those of a client's request.
pub const OF_REQUEST: Names = Names {
    mode: "requestTransformationMode",
    mappings: "requestFieldMappings",
    script: "requestTransformScript",
    format: "requestFormat",
    target: "requestTargetSchema",
};

/// Those of a partner's answer.
pub const OF_RESPONSE: Names = Names {
    mode: "responseTransformationMode",
    mappings: "responseFieldMappings",
    script: "responseTransformScript",
    format: "responseFormat",
    target: "responseTargetSchema",
};

/// As they are called where there is one body only.
pub const PLAIN: Names = Names {
    mode: "transformationMode",
    mappings: "fieldMappings",
    script: "transformScript",
    format: "bodyFormat",
    target: "targetSchema",
};

impl Transformation<'_> {
    /// Compiles it, adding its problems; `None` if there is nothing to do.
    pub fn compile(&self, problems: &mut Vec<Problem>) -> Option<Transform> {
        let conversion = match self.format {
            Some(format) => Some(Box::new(Conversion::compile(format, self.names.format, problems)?)),
            None => None,
        };
        let target = self.target.and_then(|target| self.schema(target, problems));
        let change = self.change(problems).unwrap_or(Change::Nothing);
        match (&change, &conversion) {
            (Change::Nothing, None) => None,
            _ => Some(Transform {
                change,
                conversion,
                target,
            }),
        }
    }

    /// What each result is checked by, if it is.
    fn schema(&self, target: &TargetSchema, problems: &mut Vec<Problem>) -> Option<Box<Schema>> {
        let Names { mode, target: name, .. } = self.names;
        if self.mode.is_none() {
            let message = format!("is for a body that is mapped: give `{mode}` too, or leave this out");
            problems.push(Problem::new(name, message));
            return None;
        }
        let schema = Schema::compile(&target.schema, &join(name, "schema"), problems)?;
        target.validate.then(|| Box::new(schema))
    }

    fn change(&self, problems: &mut Vec<Problem>) -> Option<Change> {
        let Names {
            mode, mappings, script, ..
        } = self.names;
        let mut refuse = |path: &str, message: &str| problems.push(Problem::new(path, message));
        match self.mode {
            None => {
                if !self.mappings.is_empty() || self.script.is_some() {
                    refuse(mode, "must be SIMPLE or SCRIPT for this to have an effect");
                }
                None
            }
            Some(TransformationMode::Simple) => {
                if self.script.is_some() {
                    refuse(script, "must be left out in mode SIMPLE");
                }
                if self.mappings.is_empty() {
                    refuse(mappings, "must hold at least one line in mode SIMPLE");
                    return None;
                }
                let most = usize::try_from(self.most_bytes).unwrap_or(usize::MAX);
                let rules = Rules {
                    side: self.side,
                    tables: self.tables,
                };
                let mapping = Mapping::compile_for(rules, self.mappings, mappings, problems)?;
                if let Some(sample) = self.sample {
                    let lenient = self.format.is_some_and(|format| format.from != Some(Format::Json));
                    problems.extend(mapping.check_sample(sample, lenient, mappings));
                }
                Some(Change::Mapping(mapping.with_max_output(most)))
            }
            Some(TransformationMode::Script) => {
                if !self.mappings.is_empty() {
                    refuse(mappings, "must be left out in mode SCRIPT");
                }
                let Some(source) = self.script else {
                    refuse(script, "is needed in mode SCRIPT");
                    return None;
                };
                let script = Script::check_in(self.language, source, script, problems)?;
                Some(Change::Script(script.with_tables(self.tables)))
            }
        }
    }
}
