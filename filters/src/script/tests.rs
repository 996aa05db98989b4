mod library;

use std::cell::{Cell, RefCell};
use std::thread;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn checked(source: &str) -> Result<Script, String> {
    let mut problems = Vec::new();
    match Script::check(source, "script", &mut problems) {
        Some(script) => {
            assert!(problems.is_empty(), "{problems:?}");
            Ok(script)
        }
        None => Err(problems.iter().map(Problem::to_string).collect()),
    }
}

fn with_body(body: &str) -> Script {
    checked(&format!("fn transform(payload, context) {{\n{body}\n}}")).unwrap()
}

thread_local! {
    /// A runner takes a while to make, so each test has one.
    static RUNNER: RefCell<Runner> = RefCell::new(Runner::new());
}

fn run(script: &Script, payload: &[u8], context: &ScriptContext) -> Result<Vec<u8>, ScriptFault> {
    RUNNER.with_borrow_mut(|runner| runner.run(script, payload, context, || None))
}

fn ran(body: &str, payload: &str) -> Result<Value, ScriptFault> {
    let output = run(&with_body(body), payload.as_bytes(), &ScriptContext::default())?;
    Ok(serde_json::from_slice(&output).unwrap())
}

fn fault(body: &str) -> ScriptFault {
    ran(body, r#"{"items": [1, 2]}"#).unwrap_err()
}

fn problem(body: &str) -> String {
    checked(&format!("fn transform(payload, context) {{\n{body}\n}}")).unwrap_err()
}

#[test]
fn a_script_turns_a_payload_into_another() {
    let body = r#"
        let lines = [];
        for item in payload.items {
            if item.quantity > 1 { lines.push(#{sku: item.code.to_upper(), quantity: item.quantity}); }
        }
        #{lines: lines, total: lines.map(|line| line.quantity).reduce(|sum, quantity| sum + quantity, 0)}
    "#;
    let payload =
        json!({"items": [{"code": "a", "quantity": 2}, {"code": "b", "quantity": 1}, {"code": "c", "quantity": 3}]});
    assert_eq!(
        ran(body, &payload.to_string()).unwrap(),
        json!({"lines": [{"sku": "A", "quantity": 2}, {"sku": "C", "quantity": 3}], "total": 5})
    );
}

#[test]
fn a_script_sees_its_context_under_the_names_of_the_model() {
    let context = ScriptContext {
        org_id: 7,
        entity_rid: Some(8),
        event_type: Some("bill.generated".to_owned()),
        integration_id: "bills".to_owned(),
        headers: [("x-trace".to_owned(), "t".to_owned())].into(),
        query: [("q".to_owned(), "1".to_owned())].into(),
        params: [("id".to_owned(), "5".to_owned())].into(),
        status: Some(201),
        metadata: [("attempt".to_owned(), json!({"n": 2}))].into(),
        now: "2024-01-31T00:00:00Z".to_owned(),
        caller: CallerContext {
            name: Some("his".into()),
            claims: Some(std::sync::Arc::new(json!({"sub": "u1"}))),
        },
        tenant_id: Some(8),
        ..ScriptContext::default()
    };
    let body = r#"[context.orgId, context.entityRid, context.eventType, context.integrationId, context.headers["x-trace"],
        context.query.q, context.params.id, context.status, context.metadata.attempt.n, context.now,
        context.caller.name, context.caller.claims.sub, context.tenantId]"#;
    let output = run(&with_body(body), b"{}", &context).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&output).unwrap(),
        json!([
            7,
            8,
            "bill.generated",
            "bills",
            "t",
            "1",
            "5",
            201,
            2,
            "2024-01-31T00:00:00Z",
            "his",
            "u1",
            8
        ])
    );
}

#[test]
fn functions_and_constants_of_the_script_can_be_used() {
    let script = checked(
        "const RATE = 3;\nfn rated(n) { n * global::RATE }\nfn transform(payload, context) { rated(payload.n) }",
    )
    .unwrap();
    let output = run(&script, br#"{"n": 5}"#, &ScriptContext::default());
    assert_eq!(output.unwrap(), b"15");
}

#[test]
fn a_script_that_cannot_work_is_refused_with_its_place() {
    for (source, expected) in [
        (
            "fn transform(payload, context) {\n  let x = ;\n}",
            "script: line 2, column 11: ",
        ),
        (
            "fn transform(payload, context) {\n  unknown + 1\n}",
            "line 2, column 3: Undefined variable: unknown",
        ),
        ("let x = 1;", "the script has no function `transform`"),
        ("fn transform(payload) { payload }", "must have two parameters"),
        ("fn transform(a, b, c) { a }", "must have two parameters"),
        ("", "no function `transform`"),
    ] {
        let message = checked(source).unwrap_err();
        assert!(message.contains(expected), "{source}: {message}");
    }
    assert!(
        checked(&" ".repeat(MAX_SOURCE + 1))
            .unwrap_err()
            .contains("at most 65536 are allowed")
    );
    assert!(
        checked(&"(".repeat(MAX_SOURCE))
            .unwrap_err()
            .contains("maximum complexity")
    );
    assert!(checked(&format!("'{}", "x".repeat(50_000))).unwrap_err().len() < 400);
}

#[test]
fn doors_to_the_outside_are_closed() {
    for word in [
        "eval(\"1\")",
        "print(1)",
        "debug(1)",
        "import \"x\" as y",
        "curry(Fn(\"f\"), 1)",
    ] {
        let message = problem(word);
        assert!(
            message.contains("disabled") || message.contains("reserved"),
            "{word}: {message}"
        );
    }
    for method in ["Fn(\"f\").curry(1)", "\"1\".eval()", "1.print()"] {
        assert!(problem(method).contains("name of a property"), "{method}");
    }
    for call in ["sleep(5)", "sleep(0.5)", "Fn(\"sleep\").call(5)"] {
        assert_eq!(
            fault(call),
            ScriptFault::Runtime {
                line: Some(2),
                message: "`sleep` is not available in scripts".to_owned()
            }
        );
    }
    for call in [
        "Fn(\"eval\").call(\"1\")",
        "Fn(\"print\").call(1)",
        "timestamp()",
        "blob(5)",
        "open_file(\"x\")",
    ] {
        assert!(matches!(fault(call), ScriptFault::Runtime { .. }), "{call}");
    }
}

#[test]
fn whatever_runs_away_is_stopped() {
    let limit =
        |which| move |fault: &ScriptFault| matches!(fault, ScriptFault::Limit { which: met, .. } if *met == which);
    let operations = limit(Limit::Operations);
    let data = limit(Limit::DataSize);
    assert!(operations(&fault("loop { }")));
    assert!(operations(&fault("try { loop { } } catch { } 5")));
    assert!(data(&fault("let s = \"x\"; loop { s += s; }")));
    assert!(data(&fault("let a = []; loop { a.push(1); }")));
    assert!(data(&fault(
        "let m = #{}; for i in 0..3000 { let n = #{}; n[`k${i}`] = i; m += n; } m"
    )));
    assert!(data(&fault("let s = \"x\"; s.pad(9223372036854775807, \"y\"); s")));
    assert!(data(&fault("let a = []; a.pad(9223372036854775807, 1); a")));
    assert!(data(&fault(
        "let s = \"x\"; s.pad(200000, \"x\"); s.replace(\"x\", s); s"
    )));
    assert!(limit(Limit::Variables)(&fault(
        &(0..501).map(|i| format!("let v{i} = 1;")).collect::<String>()
    )));
    let recursion = checked("fn f(n) { f(n + 1) }\nfn transform(payload, context) { f(0) }").unwrap();
    let fault = run(&recursion, b"{}", &ScriptContext::default()).unwrap_err();
    assert!(
        matches!(
            fault,
            ScriptFault::Limit {
                which: Limit::Depth,
                ..
            }
        ),
        "{fault:?}"
    );
}

#[test]
fn a_caught_limit_does_not_let_a_script_go_on() {
    let body = "let s = \"x\"; s.pad(200000, \"y\"); let m = #{}; for i in 0..2000 { m[`${i}`] = s; }
        try { let t = `${m}`; } catch { } \"went on\"";
    assert!(matches!(
        fault(body),
        ScriptFault::Limit {
            which: Limit::DataSize,
            ..
        }
    ));
}

#[test]
fn the_callers_check_stops_a_script_for_good() {
    let mut runner = Runner::new();
    for reason in [Stopped::Deadline, Stopped::Memory] {
        let asked = Cell::new(0);
        // The check gives its reason once only; the run must end all the same.
        let stop = move || {
            asked.set(asked.get() + 1);
            (asked.get() == 100).then_some(reason)
        };
        let script = with_body("try { loop { } } catch { } loop { }");
        let fault = runner.run(&script, b"{}", &ScriptContext::default(), stop).unwrap_err();
        assert!(
            matches!(fault, ScriptFault::Stopped { reason: why, .. } if why == reason),
            "{fault}"
        );
    }
    let after = runner.run(&with_body("1"), b"{}", &ScriptContext::default(), || None);
    assert_eq!(after.unwrap(), b"1");
}

#[test]
fn a_panic_within_a_run_costs_that_run_only() {
    let mut runner = Runner::new();
    let script = with_body("1");
    let fault = runner.run(&script, b"{}", &ScriptContext::default(), || panic!("on purpose"));
    assert_eq!(fault.unwrap_err(), ScriptFault::Crashed);
    let after = runner.run(&script, b"{}", &ScriptContext::default(), || None);
    assert_eq!(after.unwrap(), b"1");
}

#[test]
fn deep_values_neither_overflow_the_stack_nor_go_out() {
    let body = "let a = []; for i in 0..800 { a = [[[[[[[[a]]]]]]]]; }
        let b = a; try { b == a; return \"compared\"; } catch { } a";
    let run = thread::Builder::new().stack_size(STACK_SIZE).spawn(|| fault(body));
    assert_eq!(
        run.unwrap().join().unwrap(),
        ScriptFault::BadOutput {
            message: "it is nested more than 127 levels deep".to_owned()
        }
    );
}

#[test]
fn failures_name_their_line() {
    for (body, line, expected) in [
        ("let x = 1;\nthrow \"no bill\"", 3, "no bill"),
        ("throw payload", 2, r#"{"items":[1,2]}"#),
        ("payload.bill.total", 2, "Unknown property 'total'"),
        ("\n\nno_such(1)", 4, "Function not found: no_such (i64)"),
        ("1 / 0", 2, "Division by zero"),
        ("9223372036854775807 + 1", 2, "Addition overflow"),
        ("payload.items[7]", 2, "out of bounds"),
    ] {
        match fault(body) {
            ScriptFault::Runtime { line: at, message } => {
                assert_eq!(at, Some(line), "{body}: {message}");
                assert!(message.contains(expected), "{body}: {message}");
            }
            other => panic!("{body}: {other:?}"),
        }
    }
    let inner = checked("fn f() {\n  throw 5\n}\nfn transform(payload, context) {\n f() }").unwrap();
    let fault = run(&inner, b"", &ScriptContext::default()).unwrap_err();
    assert_eq!(fault.to_string(), "the script failed in line 2: 5");
    let ScriptFault::Runtime { message, .. } = self::fault("let s = \"\"; s.pad(10000, \"x\"); throw s") else {
        panic!("it threw");
    };
    assert_eq!(message.len(), 303);
}

#[test]
fn a_missing_field_is_null_and_can_be_asked_for() {
    assert_eq!(
        ran("[payload.none, payload.none?.deeper, payload.none ?? 5]", "{}").unwrap(),
        json!([null, null, 5])
    );
}

#[test]
fn what_json_does_not_have_does_not_go_out() {
    for body in [
        "|x| x",
        "Fn(\"abc\")",
        "[1, [Fn(\"abc\")]]",
        "#{f: |x| x}",
        "1..3",
        "\"ab\".to_blob()",
        "0.0 / 0.0",
    ] {
        assert!(
            matches!(fault(body), ScriptFault::BadOutput { .. }),
            "{body}: {:?}",
            fault(body)
        );
    }
    let ScriptFault::BadOutput { message } = fault("payload.items = [];") else {
        panic!("it returned nothing");
    };
    assert!(message.contains("without a semicolon"), "{message}");
}

#[test]
fn values_of_all_kinds_pass_through_unchanged() {
    let payload = json!({
        "text": "ä\u{1F600}\"\\", "whole": i64::MIN, "fraction": 1.25, "yes": true, "nothing": null, "list": [[], {}], "": ""
    });
    assert_eq!(ran("payload", &payload.to_string()).unwrap(), payload);
    assert_eq!(ran("'c'", "{}").unwrap(), json!("c"));
}

#[test]
fn an_empty_body_is_nothing_and_may_stay_so() {
    let run = |body: &str, payload: &[u8]| run(&with_body(body), payload, &ScriptContext::default());
    assert_eq!(run("payload", b"").unwrap(), b"");
    assert_eq!(run("payload", b"null").unwrap(), b"null");
    assert_eq!(run("if payload == () { #{} } else { payload }", b"").unwrap(), b"{}");
}

#[test]
fn bodies_that_no_script_can_take_are_refused() {
    let run = |payload: &[u8]| run(&with_body("payload"), payload, &ScriptContext::default());
    let deep = "[".repeat(100_000);
    let large = format!("\"{}\"", "x".repeat(MAX_BODY));
    for (payload, expected) in [
        (&b"{"[..], "it is not JSON"),
        (b"<xml/>", "it is not JSON"),
        (b"\xff", "it is not JSON"),
        (b"{} {}", "it is not JSON"),
        (deep.as_bytes(), "recursion limit"),
        (large.as_bytes(), "scripts take at most 1048576"),
    ] {
        match run(payload) {
            Err(ScriptFault::BadInput { message }) => assert!(message.contains(expected), "{message}"),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[test]
fn the_result_has_a_cap() {
    let body = "let s = \"\"; s.pad(200000, \"x\"); let a = [0, 0, 0, 0, 0, 0]; for i in 0..6 { a[i] = s; } a";
    assert!(matches!(
        fault(body),
        ScriptFault::Limit {
            which: Limit::OutputSize,
            ..
        }
    ));
}

#[test]
fn texts_of_lists_and_maps_are_json() {
    let body = "const C = [1, \"a\"]; let m = #{b: C}; [C.to_string(), `${C}`, m.to_json(), \"\" + m, parse_json(m.to_json())]";
    assert_eq!(
        ran(body, "{}").unwrap(),
        json!(["[1,\"a\"]", "[1,\"a\"]", "{\"b\":[1,\"a\"]}", "{\"b\":[1,\"a\"]}", {"b": [1, "a"]}])
    );
    assert!(matches!(fault("parse_json(\"{\")"), ScriptFault::Runtime { .. }));
}

#[test]
fn equality_goes_by_value() {
    let body = r#"[
        [1, [2, "x"]] == [1.0, [2, "x"]], [1] == [2], [1] == [1, 1], #{a: #{}} == #{a: #{}}, #{a: 1} == #{b: 1},
        [()] == [()], [true, 'c'] == [true, 'c'], [1] != [2], [1] == 1, [[1]].contains([1]), ["1"] == [1]
    ]"#;
    assert_eq!(
        ran(body, "{}").unwrap(),
        json!([true, false, false, true, false, true, true, true, false, true, false])
    );
}

#[test]
fn replace_works_as_in_the_package() {
    let body = r#"let r = []; for pair in [["a", "bc"], ["a", 'x'], ['a', ""], ['a', 'y'], ["", "-"]] {
        let s = "banana"; s.replace(pair[0], pair[1]); r.push(s); } r"#;
    assert_eq!(
        ran(body, "{}").unwrap(),
        json!(["bbcnbcnbc", "bxnxnx", "bnn", "bynyny", "-b-a-n-a-n-a-"])
    );
}

#[test]
fn a_runner_compiles_a_script_once_and_forgets_in_time() {
    let mut runner = Runner::new();
    for round in 0..2 {
        for index in 0..600 {
            let script = with_body(&format!("{index} + {round}"));
            let output = runner.run(&script, b"", &ScriptContext::default(), || None).unwrap();
            assert_eq!(output, (index + round).to_string().into_bytes());
        }
    }
    assert!(format!("{runner:?}").contains("compiled: 200"), "{runner:?}");
}

#[test]
fn a_large_body_can_be_read_but_not_changed_in_place() {
    let payload = json!({"a": "x".repeat(150_000), "b": "y".repeat(150_000), "c": 1}).to_string();
    assert_eq!(ran("#{c: payload.c, a: payload.a}.c", &payload).unwrap(), json!(1));
    let changed = ran("payload.c = 2; payload", &payload).unwrap_err();
    assert!(
        matches!(
            changed,
            ScriptFault::Limit {
                which: Limit::DataSize,
                ..
            }
        ),
        "{changed}"
    );
}

#[test]
fn limits_on_the_page_are_those_of_the_code() {
    let page = include_str!("../../../docs/transforms.md");
    for (limit, shown) in [
        (engine::MAX_OPERATIONS.to_string(), "200,000 "),
        (engine::MAX_CALLS.to_string(), "32 "),
        (engine::MAX_VARIABLES.to_string(), "500 "),
        (engine::MAX_TEXT.to_string(), "262,144 bytes of text"),
        (engine::MAX_LIST.to_string(), "10,000 items"),
        (engine::MAX_MAP.to_string(), "2,000 fields"),
    ] {
        assert!(page.contains(shown), "{shown}");
        let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
        assert_eq!(digits, limit);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_source_is_compiled_or_refused(source in ".{0,200}") {
        let mut problems = Vec::new();
        prop_assert_eq!(Script::check(&source, "s", &mut problems).is_none(), !problems.is_empty());
    }

    #[test]
    fn any_bytes_pass_through_or_are_refused(payload in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(output) = run(&with_body("payload"), &payload, &ScriptContext::default()) {
            prop_assert!(output.is_empty() || serde_json::from_slice::<Value>(&output).is_ok());
        }
    }
}
