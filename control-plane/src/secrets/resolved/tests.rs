use serde_json::json;

use super::*;

#[test]
fn gateways_get_the_secret_and_the_configuration_keeps_the_reference() {
    let object = integration("a", "secret://env/ONE");
    let snapshot = Snapshot::from_objects(1, vec![object.clone(), integration("b", "plain")]);
    let resolved = Resolved::of(&snapshot, &known("secret://env/ONE", Ok("hunter2")));
    assert!(resolved.is_whole());
    assert_eq!(token(&resolved.snapshot, "a"), "hunter2");
    assert_eq!(token(&snapshot, "a"), "secret://env/ONE");
    assert_eq!(token(&resolved.snapshot, "b"), "plain");
    assert_eq!(resolved.wanted(), wanted_by(&object));
}

#[test]
fn a_secret_that_cannot_be_read_is_a_problem_of_the_field_that_refers_to_it() {
    let object = integration("a", "secret://env/ONE");
    let snapshot = Snapshot::from_objects(1, vec![object.clone()]);
    let resolved = Resolved::of(&snapshot, &known("secret://env/ONE", Err("the variable is not set")));
    assert!(!resolved.is_whole());
    let [problem] = &resolved.problems(&[object])[..] else {
        panic!("one problem");
    };
    assert_eq!(problem.path, "integrations[\"a\"].outgoingAuthConfig.token");
    assert_eq!(problem.message, "secret://env/ONE: the variable is not set");
}

#[test]
fn a_secret_that_cannot_be_read_again_stays_what_it_was() {
    let snapshot = Snapshot::from_objects(1, vec![integration("a", "secret://env/ONE")]);
    let resolved = Resolved::of(&snapshot, &known("secret://env/ONE", Ok("hunter2")));
    let gone = known("secret://env/ONE", Err("is gone"));
    assert!(resolved.outdated(&gone).is_empty());
    let change = Change {
        put: vec![integration("a", "secret://env/ONE")],
        delete: vec![],
    };
    let next = resolved.changed(&snapshot, &change, &gone);
    assert_eq!(token(&next.snapshot, "a"), "hunter2");
}

#[test]
fn objects_with_another_secret_are_outdated_and_nothing_is_remembered_of_deleted_ones() {
    let objects = vec![
        integration("a", "secret://env/ONE"),
        integration("b", "secret://env/TWO"),
    ];
    let snapshot = Snapshot::from_objects(1, objects);
    let mut values = known("secret://env/ONE", Ok("hunter1"));
    values.0.extend(known("secret://env/TWO", Ok("hunter2")).0);
    let resolved = Resolved::of(&snapshot, &values);
    let read = known("secret://env/TWO", Ok("hunter3"));
    let outdated = vec![ObjectId::Integration("b".into())];
    assert_eq!(resolved.outdated(&read), outdated);

    let change = Change {
        put: vec![],
        delete: outdated,
    };
    let after = snapshot.changed(2, vec![], &change.delete);
    let next = resolved.changed(&after, &change, &Values::default());
    assert_eq!(next.wanted().len(), 1);
    assert_eq!(next.values.0.len(), 1);
}

#[test]
fn another_organization_does_not_get_a_secret_by_the_same_reference() {
    let snapshot = Snapshot::from_objects(1, vec![integration("a", "secret://env/ONE")]);
    let mut values = Values::default();
    let other = Wanted {
        org_id: 2,
        text: "secret://env/ONE".to_owned(),
    };
    values.insert(other, Ok(Secret::new("hunter2")));
    assert!(!Resolved::of(&snapshot, &values).is_whole());
}

fn known(text: &str, value: Result<&str, &str>) -> Values {
    let mut values = Values::default();
    let wanted = Wanted {
        org_id: 1,
        text: text.to_owned(),
    };
    values.insert(wanted, value.map(Secret::new).map_err(str::to_owned));
    values
}

fn integration(id: &str, token: &str) -> Object {
    let integration = json!({"kind": "integration", "value": {
        "id": id, "name": id, "type": id, "orgId": 1, "targetUrl": "https://partner.example",
        "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": token},
    }});
    serde_json::from_value(integration).unwrap()
}

fn token<'a>(snapshot: &'a Snapshot, id: &str) -> &'a str {
    let config = snapshot.integrations[id].value.outgoing_auth_config.as_ref();
    config.unwrap()["token"].as_str().unwrap()
}
