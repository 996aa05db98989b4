use std::path::Path;
use std::sync::Arc;

use super::super::{DeliveryKey, Next};
use super::{Opened, arrival, folder};

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
