//! Samples for outbound integrations.

use std::collections::BTreeMap;

use filters::compile::transformation::{PLAIN, Transformation};
use filters::model::problem::join;
use filters::model::{OutboundIntegration, Problem};
use filters::script::ScriptContext;
use filters::transform::{DEFAULT_MAX_OUTPUT, Rules, Side};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Transforming, Trial};

/// A sample event, for the transformation of one call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in super::super) struct EventSample {
    /// The payload to transform; for a step with `steps`, as it is by then.
    sample: Value,
    /// Name of the action whose payload is made; that of the integration's own call if left out.
    #[serde(default)]
    action: Option<String>,
    /// True for the compensation of that action.
    #[serde(default)]
    compensation: bool,
    /// What a script sees besides the payload.
    #[serde(default)]
    context: Context,
}

/// What a script sees besides the payload.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "EventContext")]
struct Context {
    /// Unit of the organization that the event belongs to.
    entity_rid: Option<u64>,
    /// Type of the event.
    event_type: Option<String>,
    /// What else is known about the event.
    metadata: BTreeMap<String, Value>,
}

impl Transforming for OutboundIntegration {
    type Sample = EventSample;

    #[expect(
        clippy::too_many_lines,
        reason = "the trial of each part, in the order of a delivery"
    )]
    fn trial(&self, sample: EventSample, path: &str) -> Result<Trial<'_>, Vec<Problem>> {
        let own = (
            self.transformation_mode,
            &self.field_mappings,
            &self.transform_script,
            path.to_owned(),
        );
        let wrong = |field: &str, message: String| Err(vec![Problem::new(field, message)]);
        let (mode, lines, script, place) = match &sample.action {
            None if sample.compensation => return wrong("action", "must name the action to compensate".to_owned()),
            None => own,
            Some(name) => {
                let found = self.actions.iter().enumerate().find(|(_, action)| action.name == *name);
                let Some((index, action)) = found else {
                    return wrong("action", format!("{name:?} is no action of the integration"));
                };
                let place = join(path, &format!("actions[{index}]"));
                let step = match action.transformation_mode {
                    Some(mode) => (
                        Some(mode),
                        &action.field_mappings,
                        &action.transform_script,
                        place.clone(),
                    ),
                    None => own,
                };
                match &action.compensate {
                    None if sample.compensation => {
                        return wrong("compensation", format!("the action {name:?} has none"));
                    }
                    Some(undo) if sample.compensation && undo.transformation_mode.is_some() => (
                        undo.transformation_mode,
                        &undo.field_mappings,
                        &undo.transform_script,
                        join(&place, "compensate"),
                    ),
                    _ => step,
                }
            }
        };
        Ok(Trial {
            transformation: Transformation {
                mode,
                mappings: lines,
                script: script.as_deref(),
                language: self.script_language,
                format: self.body_format.as_ref(),
                sample: None,
                // It is for what the subscription itself sends.
                target: self.target_schema.as_ref().filter(|_| place == path),
                side: Side::Event,
                tables: Rules::default().tables,
                most_bytes: DEFAULT_MAX_OUTPUT as u64,
                names: PLAIN,
            },
            place,
            sample: sample.sample,
            context: ScriptContext {
                org_id: self.org_id,
                tenant_id: self.tenant_id,
                entity_rid: sample.context.entity_rid,
                event_type: sample.context.event_type,
                integration_id: self.id.clone(),
                metadata: sample.context.metadata,
                ..ScriptContext::default()
            },
        })
    }
}
