//! Messages, and how they go out: to a real HTTP server and to a mail server that speaks just enough SMTP.

use std::time::Duration;

use filters::delivery::Message as Signed;
use jiff::Timestamp;
use tokio::net::TcpListener;

use super::alert::{Finding, Subject};
use super::book::{Change, Happened};
use super::notice::Notice;
use super::throttle::Message;
use super::*;

mod mail;
mod report;
mod shapes;
mod throttle;
mod webhook;

/// A change of the alert of gateway `name`.
fn change(name: &str, happened: Happened) -> Change {
    let finding = Finding {
        rule: Rule::GatewayGone,
        subject: Subject::Gateway(name.to_owned()),
        gateway_ids: vec![name.to_owned()],
        title: format!("Gateway {name} is not connected"),
        detail: "It was heard of last an hour ago – über Nacht.".to_owned(),
        advice: "Look at its log.",
        since: Some(at(-3_600)),
        hold: SignedDuration::ZERO,
    };
    let key = finding.key();
    let mut alert = finding.raise(key, at(0), at(0));
    if happened == Happened::Resolved {
        alert.status = AlertStatus::Resolved;
        alert.resolved_at = Some(at(60));
    }
    Change { happened, alert }
}

fn notice(happened: Happened) -> Notice {
    Notice::of(&Message::Alert(Box::new(change("g1", happened))), "clinic", at(60))
}

fn at(second: i64) -> Timestamp {
    let start: Timestamp = "2026-01-15T10:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(second)
}

fn counts() -> (Metrics, Counts) {
    let metrics = Metrics::new().unwrap();
    let counts = Counts::new(&metrics).unwrap();
    (metrics, counts)
}

/// Waits until the metrics have this line.
async fn counted(metrics: &Metrics, line: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let text = String::from_utf8(metrics.text().unwrap()).unwrap();
        if text.lines().any(|found| found == line) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "no {line} in {text}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn settings(document: serde_json::Value) -> AlertsConfig {
    serde_json::from_value(document).unwrap()
}

#[test]
fn the_page_on_alerts_names_every_rule_and_shows_what_webhooks_get() {
    let page = include_str!("../../../docs/alerts.md");
    for rule in Rule::ALL {
        let row = format!("| `{}` | `{}` |", rule.name(), rule.severity().name());
        assert!(page.contains(&row), "no {row}");
    }
    let example = page
        .split("```json")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let shown: serde_json::Value = serde_json::from_str(example).unwrap();
    let alert: Alert = serde_json::from_value(shown["data"]["alert"].clone()).unwrap();
    let change = Change {
        happened: Happened::Raised,
        alert,
    };
    let message = Message::Alert(Box::new(change));
    let now = shown["timestamp"].as_str().unwrap().parse().unwrap();
    let sent = Notice::of(&message, "integration gateway", now);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&sent.json).unwrap(), shown);
}
