use filters::model::push::EndpointStatus;
use serde_json::json;

use super::super::alert::{AlertStatus, Severity};
use super::super::traffic::Traffic;
use super::*;

/// Ten o'clock.
const NOW: &str = "2026-01-15T10:00:00Z";

/// What is known, in a form that tests can change.
struct World {
    snapshot: Snapshot,
    gateways: Vec<Standing>,
    dead_letters: Option<Vec<DeadLetterCount>>,
    store_fault: Option<String>,
    certificates: Vec<Expiry>,
    traffic: Option<Watched>,
    rules: AlertRules,
}

impl World {
    fn new() -> Self {
        let document = json!({
            "organizations": [{"orgId": 648, "name": "Clinic"}],
            "integrations": [
                {"id": "bills", "direction": "OUTBOUND", "name": "Bills", "orgId": 648, "eventType": "bill.*",
                    "targetUrl": "https://partner.example"},
                {"id": "labs", "direction": "OUTBOUND", "name": "Labs", "orgId": 648, "eventType": "lab.*",
                    "targetUrl": "https://partner.example"},
            ],
        });
        Self {
            snapshot: Snapshot::from_document(&document).unwrap(),
            gateways: Vec::new(),
            dead_letters: Some(Vec::new()),
            store_fault: None,
            certificates: Vec::new(),
            traffic: Some(Watched::default()),
            rules: AlertRules::default(),
        }
    }

    fn judge(&self) -> Judge<'_> {
        let facts = Facts {
            now: at(NOW),
            watching_since: at("2026-01-15T08:00:00Z"),
            snapshot: &self.snapshot,
            gateways: &self.gateways,
            dead_letters: self.dead_letters.as_deref(),
            store_fault: self.store_fault.as_deref(),
            certificates: &self.certificates,
            traffic: self.traffic.as_ref(),
        };
        Judge::new(facts, self.rules)
    }

    /// What holds, as keys.
    fn keys(&self) -> Vec<String> {
        self.judge().findings().iter().map(Finding::key).collect()
    }

    fn only(&self) -> Finding {
        let mut findings = self.judge().findings();
        assert_eq!(findings.len(), 1, "{findings:?}");
        findings.remove(0)
    }
}

#[test]
fn an_open_breaker_is_one_finding_over_all_gateways_and_steps() {
    let mut world = World::new();
    let open = || endpoint("bills", "circuitOpen", 3, "2026-01-15T09:30:00Z");
    world.gateways = vec![
        gateway("g1", Some(vec![open(), open(), endpoint("labs", "working", 1, NOW)])),
        gateway("g2", Some(vec![open()])),
    ];
    let finding = world.only();
    assert_eq!(finding.key(), "ENDPOINT_DOWN:bills");
    assert_eq!(finding.gateway_ids, ["g1", "g2"]);
    assert_eq!(
        finding.title,
        "The endpoint of \"Bills\" (bills) of organization 648 (Clinic) gets nothing: its circuit breaker is open"
    );
    assert_eq!(
        finding.detail,
        "9 events undelivered at g1, g2, the oldest accepted at 2026-01-15 09:30:00 UTC. Last word on it: answered 503."
    );
    assert_eq!(finding.hold, SignedDuration::from_secs(60));
}

#[test]
fn each_state_means_what_it_means() {
    for (state, is_down) in [
        ("circuitOpen", true),
        ("deactivated", true),
        ("disabled", true),
        ("halfOpen", false),
        ("paused", false),
        ("inactive", false),
        ("working", false),
        ("missing", false),
        ("somethingNewer", false),
    ] {
        let mut world = World::new();
        world.gateways = vec![gateway("g1", Some(vec![endpoint("bills", state, 1, NOW)]))];
        assert_eq!(world.keys() == ["ENDPOINT_DOWN:bills"], is_down, "{state}");
    }
}

#[test]
fn events_that_wait_for_too_long_are_found_unless_their_endpoint_is_down_or_they_were_scheduled() {
    let mut world = World::new();
    let late = |state| endpoint("bills", state, 2, "2026-01-15T09:44:00Z");
    let mut found = |endpoint| {
        world.gateways = vec![gateway("g1", Some(vec![endpoint]))];
        world.keys()
    };
    assert_eq!(found(late("working")), ["LAG:bills"]);
    assert_eq!(found(late("halfOpen")), ["LAG:bills"]);
    assert_eq!(found(late("circuitOpen")), ["ENDPOINT_DOWN:bills"]);
    assert_eq!(found(endpoint("bills", "working", 2, "2026-01-15T09:46:00Z")), [""; 0]);
    assert_eq!(found(late("paused")), [""; 0], "an operator knows of it");
    assert_eq!(
        found(endpoint("bills", "paused", 2, "2026-01-14T09:59:00Z")),
        ["LAG:bills"]
    );
    let mut scheduled = late("working");
    scheduled.reason = None;
    scheduled.next_attempt_at = Some("2026-01-16T10:00:00Z".to_owned());
    assert_eq!(found(scheduled.clone()), [""; 0], "it is to go out tomorrow");
    scheduled.reason = Some("answered 503".to_owned());
    assert_eq!(found(scheduled), ["LAG:bills"], "it waits as it failed");
    assert_eq!(found(endpoint("gone", "working", 2, "2026-01-15T09:00:00Z")), [""; 0]);
}

#[test]
fn a_gateway_is_missed_after_a_time_until_it_counts_as_taken_away() {
    let mut world = World::new();
    let mut found = |last_seen: &str| {
        let mut gone = gateway("g1", None);
        (gone.connected, gone.last_seen) = (false, at(last_seen));
        world.gateways = vec![gone];
        world.keys()
    };
    assert_eq!(found("2026-01-15T09:58:30Z"), [""; 0], "not for long enough");
    assert_eq!(found("2026-01-15T09:57:00Z"), ["GATEWAY_GONE:g1"]);
    assert_eq!(found("2026-01-14T09:00:00Z"), ["GATEWAY_GONE:g1"]);
    assert_eq!(found("2026-01-08T09:59:00Z"), [""; 0], "it was taken away");
}

#[test]
fn a_gateway_is_not_missed_for_a_time_in_which_nobody_watched() {
    let mut world = World::new();
    let mut gone = gateway("g1", None);
    (gone.connected, gone.last_seen) = (false, at("2026-01-15T07:00:00Z"));
    world.gateways = vec![gone];
    let mut judge = world.judge();
    judge.facts.watching_since = at("2026-01-15T09:59:00Z");
    assert!(judge.findings().is_empty());
    judge.facts.watching_since = at("2026-01-15T09:58:00Z");
    assert_eq!(judge.findings().len(), 1);
}

#[test]
fn dead_letters_are_found_by_number_by_growth_and_when_they_are_given_up() {
    let mut world = World::new();
    let mut found = |bills: DeadLetterCount, labs: DeadLetterCount| {
        world.dead_letters = Some(vec![bills, labs]);
        world.keys()
    };
    assert_eq!(found(dead("bills", 99, 0, 19), dead("labs", 0, 0, 0)), [""; 0]);
    assert_eq!(
        found(dead("bills", 98, 2, 0), dead("labs", 0, 0, 0)),
        ["DEAD_LETTERS:bills"]
    );
    assert_eq!(
        found(dead("bills", 1, 0, 20), dead("labs", 0, 0, 0)),
        ["DEAD_LETTER_GROWTH:bills"]
    );
    let mut given_up = dead("bills", 1, 1, 0);
    given_up.newly_abandoned = 1;
    assert_eq!(found(given_up, dead("labs", 0, 0, 0)), ["DEAD_LETTERS_ABANDONED:bills"]);
    assert_eq!(
        found(dead("bills", 500, 0, 0), dead("labs", 500, 0, 0)),
        [
            "DEAD_LETTERS:bills",
            "DEAD_LETTERS:labs",
            "DEAD_LETTERS:organization:648"
        ]
    );
}

#[test]
fn a_threshold_of_zero_is_none_and_a_rule_can_be_switched_off() {
    let mut world = World::new();
    world.dead_letters = Some(vec![dead("bills", 5_000, 0, 5_000)]);
    world.store_fault = Some("no space left".to_owned());
    assert_eq!(world.keys().len(), 4);
    world.rules.dead_letters.per_subscription = 0;
    assert_eq!(
        world.keys(),
        [
            "STORE_DOWN",
            "DEAD_LETTERS:organization:648",
            "DEAD_LETTER_GROWTH:bills"
        ]
    );
    world.rules.dead_letters.enabled = false;
    world.rules.store_down.enabled = false;
    assert_eq!(world.keys(), [""; 0]);
}

#[test]
fn an_endpoint_is_well_only_when_every_gateway_that_complained_says_so() {
    let mut world = World::new();
    world.gateways = vec![
        gateway("g1", Some(vec![endpoint("bills", "circuitOpen", 1, NOW)])),
        gateway("g2", Some(vec![endpoint("bills", "circuitOpen", 1, NOW)])),
    ];
    let alert = raised(world.only());
    world.gateways[0].endpoints = Some([endpoint("bills", "working", 1, NOW)].into());
    world.gateways[1].endpoints = None;
    assert_eq!(
        world.judge().verdict(&alert),
        Verdict::Undecided,
        "g2 has not said anything yet"
    );
    world.gateways[1].endpoints = Some([endpoint("bills", "halfOpen", 1, NOW)].into());
    assert_eq!(world.judge().verdict(&alert), Verdict::Undecided, "g2 is trying");
    world.gateways[1].endpoints = Some([].into());
    let over = Verdict::Over("The endpoint gets its events again.".to_owned());
    assert_eq!(world.judge().verdict(&alert), over);
    world.gateways[1].connected = false;
    assert_eq!(world.judge().verdict(&alert), Verdict::Undecided, "g2 is not there");
    world.gateways[1].last_seen = at("2026-01-01T10:00:00Z");
    assert_eq!(world.judge().verdict(&alert), over, "g2 was taken away");
    world.gateways[1].endpoints = None;
    world.gateways[1].last_seen = at(NOW);
    world.snapshot.outbound.remove("bills");
    let deleted = Verdict::Over("The subscription was deleted.".to_owned());
    assert_eq!(world.judge().verdict(&alert), deleted);
}

#[test]
fn nothing_is_known_of_dead_letters_that_were_not_counted() {
    let mut world = World::new();
    world.dead_letters = Some(vec![dead("bills", 100, 0, 0)]);
    let alert = raised(world.only());
    world.dead_letters = None;
    assert_eq!(world.judge().verdict(&alert), Verdict::Undecided);
    world.dead_letters = Some(vec![dead("bills", 98, 1, 0), dead("labs", 7, 0, 0)]);
    let over = Verdict::Over("There are 99 dead letters now.".to_owned());
    assert_eq!(world.judge().verdict(&alert), over);
}

#[test]
fn texts_of_others_stay_on_their_line() {
    let mut world = World::new();
    let mut status = endpoint("bills", "disabled", 1, NOW);
    status.reason = Some(format!("bad\r\nBcc: x {}", "y".repeat(1_000)));
    world.gateways = vec![gateway("g1", Some(vec![status]))];
    let finding = world.only();
    assert!(
        !finding.detail.contains(['\r', '\n']) && finding.detail.len() < 600,
        "{}",
        finding.detail
    );
}

#[test]
fn an_alert_says_whom_it_is_about() {
    let mut world = World::new();
    world.dead_letters = Some(vec![dead("bills", 100, 0, 0)]);
    let alert = raised(world.only());
    assert_eq!(
        (alert.org_id, alert.integration_config_id.as_deref()),
        (Some(648), Some("bills"))
    );
    assert_eq!((alert.severity, alert.status), (Severity::High, AlertStatus::Open));
    let text = serde_json::to_value(&alert).unwrap();
    assert_eq!(text["openedAt"], NOW);
    assert_eq!(serde_json::from_value::<Alert>(text).unwrap(), alert);
}

fn raised(finding: Finding) -> Alert {
    let key = finding.key();
    finding.raise(key, at(NOW), at(NOW))
}

fn gateway(gateway_id: &str, endpoints: Option<Vec<EndpointStatus>>) -> Standing {
    Standing {
        gateway_id: gateway_id.to_owned(),
        connected: true,
        last_seen: at(NOW),
        endpoints: endpoints.map(Into::into),
    }
}

fn endpoint(id: &str, state: &str, open: u64, oldest: &str) -> EndpointStatus {
    EndpointStatus {
        integration_config_id: id.into(),
        org_id: 648,
        open,
        oldest: Some(oldest.to_owned()),
        state: state.to_owned(),
        reason: Some("answered 503".to_owned()),
        next_attempt_at: None,
    }
}

fn dead(id: &str, waiting: u64, abandoned: u64, new: u64) -> DeadLetterCount {
    DeadLetterCount {
        org_id: 648,
        integration_config_id: id.to_owned(),
        waiting,
        abandoned,
        new,
        newly_abandoned: 0,
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_certificate_is_found_before_it_expires_and_is_over_when_it_is_renewed() {
    use super::super::certificates::Holder;

    let mut world = World::new();
    let expiry = |holder: Holder, until: &str| Expiry {
        org_id: 648,
        holder,
        name: "Labs".to_owned(),
        at: at(until),
    };
    world.certificates = vec![
        expiry(Holder::Certificate("web".to_owned()), "2026-01-25T12:00:00Z"),
        expiry(Holder::Inbound("labs".to_owned()), "2026-01-14T10:00:00Z"),
        expiry(Holder::Outbound("bills".to_owned()), "2026-03-15T10:00:00Z"),
    ];
    assert_eq!(
        world.keys(),
        ["CERTIFICATE_EXPIRY:certificate:web", "CERTIFICATE_EXPIRY:inbound:labs"]
    );
    let findings = world.judge().findings();
    assert_eq!(
        findings[0].title,
        "The certificate \"Labs\" (web) of organization 648 (Clinic) expires in 10 d 2 h"
    );
    assert_eq!(
        findings[1].title,
        "The certificate that \"Labs\" (labs) of organization 648 (Clinic) shows to its partner expired 1 d 0 h ago"
    );
    let alert = findings[0].clone().raise(findings[0].key(), at(NOW), at(NOW));
    assert_eq!(
        (alert.org_id, alert.integration_config_id.as_deref()),
        (Some(648), None)
    );

    world.certificates[0].at = at("2027-01-25T12:00:00Z");
    let renewed = Verdict::Over("The certificate is good until 2027-01-25 12:00:00 UTC now.".to_owned());
    assert_eq!(world.judge().verdict(&alert), renewed);
    world.certificates.clear();
    let gone = Verdict::Over("The certificate is not in use any more.".to_owned());
    assert_eq!(world.judge().verdict(&alert), gone);
}

#[test]
fn calls_that_fail_too_often_or_take_too_long_are_found_once_there_are_enough() {
    use crate::rollups::Flow;

    let mut world = World::new();
    let traffic = |flow, calls, failed, p99_ms| Traffic {
        org_id: 648,
        flow,
        integration: "bills".to_owned(),
        calls,
        failed,
        p99_ms: Some(p99_ms),
    };
    world.rules.traffic.p99_ms = 5_000;
    let watched = |traffic, whole| Some(Watched { traffic, whole });
    let much = vec![
        traffic(Flow::Outbound, 100, 25, 80),
        traffic(Flow::Inbound, 200, 3, 6_000),
    ];
    world.traffic = watched(much, false);
    assert_eq!(world.keys(), ["ERROR_RATE:bills", "LATENCY:inbound:bills"]);
    let findings = world.judge().findings();
    assert_eq!(
        findings[0].title,
        "25 % of the delivery attempts of \"Bills\" (bills) of organization 648 (Clinic) fail"
    );
    assert_eq!(
        findings[1].detail,
        "200 calls in the last 5 min; the threshold is 5000 ms."
    );
    let alert = findings[0].clone().raise(findings[0].key(), at(NOW), at(NOW));

    world.traffic = watched(vec![traffic(Flow::Outbound, 49, 49, 80)], false);
    assert!(world.keys().is_empty(), "too few to say");
    assert_eq!(
        world.judge().verdict(&alert),
        Verdict::Undecided,
        "not all of the time was watched"
    );
    world.traffic = watched(vec![traffic(Flow::Outbound, 49, 49, 80)], true);
    assert!(matches!(world.judge().verdict(&alert), Verdict::Over(_)));
    world.traffic = None;
    assert_eq!(world.judge().verdict(&alert), Verdict::Undecided);
}
