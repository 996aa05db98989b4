use std::fs;

use tempfile::TempDir;

use super::*;
use crate::sync::rig::integration;

fn sample(version: u64) -> Snapshot {
    let mut object = integration("a", "https://partner.example");
    if let Object::Integration(integration) = &mut object {
        let integration = Arc::get_mut(integration).unwrap();
        integration.outgoing_auth_config = Some(serde_json::json!({"token": "hunter2"}));
    }
    let mut objects = vec![object];
    let others = serde_json::json!([
        {"kind": "organization", "value": {"orgId": 648, "timezone": "Asia/Kolkata"}},
        {"kind": "unit", "value": {"rid": 84, "orgId": 648, "name": "North"}},
        {"kind": "eventType", "value": {"id": "b", "orgId": 648, "eventType": "bill.paid"}},
        {"kind": "producerKey", "value": {"id": "k", "orgId": 648, "name": "his", "hash": "hunter2"}},
        {"kind": "outbound", "value": {"id": "o", "orgId": 648, "name": "Bills", "eventType": "bill.*",
            "targetUrl": "https://partner.example", "signingType": "GITHUB",
            "signingConfig": {"secrets": [{"name": "s", "value": "hunter2"}]}}},
    ]);
    objects.extend(serde_json::from_value::<Vec<Object>>(others).unwrap());
    Snapshot::from_objects(version, objects)
}

fn written() -> (TempDir, DataDir) {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = DataDir::open(folder.path(), None).unwrap();
    write(&path_in(&data_dir), data_dir.key(), &sample(3)).unwrap();
    (folder, data_dir)
}

/// Writes `bytes` in the place of the file; why it is refused, after checking that it is out of the way.
fn refused(data_dir: &DataDir, bytes: &[u8]) -> LastGoodError {
    let path = path_in(data_dir);
    fs::write(&path, bytes).unwrap();
    let reason = read(&path, data_dir.key()).unwrap_err();
    assert!(load(data_dir).is_none());
    assert!(!path.exists(), "a file that is no use must not be tried again");
    assert_eq!(fs::read(path.with_added_extension("bad")).unwrap(), bytes);
    reason
}

#[test]
fn what_was_written_is_read_again() {
    let (_folder, data_dir) = written();
    let snapshot = load(&data_dir).unwrap();
    assert_eq!((snapshot.version, snapshot.digest()), (3, sample(3).digest()));
    let file = fs::read(path_in(&data_dir)).unwrap();
    let secret_shows = file.windows(7).any(|window| window == b"hunter2");
    assert!(!secret_shows, "the file must be encrypted");
}

#[test]
fn without_a_file_there_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = DataDir::open(folder.path(), None).unwrap();
    assert!(load(&data_dir).is_none());
    assert!(!path_in(&data_dir).with_added_extension("bad").exists());
}

#[test]
fn a_file_that_was_cut_off_is_detected_wherever_it_ends() {
    let (_folder, data_dir) = written();
    let whole = fs::read(path_in(&data_dir)).unwrap();
    for length in (0..whole.len())
        .step_by(7)
        .chain([KIND.magic.len(), KIND.magic.len() + 1, whole.len() - 1])
    {
        let reason = refused(&data_dir, &whole[..length]);
        assert!(
            matches!(
                reason,
                LastGoodError::Sealed(SealedError::NoMagic | SealedError::Damaged(_))
            ),
            "{length}: {reason}"
        );
    }
}

#[test]
fn a_flipped_bit_is_detected_wherever_it_is() {
    let (_folder, data_dir) = written();
    let whole = fs::read(path_in(&data_dir)).unwrap();
    for position in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[position] ^= 1 << (position % 8);
        refused(&data_dir, &flipped);
    }
}

#[test]
fn another_key_and_another_format_are_told_apart_from_damage() {
    let (_folder, data_dir) = written();
    let mut newer = fs::read(path_in(&data_dir)).unwrap();
    newer[KIND.magic.len()] = KIND.format + 1;
    assert!(matches!(
        refused(&data_dir, &newer),
        LastGoodError::Sealed(SealedError::Format { found: 2, .. })
    ));
    write(&path_in(&data_dir), &[7; KEY_BYTES], &sample(3)).unwrap();
    let foreign = fs::read(path_in(&data_dir)).unwrap();
    assert!(matches!(
        refused(&data_dir, &foreign),
        LastGoodError::Sealed(SealedError::Key)
    ));
}

#[test]
fn a_half_written_draft_is_no_harm() {
    let (_folder, data_dir) = written();
    fs::write(path_in(&data_dir).with_added_extension("new"), "GWLK").unwrap();
    assert_eq!(load(&data_dir).unwrap().version, 3);
    write(&path_in(&data_dir), data_dir.key(), &sample(4)).unwrap();
    assert_eq!(load(&data_dir).unwrap().version, 4);
}

#[tokio::test]
async fn the_newest_version_is_on_disk_when_the_gateway_has_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = Arc::new(DataDir::open(folder.path(), None).unwrap());
    let (live, receiver) = watch::channel(None);
    let stop = CancellationToken::new();
    let keeping = tokio::spawn(keep(Arc::clone(&data_dir), receiver, stop.clone()));
    live.send_replace(Some(Arc::new(sample(1))));
    let path = path_in(&data_dir);
    crate::sync::rig::until("the first version is on disk", || path.exists()).await;
    for version in 2..=50 {
        live.send_replace(Some(Arc::new(sample(version))));
    }
    stop.cancel();
    keeping.await.unwrap();
    assert_eq!(load(&data_dir).unwrap().version, 50);
}

#[tokio::test]
async fn what_is_live_at_the_stop_is_written_even_if_its_sender_is_gone() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = Arc::new(DataDir::open(folder.path(), None).unwrap());
        let (live, receiver) = watch::channel(None);
        live.send_replace(Some(Arc::new(sample(2))));
        drop(live);
        let stop = CancellationToken::new();
        stop.cancel();
        keep(Arc::clone(&data_dir), receiver, stop).await;
        assert_eq!(load(&data_dir).unwrap().version, 2);
    }
}

#[tokio::test]
async fn nothing_is_written_while_another_process_owns_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let old = DataDir::open(folder.path(), None).unwrap();
    let new = Arc::new(DataDir::open(folder.path(), Some(Duration::from_secs(60))).unwrap());
    let (live, receiver) = watch::channel(Some(Arc::new(sample(1))));
    let stop = CancellationToken::new();
    let keeping = tokio::spawn(keep(Arc::clone(&new), receiver, stop.clone()));
    live.send_replace(Some(Arc::new(sample(2))));
    tokio::task::yield_now().await;
    let path = path_in(&new);
    assert!(!path.exists());
    drop(old);
    crate::sync::rig::until("the version is on disk", || path.exists()).await;
    stop.cancel();
    keeping.await.unwrap();
    assert_eq!(load(&new).unwrap().version, 2);
}
