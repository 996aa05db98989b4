//! An answer with one object: its JSON, its entity tag, its address; and one that something was begun.

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Documented};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

/// One object.
#[derive(Debug)]
pub(super) struct Answer<T> {
    status: StatusCode,
    tag: String,
    location: Option<String>,
    body: T,
}

impl<T> Answer<T> {
    /// An object that is there.
    pub(super) fn found(tag: String, body: T) -> Self {
        Self {
            status: StatusCode::OK,
            tag,
            location: None,
            body,
        }
    }

    /// An object that was made just now.
    pub(super) fn created(tag: String, location: String, body: T) -> Self {
        Self {
            status: StatusCode::CREATED,
            location: Some(location),
            ..Self::found(tag, body)
        }
    }
}

impl<T> Answer<T> {
    /// The same answer with another body.
    pub(super) fn map<U>(self, body: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            status: self.status,
            tag: self.tag,
            location: self.location,
            body: body(self.body),
        }
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(name, value);
            }
        };
        set(header::ETAG, &format!("\"{}\"", self.tag));
        if let Some(location) = &self.location {
            set(header::LOCATION, location);
        }
        response
    }
}

impl<T: JsonSchema> OperationOutput for Answer<T> {
    type Inner = T;

    fn operation_response(ctx: &mut GenContext, operation: &mut Operation) -> Option<Documented> {
        Json::<T>::operation_response(ctx, operation)
    }

    fn inferred_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Documented)> {
        Json::<T>::inferred_responses(ctx, operation)
    }
}

/// Something that was begun: 202.
#[derive(Debug)]
pub(super) struct Accepted<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(self.0)).into_response()
    }
}

impl<T: JsonSchema> OperationOutput for Accepted<T> {
    type Inner = T;

    fn operation_response(ctx: &mut GenContext, operation: &mut Operation) -> Option<Documented> {
        Json::<T>::operation_response(ctx, operation)
    }

    fn inferred_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Documented)> {
        let answer = Json::<T>::operation_response(ctx, operation);
        answer.map(|answer| (Some(202), answer)).into_iter().collect()
    }
}

/// What was made just now, or would have been: 201 where there is an address of it.
#[derive(Debug)]
pub(super) struct Made<T> {
    location: Option<String>,
    body: T,
}

impl<T> Made<T> {
    /// At `location`, if it was made.
    pub(super) fn new(location: Option<String>, body: T) -> Self {
        Self { location, body }
    }
}

impl<T: Serialize> IntoResponse for Made<T> {
    fn into_response(self) -> Response {
        let status = if self.location.is_some() {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        let mut response = (status, Json(self.body)).into_response();
        let location = self.location.and_then(|location| HeaderValue::from_str(&location).ok());
        if let Some(location) = location {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

impl<T: JsonSchema> OperationOutput for Made<T> {
    type Inner = T;

    fn operation_response(ctx: &mut GenContext, operation: &mut Operation) -> Option<Documented> {
        Json::<T>::operation_response(ctx, operation)
    }

    fn inferred_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Documented)> {
        Json::<T>::inferred_responses(ctx, operation)
    }
}
