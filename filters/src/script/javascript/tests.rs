use serde_json::{Value as Json, json};

use super::*;
use crate::model::Problem;
use crate::model::mapping::ScriptLanguage;
use crate::script::Runner;

fn problems(source: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    Script::check_in(ScriptLanguage::Javascript, source, "s", &mut problems);
    problems
}

/// Runs a script that may go on `most` times when it is asked.
fn run_for(most: u32, source: &str, payload: &[u8], context: &ScriptContext) -> Result<Vec<u8>, ScriptFault> {
    let mut problems = Vec::new();
    let script = Script::check_in(ScriptLanguage::Javascript, source, "s", &mut problems)
        .unwrap_or_else(|| panic!("{source}: {problems:?}"));
    let asked = Cell::new(0);
    let stop = move || {
        asked.set(asked.get() + 1);
        (asked.get() > most).then_some(Stopped::Deadline)
    };
    Runner::new().run(&script, payload, context, stop)
}

fn run_bytes(source: &str, payload: &[u8], context: &ScriptContext) -> Result<Vec<u8>, ScriptFault> {
    run_for(100, source, payload, context)
}

fn run(source: &str, payload: &Json) -> Result<Json, ScriptFault> {
    let output = run_bytes(source, payload.to_string().as_bytes(), &ScriptContext::default())?;
    Ok(serde_json::from_slice(&output).unwrap())
}

fn fault(source: &str) -> ScriptFault {
    run(source, &json!({"a": 1})).expect_err(source)
}

#[test]
fn a_payload_becomes_another() {
    let source = "const upper = (text) => text.toUpperCase();
        function transform(payload, context) {
            return {name: upper(payload.name), tags: payload.tags.filter((tag) => /^a/.test(tag)), org: context.orgId};
        }";
    let context = ScriptContext {
        org_id: 7,
        ..ScriptContext::default()
    };
    let output = run_bytes(source, br#"{"name": "asha", "tags": ["ab", "b"]}"#, &context).unwrap();
    let output: Json = serde_json::from_slice(&output).unwrap();
    assert_eq!(output, json!({"name": "ASHA", "tags": ["ab"], "org": 7}));
    assert_eq!(
        run("const transform = (payload) => [payload, null];", &json!("é")).unwrap(),
        json!(["é", null])
    );
}

#[test]
fn what_is_wrong_with_a_script_is_told_with_its_place() {
    for (source, part) in [
        ("function transform(p) {\n  return p +;\n}", "line 2, column "),
        ("function other(p) {}", "no function `transform`"),
        ("const transform = 1;", "no function `transform`"),
        ("missing();\nfunction transform(p) {}", "line 1"),
        ("while (true) {}", "it ran for too long"),
        ("import fs from 'fs'; function transform(p) {}", "line 1"),
    ] {
        let found = problems(source);
        assert_eq!(found.len(), 1, "{source}");
        assert_eq!(found[0].path, "s");
        assert!(found[0].message.contains(part), "{source}: {}", found[0].message);
    }
    assert!(problems(&" ".repeat(MAX_SOURCE + 1))[0].message.contains("at most"));
}

#[test]
fn a_fault_names_the_line() {
    match fault("function transform(p) {\n\n  return p.b.c;\n}") {
        ScriptFault::Runtime { line, message } => {
            assert_eq!(line, Some(3));
            assert!(message.starts_with("TypeError: "), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let thrown = |source: &str| fault(source).to_string();
    assert!(thrown("function transform(p) { throw 'plain' }").ends_with("the script failed: plain"));
    assert!(thrown("function transform(p) { throw {code: 7} }").contains("{\"code\":7}"));
}

#[test]
fn a_script_that_takes_too_much_is_stopped_whatever_it_catches() {
    for source in [
        "function transform(p) { while (true) {} }",
        "function transform(p) { while (true) { try { while (true) {} } catch (e) {} } }",
        "function transform(p) { return /^(a+)+$/.test('a'.repeat(40) + 'b') }",
    ] {
        let stopped = fault(source);
        let is_late = matches!(
            stopped,
            ScriptFault::Stopped {
                reason: Stopped::Deadline,
                ..
            }
        );
        assert!(is_late, "{source}: {stopped}");
    }
    for source in [
        "function transform(p) { let a = []; while (true) a.push('x'.repeat(1000) + a.length) }",
        "function transform(p) { let s = 'xy'; while (true) s = s + s + p.a }",
    ] {
        let stopped = run_for(u32::MAX, source, b"{}", &ScriptContext::default()).expect_err(source);
        let is_large = matches!(
            &stopped,
            ScriptFault::Stopped {
                reason: Stopped::Memory,
                ..
            } | ScriptFault::Runtime { .. }
        );
        assert!(is_large, "{source}: {stopped}");
    }
    assert!(matches!(
        fault("function transform(p) { return transform(p) }"),
        ScriptFault::Runtime { .. }
    ));
}

#[test]
fn results_that_are_no_json_are_refused() {
    for (source, part) in [
        ("function transform(p) {}", "returned nothing"),
        ("async function transform(p) { return p }", "a promise"),
        ("function transform(p) { const a = {}; a.a = a; return a }", "circular"),
        ("function transform(p) { return 10n }", "BigInt"),
        ("function transform(p) { return 'x'.repeat(1100000) }", "larger than"),
        (
            "function transform(p) { let a = []; for (let i = 0; i < 200; i++) a = [a]; return a }",
            "127 levels",
        ),
    ] {
        let message = fault(source).to_string();
        assert!(message.contains(part), "{source}: {message}");
    }
    let nothing = run_bytes("function transform(p) {}", b"", &ScriptContext::default());
    assert_eq!(nothing, Ok(Vec::new()), "nothing where nothing was given");
}

#[test]
fn bodies_that_are_no_json_are_refused() {
    let identity = "const transform = (p) => p;";
    for payload in [&b"{"[..], b"\xff", &[b' '; MAX_BODY + 1]] {
        let fault = run_bytes(identity, payload, &ScriptContext::default()).unwrap_err();
        assert!(matches!(fault, ScriptFault::BadInput { .. }), "{fault}");
    }
}

#[test]
fn time_and_chance_are_those_of_the_context() {
    let source = "function transform() { return [new Date().toISOString(), Date.now(), Math.random(),
        new Date('2024-01-31').getTime(), new Date() instanceof Date, new Date().constructor === Date]; }";
    let at = |seed: u8| {
        let context = ScriptContext {
            now: "2026-03-02T10:00:00Z".to_owned(),
            seed: [seed; 16],
            ..ScriptContext::default()
        };
        let output = run_bytes(source, b"{}", &context).unwrap();
        serde_json::from_slice::<Json>(&output).unwrap()
    };
    let first = at(1);
    assert_eq!(first, at(1));
    assert_ne!(first[2], at(2)[2]);
    assert_eq!(first[0], "2026-03-02T10:00:00.000Z");
    assert_eq!(first[1], 1_772_445_600_000_u64);
    assert_eq!(first[3], 1_706_659_200_000_u64);
    assert_eq!((&first[4], &first[5]), (&json!(true), &json!(true)));
}

#[test]
fn there_is_nothing_of_the_machine_and_nothing_of_another_run() {
    let names = [
        "console",
        "require",
        "process",
        "std",
        "os",
        "print",
        "setTimeout",
        "performance",
        "fetch",
        "Proxy",
    ];
    let list = names.map(|name| format!("typeof {name}")).join(",");
    let found = run(&format!("function transform() {{ return [{list}] }}"), &json!({})).unwrap();
    assert_eq!(found, json!(vec!["undefined"; names.len()]));
    let imports = run("function transform() { return import('fs') }", &json!({})).unwrap_err();
    assert!(
        matches!(imports, ScriptFault::BadOutput { .. } | ScriptFault::Runtime { .. }),
        "{imports}"
    );
    let counting =
        "var runs = (globalThis.runs ?? 0) + 1; function transform() { Array.prototype.left = runs; return runs }";
    for _ in 0..3 {
        assert_eq!(run(counting, &json!({})).unwrap(), json!(1));
    }
}
