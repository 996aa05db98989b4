//! The texts that go to gateways, each made once however many gateways get it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use filters::model::push::FromControlPlane;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::Due;
use crate::publish::State;

/// The texts of the newest version, and of the one before it: while a rollout is under way, gateways are told of both.
#[derive(Debug, Default)]
pub(crate) struct Messages(Mutex<BTreeMap<u64, OfVersion>>);

/// By the version that a difference starts from; `None` for the whole snapshot.
type OfVersion = HashMap<Option<u64>, Arc<OnceCell<Utf8Bytes>>>;

impl Messages {
    /// The text for `due`, at `state`. `None` if it cannot be made, which only a fault of this program explains.
    pub(crate) async fn text(&self, state: &Arc<State>, due: Due) -> Option<Utf8Bytes> {
        let from = match &due {
            Due::Snapshot => None,
            Due::Change { from, .. } => Some(*from),
        };
        let cell = self.cell(state.snapshot.version, from);
        let text = cell
            .get_or_try_init(|| async {
                let state = Arc::clone(state);
                let made = tokio::task::spawn_blocking(move || serde_json::to_string(&message(&state, due)));
                made.await.map_err(|_| ())?.map(Utf8Bytes::from).map_err(|_| ())
            })
            .await;
        text.ok().cloned()
    }

    fn cell(&self, version: u64, from: Option<u64>) -> Arc<OnceCell<Utf8Bytes>> {
        let mut versions = self.0.lock();
        let cell = Arc::clone(versions.entry(version).or_default().entry(from).or_default());
        while versions.len() > MOST_VERSIONS {
            // Perhaps this one: a stream lags behind the others, and its text is of no use to them.
            versions.pop_first();
        }
        cell
    }
}

fn message(state: &State, due: Due) -> FromControlPlane {
    let to = state.snapshot.version;
    match due {
        Due::Snapshot => FromControlPlane::Snapshot {
            version: to,
            put: state.resolved.snapshot.objects(),
            trial: state.trial().is_some(),
        },
        Due::Change { from, change } => FromControlPlane::Change {
            from,
            to,
            put: change.put,
            delete: change.delete,
            trial: state.trial().is_some(),
        },
    }
}

const MOST_VERSIONS: usize = 2;
