//! Removing what is kept of a person.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::Problem;
use filters::model::subject::{Subject, SubjectPath};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::App;
use super::answer::Accepted;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Named, Params, Place, Within};
use super::sheets::{Filed, Listing, Page};
use crate::erasures::{Erasure, ErasureState, GatewayPart, Removed};

/// Whose payloads are to be removed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "WantedErasure")]
pub(super) struct Wanted {
    /// The organization that the person is known to.
    org_id: u64,
    /// What the person is known by in payloads, as an identifier or an e-mail address: 1 to 256 bytes without spaces
    /// around them. It is hashed before it is kept. One of less than 3 bytes, or a number of less than 6 digits, is looked for
    /// at the organization's `subjectPaths` only, and refused if it has none.
    #[schemars(length(min = 1, max = 256))]
    subject: String,
    /// True to look for it in everything, whatever it is and wherever `subjectPaths` say: what has it by chance goes, too.
    #[serde(default)]
    anywhere: bool,
}

impl Filed for Erasure {
    const LIST: &'static str = "erasures";
    const AUDITED: &'static str = "erasure";
}

/// Begins an erasure.
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    caller: Caller,
    document: Document<Wanted>,
) -> Result<Accepted<Erasure>, ApiError> {
    let wanted = document.read()?;
    caller.allow(wanted.org_id)?;
    let name = wanted.subject.as_str();
    if !(1..=256).contains(&name.len()) || name.trim() != name {
        let message = "must be 1 to 256 bytes, without spaces around them";
        return Err(ApiError::validation(vec![Problem::new("subject", message)]));
    }
    let paths = match wanted.anywhere {
        true => Vec::new(),
        false => subject_paths(&app, wanted.org_id),
    };
    let only_paths = !wanted.anywhere && is_found_by_chance(name);
    if only_paths && paths.is_empty() {
        let message = "is so short that it stands in many payloads by chance; say in the organization's `subjectPaths` where \
                       payloads have persons, or set `anywhere` (`--anywhere`) to remove whatever has it";
        return Err(ApiError::validation(vec![Problem::new("subject", message)]));
    }
    app.fleet.refresh().await?;
    let gateways = app.fleet.list(&app.publisher.state());
    let salt = hex::encode(rand::random::<[u8; 16]>());
    let erasure = Erasure {
        id: Uuid::now_v7().to_string(),
        org_id: wanted.org_id,
        subject: Subject::new(name, &salt),
        paths,
        only_paths,
        state: ErasureState::Running,
        requested_by: caller.name().to_owned(),
        requested_at: Timestamp::now(),
        swept_at: None,
        finished_at: None,
        gateways: gateways
            .into_iter()
            .map(|gateway| GatewayPart {
                gateway_id: gateway.gateway_id,
                command_id: None,
                done: false,
                gone: false,
                events: 0,
            })
            .collect(),
        removed: Removed::default(),
    };
    app.erasures.begin(&erasure).await?;
    Ok(Accepted(erasure))
}

/// Where payloads of an organization have persons.
fn subject_paths(app: &App, org_id: u64) -> Vec<SubjectPath> {
    let state = app.publisher.state();
    let organization = state.snapshot.organizations.get(&org_id);
    organization.map_or_else(Vec::new, |entry| entry.value.subject_paths.clone())
}

/// True for what many payloads have that are about somebody else.
fn is_found_by_chance(name: &str) -> bool {
    name.len() < 3 || (name.len() < 6 && name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Lists the erasures of an organization, or of all that the caller may see, the newest first.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(listing): Params<Listing>,
) -> Result<Json<Page<Erasure>>, ApiError> {
    let scope = caller.scope(listing.org_id)?;
    let limit = listing.limit()?;
    // One more than the page, to know whether there is another.
    let sheets = app
        .store
        .sheets_before(scope, listing.cursor.as_deref(), limit + 1)
        .await?;
    Ok(Json(Page::of(sheets, limit)))
}

/// Shows an erasure.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    Params(within): Params<Within>,
) -> Result<Json<Erasure>, ApiError> {
    let scope = caller.scope(within.org_id)?;
    let found = app.store.sheet::<Erasure>(&named.id).await?;
    let erasure = found
        .map(|sheet| sheet.value)
        .filter(|erasure| scope.is_none_or(|org_id| erasure.org_id == org_id));
    erasure
        .map(Json)
        .ok_or_else(|| ApiError::not_found(&format!("erasure {:?}", named.id)))
}

pub(super) fn begin_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Remove what is kept of a person")
        .description(
            "Contents of logs that name the person are emptied, dead letters and events in the gateways' queues are deleted. \
             It goes on until every gateway that is known has done its part, or was removed.",
        )
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List erasures")
}

pub(super) fn show_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Show how far an erasure is").errors(&[404])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_and_numbers_are_found_by_chance() {
        for short in ["7", "ab", "12345", "é"] {
            assert!(is_found_by_chance(short), "{short}");
        }
        for name in ["123456", "A-7", "4711x", "a@b"] {
            assert!(!is_found_by_chance(name), "{name}");
        }
    }
}
