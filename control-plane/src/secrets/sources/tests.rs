use std::fs;

use super::*;

#[tokio::test]
async fn a_file_is_read_without_its_line_end_within_the_allowed_folder_only() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    let inside = base.join("inside");
    fs::create_dir(&inside).unwrap();
    fs::write(inside.join("token"), "hunter2\n").unwrap();
    fs::write(inside.join("empty"), "\n").unwrap();
    fs::write(inside.join("large"), vec![b'a'; 64 * 1024 + 1]).unwrap();
    fs::write(base.join("outside"), "hunter3").unwrap();
    std::os::unix::fs::symlink(base.join("outside"), inside.join("link")).unwrap();
    std::os::unix::fs::symlink(inside.join("token"), inside.join("good-link")).unwrap();
    let secrets = Secrets::new(&SecretSources {
        files: vec![allowed_for(&format!("{}/", inside.display()), Some(vec![1]))],
        ..SecretSources::default()
    })
    .unwrap();
    let file = |name: &str| format!("secret://file{}/{name}", inside.display());
    assert_eq!(read(&secrets, 1, &file("token")).await, Ok("hunter2".to_owned()));
    assert_eq!(read(&secrets, 1, &file("good-link")).await, Ok("hunter2".to_owned()));
    for (org_id, name, reason) in [
        (2, "token", "is not among what organization 2 may refer to"),
        (1, "absent", "the file cannot be read: entity not found"),
        (1, "link", "leads out of the folder"),
        (1, "empty", "is empty"),
        (1, "large", "64 KiB"),
    ] {
        let error = read(&secrets, org_id, &file(name)).await.unwrap_err();
        assert!(error.contains(reason), "{name}: {error}");
    }
    let outside = format!("secret://file{}/outside", base.display());
    assert!(
        read(&secrets, 1, &outside)
            .await
            .unwrap_err()
            .contains("secretSources.files")
    );
}

#[tokio::test]
async fn a_variable_is_read_where_its_prefix_is_allowed() {
    // Cargo sets it for tests.
    let secrets = Secrets::new(&SecretSources {
        env: vec![allowed_for("CARGO_PKG_", None)],
        ..SecretSources::default()
    })
    .unwrap();
    assert_eq!(
        read(&secrets, 7, "secret://env/CARGO_PKG_NAME").await,
        Ok("control-plane".to_owned())
    );
    for (text, reason) in [
        ("secret://env/CARGO_PKG_NONE", "is not set"),
        ("secret://env/PATH", "secretSources.env"),
        ("secret://env/CARGO_PKG_", "secretSources.env"),
        ("secret://store/a#b", "not configured with `secretSources.store`"),
        ("secret://nowhere/a", "is no reference"),
    ] {
        let error = read(&secrets, 7, text).await.unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

async fn read(secrets: &Secrets, org_id: u64, text: &str) -> Result<String, String> {
    let wanted = Wanted {
        org_id,
        text: text.to_owned(),
    };
    let values = secrets.read(BTreeSet::from([wanted.clone()])).await;
    let secret = values.secret(&wanted).map(|secret| secret.expose().to_owned());
    secret.map_err(str::to_owned)
}

fn allowed_for(prefix: &str, org_ids: Option<Vec<u64>>) -> Allowed {
    Allowed {
        prefix: prefix.to_owned(),
        org_ids,
    }
}
