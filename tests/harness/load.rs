//! Calls that go on in the background while a test does something else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::task::JoinSet;

/// Callers that call until they are stopped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    callers: JoinSet<()>,
}

/// Starts callers, each of which repeats `call` without a pause; it returns whether all was well.
pub fn start<F>(callers: usize, call: impl Fn() -> F + Clone + Send + 'static) -> Load
where
    F: Future<Output = bool> + Send,
{
    let mut load = Load {
        stop: Arc::default(),
        done: Arc::default(),
        failed: Arc::default(),
        callers: JoinSet::new(),
    };
    for _ in 0..callers {
        let (stop, done, failed) = (Arc::clone(&load.stop), Arc::clone(&load.done), Arc::clone(&load.failed));
        let call = call.clone();
        load.callers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                if !call().await {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    load
}

impl Load {
    /// How many calls are done so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Stops, and returns how many calls were made and how many of them failed.
    ///
    /// # Panics
    /// If a caller panicked.
    pub async fn stop(mut self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.callers.join_next().await {
            ended.unwrap();
        }
        (self.done(), self.failed.load(Ordering::Relaxed))
    }
}
