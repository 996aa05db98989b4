use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::compile;
use crate::model::Snapshot;
use crate::plan::{Change, Plan};

fn document(extra: &Value) -> Value {
    let mut subscription = json!({
        "direction": "OUTBOUND", "id": "s", "name": "s", "orgId": 1, "eventType": "a.b", "targetUrl": "https://partner.example/v1"
    });
    for (field, value) in extra.as_object().unwrap() {
        match value {
            Value::Null => drop(subscription.as_object_mut().unwrap().remove(field)),
            value => subscription[field] = value.clone(),
        }
    }
    json!({
        "units": [{"rid": 7, "orgId": 1, "name": "North", "timezone": "Asia/Kolkata"}, {"rid": 9, "orgId": 2, "name": "South"}],
        "integrations": [subscription]
    })
}

fn plan(extra: &Value) -> Plan {
    compile(&Snapshot::from_document(&document(extra)).unwrap(), None).unwrap()
}

fn problems(extra: &Value) -> Vec<String> {
    let snapshot = Snapshot::from_document(&document(extra)).unwrap();
    match compile(&snapshot, None) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn steps(extra: &Value) -> Vec<String> {
    let plan = plan(extra);
    let subscription = plan.events.subscription("s").unwrap();
    let shown = subscription.steps.iter().map(|step| {
        let transform = match step.transform.as_deref().map(|transform| &transform.change) {
            None | Some(Change::Nothing) => "as it is",
            Some(Change::Mapping(_)) => "mapping",
            Some(Change::Script(_)) => "script",
        };
        let name = step.name.as_deref().unwrap_or("-");
        let signed_in = step.sign_in.headers.len();
        format!(
            "{name} {} {} {transform} {signed_in} {}",
            step.method, step.target, step.delay_ms
        )
    });
    shown.collect()
}

#[test]
fn without_actions_there_is_one_delivery() {
    let extra = json!({"httpMethod": "PUT", "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "t"},
        "transformationMode": "SIMPLE", "fieldMappings": [{"sourceField": "a", "targetField": "b"}]});
    assert_eq!(steps(&extra), ["- PUT https://partner.example/v1 mapping 1 0"]);
    assert_eq!(steps(&json!({})), ["- POST https://partner.example/v1 as it is 0 0"]);
}

#[test]
fn an_action_takes_from_its_subscription_what_it_does_not_say() {
    let extra = json!({
        "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "t"},
        "transformationMode": "SIMPLE", "fieldMappings": [{"sourceField": "a", "targetField": "b"}],
        "actions": [
            {"name": "one"},
            {"name": "two", "targetUrl": "https://other.example/", "httpMethod": "PATCH", "outgoingAuthType": "NONE",
             "transformationMode": "SCRIPT", "transformScript": "fn transform(payload, context) { payload }", "delayMs": 500,
             "compensate": {"targetUrl": "https://other.example/undo", "httpMethod": "DELETE"}}
        ]
    });
    assert_eq!(
        steps(&extra),
        [
            "one POST https://partner.example/v1 mapping 1 0",
            "two PATCH https://other.example/ script 0 500"
        ]
    );
    let plan = plan(&extra);
    let steps = &plan.events.subscription("s").unwrap().steps;
    let compensation = steps[1].compensate.as_ref().unwrap();
    assert_eq!(compensation.method, Method::DELETE);
    assert_eq!(compensation.target.to_string(), "https://other.example/undo");
    assert!(steps[0].compensate.is_none());
}

#[test]
fn the_subscription_needs_no_target_where_each_action_has_its_own() {
    let extra = json!({"targetUrl": null, "actions": [{"name": "one", "targetUrl": "https://one.example/"}]});
    assert_eq!(steps(&extra).len(), 1);
    let missing =
        json!({"targetUrl": null, "actions": [{"name": "one", "targetUrl": "https://one.example/"}, {"name": "two"}]});
    assert!(problems(&missing)[0].starts_with("integrations[\"s\"].actions[1].targetUrl: is missing"));
}

#[test]
fn enrichments_have_defaults() {
    let extra = json!({"enrichments": [
        {"name": "bill", "url": "https://his.example/bills/{bill.id}"},
        {"name": "pdf", "url": "https://his.example/pdf", "httpMethod": "POST", "encoding": "base64", "targetField": "bill.pdf",
         "maxBytes": 268_435_456, "outgoingAuthType": "API_KEY", "outgoingAuthConfig": {"headerName": "X-Key", "apiKey": "k"}}
    ]});
    let plan = plan(&extra);
    let [bill, pdf] = plan.events.subscription("s").unwrap().enrichments.as_slice() else {
        panic!("two enrichments");
    };
    assert_eq!(
        (&*bill.name, &bill.method, bill.max_bytes),
        ("bill", &Method::GET, 1 << 20)
    );
    assert_eq!(bill.target_field, None);
    assert_eq!(bill.target.to_string(), "https://his.example/bills/x");
    assert_eq!(bill.url(&json!({"bill": {"id": 5}})).unwrap().path(), "/bills/5");
    assert_eq!((&pdf.method, pdf.sign_in.headers.len()), (&Method::POST, 1));
    assert_eq!(pdf.target_field, Some(vec!["bill".into(), "pdf".into()]));
}

#[test]
fn limits_are_those_of_the_document() {
    let limits = |extra: Value| {
        let plan = plan(&json!({ "rateLimits": extra }));
        let subscription = plan.events.subscription("s").unwrap();
        (
            subscription.limit,
            subscription.max_concurrency,
            subscription.max_response_bytes,
        )
    };
    assert_eq!(limits(json!({})), (None, 16, 65_536));
    let limit = RateLimit {
        max_requests: 5,
        window_seconds: 60,
    };
    assert_eq!(
        limits(json!({"maxRequests": 5, "maxConcurrency": 1})),
        (Some(limit), 1, 65_536)
    );
    assert_eq!(limits(json!({"maxRequests": 5, "enabled": false})).0, None);
}

/// Each field with a value that it cannot have, and what is told of it.
#[test]
#[expect(clippy::too_many_lines, reason = "one table of cases")]
fn each_bad_field_is_named() {
    let action = |extra: Value| {
        let mut action = json!({"name": "one"});
        for (field, value) in extra.as_object().unwrap() {
            action[field] = value.clone();
        }
        json!({ "actions": [action] })
    };
    let enrichment = |extra: Value| {
        let mut enrichment = json!({"name": "one", "url": "https://his.example/"});
        for (field, value) in extra.as_object().unwrap() {
            enrichment[field] = value.clone();
        }
        json!({ "enrichments": [enrichment] })
    };
    let cases = [
        (json!({"name": " "}), "name: must be 1 to 200 bytes long"),
        (json!({"name": "a\u{7}"}), "name: must not hold control characters"),
        (json!({"orgId": 0}), "orgId: 0 must be between 1"),
        (json!({"tenantId": 8}), "tenantId: 8 is no unit of organization 1"),
        (json!({"tenantId": 9}), "tenantId: 9 is no unit of organization 1"),
        (
            json!({"eventType": null}),
            "eventType: is missing; give `eventType` or `actionId`",
        ),
        (json!({"actionId": 5}), "actionId: is there beside `eventType`"),
        (
            json!({"eventType": null, "actionId": -1}),
            "actionId: -1 must be between 1",
        ),
        (json!({"eventType": "a*"}), "eventType: \"a*\" must be segments"),
        (
            json!({"excludedEntityRids": [7], "tenantId": 7}),
            "excludedEntityRids: has an effect only with scope ALL_ENTITIES",
        ),
        (
            json!({"excludedEntityRids": [7], "scope": "ENTITY_ONLY"}),
            "excludedEntityRids: has an effect only",
        ),
        (
            json!({"excludedEntityRids": [7, 1]}),
            "excludedEntityRids[1]: 1 is the organization itself",
        ),
        (
            json!({"filter": {"field": "a"}}),
            "filter: needs exactly one comparison",
        ),
        (json!({"targetUrl": null}), "targetUrl: is missing; say where"),
        (
            json!({"targetUrl": "partner.example"}),
            "targetUrl: is not an http or https address",
        ),
        (json!({"targetUrl": "http://partner.example"}), "targetUrl: has no TLS"),
        (json!({"targetUrl": "https://169.254.169.254/"}), "targetUrl: "),
        (
            json!({"targetHosts": {"deny": ["*.example"]}}),
            "targetUrl: has the host partner.example, which `targetHosts.deny`",
        ),
        (
            json!({"targetHosts": {"allow": ["a*b", "partner.example"]}}),
            "targetHosts.allow[0]: ",
        ),
        (
            json!({"httpMethod": "DELETE"}),
            "httpMethod: must be POST, PUT or PATCH",
        ),
        (
            json!({"transformationMode": "SIMPLE"}),
            "fieldMappings: must hold at least one line",
        ),
        (
            json!({"transformScript": "x"}),
            "transformationMode: must be SIMPLE or SCRIPT",
        ),
        (
            json!({"transformationMode": "SCRIPT", "transformScript": "fn ("}),
            "transformScript: ",
        ),
        (json!({"outgoingAuthType": "BEARER"}), "outgoingAuthConfig: is needed"),
        (
            json!({"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "***"}}),
            "outgoingAuthConfig: *** stands for",
        ),
        (
            json!({"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"key": "x"}}),
            "outgoingAuthConfig",
        ),
        (json!({"signingType": "GITHUB"}), "signingConfig: is missing"),
        (
            json!({"signingType": "GITHUB", "signingConfig": {"secrets": [{"name": "a", "value": "***"}]}}),
            "signingConfig: *** stands",
        ),
        (
            json!({"signingType": "STANDARD_WEBHOOKS", "signingConfig": {"secrets": [{"name": "a", "value": "x"}]}}),
            "signingConfig",
        ),
        (json!({"schedulingMode": "DELAYED"}), "schedulingConfig: is missing"),
        (json!({"retry": {"type": "list", "delaysMs": []}}), "retry"),
        (
            json!({"statusHandling": [{"statuses": ["9xx"], "treatAs": "retry"}]}),
            "statusHandling",
        ),
        (json!({"breaker": {"failurePercent": 0}}), "breaker"),
        (
            json!({"ordering": {"mode": "perKey"}}),
            "ordering.key: is needed in mode perKey",
        ),
        (
            json!({"ordering": {"key": "a"}}),
            "ordering.key: has an effect in mode perKey only",
        ),
        (
            json!({"ordering": {"mode": "perKey", "key": "a[]"}}),
            "ordering.key: `a[]` has a `[]`",
        ),
        (
            json!({"ordering": {"onBlocked": {"deadLetterAfter": 0}}}),
            "ordering.onBlocked.deadLetterAfter: 0 must be between 1",
        ),
        (
            json!({"deadLetterRetry": {"delaysMs": []}}),
            "deadLetterRetry.delaysMs: must hold at least one",
        ),
        (
            json!({"deadLetterRetry": {"delaysMs": [5, 0]}}),
            "deadLetterRetry.delaysMs[1]: 0 must be between 1",
        ),
        (
            json!({"deadLetterRetry": {"delaysMs": vec![1; 21]}}),
            "deadLetterRetry.delaysMs: holds 21 entries",
        ),
        (
            json!({"rateLimits": {"maxRequests": 0}}),
            "rateLimits.maxRequests: must be at least 1",
        ),
        (
            json!({"rateLimits": {"windowSeconds": 5}}),
            "rateLimits.windowSeconds: needs `maxRequests`",
        ),
        (
            json!({"rateLimits": {"maxConcurrency": 0}}),
            "rateLimits.maxConcurrency: 0 must be between 1",
        ),
        (
            json!({"rateLimits": {"maxResponseBytes": 1 << 30}}),
            "rateLimits.maxResponseBytes: 1073741824 must be at most",
        ),
        (
            json!({"timeouts": {"totalMs": 0}}),
            "timeouts.totalMs: 0 must be between 1",
        ),
        (
            action(json!({"name": "a.b"})),
            "actions[0].name: \"a.b\" must be 1 to 100 bytes without dots",
        ),
        (
            json!({"actions": [{"name": "x"}, {"name": "x"}]}),
            "actions[1].name: \"x\" is there twice",
        ),
        (
            json!({"actions": vec![json!({"name": ""}); 21]}),
            "actions: holds 21 entries",
        ),
        (
            action(json!({"targetUrl": "http://x.example"})),
            "actions[0].targetUrl: has no TLS",
        ),
        (
            action(json!({"httpMethod": "DELETE"})),
            "actions[0].httpMethod: must be POST",
        ),
        (
            action(json!({"transformationMode": "SIMPLE"})),
            "actions[0].fieldMappings: must hold",
        ),
        (
            action(json!({"outgoingAuthConfig": {}})),
            "actions[0].outgoingAuthConfig: needs `outgoingAuthType`",
        ),
        (
            action(json!({"outgoingAuthType": "BASIC"})),
            "actions[0].outgoingAuthConfig: is needed",
        ),
        (
            action(json!({"delayMs": 86_400_001})),
            "actions[0].delayMs: 86400001 must be at most 86400000",
        ),
        (
            action(json!({"compensate": {"targetUrl": "x"}})),
            "actions[0].compensate.targetUrl: ",
        ),
        (
            action(json!({"compensate": {"targetUrl": "https://x.example", "transformationMode": "SIMPLE"}})),
            "actions[0].compensate.fieldMappings: must hold",
        ),
        (enrichment(json!({"name": ""})), "enrichments[0].name: "),
        (
            enrichment(json!({"url": "https://{host}/"})),
            "enrichments[0].url: has a field in scheme or host",
        ),
        (
            enrichment(json!({"url": "http://his.example/{id}"})),
            "enrichments[0].url: has no TLS",
        ),
        (
            enrichment(json!({"httpMethod": "PUT"})),
            "enrichments[0].httpMethod: must be GET or POST",
        ),
        (
            enrichment(json!({"outgoingAuthType": "BASIC"})),
            "enrichments[0].outgoingAuthConfig: is needed",
        ),
        (
            enrichment(json!({"encoding": "base64"})),
            "enrichments[0].targetField: is needed with encoding base64",
        ),
        (
            enrichment(json!({"targetField": "a[0]"})),
            "enrichments[0].targetField: `a[0]` has a list in it",
        ),
        (
            enrichment(json!({"maxBytes": 0})),
            "enrichments[0].maxBytes: 0 must be between 1",
        ),
        (
            enrichment(json!({"maxBytes": 268_435_456})),
            "enrichments[0].maxBytes: 268435456 must be between 1 and 16777216",
        ),
    ];
    for (extra, told) in cases {
        let problems = problems(&extra);
        let expected = format!("integrations[\"s\"].{told}");
        assert!(
            problems.iter().any(|problem| problem.starts_with(&expected)),
            "{extra} {problems:#?}"
        );
    }
}

#[test]
fn problems_of_all_parts_are_told_at_once() {
    let extra = json!({"eventType": "a..b", "targetUrl": "x", "filter": {}, "signingType": "GITHUB",
        "retry": {"type": "list", "delaysMs": []}, "ordering": {"mode": "perKey"}, "breaker": {"windowSeconds": 0},
        "enrichments": [{"name": "e", "url": "x"}], "timeouts": {"connectMs": 0}});
    let problems = problems(&extra);
    assert!(problems.len() >= 9, "{problems:#?}");
}

#[test]
fn an_id_of_a_file_is_made_of_the_name() {
    let mut made = document(&json!({"name": "Bill to Lab/7"}));
    made["integrations"][0].as_object_mut().unwrap().remove("id");
    let plan = compile(&Snapshot::from_document(&made).unwrap(), None).unwrap();
    assert!(plan.events.subscription("1-Bill-to-Lab-7").is_some());
}
