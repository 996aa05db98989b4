//! What gateways tell of deliveries.

use filters::model::delivery::{DeadLetter, DeliveryLog, DeliveryRecord, ScheduledDelivery};
use serde_json::{Value, json};

use super::super::*;
use super::backend::{Backend, Mongo, Sqlite};
use super::keeping;
use crate::rollups::Clocks;

for_each_store!(
    a_batch_of_outcomes_is_kept_once,
    logs_are_found_by_each_filter,
    logs_are_listed_page_by_page,
    a_search_in_logs_is_literal,
    the_newest_word_on_a_dead_letter_counts,
    a_dead_letter_that_is_gone_stays_gone,
    a_dead_letter_is_kept_with_its_payload,
    scheduled_deliveries_are_kept_by_their_newest_state,
    what_is_over_is_deleted_when_it_is_old,
);

async fn a_batch_of_outcomes_is_kept_once(backend: impl Backend) {
    let store = backend.open().await;
    let one = log(1, json!({}));
    let big = log(
        2,
        json!({"orgId": u64::MAX, "responseBody": {"$set": {"a.b": 1.0}, "n": null}, "errorMessage": "quotes \" and 'more' \u{1f4a5}"}),
    );
    let both = [one.clone(), big.clone()].map(told_log);
    keep(&store, both.to_vec()).await;
    // The second time with one more, as if the answer to the first had been lost.
    let three = log(3, json!({}));
    let again = [one.clone(), big.clone(), three.clone()].map(told_log);
    keep(&store, again.to_vec()).await;
    keep(&store, Vec::new()).await;
    store.close().await;

    let store = backend.open().await;
    assert_eq!(logs(&store, &of(648)).await, [three.clone(), one]);
    assert_eq!(logs(&store, &of(u64::MAX)).await, [big]);
    assert!(logs(&store, &of(7)).await.is_empty());
    assert_eq!(store.find::<DeliveryLog>("log-0003").await.unwrap(), Some(three));
    assert_eq!(store.find::<DeliveryLog>("log-0009").await.unwrap(), None);
    assert_eq!(store.count::<DeliveryLog>(&of(648), 9).await.unwrap(), 2);
    assert_eq!(store.count::<DeliveryLog>(&of(648), 1).await.unwrap(), 1, "no further");
    backend.drop_database(store).await;
}

async fn logs_are_found_by_each_filter(backend: impl Backend) {
    let store = backend.open().await;
    let records = [
        log(1, json!({"status": "FAILED", "errorCategory": "TIMEOUT"})),
        log(2, json!({"integrationConfigId": "other"})),
        log(3, json!({"eventType": "bill.paid", "eventId": "e3"})),
        log(4, json!({"messageId": "m4", "traceId": "t4"})),
        log(5, json!({"orgId": 7})),
    ];
    keep(&store, records.map(told_log).to_vec()).await;
    let found = async |field: Field, value: &str| {
        let equal = vec![(field, value.to_owned())];
        numbers(&logs(&store, &Query { equal, ..of(648) }).await)
    };
    assert_eq!(found(Field::Status, "FAILED").await, [1]);
    assert_eq!(found(Field::Status, "SUCCESS").await, [4, 3, 2]);
    assert_eq!(found(Field::ErrorCategory, "TIMEOUT").await, [1]);
    assert_eq!(found(Field::Integration, "other").await, [2]);
    assert_eq!(found(Field::EventType, "bill.paid").await, [3]);
    assert_eq!(found(Field::Event, "e3").await, [3]);
    assert_eq!(found(Field::Message, "m4").await, [4]);
    assert_eq!(found(Field::Trace, "t4").await, [4]);
    assert_eq!(found(Field::Direction, "OUTBOUND").await, [4, 3, 2, 1]);
    let both = Query {
        equal: vec![
            (Field::Status, "SUCCESS".to_owned()),
            (Field::Integration, "bills".to_owned()),
        ],
        from: at(3).parse().ok(),
        before: at(4).parse().ok(),
        search: Some("bill".to_owned()),
        ..of(648)
    };
    assert_eq!(
        numbers(&logs(&store, &both).await),
        [3],
        "from is included, before is not"
    );
    let everybody = Query {
        limit: 10,
        ..Query::default()
    };
    assert_eq!(numbers(&logs(&store, &everybody).await), [5, 4, 3, 2, 1]);
    backend.drop_database(store).await;
}

async fn logs_are_listed_page_by_page(backend: impl Backend) {
    let store = backend.open().await;
    // Not in the order of their attempts, and some at the same moment.
    let moments = [3, 1, 2, 2, 5, 4];
    let records = moments
        .iter()
        .zip(1..)
        .map(|(moment, number)| told_log(log(number, json!({"createdAt": at(*moment)}))));
    keep(&store, records.collect()).await;
    let page = async |skip, limit| numbers(&logs(&store, &Query { skip, limit, ..of(648) }).await);
    assert_eq!(page(0, 4).await, [5, 6, 1, 4]);
    assert_eq!(page(4, 4).await, [3, 2]);

    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = logs(
            &store,
            &Query {
                after,
                limit: 2,
                ..of(648)
            },
        )
        .await;
        after = page.last().map(Kept::cursor);
        // The place survives its way through a text.
        after = after.map(|after| after.to_string().parse().unwrap());
        if page.is_empty() {
            break;
        }
        seen.extend(numbers(&page));
    }
    assert_eq!(seen, [5, 6, 1, 4, 3, 2]);
    backend.drop_database(store).await;
}

async fn a_search_in_logs_is_literal(backend: impl Backend) {
    let store = backend.open().await;
    let records = [
        log(1, json!({"errorMessage": "no connection (50% of tries)"})),
        log(2, json!({"targetUrl": "https://partner.example/a_b"})),
        log(
            3,
            json!({"targetUrl": "https://partner.example/axb", "correlationId": "Patient-17"}),
        ),
        log(4, json!({"integrationName": "Visits.*"})),
    ];
    keep(&store, records.map(told_log).to_vec()).await;
    let found = async |text: &str| {
        let search = Some(text.to_owned());
        numbers(&logs(&store, &Query { search, ..of(648) }).await)
    };
    assert_eq!(found("(50% OF").await, [1]);
    assert_eq!(found("a_b").await, [2]);
    assert_eq!(found("patient-17").await, [3]);
    assert_eq!(found(".*").await, [4]);
    assert!(
        found("integrationName").await.is_empty(),
        "names of fields are not searched"
    );
    assert!(found("'; DROP TABLE").await.is_empty());
    let search = Some("example".to_owned());
    assert_eq!(
        store
            .count::<DeliveryLog>(&Query { search, ..of(648) }, 9)
            .await
            .unwrap(),
        4
    );
    backend.drop_database(store).await;
}

async fn the_newest_word_on_a_dead_letter_counts(backend: impl Backend) {
    let store = backend.open().await;
    let first = letter(1, json!({}));
    let retried = letter(1, json!({"status": "RETRYING", "updatedAt": at(20)}));
    keep(&store, vec![told(&retried), told(&letter(2, json!({})))]).await;
    keep(&store, vec![told(&first)]).await;
    let found = async |status: &str| {
        let equal = vec![(Field::Status, status.to_owned())];
        let letters: Vec<DeadLetter> = store.list(&Query { equal, ..of(648) }).await.unwrap();
        letters.iter().map(|letter| letter.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        found("RETRYING").await,
        ["letter-0001"],
        "an older word changes nothing"
    );
    assert_eq!(found("PENDING_RETRY").await, ["letter-0002"]);
    let of_call = json!({"direction": "INBOUND", "status": "PENDING_OPERATOR"});
    keep(&store, vec![told(&letter(3, of_call))]).await;
    for (direction, ids) in [
        ("INBOUND", &["letter-0003"][..]),
        ("OUTBOUND", &["letter-0002", "letter-0001"]),
    ] {
        let equal = vec![(Field::Direction, direction.to_owned())];
        let letters: Vec<DeadLetter> = store.list(&Query { equal, ..of(648) }).await.unwrap();
        let found: Vec<_> = letters.iter().map(|letter| letter.id.as_str()).collect();
        assert_eq!(found, ids, "{direction}");
    }
    let again = letter(
        1,
        json!({"status": "ABANDONED", "updatedAt": at(20), "integrationConfigId": "moved"}),
    );
    keep(&store, vec![told(&retried), told(&again)]).await;
    assert_eq!(
        found("ABANDONED").await,
        ["letter-0001"],
        "the later of two at the same time counts"
    );
    backend.drop_database(store).await;
}

async fn a_dead_letter_that_is_gone_stays_gone(backend: impl Backend) {
    let store = backend.open().await;
    let one = letter(1, json!({}));
    let two = letter(2, json!({}));
    keep(&store, vec![told(&one), told(&two)]).await;
    let gone = DeliveryRecord::DeadLetterGone(one.id.clone());
    keep(&store, vec![gone.clone()]).await;
    let ids = async || {
        let letters: Vec<DeadLetter> = store.list(&of(648)).await.unwrap();
        letters.into_iter().map(|letter| letter.id).collect::<Vec<_>>()
    };
    assert_eq!(ids().await, ["letter-0002"]);
    // A batch from before that comes late, and one that has both.
    keep(&store, vec![told(&one)]).await;
    assert_eq!(ids().await, ["letter-0002"]);
    keep(&store, vec![told(&one), gone]).await;
    assert_eq!(ids().await, ["letter-0002"]);
    assert_eq!(store.count::<DeadLetter>(&of(648), 9).await.unwrap(), 1);
    backend.drop_database(store).await;
}

async fn a_dead_letter_is_kept_with_its_payload(backend: impl Backend) {
    let store = backend.open().await;
    let payload = json!({"$set": {"a.b": 1.0}, "big": u64::MAX, "n": null, "text": "x".repeat(300_000)});
    let whole = letter(1, json!({"originalPayload": payload}));
    keep(&store, vec![told(&whole)]).await;
    let listed: Vec<DeadLetter> = store.list(&of(648)).await.unwrap();
    assert_eq!(listed[0].original_payload, Value::Null, "lists leave it out");
    let mut wanted = whole.clone();
    wanted.gateway_id = "g1".into();
    assert_eq!(store.find::<DeadLetter>(&whole.id).await.unwrap(), Some(wanted));
    backend.drop_database(store).await;
}

async fn scheduled_deliveries_are_kept_by_their_newest_state(backend: impl Backend) {
    let store = backend.open().await;
    let later = scheduled(1, json!({"status": "COMPLETED", "updatedAt": at(20)}));
    keep(
        &store,
        vec![told_scheduled(&later), told_scheduled(&scheduled(2, json!({})))],
    )
    .await;
    keep(&store, vec![told_scheduled(&scheduled(1, json!({})))]).await;
    let pending = Query {
        equal: vec![(Field::Status, "PENDING".to_owned())],
        ..of(648)
    };
    let found: Vec<ScheduledDelivery> = store.list(&pending).await.unwrap();
    assert_eq!(found, [scheduled(2, json!({}))]);
    assert_eq!(store.find(&later.id).await.unwrap(), Some(later));
    backend.drop_database(store).await;
}

async fn what_is_over_is_deleted_when_it_is_old(backend: impl Backend) {
    let store = backend.open().await;
    let mut records: Vec<_> = (1..=9).map(|number| told_log(log(number, json!({})))).collect();
    records.extend([
        told(&letter(1, json!({"status": "ABANDONED"}))),
        told(&letter(2, json!({"status": "PENDING_RETRY"}))),
        told(&letter(3, json!({"status": "ABANDONED", "updatedAt": at(30)}))),
        told_scheduled(&scheduled(1, json!({"status": "CANCELLED"}))),
        told_scheduled(&scheduled(2, json!({}))),
    ]);
    keep(&store, records).await;
    let before = at(15).parse().unwrap();
    let kept_logs = async || numbers(&logs(&store, &of(648)).await);
    assert_eq!(
        store
            .prune_records(&keeping(at(4).parse().unwrap(), 100), 2)
            .await
            .unwrap(),
        2,
        "in steps"
    );
    assert_eq!(kept_logs().await, [9, 8, 7, 6, 5, 4, 3]);
    assert_eq!(
        store
            .prune_records(&keeping(at(4).parse().unwrap(), 4), 2)
            .await
            .unwrap(),
        3,
        "one old, two too many"
    );
    assert_eq!(kept_logs().await, [9, 8, 7, 6]);
    assert_eq!(store.prune_records(&keeping(before, 100), 10).await.unwrap(), 6);
    assert!(kept_logs().await.is_empty());
    let letters: Vec<DeadLetter> = store.list(&of(648)).await.unwrap();
    let letters: Vec<_> = letters.iter().map(|letter| &*letter.id).collect();
    assert_eq!(letters, ["letter-0003", "letter-0002"], "those that wait stay");
    let scheduled: Vec<ScheduledDelivery> = store.list(&of(648)).await.unwrap();
    assert_eq!(scheduled.len(), 1);
    assert_eq!(store.prune_records(&keeping(before, 100), 10).await.unwrap(), 0);
    backend.drop_database(store).await;
}

pub(super) async fn keep(store: &Store, records: Vec<DeliveryRecord>) {
    let outcomes = Outcomes::sort(&"g1".into(), records, &Clocks::default()).unwrap();
    store.keep_outcomes(outcomes).await.unwrap();
}

pub(super) async fn logs(store: &Store, query: &Query) -> Vec<DeliveryLog> {
    store.list(query).await.unwrap()
}

pub(super) fn of(org_id: u64) -> Query {
    Query {
        org_id: Some(org_id),
        limit: 10,
        ..Query::default()
    }
}

pub(super) fn told_log(log: DeliveryLog) -> DeliveryRecord {
    DeliveryRecord::Log(Box::new(log))
}

pub(super) fn told(letter: &DeadLetter) -> DeliveryRecord {
    DeliveryRecord::DeadLetter(Box::new(letter.clone()))
}

fn told_scheduled(delivery: &ScheduledDelivery) -> DeliveryRecord {
    DeliveryRecord::Scheduled(Box::new(delivery.clone()))
}

/// The attempt number `number`, made at second `number`.
pub(super) fn log(number: u32, change: Value) -> DeliveryLog {
    made(
        json!({
            "id": format!("log-{number:04}"), "messageId": "m", "integrationConfigId": "bills", "integrationName": "Bills",
            "orgId": 648, "eventId": "e", "eventType": "bill.generated", "status": "SUCCESS",
            "targetUrl": "https://partner.example/hook", "httpMethod": "POST", "responseStatus": 200, "responseTimeMs": 3,
            "attemptCount": 1, "shouldRetry": false, "traceId": "t", "createdAt": at(number), "gatewayId": "g1",
        }),
        change,
    )
}

/// The dead letter number `number`, made at second `number` and changed at 10.
pub(super) fn letter(number: u32, change: Value) -> DeadLetter {
    made(
        json!({
            "id": format!("letter-{number:04}"), "integrationConfigId": "bills", "integrationName": "Bills", "orgId": 648,
            "eventId": "e", "source": "/his", "eventType": "bill.generated", "status": "PENDING_RETRY",
            "originalPayload": {"n": number}, "targetUrl": "https://partner.example/hook", "httpMethod": "POST",
            "lastError": "it answered 500", "errorCategory": "SERVER_ERROR", "lastStatus": 500, "attemptCount": 8,
            "retryCount": 0, "maxRetries": 3, "traceId": "t", "createdAt": at(number), "updatedAt": at(10),
            "gatewayId": "somebody-else",
        }),
        change,
    )
}

/// The scheduled delivery number `number`, made at second `number` and changed at 10.
pub(super) fn scheduled(number: u32, change: Value) -> ScheduledDelivery {
    made(
        json!({
            "id": format!("g1:{number}-0"), "integrationConfigId": "bills", "integrationName": "Bills", "orgId": 648,
            "tenantId": 648, "originalEventId": "e", "eventType": "bill.generated", "scheduledFor": at(50),
            "status": "PENDING", "targetUrl": "https://partner.example/hook", "httpMethod": "POST",
            "createdAt": at(number), "updatedAt": at(10), "gatewayId": "g1",
        }),
        change,
    )
}

fn made<T: serde::de::DeserializeOwned>(mut base: Value, change: Value) -> T {
    for (name, value) in change.as_object().unwrap() {
        base[name] = value.clone();
    }
    serde_json::from_value(base).unwrap()
}

pub(super) fn at(second: u32) -> String {
    format!("2026-01-15T10:00:{second:02}.123Z")
}

pub(super) fn numbers(logs: &[DeliveryLog]) -> Vec<u32> {
    let number = |log: &DeliveryLog| log.id.rsplit('-').next()?.parse().ok();
    logs.iter().filter_map(number).collect()
}
