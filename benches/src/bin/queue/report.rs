//! The figures, as a table and as JSON.

use std::collections::BTreeMap;

use benches::machine::{Machine, Sources};
use serde::Serialize;

/// All that one run found out. What was not measured is left out.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Durable 202s in a second, single events of 1 KB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) accepted_per_s: Option<f64>,
    /// Processor time of the gateway for each of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_us_per_accepted: Option<f64>,
    /// Deliveries in a second, ingest included, one for each event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deliveries_per_s: Option<f64>,
    /// The same by fan-out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) deliveries_per_s_by_fan_out: BTreeMap<String, f64>,
    /// Processor time of the gateway for each delivery, ingest, queue and records included.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) cpu_us_per_delivery: BTreeMap<String, f64>,
    /// From the first byte of an event to the first byte of its delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_byte_ms: Option<Times>,
    /// From the start of the process to the first delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) restart_1m_s: Option<f64>,
    /// How many deliveries were pending then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) restart_pending: Option<u64>,
    /// How much later the healthy endpoints get their events with three bad ones beside them: 0.05 is 5 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) neighbour_shift: Option<f64>,
    /// 99th percentiles of each pair in milliseconds, without and with the bad ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) neighbour_pairs_ms: Vec<(f64, f64)>,
    /// Resident memory of an idle gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idle_mib: Option<f64>,
    pub(crate) load_average: f64,
    machine: Machine,
    sources: Sources,
}

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Times {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Report {
    pub(crate) fn new(machine: Machine, sources: Sources) -> Self {
        Self {
            accepted_per_s: None,
            cpu_us_per_accepted: None,
            deliveries_per_s: None,
            deliveries_per_s_by_fan_out: BTreeMap::new(),
            cpu_us_per_delivery: BTreeMap::new(),
            first_byte_ms: None,
            restart_1m_s: None,
            restart_pending: None,
            neighbour_shift: None,
            neighbour_pairs_ms: Vec::new(),
            idle_mib: None,
            load_average: 0.0,
            machine,
            sources,
        }
    }

    pub(crate) fn print(&self) {
        let machine = &self.machine;
        println!("\n{} ({} cores), Linux {}", machine.cpu, machine.cores, machine.kernel);
        let changed = if self.sources.changed { " with changes" } else { "" };
        println!("  commit {}{changed}\n", self.sources.commit);
        let line = |what: &str, value: Option<f64>, unit: &str| {
            if let Some(value) = value {
                println!("  {what:<44} {value:>10.2} {unit}");
            }
        };
        line("durable 202s", self.accepted_per_s, "/s");
        line("  processor time of each", self.cpu_us_per_accepted, "us");
        for (fan_out, rate) in &self.deliveries_per_s_by_fan_out {
            line(&format!("deliveries, fan-out {fan_out}"), Some(*rate), "/s");
            let cpu = self.cpu_us_per_delivery.get(fan_out).copied();
            line("  processor time of each", cpu, "us");
        }
        line("first byte, p50", self.first_byte_ms.map(|times| times.p50), "ms");
        line("first byte, p99", self.first_byte_ms.map(|times| times.p99), "ms");
        line("restart to the first delivery", self.restart_1m_s, "s");
        line("neighbour shift", self.neighbour_shift, "");
        line("idle", self.idle_mib, "MiB");
    }
}
