//! Full cycles: accepted, queued, delivered, recorded.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use benches::statistics::rounded;

use crate::gateway::{cpu, settled, setup, subscription};
use crate::producer::{Load, finished, start};
use crate::receiver::Receiver;
use crate::report::Report;

/// Measures deliveries in a second and the processor time of each, with `fan_out` subscriptions to each event.
///
/// # Errors
/// If an event is not acknowledged or not delivered.
pub(crate) async fn measure(report: &mut Report, fan_out: u64) -> anyhow::Result<()> {
    let epoch = Instant::now();
    let receiver = Receiver::start(SocketAddr::from(([127, 0, 0, 1], 0)), epoch)?;
    let kind = "bench.event".to_owned();
    let subscriptions = (0..fan_out).map(|number| {
        subscription(
            &format!("endpoint-{number}"),
            &kind,
            &receiver.url(&format!("/ok/{number}")),
        )
    });
    let (_control_plane, setup) = setup(std::slice::from_ref(&kind), subscriptions.collect()).await?;
    let gateway = setup.start().await;
    let mut load = Load {
        address: gateway.http().parse().context("the gateway's address")?,
        connections: CONNECTIONS,
        events: WARM_UP / fan_out,
        rate: None,
        types: vec![kind],
        name: "warm",
        epoch,
    };
    finished(start(load.clone())).await?;
    ensure!(
        receiver.reached(load.events * fan_out).await,
        "the warm-up was not delivered"
    );
    settled(&gateway).await;
    let done = receiver.delivered();
    load.events = DELIVERIES / fan_out;
    load.name = "event";
    let (before, started) = (cpu(&gateway)?, Instant::now());
    finished(start(load)).await?;
    ensure!(
        receiver.reached(done + DELIVERIES).await,
        "not all events were delivered"
    );
    let took = started.elapsed();
    settled(&gateway).await;
    let used = cpu(&gateway)?.since(before).total();
    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
    let deliveries = DELIVERIES as f64;
    let rate = (deliveries / took.as_secs_f64()).round();
    let name = format!("1:{fan_out}");
    if fan_out == 1 {
        report.deliveries_per_s = Some(rate);
    }
    report.deliveries_per_s_by_fan_out.insert(name.clone(), rate);
    report
        .cpu_us_per_delivery
        .insert(name, rounded(used.as_secs_f64() * 1e6 / deliveries));
    Ok(())
}

const CONNECTIONS: usize = 64;
const WARM_UP: u64 = 20_000;
const DELIVERIES: u64 = 200_000;
