//! Alerts: operators are told when something needs them, once, and when it is over.
//!
//! ```text
//! watch.rs (what is known, every few seconds) -> judge.rs (which conditions hold) -> book.rs (since when, which are new,
//!   which are over) -> ledger.rs (kept, and told of by one control plane) -> throttle.rs (how much is said in an hour)
//!   -> outbox.rs (kept by waiting.rs until they are sent) -> webhook.rs, mail.rs
//! ```
//!
//! Everything up to the outbox decides without waiting, with the time as an argument. Every alert is logged, counted and
//! listed, whether somebody is told or not.

mod alert;
mod book;
mod certificates;
mod counts;
mod judge;
mod ledger;
mod mail;
mod notice;
mod outbox;
mod report;
mod shapes;
mod throttle;
mod traffic;
mod waiting;
mod watch;
mod webhook;

use std::collections::VecDeque;
use std::sync::Arc;

use egress::{Resolver, SetupError};
use filters::target::TargetUrl;
use jiff::SignedDuration;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

pub use self::alert::{Alert, AlertStatus, DeadLetterCount, Rule, Severity};
use self::book::{Book, Timing};
use self::certificates::Expiries;
use self::counts::Counts;
use self::ledger::Ledger;
use self::mail::Mail;
pub(crate) use self::notice::About;
use self::outbox::{Channel, Outbox, PAUSES, Told};
use self::report::Reporter;
use self::throttle::Throttle;
use self::traffic::Meter;
pub(crate) use self::watch::Watcher;
use self::webhook::{Shape, Webhook};
use crate::config::alerts::AlertsConfig;
use crate::config::alerts::receivers::{WebhookConfig, WebhookFormat};
use crate::metrics::Metrics;

/// The alerts that are open, and those that were lately.
#[derive(Debug, Default)]
pub(crate) struct Alerts(Mutex<Listed>);

#[derive(Debug, Default)]
struct Listed {
    open: Vec<Alert>,
    /// The newest first.
    resolved: VecDeque<Alert>,
}

/// Why alerts cannot be sent as configured.
#[derive(Debug, thiserror::Error)]
#[error("alerts cannot be set up: {0}")]
pub struct AlertsError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl Alerts {
    /// The open alerts as they stand and those that were resolved lately, as far as this process knows; the newest first.
    pub(crate) fn list(&self) -> Vec<Alert> {
        let listed = self.0.lock();
        let mut alerts: Vec<Alert> = listed.open.iter().chain(&listed.resolved).cloned().collect();
        alerts.sort_by(|one, other| other.opened_at.cmp(&one.opened_at).then_with(|| other.id.cmp(&one.id)));
        alerts
    }

    /// Puts what is known now in the place of what is kept, for alerts that are open here. One may be kept as resolved
    /// already, which is the newer word.
    pub(crate) fn freshen(&self, kept: &mut [Alert]) {
        let listed = self.0.lock();
        for alert in kept {
            if let Some(open) = listed
                .open
                .iter()
                .find(|open| open.id == alert.id && open.revision >= alert.revision)
            {
                alert.clone_from(open);
            }
        }
    }

    fn now_open(&self, open: Vec<Alert>) {
        self.0.lock().open = open;
    }

    fn resolved(&self, alert: Alert) {
        let resolved = &mut self.0.lock().resolved;
        resolved.push_front(alert);
        resolved.truncate(MOST_RESOLVED);
    }
}

impl Watcher {
    /// With everything that it needs to send as configured; nothing is sent before it watches.
    ///
    /// # Errors
    /// If the trust store, the name resolution or a receiver cannot be used.
    pub(crate) fn new(config: &AlertsConfig, alerts: &Arc<Alerts>, metrics: &Metrics) -> Result<Self, AlertsError> {
        let failed = |error: prometheus::Error| AlertsError(error.into());
        let counts = Counts::new(metrics).map_err(failed)?;
        let timing = Timing {
            clear: SignedDuration::from_secs(i64::try_from(config.clear_seconds).unwrap_or(i64::MAX)),
            remind: (config.remind_hours > 0).then(|| SignedDuration::from_hours(config.remind_hours.into())),
        };
        Ok(Self {
            outbox: Outbox::start(channels(config)?, &counts, &PAUSES),
            book: Book::new(timing),
            ledger: Ledger::default(),
            throttle: Throttle::new(config.max_per_hour),
            reporter: Reporter::new(&config.daily_report),
            expiries: Expiries::default(),
            meter: Meter::default(),
            config: config.clone(),
            alerts: Arc::clone(alerts),
            counts,
            counted: None,
            told: None,
        })
    }
}

/// Everybody who is told, and of what.
fn channels(config: &AlertsConfig) -> Result<Vec<Told>, AlertsError> {
    if config.webhooks.is_empty() && config.mail.is_none() {
        return Ok(Vec::new());
    }
    let failed = |error: SetupError| AlertsError(error.into());
    let resolver = Arc::new(Resolver::from_system().map_err(failed)?);
    let authorities = config.authorities_file.as_deref();
    let tls = egress::client_config(authorities).map_err(failed)?;
    let mut channels = Vec::new();
    for (index, webhook) in config.webhooks.iter().enumerate() {
        // Both were checked with the settings.
        let target = TargetUrl::parse(webhook.url.expose()).map_err(|error| AlertsError(error.into()))?;
        let shape = shape_of(webhook, index)?;
        let channel = Webhook::new(target, shape, config.egress(), &resolver, &tls);
        let channel = Channel::Webhook(Box::new(channel.map_err(|error| AlertsError(error.into()))?));
        channels.push(Told {
            key: key_of("webhook", webhook.url.expose(), &channels),
            only: webhook.only.clone(),
            channel,
        });
    }
    if let Some(mail) = &config.mail {
        let channel = Mail::new(mail, authorities, config.egress(), &resolver);
        let channel = Channel::Mail(Box::new(channel.map_err(|error| AlertsError(error.into()))?));
        channels.push(Told {
            key: key_of("mail", &mail.host, &channels),
            only: mail.only.clone(),
            channel,
        });
    }
    Ok(channels)
}

/// The same for the same receiver over restarts; its address may be a secret. Several may have the same address.
fn key_of(kind: &str, address: &str, before: &[Told]) -> String {
    let digest = Sha256::digest(address.as_bytes());
    let key = format!("{kind}-{}", hex::encode(&digest[..8]));
    let alike = before.iter().filter(|told| told.key.starts_with(&key)).count();
    format!("{key}-{alike}")
}

/// What a webhook posts.
fn shape_of(webhook: &WebhookConfig, index: usize) -> Result<Shape, AlertsError> {
    Ok(match (webhook.format, &webhook.routing_key) {
        (WebhookFormat::Standard, _) => {
            let signer = webhook.signer(&format!("alerts.webhooks[{index}]"), &mut Vec::new());
            Shape::Standard(signer.map(Box::new))
        }
        (WebhookFormat::Slack, _) => Shape::Slack,
        (WebhookFormat::PagerDuty, Some(key)) => Shape::PagerDuty(key.clone()),
        (WebhookFormat::PagerDuty, None) => return Err(AlertsError("a webhook has no routing key".into())),
    })
}

/// Of those that are over.
const MOST_RESOLVED: usize = 1_000;

#[cfg(test)]
mod tests;
