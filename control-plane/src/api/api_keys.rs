//! Keys of programs, for administrators: made here, shown once, kept as hashes.

use std::collections::BTreeSet;
use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use filters::model::Problem;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::answer::Answer;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Named, Params, Place, Precondition};
use super::users::{Slice, given, tag};
use crate::access::{Role, Scope};
use crate::seal::Sealer;
use crate::users::{ApiKey, ShownKey, Terms, UsersError};

/// A key to make. Its value is made here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "NewApiKey")]
pub(super) struct New {
    /// Name of the program; appears in logs, versions and the audit.
    name: String,
    /// `API_KEY` works with what belongs to the organizations, `READ_ONLY` reads it, `ADMIN` may do everything.
    #[serde(default = "api_key")]
    role: Role,
    /// The organizations that it may touch; all of them if left out. Left out for `ADMIN`.
    #[serde(default)]
    org_ids: Option<BTreeSet<u64>>,
    /// What of its role it may do; all of it if left out. Each operation's description says which scope it needs.
    #[serde(default)]
    scopes: Option<BTreeSet<Scope>>,
    /// When it is refused from; never if left out.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    expires_at: Option<Timestamp>,
}

/// What of a key is to change; the rest stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ApiKeyPatch")]
pub(super) struct Patch {
    /// Name of the program.
    #[serde(default)]
    name: Option<String>,
    /// What the program may do.
    #[serde(default)]
    role: Option<Role>,
    /// The organizations that it may touch; `null` for all of them.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<BTreeSet<u64>>")]
    org_ids: Option<Option<BTreeSet<u64>>>,
    /// What of its role it may do; `null` for all of it.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<BTreeSet<Scope>>")]
    scopes: Option<Option<BTreeSet<Scope>>>,
    /// False refuses it.
    #[serde(default)]
    is_active: Option<bool>,
    /// When it is refused from; `null` for never.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<String>")]
    expires_at: Option<Option<Timestamp>>,
}

/// Which keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    /// Number of the page, from 1; the first if left out.
    #[serde(default)]
    page: Option<usize>,
    /// The most keys on a page, 1 to 200; 50 if left out.
    #[serde(default)]
    limit: Option<usize>,
    /// Only those with this text in the name, or that begin with it; upper and lower case are the same.
    #[serde(default)]
    search: Option<String>,
    /// Only active ones, or only those that are not.
    #[serde(default)]
    is_active: Option<bool>,
}

/// A page of keys.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PageOfApiKey")]
pub(super) struct Page {
    /// Those on the page, the oldest first.
    api_keys: Vec<ShownKey>,
    /// How many there are on all pages.
    total: usize,
    /// Number of the page.
    page: usize,
    /// The most on a page.
    limit: usize,
    /// True if there are further pages.
    has_more: bool,
}

/// Lists keys.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Page>, ApiError> {
    caller.require_all()?;
    let slice = Slice::of(wanted.page, wanted.limit)?;
    let search = wanted.search.as_deref().map(str::to_lowercase);
    let mut keys = app.users.api_keys().await?;
    keys.retain(|key| {
        let mentions = |text: &String| key.terms.name.to_lowercase().contains(text) || key.begins.starts_with(text);
        wanted.is_active.is_none_or(|active| key.terms.is_active == active) && search.as_ref().is_none_or(mentions)
    });
    let total = keys.len();
    Ok(Json(Page {
        api_keys: slice.cut(keys).map(|key| key.shown()).collect(),
        total,
        page: slice.page,
        limit: slice.limit,
        has_more: slice.has_more(total),
    }))
}

/// Makes a key. The answer is the only one that has it in clear.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    document: Document<New>,
) -> Result<Answer<ShownKey>, ApiError> {
    caller.require_all()?;
    let new: New = document.read()?;
    let now = Timestamp::now();
    if new.expires_at.is_some_and(|end| end <= now) {
        return Err(ApiError::validation(vec![Problem::new("expiresAt", "is over already")]));
    }
    let terms = Terms {
        name: new.name,
        role: new.role,
        org_ids: new.org_ids,
        scopes: new.scopes,
        is_active: true,
        expires_at: new.expires_at,
    };
    let (kept, key) = app.users.make_api_key(terms, &caller.actor(), now).await?;
    let location = format!("/api/v1/admin/api-keys/{}", kept.id);
    let answer = Answer::created(tag_of(&kept, &app.sealer), location, kept.shown());
    Ok(answer.map(|shown| ShownKey {
        key: Some(key),
        ..shown
    }))
}

/// Reads a key, but not its value.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
) -> Result<Answer<ShownKey>, ApiError> {
    caller.require_all()?;
    let key = app.users.api_key(&id).await?;
    Ok(Answer::found(tag_of(&key, &app.sealer), key.shown()))
}

/// Changes a key.
pub(super) async fn patch(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    precondition: Precondition,
    document: Document<Patch>,
) -> Result<Answer<ShownKey>, ApiError> {
    caller.require_all()?;
    let patch: Patch = document.read()?;
    let edit = |key: &ApiKey| {
        check(&precondition, key, &app.sealer)?;
        let was = key.terms.clone();
        Ok(Terms {
            name: patch.name.clone().unwrap_or(was.name),
            role: patch.role.unwrap_or(was.role),
            org_ids: patch.org_ids.clone().unwrap_or(was.org_ids),
            scopes: patch.scopes.clone().unwrap_or(was.scopes),
            is_active: patch.is_active.unwrap_or(was.is_active),
            expires_at: patch.expires_at.unwrap_or(was.expires_at),
        })
    };
    let key = app
        .users
        .change_api_key(&id, &caller.actor(), Timestamp::now(), edit)
        .await?;
    Ok(Answer::found(tag_of(&key, &app.sealer), key.shown()))
}

/// Deletes a key.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    precondition: Precondition,
) -> Result<NoContent, ApiError> {
    caller.require_all()?;
    let may = |key: &ApiKey| check(&precondition, key, &app.sealer);
    app.users.delete_api_key(&id, &caller.actor(), may).await?;
    Ok(NoContent)
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List the keys of programs, page by page")
}

pub(super) fn create_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Make a key for a program; the answer shows it once, in `key`")
        .description(
            "Only its hash is stored, and no other answer has it. To rotate a key, make another one, hand it to the program, \
             and delete the old one.",
        )
        .made::<ShownKey>()
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read what is known of a key; not the key itself")
}

pub(super) fn patch_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Change single fields of a key; its value stays as it is")
}

pub(super) fn delete_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Delete a key, which is refused from then on")
}

/// To use a key is no change of it.
fn tag_of(key: &ApiKey, sealer: &Sealer) -> String {
    let shown = ShownKey {
        last_used_at: None,
        ..key.shown()
    };
    tag(&shown, sealer)
}

fn check(precondition: &Precondition, key: &ApiKey, sealer: &Sealer) -> Result<(), UsersError> {
    if precondition.allows(Some(&tag_of(key, sealer))) {
        Ok(())
    } else {
        Err(UsersError::Precondition(format!("the API key {:?}", key.id)))
    }
}

fn api_key() -> Role {
    Role::ApiKey
}
