use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::{DeliveryKey, Next, QueueSettings, Scrubbed};
use super::{Opened, arrival, folder, settings};

#[tokio::test]
async fn nothing_of_an_erased_event_stays_in_the_file() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let open = one(&opened, "e1", "planted-open").await;
    let large = one(&opened, "e2", &"planted".repeat(20_000)).await;
    let kept = one(&opened, "e3", "kept").await;
    let newest = one(&opened, "e4", "planted-newest").await;
    for key in [large, kept, newest] {
        opened.settle(key, Next::Settled, Vec::new()).await;
    }
    let all = vec![open.seq, large.seq, newest.seq];
    let erased = opened.queue.erase(all).await.unwrap();
    assert_eq!((erased.done, erased.failed.len()), (2, 1));
    assert_eq!(erased.failed[0].id, open.seq.to_string(), "what is open stays");

    opened.settle(open, Next::Settled, Vec::new()).await;
    let erased = opened.queue.erase(vec![open.seq]).await.unwrap();
    assert_eq!((erased.done, erased.failed.len()), (1, 0));
    assert!(opened.queue.event(open.seq).await.unwrap().is_none());
    assert!(opened.queue.event(kept.seq).await.unwrap().is_some());
    opened.queue.close().await;
    assert!(holds(folder.path(), b"kept") && !holds(folder.path(), b"planted"));

    // Its place is not given again.
    let again = Opened::new(folder.path());
    assert_eq!(again.accept(arrival("next", &[])).await, newest.seq + 1);
}

#[tokio::test]
async fn what_was_removed_is_in_no_file_of_a_queue_that_is_in_use() {
    let folder = folder();
    let settings = QueueSettings {
        retention: Duration::ZERO,
        ..settings()
    };
    let opened = Opened::with(folder.path(), settings);
    // Whole pages that retention frees.
    let mut last_old = 0;
    for number in 0..4 {
        let key = one(&opened, &format!("old-{number}"), &"planted-old".repeat(5_000)).await;
        opened.settle(key, Next::Settled, Vec::new()).await;
        last_old = key.seq;
    }
    let erased = one(&opened, "e1", "planted-erased").await;
    opened.settle(erased, Next::Settled, Vec::new()).await;
    one(&opened, "newest", "kept").await;
    while opened.queue.event(last_old).await.unwrap().is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(opened.queue.erase(vec![erased.seq]).await.unwrap());
    assert!(holds(folder.path(), b"planted"), "the files still have it");
    while opened.queue.scrub().await.unwrap() != Scrubbed::Whole {}
    assert!(holds(folder.path(), b"kept") && !holds(folder.path(), b"planted"));
    // It goes on as before.
    one(&opened, "next", "more").await;
    opened.queue.close().await;
}

#[tokio::test]
async fn a_log_that_is_read_is_emptied_afterwards_and_nobody_waits_for_it() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let key = one(&opened, "e1", "planted").await;
    let reader = rusqlite::Connection::open(folder.path().join("queue.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM events;").unwrap();
    opened.settle(key, Next::Settled, Vec::new()).await;
    one(&opened, "newest", "kept").await;
    opened.queue.erase(vec![key.seq]).await.unwrap();
    assert_eq!(opened.queue.scrub().await.unwrap(), Scrubbed::Held);
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(opened.queue.scrub().await.unwrap(), Scrubbed::Whole);
    assert!(!holds(folder.path(), b"planted"));
}

/// An event with this payload and one delivery, which was handed over.
async fn one(opened: &Opened, id: &str, payload: &str) -> DeliveryKey {
    let mut arrival = arrival(id, &["a"]);
    Arc::make_mut(&mut arrival.event).payload = payload.as_bytes().to_vec().into();
    let seq = opened.accept(arrival).await;
    opened.handed(1);
    DeliveryKey { seq, number: 0 }
}

/// True if one of the queue's files has this text.
fn holds(folder: &Path, text: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|file| {
        let content = std::fs::read(file.unwrap().path()).unwrap_or_default();
        content.windows(text.len()).any(|window| window == text)
    })
}
