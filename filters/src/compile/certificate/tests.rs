use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::*;

fn certificate(name: &str, org_id: u64, hosts: &[&str]) -> Value {
    let key = KeyPair::generate().unwrap();
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let made = CertificateParams::new(hosts).unwrap().self_signed(&key).unwrap();
    json!({"name": name, "orgId": org_id, "certificate": made.pem(), "privateKey": key.serialize_pem()})
}

fn snapshot(certificates: &[Value], organizations: &Value) -> Snapshot {
    Snapshot::from_document(&json!({"certificates": certificates, "organizations": organizations})).unwrap()
}

fn problems(snapshot: &Snapshot) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    compile(snapshot, None, &mut problems);
    problems
        .into_iter()
        .map(|problem| (problem.path, problem.message))
        .collect()
}

#[test]
fn unchanged_ones_are_not_read_again() {
    let (one, two) = (
        certificate("one", 1, &["a.example"]),
        certificate("two", 1, &["b.example"]),
    );
    let first = compile(&snapshot(&[one.clone(), two], &json!([])), None, &mut Vec::new());
    let mut changed = certificate("two", 1, &["c.example"]);
    let second = compile(
        &snapshot(&[one, changed.clone()], &json!([])),
        Some(&first),
        &mut Vec::new(),
    );
    assert!(Arc::ptr_eq(&first["1-one"].1, &second["1-one"].1));
    assert_eq!(*second["1-two"].1.names, ["c.example".into()]);
    changed["isActive"] = json!(false);
    let third = compile(&snapshot(&[changed], &json!([])), Some(&second), &mut Vec::new());
    assert!(third.is_empty());
}

#[test]
fn what_cannot_be_shown_is_named() {
    let mut other_key = certificate("one", 1, &["a.example"]);
    other_key["privateKey"] = certificate("x", 1, &["a.example"])["privateKey"].clone();
    let mut no_key = certificate("two", 1, &["a.example"]);
    no_key["privateKey"] = json!("secret");
    let mut large = certificate("three", 1, &["a.example"]);
    large["certificate"] = json!("x".repeat(100_000));
    let found = problems(&snapshot(&[other_key, no_key, large], &json!([])));
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "certificates[\"1-one\"].certificate",
            "certificates[\"1-three\"].certificate",
            "certificates[\"1-two\"].privateKey",
        ]
    );
    assert!(
        found.iter().all(|(_, message)| !message.contains("secret")),
        "{found:?}"
    );
}

#[test]
fn a_name_belongs_to_one_organization() {
    let certificates = [
        certificate("one", 1, &["a.example"]),
        certificate("two", 2, &["a.example"]),
    ];
    let found = problems(&snapshot(&certificates, &json!([])));
    assert_eq!(found[0].0, "certificates[\"2-two\"].certificate");
    assert!(found[0].1.contains("of another organization"), "{found:?}");
    let same = [
        certificate("one", 1, &["a.example"]),
        certificate("two", 1, &["a.example"]),
    ];
    assert_eq!(problems(&snapshot(&same, &json!([]))), []);
}

#[test]
fn names_are_within_the_hosts_of_the_organization() {
    let organizations = json!([{"orgId": 1, "name": "One", "hosts": ["*.one.example"]}]);
    let certificates = [certificate(
        "own",
        1,
        &["a.one.example", "*.b.one.example", "c.two.example", "*.example"],
    )];
    let found = problems(&snapshot(&certificates, &organizations));
    let messages: Vec<_> = found.iter().map(|(_, message)| message.as_str()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(
        messages[0].contains("c.two.example") && messages[1].contains("*.example"),
        "{messages:?}"
    );
}
