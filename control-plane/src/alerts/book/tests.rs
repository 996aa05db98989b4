use filters::model::Snapshot;
use filters::model::push::EndpointStatus;

use super::super::judge::Facts;
use super::*;
use crate::config::alerts::AlertRules;
use crate::fleet::Standing;

/// A book and a clock; the conditions are gateways that are gone and a store that does not work.
struct Desk {
    book: Book,
    snapshot: Snapshot,
    rules: AlertRules,
}

impl Desk {
    fn new() -> Self {
        let timing = Timing {
            clear: SignedDuration::from_secs(60),
            remind: Some(SignedDuration::from_hours(12)),
        };
        Self {
            book: Book::new(timing),
            snapshot: Snapshot::default(),
            rules: AlertRules::default(),
        }
    }

    /// What is said at second `second` if the store fails with `fault`.
    fn store(&mut self, second: i64, fault: Option<&str>) -> Vec<(Happened, Alert)> {
        self.step(second, fault, &[])
    }

    fn step(&mut self, second: i64, store_fault: Option<&str>, gateways: &[Standing]) -> Vec<(Happened, Alert)> {
        let facts = Facts {
            certificates: &[],
            traffic: None,
            now: at(second),
            watching_since: at(-1_000_000),
            snapshot: &self.snapshot,
            gateways,
            dead_letters: Some(&[]),
            store_fault,
        };
        let changes = self.book.step(&Judge::new(facts, self.rules));
        changes
            .into_iter()
            .map(|change| (change.happened, change.alert))
            .collect()
    }
}

#[test]
fn a_condition_is_said_once_when_it_has_held_for_long_enough() {
    let mut desk = Desk::new();
    assert_eq!(desk.store(0, Some("full")), []);
    assert_eq!(desk.store(59, Some("full")), []);
    let said = desk.store(60, Some("full"));
    let [(Happened::Raised, alert)] = &said[..] else {
        panic!("{said:?}")
    };
    assert_eq!((alert.since, alert.opened_at), (at(0), at(60)));
    for second in [61, 600, 11 * 3_600] {
        assert_eq!(desk.store(second, Some("full")), [], "it was said");
    }
    assert_eq!(desk.book.open().count(), 1);
}

#[test]
fn a_condition_that_went_away_begins_anew() {
    let mut desk = Desk::new();
    desk.store(0, Some("full"));
    desk.store(30, None);
    assert_eq!(desk.store(60, Some("full")), []);
    assert_eq!(desk.store(119, Some("full")), []);
    assert_eq!(desk.store(120, Some("full")).len(), 1);
}

#[test]
fn an_alert_that_goes_on_is_said_again_with_what_is_known_now() {
    let mut desk = Desk::new();
    desk.store(0, Some("full"));
    let raised = desk.store(60, Some("full")).remove(0).1;
    assert_eq!(desk.store(60 + 12 * 3_600 - 1, Some("full")), []);
    let said = desk.store(60 + 12 * 3_600, Some("broken"));
    let [(Happened::Reminded, alert)] = &said[..] else {
        panic!("{said:?}")
    };
    assert_eq!((&alert.id, alert.reminders, alert.revision), (&raised.id, 1, 2));
    assert_eq!(alert.detail, "broken.");
    assert_eq!(desk.store(61 + 12 * 3_600, Some("broken")), []);
    desk.book.timing.remind = None;
    assert_eq!(desk.store(100 * 3_600, Some("broken")), [], "nobody wants reminders");
}

#[test]
fn the_end_is_said_once_after_a_quiet_time() {
    let mut desk = Desk::new();
    desk.store(0, Some("full"));
    let raised = desk.store(60, Some("full")).remove(0).1;
    assert_eq!(desk.store(100, None), []);
    assert_eq!(
        desk.store(130, Some("full")),
        [],
        "it came back and was not gone for long enough"
    );
    assert_eq!(desk.store(200, None), []);
    assert_eq!(desk.store(259, None), []);
    let said = desk.store(260, None);
    let [(Happened::Resolved, alert)] = &said[..] else {
        panic!("{said:?}")
    };
    assert_eq!((&alert.id, alert.resolved_at), (&raised.id, Some(at(260))));
    assert_eq!(
        (alert.status, &*alert.detail),
        (AlertStatus::Resolved, "The store works again.")
    );
    assert_eq!(desk.store(300, None), []);
    assert_eq!(desk.book.open().count(), 0);
}

#[test]
fn an_alert_whose_condition_nobody_knows_of_stays_open() {
    let mut desk = Desk::new();
    let document = serde_json::json!({"integrations": [{"id": "bills", "direction": "OUTBOUND", "name": "Bills",
        "orgId": 648, "eventType": "bill.*", "targetUrl": "https://partner.example"}]});
    desk.snapshot = Snapshot::from_document(&document).unwrap();
    let down = EndpointStatus {
        integration_config_id: "bills".into(),
        org_id: 648,
        open: 1,
        oldest: None,
        state: "circuitOpen".to_owned(),
        reason: None,
        next_attempt_at: None,
    };
    let mut gateway = Standing {
        gateway_id: "g1".to_owned(),
        connected: true,
        last_seen: at(0),
        endpoints: Some([down].into()),
    };
    desk.step(0, None, std::slice::from_ref(&gateway));
    assert_eq!(desk.step(60, None, std::slice::from_ref(&gateway)).len(), 1);
    (gateway.connected, gateway.endpoints) = (false, None);
    gateway.last_seen = at(60);
    assert_eq!(desk.step(70, None, std::slice::from_ref(&gateway)), []);
    let said = desk.step(3_600, None, std::slice::from_ref(&gateway));
    assert!(
        matches!(&said[..], [(Happened::Raised, alert)] if alert.key == "GATEWAY_GONE:g1"),
        "{said:?}"
    );
    (gateway.connected, gateway.last_seen) = (true, at(3_700));
    gateway.endpoints = Some([].into());
    assert_eq!(desk.step(3_700, None, std::slice::from_ref(&gateway)), []);
    let said = desk.step(3_760, None, &[gateway]);
    let over: Vec<&str> = said.iter().map(|(_, alert)| &*alert.key).collect();
    assert_eq!(over, ["GATEWAY_GONE:g1", "ENDPOINT_DOWN:bills"], "the worst first");
}

#[test]
fn what_is_kept_goes_on_after_a_start() {
    let mut before = Desk::new();
    before.store(0, Some("full"));
    let raised = before.store(60, Some("full")).remove(0).1;
    let mut desk = Desk::new();
    desk.book.learn(vec![raised.clone()]);
    assert_eq!(desk.store(600, Some("full")), [], "it was said before the start");
    desk.store(700, None);
    let said = desk.store(760, None);
    assert!(
        matches!(&said[..], [(Happened::Resolved, alert)] if alert.id == raised.id),
        "{said:?}"
    );
}

fn at(second: i64) -> Timestamp {
    let start: Timestamp = "2026-01-15T10:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(second)
}
