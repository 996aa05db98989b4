//! Records of calls.

use filters::model::ExecutionRecord;
use filters::model::record::RecordStatus;
use serde_json::json;

use super::super::*;
use super::backend::Backend;
use super::deliveries::of;
use super::keeping;
use crate::rollups::Deltas;

pub(super) async fn a_batch_of_records_is_kept_once(backend: impl Backend) {
    let store = backend.open().await;
    let one = record(1, 648);
    let big = ExecutionRecord {
        org_id: u64::MAX,
        duration_ms: u64::MAX,
        response_status: None,
        error_message: Some("quotes \" and 'more', \u{1f4a5}, $set.a".to_owned()),
        ..record(2, 0)
    };
    keep(&store, vec![one.clone(), big.clone()]).await;
    // The second time with one more, as if the answer to the first had been lost.
    let three = record(3, 648);
    keep(&store, vec![one.clone(), big.clone(), three.clone()]).await;
    keep(&store, Vec::new()).await;
    store.close().await;

    let store = backend.open().await;
    assert_eq!(calls(&store, &of(648)).await, [three, one]);
    assert_eq!(calls(&store, &of(u64::MAX)).await, [big]);
    assert!(calls(&store, &of(7)).await.is_empty());
    backend.drop_database(store).await;
}

pub(super) async fn records_are_listed_newest_first_page_by_page(backend: impl Backend) {
    let store = backend.open().await;
    // Not in the order of their calls, and some at the same moment.
    let moments = [3, 1, 2, 2, 5, 4];
    let records: Vec<_> = moments
        .iter()
        .zip(1..)
        .map(|(moment, number)| ExecutionRecord {
            created_at: at(*moment),
            ..record(number, 648)
        })
        .collect();
    keep(&store, records.to_vec()).await;
    let page = async |skip, limit| {
        let query = Query { skip, limit, ..of(648) };
        numbers(&calls(&store, &query).await)
    };
    assert_eq!(page(0, 4).await, [5, 6, 1, 4]);
    assert_eq!(page(4, 4).await, [3, 2]);
    assert!(page(8, 4).await.is_empty());
    backend.drop_database(store).await;
}

pub(super) async fn records_are_narrowed_by_each_filter(backend: impl Backend) {
    let store = backend.open().await;
    let failed = ExecutionRecord {
        status: RecordStatus::Failed,
        ..record(2, 648)
    };
    let elsewhere = ExecutionRecord {
        integration_config_id: "other".into(),
        ..record(3, 648)
    };
    keep(
        &store,
        vec![record(1, 648), failed, elsewhere, record(4, 648), record(5, 7)],
    )
    .await;
    let found = async |change: fn(&mut Query)| {
        let mut query = of(648);
        change(&mut query);
        numbers(&calls(&store, &query).await)
    };
    assert_eq!(found(|_| {}).await, [4, 3, 2, 1]);
    assert_eq!(
        found(|query| query.equal = vec![(Field::Status, "FAILED".to_owned())]).await,
        [2]
    );
    assert_eq!(
        found(|query| query.equal = vec![(Field::Status, "SUCCESS".to_owned())]).await,
        [4, 3, 1]
    );
    assert_eq!(
        found(|query| query.equal = vec![(Field::Integration, "other".to_owned())]).await,
        [3]
    );
    assert_eq!(
        found(|query| query.from = at(3).parse().ok()).await,
        [4, 3],
        "from is included"
    );
    assert_eq!(
        found(|query| query.before = at(3).parse().ok()).await,
        [2, 1],
        "before is not"
    );
    let all = |query: &mut Query| {
        query.equal = vec![(Field::Status, "SUCCESS".to_owned())];
        query.equal.push((Field::Integration, "labs".to_owned()));
        query.from = at(1).parse().ok();
        query.before = at(4).parse().ok();
        query.search = Some("lab".to_owned());
    };
    assert_eq!(found(all).await, [1]);
    backend.drop_database(store).await;
}

pub(super) async fn a_search_is_literal(backend: impl Backend) {
    let store = backend.open().await;
    let with_path = |number, path: &str| ExecutionRecord {
        path: path.to_owned(),
        ..record(number, 648)
    };
    let message = ExecutionRecord {
        error_message: Some("no connection (50% of tries)".to_owned()),
        error_category: Some("UPSTREAM_ERROR".to_owned()),
        ..record(5, 648)
    };
    let named = ExecutionRecord {
        integration_name: "Visits".to_owned(),
        request_id: "01890a5d-ac96".to_owned(),
        ..record(6, 648)
    };
    let records = [
        with_path(1, "/a_b"),
        with_path(2, "/axb"),
        with_path(3, "/back\\slash"),
        with_path(4, "/v1.*"),
        message,
        named,
    ];
    keep(&store, records.to_vec()).await;
    let found = async |text: &str| {
        let query = Query {
            search: Some(text.to_owned()),
            ..of(648)
        };
        numbers(&calls(&store, &query).await)
    };
    assert_eq!(found("a_b").await, [1]);
    assert_eq!(found("\\").await, [3]);
    assert_eq!(found(".*").await, [4]);
    assert_eq!(found("50%").await, [5]);
    assert_eq!(found("(50% OF").await, [5]);
    assert_eq!(found("upstream_e").await, [5]);
    assert_eq!(found("visits").await, [6]);
    assert_eq!(found("01890a5d-ac96").await, [6]);
    assert!(
        found("integrationName").await.is_empty(),
        "names of fields are not searched"
    );
    assert!(found("'; DROP TABLE").await.is_empty());
    backend.drop_database(store).await;
}

pub(super) async fn records_of_a_trace_stay_in_their_organization(backend: impl Backend) {
    let store = backend.open().await;
    let of_trace = |number, org_id, trace_id: &str| ExecutionRecord {
        trace_id: trace_id.to_owned(),
        ..record(number, org_id)
    };
    let records = [
        of_trace(2, 648, "t"),
        of_trace(1, 648, "t"),
        of_trace(3, 7, "t"),
        of_trace(4, 648, "u"),
    ];
    keep(&store, records.to_vec()).await;
    let found = async |trace_id: &str, org_id| {
        let query = Query {
            org_id,
            equal: vec![(Field::Trace, trace_id.to_owned())],
            ..of(0)
        };
        numbers(&calls(&store, &query).await)
    };
    assert_eq!(found("t", Some(648)).await, [2, 1]);
    assert_eq!(found("t", Some(7)).await, [3]);
    assert_eq!(found("t", None).await, [3, 2, 1]);
    assert!(found("u", Some(7)).await.is_empty());
    backend.drop_database(store).await;
}

pub(super) async fn old_records_and_those_beyond_the_most_are_deleted(backend: impl Backend) {
    let store = backend.open().await;
    let records: Vec<_> = (1..=9).map(|number| record(number, 648)).collect();
    keep(&store, records.to_vec()).await;
    let left = async || numbers(&calls(&store, &of(648)).await);
    let before = at(4).parse().unwrap();
    assert_eq!(
        store.prune_records(&keeping(before, 100), 2).await.unwrap(),
        2,
        "in steps"
    );
    assert_eq!(left().await, [9, 8, 7, 6, 5, 4, 3]);
    assert_eq!(store.prune_records(&keeping(before, 100), 2).await.unwrap(), 1);
    assert_eq!(store.prune_records(&keeping(before, 100), 2).await.unwrap(), 0);
    assert_eq!(store.prune_records(&keeping(before, 4), 1).await.unwrap(), 1);
    assert_eq!(store.prune_records(&keeping(before, 4), 5).await.unwrap(), 1);
    assert_eq!(left().await, [9, 8, 7, 6]);
    backend.drop_database(store).await;
}

async fn keep(store: &Store, records: Vec<ExecutionRecord>) {
    let batch = Batch {
        gateway_id: "g1".into(),
        name: "b".to_owned(),
    };
    store.keep_calls(batch, records, Deltas::default()).await.unwrap();
}

async fn calls(store: &Store, query: &Query) -> Vec<ExecutionRecord> {
    store.list(query).await.unwrap()
}

/// The call number `number`, which came at second `number`.
pub(super) fn record(number: u32, org_id: u64) -> ExecutionRecord {
    serde_json::from_value(json!({
        "id": format!("0190-{number:04}"), "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "requestId": "r", "orgId": org_id,
        "integrationConfigId": "labs", "integrationName": "Lab results", "direction": "INBOUND", "status": "SUCCESS",
        "httpMethod": "GET", "path": "/labs", "responseStatus": 200, "attempts": 1, "requestBytes": 0,
        "responseBytes": 17, "durationMs": 3, "upstreamMs": 2, "targetUrl": "https://partner.example",
        "createdAt": at(number), "gatewayId": "g1",
    }))
    .unwrap()
}

fn at(second: u32) -> String {
    format!("2026-01-15T10:00:{second:02}.123Z")
}

fn numbers(records: &[ExecutionRecord]) -> Vec<u32> {
    let number = |record: &ExecutionRecord| record.id.rsplit('-').next()?.parse().ok();
    records.iter().filter_map(number).collect()
}
