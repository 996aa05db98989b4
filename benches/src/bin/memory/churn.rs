//! Connections and requests of HTTP/2 that begin and end in all ways that there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use harness::h2_client::try_read;
use harness::{Gateway, H2Client};
use http::Method;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::resident;

/// What was done.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Churned {
    /// Connections that were made.
    pub(crate) connections: u64,
    /// Requests with a whole answer.
    pub(crate) answered: u64,
    /// Requests that were given up before or within their answer.
    pub(crate) given_up: u64,
    /// Requests whose body broke off.
    pub(crate) broken_off: u64,
    /// Requests that came to nothing though they should not have.
    pub(crate) failed: u64,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicU64,
    answered: AtomicU64,
    given_up: AtomicU64,
    broken_off: AtomicU64,
    failed: AtomicU64,
}

/// Churns for `time`; what was done, and the memory after each tenth.
pub(crate) async fn run(gateway: &Gateway, time: Duration) -> anyhow::Result<(Churned, Vec<f64>)> {
    let (counts, stop) = (Arc::<Counts>::default(), Arc::<AtomicBool>::default());
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (address, counts, stop) = (gateway.h2c(), Arc::clone(&counts), Arc::clone(&stop));
        clients.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                connection(&address, &counts).await;
            }
        });
    }
    let mut resident_mib = Vec::with_capacity(TENTHS);
    for _ in 0..TENTHS {
        tokio::time::sleep(time / u32::try_from(TENTHS)?).await;
        resident_mib.push(resident(gateway)?);
    }
    stop.store(true, Ordering::Relaxed);
    while clients.join_next().await.is_some() {}
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let churned = Churned {
        connections: count(&counts.connections),
        answered: count(&counts.answered),
        given_up: count(&counts.given_up),
        broken_off: count(&counts.broken_off),
        failed: count(&counts.failed),
    };
    Ok((churned, resident_mib))
}

/// One connection: requests of each kind in turn, and no farewell.
async fn connection(address: &str, counts: &Counts) {
    let mut client = H2Client::connect(address).await;
    counts.connections.fetch_add(1, Ordering::Relaxed);
    for turn in 0..REQUESTS {
        let outcome = match turn % 4 {
            0 => get(&mut client, counts).await,
            1 => post(&mut client, counts).await,
            2 => give_up(&mut client, counts).await,
            _ => break_off(&mut client, counts).await,
        };
        if outcome.is_err() {
            counts.failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
    }
}

async fn get(client: &mut H2Client, counts: &Counts) -> Result<(), h2::Error> {
    let request = request(Method::GET, "/plain");
    let (answer, _) = client.try_begin(request, true).await?;
    try_read(answer).await?;
    counts.answered.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

async fn post(client: &mut H2Client, counts: &Counts) -> Result<(), h2::Error> {
    let (answer, mut body) = client.try_begin(request(Method::POST, "/plain"), false).await?;
    body.send_data(vec![b'x'; 20_000].into(), false)?;
    body.send_data(bytes::Bytes::new(), true)?;
    try_read(answer).await?;
    counts.answered.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Gives up within an answer that does not end.
async fn give_up(client: &mut H2Client, counts: &Counts) -> Result<(), h2::Error> {
    let (answer, mut stream) = client.try_begin(request(Method::GET, "/slow"), true).await?;
    let mut body = answer.await?.into_body();
    if let Some(data) = body.data().await {
        data?;
    }
    stream.send_reset(h2::Reason::CANCEL);
    counts.given_up.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

async fn break_off(client: &mut H2Client, counts: &Counts) -> Result<(), h2::Error> {
    let (_, mut body) = client.try_begin(request(Method::POST, "/plain"), false).await?;
    body.send_data(vec![b'x'; 20_000].into(), false)?;
    body.send_reset(h2::Reason::CANCEL);
    counts.broken_off.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn request(method: Method, path: &str) -> http::Request<()> {
    let request = H2Client::request(method, "labs.test", path);
    request.body(()).expect("the request is made of constants")
}

const CLIENTS: usize = 16;
const REQUESTS: usize = 100;
const TENTHS: usize = 10;
