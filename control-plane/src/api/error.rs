//! The one shape of an error answer.

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{
    Header, HeaderStyle, Operation, ParameterSchemaOrContent, ReferenceOr, Response as Documented, SchemaObject,
};
use axum::Json;
use axum::response::{IntoResponse, Response};
use filters::fault::ErrorBody;
use filters::model::Problem;
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use jiff::Timestamp;

use crate::publish::Refusal;
use crate::store::StoreError;
use crate::users::{PasswordError, UsersError};

/// An error answer. Its body is written last, where the request's identifier is known (`observe.rs`).
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    problems: Vec<Problem>,
    retry_after_seconds: Option<u32>,
    challenge: Challenge,
}

/// What a 401 says of the token that came with the request (RFC 6750 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// There was none, or it is not what is wrong.
    Plain,
    /// It is not known, or its time is over.
    BadToken,
    /// It is one of several credentials.
    BadRequest,
    /// There was none, or a bad one, where only gateways come in.
    Gateway,
}

impl ApiError {
    pub(crate) fn validation(problems: Vec<Problem>) -> Self {
        let message = match problems.as_slice() {
            [problem] => problem.to_string(),
            _ => format!("the request has {} problems", problems.len()),
        };
        Self {
            problems,
            ..Self::new(StatusCode::BAD_REQUEST, message)
        }
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("{what} is not there"))
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self {
            retry_after_seconds: Some(1),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
        }
    }

    pub(crate) fn rate_limited(message: &str, retry_after_seconds: u32) -> Self {
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                format!("{message}; try again after the time in Retry-After"),
            )
        }
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "a fault of the control plane; its log has more under this request id",
        )
    }

    /// An error with the code that belongs to its status.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code_of(status),
            message: message.into(),
            problems: Vec::new(),
            retry_after_seconds: None,
            challenge: Challenge::Plain,
        }
    }

    /// The same, saying more of the token that came with the request.
    pub(crate) fn challenging(self, challenge: Challenge) -> Self {
        Self { challenge, ..self }
    }

    /// Its problems, if they are what is wrong.
    pub(crate) fn into_problems(self) -> Result<Vec<Problem>, Self> {
        if self.problems.is_empty() {
            Err(self)
        } else {
            Ok(self.problems)
        }
    }

    /// The answer, headers and body.
    pub(crate) fn answer(self, request_id: &str) -> Response {
        let body = ErrorBody {
            error: self.message,
            code: self.code.to_owned(),
            status_code: self.status.as_u16(),
            timestamp: format!("{:.3}", Timestamp::now()),
            request_id: request_id.to_owned(),
            problems: self.problems,
        };
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            self.challenge.write(response.headers_mut());
        }
        response
    }

    /// An error that a library answered with, in our shape. `Allow` is kept.
    pub(crate) fn of_foreign(response: &Response, uri: &Uri) -> Self {
        let status = response.status();
        let message = match status {
            StatusCode::METHOD_NOT_ALLOWED => {
                let allowed = response.headers().get(ALLOW).and_then(|allow| allow.to_str().ok());
                format!("{} takes only {}", uri.path(), allowed.unwrap_or("other methods"))
            }
            StatusCode::PAYLOAD_TOO_LARGE => "the body is too large".to_owned(),
            status => status.canonical_reason().unwrap_or("the request failed").to_lowercase(),
        };
        Self::new(status, message)
    }
}

impl Challenge {
    /// Says by what one comes in (RFC 9110 section 11.6.1).
    fn write(self, headers: &mut HeaderMap) {
        let (bearer, takes_keys) = match self {
            Self::Plain => (r#"Bearer realm="control-plane""#, true),
            Self::BadToken => (
                r#"Bearer realm="control-plane", error="invalid_token", error_description="not known, or its session has ended""#,
                true,
            ),
            Self::BadRequest => (
                r#"Bearer realm="control-plane", error="invalid_request", error_description="several credentials""#,
                true,
            ),
            Self::Gateway => (r#"Bearer realm="gateways""#, false),
        };
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(bearer));
        if takes_keys {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(API_KEY));
        }
    }
}

/// The scheme of keys, which no standard names.
const API_KEY: &str = r#"ApiKey realm="control-plane", in="header", name="X-API-Key""#;

/// Answer to a path that no route has.
pub(super) async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::not_found(&format!("the path {}", uri.path()))
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Problems(problems) => Self::validation(problems),
            Refusal::NotFound(_) => Self::new(StatusCode::NOT_FOUND, message),
            Refusal::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, message),
            Refusal::Conflict(_) => Self::new(StatusCode::CONFLICT, message),
            Refusal::Precondition(_) => Self::new(StatusCode::PRECONDITION_FAILED, message),
            Refusal::Busy => Self::unavailable(message),
            Refusal::Store(error) => error.into(),
            Refusal::Internal => Self::internal(),
        }
    }
}

impl From<UsersError> for ApiError {
    fn from(error: UsersError) -> Self {
        let message = error.to_string();
        match error {
            UsersError::NoSession | UsersError::NoKey | UsersError::Wrong => Self::unauthorized(message),
            UsersError::NotFirst => Self::forbidden(message),
            UsersError::Throttled(seconds) => Self::rate_limited(&message, seconds),
            UsersError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, message),
            UsersError::Conflict(_) => Self::new(StatusCode::CONFLICT, message),
            UsersError::Precondition(_) => Self::new(StatusCode::PRECONDITION_FAILED, message),
            UsersError::Problems(problems) => Self::validation(problems),
            UsersError::Busy | UsersError::Password(PasswordError::Busy) => Self::unavailable(message),
            UsersError::Password(PasswordError::Fault) | UsersError::Provider(_) => Self::internal(),
            UsersError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        // The cause may name hosts and files: it is for the log, not for whoever asks.
        tracing::error!(%error, "the store failed");
        match error {
            StoreError::Corrupt { .. } | StoreError::Newer { .. } => Self::internal(),
            StoreError::Stale => Self::new(StatusCode::CONFLICT, error.to_string()),
            StoreError::Unavailable(_) | StoreError::TimedOut(_) | StoreError::Conflict(_) => Self::unavailable(
                "the store does not answer; read what is there before a change is repeated, as it may be kept",
            ),
        }
    }
}

impl OperationOutput for ApiError {
    type Inner = ErrorBody;

    fn operation_response(ctx: &mut GenContext, operation: &mut Operation) -> Option<Documented> {
        Json::<ErrorBody>::operation_response(ctx, operation)
    }

    fn inferred_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Documented)> {
        documented(ctx, operation, &[500, 503])
    }
}

/// Error answers for the API's description.
pub(super) fn documented(
    ctx: &mut GenContext,
    operation: &mut Operation,
    statuses: &[u16],
) -> Vec<(Option<u16>, Documented)> {
    let answers = statuses.iter().filter_map(|status| {
        let mut answer = Json::<ErrorBody>::operation_response(ctx, operation)?;
        answer.description = StatusCode::from_u16(*status).map_or_else(|_| String::new(), |s| code_of(s).to_owned());
        let fields = FIELDS.iter().filter(|field| field.0 == *status);
        answer
            .headers
            .extend(fields.map(|(_, name, what)| ((*name).to_owned(), ReferenceOr::Item(header(what)))));
        Some((Some(*status), answer))
    });
    answers.collect()
}

/// A header field of an answer, as it is described.
fn header(what: &str) -> Header {
    Header {
        description: Some(what.to_owned()),
        style: HeaderStyle::Simple,
        required: true,
        deprecated: None,
        format: ParameterSchemaOrContent::Schema(SchemaObject {
            json_schema: schemars::json_schema!({"type": "string"}),
            external_docs: None,
            example: None,
        }),
        example: None,
        examples: Default::default(),
        extensions: Default::default(),
    }
}

/// Header fields that each answer of a status has.
const FIELDS: [(u16, &str, &str); 2] = [
    (
        401,
        "WWW-Authenticate",
        "The ways in: `Bearer`, with `error` where a token was sent that is not good, and `ApiKey`.",
    ),
    (429, "Retry-After", "After how many seconds to try again."),
];

fn code_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "UNAUTHORIZED",
        StatusCode::FORBIDDEN => "FORBIDDEN",
        StatusCode::NOT_FOUND => "NOT_FOUND",
        StatusCode::METHOD_NOT_ALLOWED => "METHOD_NOT_ALLOWED",
        StatusCode::REQUEST_TIMEOUT => "REQUEST_TIMEOUT",
        StatusCode::CONFLICT => "CONFLICT",
        StatusCode::PRECONDITION_FAILED => "PRECONDITION_FAILED",
        StatusCode::PAYLOAD_TOO_LARGE => "PAYLOAD_TOO_LARGE",
        StatusCode::TOO_MANY_REQUESTS => "RATE_LIMITED",
        StatusCode::SERVICE_UNAVAILABLE => "SERVICE_UNAVAILABLE",
        status if status.is_client_error() => "VALIDATION_ERROR",
        _ => "INTERNAL_ERROR",
    }
}
