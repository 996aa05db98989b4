use filters::model::delivery::DeliveryStatus;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::super::dedupe::Digests;
use super::super::group::Group;
use super::super::operation::{Operation, Settling, Task};
use super::super::row::Names;
use super::super::{DeliveryKey, DeliveryState, Next, OpenFilter, QueueError};
use super::{Opened, arrival, copied, folder, record, settings, settlement, state};

#[tokio::test]
async fn what_is_settled_does_not_come_back() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let seq = opened.accept(arrival("e1", &["a", "b"])).await;
    let first = DeliveryKey { seq, number: 0 };
    opened.settle(first, Next::Settled, vec![record("r1")]).await;
    assert_eq!(opened.queue.levels().open, 1);
    let copy = copied(folder.path());
    let again = Opened::new(copy.path());
    let handed = again.handed(1);
    assert_eq!(handed[0].1.number, 1);
    again
        .settle(DeliveryKey { seq, number: 1 }, Next::Settled, Vec::new())
        .await;
    again.queue.close().await;
    let last = Opened::new(copy.path());
    last.until(|queue| !queue.stats().recovering).await;
    assert_eq!(last.queue.stats().subscriptions, []);
}

#[tokio::test]
async fn a_delivery_that_goes_on_keeps_its_state() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let (key, delivery) = opened.one("e1", "a").await;
    let later = DeliveryState {
        attempts: 3,
        due_ms: 1_800_000_000_000,
        answers: Some(r#"{"login":{"token":1}}"#.into()),
        ..delivery.state
    };
    opened.settle(key, Next::Again(later.clone()), Vec::new()).await;
    opened.queue.close().await;
    let again = Opened::new(folder.path());
    assert_eq!(again.handed(1)[0].1.state, later);
}

#[tokio::test]
async fn what_is_not_open_cannot_be_settled() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let (key, _) = opened.one("e1", "a").await;
    opened.settle(key, Next::Settled, vec![record("once")]).await;
    for key in [
        key,
        DeliveryKey { seq: 99, number: 0 },
        DeliveryKey { seq: 1, number: 9 },
    ] {
        let twice = opened
            .queue
            .settle(settlement(key, Next::Settled, vec![record("twice")]))
            .await;
        assert!(matches!(twice, Err(QueueError::NotOpen(at)) if at == key), "{twice:?}");
    }
    let spooled = opened.queue.spooled(0, 1 << 20).await.unwrap().unwrap();
    assert_eq!(spooled.records().unwrap(), [record("once")]);
    assert_eq!(opened.queue.levels().open, 0);
}

#[tokio::test]
async fn an_event_is_written_once_in_a_commit_however_many_of_its_deliveries_are_settled() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let subscriptions: Vec<String> = (0..10).map(|number| format!("s{number}")).collect();
    let subscriptions: Vec<&str> = subscriptions.iter().map(String::as_str).collect();
    let seq = opened.accept(arrival("e1", &subscriptions)).await;
    opened.queue.close().await;

    let store = Connection::open(folder.path().join("queue.db")).unwrap();
    let digests = Digests::load(&store, 100).unwrap();
    let changes = |numbers: std::ops::Range<u16>| {
        let mut names = Names::default();
        let mut group = Group::new(&store, &digests, &mut names, 1, 2);
        for number in numbers {
            let settlement = settlement(DeliveryKey { seq, number }, Next::Settled, vec![record("r")]);
            let (task, _) = Task::new(Settling::prepare(&settlement, true).unwrap());
            group.carry_out(&mut Operation::Settle(task)).unwrap();
        }
        let before = store.total_changes();
        group.finish().unwrap();
        store.total_changes() - before
    };
    // The row of open deliveries, and one row of records.
    assert_eq!(changes(0..9), 2);
    // It goes, the outcome comes, and one row of records.
    assert_eq!(changes(9..10), 3);
}

#[tokio::test]
async fn records_are_kept_until_they_are_acknowledged() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    assert!(opened.queue.spooled(0, 1000).await.unwrap().is_none());
    for name in ["e1", "e2", "e3"] {
        let (key, _) = opened.one(name, "a").await;
        opened.settle(key, Next::Settled, vec![record(name), record("x")]).await;
    }
    let all = opened.queue.spooled(0, 1 << 20).await.unwrap().unwrap();
    assert_eq!(all.count, 6);
    assert_eq!(all.records().unwrap().len(), 6);
    // A row is not divided, and one comes in any case.
    let first = opened.queue.spooled(0, 1).await.unwrap().unwrap();
    assert_eq!(first.records().unwrap(), [record("e1"), record("x")]);
    opened.queue.acknowledge(first.up_to).await.unwrap();
    assert!(opened.queue.levels().spool_bytes > 0);
    opened.queue.close().await;
    let again = Opened::new(folder.path());
    again.queue.spool_beyond(0).await;
    let rest = again.queue.spooled(0, 1 << 20).await.unwrap().unwrap();
    assert_eq!(rest.records().unwrap()[0], record("e2"));
    again.queue.acknowledge(rest.up_to).await.unwrap();
    assert_eq!(again.queue.levels().spool_bytes, 0);
    // Places are not used again, so that a late acknowledgement cannot hit other records.
    again.queue.close().await;
    let last = Opened::new(folder.path());
    let (key, _) = last.one("e4", "a").await;
    let (sender, waiting) = oneshot::channel();
    let queue = last.queue.clone();
    let beyond = rest.up_to;
    tokio::spawn(async move {
        queue.spool_beyond(beyond).await;
        _ = sender.send(());
    });
    last.settle(key, Next::Settled, vec![record("e4")]).await;
    waiting.await.unwrap();
    assert!(last.queue.spooled(beyond, 1000).await.unwrap().unwrap().up_to > beyond);
}

#[tokio::test]
async fn without_a_control_plane_no_records_pile_up() {
    let folder = folder();
    let mut alone = settings();
    alone.records = false;
    let opened = Opened::with(folder.path(), alone);
    let (key, _) = opened.one("e1", "a").await;
    opened.settle(key, Next::Settled, vec![record("r")]).await;
    assert!(opened.queue.spooled(0, 1000).await.unwrap().is_none());
    assert_eq!(opened.queue.levels().spool_bytes, 0);
}

#[tokio::test]
async fn depths_follow_what_happens() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let seq = opened.accept(arrival("e1", &["a", "b"])).await;
    opened.accept(arrival("e2", &["b"])).await;
    let depth = |queue: &super::Queue, name: &str| {
        let stats = queue.stats();
        stats
            .subscriptions
            .iter()
            .find(|one| &*one.subscription == name)
            .map_or(0, |one| one.open)
    };
    assert_eq!((depth(&opened.queue, "a"), depth(&opened.queue, "b")), (1, 2));
    assert_eq!(opened.queue.open_by_organization(), [(7, 3)]);
    let accepted_ms = opened.handed.recv().unwrap()[0].accepted_ms;
    assert_eq!(opened.queue.stats().oldest_ms, Some(accepted_ms / 1000 * 1000));
    opened
        .settle(DeliveryKey { seq, number: 1 }, Next::Settled, Vec::new())
        .await;
    assert_eq!((depth(&opened.queue, "a"), depth(&opened.queue, "b")), (1, 1));
    opened.queue.close().await;
    let again = Opened::new(folder.path());
    again.until(|queue| !queue.stats().recovering).await;
    assert_eq!((depth(&again.queue, "a"), depth(&again.queue, "b")), (1, 1));
}

#[tokio::test]
async fn the_audit_tells_what_became_of_an_event() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let mut event = arrival("e1", &["a", "b"]);
    event.skipped.push(super::super::Skipped {
        integration_config_id: "c".into(),
        reason: "the filter does not match".to_owned(),
    });
    let seq = opened.accept(event).await;
    let again = DeliveryState { attempts: 1, ..state() };
    opened
        .settle(DeliveryKey { seq, number: 0 }, Next::Again(again), Vec::new())
        .await;
    opened
        .settle(DeliveryKey { seq, number: 1 }, Next::Settled, Vec::new())
        .await;
    let audit = opened.queue.audit(seq).await.unwrap().unwrap();
    assert_eq!(&*audit.producer, "erp");
    assert_eq!(&*audit.skipped[0].integration_config_id, "c");
    assert_eq!(audit.deliveries[0].status, DeliveryStatus::Retrying);
    assert_eq!(&*audit.deliveries[1].integration_config_id, "b");
    assert_eq!(audit.deliveries[1].status, DeliveryStatus::Success);
    assert!(audit.deliveries[0].settled_ms.is_none() && audit.deliveries[1].settled_ms.is_some());
    opened
        .settle(DeliveryKey { seq, number: 0 }, Next::Settled, Vec::new())
        .await;
    let audit = opened.queue.audit(seq).await.unwrap().unwrap();
    assert!(audit.deliveries.iter().all(|one| one.settled_ms.is_some()));
    assert!(opened.queue.audit(seq + 1).await.unwrap().is_none());
}

#[tokio::test]
async fn open_deliveries_are_listed_by_page() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    for number in 0..5 {
        opened.accept(arrival(&format!("e{number}"), &["a", "b"])).await;
    }
    let filter = OpenFilter {
        subscription: Some("b".into()),
        limit: 3,
        ..OpenFilter::default()
    };
    let page = opened.queue.open_deliveries(filter.clone()).await.unwrap();
    assert_eq!(page.iter().map(|one| one.seq).collect::<Vec<_>>(), [1, 2, 3]);
    let page = opened
        .queue
        .open_deliveries(OpenFilter { after: 3, ..filter })
        .await
        .unwrap();
    assert_eq!(page.len(), 2);
    let other = OpenFilter {
        org_id: Some(8),
        limit: 10,
        ..OpenFilter::default()
    };
    assert_eq!(opened.queue.open_deliveries(other).await.unwrap(), []);
}
