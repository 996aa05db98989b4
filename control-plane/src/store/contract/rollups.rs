//! Counts by hour and day.

use std::collections::BTreeMap;

use filters::model::delivery::DeliveryRecord;
use filters::model::tally::{CallTally, Tally};
use filters::model::{ExecutionRecord, Organization};
use serde_json::json;

use super::super::*;
use super::backend::{Backend, Mongo, Sqlite};
use super::deliveries::{log, told_log};
use crate::rollups::{Clocks, Deltas, Flow, Span};

for_each_store!(
    attempts_are_counted_once_in_their_hour_and_day,
    batches_at_the_same_time_count_everything,
    calls_are_counted_once_whatever_is_recorded_of_them,
    counts_of_each_integration_are_added_up,
    days_are_those_of_the_organization,
    old_counts_are_deleted,
);

async fn attempts_are_counted_once_in_their_hour_and_day(backend: impl Backend) {
    let store = backend.open().await;
    let failed = json!({"status": "RETRYING", "errorCategory": "TIMEOUT", "shouldRetry": true, "responseTimeMs": 30});
    let one = told_log(log(1, json!({})));
    let two = told_log(log(2, failed));
    let next_hour = told_log(log(3, json!({"createdAt": "2026-01-15T11:00:00.000Z"})));
    tell(&store, vec![one.clone(), two.clone()]).await;
    // The second time with one more, as if the answer to the first had been lost.
    tell(&store, vec![one, two, next_hour.clone(), next_hour]).await;
    store.close().await;

    let store = backend.open().await;
    for integration in [Some("bills"), None] {
        let hours = series(&store, Span::Hour, Flow::Outbound, integration).await;
        let starts: Vec<String> = hours.iter().map(|(start, _)| start.to_string()).collect();
        assert_eq!(starts, ["2026-01-15T10:00:00Z", "2026-01-15T11:00:00Z"]);
        let ten = &hours[0].1;
        assert_eq!((ten.succeeded, ten.failed, ten.retried), (1, 1, 1));
        assert_eq!(ten.errors, BTreeMap::from([("TIMEOUT".to_owned(), 1)]));
        assert_eq!(ten.latency.ranges, BTreeMap::from([(3, 1), (30, 1)]));
        assert_eq!(ten.latency.total_ms, 33);
        let days = series(&store, Span::Day, Flow::Outbound, integration).await;
        assert_eq!(days.len(), 1);
        assert_eq!((days[0].1.succeeded, days[0].1.failed), (2, 1));
    }
    assert!(series(&store, Span::Hour, Flow::Inbound, None).await.is_empty());
    assert!(
        series(&store, Span::Hour, Flow::Outbound, Some("other"))
            .await
            .is_empty()
    );
    backend.drop_database(store).await;
}

async fn batches_at_the_same_time_count_everything(backend: impl Backend) {
    let store = Arc::new(backend.open().await);
    let tellers = (0..4_u32).map(|teller| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for round in 0..3 {
                let number = 10 * teller + round;
                tell(&store, vec![told_log(log(number, json!({"createdAt": AT})))]).await;
            }
        })
    });
    for teller in tellers.collect::<Vec<_>>() {
        teller.await.unwrap();
    }
    let days = series(&store, Span::Day, Flow::Outbound, None).await;
    assert_eq!(days.iter().map(|(_, tally)| tally.succeeded).sum::<u64>(), 12);
    backend.drop_database(Arc::into_inner(store).unwrap()).await;
}

async fn calls_are_counted_once_whatever_is_recorded_of_them(backend: impl Backend) {
    let store = backend.open().await;
    let told = async |name: &str, calls: u64| {
        let mut tally = Tally::default();
        (0..calls).for_each(|_| tally.success(5));
        tally.failure(Some("UPSTREAM_TIMEOUT"), false, 30_000);
        let counted = CallTally {
            org_id: 648,
            integration_config_id: "labs".into(),
            from: 1_768_471_200,
            tally,
        };
        keep(&store, name, vec![counted]).await;
    };
    told("b1", 7).await;
    told("b1", 7).await;
    told("b2", 1).await;
    // A batch with records only does not matter.
    keep(&store, "b3", Vec::new()).await;
    told("b2", 1).await;
    let hours = series(&store, Span::Hour, Flow::Inbound, Some("labs")).await;
    assert_eq!(hours.len(), 1);
    let (start, tally) = &hours[0];
    assert_eq!(start.to_string(), "2026-01-15T10:00:00Z");
    assert_eq!((tally.succeeded, tally.failed, tally.retried), (8, 2, 0));
    assert_eq!(tally.errors, BTreeMap::from([("UPSTREAM_TIMEOUT".to_owned(), 2)]));
    assert_eq!(tally.latency.percentile(50), Some(5));
    let day = series(&store, Span::Day, Flow::Inbound, None).await;
    assert_eq!(day[0].1.total(), 10);
    backend.drop_database(store).await;
}

async fn counts_of_each_integration_are_added_up(backend: impl Backend) {
    let store = backend.open().await;
    let later = "2026-01-15T13:10:00.000Z";
    tell(
        &store,
        vec![
            told_log(log(1, json!({}))),
            told_log(log(2, json!({"createdAt": later}))),
            told_log(log(3, json!({"integrationConfigId": "labs", "status": "FAILED"}))),
            told_log(log(4, json!({"orgId": 7}))),
            told_log(log(5, json!({"createdAt": "2026-01-15T23:10:00.000Z"}))),
        ],
    )
    .await;
    let sums = async |org_id| {
        let wanted = Sums {
            org_id,
            span: Span::Hour,
            from: "2026-01-15T10:00:00Z".parse().unwrap(),
            before: "2026-01-15T23:00:00Z".parse().unwrap(),
        };
        let sums = store.sums(&wanted).await.unwrap().into_iter();
        let shown = sums.map(|(of, tally)| (of.org_id, of.integration, tally.succeeded, tally.failed));
        shown.collect::<Vec<_>>()
    };
    let of_648 = [(648, "bills".to_owned(), 2, 0), (648, "labs".to_owned(), 0, 1)];
    assert_eq!(sums(Some(648)).await, of_648);
    let mut of_all = vec![(7, "bills".to_owned(), 1, 0)];
    of_all.extend(of_648);
    assert_eq!(sums(None).await, of_all);
    backend.drop_database(store).await;
}

async fn days_are_those_of_the_organization(backend: impl Backend) {
    let store = backend.open().await;
    let organization = Organization {
        org_id: 648,
        timezone: Some("Asia/Kolkata".to_owned()),
        ..Organization::default()
    };
    let clocks = Clocks::of([&organization]);
    let late = told_log(log(1, json!({"createdAt": "2026-01-15T20:17:00.000Z"})));
    let outcomes = Outcomes::sort(&"g1".into(), vec![late], &clocks).unwrap();
    store.keep_outcomes(outcomes).await.unwrap();
    let start = async |span| series(&store, span, Flow::Outbound, None).await[0].0.to_string();
    assert_eq!(start(Span::Hour).await, "2026-01-15T19:30:00Z");
    assert_eq!(start(Span::Day).await, "2026-01-15T18:30:00Z");
    backend.drop_database(store).await;
}

async fn old_counts_are_deleted(backend: impl Backend) {
    let store = backend.open().await;
    let hours = (0..5).map(|hour| {
        told_log(log(
            hour,
            json!({"createdAt": format!("2026-01-15T1{hour}:30:00.000Z")}),
        ))
    });
    tell(&store, hours.collect()).await;
    let prune = async |span, before: &str, step| {
        let before = before.parse().unwrap();
        store.prune_rollups(span, before, step).await.unwrap()
    };
    // Each hour is there twice, for the integration and for the organization.
    assert_eq!(prune(Span::Hour, "2026-01-15T13:00:00Z", 4).await, 4, "in steps");
    assert_eq!(prune(Span::Hour, "2026-01-15T13:00:00Z", 4).await, 2);
    assert_eq!(prune(Span::Hour, "2026-01-15T13:00:00Z", 4).await, 0);
    assert_eq!(series(&store, Span::Hour, Flow::Outbound, None).await.len(), 2);
    assert_eq!(
        series(&store, Span::Day, Flow::Outbound, None).await.len(),
        1,
        "the day stays"
    );
    backend.drop_database(store).await;
}

async fn tell(store: &Store, records: Vec<DeliveryRecord>) {
    let outcomes = Outcomes::sort(&"g1".into(), records, &Clocks::default()).unwrap();
    store.keep_outcomes(outcomes).await.unwrap();
}

async fn keep(store: &Store, name: &str, tallies: Vec<CallTally>) {
    let batch = Batch {
        gateway_id: "g1".into(),
        name: name.to_owned(),
    };
    let counted = Deltas::of_calls(&tallies, &Clocks::default());
    store
        .keep_calls(batch, Vec::<ExecutionRecord>::new(), counted)
        .await
        .unwrap();
}

async fn series(store: &Store, span: Span, flow: Flow, integration: Option<&str>) -> Vec<(Timestamp, Tally)> {
    let series = Series {
        org_id: 648,
        span,
        flow,
        integration: integration.map(str::to_owned),
        from: "2026-01-01T00:00:00Z".parse().unwrap(),
        before: "2026-02-01T00:00:00Z".parse().unwrap(),
    };
    store.series(&series).await.unwrap()
}

const AT: &str = "2026-01-15T10:00:00.000Z";
