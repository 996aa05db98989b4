//! Tries a transformation on a sample, without a partner.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::Problem;
use filters::model::mapping::{FieldMapping, TransformationMode};
use filters::model::problem::join;
use filters::script::{Script, ScriptContext, ScriptFault};
use filters::transform::Mapping;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::App;
use super::error::ApiError;
use super::operator::Caller;
use super::request::{Document, Named, Params, Place, Within, read};
use super::resource::{Resource, id_of, visible};
use crate::dry_run::{DryRunFault, Transformation};

mod inbound;
mod outbound;

/// A kind of integrations that transform.
pub(super) trait Transforming: Resource {
    /// What it is tried on.
    type Sample: DeserializeOwned + JsonSchema + Send;

    /// The transformation that `sample` is for; problems are below `path`.
    fn trial(&self, sample: Self::Sample, path: &str) -> Result<Trial<'_>, Vec<Problem>>;
}

/// One transformation, with what it is tried on.
pub(super) struct Trial<'a> {
    /// How it transforms; `None` if it does not.
    mode: Option<TransformationMode>,
    /// The mapping table.
    lines: &'a [FieldMapping],
    /// The script.
    script: &'a str,
    /// Places of table and script.
    places: [String; 2],
    /// The body to transform.
    sample: Value,
    /// What a script sees besides the body.
    context: ScriptContext,
}

/// A sample for an integration that need not be stored.
#[derive(JsonSchema)]
#[schemars(rename = "SampleOf{T}")]
#[expect(dead_code, reason = "describes the body; it is read in two parts")]
pub(super) struct FreeSample<T: Transforming> {
    #[serde(flatten)]
    sample: T::Sample,
    /// The integration, of which only that transformation is looked at.
    integration: T,
}

/// What the transformation made of the sample: `output` or `fault`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    /// How the side is transformed; left out if it is not, and the output is the sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<TransformationMode>,
    /// The transformed body.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Value>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
}

/// Why a sample was not transformed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fault {
    /// What happened.
    message: String,
    /// The target field of the mapping that it happened at.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The line of the script that it happened in.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

impl Fault {
    fn of(fault: &DryRunFault) -> Self {
        let (field, line) = match fault {
            DryRunFault::Mapping(fault) => (fault.target().map(str::to_owned), None),
            DryRunFault::Script(fault) => match fault {
                ScriptFault::Runtime { line, .. }
                | ScriptFault::Limit { line, .. }
                | ScriptFault::Stopped { line, .. } => (None, *line),
                ScriptFault::Compile { .. }
                | ScriptFault::BadInput { .. }
                | ScriptFault::BadOutput { .. }
                | ScriptFault::Crashed
                | ScriptFault::Busy => (None, None),
            },
        };
        Self {
            message: fault.to_string(),
            field,
            line,
        }
    }
}

/// Tries a stored integration.
pub(super) async fn stored<T: Transforming>(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    Params(within): Params<Within>,
    document: Document<T::Sample>,
) -> Result<Json<Outcome>, ApiError> {
    let sample = document.read()?;
    let state = app.publisher.state();
    let entry = visible::<T>(&state, &id_of::<T>(&named.id)?, &caller, within.org_id)?;
    let trial = entry.value.trial(sample, "").map_err(ApiError::validation)?;
    run(&app, trial).await
}

/// Tries an integration that comes with the sample.
pub(super) async fn free<T: Transforming>(
    State(app): State<Arc<App>>,
    caller: Caller,
    mut document: Document<FreeSample<T>>,
) -> Result<Json<Outcome>, ApiError> {
    let integration = document
        .value
        .as_object_mut()
        .and_then(|fields| fields.shift_remove("integration"));
    let integration = integration.ok_or_else(|| {
        let message = "must be an object with the `integration` to try and what it is tried on";
        ApiError::validation(vec![Problem::new("", message)])
    })?;
    let sample: T::Sample = read(&document.value, "").map_err(ApiError::validation)?;
    let integration: T = read(&integration, "integration").map_err(ApiError::validation)?;
    caller.allow(integration.org_id())?;
    let trial = integration.trial(sample, "integration").map_err(ApiError::validation)?;
    run(&app, trial).await
}

async fn run(app: &App, trial: Trial<'_>) -> Result<Json<Outcome>, ApiError> {
    let transformation = trial.compile().map_err(ApiError::validation)?;
    let Trial {
        mode, sample, context, ..
    } = trial;
    let Some(transformation) = transformation else {
        return Ok(Json(Outcome {
            mode,
            output: Some(sample),
            fault: None,
        }));
    };
    let context = ScriptContext {
        now: format!("{:.3}", Timestamp::now()),
        ..context
    };
    let result = app
        .dry_runs
        .run(transformation, sample.to_string().into_bytes(), context)
        .await;
    let (output, fault) = match result {
        Ok(bytes) => (
            Some(serde_json::from_slice(&bytes).map_err(|_| ApiError::internal())?),
            None,
        ),
        Err(DryRunFault::Script(ScriptFault::Busy)) => {
            return Err(ApiError::unavailable("too many dry runs are waiting; try again"));
        }
        Err(fault) => (None, Some(Fault::of(&fault))),
    };
    Ok(Json(Outcome { mode, output, fault }))
}

impl Trial<'_> {
    fn compile(&self) -> Result<Option<Transformation>, Vec<Problem>> {
        let mut problems = Vec::new();
        let [lines_place, script_place] = &self.places;
        let transformation = match self.mode {
            None => return Ok(None),
            Some(TransformationMode::Simple) => {
                Mapping::compile(self.lines, lines_place, &mut problems).map(Transformation::Mapping)
            }
            Some(TransformationMode::Script) => {
                Script::check(self.script, script_place, &mut problems).map(Transformation::Script)
            }
        };
        if problems.is_empty() {
            Ok(transformation)
        } else {
            Err(problems)
        }
    }
}

/// Places of a mapping table and a script, which are fields of what is at `path`.
fn places(path: &str, lines: &str, script: &str) -> [String; 2] {
    [join(path, lines), join(path, script)]
}

pub(super) fn stored_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Try the transformation of a stored integration on a sample")
}

pub(super) fn free_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Try the transformation of an integration on a sample, without saving it")
}
