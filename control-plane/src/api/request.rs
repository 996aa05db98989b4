//! What a request carries, read so that every problem in it is reported.

use std::sync::Arc;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Documented};
use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, OriginalUri, Path, Query, Request};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use filters::model::{Problem, decode};
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::App;
use super::error::{ApiError, documented};
use super::observe::Noted;

/// A JSON body that is described as a `T`, and not read as one yet.
#[derive(Debug)]
pub(super) struct Document<T> {
    pub(super) value: Value,
    shape: std::marker::PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Document<T> {
    /// Reads it.
    pub(super) fn read(&self) -> Result<T, ApiError> {
        read(&self.value, "").map_err(ApiError::validation)
    }
}

/// Reads `value`, at `path` of the request.
pub(super) fn read<T: DeserializeOwned>(value: &Value, path: &str) -> Result<T, Vec<Problem>> {
    let mut problems = Vec::new();
    match decode::from_value(value, path, &mut problems) {
        Some(read) if problems.is_empty() => Ok(read),
        _ => Err(problems),
    }
}

impl<T> FromRequest<Arc<App>> for Document<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        let essence = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
        if !essence.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json") || is_json_kind(kind)) {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send the body as JSON, with Content-Type: application/json",
            ));
        }
        let noted = request.extensions().get::<Noted>().cloned().unwrap_or_default();
        noted.reads_body(true);
        let body = Bytes::from_request(request, app).await.map_err(unread)?;
        noted.reads_body(false);
        let value = serde_json::from_slice(&body)
            .map_err(|error| ApiError::validation(vec![Problem::new("", format!("not valid JSON: {error}"))]))?;
        Ok(Self {
            value,
            shape: std::marker::PhantomData,
        })
    }
}

impl<T> OptionalFromRequest<Arc<App>> for Document<T> {
    type Rejection = ApiError;

    /// Without a content type there is no body.
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Option<Self>, ApiError> {
        if request.headers().contains_key(header::CONTENT_TYPE) {
            <Self as FromRequest<_>>::from_request(request, app).await.map(Some)
        } else {
            Ok(None)
        }
    }
}

impl<T: JsonSchema> OperationInput for Document<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        Json::<T>::operation_input(ctx, operation);
    }

    fn inferred_early_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Documented)> {
        documented(ctx, operation, &[400, 408, 413, 415])
    }
}

/// Query parameters. Those that `T` does not know are refused.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, ApiError> {
        query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Reads the parameters of a query.
pub(super) fn query<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    let wrong = |message: String| ApiError::validation(vec![Problem::new("query", message)]);
    let uri: Uri = format!("/?{text}").parse().map_err(|error| wrong(format!("{error}")))?;
    Query::try_from_uri(&uri)
        .map(|Query(params)| params)
        .map_err(|rejection| {
            let source = std::error::Error::source(&rejection);
            wrong(source.map_or_else(|| rejection.body_text(), ToString::to_string))
        })
}

impl<T: JsonSchema> OperationInput for Params<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        Query::<T>::operation_input(ctx, operation);
    }

    fn inferred_early_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Documented)> {
        documented(ctx, operation, &[400])
    }
}

/// Query parameters that many lists have.
pub(super) trait Common {
    /// Their names.
    const NAMES: &'static [&'static str];
}

/// Query parameters of a list: those that it has in common with others, and the rest.
#[derive(Debug)]
pub(super) struct Parted<C, R> {
    pub(super) common: C,
    pub(super) rest: R,
}

impl<C: Common + DeserializeOwned, R: DeserializeOwned> FromRequestParts<Arc<App>> for Parted<C, R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, ApiError> {
        let text = parts.uri.query().unwrap_or_default();
        let is_common = |pair: &&str| C::NAMES.contains(&pair.split('=').next().unwrap_or_default());
        let (common, rest): (Vec<&str>, Vec<&str>) = text.split('&').partition(is_common);
        Ok(Self {
            common: query(&common.join("&"))?,
            rest: query(&rest.join("&"))?,
        })
    }
}

impl<C: JsonSchema, R: JsonSchema> OperationInput for Parted<C, R> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        Query::<C>::operation_input(ctx, operation);
        Query::<R>::operation_input(ctx, operation);
    }

    fn inferred_early_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Documented)> {
        documented(ctx, operation, &[400])
    }
}

/// The organization that a request is about.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Within {
    /// The organization; must be given if the key is not for all of them.
    #[serde(default)]
    pub(super) org_id: Option<u64>,
}

/// Identifier of an object in the path.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Named {
    /// Identifier.
    pub(super) id: String,
}

/// Parameters in the path.
#[derive(Debug)]
pub(super) struct Place<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<App>> for Place<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        // What does not read as an identifier names nothing.
        let Path(place) = Path::from_request_parts(parts, app).await.map_err(|_| {
            // The routes of `/api/v1` see their paths without that.
            let whole = parts.extensions.get::<OriginalUri>();
            let path = whole.map_or_else(|| parts.uri.path(), |whole| whole.0.path());
            ApiError::not_found(&format!("the path {path}"))
        })?;
        Ok(Self(place))
    }
}

impl<T: JsonSchema> OperationInput for Place<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        Path::<T>::operation_input(ctx, operation);
    }

    fn inferred_early_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Documented)> {
        documented(ctx, operation, &[404])
    }
}

/// What a change is conditional on: the entity tags of `If-Match` and `If-None-Match`, as far as they are there.
#[derive(Clone, Debug)]
pub(super) struct Precondition {
    matches: Option<String>,
    none_match: Option<String>,
}

impl Precondition {
    /// True if the object with this tag may be changed; `None` if there is no object.
    pub(super) fn allows(&self, tag: Option<&str>) -> bool {
        // Strong comparison (RFC 9110 section 13.1.1): a weak tag matches nothing.
        let matches = |wanted: &str| tag.is_some_and(|tag| wanted == "*" || opaque(wanted) == Some(tag));
        // Weak comparison (section 13.1.2).
        let weakly = |wanted: &str| matches(wanted.strip_prefix("W/").unwrap_or(wanted));
        self.matches.as_deref().is_none_or(|tags| each(tags).any(matches))
            && !self.none_match.as_deref().is_some_and(|tags| each(tags).any(weakly))
    }
}

impl FromRequestParts<Arc<App>> for Precondition {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, ApiError> {
        Ok(Self {
            matches: tags(&parts.headers, &header::IF_MATCH),
            none_match: tags(&parts.headers, &header::IF_NONE_MATCH),
        })
    }
}

impl OperationInput for Precondition {
    fn inferred_early_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Documented)> {
        documented(ctx, operation, &[412])
    }
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let all: Vec<_> = headers.get_all(name).iter().collect();
    if all.is_empty() {
        return None;
    }
    // A value that is not text is no tag of ours.
    Some(
        all.iter()
            .filter_map(|value| value.to_str().ok())
            .collect::<Vec<_>>()
            .join(","),
    )
}

fn each(tags: &str) -> impl Iterator<Item = &str> {
    tags.split(',').map(str::trim)
}

fn opaque(tag: &str) -> Option<&str> {
    tag.strip_prefix('"')?.strip_suffix('"')
}

fn is_json_kind(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    kind.starts_with("application/") && kind.ends_with("+json")
}

pub(super) fn unread(rejection: BytesRejection) -> ApiError {
    let status = rejection.into_response().status();
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        ApiError::new(status, "the body is too large; many objects go through /api/v1/apply")
    } else {
        ApiError::new(StatusCode::BAD_REQUEST, "the body could not be read to its end")
    }
}
