use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use rusqlite::Connection;

use super::super::dedupe::{Digest, Digests, Known, append};
use super::super::{Next, schema};
use super::{Opened, arrival, folder, settings};

#[tokio::test]
async fn settled_events_go_when_their_time_is_over() {
    let folder = folder();
    let mut brief = settings();
    brief.retention = Duration::ZERO;
    let opened = Opened::with(folder.path(), brief.clone());
    let (open, _) = opened.one("open", "a").await;
    for number in 0..10 {
        let (key, _) = opened.one(&format!("e{number}"), "a").await;
        opened.settle(key, Next::Settled, Vec::new()).await;
    }
    // The newest stays, so that its place is not given away again.
    opened.until(|_| events(folder.path()) == 2).await;
    assert!(opened.queue.event(open.seq).await.unwrap().is_some());
    opened.settle(open, Next::Settled, Vec::new()).await;
    assert!(opened.queue.event(open.seq).await.unwrap().is_none());
    assert_eq!(events(folder.path()), 1);
    opened.queue.close().await;
    let again = Opened::with(folder.path(), brief);
    assert_eq!(again.accept(arrival("next", &[])).await, 12);
}

#[tokio::test]
async fn settled_events_are_kept_for_their_time() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    let (key, _) = opened.one("e1", "a").await;
    opened.settle(key, Next::Settled, Vec::new()).await;
    opened.one("e2", "a").await;
    opened.queue.close().await;
    let again = Opened::new(folder.path());
    again.handed(1);
    assert!(again.queue.event(key.seq).await.unwrap().is_some());
}

#[tokio::test]
async fn settled_events_make_room_before_their_time() {
    let folder = folder();
    let mut small = settings();
    small.max_bytes = 1 << 20;
    let opened = Opened::with(folder.path(), small);
    let mut accepted = 0;
    for batch in 0..40 {
        let large = |number| {
            let mut large = arrival(&format!("{batch}/{number}"), &[]);
            Arc::make_mut(&mut large.event).payload = vec![b' '; 2000].into();
            large
        };
        let large: Vec<_> = (0..25).map(large).collect();
        // It may have to wait until there is room.
        while opened.queue.accept(large.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        accepted += large.len();
    }
    opened.until(|queue| queue.levels().used_bytes < 1 << 20).await;
    assert_eq!(accepted, 1000);
    assert!(events(folder.path()) < 500);
}

#[test]
fn digests_are_known_from_the_log_and_from_slices_until_they_expire() {
    let folder = folder();
    let mut store = schema::open_writer(&folder.path().join("queue.db"), 1 << 30).unwrap();
    let mut digests = Digests::load(&store, 1000).unwrap();
    for round in 0..5_u64 {
        let new: AHashMap<Digest, Known> = (0..1000).map(|number| known(round * 1000 + number)).collect();
        let entries: Vec<_> = new.iter().map(|(digest, known)| (*digest, *known)).collect();
        append(&store, entries.iter()).unwrap();
        digests.learn(new);
        assert!(digests.is_full());
        if round < 4 {
            digests.compact(&mut store, 0).unwrap();
            assert!(!digests.is_full());
        }
    }
    let loaded = Digests::load(&store, 1000).unwrap();
    for digests in [&digests, &loaded] {
        for number in 0..5000 {
            let (digest, known) = known(number);
            assert_eq!(digests.find(&store, &digest, 0).unwrap(), Some(known.seq), "{number}");
            assert_eq!(digests.find(&store, &digest, known.expires_ms).unwrap(), None);
        }
        for number in 5000..6000 {
            assert_eq!(digests.find(&store, &known(number).0, 0).unwrap(), None);
        }
    }
    // Slices go one by one, when all of theirs have expired.
    let rows = |store: &Connection| -> (i64, i64) {
        let count = |table: &str| {
            store
                .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
                .unwrap()
        };
        (count("dedupe_slice"), count("dedupe"))
    };
    assert_eq!(rows(&store), (4, 36));
    assert!(digests.expire(&mut store, 1_001_999).unwrap());
    assert!(!digests.expire(&mut store, 1_001_999).unwrap());
    assert_eq!(rows(&store), (3, 27));
    // Those that expired in memory are written nowhere.
    digests.compact(&mut store, 1_005_900).unwrap();
    assert_eq!(rows(&store), (3, 27));
    assert_eq!(
        Digests::load(&store, 1000)
            .unwrap()
            .find(&store, &known(4950).0, 0)
            .unwrap(),
        Some(4950)
    );
}

fn known(number: u64) -> (Digest, Known) {
    // A digest is as good as random.
    let low = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let high = low.rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ low >> 29;
    let digest = (u128::from(low) << 64 | u128::from(high)).to_le_bytes();
    let number = number.cast_signed();
    let known = Known {
        seq: number,
        expires_ms: 1_001_000 + number,
    };
    (digest, known)
}

fn events(dir: &std::path::Path) -> i64 {
    let store = schema::open_reader(&schema::file_in(dir)).unwrap();
    store
        .query_row("SELECT count(*) FROM events", [], |row| row.get(0))
        .unwrap()
}
