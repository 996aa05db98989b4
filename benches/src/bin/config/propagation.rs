//! How long a change takes from the API to the first request that sees it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use benches::client::{Client, Question};
use benches::statistics::{median, percentile, rounded};
use serde::Serialize;

use crate::fleet::{Fleet, answer, question};
use crate::{CHANGES, ROUTES};

/// Milliseconds of many changes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Times {
    /// The median.
    pub(crate) p50: f64,
    /// 99 % took no longer.
    pub(crate) p99: f64,
    /// All, in their order.
    pub(crate) all: Vec<f64>,
}

impl Times {
    fn of(all: Vec<f64>) -> anyhow::Result<Self> {
        Ok(Self {
            p50: rounded(median(&all).context("nothing was measured")?),
            p99: rounded(percentile(&all, 99).context("nothing was measured")?),
            all,
        })
    }
}

/// How long changes took.
#[derive(Clone, Debug)]
pub(crate) struct Propagation {
    /// From sending the PUT to the arrival of the first answer that shows the change.
    pub(crate) live: Times,
    /// From the answer of the PUT to the same; negative if the gateway was faster than that answer.
    pub(crate) after_answer: Times,
    /// From sending the PUT to its answer.
    pub(crate) answered: Times,
}

/// Changes one integration after the other, and asks the gateway all the while.
///
/// # Errors
/// If a change is refused or does not become live, or an answer is neither the old nor the new one.
pub(crate) async fn measure(fleet: &Fleet) -> anyhow::Result<Propagation> {
    let (mut live, mut after_answer, mut answered) = (Vec::new(), Vec::new(), Vec::new());
    for change in 0..CHANGES {
        // Spread over all routes, so that none of them is special.
        let number = change * (ROUTES / CHANGES);
        let revision = change + 1;
        let watcher = Watcher::start(fleet.address()?, question(number), answer(0), answer(revision));
        watcher.wait_until_asking().await;
        let request = fleet.change(number, revision);
        let sent = Instant::now();
        let reply = request.send().await?;
        let status = reply.status();
        ensure!(status.is_success(), "change {revision} was refused: {status}");
        drop(reply.bytes().await?);
        let answer = Instant::now();
        let seen = watcher.seen().await?;
        live.push(milliseconds(sent, seen));
        answered.push(milliseconds(sent, answer));
        after_answer.push(milliseconds(answer, seen));
    }
    Ok(Propagation {
        live: Times::of(live)?,
        after_answer: Times::of(after_answer)?,
        answered: Times::of(answered)?,
    })
}

/// Asks one question again and again until the answer changes.
struct Watcher {
    asking: Arc<AtomicBool>,
    thread: thread::JoinHandle<anyhow::Result<Instant>>,
}

impl Watcher {
    fn start(address: SocketAddr, question: Question, old: String, new: String) -> Self {
        let asking = Arc::<AtomicBool>::default();
        let told = Arc::clone(&asking);
        let thread = thread::spawn(move || {
            let mut client = Client::connect(address)?;
            let deadline = Instant::now() + PATIENCE;
            while Instant::now() < deadline {
                let reply = client.get(&question)?;
                let now = Instant::now();
                match reply {
                    reply if reply.status == 200 && reply.body == new.as_bytes() => return Ok(now),
                    reply if reply.status == 200 && reply.body == old.as_bytes() => {}
                    reply => bail!("{} {}", reply.status, String::from_utf8_lossy(&reply.body)),
                }
                told.store(true, Ordering::Release);
                thread::sleep(PAUSE);
            }
            bail!("{new} was not live after {} s", PATIENCE.as_secs())
        });
        Self { asking, thread }
    }

    async fn wait_until_asking(&self) {
        while !self.asking.load(Ordering::Acquire) && !self.thread.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn seen(self) -> anyhow::Result<Instant> {
        let joined = tokio::task::spawn_blocking(|| self.thread.join()).await?;
        joined.unwrap_or_else(|_| bail!("the watcher ended early"))
    }
}

fn milliseconds(from: Instant, to: Instant) -> f64 {
    let signed = match to.checked_duration_since(from) {
        Some(later) => later.as_secs_f64(),
        None => -from.duration_since(to).as_secs_f64(),
    };
    rounded(signed * 1e3)
}

/// Between two questions: short beside what is measured, and long enough to leave the programs a core.
const PAUSE: Duration = Duration::from_micros(200);
const PATIENCE: Duration = Duration::from_secs(30);
