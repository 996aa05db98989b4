//! One thing done to many objects of a kind: to all of them or to none.

use std::collections::HashSet;
use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::Problem;
use filters::model::push::ObjectId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::App;
use super::apply::{Applied, summary};
use super::changing::check_message;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Params, Within};
use super::resource::{Resource, id_of, visible};
use crate::publish::{Edit, Mode, Refusal, State as Configuration};

/// What is done to which objects.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BulkEdit {
    /// What is done.
    action: BulkAction,
    /// To these, by identifier: 1 to 500, each once.
    ids: Vec<String>,
    /// True changes nothing and says what would happen.
    #[serde(default)]
    dry_run: bool,
    /// What for; kept with the version.
    #[serde(default)]
    message: String,
}

/// What can be done to many objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum BulkAction {
    /// They are switched on, where the kind has `isActive`.
    Activate,
    /// They are switched off, where the kind has `isActive`.
    Deactivate,
    /// They are deleted, and may be restored from the trash.
    Delete,
}

/// Does one thing to many objects.
pub(super) async fn edit<T: Resource>(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(within): Params<Within>,
    document: Document<BulkEdit>,
) -> Result<Json<Applied>, ApiError> {
    let request = document.read()?;
    check(&request)?;
    let ids: Vec<ObjectId> = request.ids.iter().map(|id| id_of::<T>(id)).collect::<Result<_, _>>()?;
    let mode = if request.dry_run { Mode::DryRun } else { Mode::Commit };
    let (by, action) = (caller.author(request.message), request.action);
    let change = move |state: &Configuration| edit_of::<T>(state, &caller, within.org_id, &ids, action);
    let published = app.publisher.publish(by, mode, change).await?;
    let version = published.state.snapshot.version;
    Ok(Json(summary(version, mode, &published.outcomes, published.warnings)))
}

fn edit_of<T: Resource>(
    state: &Configuration,
    caller: &Caller,
    org_id: Option<u64>,
    ids: &[ObjectId],
    action: BulkAction,
) -> Result<Edit, Refusal> {
    let mut edit = Edit::default();
    let mut absent = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        let entry = match visible::<T>(state, id, caller, org_id) {
            Ok(entry) => entry,
            Err(Refusal::NotFound(_)) => {
                absent.push(id.to_string());
                continue;
            }
            Err(refusal) => return Err(refusal),
        };
        T::may_change(caller, entry.value.org_id())?;
        let active = match action {
            BulkAction::Delete => {
                edit.delete.push(id.clone());
                continue;
            }
            BulkAction::Activate => true,
            BulkAction::Deactivate => false,
        };
        let mut object = (*entry.value).clone();
        if object.is_active().is_none() {
            let message = format!("a {} is always on; it can only be deleted", T::NOUN);
            return Err(Refusal::Problems(vec![Problem::new("action", message)]));
        }
        object.switch(active);
        edit.put.push((format!("ids[{index}]"), object.object()));
    }
    if absent.is_empty() {
        Ok(edit)
    } else {
        Err(Refusal::NotFound(absent.join(", ")))
    }
}

fn check(request: &BulkEdit) -> Result<(), ApiError> {
    let mut problems = Vec::new();
    let count = request.ids.len();
    if !(1..=MOST_AT_ONCE).contains(&count) {
        problems.push(Problem::new(
            "ids",
            format!("names {count} objects; give 1 to {MOST_AT_ONCE}"),
        ));
    } else {
        let mut known = HashSet::new();
        let twice = request
            .ids
            .iter()
            .enumerate()
            .filter(|(_, id)| !known.insert(id.as_str()));
        problems
            .extend(twice.map(|(index, id)| Problem::new(format!("ids[{index}]"), format!("{id:?} is there twice"))));
    }
    problems.extend(check_message(&request.message, "message").err());
    if problems.is_empty() {
        Ok(())
    } else {
        Err(ApiError::validation(problems))
    }
}

pub(super) fn edit_docs<T: Resource>(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary(&format!(
            "Activate, deactivate or delete up to 500 of the {}s: all of them or none",
            T::NOUN
        ))
        .errors(&[404, 409])
}

const MOST_AT_ONCE: usize = 500;
