//! Durable 202s.

use std::time::Instant;

use anyhow::Context as _;
use benches::statistics::rounded;
use benches::usage::settled_resident_mib;

use crate::gateway::{cpu, setup};
use crate::producer::{Load, send};
use crate::report::Report;

/// Measures how many single events are acknowledged in a second, and the memory of the gateway before them.
///
/// # Errors
/// If one of them is not acknowledged.
pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let kind = "bench.nobody".to_owned();
    let (_control_plane, setup) = setup(std::slice::from_ref(&kind), Vec::new()).await?;
    let gateway = setup.start().await;
    report.idle_mib = Some(rounded(settled_resident_mib(gateway.process.id())?));
    let mut load = Load {
        address: gateway.http().parse().context("the gateway's address")?,
        connections: CONNECTIONS,
        events: WARM_UP,
        rate: None,
        types: vec![kind],
        name: "warm",
        epoch: Instant::now(),
    };
    send(load.clone()).await?;
    load.events = EVENTS;
    load.name = "event";
    let before = cpu(&gateway)?;
    let sent = send(load).await?;
    let used = cpu(&gateway)?.since(before).total();
    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
    let events = sent.events as f64;
    report.accepted_per_s = Some((events / sent.took.as_secs_f64()).round());
    report.cpu_us_per_accepted = Some(rounded(used.as_secs_f64() * 1e6 / events));
    Ok(())
}

/// Connections of the producers.
pub(crate) const CONNECTIONS: usize = 256;
const WARM_UP: u64 = 20_000;
const EVENTS: u64 = 200_000;
