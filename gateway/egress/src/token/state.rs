//! What is known of a credential's token requests, and when the next may be made: no I/O.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use filters::outgoing::token::Granted;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Token, TokenError};

/// A request that is under way: what comes of it, once it is known.
pub(super) type Flight = watch::Receiver<Option<Outcome>>;
/// What came of a request.
pub(super) type Outcome = Result<Arc<Token>, Arc<TokenError>>;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct State {
    flight: Option<Flight>,
    failure: Option<Failure>,
    granted: u64,
}

/// The last request failed.
#[derive(Debug)]
struct Failure {
    error: Arc<TokenError>,
    /// So many in a row.
    count: u32,
    until: Instant,
}

impl State {
    /// The request that is under way, or the one that `start` starts.
    ///
    /// # Errors
    /// The failure after which no request is to be made yet.
    pub(super) fn join(&mut self, now: Instant, start: impl FnOnce() -> Flight) -> Result<Flight, Arc<TokenError>> {
        match &self.flight {
            // One whose task is gone (its runtime was stopped) will never land.
            Some(flight) if flight.has_changed().is_ok() => return Ok(flight.clone()),
            _ => {}
        }
        if let Some(failure) = self.failure.as_ref().filter(|failure| now < failure.until) {
            return Err(Arc::clone(&failure.error));
        }
        Ok(self.flight.insert(start()).clone())
    }

    /// Takes in what came of a request.
    pub(super) fn land(&mut self, fetched: Result<Granted, TokenError>, now: Instant) -> Outcome {
        self.flight = None;
        match fetched {
            Ok(granted) => {
                self.failure = None;
                self.granted += 1;
                Ok(Arc::new(token(granted, self.granted, now, rand::random())))
            }
            Err(error) => {
                let error = Arc::new(error);
                let count = self
                    .failure
                    .as_ref()
                    .map_or(0, |failure| failure.count)
                    .saturating_add(1);
                self.failure = Some(Failure {
                    error: Arc::clone(&error),
                    count,
                    until: now + pause_after(count),
                });
                Err(error)
            }
        }
    }

    /// How long no request is to be made; `None` if the last one succeeded.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        let failure = self.failure.as_ref()?;
        Some(failure.until.saturating_duration_since(now))
    }
}

/// The token, with the time of its renewal somewhere in the last part of its life (`random` is between 0 and 1), so that
/// many gateways do not ask at the same moment.
fn token(granted: Granted, number: u64, now: Instant, random: f64) -> Token {
    let lifetime = granted.lifetime.unwrap_or(UNSAID);
    let margin = (lifetime / 10).min(LONGEST_MARGIN);
    let ahead = (lifetime / 5).min(LONGEST_AHEAD);
    let ends = now + lifetime;
    let valid_until = ends - margin;
    Token {
        authorization: granted.authorization,
        number,
        fetched: now,
        renew_at: valid_until - ahead.mul_f64(0.5 + random / 2.0),
        valid_until,
        ends,
        was_accepted: AtomicBool::new(false),
        was_refused: AtomicBool::new(false),
    }
}

/// 1, 2, 4 ... 32 seconds.
fn pause_after(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(5))
}

/// For tokens whose endpoint does not say how long they are good.
const UNSAID: Duration = Duration::from_secs(300);
/// A token is not used in its last moments: the call takes its time, and clocks differ.
const LONGEST_MARGIN: Duration = Duration::from_secs(10);
/// Tokens are renewed in the last fifth of their life, and no sooner than this before its end.
const LONGEST_AHEAD: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests;
