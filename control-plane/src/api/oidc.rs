//! Signing in at an identity provider: the two stops of a browser here.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use filters::model::Secret;
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::App;
use super::auth::{CameFrom, Welcome};
use super::error::ApiError;
use super::openapi::Describe as _;
use super::request::Params;
use crate::users::oidc::{self, OidcError, ProviderError, Return};

/// What a browser comes back with; providers add more, which is not looked at.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Back {
    /// What the person's token is given for.
    #[serde(default)]
    code: Option<String>,
    /// What the sign-in began with.
    #[serde(default)]
    state: Option<String>,
    /// Why the provider refused, if it did.
    #[serde(default)]
    error: Option<String>,
}

/// Sends a browser to the identity provider.
pub(super) async fn begin(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let departure = app.users.begin_oidc(Timestamp::now()).await?;
    let cookie = set_cookie(&departure.cookie, oidc::LONGEST_SECONDS, app.users.is_oidc_secure());
    redirect(&departure.location, &cookie)
}

/// Signs in somebody who comes back from the identity provider.
pub(super) async fn end(
    State(app): State<Arc<App>>,
    CameFrom(origin): CameFrom,
    headers: HeaderMap,
    Params(back): Params<Back>,
) -> Result<Response, ApiError> {
    let back = Return {
        code: back.code.as_deref(),
        state: back.state.as_deref(),
        error: back.error.as_deref(),
        cookie: cookie_of(&headers),
    };
    let signed_in = app.users.end_oidc(&back, &origin, Timestamp::now()).await?;
    let cookie = set_cookie("", 0, app.users.is_oidc_secure());
    let Some(place) = app.users.return_to() else {
        let mut response = Json(Welcome::from(signed_in)).into_response();
        response.headers_mut().insert(SET_COOKIE, header(&cookie)?);
        return Ok(response);
    };
    // Behind `#`, a browser keeps it to itself.
    let place = Secret::new(format!("{place}#token={}", signed_in.token.expose()));
    redirect(place.expose(), &cookie)
}

pub(super) fn begin_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Sign in at the identity provider: sends the browser there")
        .description("404 where no provider is configured, 503 while it does not answer.")
        .open()
        .response_with::<303, (), _>(|answer| answer.description("To the identity provider."))
        .errors(&[404])
}

pub(super) fn end_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Come back from the identity provider")
        .description(
            "Answers with the token; where `auth.oidc.returnTo` is set, sends the browser there with `#token=`.",
        )
        .open()
        .response_with::<200, Json<Welcome>, _>(|answer| answer.description("Somebody signed in."))
        .response_with::<303, (), _>(|answer| answer.description("To the configured place."))
        .errors(&[401, 403, 404])
}

impl From<OidcError> for ApiError {
    fn from(error: OidcError) -> Self {
        let message = error.to_string();
        match error {
            OidcError::None => Self::new(StatusCode::NOT_FOUND, message),
            OidcError::NotBegun => Self::new(StatusCode::BAD_REQUEST, message),
            OidcError::Refused(_) | OidcError::NoRole(_) | OidcError::Person(_) => Self::forbidden(message),
            OidcError::Provider(ProviderError::Token(_)) => Self::forbidden(message),
            OidcError::Provider(error) => {
                tracing::warn!(
                    error = filters::fault::told(&error),
                    "somebody cannot sign in at the identity provider"
                );
                Self::unavailable(message)
            }
            OidcError::Users(error) => error.into(),
        }
    }
}

fn redirect(place: &str, cookie: &str) -> Result<Response, ApiError> {
    let headers = [(LOCATION, header(place)?), (SET_COOKIE, header(cookie)?)];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

/// A cookie that comes back to these two routes only, also when the provider sends the browser here.
fn set_cookie(value: &str, seconds: i64, is_secure: bool) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    format!(
        "{}={value}; Path=/api/v1/auth/oidc; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}",
        oidc::COOKIE
    )
}

fn cookie_of(headers: &HeaderMap) -> Option<&str> {
    let all = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|cookies| cookies.to_str().ok());
    let mut each = all
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='));
    each.find_map(|(name, value)| (name == oidc::COOKIE).then_some(value))
}

fn header(text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(text).map_err(|_| ApiError::internal())
}
