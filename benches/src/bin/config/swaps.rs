//! Many swaps under load: no request may fail because of one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use benches::client::Client;
use serde::Serialize;

use crate::fleet::{Fleet, answer, question};
use crate::{ROUTES, SWAPS};

/// What became of the requests.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    /// Swaps, each of which was seen live before the next one.
    pub(crate) swaps: usize,
    /// Requests that were sent meanwhile.
    pub(crate) requests: u64,
    /// Requests without a complete, right answer.
    pub(crate) failed: u64,
    /// What the first of them met.
    pub(crate) first_failure: Option<String>,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// Changes the route that half of the load goes to, [`SWAPS`] times, while clients keep calling.
///
/// # Errors
/// If a change is refused, or does not become live.
pub(crate) async fn run(fleet: &Fleet) -> anyhow::Result<Outcome> {
    let load = Load::start(fleet.address()?);
    let started = Instant::now();
    let mut swaps = 0;
    let result = swap_all(fleet, &mut swaps).await;
    let seconds = started.elapsed().as_secs_f64();
    let (requests, failures) = load.stop();
    result?;
    Ok(Outcome {
        swaps,
        requests,
        failed: failures.len() as u64,
        first_failure: failures.into_iter().next(),
        seconds: benches::statistics::rounded(seconds),
    })
}

async fn swap_all(fleet: &Fleet, swaps: &mut usize) -> anyhow::Result<()> {
    let mut client = Client::connect(fleet.address()?)?;
    for revision in FIRST_REVISION..FIRST_REVISION + SWAPS {
        let reply = fleet.change(SWAPPED, revision).send().await?;
        let status = reply.status();
        ensure!(status.is_success(), "swap {revision} was refused: {status}");
        drop(reply.bytes().await?);
        let deadline = Instant::now() + PATIENCE;
        while client.get(&question(SWAPPED))?.body != answer(revision).as_bytes() {
            ensure!(
                Instant::now() < deadline,
                "swap {revision} was not live after {PATIENCE:?}"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        *swaps += 1;
    }
    Ok(())
}

/// Clients that call until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    requests: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(address: SocketAddr) -> Self {
        let (stop, requests) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let clients = (0..CLIENTS)
            .map(|number| {
                let (stop, requests) = (Arc::clone(&stop), Arc::clone(&requests));
                thread::spawn(move || call(address, number, &stop, &requests))
            })
            .collect();
        Self {
            stop,
            requests,
            clients,
        }
    }

    /// Requests, and what the failed ones met.
    fn stop(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let failures = self
            .clients
            .into_iter()
            .flat_map(|client| {
                client
                    .join()
                    .unwrap_or_else(|_| vec!["a client ended early".to_owned()])
            })
            .collect();
        (self.requests.load(Ordering::Relaxed), failures)
    }
}

/// Calls in turn the route that changes and one that does not.
fn call(address: SocketAddr, number: usize, stop: &AtomicBool, requests: &AtomicU64) -> Vec<String> {
    let mut failures = Vec::new();
    let mut client = None;
    let unchanged = question((SWAPPED + 1 + number) % ROUTES);
    let swapped = question(SWAPPED);
    for (turn, question) in [&swapped, &unchanged].into_iter().cycle().enumerate() {
        if stop.load(Ordering::Relaxed) || failures.len() >= MOST_FAILURES {
            break;
        }
        requests.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = ask(&mut client, address, question) {
            failures.push(format!("request {turn} of client {number}: {error:#}"));
            client = None;
        }
    }
    failures
}

fn ask(client: &mut Option<Client>, address: SocketAddr, question: &benches::client::Question) -> anyhow::Result<()> {
    let client = match client {
        Some(client) => client,
        None => client.insert(Client::connect(address)?),
    };
    let reply = client.get(question)?;
    let body = String::from_utf8(reply.body)?;
    ensure!(reply.status == 200, "{} {body}", reply.status);
    let path = body.strip_prefix("/revision-").context("an answer of nobody")?;
    ensure!(
        path.ends_with(question.path.as_str()),
        "an answer to another question: {body}"
    );
    Ok(())
}

/// The route that changes: none of those that [`crate::propagation`] has changed.
const SWAPPED: usize = 4321;
const FIRST_REVISION: usize = 1;
const CLIENTS: usize = 8;
/// After so many failures a client has shown enough.
const MOST_FAILURES: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(30);
