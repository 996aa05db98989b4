//! Rolling back: a new version with the content of an earlier one, of one object or of all.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::push::{Object, ObjectId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::App;
use super::apply::{Applied, Reference, id_of, summary};
use super::changing::check_message;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Params, Place, Within};
use super::versions::{Numbered, Step, fifty, steps_between, told};
use crate::differences::Difference;
use crate::publish::{Edit, Mode, Refusal, State as Configuration};

/// What to roll back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Request {
    /// Only this object; if left out, all that changed since.
    #[serde(default)]
    #[schemars(with = "Option<Reference>")]
    object: Option<Value>,
    /// True changes nothing and says what would happen.
    #[serde(default)]
    dry_run: bool,
    /// What for; kept with the new version.
    #[serde(default)]
    message: Option<String>,
}

/// What became of a rollback.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RolledBack {
    #[serde(flatten)]
    applied: Applied,
    /// What is different now, object by object; of at most 50 objects.
    differences: Vec<Difference>,
    /// True if more objects are different.
    more_differences: bool,
}

/// Makes a version in which one object, or all of an organization, or everything is as it was at an earlier one.
pub(super) async fn rollback(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Numbered { number }): Place<Numbered>,
    Params(within): Params<Within>,
    document: Document<Request>,
) -> Result<Json<RolledBack>, ApiError> {
    let scope = caller.scope(within.org_id)?;
    let request = document.read()?;
    let object = request.object.as_ref().map(|object| id_of(object, "object"));
    let object = object.transpose().map_err(ApiError::validation)?;
    let message = request
        .message
        .unwrap_or_else(|| format!("rolled back to version {number}"));
    check_message(&message, "message").map_err(|problem| ApiError::validation(vec![problem]))?;
    let mode = if request.dry_run { Mode::DryRun } else { Mode::Commit };
    for _ in 0..MOST_TRIES {
        let head = app.publisher.state().snapshot.version;
        if number == 0 || number > head {
            return Err(ApiError::not_found(&format!("version {number}")));
        }
        let steps = match &object {
            Some(id) => vec![step_of(&app, id, head, number, scope).await?],
            None => all_steps(&app, &caller, head, number, scope).await?,
        };
        let edit = edit_of(&steps, head, caller.clone());
        let published = app.publisher.publish(caller.author(message.clone()), mode, edit).await;
        let published = match published {
            // Somebody changed something in the meantime: what is to be put back is worked out anew.
            Err(Refusal::Busy) if app.publisher.state().snapshot.version != head => continue,
            other => other?,
        };
        let (differences, more_differences) = told(steps, 0, fifty()).await?;
        return Ok(Json(RolledBack {
            applied: summary(
                published.state.snapshot.version,
                mode,
                &published.outcomes,
                published.warnings,
            ),
            differences,
            more_differences,
        }));
    }
    Err(Refusal::Busy.into())
}

/// What becomes of one object.
async fn step_of(app: &App, id: &ObjectId, head: u64, number: u64, scope: Option<u64>) -> Result<Step, ApiError> {
    let ids = std::slice::from_ref(id);
    let at = async |version| Ok::<_, ApiError>(app.store.objects_at(version, ids).await?.pop().flatten());
    let step = Step {
        before: at(head).await?,
        after: at(number).await?,
        id: id.clone(),
    };
    let is_there = step.before.is_some() || step.after.is_some();
    if is_there && step.is_of(scope) {
        Ok(step)
    } else {
        Err(ApiError::not_found(&format!("the {id}")))
    }
}

/// What becomes of everything that changed since.
async fn all_steps(
    app: &App,
    caller: &Caller,
    head: u64,
    number: u64,
    scope: Option<u64>,
) -> Result<Vec<Step>, ApiError> {
    let mut steps = steps_between(&app.store, head, number, scope).await?;
    // What an organization is allowed is not for itself to put back, nor are units for all to change.
    steps.retain(|step| !caller.is_beyond(step.id.kind()));
    Ok(steps)
}

/// The change, for as long as version `head` is the newest.
fn edit_of(
    steps: &[Step],
    head: u64,
    caller: Caller,
) -> impl Fn(&Configuration) -> Result<Edit, Refusal> + Send + 'static {
    let wanted: Vec<(ObjectId, Option<Object>, Option<u64>)> = steps
        .iter()
        .map(|step| {
            let owner = step.before.as_ref().or(step.after.as_ref()).and_then(Object::org_id);
            (step.id.clone(), step.after.clone(), owner)
        })
        .collect();
    move |state| {
        if state.snapshot.version != head {
            return Err(Refusal::Busy);
        }
        let mut edit = Edit {
            restores: true,
            ..Edit::default()
        };
        for (id, object, owner) in &wanted {
            caller.may_change(id.kind())?;
            owner.map_or_else(|| caller.may_all(), |owner| caller.may(owner))?;
            match object {
                Some(object) => edit
                    .put
                    .push((format!("{}/{}", id.kind().name(), id.text()), object.clone())),
                None => edit.delete.push(id.clone()),
            }
        }
        Ok(edit)
    }
}

pub(super) fn rollback_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Put one object, or all of them, back to what they were at a version")
        .description(
            "Makes a new version with the content of the earlier one; what was made since is deleted, what was deleted \
             comes back. With `orgId` only what belongs to that organization is touched, and organizations and units only for \
             those who may change them. The whole configuration is \
             checked as for any other change: if what comes back does not fit what else there is now, nothing is done and \
             every problem is told.",
        )
        .errors(&[409])
}

const MOST_TRIES: usize = 5;
