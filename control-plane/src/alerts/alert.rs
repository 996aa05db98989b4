//! An alert: a condition that held for too long, from when it was noticed to when it was over.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What kind of condition it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Rule {
    /// The store does not work.
    StoreDown,
    /// A gateway is not connected.
    GatewayGone,
    /// An endpoint gets nothing: its breaker is open, or it is disabled or deactivated.
    EndpointDown,
    /// Events wait for too long.
    Lag,
    /// Dead letters were given up.
    DeadLettersAbandoned,
    /// There are many dead letters.
    DeadLetters,
    /// Dead letters become more quickly.
    DeadLetterGrowth,
    /// A certificate is about to be refused.
    CertificateExpiry,
    /// Calls or deliveries fail too often.
    ErrorRate,
    /// Calls or deliveries take too long.
    Latency,
}

impl Rule {
    /// All of them, those first that matter most.
    pub(crate) const ALL: [Self; 10] = [
        Self::StoreDown,
        Self::GatewayGone,
        Self::EndpointDown,
        Self::Lag,
        Self::DeadLettersAbandoned,
        Self::DeadLetters,
        Self::DeadLetterGrowth,
        Self::CertificateExpiry,
        Self::ErrorRate,
        Self::Latency,
    ];

    /// Its name, as it is written everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Self::StoreDown => "STORE_DOWN",
            Self::GatewayGone => "GATEWAY_GONE",
            Self::EndpointDown => "ENDPOINT_DOWN",
            Self::Lag => "LAG",
            Self::DeadLettersAbandoned => "DEAD_LETTERS_ABANDONED",
            Self::DeadLetters => "DEAD_LETTERS",
            Self::DeadLetterGrowth => "DEAD_LETTER_GROWTH",
            Self::CertificateExpiry => "CERTIFICATE_EXPIRY",
            Self::ErrorRate => "ERROR_RATE",
            Self::Latency => "LATENCY",
        }
    }

    /// How bad it is.
    pub(crate) fn severity(self) -> Severity {
        match self {
            Self::StoreDown | Self::GatewayGone | Self::EndpointDown => Severity::Critical,
            Self::Lag
            | Self::DeadLettersAbandoned
            | Self::DeadLetters
            | Self::DeadLetterGrowth
            | Self::CertificateExpiry
            | Self::ErrorRate
            | Self::Latency => Severity::High,
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Severity {
    /// Something does not work.
    Critical,
    /// Somebody should look at it today.
    High,
}

impl Severity {
    /// Its name, as it is written everywhere.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Critical => "CRITICAL",
            Self::High => "HIGH",
        }
    }
}

/// Whether the condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlertStatus {
    /// It does.
    Open,
    /// Not any more.
    Resolved,
}

impl AlertStatus {
    /// Its name, as it is written everywhere.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Resolved => "RESOLVED",
        }
    }
}

/// A condition that held for too long (`alert_center_logs`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Alert {
    /// Identifier: a version 7 UUID.
    pub id: String,
    /// What it is about, as `ENDPOINT_DOWN:bills`. Of alerts with the same key at most one is open.
    pub key: String,
    /// What kind of condition it is.
    pub rule: Rule,
    /// How bad it is.
    pub severity: Severity,
    /// Whether the condition holds.
    pub status: AlertStatus,
    /// The organization that it is about; not given if it is about the whole installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<u64>,
    /// The integration that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration_config_id: Option<String>,
    /// The gateways that say so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateway_ids: Vec<String>,
    /// What, and where.
    pub title: String,
    /// What is known of it; once it is over, how it ended.
    pub detail: String,
    /// What to do.
    pub advice: String,
    /// Since when the condition has held, as far as it is known (RFC 3339).
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// When the alert was raised (RFC 3339).
    #[schemars(with = "String")]
    pub opened_at: Timestamp,
    /// When it was over (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub resolved_at: Option<Timestamp>,
    /// When it was last passed on to those who are told (RFC 3339).
    #[schemars(with = "String")]
    pub notified_at: Timestamp,
    /// How often it was passed on again while it went on.
    pub reminders: u32,
    /// How often the alert as it is kept has changed, from 1.
    pub revision: u64,
}

/// A condition that holds now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) rule: Rule,
    pub(crate) subject: Subject,
    /// Gateways that say so.
    pub(crate) gateway_ids: Vec<String>,
    pub(crate) title: String,
    pub(crate) detail: String,
    pub(crate) advice: &'static str,
    /// Since when, if that is known.
    pub(crate) since: Option<Timestamp>,
    /// How long it must have been seen before it is worth an alert.
    pub(crate) hold: SignedDuration,
}

/// What a condition is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Subscription { org_id: u64, id: String },
    Inbound { org_id: u64, id: String },
    Certificate { org_id: u64, id: String },
    Organization(u64),
    Gateway(String),
    Store,
}

/// Dead letters of one subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterCount {
    /// Organization.
    pub org_id: u64,
    /// The subscription.
    pub integration_config_id: String,
    /// Those that are or will be tried again.
    pub waiting: u64,
    /// Those that nobody tries again.
    pub abandoned: u64,
    /// Those of both that became dead letters lately.
    pub new: u64,
    /// Those that were given up lately.
    pub newly_abandoned: u64,
}

impl Finding {
    /// What it is about, as text.
    pub(crate) fn key(&self) -> String {
        let rule = self.rule.name();
        match &self.subject {
            Subject::Subscription { id, .. } => format!("{rule}:{id}"),
            Subject::Inbound { id, .. } => format!("{rule}:inbound:{id}"),
            Subject::Certificate { id, .. } => format!("{rule}:certificate:{id}"),
            Subject::Organization(org_id) => format!("{rule}:organization:{org_id}"),
            Subject::Gateway(id) => format!("{rule}:{id}"),
            Subject::Store => rule.to_owned(),
        }
    }

    /// The alert on it. `seen` is when the condition was seen first.
    pub(crate) fn raise(self, key: String, seen: Timestamp, now: Timestamp) -> Alert {
        let (org_id, integration_config_id) = match &self.subject {
            Subject::Subscription { org_id, id } | Subject::Inbound { org_id, id } => (Some(*org_id), Some(id.clone())),
            Subject::Organization(org_id) | Subject::Certificate { org_id, .. } => (Some(*org_id), None),
            Subject::Gateway(_) | Subject::Store => (None, None),
        };
        Alert {
            id: Uuid::now_v7().to_string(),
            key,
            rule: self.rule,
            severity: self.rule.severity(),
            status: AlertStatus::Open,
            org_id,
            integration_config_id,
            gateway_ids: self.gateway_ids,
            title: self.title,
            detail: self.detail,
            advice: self.advice.to_owned(),
            since: self.since.unwrap_or(seen),
            opened_at: now,
            resolved_at: None,
            notified_at: now,
            reminders: 0,
            revision: 1,
        }
    }
}
