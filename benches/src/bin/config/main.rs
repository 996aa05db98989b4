//! `make bench-config`: how long a change takes from the API to the gateway at 10,000 routes, and whether swaps under
//! load cost a request.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

mod fleet;
mod propagation;
mod swaps;

use std::collections::BTreeMap;

use anyhow::bail;
use benches::machine::{Machine, Sources, load_average};
use benches::nginx::Upstream;
use benches::output;
use benches::statistics::rounded;
use benches::tools::Tools;
use harness::binaries;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use self::fleet::Fleet;
use self::propagation::{Propagation, Times};
use self::swaps::Outcome;

/// All that one run found out.
#[derive(Debug, Serialize)]
struct Report {
    /// From sending a PUT to the first answer that shows it, by the number of routes.
    propagation_ms: BTreeMap<usize, Times>,
    /// From the answer of that PUT to the same; negative where the gateway was faster.
    after_answer_ms: BTreeMap<usize, Times>,
    /// From sending a PUT to its answer.
    put_ms: BTreeMap<usize, Times>,
    swap_failed_requests: u64,
    swaps: Outcome,
    apply_seconds: f64,
    gateway_start_seconds: f64,
    load_average: f64,
    machine: Machine,
    versions: BTreeMap<&'static str, String>,
    sources: Sources,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    // The programs end when their handles are dropped, which a signal alone would not do.
    tokio::select! {
        result = run() => result,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

async fn run() -> anyhow::Result<()> {
    let tools = Tools::of_config()?;
    let folder = tempfile::Builder::new().prefix("bench-config-").tempdir()?;
    let upstream = Upstream::start(&tools, folder.path(), None, "return 200 $request_uri;")?;
    let versions = tools.versions(&binaries::find("gateway"));
    let sources = Sources::of(&binaries::repository());
    let fleet = Fleet::start(upstream.address).await?;
    println!(
        "{ROUTES} routes applied in {:.2?}, gateway serves them after {:.2?}",
        fleet.applied_in, fleet.started_in
    );
    let Propagation {
        live,
        after_answer,
        answered,
    } = propagation::measure(&fleet).await?;
    println!(
        "{CHANGES} changes: live after {:.2} ms (median); now {SWAPS} swaps under load",
        live.p50
    );
    let swaps = swaps::run(&fleet).await?;
    let report = Report {
        propagation_ms: BTreeMap::from([(ROUTES, live)]),
        after_answer_ms: BTreeMap::from([(ROUTES, after_answer)]),
        put_ms: BTreeMap::from([(ROUTES, answered)]),
        swap_failed_requests: swaps.failed,
        swaps,
        apply_seconds: rounded(fleet.applied_in.as_secs_f64()),
        gateway_start_seconds: rounded(fleet.started_in.as_secs_f64()),
        load_average: load_average(),
        machine: Machine::this(),
        versions,
        sources,
    };
    print(&report);
    println!("\nwritten to {}", output::write("config", &report)?.display());
    Ok(())
}

fn print(report: &Report) {
    let machine = &report.machine;
    println!("\n{} ({} cores), Linux {}", machine.cpu, machine.cores, machine.kernel);
    println!(
        "  gateway: {}",
        report.versions.get("gateway").map_or("unknown", String::as_str)
    );
    println!(
        "  commit {}{}",
        report.sources.commit,
        if report.sources.changed { " with changes" } else { "" }
    );
    println!("\n{CHANGES} changes of one of {ROUTES} routes, one after the other (ms)      p50     p99");
    for (what, times) in [
        ("PUT sent -> first answer of the new route", &report.propagation_ms),
        ("PUT sent -> PUT answered", &report.put_ms),
        ("PUT answered -> first answer of the new route", &report.after_answer_ms),
    ] {
        for times in times.values() {
            println!("  {what:<58} {:>7.2} {:>7.2}", times.p50, times.p99);
        }
    }
    let swaps = &report.swaps;
    println!(
        "\n{} swaps under load in {:.1} s: {} of {} requests failed",
        swaps.swaps, swaps.seconds, swaps.failed, swaps.requests
    );
    if let Some(failure) = &swaps.first_failure {
        println!("  the first: {failure}");
    }
}

/// Integrations, each with a host name of its own.
const ROUTES: usize = 10_000;
/// Changes whose way is timed.
const CHANGES: usize = 50;
/// Swaps under load.
const SWAPS: usize = 1_000;
