//! What the tests of the config flow start from.

use std::sync::Arc;
use std::time::Duration;

use filters::model::push::{FromControlPlane, Object};
use filters::model::{Problem, Snapshot};
use serde_json::json;
use tokio::sync::watch;

pub(crate) use super::apply::Outcome;
use super::apply::{Applier, Update};
use super::state::State;
use crate::live::{Deps, Shared};
use crate::metrics::Metrics;

/// An applier with everything around it.
pub(crate) struct Rig {
    pub(crate) shared: Arc<Shared>,
    pub(crate) state: Arc<State>,
    pub(crate) applier: Arc<Applier>,
    pub(crate) accepted: watch::Receiver<Option<Arc<Snapshot>>>,
    metrics: Arc<Metrics>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let shared = Arc::new(Shared::default());
        let state = Arc::new(State::default());
        let deps = Deps::for_tests();
        let metrics = Arc::clone(&deps.metrics);
        let (applier, accepted) = Applier::new(Arc::clone(&shared), deps, Arc::clone(&state));
        Self {
            shared,
            state,
            applier: Arc::new(applier),
            accepted,
            metrics,
        }
    }

    pub(crate) fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Identifiers of the integrations that are live.
    pub(crate) fn live(&self) -> Option<Vec<String>> {
        let live = self.shared.load()?;
        let mut ids: Vec<_> = live.plan.integrations().map(|found| found.id.to_string()).collect();
        ids.sort();
        Some(ids)
    }

    pub(crate) async fn message(&self, message: &FromControlPlane) -> Outcome {
        let text = serde_json::to_string(message).unwrap();
        self.applier.apply(Update::Message(text.into())).await
    }

    pub(crate) fn problems(&self) -> Vec<Problem> {
        self.state
            .report()
            .last_error
            .map(|error| error.problems)
            .unwrap_or_default()
    }
}

/// An integration as the control plane sends it.
pub(crate) fn integration(id: &str, target: &str) -> Object {
    let value = json!({"id": id, "name": id, "type": id, "orgId": 1, "targetUrl": target});
    Object::Integration(Arc::new(serde_json::from_value(value).unwrap()))
}

pub(crate) fn snapshot(version: u64, ids: &[&str]) -> FromControlPlane {
    let put = ids
        .iter()
        .map(|id| integration(id, "https://partner.example/api"))
        .collect();
    FromControlPlane::Snapshot {
        version,
        put,
        trial: false,
    }
}

/// A file that holds these integrations.
pub(crate) fn document(kinds: &[&str]) -> String {
    let integration = |kind| format!("  - {{name: n, type: {kind}, orgId: 1, targetUrl: 'https://partner.example'}}\n");
    let integrations: String = kinds.iter().map(integration).collect();
    format!("integrations:\n{integrations}")
}

/// Waits until `condition` holds; what is awaited must come, so the limit is generous.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    assert!(waited.is_ok(), "waited in vain until {what}");
}
