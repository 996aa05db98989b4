//! The shapes that Slack and PagerDuty read, and who gets what.

use serde_json::Value;

use super::super::shapes;
use super::*;
use crate::config::alerts::receivers::Only;

fn pager(happened: Happened) -> Value {
    let event = notice(happened).pager.unwrap();
    serde_json::from_slice(&shapes::routed(&event, "key-of-the-service")).unwrap()
}

#[test]
fn an_incident_of_pagerduty_begins_and_ends_under_one_key() {
    let (raised, resolved) = (change("g1", Happened::Raised), change("g1", Happened::Resolved));
    let event = |change: &Change| shapes::pager_duty(&change.alert, change.happened, "clinic");
    let (begun, mut ended) = (event(&raised), event(&resolved));
    assert_eq!(
        (&begun["event_action"], &ended["event_action"]),
        (&"trigger".into(), &"resolve".into())
    );
    assert_eq!(begun["dedup_key"], *raised.alert.id);
    ended["dedup_key"] = begun["dedup_key"].clone();
    assert_eq!(ended.as_object().unwrap().len(), 2, "{ended}");

    let event = pager(Happened::Reminded);
    assert_eq!(
        (&event["routing_key"], &event["event_action"]),
        (&"key-of-the-service".into(), &"trigger".into())
    );
    let payload = &event["payload"];
    for (field, wanted) in [
        ("summary", "Gateway g1 is not connected"),
        ("source", "clinic"),
        ("severity", "critical"),
        ("component", "g1"),
        ("class", "GATEWAY_GONE"),
        ("timestamp", "2026-01-15T09:00:00Z"),
    ] {
        assert_eq!(payload[field], wanted, "{payload}");
    }
    assert_eq!(payload["custom_details"]["advice"], "Look at its log.");
}

#[test]
fn no_name_can_call_people_or_become_a_link_in_slack() {
    let message: Value =
        serde_json::from_slice(&shapes::slack("[HIGH] <!channel> & *x*", "<https://evil|here>")).unwrap();
    let text = message.to_string();
    assert!(!text.contains("<!channel>") && !text.contains("<https"), "{text}");
    assert_eq!(message["text"], "[HIGH] &lt;!channel&gt; &amp; *x*");
    assert_eq!(message["blocks"][1]["text"]["text"], "&lt;https://evil|here&gt;");
    let long = "x".repeat(100_000);
    let message: Value = serde_json::from_slice(&shapes::slack(&long, &long)).unwrap();
    for block in message["blocks"].as_array().unwrap() {
        assert!(block["text"]["text"].as_str().unwrap().len() <= 3_000);
    }
}

#[test]
fn each_receiver_gets_what_fits_all_of_its_lists() {
    let only = |document: Value| serde_json::from_value::<Only>(document).unwrap();
    let about = |rule: Rule, org_id| {
        Some(About {
            rule,
            severity: rule.severity(),
            org_id,
        })
    };
    let (lag, gone) = (about(Rule::Lag, Some(648)), about(Rule::GatewayGone, None));
    for (list, takes_lag, takes_gone, takes_sums) in [
        (serde_json::json!({}), true, true, true),
        (serde_json::json!({"severities": ["CRITICAL"]}), false, true, true),
        (serde_json::json!({"rules": ["LAG", "DEAD_LETTERS"]}), true, false, true),
        (serde_json::json!({"orgIds": [648]}), true, false, false),
        (serde_json::json!({"orgIds": [7]}), false, false, false),
        (
            serde_json::json!({"orgIds": [648], "severities": ["CRITICAL"]}),
            false,
            false,
            false,
        ),
    ] {
        let only = only(list);
        let taken = (only.takes(lag), only.takes(gone), only.takes(None));
        assert_eq!(taken, (takes_lag, takes_gone, takes_sums), "{only:?}");
    }
}
