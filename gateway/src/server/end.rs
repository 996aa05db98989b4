//! The end of the process: when it comes, and in which order things stop.

use std::io;
use std::time::{Duration, Instant};

use egress::Tokens;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::ServerError;
use super::listener::{self, Listener};
use super::serving::Serving;
use crate::access_log::AccessLog;
use crate::config::ProcessConfig;
use crate::events::EventFlow;
use crate::metrics::Metrics;

/// Why the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was told to stop.
    Told,
    /// A new process has its listeners.
    Relieved,
}

/// Returns when the process is to end: told to stop, or relieved by a new process.
pub(super) async fn wait(
    config: &ProcessConfig,
    listeners: &[Listener],
    access_log: &AccessLog,
    service: &mut Serving,
) -> Result<End, ServerError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServerError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServerError::Signals)?;
    let mut quit = signal(SignalKind::quit()).map_err(ServerError::Signals)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(ServerError::Signals)?;
    loop {
        tokio::select! {
            _ = terminate.recv() => info!("told to stop by SIGTERM"),
            _ = interrupt.recv() => info!("told to stop by SIGINT"),
            _ = hang_up.recv() => {
                access_log.reopen();
                continue;
            }
            _ = quit.recv() => {
                if !hand_over(config, listeners).await {
                    continue;
                }
                service.linger.send_replace(UPGRADE_LINGER);
                return Ok(End::Relieved);
            }
        }
        return Ok(End::Told);
    }
}

/// Hands the listeners to a new process. False if there is none; this one then goes on.
async fn hand_over(config: &ProcessConfig, listeners: &[Listener]) -> bool {
    let path = config.upgrade_socket();
    let sent = {
        let (path, listeners) = (path.clone(), listeners.to_vec());
        tokio::task::spawn_blocking(move || listener::hand_over(&listeners, &path)).await
    };
    match sent.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Ok(()) => {
            info!("the listeners went to a new process");
            true
        }
        Err(error) => {
            error!(socket = %path.display(), %error, "no process takes the listeners over; start one with --upgrade first");
            false
        }
    }
}

/// Lets what is in flight come to its end. A new process waits for the queue, so that is closed first then; else it is
/// closed last, so that events whose request was begun are taken in.
pub(super) async fn wind_down(config: &ProcessConfig, metrics: &Metrics, events: Option<&EventFlow>, end: End) {
    let grace = config.shutdown.grace();
    let Some(events) = events else {
        return drain(metrics, grace).await;
    };
    match end {
        End::Relieved => {
            events.close(config.delivery.hand_over()).await;
            drain(metrics, grace).await;
        }
        End::Told => {
            let deadline = Instant::now() + grace;
            events.wind_down();
            drain(metrics, grace).await;
            events.close(deadline.saturating_duration_since(Instant::now())).await;
        }
    }
}

/// Waits until nothing is in flight, at most for `grace`.
async fn drain(metrics: &Metrics, grace: Duration) {
    let idle = async {
        while metrics.in_flight.get() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(grace, idle).await.is_err() {
        warn!(
            in_flight = metrics.in_flight.get(),
            "requests were still in flight at the end of the grace time"
        );
    }
}

/// Waits for answers of token endpoints that may bring another refresh token: the old one may be used up.
pub(super) async fn keep_refresh_tokens(tokens: &Tokens) {
    if tokio::time::timeout(TASKS_PATIENCE, tokens.settled()).await.is_err() {
        warn!("a token endpoint did not answer in time; the refresh token that it was asked with may be used up");
    }
}

/// Ends what runs in the background, and writes the last lines of the access log.
pub(super) async fn stop_tasks(stop: &CancellationToken, tasks: &TaskTracker, access_log: &AccessLog) {
    stop.cancel();
    tasks.close();
    if tokio::time::timeout(TASKS_PATIENCE, tasks.wait()).await.is_err() {
        warn!("background tasks did not end in time");
    }
    access_log.flush(TASKS_PATIENCE);
}

/// How long background tasks get to end.
const TASKS_PATIENCE: Duration = Duration::from_secs(10);
/// How long idle connections are kept after the listeners went to a new process, so that each can be told to close.
const UPGRADE_LINGER: Duration = Duration::from_secs(5);
