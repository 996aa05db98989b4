//! From the first byte of an event to the first byte of its delivery.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use benches::statistics::{percentile, rounded};

use crate::gateway::{setup, subscription};
use crate::producer::{Load, send};
use crate::receiver::Receiver;
use crate::report::{Report, Times};

/// Measures it at [`RATE`] events a second.
///
/// # Errors
/// If an event is not acknowledged or not delivered.
pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let epoch = Instant::now();
    let receiver = Receiver::start(SocketAddr::from(([127, 0, 0, 1], 0)), epoch)?;
    let kind = "bench.event".to_owned();
    let one = subscription("endpoint", &kind, &receiver.url("/ok/0"));
    let (_control_plane, setup) = setup(std::slice::from_ref(&kind), vec![one]).await?;
    let gateway = setup.start().await;
    let mut load = Load {
        address: gateway.http().parse().context("the gateway's address")?,
        connections: CONNECTIONS,
        events: RATE * 2,
        rate: Some(RATE),
        types: vec![kind],
        name: "warm",
        epoch,
    };
    send(load.clone()).await?;
    ensure!(receiver.reached(load.events).await, "the warm-up was not delivered");
    drop(receiver.take_delays_ms());
    let before = receiver.delivered();
    load.events = RATE * SECONDS;
    load.name = "event";
    let events = load.events;
    send(load).await?;
    ensure!(receiver.reached(before + events).await, "not all events were delivered");
    let delays = receiver.take_delays_ms();
    let at = |percent| percentile(&delays, percent).map(rounded).context("no deliveries");
    report.first_byte_ms = Some(Times {
        p50: at(50)?,
        p99: at(99)?,
    });
    Ok(())
}

/// Events in a second.
pub(crate) const RATE: u64 = 800;
const SECONDS: u64 = 15;
const CONNECTIONS: usize = 32;
