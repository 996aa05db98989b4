//! How the console looks to an organization.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::extract::State;
use axum::response::NoContent;
use filters::model::Problem;

use super::App;
use super::answer::Answer;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Params, Precondition};
use super::sheets::{self, Filed};
use super::templates::OfOrganization;
use crate::store::Sheet;
use crate::ui_config::UiConfig;

impl Filed for UiConfig {
    const LIST: &'static str = "uiConfigs";
    const AUDITED: &'static str = "uiConfig";
}

/// Reads it; what nobody set has its usual value.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(OfOrganization { org_id }): Params<OfOrganization>,
) -> Result<Answer<UiConfig>, ApiError> {
    caller.allow(org_id)?;
    let sheet: Option<Sheet<UiConfig>> = app.store.sheet(&org_id.to_string()).await?;
    let config = sheet.map_or_else(
        || UiConfig {
            org_id,
            ..UiConfig::default()
        },
        |sheet| sheet.value,
    );
    Ok(Answer::found(sheets::tag_of(&app, &config), shown(config)))
}

/// Sets it.
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(OfOrganization { org_id }): Params<OfOrganization>,
    precondition: Precondition,
    document: Document<UiConfig>,
) -> Result<Answer<UiConfig>, ApiError> {
    caller.allow(org_id)?;
    let mut config = document.read()?;
    let mut problems = config.problems();
    if config.org_id != 0 && config.org_id != org_id {
        let message = format!("is {}, and the query says {org_id}", config.org_id);
        problems.push(Problem::new("orgId", message));
    }
    if !problems.is_empty() {
        return Err(ApiError::validation(problems));
    }
    let id = org_id.to_string();
    let before: Option<Sheet<UiConfig>> = app.store.sheet(&id).await?;
    config.org_id = org_id;
    config.updated_at = before.as_ref().and_then(|before| before.value.updated_at);
    config.id.clone_from(&id);
    sheets::check_tag(&app, &precondition, before.as_ref(), &id)?;
    if before.as_ref().is_none_or(|before| before.value != config) {
        config.updated_at = Some(sheets::now());
        sheets::save(&app, &caller, &config, before.as_ref()).await?;
    }
    Ok(Answer::found(sheets::tag_of(&app, &config), shown(config)))
}

/// Forgets what was set.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(OfOrganization { org_id }): Params<OfOrganization>,
    precondition: Precondition,
) -> Result<NoContent, ApiError> {
    caller.allow(org_id)?;
    let id = org_id.to_string();
    let sheet: Option<Sheet<UiConfig>> = app.store.sheet(&id).await?;
    let sheet = sheet.ok_or_else(|| sheets::absent::<UiConfig>(&id))?;
    sheets::check_tag(&app, &precondition, Some(&sheet), &id)?;
    sheets::remove(&app, &caller, &sheet).await?;
    Ok(NoContent)
}

/// Without what only the store needs.
fn shown(mut config: UiConfig) -> UiConfig {
    config.id.clear();
    config
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read how the console looks to an organization; what nobody set has its usual value")
}

pub(super) fn replace_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Set how the console looks to an organization")
        .errors(&[409])
}

pub(super) fn delete_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Forget how the console was set to look to an organization")
        .errors(&[404, 409])
}
