use std::net::SocketAddr;

use filters::model::Snapshot;
use filters::model::push::Object;
use http::HeaderValue;
use serde_json::{Value, json};

use super::*;
use crate::limiter::Counted;
use crate::queue::Step;

impl Deps {
    /// Without a name server and without series of integrations.
    pub(crate) fn for_tests() -> Self {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let metrics = Arc::new(Metrics::new(0).unwrap());
        let resolver = Arc::new(Resolver::with_name_servers(&[nowhere]).unwrap());
        let trust = Trust::load(None).unwrap();
        Self {
            api_hosts: ["api.example.com".to_owned()].into(),
            redirect_port: 443,
            tokens: tokens(&resolver, &trust, Arc::new(NoGrants), &metrics),
            quotas: Arc::default(),
            issuers: Arc::default(),
            metrics,
            resolver,
            dialer: Arc::new(Dialer {
                settings: PoolSettings::default(),
                trust,
                idle: IdleLimit::new(64),
            }),
        }
    }
}

/// For tests that ask no token endpoint.
struct NoGrants;

impl GrantStore for NoGrants {
    fn claim(&self, _: &[u8; 32]) -> std::io::Result<Option<Box<dyn egress::Claim>>> {
        Ok(None)
    }
}

/// Versions, each built on the one before.
struct Versions {
    deps: Deps,
    snapshot: Snapshot,
    live: Option<Arc<Live>>,
}

impl Versions {
    fn new() -> Self {
        Self {
            deps: Deps::for_tests(),
            snapshot: Snapshot::default(),
            live: None,
        }
    }

    fn put(&mut self, objects: Vec<Object>) -> Arc<Live> {
        self.snapshot = self.snapshot.changed(self.snapshot.version + 1, objects, &[]);
        let previous = self.live.as_deref();
        let plan = filters::compile(&self.snapshot, previous.map(|live| &live.plan)).unwrap();
        let live = Arc::new(Live::build(plan, previous, &self.deps));
        self.live = Some(Arc::clone(&live));
        live
    }
}

fn integration(id: &str, change: &Value) -> Object {
    let mut value = json!({"id": id, "name": id, "type": id, "orgId": 1, "targetUrl": "https://partner.example/api",
        "rateLimits": {"maxRequests": 100, "perKey": {"maxRequests": 5}},
        "inboundAuthType": "BEARER", "inboundAuthConfig": {"tokens": [{"name": "k", "value": "secret-of-k"}]}});
    let (Some(fields), Some(change)) = (value.as_object_mut(), change.as_object()) else {
        panic!("{change} is no object");
    };
    fields.extend(change.clone());
    Object::Integration(Arc::new(serde_json::from_value(value).unwrap()))
}

fn organization(change: &Value) -> Object {
    let mut value = json!({"orgId": 1, "rateLimit": {"maxRequests": 1000}});
    value
        .as_object_mut()
        .unwrap()
        .extend(change.as_object().unwrap().clone());
    Object::Organization(Arc::new(serde_json::from_value(value).unwrap()))
}

fn runtime(live: &Live, id: &str) -> Arc<IntegrationRuntime> {
    let slot = live.plan.integration(id).unwrap().slot;
    Arc::clone(live.runtime(slot).unwrap())
}

/// Requests that the tightest limit still allows, after one more.
fn remaining(runtime: &IntegrationRuntime) -> u64 {
    let (_, left) = counted(runtime).expect("a limit is set");
    let items = left.to_str().unwrap().split(", ");
    let numbers = items.map(|item| item.split("r=").nth(1).unwrap().split(';').next().unwrap());
    numbers.map(|number| number.parse().unwrap()).min().unwrap()
}

/// What a client is told of its limits.
fn counted(runtime: &IntegrationRuntime) -> Option<(HeaderValue, HeaderValue)> {
    let caller = Counted {
        caller: Some("k"),
        ..Counted::default()
    };
    runtime.limiters.check(caller, None).unwrap().fields
}

#[test]
fn what_a_version_leaves_alone_is_the_same() {
    let mut versions = Versions::new();
    let first = versions.put(vec![
        organization(&json!({})),
        integration("a", &json!({})),
        integration("b", &json!({})),
    ]);
    let second = versions.put(vec![integration("b", &json!({"name": "renamed"}))]);
    assert!(Arc::ptr_eq(&runtime(&first, "a"), &runtime(&second, "a")));
    assert!(!Arc::ptr_eq(&runtime(&first, "b"), &runtime(&second, "b")));
    assert_eq!(runtime(&second, "b").integration.source.name, "renamed");
    assert_eq!(&*second.api_hosts, ["api.example.com"]);
}

#[test]
fn limits_that_did_not_change_count_on() {
    let mut versions = Versions::new();
    let first = versions.put(vec![organization(&json!({})), integration("a", &json!({}))]);
    assert_eq!(remaining(&runtime(&first, "a")), 4);
    let second = versions.put(vec![integration("a", &json!({"name": "renamed"}))]);
    assert_eq!(remaining(&runtime(&second, "a")), 3);
    let limits = json!({"rateLimits": {"maxRequests": 100, "perKey": {"maxRequests": 9}}});
    let third = versions.put(vec![integration("a", &limits)]);
    assert_eq!(remaining(&runtime(&third, "a")), 8, "a new limit begins anew");
}

#[test]
fn the_limit_of_an_organization_is_one_for_all_its_integrations() {
    let few = json!({"rateLimit": {"maxRequests": 3}});
    let free = json!({"rateLimits": null});
    let mut versions = Versions::new();
    let first = versions.put(vec![
        organization(&few),
        integration("a", &free),
        integration("b", &free),
    ]);
    assert_eq!(
        (remaining(&runtime(&first, "a")), remaining(&runtime(&first, "b"))),
        (2, 1)
    );
    let second = versions.put(vec![integration("a", &json!({"rateLimits": null, "name": "renamed"}))]);
    assert_eq!(remaining(&runtime(&second, "a")), 0, "the count goes on over a swap");
    let third = versions.put(vec![organization(&json!({"rateLimit": {"maxRequests": 50}}))]);
    assert_eq!(
        remaining(&runtime(&third, "a")),
        49,
        "a new limit reaches integrations that did not change"
    );
    assert_eq!(remaining(&runtime(&third, "b")), 48);
    let fourth = versions.put(vec![organization(&json!({"rateLimit": null}))]);
    assert!(counted(&runtime(&fourth, "b")).is_none());
}

#[test]
fn connections_are_kept_as_long_as_target_and_policy_are() {
    let two = json!({"targetUrl": null, "targets": [{"url": "https://one.example"}, {"url": "https://two.example"}]});
    let other =
        json!({"targetUrl": null, "targets": [{"url": "https://two.example"}, {"url": "https://three.example"}]});
    let mut versions = Versions::new();
    let first = runtime(
        &versions.put(vec![organization(&json!({})), integration("a", &two)]),
        "a",
    );
    let second = runtime(&versions.put(vec![integration("a", &other)]), "a");
    assert!(Arc::ptr_eq(&first.targets[1], &second.targets[0]));
    assert!(!Arc::ptr_eq(&first.targets[0], &second.targets[1]));
    assert_eq!(first.group_key, second.group_key);
    let third = runtime(
        &versions.put(vec![organization(&json!({"allowedNetworks": ["10.1.0.0/16"]}))]),
        "a",
    );
    assert!(
        !Arc::ptr_eq(&second.targets[0], &third.targets[0]),
        "addresses must be checked by the new policy"
    );
    assert_ne!(second.group_key, third.group_key);
}

#[test]
fn integrations_never_share_connections() {
    let mut versions = Versions::new();
    let live = versions.put(vec![integration("a", &json!({})), integration("b", &json!({}))]);
    let (a, b) = (runtime(&live, "a"), runtime(&live, "b"));
    assert_ne!(a.group_key, b.group_key);
    assert!(!Arc::ptr_eq(&a.targets[0], &b.targets[0]));
}

#[test]
fn an_integration_in_the_slot_of_a_deleted_one_inherits_nothing() {
    let mut versions = Versions::new();
    let first = versions.put(vec![integration("a", &json!({}))]);
    let old = runtime(&first, "a");
    remaining(&old);
    let delete = [filters::model::push::ObjectId::Integration("a".into())];
    versions.snapshot = versions.snapshot.changed(9, Vec::new(), &delete);
    let second = versions.put(vec![integration("b", &json!({}))]);
    let new = runtime(&second, "b");
    assert_eq!(remaining(&new), 4);
    assert!(!Arc::ptr_eq(&old.targets[0], &new.targets[0]));
}

fn outbound(id: &str, change: &Value) -> Object {
    let mut value = json!({"id": id, "name": id, "orgId": 1, "direction": "OUTBOUND", "eventType": "bill.generated",
        "targetUrl": "https://partner.example/hook"});
    let (Some(fields), Some(change)) = (value.as_object_mut(), change.as_object()) else {
        panic!("{change} is no object");
    };
    fields.extend(change.clone());
    Object::Outbound(Arc::new(serde_json::from_value(value).unwrap()))
}

#[test]
fn a_subscription_keeps_its_connections_while_its_endpoint_and_policy_are_the_same() {
    let mut versions = Versions::new();
    let first = versions.put(vec![
        organization(&json!({})),
        outbound("a", &json!({})),
        outbound("b", &json!({})),
    ]);
    let of = |live: &Live, id: &str| Arc::clone(live.subscription(id).unwrap());
    let target = |live: &Live, id: &str| Arc::clone(&of(live, id).steps[0].call.target);
    let second = versions.put(vec![outbound(
        "b",
        &json!({"targetUrl": "https://partner.example/other"}),
    )]);
    assert!(Arc::ptr_eq(&of(&first, "a"), &of(&second, "a")));
    assert!(!Arc::ptr_eq(&of(&first, "b"), &of(&second, "b")));
    assert!(Arc::ptr_eq(&target(&first, "b"), &target(&second, "b")));
    assert_eq!(&*of(&second, "b").steps[0].call.url, "https://partner.example/other");
    assert!(!Arc::ptr_eq(&target(&first, "a"), &target(&first, "b")));
    let third = versions.put(vec![organization(&json!({"allowedNetworks": ["10.1.0.0/16"]}))]);
    assert!(!Arc::ptr_eq(&target(&second, "a"), &target(&third, "a")));
}

#[test]
fn steps_at_one_origin_share_connections() {
    let actions = json!({"targetUrl": null, "actions": [
        {"name": "one", "targetUrl": "https://partner.example/one", "compensate": {"targetUrl": "https://partner.example/undo"}},
        {"name": "two", "targetUrl": "https://partner.example:444/two"},
    ]});
    let mut versions = Versions::new();
    let live = versions.put(vec![outbound("a", &actions)]);
    let runtime = live.subscription("a").unwrap();
    let target = |step| &runtime.call(step).unwrap().target;
    assert!(Arc::ptr_eq(target(Step::Forward(0)), target(Step::Back(0))));
    assert!(!Arc::ptr_eq(target(Step::Forward(0)), target(Step::Forward(1))));
    assert!(runtime.call(Step::Back(1)).is_none() && runtime.call(Step::Forward(2)).is_none());
}
