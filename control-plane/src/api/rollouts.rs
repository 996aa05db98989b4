//! Rollouts: a change goes to some of the gateways first.

use std::collections::BTreeSet;
use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::App;
use super::answer::Made;
use super::apply::{Applied, Put, Reference, Wanted, summary};
use super::changing::check_message;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Named, Place};
use crate::publish::{Mode, State as Configuration};
use crate::rollout::{self, Rollout, Rules, Share, Standing};

/// A change that goes to some of the gateways first.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "RolloutRequest")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Request {
    /// Objects to make or replace.
    #[serde(default)]
    #[schemars(with = "Vec<Put>")]
    put: Vec<Value>,
    /// Objects to delete; those that are not there are passed over.
    #[serde(default)]
    #[schemars(with = "Vec<Reference>")]
    delete: Vec<Value>,
    /// To so many percent of the connected gateways first, 1 to 99; rounded up.
    #[serde(default)]
    percent: Option<u32>,
    /// To these gateways first, by name; instead of `percent`.
    #[serde(default)]
    gateways: Vec<String>,
    /// When it goes on, and when it is taken back.
    #[serde(default)]
    rules: Rules,
    /// True changes nothing and says what would happen.
    #[serde(default)]
    dry_run: bool,
    /// What for; kept with the version.
    #[serde(default)]
    message: String,
}

/// To whom a change goes first, and what is watched.
#[derive(Clone, Debug)]
pub(super) struct How {
    pub(super) percent: Option<u32>,
    pub(super) gateways: Vec<String>,
    pub(super) rules: Rules,
}

/// What became of it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Began {
    #[serde(flatten)]
    applied: Applied,
    /// The rollout; left out if nothing was to change, or it was only tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<Rollout>,
}

/// Rollouts, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Rollouts {
    /// Newest first, at most 1,000.
    rollouts: Vec<Rollout>,
}

/// A rollout, and how its gateways are doing.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Watched {
    #[serde(flatten)]
    rollout: Rollout,
    /// How its gateways are doing, as far as they are connected to this control plane; empty once it is over.
    standings: Vec<Standing>,
}

/// Begins a rollout.
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    caller: Caller,
    document: Document<Request>,
) -> Result<Made<Began>, ApiError> {
    caller.require_all()?;
    let request = document.read()?;
    let how = How {
        percent: request.percent,
        gateways: request.gateways,
        rules: request.rules,
    };
    let wanted = how.wanted(&request.message)?;
    let mode = if request.dry_run { Mode::DryRun } else { Mode::Commit };
    let change = Wanted::read(request.put, request.delete).await?;
    let by = caller.author(request.message);
    let edit = move |state: &Configuration| change.edit(&caller, state);
    let (published, rollout) = app.rollouts.begin(by, mode, wanted, edit).await?;
    let location = rollout
        .as_ref()
        .map(|rollout| format!("/api/v1/rollouts/{}", rollout.id));
    let began = Began {
        applied: summary(
            published.state.snapshot.version,
            mode,
            &published.outcomes,
            published.warnings,
        ),
        rollout,
    };
    Ok(Made::new(location, began))
}

/// Lists rollouts.
pub(super) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Rollouts>, ApiError> {
    caller.require_all()?;
    let sheets = app.store.sheets::<Rollout>(None, None, MOST).await?;
    let rollouts = sheets.into_iter().rev().map(|sheet| sheet.value);
    Ok(Json(Rollouts {
        rollouts: rollouts.collect(),
    }))
}

/// Reads a rollout.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
) -> Result<Json<Watched>, ApiError> {
    caller.require_all()?;
    let sheet = app.rollouts.find(&id).await?;
    let sheet = sheet.ok_or_else(|| ApiError::not_found(&format!("the rollout {id:?}")))?;
    Ok(Json(Watched {
        standings: app.rollouts.standings(&sheet.value),
        rollout: sheet.value,
    }))
}

/// Lets a rollout go on.
pub(super) async fn promote(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
) -> Result<Json<Rollout>, ApiError> {
    caller.require_all()?;
    may_end(&app, &caller)?;
    Ok(Json(app.rollouts.promote(&id, caller.author(String::new())).await?))
}

/// Takes a rollout back.
pub(super) async fn abort(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
) -> Result<Json<Rollout>, ApiError> {
    caller.require_all()?;
    may_end(&app, &caller)?;
    Ok(Json(app.rollouts.abort(&id, caller.author(String::new())).await?))
}

/// Refuses whoever could not change what the rollout that is under way changes. Only that one can be ended.
fn may_end(app: &App, caller: &Caller) -> Result<(), ApiError> {
    let state = app.publisher.state();
    let back = state.taken_back().unwrap_or_default();
    let put = back.put.iter().filter_map(|(_, object)| object.id());
    for id in put.chain(back.delete) {
        caller.may_change(id.kind())?;
    }
    Ok(())
}

impl How {
    /// What is asked for, if it can be.
    pub(super) fn wanted(&self, message: &str) -> Result<rollout::Wanted, ApiError> {
        let mut problems = Vec::new();
        problems.extend(check_message(message, "message").err());
        let share = match (self.percent, self.gateways.is_empty()) {
            (Some(percent), true) => {
                if !(1..=99).contains(&percent) {
                    problems.push(Problem::new("percent", format!("{percent} is not between 1 and 99")));
                }
                Share::Percent(percent)
            }
            (None, false) => {
                if self.gateways.len() > MOST_GATEWAYS {
                    problems.push(Problem::new("gateways", format!("are more than {MOST_GATEWAYS}")));
                }
                Share::Gateways(self.gateways.iter().cloned().collect::<BTreeSet<_>>())
            }
            (Some(_), false) => {
                problems.push(Problem::new("percent", "cannot be given beside `gateways`"));
                Share::Percent(1)
            }
            (None, true) => {
                problems.push(Problem::new("percent", "must be given, or `gateways`"));
                Share::Percent(1)
            }
        };
        problems.extend(self.rules.problems());
        if problems.is_empty() {
            Ok(rollout::Wanted {
                share,
                rules: self.rules,
                writes: Vec::new(),
            })
        } else {
            Err(ApiError::validation(problems))
        }
    }
}

impl Rules {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut check = |field: &str, is_right: bool, text: String, range: &str| {
            if !is_right {
                problems.push(Problem::new(
                    format!("rules.{field}"),
                    format!("{text} is not between {range}"),
                ));
            }
        };
        let (seconds, tolerance, failures) = (self.watch_seconds, self.tolerance_percent, self.min_failures);
        check(
            "watchSeconds",
            (1..=86_400).contains(&seconds),
            seconds.to_string(),
            "1 and 86,400",
        );
        check(
            "tolerancePercent",
            (0.0..=100.0).contains(&tolerance),
            tolerance.to_string(),
            "0 and 100",
        );
        check(
            "minFailures",
            (1..=1_000_000).contains(&failures),
            failures.to_string(),
            "1 and 1,000,000",
        );
        problems
    }
}

pub(super) fn begin_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Publish a change to some of the gateways first, and watch them")
        .description(
            "The change becomes a version that only the chosen gateways get. It is taken back by itself as soon as one of them \
             refuses it, or clearly more of their requests fail than before and than at the others; otherwise it goes to all \
             gateways when the time is over. Until then every other change is refused with 409.",
        )
        .made::<Began>()
        .errors(&[409])
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List rollouts, newest first")
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read a rollout, and how its gateways are doing")
}

pub(super) fn promote_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Let the version of a rollout go to all gateways now")
        .errors(&[400, 409])
}

pub(super) fn abort_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Take the version of a rollout back now")
        .errors(&[400, 409])
}

/// Of rollouts that are listed; they go 90 days after their end.
const MOST: u32 = 1_000;
const MOST_GATEWAYS: usize = 10_000;
