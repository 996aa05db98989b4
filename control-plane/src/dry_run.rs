//! Runs a transformation on a sample, as a gateway would: on a thread of its own, with a gateway's limits.

mod memory;

use std::cell::Cell;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use filters::script::{Runner, STACK_SIZE, Script, ScriptContext, ScriptFault, Stopped};
use filters::transform::{Mapping, MappingFault};
use tokio::sync::oneshot;

use memory::Meter;

/// A transformation that was compiled.
#[derive(Debug)]
pub(crate) enum Transformation {
    /// By a mapping table.
    Mapping(Mapping),
    /// By a script.
    Script(Script),
}

/// Why a sample was not transformed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DryRunFault {
    #[error(transparent)]
    Mapping(#[from] MappingFault),
    #[error(transparent)]
    Script(#[from] ScriptFault),
}

/// The thread, and the short queue before it. The thread ends when this is dropped.
#[derive(Debug)]
pub(crate) struct DryRuns(SyncSender<Job>);

#[derive(Debug)]
struct Job {
    transformation: Transformation,
    sample: Vec<u8>,
    context: ScriptContext,
    answer: oneshot::Sender<Result<Vec<u8>, DryRunFault>>,
}

impl DryRuns {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel(MOST_WAITING);
        let thread = std::thread::Builder::new()
            .name("dry-run".to_owned())
            .stack_size(STACK_SIZE);
        thread.spawn(move || work(&waiting))?;
        Ok(Self(jobs))
    }

    /// Transforms `sample`, a JSON text.
    ///
    /// # Errors
    /// What the mapping or the script does wrong; [`ScriptFault::Busy`] if too many are waiting.
    pub(crate) async fn run(
        &self,
        transformation: Transformation,
        sample: Vec<u8>,
        context: ScriptContext,
    ) -> Result<Vec<u8>, DryRunFault> {
        let (answer, outcome) = oneshot::channel();
        let job = Job {
            transformation,
            sample,
            context,
            answer,
        };
        self.0.try_send(job).map_err(|_| ScriptFault::Busy)?;
        match tokio::time::timeout(LONGEST_WAIT, outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(ScriptFault::Busy.into()),
        }
    }
}

fn work(jobs: &Receiver<Job>) {
    let mut runner = Runner::new();
    while let Ok(job) = jobs.recv() {
        if job.answer.is_closed() {
            continue;
        }
        let outcome = match &job.transformation {
            Transformation::Mapping(mapping) => mapping.apply(&job.sample).map_err(DryRunFault::from),
            Transformation::Script(script) => runner
                .run(script, &job.sample, &job.context, stop_check())
                .map_err(DryRunFault::from),
        };
        // Refused only if the caller went away.
        let _ = job.answer.send(outcome);
    }
}

/// The check of a run that begins now. Memory is looked at for each operation, the clock, which costs more, for some.
fn stop_check() -> impl Fn() -> Option<Stopped> + 'static {
    let (meter, deadline) = (Meter::start(), Instant::now() + LONGEST_RUN);
    let operations = Cell::new(0_u32);
    move || {
        if meter.held() > MOST_MEMORY_BYTES {
            return Some(Stopped::Memory);
        }
        let count = operations.get().wrapping_add(1);
        operations.set(count);
        (count.is_multiple_of(CLOCK_EVERY) && Instant::now() > deadline).then_some(Stopped::Deadline)
    }
}

const MOST_WAITING: usize = 16;
const LONGEST_WAIT: Duration = Duration::from_secs(10);
// The limits that gateways have by default.
const LONGEST_RUN: Duration = Duration::from_millis(50);
const MOST_MEMORY_BYTES: u64 = 8 * 1024 * 1024;
/// Operations between two looks at the clock.
const CLOCK_EVERY: u32 = 8;
