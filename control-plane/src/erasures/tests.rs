use std::path::Path;

use filters::model::delivery::{DeadLetter, DeliveryRecord};
use filters::model::subject::Subject;
use serde_json::json;

use super::*;
use crate::config::{Limits, StoreConfig};
use crate::metrics::Metrics;
use crate::rollups::Clocks;
use crate::seal::Sealer;
use crate::store::Outcomes;

#[tokio::test]
async fn an_erasure_that_was_begun_before_a_migration_goes_on_in_the_other_store() {
    let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = open(before.path()).await;
    let begun = erasure(vec![GatewayPart {
        gateway_id: "away".to_owned(),
        command_id: Some("given-before".to_owned()),
        done: false,
        gone: false,
        events: 0,
    }]);
    erasures(&source).await.begin(&begun).await.unwrap();
    keep(&source, "01").await;
    let target = open(after.path()).await;
    source.copy_to(&target).await.unwrap();
    // What a gateway tells of only then is found, too.
    keep(&target, "02").await;

    // The gateway is not known there: it was removed before.
    erasures(&target).await.go_on().await.unwrap();
    let ended = target.sheet::<Erasure>(&begun.id).await.unwrap().unwrap().value;
    assert_eq!((ended.state, ended.removed.dead_letters), (ErasureState::Incomplete, 2));
    assert!(ended.gateways[0].gone && ended.finished_at.is_some());
    assert!(target.page::<DeadLetter>("").await.unwrap().is_empty());
    let untouched = source.sheet::<Erasure>(&begun.id).await.unwrap().unwrap();
    assert_eq!((untouched.revision, untouched.value.state), (1, ErasureState::Running));
}

#[tokio::test]
async fn an_erasure_ends_once_nobody_reads_the_log_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let begun = erasure(Vec::new());
    let erasures = erasures(&store).await;
    erasures.begin(&begun).await.unwrap();
    keep(&store, "01").await;
    let reader = rusqlite::Connection::open(folder.path().join("control-plane.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM dlq;").unwrap();
    erasures.go_on().await.unwrap();
    let state = async || store.sheet::<Erasure>(&begun.id).await.unwrap().unwrap().value;
    let waiting = state().await;
    assert_eq!(
        (waiting.state, waiting.removed.dead_letters),
        (ErasureState::Running, 1)
    );
    reader.execute_batch("COMMIT").unwrap();
    erasures.go_on().await.unwrap();
    let done = state().await;
    assert_eq!((done.state, done.removed.dead_letters), (ErasureState::Done, 1));
}

async fn open(folder: &Path) -> Arc<Store> {
    let sealer = Arc::new(Sealer::new(&[1; 32]));
    let store = Store::open(&StoreConfig::default(), folder, &Limits::default(), sealer).await;
    Arc::new(store.unwrap())
}

async fn erasures(store: &Arc<Store>) -> Erasures {
    let metrics = Arc::new(Metrics::new().unwrap());
    let fleet = Arc::new(Fleet::load(Arc::clone(store), metrics).await.unwrap());
    Erasures::new(Arc::clone(store), Arc::new(Commands::new(Arc::clone(store))), fleet)
}

fn erasure(gateways: Vec<GatewayPart>) -> Erasure {
    Erasure {
        id: "e".to_owned(),
        org_id: 648,
        subject: Subject::new("planted-4711", "salt"),
        paths: Vec::new(),
        only_paths: false,
        state: ErasureState::Running,
        requested_by: "tests".to_owned(),
        requested_at: Timestamp::now(),
        swept_at: None,
        finished_at: None,
        gateways,
        removed: Removed::default(),
    }
}

/// Keeps a dead letter that names the person.
async fn keep(store: &Store, number: &str) {
    let letter: DeadLetter = serde_json::from_value(json!({
        "id": format!("letter-{number}"), "integrationConfigId": "bills", "integrationName": "Bills", "orgId": 648,
        "eventId": "e", "source": "/his", "eventType": "bill.generated", "status": "PENDING_RETRY",
        "originalPayload": {"patient": "planted-4711"}, "targetUrl": "https://partner.example/hook", "httpMethod": "POST",
        "lastError": "it answered 500", "errorCategory": "SERVER_ERROR", "attemptCount": 8, "retryCount": 0,
        "maxRetries": 3, "traceId": "t", "createdAt": "2026-01-15T10:00:00.000Z", "updatedAt": "2026-01-15T10:00:00.000Z",
        "gatewayId": "g1",
    }))
    .unwrap();
    let told = vec![DeliveryRecord::DeadLetter(Box::new(letter))];
    let told = Outcomes::sort(&"g1".into(), told, &Clocks::default()).unwrap();
    store.keep_outcomes(told).await.unwrap();
}
