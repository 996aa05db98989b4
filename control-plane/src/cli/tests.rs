use std::path::Path;

use super::*;

/// Runs a command line; returns exit code, standard output and standard error.
fn gwctl(arguments: &[&str]) -> (u8, String, String) {
    let (mut data, mut messages) = (Vec::new(), Vec::new());
    let arguments = std::iter::once("gwctl")
        .chain(arguments.iter().copied())
        .map(OsString::from);
    let code = run(arguments, false, &mut data, &mut messages);
    (
        code,
        String::from_utf8(data).unwrap(),
        String::from_utf8(messages).unwrap(),
    )
}

#[test]
fn the_command_line_is_consistent() {
    <CommandLine as clap::CommandFactory>::command().debug_assert();
}

#[test]
fn help_names_the_exit_codes() {
    let (code, out, _) = gwctl(&["--help"]);
    assert_eq!(code, 0);
    assert!(out.contains("Exit codes:"), "{out}");
}

#[test]
fn a_wrong_command_line_is_2_and_says_nothing_on_standard_output() {
    for wrong in [
        &["apply"][..],
        &["apply", "-f", "x", "--prune"],
        &["get", "integrations"],
        &["delete", "integration", "..", "--org", "1"],
        &["status", "--server", "nonsense"],
        &["status", "--timeout", "0"],
    ] {
        let (code, out, messages) = gwctl(wrong);
        assert_eq!((code, out.as_str()), (2, ""), "{wrong:?}: {messages}");
        assert!(!messages.is_empty());
    }
}

#[test]
fn the_key_is_in_no_message() {
    let (code, out, messages) = gwctl(&["status", "--key", "hunter2\u{7f}", "--server", "http://127.0.0.1:1"]);
    assert_eq!(code, 2, "{messages}");
    assert!(!format!("{out}{messages}").contains("hunter2"));
    let (_, help, _) = gwctl(&["help", "status"]);
    assert!(!help.contains("hunter2"));
}

#[test]
fn invalid_documents_are_3_with_file_and_path() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("a.yaml");
    std::fs::write(&file, "integrations: [{name: N, orgId: 1, colour: red}]").unwrap();
    let (code, out, messages) = gwctl(&["validate", "-f", file.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (3, ""), "{messages}");
    assert!(messages.contains("a.yaml: integrations[0]"), "{messages}");
    assert!(messages.contains("`colour`"), "{messages}");
}

/// Every file that is shipped, as an operator would check it.
#[test]
fn the_shipped_documents_are_valid() {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf");
    let mut sources = vec![conf.join("demo")];
    sources.extend(
        std::fs::read_dir(conf.join("examples"))
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    assert!(sources.len() > 10, "{sources:?}");
    for source in sources {
        let (code, _, messages) = gwctl(&["validate", "-f", source.to_str().unwrap()]);
        assert_eq!(code, 0, "{messages}");
    }
}

#[test]
fn the_demo_names_its_partner_by_a_setting() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/demo");
    let files = Files {
        file: vec![demo],
        set: vec![("PARTNER".to_owned(), "http://127.0.0.1:12345".to_owned())],
    };
    let mut documents = files.load().unwrap();
    // Its organization is allowed loopback, so that only TLS has to be given up for it.
    documents.snapshot.security.enforce_https = false;
    filters::compile(&documents.snapshot, None).unwrap();
    assert!(!documents.snapshot.integrations.is_empty());
    for entry in documents.snapshot.integrations.values() {
        let target = entry.value.target_url.as_deref().unwrap();
        assert!(target.starts_with("http://127.0.0.1:12345/"), "{target}");
    }
}
