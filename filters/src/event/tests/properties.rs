//! What holds for any request.

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::is_json;
use super::{binary, request, text};

/// Texts near to those that producers send, so that what is hidden behind the first check is reached as well.
fn near_events() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("{\"eventType\":\"bill.generated\",\"payload\":".to_owned()),
        Just(
            "{\"specversion\":\"1.0\",\"id\":\"a\",\"source\":\"b\",\"type\":\"patient.registered\",\"data\":"
                .to_owned()
        ),
        Just("\"data_base64\":\"AAE=\"".to_owned()),
        Just("{\"name\":\"x\",\"ages\":[1]}".to_owned()),
        Just("\"datacontenttype\":\"text/xml\",".to_owned()),
        Just("\"orgId\":648,".to_owned()),
        Just("\"events\":[".to_owned()),
        Just("1e999".to_owned()),
        Just("\"\\ud800\"".to_owned()),
        Just("}".to_owned()),
        Just("]".to_owned()),
        Just("[".to_owned()),
        Just(",".to_owned()),
        "[ -~]{0,6}",
    ];
    prop::collection::vec(part, 0..10).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_request_is_events_or_a_fault(
        body in prop_oneof![near_events().prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..64)],
        form in prop::sample::select(vec![
            "application/json", "application/cloudevents+json", "application/cloudevents-batch+json", "text/plain",
        ]),
        attributes in prop::collection::vec(("ce-[a-z]{1,6}", "[ -~]{0,20}"), 0..4),
        is_binary in any::<bool>(),
        atomic in any::<bool>(),
    ) {
        let mut made = if is_binary { binary(&[], form, body) } else { request(form, body) };
        for (name, value) in attributes {
            made.headers.append(
                HeaderName::try_from(name.as_str()).unwrap(),
                HeaderValue::from_str(&value).unwrap(),
            );
        }
        made.atomic = atomic;
        match made.decode() {
            Ok(batch) => {
                prop_assert!(!batch.items.is_empty());
                prop_assert!(!batch.atomic || batch.items.iter().all(Result::is_ok));
                for decoded in batch.items.iter().flatten() {
                    let event = &decoded.event;
                    if is_json(event.head.data_content_type.as_deref()) {
                        prop_assert!(serde_json::from_slice::<Value>(&event.payload).is_ok());
                    }
                }
            }
            Err(fault) => prop_assert!(!fault.problems.is_empty()),
        }
    }

    #[test]
    fn a_payload_comes_through_byte_by_byte(value in any_json()) {
        let payload = serde_json::to_string_pretty(&value).unwrap();
        let body = format!("{{\"eventType\": \"bill.generated\", \"payload\": {payload}}}");
        let event = request("application/json", body).event();
        prop_assert_eq!(text(&event), payload.trim());
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,4}", inner, 0..4).prop_map(|fields| json!(fields)),
        ]
    })
}
