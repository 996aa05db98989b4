use serde_json::json;

use super::*;

fn integration(fields: &Value) -> Object {
    let mut value = json!({"id": "a", "name": "A", "type": "a", "orgId": 648, "targetUrl": "https://partner.example"});
    for (name, field) in fields.as_object().unwrap() {
        value[name] = field.clone();
    }
    serde_json::from_value(json!({"kind": "integration", "value": value})).unwrap()
}

fn between_them(before: &Value, after: &Value) -> Option<Difference> {
    let (before, after) = (integration(before), integration(after));
    between(&before.id().unwrap(), Some(&before), Some(&after))
}

fn change(path: &str, before: Value, after: Value) -> FieldChange {
    FieldChange {
        path: path.to_owned(),
        before: Some(before).filter(|value| !value.is_null()),
        after: Some(after).filter(|value| !value.is_null()),
        secret: false,
    }
}

#[test]
fn fields_are_told_by_their_path() {
    let found = between_them(
        &json!({"hosts": ["a.example", "b.example", "c.example"], "isActive": true}),
        &json!({"hosts": ["a.example", "x.example", "y.example", "c.example"], "isActive": false}),
    )
    .unwrap();
    assert_eq!(found.action, DifferenceAction::Changed);
    assert_eq!(
        found.changes,
        [
            change("hosts[1]", json!("b.example"), json!("x.example")),
            change("hosts[2]", Value::Null, json!("y.example")),
            change("isActive", json!(true), json!(false)),
        ]
    );
    assert!(
        found.unified.contains("-isActive: true\n+isActive: false"),
        "{}",
        found.unified
    );
}

#[test]
fn what_is_taken_out_of_a_list_is_all_that_differs() {
    let found = between_them(
        &json!({"hosts": ["a.example", "b.example", "b.example"]}),
        &json!({"hosts": ["a.example", "b.example"]}),
    );
    assert_eq!(
        found.unwrap().changes,
        [change("hosts[2]", json!("b.example"), Value::Null)]
    );
}

#[test]
fn of_a_secret_only_that_it_differs_is_told() {
    let with = |token: &str| json!({"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": token}});
    let found = between_them(&with("hunter1"), &with("hunter2")).unwrap();
    assert!(!format!("{found:?}").contains("hunter"), "{found:?}");
    let [change] = found.changes.as_slice() else {
        panic!("{found:?}")
    };
    assert!(
        change.secret && change.before.is_none() && change.after.is_none(),
        "{change:?}"
    );
    assert_eq!(change.path, "outgoingAuthConfig.token");
}

#[test]
fn times_make_no_difference() {
    let at = |time: &str| json!({"updatedAt": time});
    assert_eq!(
        between_them(&at("2024-01-15T10:00:00Z"), &at("2024-01-16T10:00:00Z")),
        None
    );
}

#[test]
fn what_is_new_or_gone_is_told_as_a_whole() {
    let object = integration(&json!({}));
    let id = object.id().unwrap();
    let made = between(&id, None, Some(&object)).unwrap();
    assert_eq!((made.action, made.changes.len()), (DifferenceAction::Created, 0));
    assert!(made.unified.contains("+name: A"), "{}", made.unified);
    let gone = between(&id, Some(&object), None).unwrap();
    assert_eq!(gone.action, DifferenceAction::Deleted);
    assert!(gone.unified.contains("-name: A"), "{}", gone.unified);
    assert_eq!(between(&id, None, None), None);
}

#[test]
fn a_large_difference_is_cut_off_and_says_so() {
    let hosts = |prefix: &str| -> Value { (0..5_000).map(|n| format!("{prefix}{n}.example")).collect() };
    let found = between_them(&json!({"hosts": hosts("a")}), &json!({"hosts": hosts("b")})).unwrap();
    assert!(found.truncated);
    assert_eq!(found.changes.len(), MOST_CHANGES);
    assert!(found.unified.len() <= MOST_BYTES && found.unified.ends_with('\n'));
}
