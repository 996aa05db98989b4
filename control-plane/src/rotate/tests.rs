use filters::model::push::Object;
use serde_json::json;

use super::*;
use crate::store::{Beside, Change, Version};

#[tokio::test]
async fn a_rotation_makes_a_key_seals_all_anew_and_frees_the_old_key() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let old = std::fs::read_to_string(folder.path().join("secret.key")).unwrap_or_default();
    assert_eq!(old, "");
    let store = open(&config, &KeyFile::load(&config).unwrap()).await.unwrap();
    commit(&store, 1).await;
    commit(&store, 2).await;
    store.close().await;
    let first = KeyFile::load(&config).unwrap().newest();

    let rotated = rotate(&config, false).await.unwrap();
    assert!(rotated.made && !rotated.removed);
    // Both objects, and the change of each version.
    assert_eq!((rotated.resealed, rotated.unneeded), (4, vec![first.clone()]));
    let again = rotate(&config, true).await.unwrap();
    assert_eq!((again.made, again.resealed, again.unneeded), (false, 0, vec![first]));

    let keys = KeyFile::load(&config).unwrap();
    assert!(keys.older().is_empty());
    let store = open(&config, &keys).await.unwrap();
    assert_eq!(store.load().await.unwrap().snapshot.integrations.len(), 2);
    assert!(store.version(1).await.unwrap().is_some());
    store.close().await;
}

#[tokio::test]
async fn a_rotation_that_was_killed_goes_on_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let store = open(&config, &KeyFile::load(&config).unwrap()).await.unwrap();
    commit(&store, 1).await;
    store.close().await;
    // Killed after the key was made.
    let mut keys = KeyFile::load(&config).unwrap();
    keys.add_key().unwrap();
    let rotated = rotate(&config, false).await.unwrap();
    assert_eq!(
        (rotated.made, rotated.resealed, rotated.newest),
        (false, 2, keys.newest())
    );
}

#[tokio::test]
async fn a_store_that_is_in_use_is_left_alone_and_no_key_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let keys = KeyFile::load(&config).unwrap();
    let store = open(&config, &keys).await.unwrap();
    let refused = rotate(&config, false).await.unwrap_err().to_string();
    assert!(refused.contains("in use by another process"), "{refused}");
    assert!(KeyFile::load(&config).unwrap().older().is_empty());
    store.close().await;
}

#[tokio::test]
async fn a_mounted_key_is_the_operators_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    let file = folder.path().join("mounted");
    let (old, new) = ("ab".repeat(32), "cd".repeat(32));
    std::fs::write(&file, &old).unwrap();
    config.secret_key_file = Some(file.clone());
    let store = open(&config, &KeyFile::load(&config).unwrap()).await.unwrap();
    commit(&store, 1).await;
    store.close().await;
    let refused = rotate(&config, false).await.unwrap_err().to_string();
    assert!(refused.contains("openssl rand -hex 32"), "{refused}");
    assert!(matches!(rotate(&config, true).await, Err(RotateError::NotOwn(_))));

    std::fs::write(&file, format!("{new}\n{old}\n")).unwrap();
    assert_eq!(rotate(&config, false).await.unwrap().resealed, 2);
    std::fs::write(&file, &new).unwrap();
    let store = open(&config, &KeyFile::load(&config).unwrap()).await.unwrap();
    assert_eq!(store.load().await.unwrap().snapshot.integrations.len(), 1);
    store.close().await;
}

fn config(folder: &std::path::Path) -> ProcessConfig {
    ProcessConfig {
        data_dir: folder.to_owned(),
        ..ProcessConfig::default()
    }
}

async fn commit(store: &Store, number: u64) {
    let integration = json!({"kind": "integration", "value": {
        "id": format!("i{number}"), "name": "A", "type": format!("i{number}"), "orgId": 1,
        "targetUrl": "https://partner.example",
        "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "hunter2"},
    }});
    let object: Object = serde_json::from_value(integration).unwrap();
    let version = Version {
        number,
        author: "ops".to_owned(),
        message: String::new(),
        at: "2026-01-15T10:00:00Z".parse().unwrap(),
        digest: String::new(),
        put: 1,
        deleted: 0,
        shares: Vec::new(),
        canary: None,
    };
    let change = Change {
        put: vec![object],
        delete: Vec::new(),
    };
    store.commit(&version, &change, Beside::default()).await.unwrap();
}
