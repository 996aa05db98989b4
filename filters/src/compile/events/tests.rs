use serde_json::{Value, json};

use super::*;
use crate::compile;
use crate::event::{Event, Payload};

fn document() -> Value {
    json!({
        "organizations": [{"orgId": 1}, {"orgId": 2}],
        "units": [{"rid": 7, "orgId": 1, "name": "North"}, {"rid": 9, "orgId": 2, "name": "South"}],
        "eventTypes": [
            {"id": "bill", "orgId": 1, "eventType": "bill.generated", "actionId": 1, "schema": {"type": "object"}},
            {"id": "patient", "orgId": 1, "eventType": "patient.registered"},
            {"id": "other", "orgId": 2, "eventType": "bill.generated", "actionId": 1}
        ],
        "producerKeys": [
            {"id": "his", "orgId": 1, "name": "his", "value": "first-secret"},
            {"id": "off", "orgId": 1, "name": "off", "value": "second-secret", "isActive": false}
        ],
        "integrations": [
            {"direction": "OUTBOUND", "id": "a", "name": "a", "orgId": 1, "eventType": "bill.*", "targetUrl": "https://a.example/"},
            {"direction": "OUTBOUND", "id": "b", "name": "b", "orgId": 1, "eventType": "*", "tenantId": 7,
             "targetUrl": "https://b.example/"},
            {"direction": "OUTBOUND", "id": "c", "name": "c", "orgId": 2, "actionId": 1, "targetUrl": "https://c.example/"}
        ]
    })
}

fn compiled(document: &Value, previous: Option<&Plan>) -> Plan {
    compile(&Snapshot::from_document(document).unwrap(), previous).unwrap()
}

fn problems(document: &Value) -> Vec<String> {
    let snapshot = Snapshot::from_document(document).unwrap();
    let problems = compile(&snapshot, None).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

fn has(problems: &[String], expected: &str) {
    assert!(
        problems.iter().any(|problem| problem.starts_with(expected)),
        "{expected} {problems:#?}"
    );
}

fn is_shared(before: &Plan, after: &Plan, id: &str) -> bool {
    Arc::ptr_eq(
        before.events.subscription(id).unwrap(),
        after.events.subscription(id).unwrap(),
    )
}

#[test]
fn producers_are_found_by_their_key() {
    let plan = compiled(&document(), None);
    let producer = plan.events.producer("first-secret").unwrap();
    assert_eq!((&*producer.id, &*producer.name, producer.org_id), ("his", "his", 1));
    assert!(plan.events.producer("second-secret").is_none());
    assert!(plan.events.producer("").is_none());
    assert!(!format!("{:?}", plan.events).contains("secret"), "the plan shows a key");
}

#[test]
fn event_types_are_found_by_name_and_action_within_their_organization() {
    let plan = compiled(&document(), None);
    assert_eq!(&*plan.events.event_type(1, "bill.generated").unwrap().id, "bill");
    assert_eq!(&*plan.events.action(2, 1).unwrap().id, "other");
    assert!(plan.events.event_type(2, "patient.registered").is_none());
    assert!(plan.events.action(3, 1).is_none());
}

#[test]
fn what_did_not_change_is_the_same_as_before_and_in_the_same_place() {
    let before = compiled(&document(), None);
    let mut changed = document();
    changed["integrations"][0]["name"] = json!("renamed");
    let after = compiled(&changed, Some(&before));
    assert!(!is_shared(&before, &after, "a"));
    assert!(is_shared(&before, &after, "b"));
    assert!(is_shared(&before, &after, "c"));
    assert_eq!(&*after.events.subscription("a").unwrap().name, "renamed");
    let slot = |plan: &Plan| plan.events.subscription("a").unwrap().slot;
    assert_eq!(slot(&before), slot(&after));
    assert!(!Arc::ptr_eq(&before.events.indexes[&1], &after.events.indexes[&1]));
    assert!(Arc::ptr_eq(&before.events.indexes[&2], &after.events.indexes[&2]));
    assert!(Arc::ptr_eq(&before.events.types, &after.events.types));
    assert!(Arc::ptr_eq(&before.events.producers, &after.events.producers));
    assert!(Arc::ptr_eq(&before.events.units, &after.events.units));
}

#[test]
fn only_the_changed_event_type_is_compiled_again() {
    let before = compiled(&document(), None);
    let mut changed = document();
    changed["eventTypes"][1]["actionId"] = json!(57);
    let after = compiled(&changed, Some(&before));
    let of = |plan: &Plan, id: &str| Arc::clone(&plan.events.types.by_id[id]);
    assert!(Arc::ptr_eq(&of(&before, "bill"), &of(&after, "bill")));
    assert_eq!(&*after.events.action(1, 57).unwrap().id, "patient");
    changed["eventTypes"].as_array_mut().unwrap().remove(1);
    let less = compiled(&changed, Some(&after));
    assert!(less.events.event_type(1, "patient.registered").is_none());
    assert!(less.events.action(1, 57).is_none());
}

#[test]
fn a_subscription_that_is_gone_gets_nothing_and_its_slot_is_used_again() {
    let before = compiled(&document(), None);
    let slot = before.events.subscription("a").unwrap().slot;
    let mut changed = document();
    changed["integrations"][0]["id"] = json!("new");
    let after = compiled(&changed, Some(&before));
    assert!(after.events.subscription("a").is_none());
    assert_eq!(after.events.subscription("new").unwrap().slot, slot);
    assert_eq!(after.events.slots(), before.events.slots());
    changed["integrations"] = json!([]);
    let empty = compiled(&changed, Some(&after));
    assert_eq!(empty.events.subscriptions().count(), 0);
    assert!(empty.events.indexes.is_empty());
}

#[test]
fn a_change_of_organization_leaves_nothing_behind_in_the_old_one() {
    let before = compiled(&document(), None);
    let mut changed = document();
    changed["integrations"][0]["orgId"] = json!(2);
    let after = compiled(&changed, Some(&before));
    let fresh = compiled(&changed, None);
    for plan in [&after, &fresh] {
        let event = |org_id: u64| {
            let head = json!({"orgId": org_id, "id": "e", "source": "s", "eventType": "bill.generated", "actionId": 1, "traceId": ""});
            Event {
                head: serde_json::from_value(head).unwrap(),
                payload: "{}".into(),
            }
        };
        let matched = |org_id| {
            let event = event(org_id);
            plan.events.matches(&event, &Payload::of(&event)).subscriptions.len()
        };
        assert_eq!((matched(1), matched(2)), (0, 2));
    }
}

#[test]
fn what_a_subscription_is_compiled_with_counts_as_its_own_change() {
    let before = compiled(&document(), None);
    for (pointer, value, changed_ids) in [
        ("/units/0/timezone", json!("Asia/Kolkata"), vec!["b"]),
        ("/organizations/0/timezone", json!("Asia/Kolkata"), vec!["a", "b"]),
        ("/organizations/1/allowedNetworks", json!(["10.0.0.0/8"]), vec!["c"]),
        ("/security", json!({"enforceHttps": false}), vec!["a", "b", "c"]),
    ] {
        let mut changed = document();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[field] = value;
        let after = compiled(&changed, Some(&before));
        for id in ["a", "b", "c"] {
            assert_eq!(
                is_shared(&before, &after, id),
                !changed_ids.contains(&id),
                "{pointer} {id}"
            );
        }
    }
}

#[test]
fn a_unit_that_goes_away_is_noticed_by_its_subscriptions() {
    let before = compiled(&document(), None);
    let mut changed = document();
    changed["units"][0]["rid"] = json!(8);
    let snapshot = Snapshot::from_document(&changed).unwrap();
    let problems = compile(&snapshot, Some(&before)).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].path, "integrations[\"b\"].tenantId");
    // An organization that tells of no units may have any.
    changed["units"].as_array_mut().unwrap().remove(0);
    compiled(&changed, Some(&before));
}

#[test]
fn each_bad_event_type_is_named() {
    let mut bad = document();
    bad["eventTypes"] = json!([
        {"id": "x y", "orgId": 0, "eventType": "a..b", "actionId": 0, "name": "a\nb", "schema": {"type": "x"}},
        {"id": "one", "orgId": 1, "eventType": "same", "actionId": 5},
        {"id": "two", "orgId": 1, "eventType": "same", "actionId": 5},
        {"id": "star", "orgId": 1, "eventType": "a.*"}
    ]);
    let problems = problems(&bad);
    for expected in [
        "eventTypes[\"x y\"].id: ",
        "eventTypes[\"x y\"].orgId: ",
        "eventTypes[\"x y\"].eventType: ",
        "eventTypes[\"x y\"].actionId: 0 must be between 1 and",
        "eventTypes[\"x y\"].name: ",
        "eventTypes[\"x y\"].schema.type: ",
        "eventTypes[\"two\"].eventType: \"same\" is that of event type \"one\" too",
        "eventTypes[\"two\"].actionId: 5 is that of event type \"one\" too",
        "eventTypes[\"star\"].eventType: ",
    ] {
        has(&problems, expected);
    }
    assert_eq!(problems.len(), 9, "{problems:#?}");
}

#[test]
fn each_bad_producer_key_is_named() {
    let mut bad = document();
    bad["producerKeys"] = json!([
        {"id": "none", "orgId": 1, "name": "none"},
        {"id": "both", "orgId": 1, "name": "both", "value": "12345678", "hash": "sha256:00"},
        {"id": "short", "orgId": 1, "name": "short", "value": "1234567"},
        {"id": "hash", "orgId": 1, "name": "hash", "hash": "sha256:zz"},
        {"id": "masked", "orgId": 1, "name": "masked", "value": "***"},
        {"id": "k1", "orgId": 1, "name": "twice", "value": "the-same-key"},
        {"id": "k2", "orgId": 1, "name": "twice", "value": "another-key"},
        {"id": "k3", "orgId": 2, "name": "twice", "value": "the-same-key"},
        {"id": "k 4", "orgId": 0, "name": " ", "value": "some-good-key"}
    ]);
    let problems = problems(&bad);
    for expected in [
        "producerKeys[\"none\"]: needs either `hash` or `value`",
        "producerKeys[\"both\"]: needs either",
        "producerKeys[\"short\"].value: ",
        "producerKeys[\"hash\"].hash: ",
        "producerKeys[\"masked\"].value: ",
        "producerKeys[\"k2\"].name: \"twice\" is there twice in organization 1",
        "producerKeys[\"k3\"]: is the same key as another one",
        "producerKeys[\"k 4\"].id: ",
        "producerKeys[\"k 4\"].orgId: ",
        "producerKeys[\"k 4\"].name: ",
    ] {
        has(&problems, expected);
    }
    assert_eq!(problems.len(), 10, "{problems:#?}");
}

#[test]
fn each_bad_unit_is_named() {
    let mut bad = document();
    bad["integrations"] = json!([]);
    bad["units"] = json!([
        {"rid": 2, "orgId": 1, "name": "number of an organization"},
        {"rid": 0, "orgId": 0, "name": " "},
        {"rid": 12, "orgId": 1, "name": "n", "timezone": "Mars/Olympus", "tags": [""], "code": "a\nb"}
    ]);
    let problems = problems(&bad);
    for expected in [
        "units[2].rid: 2 is the number of an organization",
        "units[0].rid: 0 must be between",
        "units[0].orgId: ",
        "units[0].rid: is the number of its organization",
        "units[0].name: must not be empty",
        "units[12].timezone: ",
        "units[12].tags[0]: ",
        "units[12].code: ",
    ] {
        has(&problems, expected);
    }
}

#[test]
fn an_id_is_that_of_one_integration_in_either_direction() {
    let mut bad = document();
    let inbound = json!({"id": "a", "name": "in", "type": "in", "orgId": 1, "targetUrl": "https://in.example/"});
    bad["integrations"].as_array_mut().unwrap().push(inbound);
    has(
        &problems(&bad),
        "integrations[\"a\"].id: \"a\" is that of an inbound integration",
    );
}
