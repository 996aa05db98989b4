//! The standard library.

use std::sync::Arc;

use super::*;
use crate::lookup::Tables;
use crate::variable::Environment;

fn tables() -> Tables {
    let lookup = json!({"id": "t", "orgId": 1, "name": "wards", "entries": {
        "7": {"name": "Ward A"}, "icu": "Intensive care"
    }});
    let table = Table::new(Arc::new(serde_json::from_value(lookup).unwrap()), [0; 32]);
    Tables::from([(table.name().into(), Arc::new(table))])
}

fn evaluated(expression: &str) -> Result<Value, String> {
    let mut problems = Vec::new();
    let source = format!("fn transform(payload, context) {{ {expression} }}");
    let script = Script::check(&source, "", &mut problems).unwrap_or_else(|| panic!("{problems:?}"));
    let allowed = ["REGION".to_owned()];
    let environment = [("REGION", "south"), ("HOME", "/")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let context = ScriptContext {
        org_id: 648,
        tenant_id: Some(7001),
        integration_id: "labs".to_owned(),
        now: "2026-03-02T09:30:00Z".to_owned(),
        env: Environment::of(&allowed, environment),
        seed: [7; 16],
        ..ScriptContext::default()
    };
    let output = Runner::new().run(&script.with_tables(&tables()), b"{}", &context, || None);
    let output = output.map_err(|fault| fault.to_string())?;
    Ok(serde_json::from_slice(&output).unwrap())
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
#[test]
fn each_function_does_what_the_page_says() {
    for (expression, expected) in [
        ("now_ms()", json!(1_772_443_800_000_i64)),
        (r#"parse_date("2026-03-02T09:30:00Z")"#, json!(1_772_443_800_000_i64)),
        (
            r#"parse_date("02/03/2026 15:00", "%d/%m/%Y %H:%M", "Asia/Kolkata")"#,
            json!(1_772_443_800_000_i64),
        ),
        (r#"parse_date("2026-03-02", "%Y-%m-%d")"#, json!(1_772_409_600_000_i64)),
        ("format_date(0)", json!("1970-01-01T00:00:00Z")),
        (r#"format_date(0, "%d.%m.%Y")"#, json!("01.01.1970")),
        (r#"format_date(0, "%H:%M", "Asia/Kolkata")"#, json!("05:30")),
        ("format_date(add_days(0, 31))", json!("1970-02-01T00:00:00Z")),
        (
            r#"format_date(add_days(1774652400000, 1, "Europe/Berlin"), "%d %H:%M", "Europe/Berlin")"#,
            json!("29 00:00"),
        ),
        (
            "format_date(add_months(parse_date(\"2026-01-31\"), 1))",
            json!("2026-02-28T00:00:00Z"),
        ),
        (r#"base64_encode("Asha é")"#, json!("QXNoYSDDqQ==")),
        (r#"base64_decode("QXNoYSDDqQ==")"#, json!("Asha é")),
        (r#"base64url_encode("a?>")"#, json!("YT8-")),
        (r#"base64url_decode("YT8-")"#, json!("a?>")),
        (r#"hex_decode(hex_encode("ab"))"#, json!("ab")),
        (r#"url_encode("a b/é")"#, json!("a%20b%2F%C3%A9")),
        (r#"url_decode("a%20b")"#, json!("a b")),
        (r#"sha1("")"#, json!("da39a3ee5e6b4b0d3255bfef95601890afd80709")),
        (
            r#"sha256("abc")"#,
            json!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ),
        (r#"sha512("abc").len()"#, json!(128)),
        // RFC 4231, test case 2.
        (
            r#"hmac_sha256("Jefe", "what do ya want for nothing?")"#,
            json!("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ),
        (
            r#"hmac_sha256_base64("Jefe", "what do ya want for nothing?").len()"#,
            json!(44),
        ),
        (
            r#"uuid_of("a") == uuid_of("a") && uuid_of("a") != uuid_of("b")"#,
            json!(true),
        ),
        ("uuid() != uuid()", json!(true)),
        (r#"regex_matches("MRN-123", "^MRN-\\d+$")"#, json!(true)),
        (r#"regex_find("a 12 b 34", "\\d+")"#, json!("12")),
        (r#"regex_find("a", "\\d+") ?? "none""#, json!("none")),
        (r#"regex_find_all("a 12 b 34", "\\d+")"#, json!(["12", "34"])),
        (
            r#"regex_captures("2026-03", "(\\d+)-(\\d+)(x)?")"#,
            json!(["2026-03", "2026", "03", null]),
        ),
        (r#"regex_split("a, b;c", "[,;] *")"#, json!(["a", "b", "c"])),
        (
            r#"regex_replace("2026-03", "(\\d+)-(\\d+)", "$2/$1")"#,
            json!("03/2026"),
        ),
        (r#"lookup("wards", "icu")"#, json!("Intensive care")),
        (r#"lookup("wards", 7).name"#, json!("Ward A")),
        (r#"lookup("wards", "x", "none")"#, json!("none")),
        (r#"lookup("wards", (), "none")"#, json!("none")),
        (r#"lookup_key("wards", "Intensive care")"#, json!("icu")),
        (r#"lookup_key("wards", "Ward A", "name")"#, json!("7")),
        (r#"lookup_key("wards", "x") ?? "none""#, json!("none")),
        (
            r#"fill("{{config.tenantId}}/{{config.integrationId}}/{{date.today()}}/{{env.REGION}}")"#,
            json!("7001/labs/2026-03-02/south"),
        ),
        (r#"env("REGION")"#, json!("south")),
    ] {
        assert_eq!(evaluated(expression), Ok(expected), "{expression}");
    }
}

#[test]
fn random_identifiers_are_of_version_4_and_follow_the_seed() {
    let Value::String(text) = evaluated("uuid()").unwrap() else {
        panic!("no text");
    };
    assert_eq!((text.len(), &text[14..15]), (36, "4"));
    assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
}

#[test]
fn wrong_arguments_fail_with_the_reason() {
    for (expression, expected) in [
        (r#"parse_date("x")"#, "`parse_date`:"),
        (
            r#"format_date(0, "%H", "Mars/North")"#,
            "`Mars/North` is not an IANA time zone",
        ),
        ("format_date(9223372036854775807)", "line 1"),
        (r#"base64_decode("*")"#, "`base64_decode`:"),
        (r#"base64_decode("/w==")"#, "what comes out is no text"),
        (r#"regex_matches("a", "(")"#, "the pattern is not usable"),
        (r#"regex_matches("a", "(a{1000}){1000}")"#, "the pattern is not usable"),
        (
            r#"lookup("nowhere", "a")"#,
            "the organization has no lookup table `nowhere`",
        ),
        (
            r#"lookup("wards", "x")"#,
            "`lookup`: the key is not in the table `wards`",
        ),
        (r#"lookup("wards", [])"#, "a key of a lookup table is"),
        (r#"env("HOME")"#, "`env`: `HOME` is not set"),
        (r#"fill("{{env.HOME}}")"#, "`{{env.HOME}}` is not set"),
        (r#"fill("{{date.soon()}}")"#, "is no variable"),
    ] {
        let fault = evaluated(expression).unwrap_err();
        assert!(fault.contains(expected), "{expression}: {fault}");
    }
}

#[test]
fn many_matches_end_with_the_run() {
    let mut problems = Vec::new();
    let source = r#"fn transform(payload, context) {
        let text = ""; text.pad(200000, "a");
        regex_find_all(text, ".*[^a]|a").len()
    }"#;
    let script = Script::check(source, "", &mut problems).unwrap();
    let asked = std::rc::Rc::new(std::cell::Cell::new(0));
    let count = std::rc::Rc::clone(&asked);
    let stop = move || {
        count.set(count.get() + 1);
        (count.get() > 100).then_some(Stopped::Deadline)
    };
    let fault = Runner::new()
        .run(&script, b"{}", &ScriptContext::default(), stop)
        .unwrap_err();
    assert!(matches!(fault, ScriptFault::Stopped { .. }), "{fault}");
    assert!(asked.get() < 300, "it went on after it was to end");
}
