//! What is sent in the shapes that Slack and PagerDuty read.

use serde::Serialize;
use serde_json::{Value, json};

use super::alert::{Alert, Severity};
use super::book::Happened;

/// A message for an incoming webhook of Slack: the subject, and the details below it.
pub(super) fn slack(subject: &str, details: &str) -> Vec<u8> {
    let section = |text: String| json!({"type": "section", "text": {"type": "mrkdwn", "text": text}});
    let subject = cut(subject, MOST_SUBJECT);
    bytes(&json!({
        // Where blocks are not shown, as in notifications.
        "text": escaped(&subject),
        "blocks": [
            section(format!("*{}*", escaped(&subject.replace('*', "∗")))),
            section(escaped(&cut(details, MOST_DETAILS))),
        ],
    }))
}

/// An event for PagerDuty's Events API v2, without the key of the service that it goes to.
pub(super) fn pager_duty(alert: &Alert, happened: Happened, installation: &str) -> Value {
    let action = match happened {
        Happened::Raised | Happened::Reminded => "trigger",
        Happened::Resolved => "resolve",
    };
    // One incident for the alert from its beginning to its end.
    let mut event = json!({"event_action": action, "dedup_key": alert.id});
    if happened != Happened::Resolved {
        event["client"] = json!(installation);
        event["payload"] = json!(Incident {
            summary: cut(&alert.title, MOST_SUBJECT),
            source: installation,
            severity: match alert.severity {
                Severity::Critical => "critical",
                Severity::High => "error",
            },
            timestamp: alert.since.to_string(),
            component: alert
                .integration_config_id
                .as_deref()
                .or_else(|| alert.gateway_ids.first().map(String::as_str)),
            group: alert.org_id.map(|org_id| format!("organization {org_id}")),
            class: alert.rule.name(),
            custom_details: Details {
                detail: &alert.detail,
                advice: &alert.advice,
                alert: &alert.id,
                gateways: &alert.gateway_ids,
            },
        });
    }
    event
}

/// The same for what was not sent one by one: one incident as long as it goes on.
pub(super) fn pager_duty_summary(subject: &str, goes_on: bool, installation: &str) -> Value {
    let mut event = json!({
        "event_action": if goes_on { "trigger" } else { "resolve" },
        "dedup_key": format!("{installation}: more alerts"),
    });
    if goes_on {
        event["payload"] =
            json!({"summary": cut(subject, MOST_SUBJECT), "source": installation, "severity": "warning"});
    }
    event
}

/// An event of PagerDuty as bytes, with the key of the service that it goes to.
pub(super) fn routed(event: &Value, routing_key: &str) -> Vec<u8> {
    let mut event = event.clone();
    event["routing_key"] = json!(routing_key);
    bytes(&event)
}

#[derive(Serialize)]
struct Incident<'a> {
    summary: String,
    source: &'a str,
    severity: &'static str,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    class: &'static str,
    custom_details: Details<'a>,
}

#[derive(Serialize)]
struct Details<'a> {
    detail: &'a str,
    advice: &'a str,
    alert: &'a str,
    gateways: &'a [String],
}

/// The three letters that mean something in Slack's text; with them no name can become a link or call people.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// Slack takes 3,000 letters of a section, PagerDuty 1,024 of a summary.
const MOST_SUBJECT: usize = 500;
const MOST_DETAILS: usize = 2_500;
