use std::fs;

use rcgen::{CertificateParams, KeyPair};

use super::*;

fn write(files: &CertificateFiles, name: &str) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key);
    fs::write(&files.cert_file, certificate.unwrap().pem()).unwrap();
    fs::write(&files.key_file, key.serialize_pem()).unwrap();
}

#[tokio::test]
async fn changed_files_are_shown_and_wrong_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let named = CertificateFiles {
        cert_file: folder.path().join("own.pem"),
        key_file: folder.path().join("own.key"),
    };
    write(&named, "old.example");
    let files = Arc::new(Files::open(vec![named.clone()]).unwrap());
    let stop = CancellationToken::new();
    let following = tokio::spawn(Arc::clone(&files).follow(stop.clone()));
    let shown = |name: &str| files.index().exact(name).is_some();
    assert!(shown("old.example"));
    fs::write(&named.key_file, "no key").unwrap();
    tokio::time::timeout(Duration::from_secs(60), async {
        write(&named, "new.example");
        while !shown("new.example") {
            assert!(shown("old.example"), "half a pair took the place of a whole one");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    assert!(!shown("old.example"));
    stop.cancel();
    following.await.unwrap();
}

#[test]
fn a_certificate_that_cannot_be_used_is_named() {
    let named = CertificateFiles {
        cert_file: "/nowhere/own.pem".into(),
        key_file: "/nowhere/own.key".into(),
    };
    let error = Files::open(vec![named]).unwrap_err().to_string();
    assert!(
        error.starts_with("tls.certificates[0]: cannot read /nowhere/own.pem"),
        "{error}"
    );
}
