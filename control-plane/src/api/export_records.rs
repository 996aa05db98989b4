//! Records as one long answer, for tables and programs. It is read and written a page at a time, whatever its length.

use std::sync::Arc;

use aide::openapi::{MediaType, SchemaObject};
use aide::transform::TransformOperation;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use filters::model::ExecutionRecord;
use filters::model::delivery::{DeadLetter, DeliveryLog};
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use schemars::{JsonSchema, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::App;
use super::error::ApiError;
use super::history::{Listed, Narrow, range};
use super::operator::Caller;
use super::request::{Common, Parted};
use crate::store::{Query, Store, StoreError};

/// Records that can be exported.
pub(super) trait Exported: Listed {
    /// The columns of a table: fields of the record.
    const COLUMNS: &'static [&'static str];
}

/// Which records, in which form.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Form {
    /// Of this organization.
    org_id: u64,
    /// `csv` for a table; `jsonl` for a JSON object on each line, which is what comes if it is left out.
    #[serde(default)]
    format: Format,
    /// Only those made from this moment on: RFC 3339, or a date (UTC).
    #[serde(default)]
    start_date: Option<String>,
    /// Only those made before this moment: RFC 3339; or a date (UTC), which is included.
    #[serde(default)]
    end_date: Option<String>,
    /// Only those with this text in one of their identifiers, names, addresses or errors, as in the list.
    #[serde(default)]
    search: Option<String>,
}

impl Common for Form {
    const NAMES: &'static [&'static str] = &["orgId", "format", "startDate", "endDate", "search"];
}

/// The form of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ExportFormat")]
pub(super) enum Format {
    /// A table (RFC 4180) with the names of the columns in its first line.
    Csv,
    /// A JSON object on each line.
    #[default]
    Jsonl,
}

/// Exports records, the newest first.
pub(super) async fn export<T: Exported>(
    State(app): State<Arc<App>>,
    caller: Caller,
    asked: Parted<Form, T::Filter>,
) -> Result<Response, ApiError> {
    let Form {
        org_id,
        format,
        start_date,
        end_date,
        search,
    } = asked.common;
    caller.allow(org_id)?;
    let (from, before) = range(start_date.as_deref(), end_date.as_deref(), search.as_deref())?;
    let query = Query {
        org_id: Some(org_id),
        equal: asked.rest.equal(),
        from,
        before,
        search,
        limit: PAGE,
        ..Query::default()
    };
    let query = app.store.identified::<T>(query).await?;
    let mut export = Export::<T>::new(Arc::clone(&app.store), query, format);
    // The first page before the answer begins, so that what is wrong can still be said.
    let first = export.next().await?.unwrap_or_default();
    let rest = stream::try_unfold(export, |mut export| async move {
        let next = export.next().await.inspect_err(|error| {
            tracing::warn!(%error, "an export is cut off, as the store failed");
        })?;
        Ok::<_, StoreError>(next.map(|text| (text, export)))
    });
    let first = stream::once(std::future::ready(Ok(first)));
    let body = Body::from_stream(futures_util::StreamExt::chain(first, rest));
    let (kind, ending) = match format {
        Format::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
        Format::Jsonl => ("application/jsonl", "jsonl"),
    };
    let file = format!("attachment; filename=\"{}-{org_id}.{ending}\"", T::PLACE.file_name());
    Ok(([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, file)], body).into_response())
}

/// An export that is under way.
struct Export<T> {
    store: Arc<Store>,
    /// The next page; `None` after the last.
    query: Option<Query>,
    format: Format,
    begun: bool,
    shape: std::marker::PhantomData<fn() -> T>,
}

impl<T: Exported> Export<T> {
    fn new(store: Arc<Store>, query: Query, format: Format) -> Self {
        Self {
            store,
            query: Some(query),
            format,
            begun: false,
            shape: std::marker::PhantomData,
        }
    }

    /// The next piece of text; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Some(mut query) = self.query.take() else {
            return Ok(None);
        };
        let records: Vec<T> = self.store.list(&query).await?;
        if records.len() == PAGE as usize {
            query.after = records.last().map(T::cursor);
            self.query = Some(query);
        }
        let mut text = Vec::new();
        if self.format == Format::Csv && !self.begun {
            line(&mut text, T::COLUMNS.iter().map(|name| (*name).to_owned()));
        }
        self.begun = true;
        for record in records {
            let record = serde_json::to_value(record.brief()).map_err(|error| StoreError::Unavailable(error.into()))?;
            match self.format {
                Format::Csv => line(&mut text, T::COLUMNS.iter().map(|name| cell(&record[*name]))),
                Format::Jsonl => text.extend(format!("{record}\n").into_bytes()),
            }
        }
        Ok(Some(text.into()))
    }
}

/// Writes a line of a table.
fn line(text: &mut Vec<u8>, cells: impl Iterator<Item = String>) {
    for (number, cell) in cells.enumerate() {
        if number > 0 {
            text.push(b',');
        }
        if cell.contains([',', '"', '\r', '\n']) {
            text.extend(format!("\"{}\"", cell.replace('"', "\"\"")).into_bytes());
        } else {
            text.extend(cell.into_bytes());
        }
    }
    text.extend(b"\r\n");
}

/// What stands in a table for a value. Texts that a spreadsheet would take for a formula get an apostrophe before them:
/// what partners and producers send must not run on an operator's machine.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text)
            if text.trim_start().starts_with(['=', '+', '-', '@']) || text.starts_with(['\t', '\r']) =>
        {
            format!("'{text}")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Exported for DeliveryLog {
    const COLUMNS: &'static [&'static str] = &[
        "createdAt",
        "id",
        "messageId",
        "integrationConfigId",
        "integrationName",
        "orgId",
        "entityRid",
        "eventId",
        "eventType",
        "direction",
        "status",
        "triggerType",
        "actionName",
        "targetUrl",
        "httpMethod",
        "responseStatus",
        "responseTimeMs",
        "attemptCount",
        "shouldRetry",
        "nextRetryAt",
        "errorCategory",
        "errorMessage",
        "correlationId",
        "traceId",
        "deliveredAt",
        "gatewayId",
    ];
}

impl Exported for ExecutionRecord {
    const COLUMNS: &'static [&'static str] = &[
        "createdAt",
        "id",
        "traceId",
        "requestId",
        "integrationConfigId",
        "integrationName",
        "orgId",
        "direction",
        "status",
        "httpMethod",
        "path",
        "responseStatus",
        "upstreamStatus",
        "errorCategory",
        "errorMessage",
        "attempts",
        "requestBytes",
        "responseBytes",
        "durationMs",
        "upstreamMs",
        "targetUrl",
        "consumer",
        "gatewayId",
    ];
}

impl Exported for DeadLetter {
    const COLUMNS: &'static [&'static str] = &[
        "createdAt",
        "updatedAt",
        "id",
        "integrationConfigId",
        "integrationName",
        "orgId",
        "entityRid",
        "eventId",
        "source",
        "eventType",
        "status",
        "actionName",
        "targetUrl",
        "httpMethod",
        "lastError",
        "errorCategory",
        "lastStatus",
        "attemptCount",
        "retryCount",
        "maxRetries",
        "nextRetryAt",
        "correlationId",
        "traceId",
        "gatewayId",
    ];
}

pub(super) fn export_docs<T: Exported>(mut operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation = operation.response_with::<200, (), _>(|mut response| {
        let text = || MediaType {
            schema: Some(SchemaObject {
                json_schema: json_schema!({"type": "string"}),
                external_docs: None,
                example: None,
            }),
            ..MediaType::default()
        };
        let content = &mut response.inner().content;
        content.insert("application/jsonl".to_owned(), text());
        content.insert("text/csv".to_owned(), text());
        response.description("The records, the newest first, without header fields and bodies.")
    });
    operation.summary(&format!(
        "Export {}s as a table or as lines of JSON, newest first",
        T::NAME
    ))
}

/// Records that are read at a time.
const PAGE: u32 = 200;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_looks_like_a_formula_is_text() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\u{a0}=1"] {
            assert_eq!(cell(&json!(text)), format!("'{text}"));
        }
        assert_eq!(cell(&json!("a=1")), "a=1");
        assert_eq!(cell(&json!(-1)), "-1", "numbers are no formulas");
        assert_eq!(cell(&json!(null)), "");
        assert_eq!(cell(&json!({"a": 1})), r#"{"a":1}"#);
    }

    #[test]
    fn cells_with_separators_are_quoted() {
        let mut text = Vec::new();
        let cells = ["plain", "a,b", "say \"no\"", "two\nlines", ""];
        line(&mut text, cells.into_iter().map(str::to_owned));
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "plain,\"a,b\",\"say \"\"no\"\"\",\"two\nlines\",\r\n"
        );
    }

    #[test]
    fn columns_are_fields_of_the_records() {
        fn has_fields<T: Exported>() {
            let schema = schemars::schema_for!(T).to_value();
            for column in T::COLUMNS {
                assert!(schema["properties"].get(*column).is_some(), "{column}: {schema}");
            }
        }
        has_fields::<DeliveryLog>();
        has_fields::<ExecutionRecord>();
        has_fields::<DeadLetter>();
    }
}
