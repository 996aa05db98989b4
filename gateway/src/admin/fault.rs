//! Errors of the admin listener, in the one shape that errors have.

use std::time::SystemTime;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use filters::fault::ErrorBody;
use filters::model::Problem;
use serde::de::DeserializeOwned;
use tracing::error;

use crate::clock::now_rfc3339;
use crate::trace::RequestId;

/// Why a question is not answered.
#[derive(Debug)]
pub(super) struct AdminFault {
    status: StatusCode,
    code: &'static str,
    error: String,
    problems: Vec<Problem>,
}

impl AdminFault {
    pub(super) fn not_ready(reason: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "NOT_READY", reason)
    }

    pub(super) fn internal(cause: &dyn std::error::Error) -> Self {
        error!(error = %cause, "an answer of the admin listener could not be made");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "INTERNAL_ERROR",
            "the answer could not be made; the log says why",
        )
    }

    pub(super) fn unknown(error: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", error)
    }

    pub(super) fn invalid(field: &str, message: String) -> Self {
        let mut fault = Self::new(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", "the query is wrong");
        fault.problems = vec![Problem::new(field, message)];
        fault
    }

    fn new(status: StatusCode, code: &'static str, error: impl Into<String>) -> Self {
        Self {
            status,
            code,
            error: error.into(),
            problems: Vec::new(),
        }
    }
}

impl IntoResponse for AdminFault {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            error: self.error,
            code: self.code.to_owned(),
            status_code: self.status.as_u16(),
            timestamp: now_rfc3339(),
            request_id: RequestId::made(SystemTime::now()).as_str().to_owned(),
            problems: self.problems,
        };
        (self.status, Json(body)).into_response()
    }
}

/// The query of a request; one that cannot be read is answered in the shape of errors.
pub(super) struct Query<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = AdminFault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                let mut fault = AdminFault::new(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", "the query is wrong");
                fault.problems = vec![Problem::new("query", rejection.body_text())];
                Err(fault)
            }
        }
    }
}

/// The parameters of a path; those that cannot be read are answered in the shape of errors.
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = AdminFault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(parameters)) => Ok(Self(parameters)),
            Err(rejection) => {
                let mut fault = AdminFault::new(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", "the path is wrong");
                fault.problems = vec![Problem::new("path", rejection.body_text())];
                Err(fault)
            }
        }
    }
}

pub(super) async fn not_found(uri: Uri) -> AdminFault {
    let error = format!(
        "there is nothing at {}; ask /healthz, /readyz, /metrics, /config, /routes, /explain or /queue",
        uri.path()
    );
    AdminFault::new(StatusCode::NOT_FOUND, "NOT_FOUND", error)
}

pub(super) async fn method_not_allowed(method: Method) -> AdminFault {
    let error = format!("{method} is not allowed here; the field Allow says what is");
    AdminFault::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", error)
}
