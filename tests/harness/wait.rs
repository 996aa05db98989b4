//! Waiting for something to become true, with a deadline and without guessing how long it takes.

use std::time::Duration;

use tokio::time::Instant;

/// How long anything may take before a test calls it broken. Far beyond the normal, as test machines are busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at.
const STEP: Duration = Duration::from_millis(10);

/// Polls `probe` until it gives a value.
///
/// # Panics
/// If it gives none within [`PATIENCE`]; the message names `what` was waited for.
pub async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {} s for {what}", PATIENCE.as_secs());
        tokio::time::sleep(STEP).await;
    }
}

/// Awaits `work`, which must be done within [`PATIENCE`].
///
/// # Panics
/// If it is not; the message names `what` was waited for.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(value) => value,
        Err(_) => panic!("waited {} s for {what}", PATIENCE.as_secs()),
    }
}
