//! Accounts of people, for administrators.

use std::collections::BTreeSet;
use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use filters::model::{Problem, Secret};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};

use super::App;
use super::answer::Answer;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Named, Params, Place, Precondition};
use crate::access::Role;
use crate::seal::Sealer;
use crate::users::{Account, Edited, Profile, User, UsersError};

/// An account to make.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "NewUser")]
pub(super) struct New {
    /// E-mail address to sign in with; unique, upper and lower case being the same.
    email: String,
    /// Name of the person, for others.
    #[serde(default)]
    name: String,
    /// `ADMIN` may do everything, `USER` works with what belongs to the organizations, `READ_ONLY` reads it.
    role: Role,
    /// The organizations that the person works for. Left out for `ADMIN`, who works for all; `READ_ONLY` without it reads
    /// in all.
    #[serde(default)]
    org_ids: Option<BTreeSet<u64>>,
    /// Short for `orgIds` with one organization.
    #[serde(default)]
    org_id: Option<u64>,
    /// False makes an account that nobody can sign in to until it is activated.
    #[serde(default = "yes")]
    is_active: bool,
    /// Password: at least 12 characters, and not the e-mail address. Left out for those who sign in at an identity
    /// provider.
    #[serde(default)]
    password: Option<Secret>,
}

/// What of an account is to change; the rest stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "UserPatch")]
pub(super) struct Patch {
    /// E-mail address to sign in with.
    #[serde(default)]
    email: Option<String>,
    /// Name of the person, for others.
    #[serde(default)]
    name: Option<String>,
    /// What the person may do.
    #[serde(default)]
    role: Option<Role>,
    /// The organizations that the person works for; `null` for all of them, where the role allows that.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<BTreeSet<u64>>")]
    org_ids: Option<Option<BTreeSet<u64>>>,
    /// False ends the person's sessions and lets no new one begin.
    #[serde(default)]
    is_active: Option<bool>,
    /// A new password; the person's sessions end.
    #[serde(default)]
    password: Option<Secret>,
}

/// Which accounts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    /// Number of the page, from 1; the first if left out.
    #[serde(default)]
    page: Option<usize>,
    /// The most accounts on a page, 1 to 200; 50 if left out.
    #[serde(default)]
    limit: Option<usize>,
    /// Only those with this text in address or name; upper and lower case are the same.
    #[serde(default)]
    search: Option<String>,
    /// Only those with this role.
    #[serde(default)]
    role: Option<Role>,
    /// Only active ones, or only those that are not.
    #[serde(default)]
    is_active: Option<bool>,
    /// Only those who work for this organization.
    #[serde(default)]
    org_id: Option<u64>,
}

/// A page of accounts.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PageOfUser")]
pub(super) struct Page {
    /// Those on the page, the oldest first.
    users: Vec<Account>,
    /// How many there are on all pages.
    total: usize,
    /// Number of the page.
    page: usize,
    /// The most on a page.
    limit: usize,
    /// True if there are further pages.
    has_more: bool,
}

/// Lists accounts.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Page>, ApiError> {
    caller.require_all()?;
    let slice = Slice::of(wanted.page, wanted.limit)?;
    let search = wanted.search.as_deref().map(str::to_lowercase);
    let mut people = app.users.people().await?;
    people.retain(|User { profile, .. }| {
        let mentions = |text: &String| profile.email.contains(text) || profile.name.to_lowercase().contains(text);
        let works_for = |org_id: u64| profile.org_ids.as_ref().is_none_or(|ids| ids.contains(&org_id));
        wanted.role.is_none_or(|role| profile.role == role)
            && wanted.is_active.is_none_or(|active| profile.is_active == active)
            && wanted.org_id.is_none_or(works_for)
            && search.as_ref().is_none_or(mentions)
    });
    people.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
    let total = people.len();
    Ok(Json(Page {
        users: slice.cut(people).map(|user| user.shown()).collect(),
        total,
        page: slice.page,
        limit: slice.limit,
        has_more: slice.has_more(total),
    }))
}

/// Makes an account.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    document: Document<New>,
) -> Result<Answer<Account>, ApiError> {
    caller.require_all()?;
    let new: New = document.read()?;
    let org_ids = match (new.org_ids, new.org_id) {
        (Some(_), Some(_)) => {
            let problem = Problem::new("orgId", "give either `orgId` or `orgIds`, not both");
            return Err(ApiError::validation(vec![problem]));
        }
        (org_ids, None) => org_ids,
        (None, Some(org_id)) => Some(BTreeSet::from([org_id])),
    };
    let edited = Edited {
        profile: Profile {
            email: new.email,
            name: new.name,
            role: new.role,
            org_ids,
            is_active: new.is_active,
        },
        password: new.password,
    };
    let user = app.users.make_person(edited, &caller.actor(), Timestamp::now()).await?;
    let location = format!("/api/v1/admin/users/{}", user.id);
    Ok(Answer::created(tag_of(&user, &app.sealer), location, user.shown()))
}

/// Reads an account.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
) -> Result<Answer<Account>, ApiError> {
    caller.require_all()?;
    let user = app.users.person(&id).await?;
    Ok(Answer::found(tag_of(&user, &app.sealer), user.shown()))
}

/// Changes an account.
pub(super) async fn patch(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    precondition: Precondition,
    document: Document<Patch>,
) -> Result<Answer<Account>, ApiError> {
    caller.require_all()?;
    let patch: Patch = document.read()?;
    let edit = |user: &User| {
        check(&precondition, user, &app.sealer)?;
        let was = user.profile.clone();
        let profile = Profile {
            email: patch.email.clone().unwrap_or(was.email),
            name: patch.name.clone().unwrap_or(was.name),
            role: patch.role.unwrap_or(was.role),
            org_ids: patch.org_ids.clone().unwrap_or(was.org_ids),
            is_active: patch.is_active.unwrap_or(was.is_active),
        };
        if caller.is_user(&user.id) && (!profile.is_active || profile.role != was.role) {
            return Err(UsersError::Conflict(OWN_ACCOUNT.to_owned()));
        }
        Ok(Edited {
            profile,
            password: patch.password.clone(),
        })
    };
    let user = app
        .users
        .change_person(&id, &caller.actor(), Timestamp::now(), edit)
        .await?;
    Ok(Answer::found(tag_of(&user, &app.sealer), user.shown()))
}

/// Deletes an account.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    precondition: Precondition,
) -> Result<NoContent, ApiError> {
    caller.require_all()?;
    let may = |user: &User| {
        if caller.is_user(&user.id) {
            return Err(UsersError::Conflict(OWN_ACCOUNT.to_owned()));
        }
        check(&precondition, user, &app.sealer)
    };
    app.users.delete_person(&id, &caller.actor(), may).await?;
    Ok(NoContent)
}

/// Ends all sessions of an account.
pub(super) async fn end_sessions(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
) -> Result<NoContent, ApiError> {
    caller.require_all()?;
    app.users.end_sessions(&id, &caller.actor()).await?;
    Ok(NoContent)
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List the accounts of people, page by page")
}

pub(super) fn create_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Make an account").made::<Account>().errors(&[409])
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read an account")
}

pub(super) fn patch_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Change single fields of an account")
        .description(
            "A new password, and `isActive: false`, end all sessions of the account. Another role and other organizations \
             count from the next request on. Nobody can deactivate their own account or change its role.",
        )
        .errors(&[409])
}

pub(super) fn delete_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Delete an account, which ends its sessions; not the own one")
        .errors(&[409])
}

pub(super) fn end_sessions_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("End all sessions of an account")
}

/// A part of a list that is in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    pub(super) page: usize,
    pub(super) limit: usize,
}

impl Slice {
    pub(super) fn of(page: Option<usize>, limit: Option<usize>) -> Result<Self, ApiError> {
        let (page, limit) = (page.unwrap_or(1), limit.unwrap_or(USUAL));
        let mut problems = Vec::new();
        if page == 0 {
            problems.push(Problem::new("page", "pages are counted from 1"));
        }
        if !(1..=MOST).contains(&limit) {
            problems.push(Problem::new("limit", format!("{limit} is not between 1 and {MOST}")));
        }
        if problems.is_empty() {
            Ok(Self { page, limit })
        } else {
            Err(ApiError::validation(problems))
        }
    }

    pub(super) fn cut<T>(self, all: Vec<T>) -> impl Iterator<Item = T> {
        all.into_iter().skip(self.skipped()).take(self.limit)
    }

    pub(super) fn has_more(self, total: usize) -> bool {
        self.skipped().saturating_add(self.limit) < total
    }

    fn skipped(self) -> usize {
        self.page.saturating_sub(1).saturating_mul(self.limit)
    }
}

/// Tells a field that is `null` from one that is left out.
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Entity tag of what is shown.
pub(super) fn tag(shown: &impl Serialize, sealer: &Sealer) -> String {
    let text = serde_json::to_vec(shown).unwrap_or_default();
    sealer.tag(&Sha256::digest(text).into())
}

/// Signing in is no change of the account.
fn tag_of(user: &User, sealer: &Sealer) -> String {
    let shown = Account {
        last_login_at: None,
        ..user.shown()
    };
    tag(&shown, sealer)
}

fn check(precondition: &Precondition, user: &User, sealer: &Sealer) -> Result<(), UsersError> {
    if precondition.allows(Some(&tag_of(user, sealer))) {
        Ok(())
    } else {
        Err(UsersError::Precondition(format!("the user {:?}", user.id)))
    }
}

fn yes() -> bool {
    true
}

const OWN_ACCOUNT: &str =
    "nobody can deactivate or delete their own account or change its role; ask another administrator";
const USUAL: usize = 50;
const MOST: usize = 200;
