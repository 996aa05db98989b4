//! A file as the body of a request.

use std::sync::Arc;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, ReferenceOr, RequestBody, Response as Documented, SchemaObject};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{StatusCode, header};
use schemars::json_schema;

use super::super::App;
use super::super::error::{ApiError, documented};
use super::super::observe::Noted;
use super::super::request::unread;
use crate::lookups::Format;

/// A file in one of the forms that are read, as its content type says.
#[derive(Debug)]
pub(in super::super) struct Upload {
    pub(super) format: Format,
    pub(super) bytes: Bytes,
}

impl FromRequest<Arc<App>> for Upload {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok());
        let essence = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
        let format = FORMATS
            .into_iter()
            .find(|format| essence.is_some_and(|kind| kind.eq_ignore_ascii_case(format.media_type())));
        let format = format.ok_or_else(|| {
            let known = FORMATS.map(Format::media_type).join(" or ");
            ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("send a file, with Content-Type: {known}"),
            )
        })?;
        let noted = request.extensions().get::<Noted>().cloned().unwrap_or_default();
        noted.reads_body(true);
        let bytes = Bytes::from_request(request, app).await.map_err(unread)?;
        noted.reads_body(false);
        Ok(Self { format, bytes })
    }
}

impl OperationInput for Upload {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        let kinds = FORMATS.map(|format| {
            let schema = json_schema!({"type": "string", "format": "binary"});
            let media = MediaType {
                schema: Some(SchemaObject {
                    json_schema: schema,
                    external_docs: None,
                    example: None,
                }),
                ..MediaType::default()
            };
            (format.media_type().to_owned(), media)
        });
        operation.request_body = Some(ReferenceOr::Item(RequestBody {
            description: Some("The file.".to_owned()),
            content: kinds.into_iter().collect(),
            required: true,
            ..RequestBody::default()
        }));
    }

    fn inferred_early_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Documented)> {
        documented(ctx, operation, &[400, 408, 413, 415])
    }
}

const FORMATS: [Format; 2] = [Format::Csv, Format::Xlsx];
