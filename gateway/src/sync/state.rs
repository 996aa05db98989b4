//! What is known of the config flow, for operators.

use filters::model::Problem;
use jiff::Timestamp;
use parking_lot::RwLock;
use serde::Serialize;

/// Where a version came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// Pushed by the control plane.
    ControlPlane,
    /// Read from the watched file.
    File,
    /// Read from the data folder at the start.
    LastKnownGood,
}

/// The config flow, as it stands.
#[derive(Debug, Default)]
pub struct State {
    report: RwLock<Report>,
}

/// [`State`] at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Name of this gateway.
    pub gateway_id: String,
    /// Where the live version came from; nothing is live if `None`.
    pub source: Option<Source>,
    /// When it became live.
    pub applied_at: Option<Timestamp>,
    /// How many versions became live since the start.
    pub applied: u64,
    /// Whether the control plane is connected.
    pub connected: bool,
    /// Why it is not.
    pub connection_error: Option<String>,
    /// Why it tells this gateway nothing although it is.
    pub told_nothing: Option<String>,
    /// The newest version that was refused, unless one was accepted since.
    pub last_error: Option<Refusal>,
}

/// A version that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// When.
    pub at: Timestamp,
    /// Where it came from.
    pub source: Source,
    /// Its place in the sequence of versions, if that is known.
    pub version: Option<u64>,
    /// Everything that is wrong with it.
    pub problems: Vec<Problem>,
}

impl State {
    /// Nothing is known yet of the gateway of this name.
    pub fn new(gateway_id: String) -> Self {
        Self {
            report: RwLock::new(Report {
                gateway_id,
                ..Report::default()
            }),
        }
    }

    /// How things stand now.
    pub fn report(&self) -> Report {
        self.report.read().clone()
    }

    pub(super) fn accepted(&self, source: Source) {
        let mut report = self.report.write();
        report.source = Some(source);
        report.applied_at = Some(Timestamp::now());
        report.applied += 1;
        // What served last time does not mend what was refused this time.
        if source != Source::LastKnownGood {
            report.last_error = None;
        }
    }

    /// Notes a version, or a source, that cannot be used.
    pub(super) fn refused(&self, source: Source, version: Option<u64>, problems: Vec<Problem>) {
        self.report.write().last_error = Some(Refusal {
            at: Timestamp::now(),
            source,
            version,
            problems,
        });
    }

    pub(super) fn connected(&self, told_nothing: Option<String>) {
        let mut report = self.report.write();
        report.connected = true;
        report.connection_error = None;
        report.told_nothing = told_nothing;
    }

    pub(super) fn disconnected(&self, reason: Option<String>) {
        let mut report = self.report.write();
        report.connected = false;
        report.told_nothing = None;
        report.connection_error = reason;
    }
}
