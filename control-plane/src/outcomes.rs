//! What gateways tell of deliveries: kept, then acknowledged.

use std::sync::Arc;

use filters::model::delivery::{DeadLetter, DeadLetterStatus, DeliveryRecord};
use tokio::task::JoinHandle;

use crate::rollups::Clocks;
use crate::store::{Outcomes, Store};

/// A batch that is on disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    /// The place of its last record in the gateway's spool.
    pub(crate) up_to: i64,
    /// True if it told what became of commands.
    pub(crate) commanded: bool,
}

/// Keeps a batch of `gateway_id`. Without a result the gateway sends it again.
pub(crate) fn keep(
    store: &Arc<Store>,
    gateway_id: &str,
    up_to: i64,
    records: Vec<DeliveryRecord>,
    clocks: Clocks,
) -> JoinHandle<Option<Settled>> {
    let (store, gateway_id) = (Arc::clone(store), Arc::<str>::from(gateway_id));
    tokio::spawn(async move {
        let count = records.len();
        let commanded = records
            .iter()
            .any(|record| matches!(record, DeliveryRecord::Commanded { .. }));
        let given_up: Vec<GivenUp> = records.iter().filter_map(GivenUp::of).collect();
        let kept = async {
            store
                .keep_outcomes(Outcomes::sort(&gateway_id, records, &clocks)?)
                .await
        };
        match kept.await {
            Ok(()) => {
                given_up.iter().for_each(|letter| letter.report(&gateway_id));
                Some(Settled { up_to, commanded })
            }
            Err(error) => {
                tracing::warn!(%error, %gateway_id, records = count, "outcomes of deliveries are not kept yet");
                None
            }
        }
    })
}

/// A dead letter that nobody tries again, as its automatic retries are used up.
struct GivenUp {
    id: String,
    org_id: u64,
    integration: Arc<str>,
    error: String,
}

impl GivenUp {
    fn of(record: &DeliveryRecord) -> Option<Self> {
        let DeliveryRecord::DeadLetter(letter) = record else {
            return None;
        };
        let DeadLetter {
            retry_count,
            max_retries,
            ..
        } = **letter;
        // An operator may give it up earlier, or where there are no retries, and knows of it.
        (letter.status == DeadLetterStatus::Abandoned && max_retries > 0 && retry_count >= max_retries).then(|| Self {
            id: letter.id.clone(),
            org_id: letter.org_id,
            integration: Arc::clone(&letter.integration_config_id),
            error: letter.last_error.clone(),
        })
    }

    fn report(&self, gateway_id: &str) {
        let Self {
            id,
            org_id,
            integration,
            error,
        } = self;
        tracing::warn!(id, org_id, %integration, gateway_id, error, "a dead letter is given up");
    }
}
