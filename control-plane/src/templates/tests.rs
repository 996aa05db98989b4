//! Templates, checked and filled.

use serde_json::json;

use super::*;

fn template(value: Value) -> Template {
    serde_json::from_value(value).unwrap()
}

fn lab() -> Value {
    json!({
        "name": "Lab orders",
        "kind": "INBOUND",
        "parameters": [
            {"name": "partner", "type": "url", "label": "Address of the laboratory"},
            {"name": "code", "type": "text", "pattern": "[a-z]{2,8}", "example": "lab"},
            {"name": "token", "type": "secret"},
            {"name": "timeout", "type": "integer", "default": 5000, "minimum": 100, "maximum": 60000}
        ],
        "body": {
            "name": "Orders to {{parameters.code}}",
            "type": "orders-{{parameters.code}}",
            "targetUrl": "{{parameters.partner}}",
            "outgoingAuthType": "BEARER",
            "outgoingAuthConfig": {"token": "{{parameters.token}}"},
            "timeouts": {"totalMs": "{{parameters.timeout}}"}
        }
    })
}

fn paths(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.path.as_str()).collect()
}

#[test]
fn a_template_is_filled_with_values_of_their_type() {
    let template = template(lab());
    assert_eq!(template.problems(), []);
    let given = json!({"partner": "https://lab.example/api", "code": "lab", "token": "s3cret"});
    let made = template.fill(648, given.as_object().unwrap()).unwrap();
    let wanted = json!({
        "name": "Orders to lab", "type": "orders-lab", "targetUrl": "https://lab.example/api", "orgId": 648,
        "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "s3cret"}, "timeouts": {"totalMs": 5000}
    });
    assert_eq!(Value::Object(made), wanted);
}

#[test]
fn wrong_values_are_all_named() {
    let template = template(lab());
    let given = json!({"partner": "ftp://x", "code": "LAB", "timeout": 99, "other": 1});
    let problems = template.fill(648, given.as_object().unwrap()).unwrap_err();
    assert_eq!(
        paths(&problems),
        [
            "parameters.other",
            "parameters.partner",
            "parameters.code",
            "parameters.token",
            "parameters.timeout"
        ]
    );
    assert!(
        problems[1].message.contains("Address of the laboratory"),
        "{}",
        problems[1].message
    );
}

#[test]
fn a_parameter_that_is_left_out_leaves_its_field_out() {
    let mut value = lab();
    value["parameters"][3] = json!({"name": "timeout", "type": "integer", "required": false});
    let template = template(value);
    assert_eq!(template.problems(), []);
    let given = json!({"partner": "https://lab.example/", "code": "lab", "token": "s3cret"});
    let made = template.fill(648, given.as_object().unwrap()).unwrap();
    assert_eq!(made["timeouts"], json!({}));
}

#[test]
fn a_template_is_tried_before_it_is_kept() {
    let cases = [
        // An unknown field of an integration, and one that a template may not have.
        (json!({"tragetUrl": "x"}), "body.tragetUrl"),
        (json!({"orgId": 1}), "body.orgId"),
        (json!({"targetUrl": "{{parameters.none}}/x"}), "body.targetUrl"),
        // A secret in the template, and a secret where all can see it.
        (
            json!({"outgoingAuthConfig": {"token": "literal"}}),
            "body.outgoingAuthConfig.token",
        ),
        (
            json!({"outgoingAuthConfig": {"token": "Bearer {{parameters.token}}"}}),
            "body.outgoingAuthConfig.token",
        ),
        (json!({"name": "{{parameters.token}}"}), "body.name"),
    ];
    for (change, path) in cases {
        let mut value = lab();
        for (name, field) in change.as_object().unwrap() {
            value["body"][name] = field.clone();
        }
        let problems = template(value).problems();
        assert!(paths(&problems).contains(&path), "{change}: {problems:?}");
    }
    let unused = template(
        json!({"name": "x", "kind": "INBOUND", "parameters": [{"name": "a", "type": "text"}],
        "body": {"name": "x", "type": "x", "targetUrl": "https://x.example/"}}),
    );
    assert_eq!(paths(&unused.problems()), ["parameters[0].name"]);
}

#[test]
fn parameters_are_checked() {
    let cases = [
        (json!({"name": "1a", "type": "text"}), "parameters[0].name"),
        (
            json!({"name": "a", "type": "text", "pattern": "("}),
            "parameters[0].pattern",
        ),
        (
            json!({"name": "a", "type": "text", "pattern": "x+"}),
            "parameters[0].example",
        ),
        (
            json!({"name": "a", "type": "number", "pattern": "x"}),
            "parameters[0].pattern",
        ),
        (
            json!({"name": "a", "type": "text", "minimum": 1}),
            "parameters[0].minimum",
        ),
        (
            json!({"name": "a", "type": "integer", "default": 1.5}),
            "parameters[0].default",
        ),
        (
            json!({"name": "a", "type": "text", "allowed": ["x"], "default": "y"}),
            "parameters[0].default",
        ),
        (
            json!({"name": "a", "type": "secret", "default": "y"}),
            "parameters[0].default",
        ),
    ];
    for (parameter, path) in cases {
        let template = template(json!({"name": "x", "kind": "INBOUND", "parameters": [parameter], "body": {}}));
        let problems = template.problems();
        assert!(paths(&problems).contains(&path), "{parameter}: {problems:?}");
    }
}
