//! What bad endpoints cost the good ones.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use benches::statistics::{median, percentile, rounded};
use serde_json::Value;

use crate::gateway::{setup, subscription};
use crate::producer::{Load, send};
use crate::receiver::Receiver;
use crate::report::Report;

/// Measures the 99th percentile of the good endpoints' delays with and without the bad ones, in turns.
///
/// # Errors
/// If an event is not acknowledged, or one of a good endpoint is not delivered.
pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let epoch = Instant::now();
    let receiver = Receiver::start(SocketAddr::from(([127, 0, 0, 1], 0)), epoch)?;
    // On a thread of its own, so that only the gateway can bring their trouble to the good ones.
    let trouble = Receiver::start(SocketAddr::from(([127, 0, 0, 1], 0)), epoch)?;
    let mut subscriptions = Vec::new();
    let mut good = Vec::new();
    for number in 0..ENDPOINTS {
        let kind = format!("{GOOD}{number}");
        subscriptions.push(subscription(
            &format!("good-{number}"),
            &kind,
            &receiver.url(&format!("/ok/{number}")),
        ));
        good.push(kind);
    }
    let mut bad = Vec::new();
    for (place, name) in ["hang", "trickle", "gigabyte"].into_iter().enumerate() {
        let kind = format!("bench.{name}");
        subscriptions.push(subscription(name, &kind, &trouble.url(&format!("/{name}"))));
        bad.push((place * ENDPOINTS / 3, kind));
    }
    let types: Vec<String> = good.iter().chain(bad.iter().map(|(_, kind)| kind)).cloned().collect();
    let mut mixed = good.clone();
    for (place, kind) in bad {
        mixed[place] = kind;
    }
    for pair in 0..PAIRS {
        let alone = round(&types, &subscriptions, &receiver, &good, epoch).await?;
        let beside = round(&types, &subscriptions, &receiver, &mixed, epoch).await?;
        println!("  pair {pair}: p99 {alone:.2} ms alone, {beside:.2} ms beside the bad ones");
        report.neighbour_pairs_ms.push((rounded(alone), rounded(beside)));
    }
    let shifts: Vec<f64> = report
        .neighbour_pairs_ms
        .iter()
        .map(|(alone, beside)| beside / alone - 1.0)
        .collect();
    report.neighbour_shift = median(&shifts).map(rounded);
    Ok(())
}

/// One round, with events for `fed` in turn: the 99th percentile of the good endpoints' delays in milliseconds.
async fn round(
    types: &[String],
    subscriptions: &[Value],
    receiver: &Receiver,
    fed: &[String],
    epoch: Instant,
) -> anyhow::Result<f64> {
    let (_control_plane, setup) = setup(types, subscriptions.to_vec()).await?;
    let gateway = setup.start().await;
    let mut load = Load {
        address: gateway.http().parse().context("the gateway's address")?,
        connections: CONNECTIONS,
        events: RATE * WARM_UP_SECONDS,
        rate: Some(RATE),
        types: fed.to_vec(),
        name: "warm",
        epoch,
    };
    let good = fed.iter().filter(|kind| kind.starts_with(GOOD)).count() as u64;
    let expected = |events: u64| events * good / ENDPOINTS as u64;
    // Opens the connections, and lets the bad ones take hold.
    let before = receiver.delivered();
    let events = load.events;
    send(load.clone()).await?;
    ensure!(
        receiver.reached(before + expected(events)).await,
        "the warm-up was not delivered"
    );
    drop(receiver.take_delays_ms());
    let before = receiver.delivered();
    load.events = RATE * SECONDS;
    load.name = "event";
    let events = load.events;
    send(load).await?;
    ensure!(
        receiver.reached(before + expected(events)).await,
        "not all events were delivered"
    );
    let delays = receiver.take_delays_ms();
    percentile(&delays, 99).context("no deliveries")
}

/// How the types of the good endpoints' events begin.
const GOOD: &str = "bench.good-";
/// Endpoints that are fed, three of them bad ones in one round of each pair.
pub(crate) const ENDPOINTS: usize = 1_000;
const PAIRS: usize = 5;
/// Events in a second, to all together.
const RATE: u64 = 500;
const WARM_UP_SECONDS: u64 = 4;
const SECONDS: u64 = 10;
const CONNECTIONS: usize = 32;
