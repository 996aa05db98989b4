//! Threads that run customers' scripts, apart from the threads that carry requests.
//!
//! Each thread has a runner of its own, as an interpreter shared by threads is half as fast. A run has a time and a memory
//! limit; runs wait in a queue that shares the threads fairly between organizations, and what waits too long is refused.

mod memory;
mod queue;

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use filters::script::{Runner, STACK_SIZE, Script, ScriptContext, ScriptFault, Stopped};
use filters::variable::Environment;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use memory::Meter;
use queue::FairQueue;

/// Limits of scripts.
#[derive(Clone, Copy, Debug)]
pub struct ScriptLimits {
    /// Time of one run, from its start.
    pub time: Duration,
    /// Bytes that one run may hold at a time.
    pub memory_bytes: u64,
    /// Runs that may wait for a thread, half of them of one organization.
    pub queue: usize,
}

/// The threads, and the queue before them. They end when the pool is dropped.
pub struct ScriptPool {
    shared: Arc<Shared>,
    limits: ScriptLimits,
    /// The longest that a run waits for a thread.
    wait: Duration,
    env: Environment,
}

impl ScriptPool {
    /// Starts `threads` threads, at least one. One organization has all of them but one at most, so that a thread is left
    /// for the others.
    pub fn new(threads: usize, limits: ScriptLimits) -> Self {
        Self::with_wait(threads, limits, MAX_WAIT)
    }

    fn with_wait(threads: usize, limits: ScriptLimits, wait: Duration) -> Self {
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            jobs: Mutex::new(FairQueue::new(limits.queue, threads.saturating_sub(1).max(1))),
            changed: Condvar::new(),
        });
        for index in 0..threads {
            let worker = Arc::clone(&shared);
            let started = thread::Builder::new()
                .name(format!("script-{index}"))
                .stack_size(STACK_SIZE)
                .spawn(move || work(&worker, limits));
            if let Err(error) = started {
                tracing::error!(%error, index, "a thread for scripts could not be started");
            }
        }
        Self {
            shared,
            limits,
            wait,
            env: Environment::default(),
        }
    }

    /// The same pool, where tables and scripts may read these variables of the environment.
    #[must_use]
    pub fn with_env(mut self, env: Environment) -> Self {
        self.env = env;
        self
    }

    /// What tables and scripts may read of the environment.
    pub fn env(&self) -> &Environment {
        &self.env
    }

    /// Runs `script` on `payload` as soon as a thread is free.
    ///
    /// # Errors
    /// As of [`Runner::run`]; [`ScriptFault::Busy`] if too many runs are waiting, or this one waited for a second.
    pub async fn run(
        &self,
        script: Script,
        payload: Bytes,
        mut context: ScriptContext,
    ) -> Result<Vec<u8>, ScriptFault> {
        context.seed = Uuid::new_v4().into_bytes();
        let (answer, outcome) = oneshot::channel();
        let job = Job {
            script,
            payload,
            context,
            latest: Instant::now() + self.wait,
            answer,
        };
        let organization = job.context.org_id;
        if !self.shared.jobs.lock().push(organization, job) {
            return Err(ScriptFault::Busy);
        }
        self.shared.changed.notify_one();
        // The thread keeps to the limits; this one is for a single operation that takes far too long.
        match timeout(self.wait + self.limits.time + MAX_OVERRUN, outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_gone)) => Err(ScriptFault::Busy),
            Err(_elapsed) => Err(ScriptFault::Stopped {
                line: None,
                reason: Stopped::Deadline,
            }),
        }
    }
}

impl Drop for ScriptPool {
    fn drop(&mut self) {
        self.shared.jobs.lock().close();
        self.shared.changed.notify_all();
    }
}

impl fmt::Debug for ScriptPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptPool")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

struct Shared {
    jobs: Mutex<FairQueue<Job>>,
    /// Told of each job that comes, and of each that ends.
    changed: Condvar,
}

impl Shared {
    /// Waits for a job that may run now; none once the pool is gone.
    fn next(&self) -> Option<(u64, Job)> {
        let mut jobs = self.jobs.lock();
        loop {
            if jobs.is_closed() {
                return None;
            }
            if let Some(next) = jobs.pop() {
                return Some(next);
            }
            self.changed.wait(&mut jobs);
        }
    }

    fn finished(&self, organization: u64) {
        self.jobs.lock().finished(organization);
        // A job of this organization may have waited for its share.
        self.changed.notify_one();
    }
}

struct Job {
    script: Script,
    payload: Bytes,
    context: ScriptContext,
    /// When it is too late to begin.
    latest: Instant,
    answer: oneshot::Sender<Result<Vec<u8>, ScriptFault>>,
}

impl Job {
    /// Runs it and answers, unless nobody waits for the answer any more.
    fn settle(self, runner: &mut Runner, limits: ScriptLimits) {
        if self.answer.is_closed() {
            return;
        }
        let outcome = self.run(runner, limits);
        // Refused only if the request was given up in the meantime.
        let _given_up = self.answer.send(outcome);
    }

    fn run(&self, runner: &mut Runner, limits: ScriptLimits) -> Result<Vec<u8>, ScriptFault> {
        if Instant::now() > self.latest {
            return Err(ScriptFault::Busy);
        }
        let outcome = runner.run(&self.script, &self.payload, &self.context, stop_check(limits));
        if let Err(ScriptFault::Crashed) = outcome {
            tracing::error!(
                org_id = self.context.org_id,
                integration = %self.context.integration_id,
                "a script made its interpreter fail"
            );
        }
        outcome
    }
}

fn work(shared: &Shared, limits: ScriptLimits) {
    let mut runner = Runner::new();
    while let Some((organization, job)) = shared.next() {
        job.settle(&mut runner, limits);
        shared.finished(organization);
    }
}

/// The check of a run that begins now. Memory is looked at for each operation, the clock, which costs more, for some.
fn stop_check(limits: ScriptLimits) -> impl Fn() -> Option<Stopped> + 'static {
    let meter = Meter::start();
    let deadline = Instant::now() + limits.time;
    let operations = Cell::new(0_u32);
    move || {
        if meter.held() > limits.memory_bytes {
            return Some(Stopped::Memory);
        }
        let count = operations.get().wrapping_add(1);
        operations.set(count);
        (count.is_multiple_of(CLOCK_EVERY) && Instant::now() > deadline).then_some(Stopped::Deadline)
    }
}

/// The longest that a run waits for a thread.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// How far a run may overrun its deadline, in an operation that cannot be interrupted, before its caller is answered.
const MAX_OVERRUN: Duration = Duration::from_secs(1);

/// Operations between two looks at the clock.
const CLOCK_EVERY: u32 = 8;

#[cfg(test)]
mod tests;
