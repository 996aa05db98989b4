//! A control plane that holds integrations before a gateway asks for them.

use std::time::Duration;

use harness::ControlPlane;
use reqwest::Client;
use serde_json::{Value, json};

use crate::error::Error;

/// Starts a control plane, and gives it all inbound `integrations` in one request.
///
/// # Errors
/// If it refuses them.
pub async fn holding(integrations: impl IntoIterator<Item = Value>) -> Result<ControlPlane, Error> {
    holding_objects(integrations.into_iter().map(|integration| ("integration", integration))).await
}

/// Starts a control plane, and gives it all `objects`, each with its kind, in one request.
///
/// # Errors
/// If it refuses them.
pub async fn holding_objects(objects: impl IntoIterator<Item = (&'static str, Value)>) -> Result<ControlPlane, Error> {
    let control_plane = ControlPlane::start().await;
    let put: Vec<Value> = objects
        .into_iter()
        .map(|(kind, value)| json!({"kind": kind, "value": value}))
        .collect();
    let request = Client::new()
        .post(format!("{}/api/v1/apply", control_plane.url()))
        .header("x-api-key", control_plane.operator_key())
        .timeout(PATIENCE)
        .json(&json!({"put": put}));
    let refused = |what: String| Error::WrongAnswer {
        who: "the control plane".to_owned(),
        what,
    };
    let answer = request.send().await.map_err(|error| refused(error.to_string()))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| refused(error.to_string()))?;
    if status.is_success() {
        Ok(control_plane)
    } else {
        Err(refused(format!("{status} {text}")))
    }
}

const PATIENCE: Duration = Duration::from_secs(120);
