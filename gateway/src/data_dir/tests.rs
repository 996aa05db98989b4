use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_folder_and_its_files_are_their_owners_only() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("a/b");
    let data = DataDir::open(&path, None).unwrap();
    assert_eq!(
        (mode(&path), mode(&path.join("lock")), mode(&path.join("key"))),
        (0o700, 0o600, 0o600)
    );
    assert_ne!(data.key(), &[0; KEY_BYTES]);
}

#[test]
fn the_key_stays_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let first = *DataDir::open(folder.path(), None).unwrap().key();
    assert_eq!(DataDir::open(folder.path(), None).unwrap().key(), &first);
}

#[test]
fn a_damaged_key_is_kept_aside_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key"), "short").unwrap();
    DataDir::open(folder.path(), None).unwrap();
    assert_eq!(fs::read(folder.path().join("key")).unwrap().len(), KEY_BYTES);
    assert_eq!(fs::read(folder.path().join("key.bad")).unwrap(), b"short");
}

#[test]
fn a_second_process_is_told_who_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let _first = DataDir::open(folder.path(), None).unwrap();
    let error = DataDir::open(folder.path(), None).unwrap_err().to_string();
    assert!(error.contains(&format!("process ({})", std::process::id())), "{error}");
    assert!(error.contains("`dataDir`"), "{error}");
}

#[tokio::test]
async fn a_process_that_takes_over_gets_the_lock_when_the_old_one_ends() {
    let folder = tempfile::tempdir().unwrap();
    let old = DataDir::open(folder.path(), None).unwrap();
    let new = DataDir::open(folder.path(), Some(Duration::from_secs(60))).unwrap();
    assert_eq!(new.key(), old.key());
    assert_eq!((old.owner(), new.owner()), (None, Some(std::process::id())));
    drop(old);
    assert!(new.owned().await);
    assert_eq!(new.owner(), None);
    assert!(DataDir::open(folder.path(), None).is_err());
}

#[tokio::test]
async fn a_process_whose_predecessor_stays_never_owns_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _old = DataDir::open(folder.path(), None).unwrap();
    let new = DataDir::open(folder.path(), Some(Duration::from_millis(1))).unwrap();
    assert!(!new.owned().await);
}

#[test]
fn a_file_that_should_be_private_is_made_so() {
    let folder = tempfile::tempdir().unwrap();
    DataDir::open(folder.path(), None).unwrap();
    let key = folder.path().join("key");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    DataDir::open(folder.path(), None).unwrap();
    assert_eq!(mode(&key), 0o600);
}

#[test]
fn a_path_that_is_no_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    let error = DataDir::open(&path, None).unwrap_err().to_string();
    assert!(
        error.contains("make the data folder") && error.contains("file"),
        "{error}"
    );
}
