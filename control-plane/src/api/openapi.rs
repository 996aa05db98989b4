//! The API's description, made of the handlers' own types.

use aide::openapi::{ApiKeyLocation, Info, OpenApi, ReferenceOr, SecurityScheme, StatusCode as Status};
use aide::transform::{TransformOpenApi, TransformOperation};
use axum::Json;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use schemars::JsonSchema;

use super::error::documented;

/// The description before the routes are in it.
pub(super) fn document() -> OpenApi {
    let mut document = OpenApi {
        info: Info {
            title: "Integration Gateway control plane".to_owned(),
            version: "1".to_owned(),
            ..Info::default()
        },
        ..OpenApi::default()
    };
    let key = SecurityScheme::ApiKey {
        location: ApiKeyLocation::Header,
        name: "X-API-Key".to_owned(),
        description: Some("A key of an operator or a program".to_owned()),
        extensions: Default::default(),
    };
    let session = SecurityScheme::Http {
        scheme: "bearer".to_owned(),
        bearer_format: Some("JWT".to_owned()),
        description: Some("The token of somebody who signed in (POST /api/v1/auth/login)".to_owned()),
        extensions: Default::default(),
    };
    let _ = TransformOpenApi::new(&mut document)
        .security_scheme("operator", key)
        .security_scheme("session", session)
        .security_requirement("operator")
        .security_requirement("session");
    aide::generate::extract_schemas(true);
    document
}

/// The description as text.
pub(super) fn text(document: &OpenApi) -> Bytes {
    serde_json::to_vec(document)
        .expect("the description is made of text keys and serializes without fail")
        .into()
}

/// The answer with the description.
pub(super) async fn answer(text: Bytes) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], text)
}

/// Short forms for what several operations have.
pub(super) trait Describe {
    /// It may make an object: 201 beside 200.
    fn made<T: JsonSchema>(self) -> Self;
    /// It asks for neither a key nor a token.
    fn open(self) -> Self;
    /// It may answer with these errors, besides those of what it takes.
    fn errors(self, statuses: &[u16]) -> Self;
}

impl Describe for TransformOperation<'_> {
    fn made<T: JsonSchema>(self) -> Self {
        self.response_with::<201, Json<T>, _>(|response| response.description("It was made."))
    }

    fn open(mut self) -> Self {
        self.inner_mut().security = vec![Default::default()];
        self
    }

    fn errors(mut self, statuses: &[u16]) -> Self {
        let operation = self.inner_mut();
        aide::generate::in_context(|ctx| {
            for (status, answer) in documented(ctx, operation, statuses) {
                let responses = operation.responses.get_or_insert_default();
                if let Some(status) = status {
                    responses
                        .responses
                        .insert(Status::Code(status), ReferenceOr::Item(answer));
                }
            }
        });
        self
    }
}
