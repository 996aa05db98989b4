//! `make bench-memory`: whether the gateway's memory stays flat over many swaps of its configuration, and over a churn of
//! connections and requests of HTTP/2.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

mod churn;
mod swaps;

use std::time::Duration;

use anyhow::bail;
use benches::machine::{Machine, Sources, load_average};
use benches::{output, usage};
use clap::Parser;
use harness::answer::Answer;
use harness::documents::{document, integration};
use harness::gateway::Setup;
use harness::{Gateway, Partner, binaries};
use serde::Serialize;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use self::churn::Churned;

/// Memory of the gateway over swaps and over a churn of HTTP/2.
#[derive(Debug, Parser)]
struct Arguments {
    /// Configurations that are swapped in.
    #[arg(long, default_value_t = 1_000)]
    swaps: usize,
    /// Seconds of churn.
    #[arg(long, default_value_t = 30)]
    churn_seconds: u64,
}

/// All that one run found out.
#[derive(Debug, Serialize)]
struct Report {
    swaps: usize,
    /// Resident memory in MiB after each tenth of the swaps.
    swaps_resident_mib: Vec<f64>,
    churn_seconds: u64,
    churn: Churned,
    /// Resident memory in MiB after each tenth of the churn, and at rest after it.
    churn_resident_mib: Vec<f64>,
    rest_resident_mib: f64,
    load_average: f64,
    machine: Machine,
    sources: Sources,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut terminate = signal(SignalKind::terminate())?;
    // The programs end when their handles are dropped, which a signal alone would not do.
    tokio::select! {
        result = run(&arguments) => result,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let partner = Partner::start(|request| {
        let answer = Answer::text(request.body.clone());
        if request.uri.path() == "/slow" {
            answer.first_then("first ", &harness::answer::Gate::new(), "never")
        } else {
            answer
        }
    })
    .await;
    let own = document([integration("labs", &partner.url(""))]);
    let setup = Setup::new().file(&own).set("listen.h2c", json!("127.0.0.1:0"));
    let gateway = setup.set("accessLog.output", json!("off")).start().await;
    let swaps_resident_mib = swaps::run(&gateway, &partner, arguments.swaps).await?;
    gateway.swap(&own).await;
    let seconds = Duration::from_secs(arguments.churn_seconds);
    let (churn, churn_resident_mib) = churn::run(&gateway, seconds).await?;
    let report = Report {
        swaps: arguments.swaps,
        swaps_resident_mib,
        churn_seconds: arguments.churn_seconds,
        churn,
        churn_resident_mib,
        rest_resident_mib: resident(&gateway)?,
        load_average: load_average(),
        machine: Machine::this(),
        sources: Sources::of(&binaries::repository()),
    };
    print(&report);
    println!("\nwritten to {}", output::write("memory", &report)?.display());
    Ok(())
}

/// Resident memory of the gateway in MiB, once it no longer changes (or after some seconds).
fn resident(gateway: &Gateway) -> anyhow::Result<f64> {
    let mib = usage::settled_resident_mib(gateway.process.id())?;
    Ok(benches::statistics::rounded(mib))
}

fn print(report: &Report) {
    let row = |figures: &[f64]| figures.iter().map(|mib| format!("{mib:>8.1}")).collect::<String>();
    println!("\nresident memory of the gateway in MiB, after each tenth");
    println!("  {} swaps        {}", report.swaps, row(&report.swaps_resident_mib));
    println!(
        "  {} s of churn   {}",
        report.churn_seconds,
        row(&report.churn_resident_mib)
    );
    println!("  at rest after it {:>8.1}", report.rest_resident_mib);
    let churn = &report.churn;
    println!(
        "\nchurn: {} connections, {} requests answered, {} given up, {} bodies broken off, {} failed",
        churn.connections, churn.answered, churn.given_up, churn.broken_off, churn.failed
    );
}
