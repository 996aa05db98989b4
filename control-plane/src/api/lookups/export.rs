//! Lookup tables as files.

use std::sync::Arc;

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, Response as Documented, SchemaObject};
use aide::transform::TransformOperation;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use filters::model::Lookup;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use schemars::{JsonSchema, json_schema};
use serde::Deserialize;

use super::super::App;
use super::super::error::ApiError;
use super::super::openapi::Describe as _;
use super::super::operator::Caller;
use super::super::request::{Named, Params, Place};
use super::super::resource::{id_of, visible};
use crate::lookups::{Columns, Format, Lines, write_workbook};

/// A file of a table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in super::super) struct Export {
    /// The organization; must be given if the key is not for all of them.
    #[serde(default)]
    org_id: Option<u64>,
    /// Form of the file; CSV if left out.
    #[serde(default)]
    format: Option<Format>,
}

/// A file.
#[derive(Debug)]
pub(in super::super) struct File {
    name: String,
    format: Format,
    body: Body,
}

/// Writes a table as a file.
pub(in super::super) async fn export(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(wanted): Params<Export>,
) -> Result<File, ApiError> {
    let id = id_of::<Lookup>(&id)?;
    let state = app.publisher.state();
    let table = Arc::clone(&visible::<Lookup>(&state, &id, &caller, wanted.org_id)?.value);
    drop(state);
    let format = wanted.format.unwrap_or(Format::Csv);
    let name = table.name.clone();
    let body = match format {
        Format::Csv => pieces(table),
        Format::Xlsx => {
            let pack = move || write_workbook(&Columns::of(table.entries.rows()), table.entries.rows());
            let packed = tokio::task::spawn_blocking(pack).await;
            let packed = packed.map_err(|_| ApiError::internal())?.map_err(|error| {
                tracing::error!(%error, "a workbook cannot be packed");
                ApiError::internal()
            })?;
            packed.into()
        }
    };
    Ok(File { name, format, body })
}

/// The CSV of a table, made piece by piece as fast as it is read.
fn pieces(table: Arc<Lookup>) -> Body {
    let (send, receive) = tokio::sync::mpsc::channel(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        let rows = table.entries.rows();
        for piece in Lines::new(Columns::of(rows), rows) {
            // Whoever asked is gone.
            if send.blocking_send(piece).is_err() {
                return;
            }
        }
    });
    let pieces = futures_util::stream::unfold(receive, async |mut receive| {
        let piece = receive.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), receive))
    });
    Body::from_stream(pieces)
}

impl IntoResponse for File {
    fn into_response(self) -> Response {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
                c
            } else {
                '-'
            }
        };
        let name: String = self.name.chars().map(plain).take(LONGEST_NAME).collect();
        let disposition = format!("attachment; filename=\"{name}.{}\"", self.format.ending());
        let kind = match self.format {
            Format::Csv => "text/csv; charset=utf-8",
            Format::Xlsx => Format::Xlsx.media_type(),
        };
        (
            [(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, disposition)],
            self.body,
        )
            .into_response()
    }
}

impl OperationOutput for File {
    type Inner = Self;

    fn operation_response(_: &mut GenContext, _: &mut Operation) -> Option<Documented> {
        let kinds = [Format::Csv, Format::Xlsx].map(|format| {
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
        Some(Documented {
            description: "The file.".to_owned(),
            content: kinds.into_iter().collect(),
            ..Documented::default()
        })
    }

    fn inferred_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Documented)> {
        let file = Self::operation_response(ctx, operation);
        file.map(|file| (Some(200), file)).into_iter().collect()
    }
}

pub(in super::super) fn export_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Write a lookup table as a CSV or XLSX file, which reads as the same table again")
        .description(
            "Lists and objects within a value are written as their JSON text, and a table in which some values are objects and \
             others are not reads as one of objects; GET of the table has everything as it is.",
        )
        .errors(&[404])
}

/// Pieces of a file that are made before they are read.
const PIECES_AHEAD: usize = 2;
const LONGEST_NAME: usize = 100;
