//! Several events in one request.

use http::StatusCode;
use serde_json::json;

use super::super::FaultKind;
use super::{plain_body, request};

#[test]
fn each_event_of_a_list_has_its_own_result() {
    let good = json!({"eventType": "bill.generated", "id": "a", "payload": {"n": 1}});
    let bad = json!({"eventType": "nope", "id": "b", "payload": {}});
    let list = json!([good, bad, 5, good]);
    for (request, path) in [
        (plain_body(&list), ""),
        (plain_body(&json!({"events": list, "atomic": false})), "events"),
    ] {
        let batch = request.decode().unwrap();
        assert!(batch.is_list && !batch.atomic);
        assert_eq!(batch.items.len(), 4);
        assert_eq!(batch.items[0].as_ref().unwrap().event.head.id, "a");
        assert!(batch.items[3].is_ok());
        let unknown = batch.items[1].as_ref().unwrap_err();
        assert_eq!((unknown.index, unknown.id.as_deref()), (1, Some("b")));
        assert_eq!(
            unknown.fault.problems[0].path,
            format!("{path}[1].eventType").trim_start_matches('.')
        );
        let unreadable = batch.items[2].as_ref().unwrap_err();
        assert_eq!(unreadable.fault.kind, FaultKind::Unreadable);
        assert_eq!(unreadable.fault.problems[0].path, format!("{path}[2]"));
    }
}

#[test]
fn an_atomic_list_is_refused_as_a_whole_with_all_its_problems() {
    let bad = json!({"eventType": "nope", "payload": {}});
    let good = json!({"eventType": "bill.generated", "payload": {}});
    let fault = plain_body(&json!({"events": [bad, good, bad], "atomic": true})).fault();
    let paths: Vec<&str> = fault.problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["events[0].eventType", "events[2].eventType"]);

    let mut asked = plain_body(&json!([good, bad]));
    asked.atomic = true;
    assert_eq!(asked.fault().problems.len(), 1);
    let mut overruled = plain_body(&json!({"events": [good, bad], "atomic": false}));
    overruled.atomic = true;
    assert!(overruled.decode().is_ok());

    let many = plain_body(&json!({"events": vec![bad; 900], "atomic": true})).fault();
    assert_eq!(many.problems.len(), 50);
}

#[test]
fn a_list_of_cloud_events_is_read_like_single_ones() {
    let event =
        |id: &str| json!({"specversion": "1.0", "id": id, "source": "/his", "type": "bill.generated", "data": id});
    let body = json!([event("1"), event("2")]).to_string();
    let batch = request("application/cloudevents-batch+json; charset=utf-8", body)
        .decode()
        .unwrap();
    let ids: Vec<_> = batch
        .items
        .iter()
        .map(|item| item.as_ref().unwrap().event.head.id.as_str())
        .collect();
    assert_eq!(ids, ["1", "2"]);
}

#[test]
fn a_list_has_a_limit() {
    let event = json!({"eventType": "bill.generated", "payload": {}});
    let mut full = plain_body(&json!(vec![event.clone(); 3]));
    full.most_events = 3;
    assert_eq!(full.decode().unwrap().items.len(), 3);
    let mut over = plain_body(&json!({"events": vec![event; 4]}));
    over.most_events = 3;
    let fault = over.fault();
    assert_eq!(fault.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        fault.problems[0].to_string(),
        "events: holds 4 events; at most 3 are taken in one request"
    );
}
