//! Scheduled jobs, as far as they can be configured.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use filters::model::Problem;
use filters::model::push::{Object, ObjectId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::App;
use super::answer::Answer;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Named, Params, Place, Precondition, Within, read as read_value};
use super::resource::{Patch, check_patch, fill_organization, merge_into, other_organization};
use super::sheets::{self, Filed, Listing, Page};
use crate::jobs::{Job, of_job};
use crate::publish::{Edit, Mode, Refusal, State as Configuration};
use crate::store::Sheet;

impl Filed for Job {
    const LIST: &'static str = "jobs";
    const AUDITED: &'static str = "job";

    fn shown(&self) -> Value {
        serde_json::to_value(self.masked()).unwrap_or_default()
    }
}

/// Whether a job could be saved.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobVerdict {
    /// True if there are no problems.
    valid: bool,
    /// Everything that is wrong.
    problems: Vec<Problem>,
}

/// Lists jobs.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(listing): Params<Listing>,
) -> Result<Json<Page<Job>>, ApiError> {
    let scope = caller.scope(listing.org_id)?;
    let limit = listing.limit()?;
    let sheets = app.store.sheets(scope, listing.cursor.as_deref(), limit + 1).await?;
    Ok(Json(Page::of(sheets, limit)))
}

/// Reads a job.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
) -> Result<Answer<Job>, ApiError> {
    let sheet = find(&app, &caller, &id, within.org_id).await?;
    Ok(Answer::found(sheets::tag_of(&app, &sheet.value), sheet.value.masked()))
}

/// Makes a job.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(within): Params<Within>,
    document: Document<Job>,
) -> Result<Answer<Job>, ApiError> {
    let mut job = read_body(document, within.org_id)?;
    caller.allow(job.org_id)?;
    if job.id.is_empty() {
        job.id = Uuid::now_v7().to_string();
    }
    keep(&app, &caller, job, None).await
}

/// Replaces a job, or makes it under this identifier.
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
    precondition: Precondition,
    document: Document<Job>,
) -> Result<Answer<Job>, ApiError> {
    let mut job = read_body(document, within.org_id)?;
    if job.id.is_empty() {
        job.id.clone_from(&id);
    }
    if job.id != id {
        let problem = Problem::new("id", format!("is not that of the path, {id:?}; leave it out"));
        return Err(ApiError::validation(vec![problem]));
    }
    caller.allow(job.org_id)?;
    let before: Option<Sheet<Job>> = app.store.sheet(&id).await?;
    if before
        .as_ref()
        .is_some_and(|before| !caller.sees(before.value.org_id, None))
    {
        return Err(sheets::absent::<Job>(&id));
    }
    sheets::check_tag(&app, &precondition, before.as_ref(), &id)?;
    keep(&app, &caller, job, before).await
}

/// Changes single fields of a job.
pub(super) async fn patch(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
    precondition: Precondition,
    document: Document<Patch>,
) -> Result<Answer<Job>, ApiError> {
    check_patch(&document.value).map_err(ApiError::validation)?;
    let sheet = find(&app, &caller, &id, within.org_id).await?;
    sheets::check_tag(&app, &precondition, Some(&sheet), &id)?;
    let mut whole = serde_json::to_value(&sheet.value).map_err(|_| ApiError::internal())?;
    if let (Value::Object(fields), Value::Object(patch)) = (&mut whole, &document.value) {
        merge_into(fields, patch);
    }
    let job = read_value(&whole, "").map_err(ApiError::validation)?;
    keep(&app, &caller, job, Some(sheet)).await
}

/// Deletes a job.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
    precondition: Precondition,
) -> Result<NoContent, ApiError> {
    let sheet = find(&app, &caller, &id, within.org_id).await?;
    sheets::check_tag(&app, &precondition, Some(&sheet), &id)?;
    sheets::remove(&app, &caller, &sheet).await?;
    Ok(NoContent)
}

/// Says what would be wrong with a job if it were saved.
pub(super) async fn validate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(within): Params<Within>,
    document: Document<Job>,
) -> Result<Json<JobVerdict>, ApiError> {
    let problems = match read_body(document, within.org_id) {
        Ok(mut job) => {
            caller.allow(job.org_id)?;
            if job.id.is_empty() {
                job.id = Uuid::now_v7().to_string();
            }
            check(&app, &caller, &job).await?
        }
        Err(error) => error.into_problems()?,
    };
    Ok(Json(JobVerdict {
        valid: problems.is_empty(),
        problems,
    }))
}

/// Checks a job and keeps it.
async fn keep(app: &App, caller: &Caller, mut job: Job, before: Option<Sheet<Job>>) -> Result<Answer<Job>, ApiError> {
    let mut problems = Vec::new();
    if let Some(before) = &before {
        job.restore_secrets(&before.value);
        if before.value.org_id != job.org_id {
            problems.push(Problem::new("orgId", "cannot be changed; make a new job there"));
        }
    }
    problems.extend(check(app, caller, &job).await?);
    if !problems.is_empty() {
        return Err(ApiError::validation(problems));
    }
    let now = sheets::now();
    job.created_at = before.as_ref().map_or(Some(now), |before| before.value.created_at);
    job.updated_at = before.as_ref().and_then(|before| before.value.updated_at);
    if before.as_ref().is_none_or(|before| before.value != job) {
        job.updated_at = Some(now);
        sheets::save(app, caller, &job, before.as_ref()).await?;
    }
    let tag = sheets::tag_of(app, &job);
    Ok(if before.is_some() {
        Answer::found(tag, job.masked())
    } else {
        Answer::created(tag, format!("/api/v1/scheduled-jobs/{}", job.id), job.masked())
    })
}

/// Everything that is wrong with a job. What it shares with an outbound integration is checked as one, by the path that
/// integrations take, which is then forgotten.
async fn check(app: &App, caller: &Caller, job: &Job) -> Result<Vec<Problem>, ApiError> {
    let mut problems: Vec<Problem> = sheets::check_id(&job.id).into_iter().collect();
    problems.extend(job.problems());
    let like = match job.as_outbound() {
        Ok(like) => like,
        Err(found) => {
            problems.extend(found);
            return Ok(problems);
        }
    };
    let id = ObjectId::Outbound(like.id.as_str().into());
    let object = Object::Outbound(Arc::new(like));
    let put = move |state: &Configuration| {
        if state.snapshot.object(&id).is_some() {
            return Err(Refusal::Conflict(format!(
                "{id} has the identifier that the job is checked under"
            )));
        }
        Ok(Edit::of_one(object.clone()))
    };
    match app
        .publisher
        .publish(caller.author(String::new()), Mode::DryRun, put)
        .await
    {
        Ok(_) => {}
        Err(Refusal::Problems(found)) => problems.extend(found.into_iter().map(of_job)),
        Err(refusal) => return Err(refusal.into()),
    }
    let mut known = std::collections::HashSet::new();
    problems.retain(|problem| known.insert(problem.path.clone()));
    Ok(problems)
}

async fn find(app: &App, caller: &Caller, id: &str, org_id: Option<u64>) -> Result<Sheet<Job>, ApiError> {
    let scope = caller.scope(org_id)?;
    let sheet: Option<Sheet<Job>> = app.store.sheet(id).await?;
    let sheet = sheet.filter(|sheet| caller.sees(sheet.value.org_id, scope));
    sheet.ok_or_else(|| sheets::absent::<Job>(id))
}

/// The organization of the query stands in where the body has none.
fn read_body(mut document: Document<Job>, org_id: Option<u64>) -> Result<Job, ApiError> {
    fill_organization(&mut document.value, org_id);
    let job: Job = document.read()?;
    match other_organization(org_id, job.org_id) {
        Some(problem) => Err(ApiError::validation(vec![problem])),
        None => Ok(job),
    }
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List scheduled jobs; secrets are masked")
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read a scheduled job; secrets are masked")
}

pub(super) fn create_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Make a scheduled job")
        .description(LATER)
        .made::<Job>()
        .errors(&[409])
}

pub(super) fn replace_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Replace a scheduled job, or make it under this identifier")
        .description("A secret that is sent as `***` stays as it is.")
        .made::<Job>()
        .errors(&[404, 409])
}

pub(super) fn patch_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Change single fields of a scheduled job (JSON merge patch, RFC 7396)")
        .errors(&[409])
}

pub(super) fn delete_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Delete a scheduled job").errors(&[400, 409])
}

pub(super) fn validate_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Say what would be wrong with a scheduled job, without saving it")
        .errors(&[409])
}

const LATER: &str = "Jobs are configured and checked, and not carried out yet: `isActive` must be false.";
