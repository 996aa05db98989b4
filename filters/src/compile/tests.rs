use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::route::Found;

fn snapshot(document: &Value) -> Snapshot {
    Snapshot::from_document(document).unwrap()
}

fn integration(kind: &str, extra: Value) -> Value {
    let mut base = json!({
        "name": kind, "type": kind, "orgId": 1, "targetUrl": "https://partner.example/v1", "hosts": [format!("{kind}.gw.example")]
    });
    for (field, value) in extra.as_object().unwrap() {
        base[field] = value.clone();
    }
    base
}

fn compiled(integrations: &[Value]) -> Plan {
    compile(&snapshot(&json!({ "integrations": integrations })), None).unwrap()
}

fn problems_of(integrations: &[Value]) -> Vec<String> {
    compile(&snapshot(&json!({ "integrations": integrations })), None)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn found(plan: &Plan, host: &str, path: &str, method: &Method) -> String {
    match plan.routes.find(host, path, method) {
        Found::Route(found) => {
            let id = found.parameter("id").unwrap_or_default();
            format!("{} {} {id}", found.integration.source.kind, found.matched)
        }
        Found::MethodNotAllowed(allowed) => allowed.allow(),
        Found::Nothing => "nothing".to_owned(),
    }
}

#[test]
fn hosts_paths_and_methods_choose_the_integration() {
    let plan = compiled(&[
        integration(
            "exact",
            json!({"hosts": ["a.example"], "paths": [{"exact": "/p"}], "methods": ["GET"]}),
        ),
        integration(
            "posted",
            json!({"hosts": ["a.example"], "paths": [{"exact": "/p"}], "methods": ["POST"]}),
        ),
        integration(
            "template",
            json!({"hosts": ["a.example"], "paths": [{"template": "/p/{id}/x"}]}),
        ),
        integration("prefix", json!({"hosts": ["A.Example"], "paths": [{"prefix": "/p/"}]})),
        integration("wild", json!({"hosts": ["*.example"]})),
        integration("deep", json!({"hosts": ["*.b.example"]})),
    ]);
    for (host, path, method, expected) in [
        ("a.example", "/p", Method::GET, "exact 2 "),
        ("a.example", "/p", Method::HEAD, "exact 2 "),
        ("a.example", "/p", Method::POST, "posted 2 "),
        ("a.example", "/p", Method::DELETE, "GET, HEAD, POST"),
        ("a.example", "/p/7/x", Method::PUT, "template 6 7"),
        ("a.example", "/p/7/y", Method::PUT, "prefix 2 "),
        ("a.example", "/p/", Method::PUT, "prefix 2 "),
        ("a.example", "/px", Method::GET, "nothing"),
        ("x.example", "/any", Method::GET, "wild 0 "),
        ("c.b.example", "/", Method::GET, "deep 0 "),
        ("b.example", "/", Method::GET, "wild 0 "),
        ("example", "/", Method::GET, "nothing"),
    ] {
        assert_eq!(found(&plan, host, path, &method), expected, "{method} {host}{path}");
    }
}

#[test]
fn the_runtime_address_is_scoped_by_organization_and_ignores_inactive_ones() {
    let plan = compiled(&[
        integration("one", json!({"hosts": []})),
        integration("off", json!({"isActive": false})),
    ]);
    assert!(plan.routes.find_type(1, "one").is_some());
    assert!(plan.routes.find_type(2, "one").is_none());
    assert!(plan.routes.find_type(1, "off").is_none());
    assert_eq!(found(&plan, "off.gw.example", "/", &Method::GET), "nothing");
    assert!(plan.integration("1-off").is_some());
}

#[test]
fn every_problem_of_every_integration_is_reported_with_its_path() {
    let problems = problems_of(&[
        integration(
            "bad kind",
            json!({"id": "a", "targetUrl": "ftp://x", "timeouts": {"connectMs": 0}}),
        ),
        integration(
            "auth",
            json!({"id": "b", "inboundAuthType": "API_KEY", "outgoingAuthType": "OAUTH2",
            "inboundAuthConfig": {"keys": [{"name": "k", "hash": "sha256:zz"}, {"name": "k", "value": "short"}, {"name": "n"}]}}),
        ),
        integration(
            "mode",
            json!({"id": "c", "requestTransformationMode": "SIMPLE", "responseTransformScript": "x"}),
        ),
        integration(
            "limits",
            json!({"id": "d", "rateLimits": {"maxRequests": 0, "perKey": {"maxRequests": 1}}}),
        ),
    ]);
    for expected in [
        "integrations[\"a\"].type:",
        "integrations[\"a\"].targetUrl:",
        "integrations[\"a\"].timeouts.connectMs:",
        "integrations[\"b\"].inboundAuthConfig.keys[0].hash:",
        "integrations[\"b\"].inboundAuthConfig.keys[1].name:",
        "integrations[\"b\"].inboundAuthConfig.keys[1].value:",
        "integrations[\"b\"].inboundAuthConfig.keys[2]:",
        "integrations[\"b\"].outgoingAuthConfig: is needed by this outgoingAuthType",
        "integrations[\"c\"].requestFieldMappings:",
        "integrations[\"c\"].responseTransformationMode:",
        "integrations[\"d\"].rateLimits.maxRequests:",
        "integrations[\"d\"].rateLimits.perKey:",
    ] {
        assert!(
            problems.iter().any(|problem| problem.starts_with(expected)),
            "{expected} in {problems:#?}"
        );
    }
}

#[test]
fn conflicts_name_both_sides() {
    let same = json!({"hosts": ["a.example"], "paths": [{"exact": "/p"}]});
    let problems = problems_of(&[integration("one", same.clone()), integration("two", same)]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].contains("1-two") && problems[0].contains("1-one"),
        "{problems:?}"
    );

    let problems = problems_of(&[
        integration("one", json!({"id": "x", "type": "same"})),
        integration("two", json!({"id": "y", "type": "same"})),
    ]);
    assert!(
        problems[0].starts_with("integrations[\"y\"].type: is taken"),
        "{problems:?}"
    );

    let problems = problems_of(&[
        integration("one", json!({"hosts": ["a.example"], "paths": [{"exact": "/1"}]})),
        integration(
            "two",
            json!({"hosts": ["a.example"], "paths": [{"exact": "/2"}], "orgId": 2}),
        ),
    ]);
    assert!(problems[0].contains("another organization"), "{problems:?}");
}

#[test]
fn private_targets_need_the_organization_s_leave() {
    let local = integration("local", json!({"targetUrl": "http://127.0.0.1:9090/"}));
    let strict = problems_of(std::slice::from_ref(&local));
    assert_eq!(strict.len(), 2, "{strict:?}");
    let allowed = json!({"security": {"enforceHttps": false}, "integrations": [local],
        "organizations": [{"orgId": 1, "allowedNetworks": ["127.0.0.0/8"]}]});
    assert!(compile(&snapshot(&allowed), None).is_ok());
}

#[test]
fn a_change_rebuilds_only_what_it_touches() {
    let document = |target: &str| {
        snapshot(&json!({"integrations": [
            integration("a", json!({"targetUrl": target})), integration("b", json!({})), integration("c", json!({}))]}))
    };
    let first = compile(&document("https://one.example"), None).unwrap();
    let second = compile(&document("https://two.example"), Some(&first)).unwrap();
    let same = |id| Arc::ptr_eq(first.integration(id).unwrap(), second.integration(id).unwrap());
    assert!(!same("1-a") && same("1-b") && same("1-c"));
    assert_eq!(
        first.integration("1-a").unwrap().slot,
        second.integration("1-a").unwrap().slot
    );
    assert_ne!(first.digest, second.digest);
}

#[test]
fn an_organization_s_change_rebuilds_its_integrations() {
    let document = |networks: Value| {
        snapshot(
            &json!({"organizations": [{"orgId": 1, "allowedNetworks": networks}], "integrations": [
            integration("a", json!({})), integration("b", json!({"orgId": 2}))]}),
        )
    };
    let first = compile(&document(json!([])), None).unwrap();
    let second = compile(&document(json!(["10.0.0.0/8"])), Some(&first)).unwrap();
    assert!(!Arc::ptr_eq(
        first.integration("1-a").unwrap(),
        second.integration("1-a").unwrap()
    ));
    assert!(Arc::ptr_eq(
        first.integration("2-b").unwrap(),
        second.integration("2-b").unwrap()
    ));
}

#[test]
fn slots_are_kept_and_freed_ones_reused() {
    let of = |kinds: &[&str], previous: Option<&Plan>| {
        let integrations: Vec<_> = kinds.iter().map(|kind| integration(kind, json!({}))).collect();
        compile(&snapshot(&json!({ "integrations": integrations })), previous).unwrap()
    };
    let first = of(&["a", "b", "c"], None);
    let second = of(&["a", "c", "d", "e"], Some(&first));
    let slot = |plan: &Plan, id: &str| plan.integration(id).unwrap().slot;
    assert_eq!(slot(&first, "1-c"), slot(&second, "1-c"));
    assert_eq!(slot(&first, "1-b"), slot(&second, "1-d"));
    assert_eq!(slot(&second, "1-e"), 3);
}

#[test]
fn weights_share_the_requests() {
    let plan = compiled(&[integration(
        "w",
        json!({"targetUrl": null, "targets": [
        {"url": "https://a.example", "weight": 3}, {"url": "https://b.example", "weight": 1}, {"url": "https://c.example", "weight": 0}]}),
    )]);
    let integration = plan.integration("1-w").unwrap();
    let mut counts = [0; 3];
    for ticket in 0..4_000 {
        counts[integration.pick(ticket)] += 1;
    }
    assert!((2_990..=3_010).contains(&counts[0]) && counts[2] == 0, "{counts:?}");
}

#[test]
fn what_is_changed_step_by_step_routes_like_what_is_compiled_at_once() {
    let on = |host: &str, path: &str| json!({"hosts": [host, "*.shared.example"], "paths": [{"exact": path}]});
    let steps: [Vec<Value>; 5] = [
        vec![
            integration("a", on("a.example", "/1")),
            integration("b", on("a.example", "/2")),
        ],
        // Swapped paths, a new one, another host.
        vec![
            integration("a", on("a.example", "/2")),
            integration("b", on("a.example", "/1")),
            integration("c", on("c.example", "/3")),
        ],
        vec![
            integration("b", on("c.example", "/1")),
            integration("c", json!({"isActive": false})),
        ],
        vec![
            integration("c", on("a.example", "/1")),
            integration("d", on("a.example", "/4")),
        ],
        vec![],
    ];
    let requests: Vec<_> = ["a.example", "c.example", "x.shared.example"]
        .iter()
        .flat_map(|host| ["/1", "/2", "/3", "/4"].map(|path| (*host, path)))
        .collect();
    let mut plan: Option<Plan> = None;
    for integrations in steps {
        let snapshot = snapshot(&json!({ "integrations": integrations }));
        let stepped = compile(&snapshot, plan.as_ref()).unwrap();
        let fresh = compile(&snapshot, None).unwrap();
        for (host, path) in &requests {
            let get = |plan| found(plan, host, path, &Method::GET);
            assert_eq!(get(&stepped), get(&fresh), "{host}{path} with {}", integrations.len());
        }
        for kind in ["a", "b", "c", "d"] {
            let has = |plan: &Plan| plan.routes.find_type(1, kind).is_some();
            assert_eq!(has(&stepped), has(&fresh), "{kind}");
        }
        plan = Some(stepped);
    }
}

#[test]
fn two_that_swap_their_types_do_not_collide() {
    let of = |one: &str, two: &str, previous: Option<&Plan>| {
        let integrations = [
            integration("x", json!({"id": "1", "type": one})),
            integration("y", json!({"id": "2", "type": two})),
        ];
        compile(&snapshot(&json!({ "integrations": integrations })), previous).unwrap()
    };
    let first = of("left", "right", None);
    let second = of("right", "left", Some(&first));
    assert_eq!(&*second.routes.find_type(1, "left").unwrap().id, "2");
}

#[test]
fn an_organization_keeps_to_its_hosts() {
    let with = |hosts: Value| {
        let document = json!({
            "organizations": [{"orgId": 1, "hosts": hosts}],
            "integrations": [integration("labs", json!({"hosts": ["a.clinic.example", "*.b.clinic.example"]}))],
        });
        compile(&snapshot(&document), None)
            .map(|_| ())
            .map_err(|problems| problems[0].to_string())
    };
    assert_eq!(with(json!([])), Ok(()));
    assert_eq!(with(json!(["*.clinic.example"])), Ok(()));
    let refused = with(json!(["a.clinic.example"])).unwrap_err();
    assert_eq!(
        refused,
        "integrations[\"1-labs\"].hosts: \"*.b.clinic.example\" is not within `hosts` of organization 1"
    );
    let wrong = with(json!(["https://clinic.example"])).unwrap_err();
    assert!(wrong.starts_with("organizations[1].hosts[0]: "), "{wrong}");
}

#[test]
fn names_hold_no_control_characters_and_numbers_are_exact_everywhere() {
    let problems = problems_of(&[integration("labs", json!({"name": "a\u{0}\nb", "orgId": 1_u64 << 53}))]);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains(".name: must not hold control"), "{problems:?}");
    assert!(
        problems[1].contains(".orgId: 9007199254740992 must be between 1 and"),
        "{problems:?}"
    );
    assert_eq!(problems_of(&[integration("labs", json!({"orgId": 0}))]).len(), 1);
    compiled(&[integration("labs", json!({"orgId": (1_u64 << 53) - 1}))]);
    let organization = json!({"organizations": [{"orgId": 1, "name": "a\u{1b}[2J"}]});
    let problems = compile(&snapshot(&organization), None).unwrap_err();
    assert_eq!(problems[0].path, "organizations[1].name");
}
