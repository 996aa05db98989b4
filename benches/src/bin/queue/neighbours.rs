//! What bad endpoints cost the good ones.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use benches::statistics::{median, percentile, rounded};
use serde_json::Value;

use crate::gateway::{setup, subscription};
use crate::producer::{Load, finished, send, start};
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
        let kind = format!("bench.good-{number}");
        subscriptions.push(subscription(
            &format!("good-{number}"),
            &kind,
            &receiver.url(&format!("/ok/{number}")),
        ));
        good.push(kind);
    }
    let mut bad = Vec::new();
    for name in ["hang", "trickle", "gigabyte"] {
        let kind = format!("bench.{name}");
        subscriptions.push(subscription(name, &kind, &trouble.url(&format!("/{name}"))));
        bad.push(kind);
    }
    let types: Vec<String> = good.iter().chain(&bad).cloned().collect();
    for pair in 0..PAIRS {
        let alone = round(&types, &subscriptions, &receiver, (&good, &[]), epoch).await?;
        let beside = round(&types, &subscriptions, &receiver, (&good, &bad), epoch).await?;
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

/// One round: the 99th percentile of the good endpoints' delays in milliseconds.
async fn round(
    types: &[String],
    subscriptions: &[Value],
    receiver: &Receiver,
    (good, bad): (&[String], &[String]),
    epoch: Instant,
) -> anyhow::Result<f64> {
    let (_control_plane, setup) = setup(types, subscriptions.to_vec()).await?;
    let gateway = setup.start().await;
    let load = |types: &[String], events, rate, name| {
        let address = gateway.http().parse().context("the gateway's address");
        address.map(|address| Load {
            address,
            connections: CONNECTIONS,
            events,
            rate: Some(rate),
            types: types.to_vec(),
            name,
            epoch,
        })
    };
    let noise = if bad.is_empty() {
        None
    } else {
        Some(start(load(
            bad,
            BAD_RATE * (WARM_UP_SECONDS + SECONDS),
            BAD_RATE,
            "bad",
        )?))
    };
    // Opens the connections, and lets the bad ones take hold.
    let before = receiver.delivered();
    send(load(good, RATE * WARM_UP_SECONDS, RATE, "warm")?).await?;
    ensure!(
        receiver.reached(before + RATE * WARM_UP_SECONDS).await,
        "the warm-up was not delivered"
    );
    drop(receiver.take_delays_ms());
    let before = receiver.delivered();
    send(load(good, RATE * SECONDS, RATE, "event")?).await?;
    ensure!(
        receiver.reached(before + RATE * SECONDS).await,
        "not all events were delivered"
    );
    let delays = receiver.take_delays_ms();
    if let Some(noise) = noise {
        finished(noise).await?;
    }
    percentile(&delays, 99).context("no deliveries")
}

/// Good endpoints.
pub(crate) const ENDPOINTS: usize = 1_000;
const PAIRS: usize = 5;
/// Events in a second to the good ones, all together, and to the bad ones.
const RATE: u64 = 500;
const BAD_RATE: u64 = 60;
const WARM_UP_SECONDS: u64 = 4;
const SECONDS: u64 = 10;
const CONNECTIONS: usize = 32;
