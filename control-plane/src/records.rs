//! Records of calls: taken from the gateways. All records are deleted when they are old.

use std::sync::Arc;
use std::time::Duration;

use filters::model::ExecutionRecord;
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::RecordsConfig;
use crate::config::auth::AuditConfig;
use crate::store::{Store, StoreError};

/// Keeps a batch of `gateway_id`. Gives the batch's name once it is on disk; without that the gateway sends it again.
pub(crate) fn keep(
    store: &Arc<Store>,
    gateway_id: &str,
    batch: String,
    mut records: Vec<ExecutionRecord>,
) -> JoinHandle<Option<String>> {
    let (store, gateway_id) = (Arc::clone(store), Arc::<str>::from(gateway_id));
    tokio::spawn(async move {
        for record in &mut records {
            // Under whatever name they come, they are of the gateway that sends them.
            record.gateway_id = Arc::clone(&gateway_id);
        }
        match store.append_records(&records).await {
            Ok(()) => Some(batch),
            Err(error) => {
                tracing::warn!(%error, %gateway_id, records = records.len(), "records of calls are not kept yet");
                None
            }
        }
    })
}

/// Deletes records that are too old or too many, until `stop`: little by little, as a store does one thing at a time.
pub(crate) async fn prune(store: Arc<Store>, config: RecordsConfig, audit: AuditConfig, stop: CancellationToken) {
    let age = SignedDuration::from_hours(24 * i64::from(config.retention_days));
    let mut works = true;
    loop {
        let before = |age| Timestamp::now().checked_sub(age).unwrap_or(Timestamp::MIN);
        let pause = match pruned(&store, before(age), config.max_records, before(audit.retention())).await {
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

async fn pruned(store: &Store, before: Timestamp, most: u64, audit_before: Timestamp) -> Result<u32, StoreError> {
    let calls = store.prune_records(before, most, STEP).await?;
    let outcomes = store.prune_outcomes(before, most, STEP).await?;
    let audit = store.prune_audit(audit_before, STEP).await?;
    Ok(calls + outcomes + audit + store.prune_sheets(Timestamp::now(), STEP).await?)
}

/// Records that are deleted at a time, of each kind.
const STEP: u32 = 500;
const STEP_EVERY: Duration = Duration::from_millis(50);
const LOOK_EVERY: Duration = Duration::from_secs(60);
