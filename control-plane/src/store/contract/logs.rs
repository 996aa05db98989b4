//! Filters that go together, and records of organizations that keep them for less time.

use filters::model::delivery::{DeadLetter, DeliveryLog};
use serde_json::json;

use super::super::*;
use super::backend::{Backend, Mongo, Sqlite};
use super::deliveries::{at, keep, letter, log, logs, numbers, of, told, told_log};
use super::keeping;

for_each_store!(
    filters_go_together,
    a_whole_identifier_is_found_however_old_it_is,
    an_organization_may_have_its_records_deleted_sooner,
);

async fn filters_go_together(backend: impl Backend) {
    let store = backend.open().await;
    let timeout = json!({"status": "FAILED", "errorCategory": "TIMEOUT"});
    let elsewhere = json!({"status": "FAILED", "errorCategory": "TIMEOUT", "integrationConfigId": "other"});
    let records = [
        log(1, timeout.clone()),
        log(2, elsewhere),
        log(3, json!({})),
        log(4, json!({"status": "ABANDONED", "errorCategory": "CLIENT_ERROR"})),
        log(5, timeout),
        log(6, json!({"orgId": 7, "status": "FAILED", "errorCategory": "TIMEOUT"})),
    ];
    keep(&store, records.map(told_log).to_vec()).await;
    let found = async |equal: &[(Field, &str)], search: Option<&str>| {
        let query = Query {
            equal: equal
                .iter()
                .map(|(field, value)| (*field, (*value).to_owned()))
                .collect(),
            search: search.map(str::to_owned),
            ..of(648)
        };
        let listed = numbers(&logs(&store, &query).await);
        let counted = store.count::<DeliveryLog>(&query, 100).await.unwrap();
        assert_eq!(counted, listed.len() as u64, "{query:?}");
        listed
    };
    use Field::{ErrorCategory, Event, EventType, Integration, Message, Status, Trace};
    assert_eq!(found(&[(Integration, "bills"), (Status, "FAILED")], None).await, [5, 1]);
    assert_eq!(found(&[(Status, "SUCCESS"), (Integration, "bills")], None).await, [3]);
    assert_eq!(
        found(&[(ErrorCategory, "TIMEOUT"), (Integration, "other")], None).await,
        [2]
    );
    assert_eq!(
        found(&[(EventType, "bill.generated"), (Status, "ABANDONED")], None).await,
        [4]
    );
    let all = [
        (Message, "m"),
        (Event, "e"),
        (Trace, "t"),
        (Status, "FAILED"),
        (ErrorCategory, "TIMEOUT"),
    ];
    assert_eq!(found(&all, None).await, [5, 2, 1]);
    assert_eq!(found(&[(Status, "FAILED")], Some("timeout")).await, [5, 2, 1]);
    assert!(found(&[(Status, "SUCCESS")], Some("timeout")).await.is_empty());
    assert_eq!(found(&[(ErrorCategory, "")], None).await, [3]);
    backend.drop_database(store).await;
}

async fn a_whole_identifier_is_found_however_old_it_is(backend: impl Backend) {
    let store = backend.open().await;
    let records = [
        log(1, json!({"eventId": "evt-1", "correlationId": "patient-17"})),
        log(2, json!({"messageId": "msg-2", "correlationId": "patient-17"})),
        log(3, json!({"traceId": "trace-3", "errorMessage": "as with evt-1"})),
        log(4, json!({"orgId": 7, "eventId": "evt-1"})),
    ];
    keep(&store, records.map(told_log).to_vec()).await;
    let asked = async |text: &str, equal: Vec<(Field, String)>| {
        let query = Query {
            search: Some(text.to_owned()),
            equal,
            ..of(648)
        };
        let identified = store.identified::<DeliveryLog>(query).await.unwrap();
        let found = numbers(&logs(&store, &identified).await);
        (identified.search.is_none(), found)
    };
    assert_eq!(asked("evt-1", Vec::new()).await, (true, vec![1]));
    assert_eq!(asked("msg-2", Vec::new()).await, (true, vec![2]));
    assert_eq!(asked("trace-3", Vec::new()).await, (true, vec![3]));
    assert_eq!(asked("patient-17", Vec::new()).await, (true, vec![2, 1]));
    assert_eq!(
        asked("patient-1", Vec::new()).await,
        (false, vec![2, 1]),
        "a part of one"
    );
    let failed = vec![(Field::Status, "FAILED".to_owned())];
    assert_eq!(asked("patient-17", failed).await, (false, Vec::new()));
    backend.drop_database(store).await;
}

async fn an_organization_may_have_its_records_deleted_sooner(backend: impl Backend) {
    let store = backend.open().await;
    let mut records = Vec::new();
    for org_id in [7, 648] {
        for number in 1..=4 {
            let of = json!({"orgId": org_id, "id": format!("log-{org_id}-{number}")});
            records.push(told_log(log(number, of)));
        }
        let given_up = json!({"orgId": org_id, "id": format!("letter-{org_id}"), "status": "ABANDONED"});
        records.push(told(&letter(1, given_up)));
    }
    keep(&store, records).await;
    let before = at(2).parse().unwrap();
    let retention = Retention {
        sooner: [(7, at(20).parse().unwrap())].into(),
        ..keeping(before, 100)
    };
    assert_eq!(store.prune_records(&retention, 2).await.unwrap(), 2 + 2 + 1, "in steps");
    while store.prune_records(&retention, 2).await.unwrap() > 0 {}
    assert!(logs(&store, &of(7)).await.is_empty());
    assert_eq!(numbers(&logs(&store, &of(648)).await), [4, 3, 2]);
    assert_eq!(store.count::<DeadLetter>(&of(7), 9).await.unwrap(), 0);
    assert_eq!(store.count::<DeadLetter>(&of(648), 9).await.unwrap(), 1);
    backend.drop_database(store).await;
}
