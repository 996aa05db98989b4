use std::collections::BTreeMap;
use std::sync::Arc;

use filters::delivery::Health;
use filters::model::Snapshot;
use filters::plan::Plan;
use serde_json::{Value, json};

use super::*;
use crate::live::{Deps, Live};
use crate::metrics::Metrics;

struct Rig {
    deps: Deps,
    live: Option<Live>,
}

impl Rig {
    fn new() -> Self {
        let metrics = Arc::new(Metrics::new(10).unwrap());
        Self {
            deps: Deps {
                metrics,
                ..Deps::for_tests()
            },
            live: None,
        }
    }

    fn serve(&mut self, weights: &[u32], options: Value) -> Arc<Resilience> {
        let targets: Vec<_> = (0..)
            .zip(weights)
            .map(|(port, weight)| json!({"url": format!("http://partner.example:{}", 8000 + port), "weight": weight}))
            .collect();
        let mut integration = json!({"name": "a", "type": "a", "orgId": 1, "targets": targets});
        for (field, value) in options.as_object().unwrap() {
            integration[field] = value.clone();
        }
        let document = json!({"integrations": [integration], "security": {"enforceHttps": false}});
        let snapshot = Snapshot::from_document(&document).unwrap();
        let plan: Plan = filters::compile(&snapshot, self.live.as_ref().map(|live| &live.plan)).unwrap();
        let live = Live::build(plan, self.live.as_ref(), &self.deps);
        let resilience = live.runtimes[0].as_ref().unwrap().resilience.clone().unwrap();
        self.live = Some(live);
        resilience
    }

    fn open_circuits(&self) -> i64 {
        let live = self.live.as_ref().unwrap();
        live.runtimes[0].as_ref().unwrap().metrics.circuit_open().get()
    }
}

fn wanted(ticket: u64) -> Wanted<'static> {
    Wanted {
        tried: &[],
        ticket,
        key: None,
    }
}

fn port(attempt: &Attempt) -> u16 {
    attempt.endpoint().target.upstream.target().port()
}

fn fail(resilience: &Arc<Resilience>, times: u64) {
    for ticket in 0..times {
        if let Ok(mut attempt) = resilience.choose(wanted(ticket)) {
            attempt.settle(Health::Bad);
        }
    }
}

#[tokio::test]
async fn another_attempt_goes_elsewhere_while_there_is_an_elsewhere() {
    let resilience = Rig::new().serve(&[1, 1, 1], json!({"retry": {}}));
    let mut tried = Vec::new();
    for round in 0..2 {
        let mut seen: Vec<_> = (0..3)
            .map(|_| {
                let attempt = resilience
                    .choose(Wanted {
                        tried: &tried,
                        ..wanted(7)
                    })
                    .unwrap();
                tried.push(Arc::clone(attempt.endpoint()));
                port(&attempt)
            })
            .collect();
        seen.sort_unstable();
        if round == 0 {
            assert_eq!(seen, [8000, 8001, 8002]);
        }
    }
}

#[tokio::test]
async fn a_circuit_opens_after_failures_in_a_row_and_is_counted() {
    let mut rig = Rig::new();
    let resilience = rig.serve(&[1], json!({"breaker": {"consecutiveFailures": 3}}));
    fail(&resilience, 2);
    assert_eq!(rig.open_circuits(), 0);
    fail(&resilience, 1);
    assert_eq!(rig.open_circuits(), 1);
    let refused = resilience.choose(wanted(0)).unwrap_err();
    let Unavailable::CircuitOpen { until_ms } = refused else {
        panic!("{refused:?}");
    };
    let seconds = refused.retry_after_seconds(until_ms - 29_500);
    assert_eq!(seconds, Some(30));
    resilience.reset();
    let mut probe = resilience.choose(wanted(0)).unwrap();
    assert!(resilience.choose(wanted(0)).is_err(), "one probe at a time");
    probe.settle(Health::Good);
    assert_eq!(rig.open_circuits(), 1, "it is probed still");
}

#[tokio::test]
async fn requests_go_where_the_circuit_is_closed() {
    let mut rig = Rig::new();
    let resilience = rig.serve(&[1, 1], json!({"breaker": {"consecutiveFailures": 1}}));
    let mut attempt = resilience.choose(wanted(0)).unwrap();
    let failed = port(&attempt);
    attempt.settle(Health::Bad);
    for ticket in 0..20 {
        assert_ne!(port(&resilience.choose(wanted(ticket)).unwrap()), failed);
    }
}

#[tokio::test]
async fn an_open_circuit_survives_other_changes_and_not_changed_rules() {
    let mut rig = Rig::new();
    let rules = json!({"breaker": {"consecutiveFailures": 1}});
    let first = rig.serve(&[1], rules.clone());
    fail(&first, 1);
    let mut renamed = rules;
    renamed["name"] = json!("b");
    let second = rig.serve(&[1], renamed);
    assert!(Arc::ptr_eq(&first, &second));
    assert!(second.choose(wanted(0)).is_err());
    let third = rig.serve(&[1], json!({"breaker": {"consecutiveFailures": 2}}));
    assert!(third.choose(wanted(0)).is_ok());
    drop((first, second));
    assert_eq!(rig.open_circuits(), 0);
}

#[tokio::test]
async fn requests_are_spread_as_the_integration_says() {
    let mut rig = Rig::new();
    let mut ports = |weights: &[u32], balance: Value| {
        let resilience = rig.serve(weights, json!({"balance": balance}));
        let mut counts = BTreeMap::new();
        for ticket in 0..400 {
            *counts
                .entry(port(&resilience.choose(wanted(ticket)).unwrap()))
                .or_insert(0) += 1;
        }
        counts
    };
    let even = BTreeMap::from([(8000, 200), (8001, 200)]);
    assert_eq!(ports(&[1, 9, 0], json!({"type": "roundRobin"})), even);
    let weighted = ports(&[1, 3], json!({"type": "leastRequests"}));
    assert!(weighted.len() == 2, "{weighted:?}");
}

#[tokio::test]
async fn least_requests_avoids_the_busy_target() {
    let resilience = Rig::new().serve(&[1, 1], json!({"balance": {"type": "leastRequests"}}));
    let busy = resilience.choose(wanted(0)).unwrap();
    for _ in 0..50 {
        let other = resilience.choose(wanted(0)).unwrap();
        assert_ne!(port(&other), port(&busy));
    }
}

#[tokio::test]
async fn equal_keys_go_to_the_same_target() {
    let balance = json!({"balance": {"type": "consistentHash", "key": {"header": "X-Patient"}}});
    let resilience = Rig::new().serve(&[1, 1, 1], balance);
    let home = |key, tried: &[Arc<Endpoint>]| {
        let wanted = Wanted {
            tried,
            ticket: 0,
            key: Some(key),
        };
        resilience.choose(wanted).unwrap()
    };
    let mut used = std::collections::BTreeSet::new();
    for key in 0..50 {
        let key = balance::hash(&[key]);
        let first = home(key, &[]);
        assert_eq!(port(&first), port(&home(key, &[])));
        let second = home(key, &[Arc::clone(first.endpoint())]);
        assert_ne!(port(&first), port(&second));
        used.insert(port(&first));
    }
    assert_eq!(used.len(), 3);
}

#[tokio::test]
async fn a_target_that_fails_in_a_row_is_passed_over_but_never_the_last_one() {
    let options = json!({"passiveHealth": {"consecutiveFailures": 2, "maxEjectedPercent": 100}});
    let resilience = Rig::new().serve(&[1, 1], options);
    let bad = port(&resilience.choose(wanted(0)).unwrap());
    for ticket in 0..100 {
        let mut attempt = resilience.choose(wanted(ticket)).unwrap();
        let health = if port(&attempt) == bad {
            Health::Bad
        } else {
            Health::Good
        };
        attempt.settle(health);
    }
    let now_ms = clock::now_ms();
    for ticket in 0..20 {
        assert_ne!(port(&resilience.choose(wanted(ticket)).unwrap()), bad);
    }
    fail(&resilience, 20);
    let out = resilience.members().iter().filter(|one| one.is_ejected(now_ms)).count();
    assert_eq!(out, 1);
}

#[tokio::test]
async fn no_more_than_the_limit_goes_to_a_target() {
    let options = json!({"adaptiveConcurrency": {"minLimit": 2, "initialLimit": 2, "maxLimit": 2}});
    let resilience = Rig::new().serve(&[1, 1], options);
    let held: Vec<_> = (0..4)
        .map(|ticket| resilience.choose(wanted(ticket)).unwrap())
        .collect();
    assert_eq!(resilience.choose(wanted(0)).unwrap_err(), Unavailable::Busy);
    drop(held);
    assert!(resilience.choose(wanted(0)).is_ok());
}
