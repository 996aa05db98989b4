//! `make bench-fleet`: two control planes on one MongoDB; how long a change made at one takes to the gateway of the other.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use benches::machine::{Machine, Sources, load_average};
use benches::output;
use benches::statistics::{median, percentile, rounded};
use harness::control_plane::Setup;
use harness::documents::integration;
use harness::{Answer, ControlPlane, Gateway, Mongo, Partner, binaries};
use serde::Serialize;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

/// All that one run found out.
#[derive(Debug, Serialize)]
struct Report {
    /// From sending a PUT at one control plane to the first answer of the other one's gateway that shows it.
    sent_to_live_ms: Times,
    /// From the answer to that PUT to the same.
    answered_to_live_ms: Times,
    changes: usize,
    load_average: f64,
    machine: Machine,
    sources: Sources,
}

/// Milliseconds.
#[derive(Debug, Serialize)]
struct Times {
    p50: f64,
    p99: f64,
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
    let mongo = Mongo::available().await.context("MONGO_TESTS=off leaves no MongoDB")?;
    let partner = Partner::answering(Answer::text("ok")).await;
    let one = Setup::new().mongo(&mongo).start().await;
    one.allow_this_machine().await;
    let two = one.setup_of_a_sibling().start().await;
    let gateway = Gateway::fed_by(&two).await;
    let (mut sent_to_live, mut answered_to_live) = (Vec::new(), Vec::new());
    for number in 0..=CHANGES {
        let (sent, answered) = change(&one, &gateway, &partner.url(""), number).await?;
        // The first one opens connections and streams.
        if number > 0 {
            sent_to_live.push(sent);
            answered_to_live.push(answered);
        }
    }
    let report = Report {
        sent_to_live_ms: times(&sent_to_live)?,
        answered_to_live_ms: times(&answered_to_live)?,
        changes: CHANGES,
        load_average: load_average(),
        machine: Machine::this(),
        sources: Sources::of(&binaries::repository()),
    };
    println!("{CHANGES} changes at one control plane, live at the gateway of the other (ms)      p50     p99");
    for (what, times) in [
        ("PUT sent -> first answer of the new route", &report.sent_to_live_ms),
        (
            "PUT answered -> first answer of the new route",
            &report.answered_to_live_ms,
        ),
    ] {
        println!("  {what:<72} {:>7.2} {:>7.2}", times.p50, times.p99);
    }
    println!("\nwritten to {}", output::write("fleet", &report)?.display());
    Ok(())
}

/// Makes a new route, and waits until the gateway has it. Milliseconds since the change was sent, and since it was answered.
async fn change(one: &ControlPlane, gateway: &Gateway, target: &str, number: usize) -> anyhow::Result<(f64, f64)> {
    let id = format!("route-{number}");
    let document: Value = integration(&id, target);
    let host = format!("{id}.test");
    let sent = Instant::now();
    let watched = async {
        loop {
            if gateway.get(&host, "/").await.status == 200 {
                return Instant::now();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let saved = async {
        let reply = one.try_save(&document).await?;
        ensure!([200, 201].contains(&reply.status), "{}: {}", reply.status, reply.text());
        Ok(Instant::now())
    };
    let both = async { tokio::join!(watched, saved) };
    let (live, answered) = tokio::time::timeout(PATIENCE, both)
        .await
        .context("the route is not live")?;
    let answered = answered?;
    let milliseconds = |since: Instant| live.saturating_duration_since(since).as_secs_f64() * 1_000.0;
    Ok((milliseconds(sent), milliseconds(answered)))
}

fn times(values: &[f64]) -> anyhow::Result<Times> {
    let found = median(values).zip(percentile(values, 99));
    let (p50, p99) = found.context("nothing was measured")?;
    Ok(Times {
        p50: rounded(p50),
        p99: rounded(p99),
    })
}

const CHANGES: usize = 50;
const PATIENCE: Duration = Duration::from_secs(30);
