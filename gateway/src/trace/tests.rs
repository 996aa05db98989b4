use std::collections::HashSet;
use std::time::Duration;

use super::*;

/// The example of the specification, section 3.2.3.
const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn request_id(values: &[&str]) -> RequestId {
    let now = UNIX_EPOCH + Duration::from_millis(0x0190_0000_0000);
    RequestId::of(&headers(&X_REQUEST_ID, values), now)
}

fn context(values: &[&str]) -> TraceContext {
    TraceContext::of(&headers(&TRACEPARENT, values))
}

#[test]
fn a_safe_request_id_is_taken() {
    let longest = "x".repeat(128);
    for id in ["a", "1-2._~:/+=@Z", "7b1f9c52-0000-7000-8000-000000000000", &longest] {
        assert_eq!(request_id(&[id]).as_str(), id);
        assert_eq!(request_id(&[id]).value(), id);
    }
}

#[test]
fn an_unsafe_request_id_is_replaced() {
    let too_long = "x".repeat(129);
    let cases: [&[&str]; 9] = [
        &[],
        &[""],
        &["two words"],
        &["\"quoted\""],
        &["${jndi:ldap}"],
        &["<b>"],
        &["é"],
        &[&too_long],
        &["one", "another"],
    ];
    for values in cases {
        let id = request_id(values);
        let uuid = uuid::Uuid::parse_str(id.as_str()).unwrap_or_else(|error| panic!("{values:?}: {error}"));
        assert_eq!(uuid.get_version_num(), 7, "{values:?}");
        assert!(
            id.as_str().starts_with("01900000-0000-7"),
            "{id} does not start with the time"
        );
    }
}

#[test]
fn made_ids_differ() {
    let ids: HashSet<_> = (0..1000).map(|_| request_id(&[]).to_string()).collect();
    assert_eq!(ids.len(), 1000);
}

#[test]
fn a_valid_trace_is_continued_in_a_span_of_our_own() {
    let context = context(&[EXAMPLE]);
    assert!(context.is_continued() && context.is_sampled());
    assert_eq!(hex::encode(context.trace_id()), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(context.parent().map(hex::encode).as_deref(), Some("00f067aa0ba902b7"));
    assert_ne!(Some(context.span_id()), context.parent());

    let span = hex::encode(context.span_id());
    assert_eq!(
        context.value(),
        format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{span}-01").as_str()
    );
}

#[test]
fn flags_are_kept_as_far_as_they_are_defined() {
    let outgoing = |flags: &str| {
        let context = context(&[&format!("{}{flags}", &EXAMPLE[..53])]);
        context.value().to_str().unwrap()[53..].to_owned()
    };
    assert_eq!(outgoing("00"), "00");
    assert_eq!(outgoing("01"), "01");
    assert_eq!(outgoing("03"), "03");
    assert_eq!(outgoing("ff"), "03");
}

#[test]
fn a_later_version_is_read_as_far_as_it_is_known_and_answered_as_version_00() {
    for value in [
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-will-be-like",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
    ] {
        let context = context(&[value]);
        assert!(context.is_continued(), "{value}");
        assert!(
            context
                .value()
                .as_bytes()
                .starts_with(b"00-4bf92f3577b34da6a3ce929d0e0e4736-")
        );
    }
}

#[test]
fn an_invalid_trace_is_not_continued() {
    let cases: [&[&str]; 16] = [
        &[],
        &[""],
        &[EXAMPLE, EXAMPLE],
        &["00-00000000000000000000000000000000-00f067aa0ba902b7-01"],
        &["00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"],
        &["00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"],
        &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra"],
        &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"],
        &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"],
        &["00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01-"],
        &["00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01"],
        &["00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01"],
        &["ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
        &["cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.extra"],
        &[".0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
        &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-.1"],
    ];
    for values in cases {
        let context = context(values);
        assert!(!context.is_continued() && !context.is_sampled(), "{values:?}");
        assert_ne!(
            hex::encode(context.trace_id()),
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "{values:?}"
        );
        assert!(Parent::parse(context.value().as_bytes()).is_some(), "our own is valid");
    }
}
