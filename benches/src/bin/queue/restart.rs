//! A restart with a full queue.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use benches::client::free_address;
use benches::statistics::rounded;

use crate::gateway::{setup, subscription};
use crate::producer::{Load, send};
use crate::receiver::Receiver;
use crate::report::Report;

/// Fills the queue while the endpoint is away, kills the gateway, and times the way from its start to the first delivery.
///
/// # Errors
/// If an event is not acknowledged, or none is delivered after the restart.
pub(crate) async fn measure(report: &mut Report, pending: u64) -> anyhow::Result<()> {
    let address: SocketAddr = free_address()?;
    let kind = "bench.event".to_owned();
    let one = subscription("endpoint", &kind, &format!("http://{address}/ok/0"));
    let (_control_plane, setup) = setup(std::slice::from_ref(&kind), vec![one]).await?;
    let mut gateway = setup.clone().start().await;
    let epoch = Instant::now();
    send(Load {
        address: gateway.http().parse().context("the gateway's address")?,
        connections: CONNECTIONS,
        events: pending,
        rate: None,
        types: vec![kind],
        name: "event",
        epoch,
    })
    .await?;
    gateway.process.kill();
    let receiver = Receiver::start(address, epoch)?;
    let started = Instant::now();
    let gateway = setup.start();
    let (gateway, delivered) = tokio::join!(gateway, receiver.reached(1));
    ensure!(delivered, "nothing was delivered after the restart");
    report.restart_1m_s = Some(rounded(started.elapsed().as_secs_f64()));
    report.restart_pending = Some(pending);
    drop(gateway);
    Ok(())
}

const CONNECTIONS: usize = 256;
