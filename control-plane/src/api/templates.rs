//! Templates, and integrations that are made of them.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use filters::model::push::Object;
use filters::model::{InboundIntegration, OutboundIntegration, Problem, decode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::App;
use super::answer::Answer;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Named, Params, Place, Precondition, Within};
use super::resource::{Resource, merge_into, taken};
use super::sheets::{self, Filed, Listing, Page};
use crate::publish::{Author, Edit, Mode, Refusal, State as Configuration};
use crate::store::Sheet;
use crate::templates::{Template, TemplateKind};

impl Filed for Template {
    const LIST: &'static str = "templates";
    const AUDITED: &'static str = "template";
}

/// What a template is to be filled with.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Fill {
    /// Values of its parameters.
    #[serde(default)]
    parameters: Map<String, Value>,
    /// Identifier of what is made; made by the control plane when left out.
    #[serde(default)]
    id: Option<String>,
    /// Fields that take the place of those that the template makes (JSON merge patch).
    #[serde(default)]
    overrides: Map<String, Value>,
    /// True makes nothing and says what would be made.
    #[serde(default)]
    dry_run: bool,
}

/// What was made of a template.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Made {
    /// What it is.
    kind: TemplateKind,
    /// True if it was only tried.
    dry_run: bool,
    /// The integration; secrets are masked.
    integration: AnyIntegration,
}

/// An integration of either direction.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum AnyIntegration {
    Inbound(Box<InboundIntegration>),
    Outbound(Box<OutboundIntegration>),
}

/// Lists templates: those of the installation, and those of the organization.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(listing): Params<Listing>,
) -> Result<Json<Page<Template>>, ApiError> {
    let scope = caller.scope(listing.org_id)?;
    let limit = listing.limit()?;
    let (mut found, mut after) = (Vec::new(), listing.cursor);
    // Those of the installation lie between those of all organizations.
    loop {
        let sheets: Vec<Sheet<Template>> = app.store.sheets(None, after.as_deref(), PAGE).await?;
        let is_last = sheets.len() < PAGE as usize;
        after = sheets.last().map(|sheet| sheet.value.id.clone());
        let seen = |sheet: &Sheet<Template>| scope.is_none() || sheet.value.org_id.is_none_or(|id| Some(id) == scope);
        found.extend(sheets.into_iter().filter(seen));
        if is_last || found.len() > limit as usize {
            break;
        }
    }
    Ok(Json(Page::of(found, limit)))
}

/// Reads a template.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
) -> Result<Answer<Template>, ApiError> {
    let sheet = find(&app, &caller, &id, within.org_id).await?;
    Ok(Answer::found(sheets::tag_of(&app, &sheet.value), sheet.value))
}

/// Makes a template.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    document: Document<Template>,
) -> Result<Answer<Template>, ApiError> {
    let mut template = document.read()?;
    may_change(&caller, template.org_id)?;
    if template.id.is_empty() {
        template.id = Uuid::now_v7().to_string();
    }
    keep(&app, &caller, template, None).await
}

/// Replaces a template, or makes it under this identifier.
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    precondition: Precondition,
    document: Document<Template>,
) -> Result<Answer<Template>, ApiError> {
    let mut template = document.read()?;
    if template.id.is_empty() {
        template.id.clone_from(&id);
    }
    if template.id != id {
        let problem = Problem::new("id", format!("is not that of the path, {id:?}; leave it out"));
        return Err(ApiError::validation(vec![problem]));
    }
    may_change(&caller, template.org_id)?;
    let before: Option<Sheet<Template>> = app.store.sheet(&id).await?;
    if let Some(before) = &before {
        if !sees(&caller, &before.value) {
            return Err(sheets::absent::<Template>(&id));
        }
        may_change(&caller, before.value.org_id)?;
        if before.value.org_id != template.org_id {
            let problem = Problem::new("orgId", "cannot be changed; make a new template there");
            return Err(ApiError::validation(vec![problem]));
        }
    }
    sheets::check_tag(&app, &precondition, before.as_ref(), &id)?;
    keep(&app, &caller, template, before).await
}

/// Deletes a template. What was made of it stays.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
    precondition: Precondition,
) -> Result<NoContent, ApiError> {
    let sheet = find(&app, &caller, &id, within.org_id).await?;
    may_change(&caller, sheet.value.org_id)?;
    sheets::check_tag(&app, &precondition, Some(&sheet), &id)?;
    sheets::remove(&app, &caller, &sheet).await?;
    Ok(NoContent)
}

/// Makes an integration of a template.
pub(super) async fn fill(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<OfOrganization>,
    document: Document<Fill>,
) -> Result<Answer<Made>, ApiError> {
    let request = document.read()?;
    let org_id = within.org_id;
    caller.allow(org_id)?;
    let template = find(&app, &caller, &id, Some(org_id)).await?.value;
    caller.may_change(template.kind.object())?;
    let mut fields = template
        .fill(org_id, &request.parameters)
        .map_err(ApiError::validation)?;
    if request.overrides.contains_key("orgId") || request.overrides.contains_key("id") {
        let problem = Problem::new(
            "overrides",
            "cannot have `id` or `orgId`; both have a place of their own",
        );
        return Err(ApiError::validation(vec![problem]));
    }
    merge_into(&mut fields, &request.overrides);
    let object_id = request.id.unwrap_or_else(|| Uuid::now_v7().to_string());
    fields.insert("id".to_owned(), object_id.into());
    let by = caller.author(format!("made of the template {:?}", template.name));
    let mode = if request.dry_run { Mode::DryRun } else { Mode::Commit };
    let value = Value::Object(fields);
    match template.kind {
        TemplateKind::Inbound => make::<InboundIntegration>(&app, by, mode, &value).await,
        TemplateKind::Outbound => make::<OutboundIntegration>(&app, by, mode, &value).await,
    }
}

/// The organization that something is made for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OfOrganization {
    /// The organization.
    pub(super) org_id: u64,
}

async fn make<T: Resource + Into<AnyMade>>(
    app: &App,
    by: Author,
    mode: Mode,
    value: &Value,
) -> Result<Answer<Made>, ApiError> {
    let mut problems = Vec::new();
    let read: Option<T> = decode::from_value(value, "", &mut problems);
    let made = match read {
        Some(made) if problems.is_empty() => made,
        _ => return Err(ApiError::validation(problems)),
    };
    let (id, object): (_, Object) = (made.id(), made.clone().object());
    let put = {
        let id = id.clone();
        move |state: &Configuration| {
            if state.snapshot.object(&id).is_some() {
                return Err(Refusal::Conflict(taken::<T>(&id)));
            }
            Ok(Edit::of_one(object.clone()))
        }
    };
    let published = app.publisher.publish(by, mode, put).await?;
    let entry = T::entry(&published.state.snapshot, &id).filter(|_| mode == Mode::Commit);
    let (tag, shown) = match entry {
        Some(entry) => (app.sealer.tag(&entry.digest), entry.value.shown()),
        None => (sheets::tag_of(app, value), made.shown()),
    };
    let AnyMade { kind, integration } = shown.into();
    let body = Made {
        kind,
        dry_run: mode == Mode::DryRun,
        integration,
    };
    Ok(match mode {
        Mode::Commit => Answer::created(tag, format!("/api/v1/{}/{}", T::PATH, id.text()), body),
        Mode::DryRun => Answer::found(tag, body),
    })
}

/// An integration with its kind.
struct AnyMade {
    kind: TemplateKind,
    integration: AnyIntegration,
}

impl From<InboundIntegration> for AnyMade {
    fn from(made: InboundIntegration) -> Self {
        Self {
            kind: TemplateKind::Inbound,
            integration: AnyIntegration::Inbound(Box::new(made)),
        }
    }
}

impl From<OutboundIntegration> for AnyMade {
    fn from(made: OutboundIntegration) -> Self {
        Self {
            kind: TemplateKind::Outbound,
            integration: AnyIntegration::Outbound(Box::new(made)),
        }
    }
}

/// Checks a template and keeps it.
async fn keep(
    app: &App,
    caller: &Caller,
    mut template: Template,
    before: Option<Sheet<Template>>,
) -> Result<Answer<Template>, ApiError> {
    let wrong_id = sheets::check_id(&template.id);
    let checked = template.clone();
    let problems = tokio::task::spawn_blocking(move || checked.problems()).await;
    let problems = problems.map_err(|_| ApiError::internal())?;
    let problems: Vec<Problem> = wrong_id.into_iter().chain(problems).collect();
    if !problems.is_empty() {
        return Err(ApiError::validation(problems));
    }
    let now = sheets::now();
    template.created_at = before.as_ref().map_or(Some(now), |before| before.value.created_at);
    template.updated_at = before.as_ref().and_then(|before| before.value.updated_at);
    if before.as_ref().is_none_or(|before| before.value != template) {
        template.updated_at = Some(now);
        sheets::save(app, caller, &template, before.as_ref()).await?;
    }
    let tag = sheets::tag_of(app, &template);
    Ok(if before.is_some() {
        Answer::found(tag, template)
    } else {
        Answer::created(tag, format!("/api/v1/templates/{}", template.id), template)
    })
}

/// The template, if the caller may know of it.
async fn find(app: &App, caller: &Caller, id: &str, org_id: Option<u64>) -> Result<Sheet<Template>, ApiError> {
    let scope = caller.scope(org_id)?;
    let sheet: Option<Sheet<Template>> = app.store.sheet(id).await?;
    let seen = |sheet: &Sheet<Template>| sheet.value.org_id.is_none_or(|owner| caller.sees(owner, scope));
    sheet.filter(seen).ok_or_else(|| sheets::absent::<Template>(id))
}

fn sees(caller: &Caller, template: &Template) -> bool {
    template.org_id.is_none_or(|owner| caller.sees(owner, None))
}

/// A template for all is for those to change who may touch all.
fn may_change(caller: &Caller, org_id: Option<u64>) -> Result<(), ApiError> {
    match org_id {
        Some(org_id) => caller.allow(org_id),
        None => caller.require_all(),
    }
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List templates: those of the installation, and those of the organization")
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read a template")
}

pub(super) fn create_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Make a template")
        .description(
            "It is tried with examples of its parameters: what it makes must read, and secrets must be parameters.",
        )
        .made::<Template>()
        .errors(&[409])
}

pub(super) fn replace_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Replace a template, or make it under this identifier")
        .description("With If-Match, only that state is replaced; with If-None-Match: *, nothing is.")
        .made::<Template>()
        .errors(&[409])
}

pub(super) fn delete_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Delete a template; what was made of it stays")
        .errors(&[409])
}

pub(super) fn fill_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Make an integration of a template")
        .description("Problems of values are at `parameters`, problems of what they make at its own fields.")
        .made::<Made>()
        .errors(&[409])
}

/// Templates that are read at a time.
const PAGE: u32 = 200;
