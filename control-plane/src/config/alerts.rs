//! Which conditions raise an alert, and who is told.

use std::path::PathBuf;
use std::time::Duration;

use filters::address::EgressPolicy;
use filters::model::Problem;
use ipnet::IpNet;
use jiff::SignedDuration;
use serde::Deserialize;

pub mod receivers;
pub mod report;

use receivers::{MailConfig, WebhookConfig};
use report::ReportConfig;

/// Alerts. Without webhooks and mail nothing is sent; alerts are logged, counted and listed all the same.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AlertsConfig {
    /// What this installation is called in what is sent.
    pub installation: String,
    /// How often the conditions are looked at, in seconds.
    pub check_every_seconds: u64,
    /// A condition must be gone for so many seconds before its alert is over.
    pub clear_seconds: u64,
    /// An alert that goes on is sent again after so many hours; never if 0.
    pub remind_hours: u32,
    /// The most messages in an hour; what comes beyond them is summed up in one.
    pub max_per_hour: u32,
    /// The conditions.
    pub rules: AlertRules,
    /// Who is told by HTTP.
    pub webhooks: Vec<WebhookConfig>,
    /// Who is told by mail.
    pub mail: Option<MailConfig>,
    /// What failed in a day, told once a day.
    pub daily_report: ReportConfig,
    /// Private networks that webhooks and the mail server may be in.
    pub allowed_networks: Vec<IpNet>,
    /// Lets webhooks and mail go without TLS.
    pub allow_plaintext: bool,
    /// PEM file with certificate authorities that are trusted beside those of the machine.
    pub authorities_file: Option<PathBuf>,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            installation: "integration gateway".to_owned(),
            check_every_seconds: 15,
            clear_seconds: 60,
            remind_hours: 12,
            max_per_hour: 30,
            rules: AlertRules::default(),
            webhooks: Vec::new(),
            mail: None,
            daily_report: ReportConfig::default(),
            allowed_networks: Vec::new(),
            allow_plaintext: false,
            authorities_file: None,
        }
    }
}

/// The conditions, each with its thresholds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AlertRules {
    /// An endpoint gets nothing.
    pub endpoint_down: EndpointDownRule,
    /// Events wait for too long.
    pub lag: LagRule,
    /// There are many dead letters, or they become more quickly.
    pub dead_letters: DeadLettersRule,
    /// Dead letters were given up.
    pub abandoned: AbandonedRule,
    /// A gateway is not connected.
    pub gateway_gone: GatewayGoneRule,
    /// The store does not work.
    pub store_down: StoreDownRule,
    /// A certificate is about to be refused.
    pub certificate_expiry: CertificateExpiryRule,
    /// Calls or deliveries fail too often, or take too long.
    pub traffic: TrafficRule,
}

/// The breaker of an endpoint is open, or the endpoint is disabled or deactivated.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EndpointDownRule {
    /// False looks away.
    pub enabled: bool,
    /// For so many seconds.
    pub for_seconds: u64,
}

impl Default for EndpointDownRule {
    fn default() -> Self {
        Self {
            enabled: true,
            for_seconds: 60,
        }
    }
}

/// The oldest undelivered event of an endpoint is too old.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LagRule {
    /// False looks away.
    pub enabled: bool,
    /// Older than so many seconds.
    pub seconds: u64,
    /// The same where an operator paused the endpoint, or the subscription is not active.
    pub paused_seconds: u64,
    /// For so many seconds.
    pub for_seconds: u64,
}

impl Default for LagRule {
    fn default() -> Self {
        Self {
            enabled: true,
            seconds: 900,
            paused_seconds: 86_400,
            for_seconds: 60,
        }
    }
}

/// How many dead letters are too many. A threshold of 0 is none.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DeadLettersRule {
    /// False looks away.
    pub enabled: bool,
    /// So many of one subscription.
    pub per_subscription: u64,
    /// So many of one organization.
    pub per_organization: u64,
    /// So many new ones of one subscription within `growthMinutes`.
    pub growth: u64,
    /// For `growth`.
    pub growth_minutes: u64,
    /// How often they are counted, in seconds.
    pub count_every_seconds: u64,
}

impl Default for DeadLettersRule {
    fn default() -> Self {
        Self {
            enabled: true,
            per_subscription: 100,
            per_organization: 1_000,
            growth: 20,
            growth_minutes: 10,
            count_every_seconds: 60,
        }
    }
}

/// Dead letters whose automatic retries are over.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AbandonedRule {
    /// False looks away.
    pub enabled: bool,
    /// The alert is over when none was given up for so many minutes.
    pub quiet_minutes: u64,
}

impl Default for AbandonedRule {
    fn default() -> Self {
        Self {
            enabled: true,
            quiet_minutes: 60,
        }
    }
}

/// A gateway that was there is not connected.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GatewayGoneRule {
    /// False looks away.
    pub enabled: bool,
    /// For so many seconds.
    pub for_seconds: u64,
    /// One that is gone for so many days was taken away for good.
    pub retired_after_days: u64,
}

impl Default for GatewayGoneRule {
    fn default() -> Self {
        Self {
            enabled: true,
            for_seconds: 120,
            retired_after_days: 7,
        }
    }
}

/// The store does not answer.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StoreDownRule {
    /// False looks away.
    pub enabled: bool,
    /// For so many seconds.
    pub for_seconds: u64,
}

impl Default for StoreDownRule {
    fn default() -> Self {
        Self {
            enabled: true,
            for_seconds: 60,
        }
    }
}

/// A certificate that the gateways show expires.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CertificateExpiryRule {
    /// False looks away.
    pub enabled: bool,
    /// Within so many days.
    pub within_days: u64,
}

impl Default for CertificateExpiryRule {
    fn default() -> Self {
        Self {
            enabled: true,
            within_days: 14,
        }
    }
}

/// Calls or attempts at deliveries of an integration fail too often, or take too long. A threshold of 0 is none.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TrafficRule {
    /// False looks away.
    pub enabled: bool,
    /// Those of so many last minutes are looked at.
    pub window_minutes: u64,
    /// Fewer of them say nothing.
    pub minimum_calls: u64,
    /// So many of 100 fail.
    pub error_percent: u64,
    /// One of 100 takes so many milliseconds or more.
    pub p99_ms: u64,
}

impl Default for TrafficRule {
    fn default() -> Self {
        Self {
            enabled: true,
            window_minutes: 5,
            minimum_calls: 50,
            error_percent: 20,
            p99_ms: 0,
        }
    }
}

impl TrafficRule {
    /// The time that is looked at.
    pub(crate) fn window(&self) -> SignedDuration {
        SignedDuration::from_mins(i64::try_from(self.window_minutes).unwrap_or(i64::MAX))
    }
}

impl AlertsConfig {
    /// Where webhooks and mail may connect to.
    pub(crate) fn egress(&self) -> EgressPolicy {
        EgressPolicy {
            block_private_networks: true,
            allowed_networks: self.allowed_networks.clone(),
        }
    }

    /// How often the conditions are looked at.
    pub(crate) fn check_every(&self) -> Duration {
        Duration::from_secs(self.check_every_seconds)
    }

    /// Adds everything that is wrong, with paths from the root of the settings.
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        let rules = &self.rules;
        let (lag, dead, gone) = (&rules.lag, &rules.dead_letters, &rules.gateway_gone);
        let ranges = [
            ("checkEverySeconds", self.check_every_seconds, 1, HOUR),
            ("clearSeconds", self.clear_seconds, 0, DAY),
            ("remindHours", self.remind_hours.into(), 0, 24 * 365),
            ("maxPerHour", self.max_per_hour.into(), 1, 1_000),
            ("rules.endpointDown.forSeconds", rules.endpoint_down.for_seconds, 0, DAY),
            ("rules.lag.seconds", lag.seconds, 1, 30 * DAY),
            ("rules.lag.pausedSeconds", lag.paused_seconds, 1, 365 * DAY),
            ("rules.lag.forSeconds", lag.for_seconds, 0, DAY),
            ("rules.deadLetters.growthMinutes", dead.growth_minutes, 1, 7 * 1_440),
            ("rules.deadLetters.countEverySeconds", dead.count_every_seconds, 1, HOUR),
            (
                "rules.abandoned.quietMinutes",
                rules.abandoned.quiet_minutes,
                1,
                7 * 1_440,
            ),
            ("rules.gatewayGone.forSeconds", gone.for_seconds, 1, DAY),
            ("rules.gatewayGone.retiredAfterDays", gone.retired_after_days, 1, 365),
            ("rules.storeDown.forSeconds", rules.store_down.for_seconds, 0, DAY),
            ("rules.traffic.windowMinutes", rules.traffic.window_minutes, 1, 60),
            ("rules.traffic.minimumCalls", rules.traffic.minimum_calls, 1, 1_000_000),
            ("rules.traffic.errorPercent", rules.traffic.error_percent, 0, 100),
            ("rules.traffic.p99Ms", rules.traffic.p99_ms, 0, HOUR * 1_000),
            (
                "rules.certificateExpiry.withinDays",
                rules.certificate_expiry.within_days,
                1,
                365,
            ),
        ];
        for (name, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                let message = format!("{value} is not between {least} and {most}");
                problems.push(Problem::new(format!("alerts.{name}"), message));
            }
        }
        for (index, webhook) in self.webhooks.iter().enumerate() {
            webhook.check(&format!("alerts.webhooks[{index}]"), self.allow_plaintext, problems);
        }
        if let Some(mail) = &self.mail {
            mail.check(self.allow_plaintext, problems);
        }
        self.daily_report.check(problems);
    }
}

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
