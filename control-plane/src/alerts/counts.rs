//! Alerts in the metrics.

use prometheus::{IntCounterVec, IntGaugeVec, Opts};

use super::alert::Rule;
use crate::metrics::Metrics;

/// Counts of alerts and of what was sent. Cloning shares them.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    open: IntGaugeVec,
    raised: IntCounterVec,
    sent: IntCounterVec,
}

/// What became of a try to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Delivered,
    Retried,
    Failed,
    /// Not even tried, as too many waited.
    Lost,
}

impl Counts {
    pub(super) fn new(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let open = Opts::new("control_plane_alerts_open", "Open alerts by rule.");
        let raised = Opts::new("control_plane_alerts_raised_total", "Alerts by rule since the start.");
        let sent = Opts::new(
            "control_plane_alert_messages_total",
            "Tries to send a message on alerts, by channel and by what became of it.",
        );
        let counts = Self {
            open: metrics.add(IntGaugeVec::new(open, &["rule"])?)?,
            raised: metrics.add(IntCounterVec::new(raised, &["rule"])?)?,
            sent: metrics.add(IntCounterVec::new(sent, &["channel", "result"])?)?,
        };
        for rule in Rule::ALL {
            counts.open.with_label_values(&[rule.name()]).set(0);
            counts.raised.with_label_values(&[rule.name()]);
        }
        Ok(counts)
    }

    pub(super) fn raised(&self, rule: Rule) {
        self.raised.with_label_values(&[rule.name()]).inc();
    }

    /// Takes over which alerts are open.
    pub(super) fn open(&self, open: impl Iterator<Item = Rule>) {
        let mut numbers = [0; Rule::ALL.len()];
        for rule in open {
            numbers[rule as usize] += 1;
        }
        for rule in Rule::ALL {
            self.open.with_label_values(&[rule.name()]).set(numbers[rule as usize]);
        }
    }

    pub(super) fn sent(&self, channel: &str, result: Sent) {
        let result = match result {
            Sent::Delivered => "delivered",
            Sent::Retried => "retried",
            Sent::Failed => "failed",
            Sent::Lost => "lost",
        };
        self.sent.with_label_values(&[channel, result]).inc();
    }
}
