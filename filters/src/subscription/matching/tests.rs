use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::compile;
use crate::model::{EventHead, Snapshot};
use crate::plan::EventPlan;

fn plan(subscriptions: &[Value]) -> EventPlan {
    let integrations: Vec<Value> = subscriptions
        .iter()
        .enumerate()
        .map(|(index, extra)| {
            let mut made = json!({
                "direction": "OUTBOUND", "id": format!("s{index}"), "name": "s", "orgId": 1, "targetUrl": "https://partner.example/"
            });
            for (field, value) in extra.as_object().unwrap() {
                made[field] = value.clone();
            }
            made
        })
        .collect();
    compile(
        &Snapshot::from_document(&json!({ "integrations": integrations })).unwrap(),
        None,
    )
    .unwrap()
    .events
}

fn event(event_type: &str, action_id: Option<i64>, entity_rid: Option<u64>, payload: &str) -> Event {
    Event {
        head: EventHead {
            org_id: 1,
            id: "e".into(),
            source: "his".into(),
            event_type: event_type.into(),
            action_id,
            entity_rid,
            subject: None,
            time: None,
            data_content_type: None,
            correlation_id: None,
            trace_id: String::new(),
            status_callback: None,
            extensions: Default::default(),
        },
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    }
}

fn matched(plan: &EventPlan, event: &Event) -> Vec<String> {
    let payload = Payload::of(event);
    let matched = plan.matches(event, &payload);
    for subscription in plan.subscriptions() {
        let gets_it = matched
            .subscriptions
            .iter()
            .any(|other| Arc::ptr_eq(other, subscription));
        assert_eq!(
            subscription.skip_reason(event, &payload).is_none(),
            gets_it,
            "{}",
            subscription.id
        );
    }
    let subscriptions = matched.subscriptions.iter();
    subscriptions.map(|subscription| subscription.id.to_string()).collect()
}

fn skipped(plan: &EventPlan, event: &Event) -> Vec<(String, SkipReason)> {
    let matched = plan.matches(event, &Payload::of(event));
    let named = matched.skipped.iter();
    named.map(|(id, reason)| (id.to_string(), *reason)).collect()
}

/// Each rule of who gets whose events: tenant (1 is the organization), scope, excluded units; then the entity of the event
/// (`None` is the organization itself) and what becomes of it.
#[test]
fn the_entity_decides_who_gets_an_event() {
    let all = "ALL_ENTITIES";
    let only = "ENTITY_ONLY";
    for (tenant, scope, excluded, entity, expected) in [
        // The whole organization.
        (None, all, vec![], None, None),
        (None, all, vec![], Some(7), None),
        (Some(1), all, vec![], Some(7), None),
        (None, all, vec![7], Some(7), Some(SkipReason::Excluded)),
        (None, all, vec![9, 7, 8], Some(7), Some(SkipReason::Excluded)),
        (None, all, vec![7], Some(8), None),
        (None, all, vec![7], None, None),
        // The organization's own events only.
        (None, only, vec![], None, None),
        (None, only, vec![], Some(7), Some(SkipReason::OtherEntity)),
        // One unit.
        (Some(7), all, vec![], Some(7), None),
        (Some(7), only, vec![], Some(7), None),
        (Some(7), all, vec![], Some(8), Some(SkipReason::OtherEntity)),
        (Some(7), all, vec![], None, Some(SkipReason::OtherEntity)),
    ] {
        let mut subscription = json!({"eventType": "a", "scope": scope, "excludedEntityRids": excluded});
        if let Some(tenant) = tenant {
            subscription["tenantId"] = json!(tenant);
        }
        let plan = plan(&[subscription.clone()]);
        let event = event("a", None, entity, "{}");
        assert_eq!(
            matched(&plan, &event).is_empty(),
            expected.is_some(),
            "{subscription} {entity:?}"
        );
        let reasons: Vec<_> = skipped(&plan, &event).into_iter().map(|(_, reason)| reason).collect();
        assert_eq!(reasons, Vec::from_iter(expected), "{subscription} {entity:?}");
    }
}

#[test]
fn type_pattern_and_action_id_find_a_subscription() {
    let plan = plan(&[
        json!({"eventType": "bill.generated"}),
        json!({"eventType": "bill.*"}),
        json!({"eventType": "*"}),
        json!({"actionId": 1}),
        json!({"actionId": 57}),
        json!({"eventType": "*.generated"}),
        json!({"eventType": "bill.*"}),
    ]);
    assert_eq!(
        matched(&plan, &event("bill.generated", Some(1), None, "{}")),
        ["s0", "s1", "s2", "s3", "s5", "s6"]
    );
    assert_eq!(matched(&plan, &event("bill", None, None, "{}")), ["s2"]);
    assert_eq!(matched(&plan, &event("x", Some(57), None, "{}")), ["s2", "s4"]);
    let mut elsewhere = event("bill.generated", Some(1), None, "{}");
    elsewhere.head.org_id = 2;
    assert!(matched(&plan, &elsewhere).is_empty());
}

#[test]
fn filters_and_inactive_ones_are_skipped_with_the_reason() {
    let plan = plan(&[
        json!({"eventType": "a", "filter": {"field": "n", "greaterThan": 5}}),
        json!({"eventType": "a", "isActive": false}),
        json!({"eventType": "a"}),
        json!({"eventType": "b"}),
    ]);
    assert_eq!(matched(&plan, &event("a", None, None, r#"{"n": 6}"#)), ["s0", "s2"]);
    let little = event("a", None, None, r#"{"n": 5}"#);
    assert_eq!(matched(&plan, &little), ["s2"]);
    let reasons = [
        ("s0".to_owned(), SkipReason::Filter),
        ("s1".to_owned(), SkipReason::Inactive),
    ];
    assert_eq!(skipped(&plan, &little), reasons);
    assert!(plan.subscription("s1").is_some());
}

#[test]
fn of_the_last_value_of_a_field_that_is_there_twice_a_filter_takes_note() {
    let plan = plan(&[json!({"eventType": "a", "filter": {"field": "n", "equals": 2}})]);
    assert_eq!(matched(&plan, &event("a", None, None, r#"{"n": 1, "n": 2}"#)), ["s0"]);
}

#[test]
fn thousands_of_other_units_are_counted_and_a_few_are_named() {
    let mut subscriptions = vec![json!({"eventType": "a", "isActive": false})];
    subscriptions.extend((0..500).map(|unit| json!({"eventType": "a", "tenantId": 100 + unit})));
    let plan = plan(&subscriptions);
    let event = event("a", None, Some(300), "{}");
    let found = plan.matches(&event, &Payload::of(&event));
    assert_eq!(found.subscriptions.len(), 1);
    assert_eq!(found.subscriptions[0].source.tenant(), 300);
    assert_eq!(found.skipped_in_all, 500);
    assert_eq!(found.skipped.len(), MOST_SKIPPED);
    assert_eq!(found.skipped[0].1, SkipReason::Inactive);
    assert_eq!(found.skipped[1].1, SkipReason::OtherEntity);
}

#[test]
fn the_payload_is_parsed_only_where_it_is_looked_into() {
    // A payload that cannot be parsed: whoever tries finds nothing, and the filter would not hold.
    let without = plan(&[json!({"eventType": "a", "ordering": {"mode": "perTenantAndType"}})]);
    let broken = event("a", None, None, "{");
    assert_eq!(matched(&without, &broken), ["s0"]);
    let parsed = Payload::with(&broken, Some(json!({"n": 1})));
    let filtered = plan(&[json!({"eventType": "a", "filter": {"field": "n", "equals": 1}})]);
    assert_eq!(filtered.matches(&broken, &parsed).subscriptions.len(), 1);
}

#[test]
fn order_keys_are_those_of_the_mode() {
    let plan = plan(&[
        json!({"eventType": "*"}),
        json!({"eventType": "*", "ordering": {"mode": "perKey", "key": "patient.id"}}),
        json!({"eventType": "*", "ordering": {"mode": "none"}}),
    ]);
    let key = |index: usize, event: &Event| {
        let subscription = plan.subscription(&format!("s{index}")).unwrap();
        subscription.order_key(event, &Payload::of(event))
    };
    let one = event("a", None, Some(7), r#"{"patient": {"id": 5}}"#);
    let same = event("a", None, Some(7), r#"{"patient": {"id": 6}}"#);
    let unit = event("a", None, Some(8), r#"{"patient": {"id": 5.0}}"#);
    let kind = event("b", None, Some(7), r#"{"patient": {}}"#);
    assert_eq!(key(0, &one), key(0, &same));
    assert_ne!(key(0, &one), key(0, &unit));
    assert_ne!(key(0, &one), key(0, &kind));
    assert_eq!(key(1, &one), key(1, &unit));
    assert_ne!(key(1, &one), key(1, &same));
    assert_eq!(key(1, &kind), None);
    assert_eq!(key(2, &one), None);
}
