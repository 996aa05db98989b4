//! Signing in and out, and what people do with their own account.

use std::collections::BTreeSet;
use std::sync::Arc;

use aide::OperationInput;
use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::NoContent;
use filters::model::Secret;
use http::request::Parts;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::error::ApiError;
use super::observe::Noted;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::rate::site_of;
use super::request::Document;
use crate::access::{Proof, Role, Scope};
use crate::listener::Peer;
use crate::users::{Account, Origin, ShownKey, SignedIn};

/// What somebody signs in with.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Credentials {
    /// E-mail address of the account.
    email: String,
    /// Its password.
    password: Secret,
}

/// The first administrator.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct First {
    /// The token that the control plane showed when it started.
    token: Secret,
    /// E-mail address to sign in with.
    email: String,
    /// Name of the person, for others.
    #[serde(default)]
    name: String,
    /// Password: at least 12 characters, and not the e-mail address.
    password: Secret,
}

/// Another password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewPassword {
    /// The password until now.
    current_password: Secret,
    /// The new one: at least 12 characters, and not the e-mail address.
    new_password: Secret,
}

/// Somebody who signed in.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Welcome {
    /// Token of the session, for `Authorization: Bearer`.
    token: Secret,
    /// When it is over. An answer to a request with a token that is getting old has a new one in `X-Session-Token`.
    #[schemars(with = "String")]
    expires_at: Timestamp,
    /// Who signed in.
    user: Account,
}

/// Who is asking.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Me {
    kind: MeKind,
    /// Name of the key, or the e-mail address.
    name: String,
    /// What they may do.
    role: Role,
    /// The organizations that they may touch; all of them if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    org_ids: Option<BTreeSet<u64>>,
    /// What of their role they may do; all of it if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<BTreeSet<Scope>>,
    /// The account, of somebody who signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Account>,
    /// The key, of a program with a key that was made through the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<ShownKey>,
}

/// What showed who is asking.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum MeKind {
    /// A session.
    User,
    /// A key that was made through the API.
    ApiKey,
    /// A key of the control plane's settings.
    OperatorKey,
}

/// Signs somebody in.
pub(super) async fn login(
    State(app): State<Arc<App>>,
    CameFrom(origin): CameFrom,
    document: Document<Credentials>,
) -> Result<Json<Welcome>, ApiError> {
    let Credentials { email, password } = document.read()?;
    let signed_in = app.users.sign_in(&email, &password, &origin, Timestamp::now()).await?;
    Ok(Json(signed_in.into()))
}

/// Makes the first administrator.
pub(super) async fn first_admin(
    State(app): State<Arc<App>>,
    CameFrom(origin): CameFrom,
    document: Document<First>,
) -> Result<Json<Welcome>, ApiError> {
    let First {
        token,
        email,
        name,
        password,
    } = document.read()?;
    let made = app
        .users
        .make_first_admin(&token, email, name, &password, &origin, Timestamp::now());
    Ok(Json(made.await?.into()))
}

/// Ends the session.
pub(super) async fn logout(State(app): State<Arc<App>>, caller: Caller) -> Result<NoContent, ApiError> {
    let (session, user_id) = caller.session()?;
    app.users.sign_out(session, user_id, &caller.actor()).await?;
    Ok(NoContent)
}

/// Says who is asking.
pub(super) async fn me(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Me>, ApiError> {
    let operator = caller.operator();
    let (kind, user, api_key) = match &operator.proof {
        Proof::Session { user_id, .. } => {
            let user = app.users.person(user_id).await?;
            (MeKind::User, Some(user.shown()), None)
        }
        Proof::ApiKey { id } => (MeKind::ApiKey, None, Some(app.users.api_key(id).await?.shown())),
        Proof::OperatorKey => (MeKind::OperatorKey, None, None),
    };
    Ok(Json(Me {
        kind,
        name: operator.name.clone(),
        role: operator.role(),
        org_ids: operator.org_ids().cloned(),
        scopes: operator.scopes().cloned(),
        user,
        api_key,
    }))
}

/// Gives a new token for the session.
pub(super) async fn refresh(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Welcome>, ApiError> {
    let (session, _) = caller.session()?;
    Ok(Json(app.users.refresh(session, Timestamp::now()).await?.into()))
}

/// Changes the caller's own password.
pub(super) async fn password(
    State(app): State<Arc<App>>,
    caller: Caller,
    CameFrom(origin): CameFrom,
    document: Document<NewPassword>,
) -> Result<Json<Welcome>, ApiError> {
    let (_, user_id) = caller.session()?;
    let NewPassword {
        current_password,
        new_password,
    } = document.read()?;
    let changed = app
        .users
        .change_own_password(user_id, &current_password, &new_password, &origin, Timestamp::now());
    Ok(Json(changed.await?.into()))
}

pub(super) fn login_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Sign in with e-mail address and password")
        .description(
            "The answer is the same, and takes as long, whether there is no such account, it is not active, or the password \
             is wrong. After five failures within five minutes from one address further tries get 429.",
        )
        .open()
        .errors(&[401, 429])
}

pub(super) fn first_admin_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Make the first administrator, with the token that the control plane shows at its start")
        .description("It works once, and only while there is no user.")
        .open()
        .errors(&[403, 429])
}

pub(super) fn logout_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("End the session; its tokens are refused from then on")
}

pub(super) fn me_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Say who is asking, and what they may do")
        .errors(&[404])
}

pub(super) fn refresh_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Get a new token for the session, which goes on from now")
}

pub(super) fn password_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Change the own password")
        .description("All sessions of the account end, and the answer has the token of a new one.")
}

impl From<SignedIn> for Welcome {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            token: signed_in.token,
            expires_at: signed_in.expires_at,
            user: signed_in.user.shown(),
        }
    }
}

/// Where a request comes from.
#[derive(Debug)]
pub(super) struct CameFrom(pub(super) Origin);

impl FromRequestParts<Arc<App>> for CameFrom {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, ApiError> {
        let address = parts.extensions.get::<Peer>().map(|peer| peer.address.ip());
        let noted = parts.extensions.get::<Noted>();
        Ok(Self(Origin {
            address,
            site: address.map(site_of),
            request_id: noted.and_then(|noted| noted.request_id().map(str::to_owned)),
        }))
    }
}

impl OperationInput for CameFrom {}
