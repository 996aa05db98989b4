use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::super::{Accepted, DeliveryKey, Next, Queue, QueueError};
use super::{Opened, arrival, copied, folder, record, settings, settlement};

#[tokio::test]
async fn an_event_is_handed_over_with_its_deliveries() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let given = arrival("e1", &["a", "b"]);
    let seq = opened.accept(given.clone()).await;
    let handed = opened.handed.recv().unwrap().remove(0);
    assert_eq!(handed.seq, seq);
    assert_eq!(handed.event.unwrap(), given.event);
    assert_eq!(handed.deliveries, given.deliveries);
    assert_eq!(opened.queue.event(seq).await.unwrap().unwrap(), given.event);
    assert!(opened.queue.event(seq + 1).await.unwrap().is_none());
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let mut seqs = Vec::new();
    let accepting = (0..200).map(|number| {
        let queue = opened.queue.clone();
        tokio::spawn(async move { queue.accept(vec![arrival(&format!("e{number}"), &["a"])]).await })
    });
    for accepted in accepting.collect::<Vec<_>>() {
        match accepted.await.unwrap().unwrap().remove(0) {
            Accepted::New(seq) => seqs.push(seq),
            Accepted::Repeat(id) => panic!("{id}"),
        }
    }
    seqs.sort_unstable();
    // Nothing was closed, and the log was not moved into the file yet.
    let copy = copied(folder.path());
    let again = Opened::new(copy.path());
    let handed: Vec<_> = again.handed(200).into_iter().map(|(seq, _)| seq).collect();
    assert_eq!(handed, seqs);
}

#[tokio::test]
async fn a_writer_that_breaks_down_loses_nothing_it_acknowledged() {
    let folder = folder();
    let queue = Queue::open(
        folder.path(),
        settings(),
        Box::new(|_| panic!("no room for deliveries")),
    )
    .unwrap();
    let seq = queue.accept(vec![arrival("e1", &["a"])]).await.unwrap();
    assert_eq!(seq, [Accepted::New(1)]);
    let refused = queue.accept(vec![arrival("e2", &["a"])]).await;
    assert!(matches!(refused, Err(QueueError::Closed)), "{refused:?}");
    while !queue.levels().failing {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let again = Opened::new(folder.path());
    assert_eq!(again.handed(1)[0].0, 1);
}

#[tokio::test]
async fn a_repeat_is_answered_with_the_event_that_is_kept() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let mut other_id = arrival("second", &["a"]);
    other_id.dedupe.key = arrival("first", &[]).dedupe.key;
    // In one batch.
    let batch = vec![arrival("first", &["a"]), other_id.clone()];
    let accepted = opened.queue.accept(batch).await.unwrap();
    assert_eq!(accepted, [Accepted::New(1), Accepted::Repeat("first".to_owned())]);
    // Later, and after a restart.
    let repeat = opened.queue.accept(vec![other_id.clone()]).await.unwrap();
    assert_eq!(repeat, [Accepted::Repeat("first".to_owned())]);
    opened.queue.close().await;
    let again = Opened::new(folder.path());
    let repeat = again.queue.accept(vec![other_id]).await.unwrap();
    assert_eq!(repeat, [Accepted::Repeat("first".to_owned())]);
    assert_eq!(again.handed(1).len(), 1);
}

#[tokio::test]
async fn of_repeats_at_the_same_time_one_is_kept() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let accepting = (0..100).map(|_| {
        let queue = opened.queue.clone();
        tokio::spawn(async move { queue.accept(vec![arrival("same", &["a"])]).await })
    });
    let mut new = 0;
    for accepted in accepting.collect::<Vec<_>>() {
        match accepted.await.unwrap().unwrap().remove(0) {
            Accepted::New(_) => new += 1,
            Accepted::Repeat(id) => assert_eq!(id, "same"),
        }
    }
    assert_eq!(new, 1);
    assert_eq!(opened.queue.levels().open, 1);
}

#[tokio::test]
async fn a_repeat_is_forgotten_after_its_window() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let mut brief = arrival("e1", &[]);
    brief.dedupe.window_ms = 1;
    assert_eq!(opened.accept(brief.clone()).await, 1);
    let started = std::time::Instant::now();
    while started.elapsed() < Duration::from_millis(3) {
        std::hint::spin_loop();
    }
    assert_eq!(opened.accept(brief.clone()).await, 2);
    brief.dedupe.window_ms = 0;
    assert_eq!(opened.accept(brief.clone()).await, 3);
}

#[tokio::test]
async fn a_full_disk_refuses_and_loses_nothing() {
    let folder = folder();
    let mut small = settings();
    small.max_bytes = 600 << 10;
    let opened = Opened::with(folder.path(), small.clone());
    let (key, _) = opened.one("e1", "a").await;
    // More than there is room for.
    let mut large = arrival("large", &["a"]);
    Arc::make_mut(&mut large.event).payload = vec![b' '; 1 << 20].into();
    let refused = opened
        .queue
        .accept(vec![arrival("e2", &["a"]), large])
        .await
        .unwrap_err();
    assert!(matches!(refused, QueueError::Full), "{refused}");
    assert!(opened.queue.levels().failing);
    assert_eq!(opened.queue.levels().open, 1);
    // What was refused is no repeat, and has no place.
    assert_eq!(opened.accept(arrival("e2", &["a"])).await, 2);
    assert!(!opened.queue.levels().failing);
    opened.settle(key, Next::Settled, vec![record("r")]).await;
    opened.queue.close().await;
    let again = Opened::with(folder.path(), small);
    assert_eq!(again.handed(1)[0].0, 2);
}

#[tokio::test]
async fn a_full_queue_takes_nothing_in_until_enough_is_settled() {
    let folder = folder();
    let mut small = settings();
    small.max_bytes = 600 << 10;
    let opened = Opened::with(folder.path(), small.clone());
    let batch = |first: u64| {
        (first..first + 20)
            .map(|number| arrival(&format!("e{number}"), &["a"]))
            .collect()
    };
    let mut kept = 0;
    let refused = loop {
        match opened.queue.accept(batch(kept)).await {
            Ok(_) => kept += 20,
            Err(error) => break error,
        }
        assert!(kept < 100_000, "it never fills");
    };
    assert!(matches!(refused, QueueError::Full), "{refused}");
    assert_eq!(opened.queue.levels().open, kept);
    assert!(opened.queue.levels().used_bytes >= small.max_bytes);
    let handed = opened.handed(usize::try_from(kept).unwrap());
    let settling = handed.iter().map(|(seq, delivery)| {
        let key = DeliveryKey {
            seq: *seq,
            number: delivery.number,
        };
        opened.queue.settle(settlement(key, Next::Settled, Vec::new()))
    });
    for settled in settling.collect::<Vec<_>>() {
        settled.await.unwrap();
    }
    assert_eq!(opened.queue.levels().open, 0);
    // Settled events make room, by themselves.
    opened.until(|queue| queue.levels().used_bytes < small.max_bytes).await;
    opened.queue.accept(batch(kept)).await.unwrap();
    opened.queue.close().await;
    let again = Opened::with(folder.path(), small);
    assert_eq!(again.handed(20).len(), 20);
    assert_eq!(again.queue.levels().open, 20);
}

#[tokio::test]
async fn an_operation_that_fails_takes_no_other_with_it() {
    let folder = folder();
    let (go_on, held) = std::sync::mpsc::channel::<()>();
    let (sender, handed) = std::sync::mpsc::channel();
    let hand_off = move |batch| {
        drop(sender.send(batch));
        // The writer stands still, so that what comes next makes one group.
        _ = held.recv();
    };
    let queue = Queue::open(folder.path(), settings(), Box::new(hand_off)).unwrap();
    queue.accept(vec![arrival("e1", &["a"])]).await.unwrap();
    handed.recv().unwrap();
    // Somebody else's row is in the way of the next event.
    let store = Connection::open(folder.path().join("queue.db")).unwrap();
    store
        .execute("INSERT INTO events VALUES (2, 0, 0, x'', x'', x'')", [])
        .unwrap();
    let key = DeliveryKey { seq: 1, number: 0 };
    let settling = queue.settle(settlement(key, Next::Settled, vec![record("r")]));
    let accepting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.accept(vec![arrival("e2", &["a"])]).await }
    });
    while queue.levels().waiting < 2 {
        tokio::task::yield_now().await;
    }
    go_on.send(()).unwrap();
    settling.await.unwrap();
    let refused = accepting.await.unwrap();
    assert!(matches!(refused, Err(QueueError::Store { .. })), "{refused:?}");
    assert_eq!(
        queue.spooled(0, 1000).await.unwrap().unwrap().records().unwrap(),
        [record("r")]
    );
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_by_name() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let mut wrong = arrival("e1", &["a", "b"]);
    wrong.deliveries[1].number = 5;
    let refused = opened.queue.accept(vec![arrival("e0", &[]), wrong]).await.unwrap_err();
    assert!(refused.to_string().contains("numbered from 0"), "{refused}");
    // All or nothing.
    assert_eq!(opened.accept(arrival("e0", &[])).await, 1);
}

#[tokio::test]
async fn only_its_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let opened = Opened::new(folder.path());
    opened.accept(arrival("e1", &[])).await;
    for file in ["queue.db", "queue.db-wal", "lock"] {
        let mode = std::fs::metadata(folder.path().join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let pages: i64 = Connection::open(folder.path().join("queue.db"))
        .unwrap()
        .query_row("PRAGMA page_size", [], |row| row.get(0))
        .unwrap();
    assert_eq!(pages, 8192);
}
