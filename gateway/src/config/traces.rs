//! Settings of traces.

use filters::target::TargetUrl;
use serde::{Deserialize, Serialize};

use super::validate::Found;

/// Spans of calls, for a collector that speaks OTLP over HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Traces {
    /// Where spans are sent, as `http://127.0.0.1:4318/v1/traces`; none are made if it is left out.
    pub otlp: Option<String>,
    /// How many of the traces that begin here are recorded: 1 is all. Those of clients are recorded as their `traceparent`
    /// says.
    pub sample_ratio: f64,
    /// The name of this service in traces.
    pub service_name: String,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            otlp: None,
            sample_ratio: 0.01,
            service_name: "integration-gateway".to_owned(),
        }
    }
}

impl Traces {
    /// Adds what is wrong.
    pub(super) fn check(&self, found: &mut Found) {
        if let Some(Err(error)) = self.otlp.as_deref().map(TargetUrl::parse) {
            let message = format!("{error}; give an address as `http://127.0.0.1:4318/v1/traces`");
            found.add("traces.otlp", message);
        }
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            found.add(
                "traces.sampleRatio",
                format!("is {}; it must be 0 to 1", self.sample_ratio),
            );
        }
        if self.service_name.is_empty() || self.service_name.len() > 200 {
            found.add("traces.serviceName", "must be 1 to 200 bytes long");
        }
    }
}
