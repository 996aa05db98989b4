//! Samples for inbound integrations.

use std::collections::BTreeMap;

use filters::compile::transformation::{OF_REQUEST, OF_RESPONSE, Transformation};
use filters::model::{InboundIntegration, Problem};
use filters::script::{CallerContext, ScriptContext};
use filters::transform::Rules;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Transforming, Trial};

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
    /// The body to transform: JSON, or a text where it comes in another format.
    sample: Value,
    /// What a table or script sees besides the body.
    #[serde(default)]
    context: Context,
}

/// What a table or script sees besides the body.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "ExchangeContext")]
struct Context {
    /// Header fields by lower-case name.
    headers: BTreeMap<String, String>,
    /// Parameters of the query.
    query: BTreeMap<String, String>,
    /// Parameters of the path.
    params: BTreeMap<String, String>,
    /// Status of the partner's answer.
    status: Option<u16>,
    /// Who is calling: `name`, `claims`.
    #[schemars(with = "Value")]
    caller: CallerContext,
}

impl Transforming for InboundIntegration {
    type Sample = ExchangeSample;

    fn trial(&self, sample: ExchangeSample, path: &str) -> Result<Trial<'_>, Vec<Problem>> {
        let ExchangeSample { side, sample, context } = sample;
        let own = Transformation {
            mode: None,
            mappings: &[],
            script: None,
            language: self.script_language,
            format: None,
            sample: None,
            target: None,
            side: filters::transform::Side::Request,
            tables: Rules::default().tables,
            most_bytes: self.body_limits.request_bytes,
            names: OF_REQUEST,
        };
        let transformation = match side {
            Side::Request => Transformation {
                mode: self.request_transformation_mode,
                mappings: &self.request_field_mappings,
                script: self.request_transform_script.as_deref(),
                format: self.request_format.as_ref(),
                target: self.request_target_schema.as_ref(),
                ..own
            },
            Side::Response => Transformation {
                mode: self.response_transformation_mode,
                mappings: &self.response_field_mappings,
                script: self.response_transform_script.as_deref(),
                format: self.response_format.as_ref(),
                target: self.response_target_schema.as_ref(),
                side: filters::transform::Side::Response,
                most_bytes: self.body_limits.response_bytes,
                names: OF_RESPONSE,
                ..own
            },
        };
        let pairs = context.query.iter();
        Ok(Trial {
            transformation,
            place: path.to_owned(),
            sample,
            context: ScriptContext {
                org_id: self.org_id,
                tenant_id: self.tenant_id,
                integration_id: self.id.clone(),
                pairs: pairs.map(|(name, value)| (name.clone(), value.clone())).collect(),
                headers: context.headers,
                query: context.query,
                params: context.params,
                status: context.status,
                caller: context.caller,
                ..ScriptContext::default()
            },
        })
    }
}
