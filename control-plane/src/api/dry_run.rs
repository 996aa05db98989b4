//! Tries a transformation on a sample, without a partner.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::compile::transformation::Transformation;
use filters::lookup::Tables;
use filters::model::Problem;
use filters::model::format::Format;
use filters::model::mapping::TransformationMode;
use filters::model::problem::join;
use filters::plan::{Change, Transform};
use filters::script::{ScriptContext, ScriptFault};
use filters::transform::Edits;
use http::HeaderValue;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::App;
use super::error::ApiError;
use super::operator::Caller;
use super::request::{Document, Named, Params, Place, Within, read};
use super::resource::{Resource, id_of, visible};
use crate::dry_run::{DryRunFault, Sample};

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
    /// The transformation, still without the lookup tables of its organization.
    transformation: Transformation<'a>,
    /// Where it stands.
    place: String,
    /// The body to transform: JSON, or a text in the format that it comes in.
    sample: Value,
    /// What is around the body.
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
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DryRunOutcome")]
pub(super) struct Outcome {
    /// How the side is transformed; left out if it is not. Without a change of its format the output is the sample then.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<TransformationMode>,
    /// The transformed body.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Value>,
    /// Header fields that the mapping writes; null takes one out.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    headers: Map<String, Value>,
    /// Parameters of the query that it writes; null takes one out.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    query: Map<String, Value>,
    /// Parameters of the path that it writes, percent-encoded.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    path: Map<String, Value>,
    /// The status that it writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Why there is no output.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
    /// Where the table does not fit the sample, whether it stands in the way of an output or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Problem>,
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
    let state = app.publisher.state();
    let org_id = trial.context.org_id;
    let transform = trial.compile(state.plan().map(|plan| plan.tables(org_id)));
    let transform = transform.map_err(ApiError::validation)?;
    let mode = trial.transformation.mode;
    let Some(transform) = transform else {
        return Ok(Json(Outcome {
            mode,
            output: Some(trial.sample),
            ..Outcome::default()
        }));
    };
    let problems = trial.misfits(&transform);
    let writes_json = transform
        .conversion
        .as_ref()
        .is_none_or(|conversion| conversion.writes_json());
    let result = app.dry_runs.run(transform, trial.into_sample()).await;
    let outcome = match result {
        Ok(mapped) => Outcome {
            output: mapped.body.map(|body| shown(&body, writes_json)),
            ..edits(mapped.edits)
        },
        Err(DryRunFault::Script(ScriptFault::Busy)) => {
            return Err(ApiError::unavailable("too many dry runs are waiting; try again"));
        }
        Err(fault) => Outcome {
            fault: Some(Fault::of(&fault)),
            ..Outcome::default()
        },
    };
    Ok(Json(Outcome {
        mode,
        problems,
        ..outcome
    }))
}

/// A body as JSON shows it: as itself, or as the text that it is.
fn shown(body: &[u8], is_json: bool) -> Value {
    let text = || Value::String(String::from_utf8_lossy(body).into_owned());
    if is_json {
        serde_json::from_slice(body).unwrap_or_else(|_| text())
    } else {
        text()
    }
}

fn edits(edits: Edits) -> Outcome {
    let headers = edits.headers.into_iter().map(|(name, value)| {
        let value = value.map(|value| Value::from(String::from_utf8_lossy(value.as_bytes())));
        (name.as_str().to_owned(), value.unwrap_or(Value::Null))
    });
    let query = edits.query.into_iter();
    let path = edits.path.into_iter();
    Outcome {
        headers: headers.collect(),
        query: query
            .map(|(name, value)| (name.into_string(), Value::from(value)))
            .collect(),
        path: path
            .map(|(name, value)| (name.into_string(), Value::from(value)))
            .collect(),
        status: edits.status.map(|status| status.as_u16()),
        ..Outcome::default()
    }
}

impl Trial<'_> {
    fn compile(&self, tables: Option<&Tables>) -> Result<Option<Transform>, Vec<Problem>> {
        let mut problems = Vec::new();
        let transformation = Transformation {
            tables: tables.unwrap_or(self.transformation.tables),
            ..self.transformation
        };
        let transform = transformation.compile(&mut problems);
        if problems.is_empty() {
            Ok(transform)
        } else {
            let within = problems.into_iter().map(|problem| problem.within(&self.place));
            Err(within.collect())
        }
    }

    /// Where a table does not fit the sample.
    fn misfits(&self, transform: &Transform) -> Vec<Problem> {
        let Change::Mapping(mapping) = &transform.change else {
            return Vec::new();
        };
        let table = join(&self.place, self.transformation.names.mappings);
        match &transform.conversion {
            None => mapping.check_sample(&self.sample, false, &table),
            Some(conversion) => {
                let (body, content_type) = (self.body(), self.content_type());
                match conversion.read(&body, content_type.as_ref()) {
                    Ok(Some(value)) => mapping.check_sample(&value, true, &table),
                    Ok(None) => mapping.check_sample(&self.sample, true, &table),
                    // The run says so.
                    Err(_) => Vec::new(),
                }
            }
        }
    }

    /// The bytes that the sample stands for.
    fn body(&self) -> Vec<u8> {
        let from = self.transformation.format.map(|format| {
            let by_type = Format::of(self.content_type().as_ref());
            format.from.unwrap_or(by_type)
        });
        match (&self.sample, from) {
            (Value::String(text), Some(Format::Xml | Format::Form)) => text.clone().into_bytes(),
            (sample, _) => sample.to_string().into_bytes(),
        }
    }

    fn content_type(&self) -> Option<HeaderValue> {
        let text = self.context.headers.get("content-type")?;
        HeaderValue::from_str(text).ok()
    }

    fn into_sample(self) -> Sample {
        Sample {
            body: self.body(),
            content_type: self.content_type(),
            context: ScriptContext {
                now: format!("{:.3}", Timestamp::now()),
                seed: Uuid::new_v4().into_bytes(),
                ..self.context
            },
        }
    }
}

pub(super) fn stored_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Try the transformation of a stored integration on a sample")
}

pub(super) fn free_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Try the transformation of an integration on a sample, without saving it")
}
