//! The kinds of records.

use filters::model::ExecutionRecord;
use filters::model::delivery::{DeadLetter, DeliveryLog, ScheduledDelivery};
use serde::Serialize;
use serde_json::Value;

use super::{Cell, Cursor, Field, Kept, Place, Row, StoreError, encode, moment};

impl Kept for ExecutionRecord {
    const PLACE: Place = Place::ExecutionLogs;
    const NAME: &'static str = "execution log";
    const SEARCHED: &'static [&'static str] =
        &["requestId", "integrationName", "path", "errorCategory", "errorMessage"];
    const LEADING: &'static [Field] = &[Field::Trace, Field::ErrorCategory, Field::Integration, Field::Status];
    const IDENTIFIERS: &'static [Field] = &[Field::Trace];
    const FAILURES: bool = true;

    fn into_row(self) -> Result<Row, StoreError> {
        Ok(Row {
            document: encode(&self)?,
            fields: vec![
                ("orgId", Cell::Number(self.org_id)),
                ("status", name_of(&self.status)),
                ("createdAt", Cell::Moment(Some(moment(&self.created_at)))),
                ("integrationConfigId", text(&self.integration_config_id)),
                ("traceId", Cell::Text(self.trace_id)),
                ("errorCategory", Cell::Text(self.error_category.unwrap_or_default())),
            ],
            searched: vec![
                ("requestId", Some(self.request_id)),
                ("integrationName", Some(self.integration_name)),
                ("path", Some(self.path)),
                ("errorMessage", self.error_message),
            ],
            id: self.id,
        })
    }

    fn cursor(&self) -> Cursor {
        cursor(&self.created_at, &self.id)
    }
}

impl Kept for DeliveryLog {
    const PLACE: Place = Place::DeliveryLogs;
    const NAME: &'static str = "delivery log";
    const SEARCHED: &'static [&'static str] = &[
        "eventId",
        "messageId",
        "eventType",
        "integrationName",
        "targetUrl",
        "errorCategory",
        "errorMessage",
        "correlationId",
        "traceId",
    ];
    const LEADING: &'static [Field] = &[
        Field::Message,
        Field::Event,
        Field::Trace,
        Field::Correlation,
        Field::ErrorCategory,
        Field::Integration,
        Field::EventType,
        Field::Status,
    ];
    const IDENTIFIERS: &'static [Field] = &[Field::Event, Field::Message, Field::Trace, Field::Correlation];
    const FAILURES: bool = true;

    fn into_row(self) -> Result<Row, StoreError> {
        Ok(Row {
            document: encode(&self)?,
            fields: vec![
                ("orgId", Cell::Number(self.org_id)),
                ("status", name_of(&self.status)),
                ("direction", name_of(&self.direction)),
                ("createdAt", Cell::Moment(Some(moment(&self.created_at)))),
                ("integrationConfigId", text(&self.integration_config_id)),
                ("eventType", Cell::Text(self.event_type)),
                ("eventId", Cell::Text(self.event_id)),
                ("messageId", Cell::Text(self.message_id)),
                ("correlationId", Cell::Text(self.correlation_id.unwrap_or_default())),
                ("traceId", Cell::Text(self.trace_id)),
                ("errorCategory", category(self.error_category)),
            ],
            searched: vec![
                ("integrationName", Some(self.integration_name.to_string())),
                ("targetUrl", Some(self.target_url)),
                ("errorMessage", self.error_message),
            ],
            id: self.id,
        })
    }

    fn cursor(&self) -> Cursor {
        cursor(&self.created_at, &self.id)
    }
}

impl Kept for DeadLetter {
    const PLACE: Place = Place::DeadLetters;
    const NAME: &'static str = "dead letter";
    const SEARCHED: &'static [&'static str] = &[
        "eventId",
        "eventType",
        "integrationName",
        "targetUrl",
        "errorCategory",
        "lastError",
        "correlationId",
        "traceId",
    ];
    const LEADING: &'static [Field] = &[
        Field::Event,
        Field::ErrorCategory,
        Field::Integration,
        Field::EventType,
        Field::Status,
    ];
    const IDENTIFIERS: &'static [Field] = &[Field::Event];
    const LARGE: Option<&'static str> = Some("originalPayload");

    fn into_row(mut self) -> Result<Row, StoreError> {
        let payload = std::mem::take(&mut self.original_payload);
        Ok(Row {
            document: encode(&self)?,
            fields: vec![
                ("orgId", Cell::Number(self.org_id)),
                ("status", name_of(&self.status)),
                ("direction", name_of(&self.direction)),
                ("createdAt", Cell::Moment(Some(moment(&self.created_at)))),
                ("updatedAt", Cell::Moment(Some(moment(&self.updated_at)))),
                (
                    "nextRetryAt",
                    Cell::Moment(self.next_retry_at.as_deref().and_then(|at| at.parse().ok())),
                ),
                ("integrationConfigId", text(&self.integration_config_id)),
                ("eventType", Cell::Text(self.event_type)),
                ("eventId", Cell::Text(self.event_id)),
                ("traceId", Cell::Text(self.trace_id)),
                ("errorCategory", name_of(&self.error_category)),
                ("gatewayId", text(&self.gateway_id)),
                ("originalPayload", Cell::Text(encode(&payload)?)),
            ],
            searched: vec![
                ("integrationName", Some(self.integration_name.to_string())),
                ("targetUrl", Some(self.target_url)),
                ("lastError", Some(self.last_error)),
                ("correlationId", self.correlation_id),
            ],
            id: self.id,
        })
    }

    fn restore(&mut self, large: &str) -> Result<(), serde_json::Error> {
        self.original_payload = serde_json::from_str(large)?;
        Ok(())
    }

    fn cursor(&self) -> Cursor {
        cursor(&self.created_at, &self.id)
    }
}

impl Kept for ScheduledDelivery {
    const PLACE: Place = Place::Scheduled;
    const NAME: &'static str = "scheduled delivery";
    const SEARCHED: &'static [&'static str] = &["originalEventId", "eventType", "integrationName", "targetUrl"];
    const LEADING: &'static [Field] = &[Field::Integration, Field::EventType, Field::Status];

    fn into_row(self) -> Result<Row, StoreError> {
        Ok(Row {
            document: encode(&self)?,
            fields: vec![
                ("orgId", Cell::Number(self.org_id)),
                ("status", name_of(&self.status)),
                ("createdAt", Cell::Moment(Some(moment(&self.created_at)))),
                ("updatedAt", Cell::Moment(Some(moment(&self.updated_at)))),
                ("scheduledFor", Cell::Moment(Some(moment(&self.scheduled_for)))),
                ("integrationConfigId", text(&self.integration_config_id)),
                ("eventType", Cell::Text(self.event_type)),
                ("originalEventId", Cell::Text(self.original_event_id)),
                ("gatewayId", text(&self.gateway_id)),
            ],
            searched: vec![
                ("integrationName", Some(self.integration_name.to_string())),
                ("targetUrl", Some(self.target_url)),
            ],
            id: self.id,
        })
    }

    fn cursor(&self) -> Cursor {
        cursor(&self.created_at, &self.id)
    }
}

fn cursor(created_at: &str, id: &str) -> Cursor {
    Cursor {
        at: moment(created_at),
        id: id.to_owned(),
    }
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

fn category(category: Option<impl Serialize>) -> Cell {
    category.map_or_else(|| text(""), |category| name_of(&category))
}

/// The name that a closed set of values has in JSON.
fn name_of(value: &impl Serialize) -> Cell {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => Cell::Text(name),
        _ => Cell::Text(String::new()),
    }
}
