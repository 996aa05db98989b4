//! The API's description, made of the handlers' own types.

use std::collections::BTreeSet;

use aide::openapi::{ApiKeyLocation, Info, OpenApi, PathItem, ReferenceOr, SecurityScheme, StatusCode as Status};
use aide::transform::{TransformOpenApi, TransformOperation};
use axum::Json;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use schemars::JsonSchema;
use serde_json::Value;

use super::error::documented;
use crate::access::{self, Scope};

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

/// Gives each operation a name of its own and the group that it is shown in, both made of its path, and says what a key must
/// be allowed.
pub(super) fn name_operations(document: &mut OpenApi) {
    let Some(paths) = &mut document.paths else { return };
    for (path, item) in &mut paths.paths {
        let ReferenceOr::Item(item) = item else { continue };
        let tag = path.split('/').skip(3).find(|part| *part != "admin").unwrap_or("other");
        let PathItem {
            get,
            put,
            post,
            delete,
            patch,
            ..
        } = item;
        for (method, operation) in [
            ("get", get),
            ("put", put),
            ("post", post),
            ("delete", delete),
            ("patch", patch),
        ] {
            if let Some(operation) = operation {
                operation.operation_id = Some(name_of(method, path));
                operation.tags = vec![tag.to_owned()];
                let told = [operation.description.take(), scope_of(method, path)];
                let told: Vec<String> = told.into_iter().flatten().collect();
                operation.description = (!told.is_empty()).then(|| told.join("\n\n"));
            }
        }
    }
}

/// What is said of the scope that an operation needs; nothing of those that everybody may ask for.
fn scope_of(method: &str, path: &str) -> Option<String> {
    let method = method.to_ascii_uppercase().parse().ok()?;
    if access::is_own(&method, path) {
        return None;
    }
    Some(match Scope::needed(&method, path) {
        Some(scope) => format!("Scope of API keys: `{scope}`."),
        None => "No scope allows this: it needs an API key without scopes, or a session.".to_owned(),
    })
}

/// `getLogsById` for `GET /api/v1/logs/{id}`.
fn name_of(method: &str, path: &str) -> String {
    let mut name = method.to_owned();
    for part in path.split('/').skip(3) {
        let parameter = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        if parameter.is_some() {
            name.push_str("By");
        }
        for word in parameter.unwrap_or(part).split(['-', '.']) {
            let mut letters = word.chars();
            name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            name.push_str(letters.as_str());
        }
    }
    name
}

/// The description as text, without the schemas that nothing refers to: those of queries, which are written out.
pub(super) fn text(document: &OpenApi) -> Bytes {
    let mut document = serde_json::to_value(document).expect(SERIALIZES);
    let mut needed = BTreeSet::new();
    let mut open = vec![&document["paths"]];
    while let Some(value) = open.pop() {
        for name in references(value) {
            if needed.insert(name.to_owned()) {
                open.push(&document["components"]["schemas"][name]);
            }
        }
    }
    if let Some(schemas) = document
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut)
    {
        schemas.retain(|name, _| needed.contains(name));
    }
    serde_json::to_vec(&document).expect(SERIALIZES).into()
}

/// Names of the schemas that `value` refers to.
fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str);
            let own = own.and_then(|reference| reference.strip_prefix("#/components/schemas/"));
            own.into_iter().chain(fields.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
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

const SERIALIZES: &str = "the description is made of text keys and serializes without fail";
