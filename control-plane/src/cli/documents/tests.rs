use std::fs;

use tempfile::TempDir;

use super::*;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn load(folder: &TempDir) -> Result<Documents, Failure> {
    Documents::load(&[folder.path().to_owned()], &Settings::new())
}

fn problems(result: Result<Documents, Failure>) -> Vec<String> {
    match result.unwrap_err() {
        Failure::Invalid(problems) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

fn integration(kind: &str) -> String {
    format!("integrations:\n- {{name: N, type: {kind}, orgId: 648, targetUrl: 'https://partner.example/v1'}}\n")
}

#[test]
fn a_folder_is_merged_and_only_documents_are_read() {
    let folder = folder(&[
        ("a.yaml", &integration("a")),
        ("b.yml", "organizations: [{orgId: 648}]"),
        ("c.json", r#"{"security": {"enforceHttps": false}}"#),
        ("empty.yaml", "# nothing yet\n"),
        (".hidden.yaml", "not: read"),
        ("notes.txt", "not: read"),
    ]);
    let documents = load(&folder).unwrap();
    assert_eq!(documents.snapshot.integrations.len(), 1);
    assert_eq!(documents.snapshot.organizations.len(), 1);
    assert!(!documents.snapshot.security.enforce_https);
    assert!(documents.security_from.as_deref().unwrap().ends_with("c.json"));
    assert!(
        documents
            .file_of(&ObjectId::Integration("648-a".into()))
            .ends_with("a.yaml")
    );
}

#[test]
fn an_object_in_two_files_is_reported_with_both_names() {
    let folder = folder(&[
        (
            "a.yaml",
            &(integration("a") + "organizations: [{orgId: 648}]\nsecurity: {}"),
        ),
        (
            "b.yaml",
            &(integration("a") + "organizations: [{orgId: 648}]\nsecurity: {}"),
        ),
    ]);
    let problems = problems(load(&folder));
    assert_eq!(problems.len(), 3, "{problems:?}");
    for (problem, path) in problems
        .iter()
        .zip(["security", "organizations[648]", "integrations[\"648-a\"]"])
    {
        assert!(problem.contains(&format!("b.yaml: {path}: ")), "{problem}");
        assert!(problem.contains("a.yaml too"), "{problem}");
    }
}

#[test]
fn the_problems_of_all_files_are_reported_at_once() {
    let folder = folder(&[
        ("a.yaml", "integrations: [{name: N, type: t, orgId: x, colour: red}]"),
        ("a2.yaml", "wrong: 1"),
        ("b.yaml", "{"),
        ("c.yaml", "- a list"),
        ("d.yaml", "organizations: [{orgId: 1, name: '${NAME}'}]"),
    ]);
    let text = problems(load(&folder)).join("\n");
    for expected in [
        "a.yaml: integrations[0].orgId",
        "`colour`",
        "`wrong`",
        "b.yaml: not valid",
        "c.yaml: must be a mapping",
        "d.yaml: organizations[0].name: ${NAME} has no value",
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let empty = folder(&[("notes.txt", "")]);
    assert!(problems(load(&empty))[0].contains("holds no file"));
    let missing = empty.path().join("missing.yaml");
    let problems = problems(Documents::load(&[missing], &Settings::new()));
    assert!(problems[0].contains("missing.yaml: cannot be read"), "{problems:?}");
}

#[test]
fn settings_reach_the_texts() {
    let folder = folder(&[(
        "a.yaml",
        "integrations: [{name: N, type: a, orgId: 648, targetUrl: '${PARTNER}/v1'}]",
    )]);
    let settings = Settings::from([("PARTNER".to_owned(), "https://p.example".to_owned())]);
    let documents = Documents::load(&[folder.path().to_owned()], &settings).unwrap();
    let integration = &documents.snapshot.integrations["648-a"].value;
    assert_eq!(integration.target_url.as_deref(), Some("https://p.example/v1"));
}

#[test]
fn problems_of_the_compiler_carry_the_file_of_their_object() {
    let folder = folder(&[
        ("a.yaml", &integration("a")),
        ("b.yaml", "organizations: [{orgId: 648}]\nsecurity: {}"),
    ]);
    let documents = load(&folder).unwrap();
    let found = documents.with_files(vec![
        Problem::new("integrations[\"648-a\"].targetUrl", "x"),
        Problem::new("organizations[648].rateLimit", "x"),
        Problem::new("security.enforceHttps", "x"),
        Problem::new("integrations[\"other\"]", "x"),
    ]);
    let files: Vec<&str> = found
        .iter()
        .map(|problem| problem.file.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(files, ["a.yaml", "b.yaml", "b.yaml", ""]);
}

#[test]
fn security_is_refused_where_documents_are_sent_away() {
    let with = load(&folder(&[("a.yaml", "security: {enforceHttps: false}")])).unwrap();
    assert_eq!(with.refuse_security().unwrap_err().exit_code(), 3);
    let without = load(&folder(&[("a.yaml", &integration("a"))])).unwrap();
    assert!(without.refuse_security().is_ok());
}

#[test]
fn what_the_server_shows_masked_can_be_applied_again() {
    let text = r#"{"integrations": [{"name": "N", "type": "a", "orgId": 648, "targetUrl": "https://p.example",
        "inboundAuthType": "API_KEY", "inboundAuthConfig": {"keys": [{"name": "a", "hash": "***"}, {"name": "b", "hash": "***"}]},
        "outgoingAuthType": "CUSTOM_HEADERS", "outgoingAuthConfig": {"headers": {"X-Key": "***"}}}]}"#;
    let documents = load(&folder(&[("a.json", text)])).unwrap();
    assert!(documents.has_masks());
    documents.check().unwrap();
    let sent = serde_json::to_string(&documents.snapshot.objects()).unwrap();
    assert_eq!(sent.matches("\"***\"").count(), 3, "{sent}");
}

#[test]
fn masks_of_each_kind_are_checked_as_good_secrets() {
    let folder = folder(&[
        (
            "out.yaml",
            "integrations:\n- {direction: OUTBOUND, name: bills, orgId: 648, eventType: bill.paid, \
             targetUrl: 'https://partner.example', signingType: GITHUB, \
             signingConfig: {secrets: [{name: a, value: '***'}, {name: b, value: '***'}]}}\n",
        ),
        ("keys.yaml", "producerKeys: [{orgId: 648, name: his, hash: '***'}]"),
    ]);
    let documents = load(&folder).unwrap();
    assert!(documents.has_masks());
    documents.check().unwrap();
    assert!(
        documents
            .file_of(&ObjectId::ProducerKey("648-his".into()))
            .ends_with("keys.yaml")
    );
    let problem = Problem::new("integrations[\"648-bills\"].signingConfig", "wrong");
    assert!(documents.with_files(vec![problem])[0].to_string().contains("out.yaml"));
}

#[test]
fn private_keys_that_stand_as_masks_are_left_out_of_the_check() {
    let oauth = |by: &str, more: &str| {
        format!(
            "{{name: {by}, type: {by}, orgId: 648, targetUrl: 'https://partner.example', outgoingAuthType: OAUTH2, \
             outgoingAuthConfig: {{tokenUrl: 'https://login.example/', clientId: c, clientAuthentication: {by}, {more}}}}}"
        )
    };
    let tls = "{clientCertificate: 'as the server has it', privateKey: '***'}";
    let text = format!(
        "integrations:\n- {}\n- {}\n- {{name: n, type: n, orgId: 648, targetUrl: 'https://partner.example', outgoingTls: {tls}}}\n\
         - {{direction: OUTBOUND, name: bills, orgId: 648, eventType: bill.paid, targetUrl: 'https://partner.example', \
         actions: [{{name: a, outgoingTls: {tls}}}]}}\n",
        oauth("private_key_jwt", "privateKey: '***', keyId: k, algorithm: RS256"),
        oauth("tls_client_auth", &format!("tls: {tls}")),
    );
    let documents = load(&folder(&[("a.yaml", &text)])).unwrap();
    assert!(documents.has_masks());
    documents.check().unwrap();
    let sent = serde_json::to_string(&documents.snapshot.objects()).unwrap();
    assert_eq!(sent.matches("\"privateKey\":\"***\"").count(), 4, "{sent}");
    let wrong = text.replace("tokenUrl: 'https://login.example/'", "tokenUrl: ''");
    let Err(Failure::Invalid(problems)) = load(&folder(&[("a.yaml", &wrong)])).unwrap().check() else {
        panic!("an empty address is no address");
    };
    let places: Vec<_> = problems.iter().map(|problem| problem.problem.path.as_str()).collect();
    assert!(places.iter().all(|place| place.ends_with(".tokenUrl")), "{places:?}");
    assert_eq!(places.len(), 2, "what else is wrong is told");
}
