mod cloud;
mod list;
mod properties;

use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;

use super::*;
use crate::compile;
use crate::model::Snapshot;

fn plan() -> EventPlan {
    let document = json!({
        "eventTypes": [
            {"orgId": 648, "eventType": "bill.generated", "actionId": 1},
            {"orgId": 648, "eventType": "patient.registered", "actionId": 57, "schema": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "ages": {"type": "array", "items": {"type": "integer"}}}
            }},
            {"orgId": 649, "eventType": "elsewhere", "actionId": 2}
        ]
    });
    compile(&Snapshot::from_document(&document).unwrap(), None)
        .unwrap()
        .events
}

/// A request as a producer of organization 648 makes it.
struct Request {
    headers: HeaderMap,
    body: Bytes,
    most_events: usize,
    atomic: bool,
}

fn request(content_type: &str, body: impl Into<Bytes>) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    Request {
        headers,
        body: body.into(),
        most_events: 1_000,
        atomic: false,
    }
}

fn plain_body(body: &Value) -> Request {
    request("application/json", body.to_string())
}

fn cloud_body(extra: &Value) -> Request {
    let mut body = json!({"specversion": "1.0", "id": "e-1", "source": "/his", "type": "bill.generated"});
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    request("application/cloudevents+json", body.to_string())
}

fn binary(headers: &[(&'static str, &str)], content_type: &str, body: impl Into<Bytes>) -> Request {
    let mut made = request(content_type, body);
    let base = [
        ("ce-specversion", "1.0"),
        ("ce-id", "e-1"),
        ("ce-source", "/his"),
        ("ce-type", "bill.generated"),
    ];
    for (name, value) in base.iter().chain(headers) {
        made.headers
            .insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    made
}

impl Request {
    fn decode(self) -> Result<Batch, EventFault> {
        let mut count = 0;
        let mut new_id = || {
            count += 1;
            format!("made-{count}")
        };
        let incoming = Incoming {
            org_id: 648,
            producer: "his",
            headers: &self.headers,
            body: self.body,
            trace_id: "0123456789abcdef0123456789abcdef",
            new_id: &mut new_id,
            most_events: self.most_events,
            atomic: self.atomic,
        };
        decode(incoming, &plan())
    }

    fn event(self) -> Event {
        let batch = self.decode().unwrap();
        assert!(!batch.is_list);
        batch.items.into_iter().next().unwrap().unwrap().event
    }

    fn fault(self) -> EventFault {
        self.decode().unwrap_err()
    }

    /// `path: message` of each problem.
    fn problems(self) -> Vec<String> {
        self.fault().problems.iter().map(ToString::to_string).collect()
    }
}

fn text(event: &Event) -> &str {
    std::str::from_utf8(&event.payload).unwrap()
}

#[test]
fn a_plain_event_has_all_its_fields_and_its_payload_untouched() {
    let body = r#" {"eventType": "bill.generated", "orgId": 648, "entityRid": 7, "id": "b-1", "source": "billing",
        "subject": "bill 1", "time": "2026-01-31T08:30:00+05:30", "correlationId": "c-1",
        "integration_status_callback": "https://his.example/done",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "payload": {"b": 1.10, "a": 12345678901234567890123, "b": "\u00e9"}} "#;
    let event = request("application/json; charset=UTF-8", body).event();
    assert_eq!(
        text(&event),
        r#"{"b": 1.10, "a": 12345678901234567890123, "b": "\u00e9"}"#
    );
    let expected = EventHead {
        org_id: 648,
        id: "b-1".into(),
        source: "billing".into(),
        event_type: "bill.generated".into(),
        action_id: Some(1),
        entity_rid: Some(7),
        subject: Some("bill 1".into()),
        time: Some("2026-01-31T08:30:00+05:30".into()),
        data_content_type: None,
        correlation_id: Some("c-1".into()),
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".into(),
        status_callback: Some("https://his.example/done".into()),
        extensions: Default::default(),
    };
    assert_eq!(event.head, expected);
}

#[test]
fn what_a_plain_event_leaves_out_comes_from_the_key_and_the_type() {
    let event = plain_body(&json!({"actionId": 1, "payload": null, "time": null})).event();
    assert_eq!(event.head.event_type, "bill.generated");
    assert_eq!((event.head.org_id, event.head.action_id), (648, Some(1)));
    assert_eq!((event.head.id.as_str(), event.head.source.as_str()), ("made-1", "his"));
    assert_eq!(event.head.trace_id, "0123456789abcdef0123456789abcdef");
    assert_eq!(text(&event), "null");
    let named =
        plain_body(&json!({"eventType": "bill.generated", "actionId": 1, "eventId": "x", "payload": []})).event();
    assert_eq!(named.head.id, "x");
}

#[test]
fn requests_that_are_no_events_say_so() {
    for (request, status, told) in [
        (
            request("text/plain", "{}"),
            415,
            "content-type: \"text/plain\" must be application/json",
        ),
        (
            request("application/cloudevents+avro", "x"),
            415,
            "content-type: \"application/cloudevents+avro\" must be",
        ),
        (request("application/json; charset=latin1", "{}"), 415, "content-type: "),
        (request("application/json", "{\"a\": "), 400, "EOF while parsing"),
        (request("application/json", vec![0x7b, 0xff]), 400, "is not UTF-8"),
        (request("application/json", ""), 400, "EOF"),
        (request("application/json", "7"), 400, "expected an object"),
        (request("application/json", "{} {}"), 400, "trailing characters"),
        (request("application/json", "[] []"), 400, "trailing characters"),
        (request("application/json", "[]"), 400, "holds no event"),
        (
            request("application/cloudevents-batch+json", "{}"),
            400,
            "expected a list",
        ),
        (plain_body(&json!({"events": 5})), 400, "events: invalid type"),
        (
            plain_body(&json!({"events": [], "atomic": 1, "x": 0})),
            400,
            "atomic: must be true or false, not a number",
        ),
    ] {
        let body = request.body.clone();
        let fault = request.fault();
        assert_eq!(fault.status().as_u16(), status, "{body:?} {fault:?}");
        assert!(
            fault.problems[0].to_string().starts_with(told) || fault.problems[0].message.contains(told),
            "{fault:?}"
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of cases")]
fn each_bad_field_of_a_plain_event_is_named() {
    let base = json!({"eventType": "bill.generated", "payload": {}});
    for (field, value, told) in [
        ("orgId", json!("648"), "orgId: must be a whole number, not \"648\""),
        ("orgId", json!(1.5), "orgId: must be a whole number, not 1.5"),
        ("orgId", json!(649), "orgId: 649 is not the organization of this key"),
        ("entityRid", json!(0), "entityRid: must be above 0"),
        ("entityRid", json!(-1), "entityRid: -1 is out of range"),
        ("entityRid", json!([1]), "entityRid: must be a whole number, not a list"),
        ("eventType", json!(5), "eventType: must be a text, not a number"),
        (
            "eventType",
            json!("bil.generated"),
            "eventType: \"bil.generated\" is no event type of organization 648",
        ),
        (
            "eventType",
            json!("elsewhere"),
            "eventType: \"elsewhere\" is no event type of organization 648",
        ),
        (
            "actionId",
            json!(99),
            "actionId: 99 is no action id of organization 648",
        ),
        (
            "actionId",
            json!(57),
            "actionId: \"bill.generated\" and action id 57 are two event types",
        ),
        ("id", json!(""), "id: must not be empty"),
        ("id", json!("x".repeat(257)), "id: is 257 bytes long; at most 256"),
        ("source", json!("a\nb"), "source: must not hold control characters"),
        ("source", json!("x".repeat(1_025)), "source: is 1025 bytes long"),
        ("time", json!("yesterday"), "time: must be a time in RFC 3339"),
        (
            "statusCallback",
            json!("his.example"),
            "statusCallback: is not an http or https address",
        ),
        (
            "statusCallback",
            json!("http://his.example"),
            "statusCallback: has no TLS",
        ),
        (
            "colour",
            json!(1),
            "colour: is no field of an event; there are eventType, actionId",
        ),
        ("events ", json!(1), "events : is no field of an event"),
    ] {
        let mut body = base.clone();
        body[field] = value;
        let problems = plain_body(&body).problems();
        assert_eq!(problems.len(), 1, "{body} {problems:?}");
        assert!(problems[0].starts_with(told), "{body} {problems:?}");
    }
    for (body, told) in [
        (
            json!({"payload": {}}),
            "eventType: is missing; give `eventType` or `actionId`",
        ),
        (json!({"eventType": "bill.generated"}), "payload: is missing"),
        (
            json!({"eventType": "bill.generated", "payload": {}, "id": "a", "eventId": "b"}),
            "eventId: is the same as `id`",
        ),
    ] {
        assert!(plain_body(&body).problems()[0].starts_with(told), "{body}");
    }
}

#[test]
fn faults_of_one_event_are_told_together_with_the_gravest_status() {
    let body = json!({"eventType": "nope", "payload": {}, "time": "x", "orgId": 1, "y": 0});
    let fault = plain_body(&body).fault();
    assert_eq!(fault.problems.len(), 4, "{fault:?}");
    assert_eq!((fault.status(), fault.code()), (StatusCode::FORBIDDEN, "FORBIDDEN"));
    let unknown = plain_body(&json!({"eventType": "nope", "payload": {}})).fault();
    assert_eq!((unknown.status().as_u16(), unknown.code()), (400, "UNKNOWN_EVENT_TYPE"));
    assert!(unknown.problems[0].message.contains("/api/v1/event-types"));
}

#[test]
fn an_identifier_that_is_no_unicode_is_told_apart_from_one_that_is_no_text() {
    let half = r#"{"eventType": "bill.generated", "payload": {}, "id": "\ud800"}"#;
    let told = ["id: must be Unicode; it holds one half of a surrogate pair"];
    assert_eq!(request("application/json", half).problems(), told);
    let half = r#"{"specversion": "1.0", "id": "\ud800", "source": "/his", "type": "bill.generated"}"#;
    assert_eq!(request("application/cloudevents+json", half).problems()[0], told[0]);
}

#[test]
fn an_empty_event_type_is_one_problem() {
    let empty = plain_body(&json!({"eventType": "", "payload": {}}));
    assert_eq!(empty.problems(), ["eventType: must not be empty"]);
}

#[test]
fn a_compressed_body_is_told_to_be_one() {
    let mut compressed = request("application/json", &b"\x1f\x8b\x08"[..]);
    let coding = HeaderValue::from_static("gzip");
    compressed.headers.insert(header::CONTENT_ENCODING, coding);
    let fault = compressed.fault();
    assert_eq!(fault.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(fault.problems[0].path, "content-encoding");
}

#[test]
fn nothing_of_an_envelope_may_be_there_twice() {
    let twice = r#"{"eventType": "bill.generated", "payload": {}, "orgId": 648, "orgId": 648}"#;
    assert_eq!(
        request("application/json", twice).problems(),
        ["orgId: is there twice; give it once"]
    );
    let mut headers = binary(&[], "application/json", "{}");
    headers.headers.append("ce-id", HeaderValue::from_static("other"));
    assert_eq!(headers.problems(), ["ce-id: is there twice; give it once"]);
}

#[test]
fn payloads_that_nobody_could_read_later_are_refused() {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for (payload, told) in [
        (deep(MAX_DEPTH + 1), "payload: is nested 65 levels deep; at most 64"),
        (deep(100_000), "payload: is nested 100000 levels deep"),
        ("[1e999]".to_owned(), "payload: cannot be read: number out of range"),
        (r#"{"a": "\ud800"}"#.to_owned(), "payload: cannot be read: "),
    ] {
        let body = format!("{{\"eventType\": \"bill.generated\", \"payload\": {payload}}}");
        let problems = request("application/json", body).problems();
        assert!(problems[0].starts_with(told), "{problems:?}");
    }
    let body = format!(
        "{{\"eventType\": \"bill.generated\", \"payload\": {}}}",
        deep(MAX_DEPTH)
    );
    assert_eq!(text(&request("application/json", body).event()).len(), 2 * MAX_DEPTH);
}

#[test]
fn a_payload_is_held_against_the_schema_of_its_type() {
    let good = plain_body(&json!({"actionId": 57, "payload": {"name": "Ada", "ages": [1]}}));
    let batch = good.decode().unwrap();
    let decoded = batch.items.into_iter().next().unwrap().unwrap();
    assert_eq!(decoded.parsed, Some(json!({"name": "Ada", "ages": [1]})));

    let bad = plain_body(&json!({"actionId": 57, "payload": {"ages": [1, "SECRET"]}})).fault();
    assert_eq!((bad.status().as_u16(), bad.code()), (422, "SCHEMA_VIOLATION"));
    let paths: Vec<&str> = bad.problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["payload", "payload.ages[1]"], "{bad:?}");
    assert!(!format!("{bad:?}").contains("SECRET"), "{bad:?}");

    let text = cloud_body(&json!({"type": "patient.registered", "datacontenttype": "text/plain", "data": "x"})).fault();
    assert_eq!(
        text.problems[0].to_string(),
        "datacontenttype: must be JSON, as the event type has a schema"
    );
}

#[test]
fn a_repeat_has_the_same_key_and_each_event_without_any_id_its_own() {
    let keys = |body: Value| -> Vec<[u8; 16]> {
        let batch = plain_body(&body).decode().unwrap();
        batch
            .items
            .iter()
            .map(|item| item.as_ref().unwrap().dedupe_key)
            .collect()
    };
    let named = json!({"eventType": "bill.generated", "id": "a", "payload": {}});
    let other = json!({"eventType": "bill.generated", "id": "a", "payload": {"x": 1}, "source": "his"});
    let unnamed = json!({"eventType": "bill.generated", "payload": {"id": 5, "x": 1}});
    let bare = json!({"eventType": "bill.generated", "payload": {"x": 1}});
    let list = keys(json!([named, other, unnamed, unnamed, bare, bare]));
    assert_eq!(list[0], list[1]);
    assert_eq!(list[2], list[3]);
    assert_ne!(list[4], list[5]);
    assert_eq!(keys(named)[0], list[0]);
}
