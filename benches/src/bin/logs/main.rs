//! `make bench-logs`: how long lists, dashboard and analytics take at a million delivery logs on the embedded store.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

mod fill;
mod questions;

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use benches::machine::{Machine, Sources, load_average};
use benches::output;
use benches::statistics::{median, percentile, rounded};
use clap::Parser;
use harness::{ControlPlane, binaries, control_plane};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde::Serialize;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use self::questions::Question;

/// Times that many delivery logs cost.
#[derive(Debug, Parser)]
struct Arguments {
    /// Delivery logs
    #[arg(long, default_value_t = 1_000_000)]
    rows: u32,
    /// How often each question is asked
    #[arg(long, default_value_t = 31)]
    rounds: usize,
}

/// All that one run found out.
#[derive(Debug, Serialize)]
struct Report {
    rows: u32,
    /// Delivery logs a second, in batches of 500.
    rows_per_second: f64,
    database_bytes: u64,
    /// From asking to the end of the answer, by question.
    ms: BTreeMap<&'static str, Times>,
    /// The slowest first page of a filter (median).
    slowest_first_page_ms: f64,
    dashboard_ms: f64,
    load_average: f64,
    machine: Machine,
    sources: Sources,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Times {
    p50: f64,
    p99: f64,
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
    let setup = control_plane::Setup::new().set("records", json!({"maxRecords": 100_000_000, "retentionDays": 3650}));
    let mut control_plane = setup.clone().start().await;
    control_plane.allow_this_machine().await;
    let folder = control_plane.data_folder();
    control_plane.process.signal(Signal::SIGTERM);
    control_plane.process.ended().await;
    println!("writing {} delivery logs", arguments.rows);
    let filled = fill::fill(&folder, arguments.rows).await?;
    let database_bytes = std::fs::metadata(folder.join("control-plane.db"))?.len();
    let rows_per_second = f64::from(arguments.rows) / filled.took.as_secs_f64();
    println!("{rows_per_second:.0} a second, {} MiB\n", database_bytes >> 20);
    let control_plane = setup.start().await;
    let mut ms = BTreeMap::new();
    for question in questions::all(&filled) {
        let times = ask(&control_plane, &question, arguments.rounds).await?;
        println!("  {:<58} {:>8.2} {:>8.2}", question.name, times.p50, times.p99);
        ms.insert(question.name, times);
    }
    let slowest = ms
        .iter()
        .filter(|(name, _)| name.starts_with(questions::FIRST_PAGE))
        .map(|(_, times)| times.p50)
        .fold(0.0, f64::max);
    let report = Report {
        rows: arguments.rows,
        rows_per_second: rounded(rows_per_second),
        database_bytes,
        slowest_first_page_ms: slowest,
        dashboard_ms: ms.get(questions::DASHBOARD).map_or(0.0, |times| times.p50),
        ms,
        load_average: load_average(),
        machine: Machine::this(),
        sources: Sources::of(&binaries::repository()),
    };
    println!(
        "\nslowest first page {slowest:.2} ms, dashboard {:.2} ms (median)",
        report.dashboard_ms
    );
    println!("written to {}", output::write("logs", &report)?.display());
    Ok(())
}

/// Asks it several times, one after the other.
async fn ask(control_plane: &ControlPlane, question: &Question, rounds: usize) -> anyhow::Result<Times> {
    let mut taken = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let began = Instant::now();
        let answer = control_plane.request(Method::GET, &question.path).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        taken.push(began.elapsed().as_secs_f64() * 1_000.0);
        ensure!(status.is_success(), "{}: {status} {text}", question.name);
        let answer: serde_json::Value = serde_json::from_str(&text).context(question.name)?;
        ensure!(
            question.is_answered(&answer),
            "{}: not the answer that was expected: {}",
            question.name,
            text.chars().take(300).collect::<String>()
        );
    }
    Ok(Times {
        p50: rounded(median(&taken).context("no rounds")?),
        p99: rounded(percentile(&taken, 99).context("no rounds")?),
    })
}
