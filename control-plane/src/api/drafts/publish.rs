//! What a draft would change, whether it could, and its publication.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::Problem;
use filters::model::push::{Object, ObjectId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::apply::{Applied, Reference, Wanted, summary};
use super::super::changing::check_message;
use super::super::error::ApiError;
use super::super::openapi::Describe as _;
use super::super::operator::Caller;
use super::super::request::{Document, Named, Params, Place, Within};
use super::super::rollouts::How;
use super::super::versions::{Step, fifty, told};
use super::{changed, entry, find, references};
use crate::differences::Difference;
use crate::draft::Draft;
use crate::publish::{Mode, Refusal, State as Configuration, Turn};
use crate::rollout::{Rollout, Rules};
use crate::store::{Sheet, Write};

/// How a draft is published.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "DraftPublication")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in super::super) struct Request {
    /// What for; the draft's own message if left out.
    message: Option<String>,
    /// True publishes it also where somebody changed one of its objects since it was saved.
    overwrite: bool,
    /// Begins a rollout: to so many percent of the connected gateways first, 1 to 99.
    percent: Option<u32>,
    /// Begins a rollout: to these gateways first, by name.
    gateways: Vec<String>,
    /// When a rollout goes on, and when it is taken back.
    rules: Rules,
}

/// What a draft would change.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Changes {
    /// What is different from what is live, object by object; of at most 50 objects.
    differences: Vec<Difference>,
    /// True if more objects would be different.
    more_differences: bool,
    /// Objects that somebody changed since the draft was saved.
    stale: Vec<Reference>,
}

/// Whether a draft could be published.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DraftVerdict")]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Verdict {
    /// True if there are no problems.
    valid: bool,
    /// Everything that is wrong.
    problems: Vec<Problem>,
    /// Objects that somebody changed since the draft was saved.
    stale: Vec<Reference>,
}

/// What became of a draft.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Published {
    #[serde(flatten)]
    applied: Applied,
    /// The rollout, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<Rollout>,
}

/// Says what a draft would change.
pub(in super::super) async fn diff(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
) -> Result<Json<Changes>, ApiError> {
    let draft = find(&app, &caller, &id, &within).await?.value;
    let state = app.publisher.state();
    let stale = references(&draft.stale(&state));
    let put = draft.put.into_iter().filter_map(|mut object| {
        let id = object.id()?;
        let before = state.snapshot.object(&id);
        if let Some(before) = &before {
            object.restore_secrets(before);
        }
        Some(Step {
            id,
            before,
            after: Some(object),
        })
    });
    let delete = draft.delete.into_iter().map(|id: ObjectId| Step {
        before: state.snapshot.object(&id),
        after: None,
        id,
    });
    let (differences, more_differences) = told(put.chain(delete).collect(), 0, fifty()).await?;
    Ok(Json(Changes {
        differences,
        more_differences,
        stale,
    }))
}

/// Says whether a draft could be published.
pub(in super::super) async fn validate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
) -> Result<Json<Verdict>, ApiError> {
    let draft = find(&app, &caller, &id, &within).await?.value;
    let stale = references(&draft.stale(&app.publisher.state()));
    let (by, wanted) = (caller.author(String::new()), wanted(&draft));
    let edit = move |state: &Configuration| wanted.edit(&caller, state);
    let problems = match app.publisher.publish(by, Mode::DryRun, edit).await {
        Ok(_) => Vec::new(),
        Err(Refusal::Problems(problems)) => problems,
        Err(Refusal::Conflict(message)) => vec![Problem::new("delete", message)],
        Err(refusal) => return Err(refusal.into()),
    };
    Ok(Json(Verdict {
        valid: problems.is_empty(),
        problems,
        stale,
    }))
}

/// Publishes a draft, at all gateways or some first. It is gone then.
pub(in super::super) async fn publish(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
    document: Option<Document<Request>>,
) -> Result<Json<Published>, ApiError> {
    let request = document
        .map(|document| document.read())
        .transpose()?
        .unwrap_or_default();
    let Sheet { revision, value: draft } = find(&app, &caller, &id, &within).await?;
    let message = request.message.clone().unwrap_or_else(|| draft.message.clone());
    check_message(&message, "message").map_err(|problem| ApiError::validation(vec![problem]))?;
    let gone = Write::delete::<Draft>(&id, Some(revision));
    let (by, audit) = (caller.author(message.clone()), entry(&caller, "draft.publish", &draft));
    let is_rollout = request.is_rollout();
    let (change, overwrite) = (wanted(&draft), request.overwrite);
    let may = caller.clone();
    let edit = move |state: &Configuration| {
        let stale = draft.stale(state);
        if !stale.is_empty() && !overwrite {
            return Err(stale_refusal(&stale));
        }
        change.edit(&may, state)
    };
    let published = if is_rollout {
        caller.require_all()?;
        let mut wanted = request.how().wanted(&message)?;
        wanted.writes.push(gone);
        app.rollouts.begin(by, Mode::Commit, wanted, edit).await
    } else {
        let turn = move |state: &Configuration| {
            let mut edit = edit(state)?;
            edit.writes.push(gone.clone());
            Ok(Turn {
                edit,
                audit: vec![audit.clone()],
                ..Turn::default()
            })
        };
        let published = app.publisher.publish_turn(by, Mode::Commit, turn).await;
        published.map(|published| (published, None))
    };
    let (published, rollout) = match published {
        Ok(done) => done,
        // What was written with the version did not fit: somebody saved or published the draft meanwhile.
        Err(Refusal::Conflict(_)) if find(&app, &caller, &id, &within).await?.revision != revision => {
            return Err(changed(&id));
        }
        Err(refusal) => return Err(refusal.into()),
    };
    if published.outcomes.iter().all(|outcome| outcome.is_nothing()) {
        // No version was made, and with it nothing else was written.
        app.store
            .write(vec![Write::delete::<Draft>(&id, Some(revision))], Vec::new())
            .await?;
    }
    Ok(Json(Published {
        applied: summary(
            published.state.snapshot.version,
            Mode::Commit,
            &published.outcomes,
            published.warnings,
        ),
        rollout,
    }))
}

impl Request {
    fn is_rollout(&self) -> bool {
        self.percent.is_some() || !self.gateways.is_empty()
    }

    fn how(&self) -> How {
        How {
            percent: self.percent,
            gateways: self.gateways.clone(),
            rules: self.rules,
        }
    }
}

fn stale_refusal(stale: &[ObjectId]) -> Refusal {
    let names: Vec<String> = stale.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    Refusal::Conflict(format!(
        "somebody changed {}{} since the draft was saved; look at its diff and save it anew, or publish it with `overwrite`",
        names.join(", "),
        if stale.len() > MOST_NAMED { " and others" } else { "" }
    ))
}

/// The change of a draft, with the places that problems are told at.
fn wanted(draft: &Draft) -> Wanted {
    let placed = |(index, object): (usize, &Object)| (format!("put[{index}].value"), object.clone());
    Wanted {
        put: draft.put.iter().enumerate().map(placed).collect(),
        delete: draft.delete.clone(),
    }
}

pub(in super::super) fn diff_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Say what a draft would change; secrets are masked")
}

pub(in super::super) fn validate_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Say what would be wrong with a draft if it were published now")
}

pub(in super::super) fn publish_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Publish a draft, at all gateways or at some first; it is gone then")
        .errors(&[409, 412])
}

const MOST_NAMED: usize = 5;
