//! Delivery logs of half a month, written as the control plane writes them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use control_plane::config::{Limits, StoreConfig};
use control_plane::rollups::Clocks;
use control_plane::seal::Sealer;
use control_plane::store::{Outcomes, Store};
use filters::model::delivery::{DeadLetter, DeliveryLog, DeliveryRecord, DeliveryStatus, ErrorCategory};
use harness::documents::ORG;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// How it went.
#[derive(Debug)]
pub(crate) struct Filled {
    /// For all of them.
    pub(crate) took: Duration,
    /// The identifier of an event in the middle.
    pub(crate) event: String,
    /// Its delivery.
    pub(crate) message: String,
    /// The patient that it is about.
    pub(crate) correlation: String,
}

/// Writes `rows` delivery logs and some dead letters into the store of the data folder, which nobody else may use.
///
/// # Errors
/// If the store cannot be written.
pub(crate) async fn fill(data_folder: &Path, rows: u32) -> anyhow::Result<Filled> {
    let limits = Limits {
        store_timeout_ms: 60_000,
        ..Limits::default()
    };
    // Records are not sealed, so that any key will do.
    let sealer = Arc::new(Sealer::new(&[0; 32]));
    let store = Store::open(&StoreConfig::default(), data_folder, &limits, sealer).await?;
    let pattern = Pattern::new(rows)?;
    let gateway = Arc::from("gateway-1");
    let began = Instant::now();
    for from in (0..rows).step_by(BATCH) {
        let to = rows.min(from.saturating_add(BATCH as u32));
        let records = (from..to).flat_map(|number| pattern.records(number)).collect();
        let outcomes = Outcomes::sort(&gateway, records, &Clocks::default())?;
        store.keep_outcomes(outcomes).await?;
    }
    let took = began.elapsed();
    store.close().await;
    let middle = pattern.log(rows / 2);
    Ok(Filled {
        took,
        event: middle.event_id,
        message: middle.message_id,
        correlation: middle.correlation_id.unwrap_or_default(),
    })
}

/// Logs by their number: the same each time.
struct Pattern {
    log: DeliveryLog,
    letter: DeadLetter,
    first: Timestamp,
    step: SignedDuration,
}

impl Pattern {
    fn new(rows: u32) -> anyhow::Result<Self> {
        let period = SignedDuration::from_hours(24 * DAYS);
        let log = json!({
            "id": "", "messageId": "", "integrationConfigId": "", "integrationName": "", "orgId": ORG, "eventId": "",
            "eventType": "", "status": "SUCCESS", "targetUrl": "", "httpMethod": "POST", "responseStatus": 200,
            "responseTimeMs": 0, "attemptCount": 1, "shouldRetry": false, "traceId": "", "createdAt": "",
            "gatewayId": "gateway-1",
            "requestHeaders": {"content-type": "application/json", "authorization": "***"},
            "requestPayload": {"patient": {"rid": 4711, "name": "x".repeat(200)}, "items": vec!["item"; 20]},
            "responseBody": {"accepted": true},
        });
        let letter = json!({
            "id": "", "integrationConfigId": "", "integrationName": "", "orgId": ORG, "eventId": "", "source": "/his",
            "eventType": "", "status": "PENDING_RETRY", "originalPayload": {"patient": {"rid": 4711}}, "targetUrl": "",
            "httpMethod": "POST", "lastError": "it answered 500", "errorCategory": "SERVER_ERROR", "lastStatus": 500,
            "attemptCount": 8, "retryCount": 0, "maxRetries": 3, "traceId": "", "createdAt": "", "updatedAt": "",
            "gatewayId": "gateway-1",
        });
        Ok(Self {
            log: read(log)?,
            letter: read(letter)?,
            first: Timestamp::now().checked_sub(period)?,
            step: period.checked_div(i32::try_from(rows)?.max(1)).context("no rows")?,
        })
    }

    /// What is told of one attempt; with some of them a dead letter.
    fn records(&self, number: u32) -> impl Iterator<Item = DeliveryRecord> {
        let log = self.log(number);
        let letter = (log.status == DeliveryStatus::Failed).then(|| DeadLetter {
            id: log.message_id.clone(),
            integration_config_id: Arc::clone(&log.integration_config_id),
            integration_name: Arc::clone(&log.integration_name),
            event_id: log.event_id.clone(),
            event_type: log.event_type.clone(),
            target_url: log.target_url.clone(),
            trace_id: log.trace_id.clone(),
            created_at: log.created_at.clone(),
            updated_at: log.created_at.clone(),
            ..self.letter.clone()
        });
        let letter = letter.map(|letter| DeliveryRecord::DeadLetter(Box::new(letter)));
        [DeliveryRecord::Log(Box::new(log))].into_iter().chain(letter)
    }

    fn log(&self, number: u32) -> DeliveryLog {
        let noise = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let pick = |of: u64, salt: u32| noise.rotate_left(salt) % of;
        // Few integrations have most of the events.
        let integration = pick(INTEGRATIONS, 7).min(pick(INTEGRATIONS, 23));
        let at = self.first + self.step * i32::try_from(number).unwrap_or(i32::MAX);
        let ms = u64::try_from(at.as_millisecond()).unwrap_or_default();
        let (status, error) = match pick(1_000, 41) {
            0..4 => (
                DeliveryStatus::Failed,
                Some((ErrorCategory::ServerError, "it answered 500")),
            ),
            4..60 => (
                DeliveryStatus::Retrying,
                Some((ErrorCategory::Timeout, "no answer within 30000 ms")),
            ),
            60..65 => (
                DeliveryStatus::Abandoned,
                Some((ErrorCategory::ClientError, "it answered 400")),
            ),
            _ => (DeliveryStatus::Success, None),
        };
        DeliveryLog {
            id: format!("{:08x}-{:04x}-7000-8000-{:012x}", ms >> 16, ms & 0xffff, noise >> 16),
            message_id: format!("msg-{noise:016x}"),
            integration_config_id: format!("integration-{integration}").into(),
            integration_name: format!("Bills to insurer {integration}").into(),
            // One organization has most of them.
            org_id: if pick(10, 13) == 0 { ORG + 1 } else { ORG },
            event_id: format!("evt-{:016x}", noise.rotate_left(32)),
            event_type: format!("bill.kind{}", pick(EVENT_TYPES, 29)),
            status,
            should_retry: status == DeliveryStatus::Retrying,
            target_url: format!("https://partner-{integration}.example/hooks/bills"),
            response_status: error.is_none().then_some(200),
            response_time_ms: 20 + pick(400, 3).min(pick(4_000, 17)),
            error_category: error.map(|(category, _)| category),
            error_message: error.map(|(_, message)| message.to_owned()),
            correlation_id: Some(format!("patient-{number}")),
            trace_id: format!("{noise:016x}{:016x}", !noise),
            created_at: format!("{at:.3}"),
            ..self.log.clone()
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> anyhow::Result<T> {
    serde_json::from_value(value).context("a record of the benchmark does not read")
}

/// As many as a gateway sends at a time.
const BATCH: usize = 500;
const DAYS: i64 = 14;
const INTEGRATIONS: u64 = 200;
const EVENT_TYPES: u64 = 40;
