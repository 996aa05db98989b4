use filters::model::delivery::{DeadLetter, DeadLetterStatus, DeliveryRecord, ErrorCategory, TriggerType};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::{
    Cancellation, DeadFilter, DeliveryKey, DeliveryState, HistoryRange, Next, OpenDelivery, Replay, Settlement,
};
use super::{Opened, arrival, folder, record, state};

#[tokio::test]
async fn a_dead_letter_is_kept_and_tried_again_by_an_operator() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let (key, id) = dead(&opened, "e1", None).await;
    assert_eq!((opened.queue.levels().open, opened.queue.levels().dead), (0, 1));
    let letter = opened.queue.dead_letter(id).await.unwrap().unwrap().letter;
    assert_eq!(letter.original_payload, json!({"bill": "e1"}));
    opened.queue.close().await;

    let again = Opened::new(folder.path());
    let listed = again.queue.dead(all()).await.unwrap();
    assert_eq!((listed.len(), listed[0].key), (1, key));
    assert_eq!(listed[0].letter.original_payload, Value::Null);
    let edited = Some(r#"{"bill":"corrected"}"#.to_owned());
    let result = again
        .queue
        .dead_retry(vec![id.to_string()], edited.clone(), None)
        .await
        .unwrap();
    assert_eq!((result.done, result.failed.len()), (1, 0));
    let (seq, delivery) = again.handed(1).remove(0);
    assert_eq!((seq, delivery.number), (key.seq, key.number));
    assert_eq!(delivery.state.id, id);
    assert_eq!(delivery.state.trigger, TriggerType::Manual);
    assert_eq!(delivery.state.payload.as_deref(), edited.as_deref());
    // It is in both lists while it is tried, and cannot be tried twice at a time.
    assert_eq!((again.queue.levels().open, again.queue.levels().dead), (1, 1));
    let twice = again.queue.dead_retry(vec![id.to_string()], None, None).await.unwrap();
    assert!(twice.failed[0].error.contains("already"), "{twice:?}");
    again.settle(key, Next::Settled, Vec::new()).await;
    assert_eq!((again.queue.levels().open, again.queue.levels().dead), (0, 0));
    assert!(again.queue.dead_letter(id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_dead_letter_comes_back_by_itself_when_its_time_has_come() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let (key, id) = dead(&opened, "e1", Some(1)).await;
    let (_, delivery) = opened.handed(1).remove(0);
    assert_eq!(delivery.state.id, id);
    assert_eq!(delivery.state.trigger, TriggerType::Scheduled);
    assert_eq!(delivery.state.dead_retries, Some(1));
    // A crash in between: it is an open delivery.
    opened.queue.close().await;
    let again = Opened::new(folder.path());
    let (_, delivery) = again.handed(1).remove(0);
    assert_eq!(delivery.state.dead_retries, Some(1));
    // It fails again, for good.
    let letter = letter(id, DeadLetterStatus::Abandoned);
    let next = Next::Dead {
        state: delivery.state,
        retry_ms: None,
    };
    again
        .settle(key, next, vec![DeliveryRecord::DeadLetter(Box::new(letter))])
        .await;
    assert_eq!((again.queue.levels().open, again.queue.levels().dead), (0, 1));
    let entry = again.queue.dead_letter(id).await.unwrap().unwrap();
    assert_eq!((entry.retry_ms, entry.retrying), (None, false));
    assert_eq!(entry.letter.status, DeadLetterStatus::Abandoned);
}

#[tokio::test]
async fn a_dead_letter_that_gets_past_its_step_is_none_any_more() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let (key, id) = dead(&opened, "e1", Some(1)).await;
    let (_, delivery) = opened.handed(1).remove(0);
    let next_step = DeliveryState {
        dead_retries: None,
        ..delivery.state
    };
    opened.settle(key, Next::Again(next_step), Vec::new()).await;
    assert!(opened.queue.dead_letter(id).await.unwrap().is_none());
    assert_eq!((opened.queue.levels().open, opened.queue.levels().dead), (1, 0));
}

#[tokio::test]
async fn dead_letters_are_given_up_and_forgotten() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let (_, first) = dead(&opened, "e1", Some(i64::MAX)).await;
    let (_, second) = dead(&opened, "e2", None).await;
    let given_up = opened.queue.dead_abandon(vec![first.to_string()], None).await.unwrap();
    assert_eq!(given_up.done, 1);
    let entry = opened.queue.dead_letter(first).await.unwrap().unwrap();
    assert_eq!(
        (entry.retry_ms, entry.letter.status),
        (None, DeadLetterStatus::Abandoned)
    );
    let ids = vec![second.to_string(), "nonsense".to_owned(), Uuid::nil().to_string()];
    let forgotten = opened.queue.dead_drop(ids, None).await.unwrap();
    assert_eq!((forgotten.done, forgotten.failed.len()), (1, 2));
    assert_eq!(opened.queue.levels().dead, 1);
    let told = opened
        .queue
        .spooled(0, 1 << 20)
        .await
        .unwrap()
        .unwrap()
        .records()
        .unwrap();
    let abandoned = told.iter().any(|one| match one {
        DeliveryRecord::DeadLetter(letter) => {
            letter.status == DeadLetterStatus::Abandoned && letter.original_payload == json!({"bill": "e1"})
        }
        _ => false,
    });
    assert!(abandoned, "{told:?}");
    assert_eq!(told.last(), Some(&record(&second.to_string())));
}

#[tokio::test]
async fn a_command_is_carried_out_once() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let (key, id) = dead(&opened, "e1", None).await;
    let retry = || {
        opened
            .queue
            .dead_retry(vec![id.to_string()], None, Some("c1".to_owned()))
    };
    assert!(opened.queue.command_done("c1").await.unwrap().is_none());
    let first = retry().await.unwrap();
    opened.handed(1);
    assert_eq!(retry().await.unwrap(), first);
    opened.settle(key, Next::Settled, Vec::new()).await;
    opened.queue.close().await;
    let again = Opened::new(folder.path());
    assert_eq!(again.queue.command_done("c1").await.unwrap(), Some(first.clone()));
    let repeated = again
        .queue
        .dead_drop(vec!["other".to_owned()], Some("c1".to_owned()))
        .await
        .unwrap();
    assert_eq!(repeated, first);
    let told = again
        .queue
        .spooled(0, 1 << 20)
        .await
        .unwrap()
        .unwrap()
        .records()
        .unwrap();
    let results = told
        .iter()
        .filter(|one| matches!(one, DeliveryRecord::Commanded { id, .. } if id == "c1"));
    assert_eq!(results.count(), 1);
}

#[tokio::test]
async fn deliveries_are_called_off() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let (key, _) = opened.one("e1", "a").await;
    let cancellation = |id: &str, key| Cancellation {
        id: id.to_owned(),
        settlement: Settlement {
            key,
            next: Next::Settled,
            records: vec![record(id)],
        },
    };
    let unknown = DeliveryKey { seq: 50, number: 0 };
    let both = vec![cancellation("one", key), cancellation("two", unknown)];
    let result = opened.queue.cancel(both, None).await.unwrap();
    assert_eq!((result.done, result.failed[0].id.as_str()), (1, "two"));
    assert_eq!(opened.queue.levels().open, 0);
    let told = opened
        .queue
        .spooled(0, 1 << 20)
        .await
        .unwrap()
        .unwrap()
        .records()
        .unwrap();
    assert_eq!(told, [record("one")]);
}

#[tokio::test]
async fn settled_events_are_found_and_delivered_again() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let mut keys = Vec::new();
    for name in ["e1", "e2", "e3"] {
        let (key, _) = opened.one(name, "a").await;
        opened.settle(key, Next::Settled, Vec::new()).await;
        keys.push(key);
    }
    let range = HistoryRange {
        org_id: 7,
        from_ms: 0,
        to_ms: i64::MAX,
        after: 0,
        limit: 2,
    };
    let page = opened.queue.history(range.clone()).await.unwrap();
    assert_eq!(page.events.iter().map(|one| one.seq).collect::<Vec<_>>(), [1, 2]);
    let after = page.next.unwrap();
    let page = opened
        .queue
        .history(HistoryRange { after, ..range.clone() })
        .await
        .unwrap();
    assert_eq!((page.events.len(), page.next), (1, None));
    let of_another = HistoryRange {
        org_id: 8,
        ..range.clone()
    };
    assert!(opened.queue.history(of_another).await.unwrap().events.is_empty());
    let long_ago = HistoryRange { to_ms: 1, ..range };
    assert!(opened.queue.history(long_ago).await.unwrap().events.is_empty());

    let ids = vec!["e2".to_owned(), "unknown".to_owned()];
    let found = opened.queue.find(7, ids).await.unwrap();
    assert_eq!((found.len(), found[0].seq), (1, keys[1].seq));
    let delivery = OpenDelivery {
        number: 0,
        subscription: "b".into(),
        state: DeliveryState {
            trigger: TriggerType::Replay,
            ..state()
        },
    };
    let replays = [keys[1].seq, 99].map(|seq| Replay {
        seq,
        deliveries: vec![delivery.clone(), delivery.clone()],
    });
    let result = opened.queue.replay(replays.to_vec(), None).await.unwrap();
    assert_eq!((result.done, result.failed[0].id.as_str()), (1, "99"));
    let handed = opened.handed(2);
    assert_eq!(handed.iter().map(|(_, one)| one.number).collect::<Vec<_>>(), [1, 2]);
    for number in [1, 2] {
        let key = DeliveryKey { number, ..keys[1] };
        opened.settle(key, Next::Settled, Vec::new()).await;
    }
    let audit = opened.queue.audit(keys[1].seq).await.unwrap().unwrap();
    let told: Vec<_> = audit.deliveries.iter().map(|one| &*one.integration_config_id).collect();
    assert_eq!(told, ["a", "b", "b"]);
}

#[tokio::test]
async fn subscriptions_stay_held_over_a_restart() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let hold = |reason: Option<&str>, command: &str| {
        let reason = reason.map(str::to_owned);
        opened.queue.hold("a".into(), reason, Some(command.to_owned()))
    };
    hold(Some("maintenance"), "c1").await.unwrap();
    opened.queue.close().await;
    let again = Opened::new(folder.path());
    let held = again.queue.held().await.unwrap();
    assert_eq!(
        (&*held[0].integration_config_id, held[0].reason.as_str()),
        ("a", "maintenance")
    );
    again.queue.hold("a".into(), None, None).await.unwrap();
    assert_eq!(again.queue.held().await.unwrap(), []);
}

/// A dead letter of an event of its own.
pub(super) async fn dead(opened: &Opened, event: &str, retry_ms: Option<i64>) -> (DeliveryKey, Uuid) {
    let seq = opened.accept(arrival(event, &["a"])).await;
    let (_, delivery) = opened.handed(1).remove(0);
    let key = DeliveryKey { seq, number: 0 };
    let id = delivery.state.id;
    let state = DeliveryState {
        dead_retries: Some(0),
        ..delivery.state
    };
    let mut letter = letter(id, DeadLetterStatus::PendingRetry);
    letter.event_id = event.to_owned();
    let record = DeliveryRecord::DeadLetter(Box::new(letter));
    opened.settle(key, Next::Dead { state, retry_ms }, vec![record]).await;
    (key, id)
}

fn letter(id: Uuid, status: DeadLetterStatus) -> DeadLetter {
    let letter = json!({
        "id": id.to_string(), "integrationConfigId": "a", "integrationName": "A", "orgId": 7, "eventId": "e1",
        "source": "billing", "eventType": "bill.generated", "status": status, "originalPayload": {"bill": "e1"},
        "targetUrl": "http://127.0.0.1/", "httpMethod": "POST", "lastError": "no", "errorCategory": ErrorCategory::Gone,
        "attemptCount": 8, "retryCount": 0, "maxRetries": 3, "traceId": "0af7651916cd43dd8448eb211c80319c",
        "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z", "gatewayId": "g1"
    });
    serde_json::from_value(letter).unwrap()
}

fn all() -> DeadFilter {
    DeadFilter {
        limit: 100,
        ..DeadFilter::default()
    }
}
