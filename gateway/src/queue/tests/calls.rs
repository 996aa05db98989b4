//! Calls that became dead letters.

use std::sync::Arc;

use bytes::Bytes;
use filters::event::Event;
use filters::model::delivery::{DeadLetter, DeadLetterStatus, DeliveryDirection, DeliveryRecord, ErrorCategory};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::{
    CALL, DeadArrival, DeadFilter, Dedupe, DeliveryKey, DeliveryState, HistoryRange, Next, QueueError, Setback, verify,
};
use super::{Opened, QueueSettings, arrival, folder, settings, state};

#[tokio::test]
async fn a_call_is_kept_made_again_and_rests_until_it_works() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let id = kept(&opened, "r-1", None).await;
    assert_eq!((opened.queue.levels().open, opened.queue.levels().dead), (0, 1));
    assert_eq!(opened.queue.dead_of("orders"), 1);
    opened.queue.close().await;

    let again = Opened::new(folder.path());
    assert_eq!(again.queue.dead_of("orders"), 1);
    let listed = again.queue.dead(all()).await.unwrap();
    assert_eq!((listed.len(), &listed[0].letter.original_payload), (1, &Value::Null));
    let shown = again.queue.dead_letter(id).await.unwrap().unwrap().letter;
    assert_eq!(
        shown.original_payload,
        json!({"card": "***"}),
        "what may be seen, and not the body"
    );

    retry(&again, id, None).await;
    let (seq, delivery) = again.handed(1).remove(0);
    let body = again.queue.event(seq).await.unwrap().unwrap();
    assert_eq!(
        (&body.payload[..], body.head.event_type.as_str()),
        (&b"{\"card\":4711}"[..], CALL)
    );
    let key = DeliveryKey { seq, number: 0 };
    again.settle(key, still_dead(delivery.state, 2), Vec::new()).await;
    let entry = again.queue.dead_letter(id).await.unwrap().unwrap();
    assert_eq!((entry.retrying, entry.retry_ms), (false, None));
    assert_eq!(
        (entry.letter.status, entry.letter.attempt_count),
        (DeadLetterStatus::PendingOperator, 2)
    );
    assert_eq!(
        (entry.letter.last_error.as_str(), entry.letter.last_status),
        ("no", Some(503))
    );
    assert_eq!(entry.letter.original_payload, json!({"card": "***"}));

    retry(&again, id, Some(r#"{"card":1}"#)).await;
    let (_, delivery) = again.handed(1).remove(0);
    assert_eq!(delivery.state.payload.as_deref(), Some(r#"{"card":1}"#));
    again.settle(key, Next::Settled, Vec::new()).await;
    assert_eq!((again.queue.levels().open, again.queue.levels().dead), (0, 0));
    let rest = again.queue.event(seq).await.unwrap().unwrap();
    assert!(rest.payload.is_empty(), "its body is not kept any longer");
    again.queue.close().await;
    assert_eq!(verify(folder.path()).unwrap().fault_count, 0);
}

#[tokio::test]
async fn what_operators_are_told_holds_nothing_but_what_may_be_seen() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let id = kept(&opened, "r-1", None).await;
    retry(&opened, id, None).await;
    let (seq, delivery) = opened.handed(1).remove(0);
    let key = DeliveryKey { seq, number: 0 };
    opened.settle(key, still_dead(delivery.state, 1), Vec::new()).await;
    opened.queue.dead_abandon(vec![id.to_string()], None).await.unwrap();
    let told = opened.queue.spooled(0, 1 << 20).await.unwrap().unwrap();
    assert!(!told.json.contains("4711"), "{}", told.json);
    let letters = told.records().unwrap().into_iter().filter_map(|record| match record {
        DeliveryRecord::DeadLetter(letter) => Some((letter.status, letter.original_payload)),
        _ => None,
    });
    let shown = json!({"card": "***"});
    assert_eq!(
        letters.collect::<Vec<_>>(),
        [
            (DeadLetterStatus::PendingOperator, shown.clone()),
            (DeadLetterStatus::Retrying, shown.clone()),
            (DeadLetterStatus::PendingOperator, shown.clone()),
            (DeadLetterStatus::Abandoned, shown),
        ]
    );
}

#[tokio::test]
async fn a_repeat_is_no_second_dead_letter_as_long_as_the_first_is_there() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let dedupe = Some(Dedupe {
        key: [7; 16],
        window_ms: 60_000,
    });
    let first = kept(&opened, "r-1", dedupe).await;
    assert!(!opened.queue.bury(call("r-2", Uuid::now_v7(), dedupe)).await.unwrap());
    assert_eq!(opened.queue.levels().dead, 1);
    let dropped = opened.queue.dead_drop(vec![first.to_string()], None).await.unwrap();
    assert_eq!((dropped.done, opened.queue.dead_of("orders")), (1, 0));
    kept(&opened, "r-3", dedupe).await;
    assert_eq!(opened.queue.levels().dead, 1);
}

#[tokio::test]
async fn a_call_is_none_of_the_events_that_are_replayed() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    kept(&opened, "r-1", None).await;
    opened.accept(arrival("e-1", &[])).await;
    let range = HistoryRange {
        org_id: 7,
        from_ms: 0,
        to_ms: i64::MAX,
        after: 0,
        limit: 10,
    };
    let events = opened.queue.history(range).await.unwrap().events;
    let ids: Vec<_> = events.iter().map(|kept| kept.event.head.id.as_str()).collect();
    assert_eq!(ids, ["e-1"]);
    let found = opened
        .queue
        .find(7, vec!["r-1".to_owned(), "e-1".to_owned()])
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn a_full_queue_keeps_no_call() {
    let folder = folder();
    let opened = Opened::with(
        folder.path(),
        QueueSettings {
            max_bytes: 1,
            ..settings()
        },
    );
    let refused = opened.queue.bury(call("r-1", Uuid::now_v7(), None)).await;
    assert!(matches!(refused, Err(QueueError::Full)), "{refused:?}");
    assert_eq!(opened.queue.levels().dead, 0);
}

async fn kept(opened: &Opened, request: &str, dedupe: Option<Dedupe>) -> Uuid {
    let id = Uuid::now_v7();
    assert!(opened.queue.bury(call(request, id, dedupe)).await.unwrap());
    id
}

async fn retry(opened: &Opened, id: Uuid, payload: Option<&str>) {
    let payload = payload.map(str::to_owned);
    let result = opened
        .queue
        .dead_retry(vec![id.to_string()], payload, None)
        .await
        .unwrap();
    assert_eq!(result.done, 1, "{result:?}");
}

fn still_dead(state: DeliveryState, attempts: u32) -> Next {
    Next::StillDead {
        state: DeliveryState { attempts, ..state },
        setback: Setback {
            error: "no".to_owned(),
            category: ErrorCategory::ServerError,
            status: Some(503),
        },
    }
}

fn call(request: &str, id: Uuid, dedupe: Option<Dedupe>) -> DeadArrival {
    let mut letter: DeadLetter = serde_json::from_value(json!({
        "id": id.to_string(), "integrationConfigId": "orders", "integrationName": "Orders", "orgId": 7,
        "eventId": request, "source": "hospital", "eventType": "create-order", "direction": "INBOUND",
        "status": "PENDING_OPERATOR", "originalPayload": {"card": "***"}, "targetUrl": "http://127.0.0.1",
        "httpMethod": "POST", "lastError": "no", "errorCategory": "NETWORK", "attemptCount": 1, "retryCount": 0,
        "maxRetries": 0, "traceId": "0af7651916cd43dd8448eb211c80319c", "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z", "gatewayId": "g1"
    }))
    .unwrap();
    letter.direction = DeliveryDirection::Inbound;
    let mut event = Event::clone(&arrival(request, &[]).event);
    event.head.event_type = CALL.to_owned();
    event.payload = Bytes::from_static(b"{\"card\":4711}");
    DeadArrival {
        event: Arc::new(event),
        state: DeliveryState {
            id,
            dead_retries: Some(0),
            answers: Some("{}".into()),
            ..state()
        },
        letter,
        dedupe,
    }
}

fn all() -> DeadFilter {
    DeadFilter {
        limit: 100,
        ..DeadFilter::default()
    }
}
