use std::path::Path;

use filters::script::{Runner, Script, ScriptContext};
use filters::transform::Mapping;
use serde_json::{Value, json};

use super::*;

mod live;

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
        &["get", "units"],
        &["get", "producer-key", "k"],
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

/// An empty file must not empty an organization. Nothing listens at the address: only what is refused before is 3.
#[test]
fn pruning_needs_an_integration_of_the_organization() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("a.yaml");
    let prune = |text: &str, more: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let server = ["--server", "http://127.0.0.1:1", "--key", "hunter2"];
        let base = ["apply", "-f", file.to_str().unwrap(), "--prune", "--org", "2"];
        gwctl(&[&base[..], &server[..], more].concat())
    };
    let of = |org: u64| format!("integrations: [{{name: N, type: n, orgId: {org}, targetUrl: 'https://p.example'}}]");
    for text in ["integrations: []", &of(1)] {
        let (code, out, messages) = prune(text, &[]);
        assert_eq!((code, out.as_str()), (3, ""), "{text}: {messages}");
        assert!(
            messages.contains("organization 2") && messages.contains("--allow-empty"),
            "{messages}"
        );
        assert_eq!(prune(text, &["--allow-empty"]).0, 5, "{text}");
    }
    assert_eq!(prune(&of(2), &[]).0, 5);
}

fn demo() -> documents::Documents {
    let files = Files {
        file: vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/demo")],
        set: vec![("PARTNER".to_owned(), "http://127.0.0.1:12345".to_owned())],
    };
    files.load().unwrap()
}

#[test]
fn the_demo_names_its_partner_by_a_setting() {
    let mut documents = demo();
    // Its organization is allowed loopback, so that only TLS has to be given up for it.
    documents.snapshot.security.enforce_https = false;
    filters::compile(&documents.snapshot, None).unwrap();
    assert!(!documents.snapshot.integrations.is_empty());
    for entry in documents.snapshot.integrations.values() {
        let target = entry.value.target_url.as_deref().unwrap();
        assert!(target.starts_with("http://127.0.0.1:12345/"), "{target}");
    }
}

#[test]
fn the_demo_transforms_what_its_partner_says() {
    let documents = demo();
    let integration = |id: &str| &documents.snapshot.integrations[id].value;

    let booking = integration("648-appointment-booking");
    let mut problems = Vec::new();
    let mapping = Mapping::compile(&booking.request_field_mappings, "", &mut problems).unwrap();
    let request = json!({"patientId": "P-7", "patient": {"name": " Asha Rao ", "birthDate": "07/03/1990"},
        "items": [{"code": "hba1c", "quantity": 2}, {"code": "lipid"}], "notes": ""});
    let mapped: Value = serde_json::from_slice(&mapping.apply(request.to_string().as_bytes()).unwrap()).unwrap();
    assert_eq!(
        mapped,
        json!({"patient": {"id": "P-7", "fullName": "ASHA RAO", "bornOn": "1990-03-07"}, "source": "integration-gateway",
            "lines": [{"sku": "HBA1C", "quantity": 2}, {"sku": "LIPID", "quantity": 1}]})
    );

    let script = integration("648-lab-results").response_transform_script.as_deref();
    let script = Script::check(script.unwrap(), "", &mut problems).unwrap();
    let context = ScriptContext {
        org_id: 648,
        ..ScriptContext::default()
    };
    let labs = json!({"labs": [{"code": "HBA1C"}, {"code": "TSH"}]});
    let result = Runner::new().run(&script, labs.to_string().as_bytes(), &context, || None);
    let result: Value = serde_json::from_slice(&result.unwrap()).unwrap();
    assert_eq!(
        result,
        json!({"organization": 648, "count": 2,
            "tests": [{"code": "HBA1C", "name": "Glycated haemoglobin"}, {"code": "TSH", "name": "TSH"}]})
    );
}
