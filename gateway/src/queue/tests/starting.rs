use rusqlite::Connection;

use super::super::{Next, Queue, QueueError};
use super::{DeliveryKey, Opened, arrival, folder, settings};

#[tokio::test]
async fn a_hundred_thousand_deliveries_are_handed_over_in_order() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let subscriptions: Vec<String> = (0..50).map(|number| format!("subscription-{number}")).collect();
    let subscriptions: Vec<&str> = subscriptions.iter().map(String::as_str).collect();
    for batch in 0..20 {
        let arrivals = (0..100).map(|number| arrival(&format!("{batch}/{number}"), &subscriptions));
        opened.queue.accept(arrivals.collect()).await.unwrap();
    }
    opened.queue.close().await;

    let again = Opened::new(folder.path());
    let new = again.accept(arrival("new", &["subscription-0"])).await;
    let mut last = 0;
    let mut deliveries = 0;
    while last < new {
        for handed in again.handed.recv().unwrap() {
            assert!(handed.seq > last, "{} came after {last}", handed.seq);
            last = handed.seq;
            deliveries += handed.deliveries.len();
        }
    }
    assert_eq!(deliveries, 100_001);
    again.until(|queue| !queue.stats().recovering).await;
    assert_eq!(again.queue.levels().open, 100_001);
    // From now on events come with what they are.
    again.accept(arrival("newer", &["subscription-0"])).await;
    assert!(again.handed.recv().unwrap()[0].event.is_some());
}

#[tokio::test]
async fn a_queue_has_one_owner() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let second = Queue::open(folder.path(), settings(), Box::new(drop));
    assert!(matches!(second, Err(QueueError::Locked(_))), "{second:?}");
    opened.queue.close().await;
    let refused = opened.queue.accept(vec![arrival("e1", &[])]).await;
    assert!(matches!(refused, Err(QueueError::Closed)), "{refused:?}");
    assert!(matches!(opened.queue.event(1).await, Err(QueueError::Closed)));
    opened.queue.close().await;
    Opened::new(folder.path());
}

#[tokio::test]
async fn closing_leaves_one_file_and_answers_what_was_sent() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let (key, _) = opened.one("e1", "a").await;
    let settling = opened.queue.settle(super::settlement(key, Next::Settled, Vec::new()));
    opened.queue.close().await;
    settling.await.unwrap();
    assert!(!folder.path().join("queue.db-wal").exists());
    let again = Opened::new(folder.path());
    again.until(|queue| !queue.stats().recovering).await;
    assert_eq!(again.queue.levels().open, 0);
}

#[test]
fn a_queue_of_a_later_version_is_refused() {
    let folder = folder();
    drop(Queue::open(folder.path(), settings(), Box::new(drop)).unwrap());
    let path = folder.path().join("queue.db");
    let store = Connection::open(&path).unwrap();
    store
        .execute("UPDATE meta SET value = 2 WHERE key = 'format'", [])
        .unwrap();
    let refused = loop {
        // The writer that was let go of may still have it.
        match Queue::open(folder.path(), settings(), Box::new(drop)) {
            Err(QueueError::Locked(_)) => std::thread::yield_now(),
            other => break other,
        }
    };
    let error = refused.unwrap_err();
    assert!(matches!(error, QueueError::Newer { found: 2, known: 1, .. }), "{error}");
    assert!(error.to_string().contains("start the version that made it"), "{error}");
}

#[test]
fn files_of_others_are_left_alone() {
    let folder = folder();
    let path = folder.path().join("queue.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE mine(x)")
        .unwrap();
    let refused = Queue::open(folder.path(), settings(), Box::new(drop)).unwrap_err();
    assert!(matches!(refused, QueueError::Foreign(_)), "{refused}");
    std::fs::write(&path, "this is a letter, and no database at all".repeat(500)).unwrap();
    let refused = Queue::open(folder.path(), settings(), Box::new(drop)).unwrap_err();
    assert!(matches!(refused, QueueError::Foreign(_)), "{refused}");
}

#[tokio::test]
async fn a_damaged_row_does_not_stop_the_others() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    for name in ["e1", "e2", "e3"] {
        opened.accept(arrival(name, &["a"])).await;
    }
    opened.queue.close().await;
    let store = Connection::open(folder.path().join("queue.db")).unwrap();
    store
        .execute("UPDATE open SET state = x'01ffff' WHERE seq = 2", [])
        .unwrap();
    drop(store);
    let again = Opened::new(folder.path());
    assert_eq!(again.handed(2).iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 3]);
    let key = DeliveryKey { seq: 2, number: 0 };
    let settled = again
        .queue
        .settle(super::settlement(key, Next::Settled, Vec::new()))
        .await;
    assert!(
        matches!(
            settled,
            Err(QueueError::Damaged {
                table: "open",
                row: 2,
                ..
            })
        ),
        "{settled:?}"
    );
}
