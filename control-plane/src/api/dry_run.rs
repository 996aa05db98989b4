//! Tries a transformation on a sample, without a partner.

use std::collections::BTreeMap;
use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::mapping::TransformationMode;
use filters::model::problem::join;
use filters::model::{InboundIntegration, Problem};
use filters::script::{Script, ScriptContext, ScriptFault};
use filters::transform::{Mapping, MappingFault};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::App;
use super::error::ApiError;
use super::operator::Caller;
use super::request::{Document, Named, Params, Place, Within, read};
use crate::dry_run::{DryRunFault, Transformation};
use crate::publish::Refusal;

/// Which side of an exchange is transformed.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Side {
    /// The client's request.
    Request,
    /// The partner's answer.
    Response,
}

/// A sample for a stored integration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Sample {
    /// Which side of an exchange is transformed.
    side: Side,
    /// The body to transform.
    sample: Value,
    /// What a script sees besides the body.
    #[serde(default)]
    context: Context,
}

/// A sample for an integration that need not be stored.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FreeSample {
    /// Which side of an exchange is transformed.
    side: Side,
    /// The body to transform.
    sample: Value,
    /// What a script sees besides the body.
    #[serde(default)]
    context: Context,
    /// The integration, of which only the transformation of that side is looked at.
    #[schemars(with = "InboundIntegration")]
    integration: Value,
}

/// What a script sees besides the body.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Context {
    /// Header fields by lower-case name.
    headers: BTreeMap<String, String>,
    /// Parameters of the query.
    query: BTreeMap<String, String>,
    /// Parameters of the path.
    params: BTreeMap<String, String>,
    /// Status of the partner's answer.
    status: Option<u16>,
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
            DryRunFault::Mapping(fault) => match fault {
                MappingFault::Missing { target, .. }
                | MappingFault::NotAList { target, .. }
                | MappingFault::Value { target, .. } => (Some(target.clone()), None),
                MappingFault::NotJson(_) | MappingFault::TooLarge { .. } | MappingFault::TooManySteps { .. } => {
                    (None, None)
                }
            },
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
pub(super) async fn stored(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    Params(within): Params<Within>,
    document: Document<Sample>,
) -> Result<Json<Outcome>, ApiError> {
    let Sample { side, sample, context } = document.read()?;
    let state = app.publisher.state();
    let entry = state.snapshot.integrations.get(named.id.as_str());
    let entry = entry.filter(|entry| caller.sees(entry.value.org_id, within.org_id));
    let entry = entry.ok_or_else(|| Refusal::NotFound(format!("the integration {:?}", named.id)))?;
    run(&app, &entry.value, "", side, sample, context).await
}

/// Tries an integration that comes with the sample.
pub(super) async fn free(
    State(app): State<Arc<App>>,
    caller: Caller,
    document: Document<FreeSample>,
) -> Result<Json<Outcome>, ApiError> {
    let request = document.read()?;
    let integration: InboundIntegration = read(&request.integration, "integration").map_err(ApiError::validation)?;
    caller.allow(integration.org_id)?;
    run(
        &app,
        &integration,
        "integration",
        request.side,
        request.sample,
        request.context,
    )
    .await
}

async fn run(
    app: &App,
    integration: &InboundIntegration,
    path: &str,
    side: Side,
    sample: Value,
    context: Context,
) -> Result<Json<Outcome>, ApiError> {
    let (mode, transformation) = transformation_of(integration, path, side).map_err(ApiError::validation)?;
    let Some(transformation) = transformation else {
        return Ok(Json(Outcome {
            mode,
            output: Some(sample),
            fault: None,
        }));
    };
    let context = ScriptContext {
        org_id: integration.org_id,
        integration_id: integration.id.clone(),
        headers: context.headers,
        query: context.query,
        params: context.params,
        status: context.status,
        now: format!("{:.3}", Timestamp::now()),
        ..ScriptContext::default()
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

fn transformation_of(
    integration: &InboundIntegration,
    path: &str,
    side: Side,
) -> Result<(Option<TransformationMode>, Option<Transformation>), Vec<Problem>> {
    let (mode, lines, lines_field, script, script_field) = match side {
        Side::Request => (
            integration.request_transformation_mode,
            &integration.request_field_mappings,
            "requestFieldMappings",
            &integration.request_transform_script,
            "requestTransformScript",
        ),
        Side::Response => (
            integration.response_transformation_mode,
            &integration.response_field_mappings,
            "responseFieldMappings",
            &integration.response_transform_script,
            "responseTransformScript",
        ),
    };
    let mut problems = Vec::new();
    let transformation = match mode {
        None => return Ok((None, None)),
        Some(TransformationMode::Simple) => {
            Mapping::compile(lines, &join(path, lines_field), &mut problems).map(Transformation::Mapping)
        }
        Some(TransformationMode::Script) => {
            let source = script.as_deref().unwrap_or_default();
            Script::check(source, &join(path, script_field), &mut problems).map(Transformation::Script)
        }
    };
    if problems.is_empty() {
        Ok((mode, transformation))
    } else {
        Err(problems)
    }
}

pub(super) fn stored_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Try the transformation of a stored integration on a sample")
}

pub(super) fn free_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Try the transformation of an integration on a sample, without saving it")
}
