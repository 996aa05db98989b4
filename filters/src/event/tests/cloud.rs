//! CloudEvents: as JSON and with their attributes in header fields.

use serde_json::json;

use super::{binary, cloud_body, text};

#[test]
fn a_cloud_event_as_json_has_our_extensions_in_their_places_and_keeps_the_others() {
    let event = cloud_body(&json!({
        "orgid": "648", "entityrid": 7, "actionid": 1, "correlationid": "c", "subject": "s",
        "statuscallback": "https://his.example/done", "time": "2026-01-31T08:30:00Z", "datacontenttype": "application/json",
        "dataschema": "https://his.example/bill", "sequence": 12, "retried": false, "tracestate": "a=b", "nothing": null,
        "data": {"z": 1, "a": [1.0]}
    }))
    .event();
    assert_eq!(event.head.entity_rid, Some(7));
    assert_eq!(event.head.correlation_id.as_deref(), Some("c"));
    assert_eq!(event.head.status_callback.as_deref(), Some("https://his.example/done"));
    assert_eq!(event.head.data_content_type, None);
    let extensions =
        json!({"dataschema": "https://his.example/bill", "sequence": 12, "retried": false, "tracestate": "a=b"});
    assert_eq!(json!(event.head.extensions), extensions);
    assert_eq!(text(&event), r#"{"z":1,"a":[1.0]}"#);
}

#[test]
fn data_of_a_cloud_event_is_what_its_media_type_says() {
    for (extra, media_type, payload) in [
        (json!({}), None, "null"),
        (json!({"data": "text"}), None, "\"text\""),
        (
            json!({"data": "<a/>", "datacontenttype": "text/xml"}),
            Some("text/xml"),
            "<a/>",
        ),
        (
            json!({"data": 5, "datacontenttype": "application/x+json"}),
            Some("application/x+json"),
            "5",
        ),
        (json!({"data_base64": "eyJhIjogMX0="}), None, "{\"a\": 1}"),
        (
            json!({"data_base64": "AAE=", "datacontenttype": "image/png"}),
            Some("image/png"),
            "\u{0}\u{1}",
        ),
    ] {
        let event = cloud_body(&extra).event();
        assert_eq!(event.head.data_content_type.as_deref(), media_type, "{extra}");
        assert_eq!(text(&event), payload, "{extra}");
    }
}

#[test]
fn a_binary_cloud_event_has_its_attributes_in_header_fields() {
    let headers = [
        ("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ("ce-entityrid", "7"),
        ("ce-orgid", "648"),
        ("ce-quoted", "\"a \\\"b\\\" %41\""),
        (
            "ce-traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
    ];
    let event = binary(&headers, "application/json", r#"{"b":1, "a":2}"#).event();
    assert_eq!(event.head.subject.as_deref(), Some("Euro € 😀"));
    assert_eq!(event.head.entity_rid, Some(7));
    assert_eq!(event.head.extensions["quoted"], "a \"b\" A");
    assert_eq!(event.head.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(event.head.data_content_type, None);
    assert_eq!(text(&event), r#"{"b":1, "a":2}"#);

    let image = binary(&[], "image/png", vec![0xff, 0x00]).event();
    assert_eq!(image.head.data_content_type.as_deref(), Some("image/png"));
    assert_eq!(image.payload.as_ref(), [0xff, 0x00]);
    assert_eq!(text(&binary(&[], "application/json", "").event()), "null");
}

#[test]
fn each_bad_attribute_of_a_cloud_event_is_named() {
    for (extra, told) in [
        (json!({"specversion": "0.3"}), "specversion: \"0.3\" must be 1.0"),
        (json!({"specversion": null}), "specversion: is missing"),
        (json!({"id": null}), "id: is missing; CloudEvents 1.0 requires it"),
        (json!({"id": 5}), "id: must be a text"),
        (json!({"type": "nope"}), "type: \"nope\" is no event type"),
        (json!({"orgid": "x"}), "orgid: must be a whole number"),
        (json!({"entityrid": -1}), "entityrid: must be a whole number"),
        (json!({"actionid": true}), "actionid: must be a whole number"),
        (json!({"orgId": 648}), "orgId: is no attribute's name"),
        (
            json!({"ext": {"a": 1}}),
            "ext: must be a text, a whole number, true or false, not an object",
        ),
        (
            json!({"ext": 1.5}),
            "ext: must be a text, a whole number, true or false, not a number",
        ),
        (
            json!({"data": 1, "data_base64": "AAE="}),
            "data_base64: is there beside `data`",
        ),
        (json!({"data_base64": "%"}), "data_base64: is no base64"),
        (json!({"data_base64": "AAE="}), "data_base64: is no JSON"),
        (
            json!({"data": 5, "datacontenttype": "text/xml"}),
            "data: must be a text, as `datacontenttype` is \"text/xml\"",
        ),
        (
            json!({"datacontenttype": "xml", "data": ""}),
            "datacontenttype: must be a media type",
        ),
    ] {
        let problems = cloud_body(&extra).problems();
        assert_eq!(problems.len(), 1, "{extra} {problems:?}");
        assert!(problems[0].starts_with(told), "{extra} {problems:?}");
    }
}

#[test]
fn each_bad_header_field_of_a_binary_event_is_named() {
    for (headers, body, told) in [
        (
            vec![("ce-specversion", "2.0")],
            "{}",
            "ce-specversion: \"2.0\" must be 1.0",
        ),
        (
            vec![("ce-entityrid", "seven")],
            "{}",
            "ce-entityrid: must be a whole number",
        ),
        (
            vec![("ce-subject", "%ff")],
            "{}",
            "ce-subject: has percent-encoded bytes that are no UTF-8",
        ),
        (
            vec![("ce-subject", "\"open")],
            "{}",
            "ce-subject: has a quotation mark that is not closed",
        ),
        (
            vec![("ce-subject", "a%0Ab")],
            "{}",
            "ce-subject: must not hold control characters",
        ),
        (
            vec![("ce-datacontenttype", "text/xml")],
            "{}",
            "ce-datacontenttype: is no header field",
        ),
        (vec![("ce-my_ext", "x")], "{}", "ce-my_ext: is no attribute's name"),
        (vec![("ce-type", "nope")], "{}", "ce-type: \"nope\" is no event type"),
        (vec![], "{", "is no JSON"),
    ] {
        let problems = binary(&headers, "application/json", body).problems();
        assert_eq!(problems.len(), 1, "{headers:?} {problems:?}");
        assert!(problems[0].starts_with(told), "{headers:?} {problems:?}");
    }
}
