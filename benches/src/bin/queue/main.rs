//! `make bench-queue`: what the event flow does on this machine: durable 202s, deliveries, latency, restart with a full
//! queue, and what bad neighbours cost.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

mod cycle;
mod gateway;
mod ingest;
mod latency;
mod neighbours;
mod producer;
mod receiver;
mod report;
mod restart;

use anyhow::bail;
use benches::machine::{Machine, Sources, load_average};
use benches::output;
use clap::{Parser, ValueEnum};
use harness::binaries;
use tokio::signal::unix::{SignalKind, signal};

use self::report::Report;

/// Measures the event flow; everything if nothing is named.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only these parts; the others are left out of the report.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Events that wait when the gateway is started again.
    #[arg(long, default_value_t = 1_000_000)]
    pending: u64,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Ingest,
    Cycle,
    Latency,
    Restart,
    Neighbours,
}

#[tokio::main(flavor = "current_thread")]
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
    let wants = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let mut report = Report::new(Machine::this(), Sources::of(&binaries::repository()));
    if wants(Part::Ingest) {
        println!(
            "events at {} connections, each 202 after its fsync",
            ingest::CONNECTIONS
        );
        ingest::measure(&mut report).await?;
    }
    if wants(Part::Cycle) {
        for fan_out in [1, 10] {
            println!("full cycles, {fan_out} deliveries for each event");
            cycle::measure(&mut report, fan_out).await?;
        }
    }
    if wants(Part::Latency) {
        println!(
            "from an event's first byte to its delivery's, at {} events/s",
            latency::RATE
        );
        latency::measure(&mut report).await?;
    }
    if wants(Part::Restart) {
        println!("restart with {} pending", arguments.pending);
        restart::measure(&mut report, arguments.pending).await?;
    }
    if wants(Part::Neighbours) {
        println!("{} endpoints with and without three bad ones", neighbours::ENDPOINTS);
        neighbours::measure(&mut report).await?;
    }
    report.load_average = load_average();
    report.print();
    println!("\nwritten to {}", output::write("queue", &report)?.display());
    Ok(())
}
