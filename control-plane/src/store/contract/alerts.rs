//! Alerts, and the number of dead letters.

use filters::model::delivery::{DeadLetter, DeliveryRecord};
use serde_json::json;

use super::super::*;
use super::backend::{Backend, Mongo, Sqlite};
use super::deliveries::keep;
use super::keeping;
use crate::alerts::{Alert, AlertStatus, DeadLetterCount};

for_each_store!(
    an_alert_is_kept_and_the_open_ones_are_known,
    of_the_alerts_about_one_thing_one_is_open,
    a_revision_is_written_once,
    alerts_are_found_by_each_filter,
    alerts_are_listed_from_a_place_on,
    alerts_that_are_over_are_deleted_when_they_are_old,
    dead_letters_are_counted_by_subscription,
);

async fn an_alert_is_kept_and_the_open_ones_are_known(backend: impl Backend) {
    let store = backend.open().await;
    let (one, mut two) = (alert(1, json!({})), alert(2, json!({"orgId": u64::MAX})));
    for alert in [&one, &two] {
        assert!(store.save_alert(alert, None).await.unwrap());
    }
    store.close().await;
    let store = backend.open().await;
    assert_eq!(store.open_alerts().await.unwrap(), [two.clone(), one.clone()]);
    resolve(&mut two);
    assert!(store.save_alert(&two, Some(1)).await.unwrap());
    assert_eq!(store.open_alerts().await.unwrap(), [one]);
    assert_eq!(store.find::<Alert>(&two.id).await.unwrap(), Some(two));
    backend.drop_database(store).await;
}

async fn of_the_alerts_about_one_thing_one_is_open(backend: impl Backend) {
    let store = backend.open().await;
    let mut first = alert(1, json!({"key": "LAG:bills"}));
    let second = alert(2, json!({"key": "LAG:bills"}));
    assert!(store.save_alert(&first, None).await.unwrap());
    assert!(!store.save_alert(&first, None).await.unwrap(), "it is there");
    assert!(!store.save_alert(&second, None).await.unwrap(), "another is open");
    resolve(&mut first);
    assert!(store.save_alert(&first, Some(1)).await.unwrap());
    assert!(store.save_alert(&second, None).await.unwrap());
    assert_eq!(store.open_alerts().await.unwrap(), [second]);
    backend.drop_database(store).await;
}

async fn a_revision_is_written_once(backend: impl Backend) {
    let store = backend.open().await;
    let one = alert(1, json!({}));
    assert!(!store.save_alert(&one, Some(1)).await.unwrap(), "it is not there");
    assert!(store.save_alert(&one, None).await.unwrap());
    let reminded = Alert {
        revision: 2,
        reminders: 1,
        ..one.clone()
    };
    assert!(store.save_alert(&reminded, Some(1)).await.unwrap());
    assert!(!store.save_alert(&one, Some(1)).await.unwrap(), "another was quicker");
    assert_eq!(store.open_alerts().await.unwrap(), [reminded]);
    backend.drop_database(store).await;
}

async fn alerts_are_listed_from_a_place_on(backend: impl Backend) {
    let store = backend.open().await;
    // Two of the same moment, told apart by their identifiers.
    let same = json!({"openedAt": "2026-01-15T10:00:02.123Z"});
    let alerts = [
        alert(1, json!({})),
        alert(2, json!({})),
        alert(3, same),
        alert(4, json!({})),
    ];
    for alert in &alerts {
        assert!(store.save_alert(alert, None).await.unwrap());
    }
    let mut query = Query {
        limit: 1,
        ..Query::default()
    };
    let mut found = Vec::new();
    loop {
        let page: Vec<Alert> = store.list(&query).await.unwrap();
        let Some(alert) = page.into_iter().next() else { break };
        let place = alert.cursor();
        if let Some(before) = &query.after {
            assert!(place.is_after(before) && !before.is_after(&place));
        }
        query.after = Some(place);
        if alert.id == "alert-4" {
            // What is raised meanwhile shifts nothing.
            assert!(store.save_alert(&self::alert(5, json!({})), None).await.unwrap());
        }
        found.push(alert.id);
    }
    assert_eq!(found, ["alert-4", "alert-3", "alert-2", "alert-1"]);
    backend.drop_database(store).await;
}

async fn alerts_are_found_by_each_filter(backend: impl Backend) {
    let store = backend.open().await;
    let gateway = json!({"orgId": null, "integrationConfigId": null, "rule": "GATEWAY_GONE"});
    let mut over = alert(4, json!({"integrationConfigId": "labs"}));
    let alerts = [
        alert(1, json!({})),
        alert(2, gateway),
        alert(3, json!({"orgId": 7})),
        over.clone(),
    ];
    for alert in &alerts {
        assert!(store.save_alert(alert, None).await.unwrap());
    }
    resolve(&mut over);
    assert!(store.save_alert(&over, Some(1)).await.unwrap());
    let found = async |org_id: Option<u64>, equal: &[(Field, &str)]| {
        let query = Query {
            org_id,
            equal: equal
                .iter()
                .map(|(field, value)| (*field, (*value).to_owned()))
                .collect(),
            limit: 10,
            ..Query::default()
        };
        let found: Vec<Alert> = store.list(&query).await.unwrap();
        assert_eq!(store.count::<Alert>(&query, 99).await.unwrap(), found.len() as u64);
        let ids: Vec<String> = found.into_iter().map(|alert| alert.id).collect();
        ids.join(" ")
    };
    assert_eq!(found(None, &[]).await, "alert-4 alert-3 alert-2 alert-1");
    assert_eq!(found(Some(648), &[]).await, "alert-4 alert-1");
    assert_eq!(found(None, &[(Field::Status, "RESOLVED")]).await, "alert-4");
    assert_eq!(found(None, &[(Field::Rule, "GATEWAY_GONE")]).await, "alert-2");
    assert_eq!(found(Some(648), &[(Field::Integration, "bills")]).await, "alert-1");
    backend.drop_database(store).await;
}

async fn alerts_that_are_over_are_deleted_when_they_are_old(backend: impl Backend) {
    let store = backend.open().await;
    let (open, mut over) = (alert(1, json!({})), alert(2, json!({})));
    for alert in [&open, &over] {
        assert!(store.save_alert(alert, None).await.unwrap());
    }
    resolve(&mut over);
    assert!(store.save_alert(&over, Some(1)).await.unwrap());
    let at = |text: &str| text.parse().unwrap();
    assert_eq!(
        store
            .prune_records(&keeping(at("2026-01-15T11:00:00Z"), 100), 10)
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        store
            .prune_records(&keeping(at("2026-01-15T11:00:01Z"), 100), 10)
            .await
            .unwrap(),
        1
    );
    let left: Vec<Alert> = store
        .list(&Query {
            limit: 10,
            ..Query::default()
        })
        .await
        .unwrap();
    assert_eq!(left, [open], "however old it is, it is open");
    backend.drop_database(store).await;
}

async fn dead_letters_are_counted_by_subscription(backend: impl Backend) {
    let store = backend.open().await;
    let lately = Lately {
        new_since: "2026-01-15T10:00:30Z".parse().unwrap(),
        abandoned_since: "2026-01-15T10:01:00Z".parse().unwrap(),
    };
    assert_eq!(store.dead_letter_counts(lately).await.unwrap(), []);
    let letters = [
        letter("a", 648, "bills", "PENDING_RETRY", "10:00:29", "10:02:00"),
        letter("b", 648, "bills", "RETRYING", "10:00:30", "10:02:00"),
        letter("c", 648, "bills", "ABANDONED", "10:00:31", "10:00:59"),
        letter("d", 648, "bills", "ABANDONED", "10:00:00", "10:01:00"),
        letter("e", 648, "labs", "RETRYING", "10:00:00", "10:01:00"),
        letter("f", 7, "bills", "ABANDONED", "10:00:00", "10:00:00"),
    ];
    keep(&store, letters.to_vec()).await;
    let count = |org_id, id: &str, [waiting, abandoned, new, newly_abandoned]: [u64; 4]| DeadLetterCount {
        org_id,
        integration_config_id: id.to_owned(),
        waiting,
        abandoned,
        new,
        newly_abandoned,
    };
    let wanted = [
        count(7, "bills", [0, 1, 0, 0]),
        count(648, "bills", [2, 2, 2, 1]),
        count(648, "labs", [1, 0, 0, 0]),
    ];
    assert_eq!(store.dead_letter_counts(lately).await.unwrap(), wanted);
    backend.drop_database(store).await;
}

/// The alert number `number`, raised at second `number`.
pub(super) fn alert(number: u32, change: serde_json::Value) -> Alert {
    let at = format!("2026-01-15T10:00:{number:02}.123Z");
    let mut alert = json!({
        "id": format!("alert-{number}"), "key": format!("LAG:{number}"), "rule": "LAG", "severity": "HIGH",
        "status": "OPEN", "orgId": 648, "integrationConfigId": "bills", "gatewayIds": ["g1"], "title": "Events wait",
        "detail": "3 events", "advice": "Look", "since": at, "openedAt": at, "notifiedAt": at, "reminders": 0, "revision": 1,
    });
    for (name, value) in change.as_object().unwrap() {
        alert[name] = value.clone();
    }
    serde_json::from_value(alert).unwrap()
}

fn resolve(alert: &mut Alert) {
    alert.status = AlertStatus::Resolved;
    alert.resolved_at = Some("2026-01-15T11:00:00Z".parse().unwrap());
    alert.revision += 1;
}

fn letter(id: &str, org_id: u64, integration: &str, status: &str, created: &str, updated: &str) -> DeliveryRecord {
    let letter: DeadLetter = serde_json::from_value(json!({
        "id": id, "integrationConfigId": integration, "integrationName": "n", "orgId": org_id, "eventId": "e",
        "source": "/his", "eventType": "bill.generated", "status": status, "originalPayload": {},
        "targetUrl": "https://partner.example", "httpMethod": "POST", "lastError": "it answered 500",
        "errorCategory": "SERVER_ERROR", "attemptCount": 8, "retryCount": 0, "maxRetries": 3, "traceId": "t",
        "createdAt": format!("2026-01-15T{created}Z"), "updatedAt": format!("2026-01-15T{updated}Z"), "gatewayId": "g1",
    }))
    .unwrap();
    DeliveryRecord::DeadLetter(Box::new(letter))
}
