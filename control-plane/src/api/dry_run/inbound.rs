//! Samples for inbound integrations.

use std::collections::BTreeMap;

use filters::model::{InboundIntegration, Problem};
use filters::script::ScriptContext;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Transforming, Trial, places};

/// Which side of an exchange is transformed.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Side {
    /// The client's request.
    Request,
    /// The partner's answer.
    Response,
}

/// A sample of one side of an exchange.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in super::super) struct ExchangeSample {
    /// Which side of an exchange is transformed.
    side: Side,
    /// The body to transform.
    sample: Value,
    /// What a script sees besides the body.
    #[serde(default)]
    context: Context,
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

impl Transforming for InboundIntegration {
    type Sample = ExchangeSample;

    fn trial(&self, sample: ExchangeSample, path: &str) -> Result<Trial<'_>, Vec<Problem>> {
        let ExchangeSample { side, sample, context } = sample;
        let (mode, lines, script, places) = match side {
            Side::Request => (
                self.request_transformation_mode,
                &self.request_field_mappings,
                &self.request_transform_script,
                places(path, "requestFieldMappings", "requestTransformScript"),
            ),
            Side::Response => (
                self.response_transformation_mode,
                &self.response_field_mappings,
                &self.response_transform_script,
                places(path, "responseFieldMappings", "responseTransformScript"),
            ),
        };
        Ok(Trial {
            mode,
            lines,
            script: script.as_deref().unwrap_or_default(),
            places,
            sample,
            context: ScriptContext {
                org_id: self.org_id,
                integration_id: self.id.clone(),
                headers: context.headers,
                query: context.query,
                params: context.params,
                status: context.status,
                ..ScriptContext::default()
            },
        })
    }
}
