//! What is sent: the same words by every channel.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::alert::{Alert, Rule, Severity};
use super::book::Happened;
use super::report::Report;
use super::shapes;
use super::throttle::{Message, Summary};

/// A message on its way to those who are told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Notice {
    /// Stable over all tries, so that a receiver knows a repeat.
    pub(crate) id: String,
    /// The first message on the same alert.
    pub(crate) thread: Option<String>,
    /// One line.
    pub(crate) subject: String,
    /// Everything, for people.
    pub(crate) text: String,
    /// Everything, for programs.
    pub(crate) json: Vec<u8>,
    /// As an event of PagerDuty, where it is one.
    pub(crate) pager: Option<Value>,
    /// What it is about; `None` if it is about several.
    pub(crate) about: Option<About>,
}

/// By what it is decided who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct About {
    pub(crate) rule: Rule,
    pub(crate) severity: Severity,
    pub(crate) org_id: Option<u64>,
}

/// What webhooks get.
#[derive(Serialize)]
struct Payload<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    installation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<&'a Alert>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a Report>,
}

impl Notice {
    pub(crate) fn of(message: &Message, installation: &str, now: Timestamp) -> Self {
        match message {
            Message::Alert(change) => Self::of_alert(&change.alert, change.happened, installation, now),
            Message::Summary(summary) => Self::of_summary(summary, installation, now),
        }
    }

    fn of_alert(alert: &Alert, happened: Happened, installation: &str, now: Timestamp) -> Self {
        let (kind, mark) = match happened {
            Happened::Raised => ("alert.raised", alert.severity.name()),
            Happened::Reminded => ("alert.reminded", "STILL OPEN"),
            Happened::Resolved => ("alert.resolved", "RESOLVED"),
        };
        let data = Data {
            installation,
            alert: Some(alert),
            summary: None,
            report: None,
        };
        // The alert's own identifier names the first message, so that the later ones can refer to it.
        let (id, thread) = match happened {
            Happened::Raised => (alert.id.clone(), None),
            Happened::Reminded | Happened::Resolved => (Uuid::now_v7().to_string(), Some(alert.id.clone())),
        };
        Self {
            id,
            thread,
            subject: format!("[{mark}] {}: {}", installation, alert.title),
            text: text_of(alert, installation),
            json: json_of(kind, data, now),
            pager: Some(shapes::pager_duty(alert, happened, installation)),
            about: Some(About {
                rule: alert.rule,
                severity: alert.severity,
                org_id: alert.org_id,
            }),
        }
    }

    fn of_summary(summary: &Summary, installation: &str, now: Timestamp) -> Self {
        let data = Data {
            installation,
            alert: None,
            summary: Some(summary),
            report: None,
        };
        let goes_on = summary.until > now;
        let subject = if goes_on {
            format!("[MORE ALERTS] {installation}: further alerts are only listed for now")
        } else {
            let all = summary.raised + summary.reminded + summary.resolved;
            format!("[MORE ALERTS] {installation}: {all} messages were not sent one by one")
        };
        let mut text = if goes_on {
            format!(
                "There are more alerts than `alerts.maxPerHour` allows. Until {} they are only listed; then they are \
                 summed up.\n",
                moment(summary.until)
            )
        } else {
            format!(
                "From {} to {} these were not sent one by one:\n\n  raised:    {}\n  reminders: {}\n  resolved:  {}\n",
                moment(summary.from),
                moment(summary.until),
                summary.raised,
                summary.reminded,
                summary.resolved
            )
        };
        for title in &summary.titles {
            let _ = write!(text, "\n- {title}");
        }
        text.push_str("\n\nThe open alerts: GET /api/v1/alerts?status=OPEN at the control plane.\n");
        Self {
            id: Uuid::now_v7().to_string(),
            thread: None,
            pager: Some(shapes::pager_duty_summary(&subject, goes_on, installation)),
            subject,
            text,
            json: json_of("alert.summary", data, now),
            about: None,
        }
    }

    /// The daily report; nobody is paged for it.
    pub(crate) fn of_report(report: &Report, installation: &str, now: Timestamp) -> Self {
        let data = Data {
            installation,
            alert: None,
            summary: None,
            report: Some(report),
        };
        Self {
            id: Uuid::now_v7().to_string(),
            thread: None,
            subject: report.subject(installation),
            text: report.text(),
            json: json_of("report.daily", data, now),
            pager: None,
            about: None,
        }
    }
}

fn text_of(alert: &Alert, installation: &str) -> String {
    let mut text = format!("{}\n\n{}\n\n", alert.title, alert.detail);
    if !alert.advice.is_empty() {
        let _ = write!(text, "What to do: {}\n\n", alert.advice);
    }
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<14}{value}");
    };
    line("Since:", &moment(alert.since).to_string());
    if let Some(resolved_at) = alert.resolved_at {
        line("Until:", &moment(resolved_at).to_string());
    }
    line("Severity:", alert.severity.name());
    line("Rule:", alert.rule.name());
    if let Some(org_id) = alert.org_id {
        line("Organization:", &org_id.to_string());
    }
    if let Some(id) = &alert.integration_config_id {
        line("Subscription:", id);
    }
    if !alert.gateway_ids.is_empty() {
        line("Gateways:", &alert.gateway_ids.join(", "));
    }
    line("Installation:", installation);
    line("Alert:", &alert.id);
    text
}

fn json_of(kind: &'static str, data: Data<'_>, now: Timestamp) -> Vec<u8> {
    let payload = Payload {
        kind,
        timestamp: now,
        data,
    };
    serde_json::to_vec(&payload).expect("texts, numbers and moments serialize without fail")
}

fn moment(at: Timestamp) -> impl std::fmt::Display {
    at.strftime("%Y-%m-%d %H:%M:%S UTC")
}
