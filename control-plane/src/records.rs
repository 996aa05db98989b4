//! Records of calls: taken from the gateways. All records are deleted when they are old.

use std::sync::Arc;
use std::time::Duration;

use filters::model::ExecutionRecord;
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::RecordsConfig;
use crate::config::auth::AuditConfig;
use crate::retention;
use crate::rollups::{Deltas, Span};
use crate::store::{Batch, Store, StoreError};

/// Keeps a batch of `gateway_id`. Gives the batch's name once it is on disk; without that the gateway sends it again.
pub(crate) fn keep(
    store: &Arc<Store>,
    gateway_id: &str,
    batch: String,
    mut records: Vec<ExecutionRecord>,
    counted: Deltas,
) -> JoinHandle<Option<String>> {
    let (store, gateway_id) = (Arc::clone(store), Arc::<str>::from(gateway_id));
    tokio::spawn(async move {
        for record in &mut records {
            // Under whatever name they come, they are of the gateway that sends them.
            record.gateway_id = Arc::clone(&gateway_id);
        }
        let count = records.len();
        let named = Batch {
            gateway_id: Arc::clone(&gateway_id),
            name: batch.clone(),
        };
        match store.keep_calls(named, records, counted).await {
            Ok(()) => Some(batch),
            Err(error) => {
                tracing::warn!(%error, %gateway_id, records = count, "records of calls are not kept yet");
                None
            }
        }
    })
}

/// Deletes records that are too old or too many, until `stop`: little by little, as a store does one thing at a time.
pub(crate) async fn prune(store: Arc<Store>, config: RecordsConfig, audit: AuditConfig, stop: CancellationToken) {
    if let Err(error) = store.expire_records(config.retention_days).await {
        tracing::warn!(%error, "the store does not delete old records by itself; they are deleted one by one");
    }
    let mut works = true;
    loop {
        let pause = match pruned(&store, &config, &audit, Timestamp::now()).await {
            Ok(deleted) => {
                works = true;
                if deleted == 0 { LOOK_EVERY } else { STEP_EVERY }
            }
            Err(error) => {
                if works {
                    tracing::warn!(%error, "old records cannot be deleted; it is tried again");
                    works = false;
                }
                LOOK_EVERY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn pruned(store: &Store, config: &RecordsConfig, audit: &AuditConfig, now: Timestamp) -> Result<u32, StoreError> {
    let retention = retention::due(store, config, now).await?;
    let mut deleted = store.prune_records(&retention, STEP).await?;
    for (span, days) in [(Span::Hour, config.hourly_days), (Span::Day, config.daily_days)] {
        let age = SignedDuration::from_hours(24 * i64::from(days));
        let before = now.checked_sub(age).unwrap_or(Timestamp::MIN);
        deleted += store.prune_rollups(span, before, STEP).await?;
    }
    let audit_before = now.checked_sub(audit.retention()).unwrap_or(Timestamp::MIN);
    deleted += store.prune_audit(audit_before, STEP).await?;
    Ok(deleted + store.prune_sheets(now, STEP).await?)
}

/// Records that are deleted at a time, of each kind.
const STEP: u32 = 500;
const STEP_EVERY: Duration = Duration::from_millis(50);
const LOOK_EVERY: Duration = Duration::from_secs(60);
