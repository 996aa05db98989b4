//! Runs a transformation on a sample, as a gateway would: on a thread of its own, with a gateway's limits.

mod memory;

use std::cell::Cell;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use filters::plan::{Change, Transform};
use filters::script::{Runner, STACK_SIZE, ScriptContext, ScriptFault, Stopped};
use filters::transform::{Mapped, MappingFault};
use http::HeaderValue;
use tokio::sync::oneshot;

use memory::Meter;

/// What is transformed.
#[derive(Debug)]
pub(crate) struct Sample {
    /// The body.
    pub(crate) body: Vec<u8>,
    /// The content type that it comes with.
    pub(crate) content_type: Option<HeaderValue>,
    /// What is around it.
    pub(crate) context: ScriptContext,
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
    transform: Transform,
    sample: Sample,
    answer: oneshot::Sender<Result<Mapped, DryRunFault>>,
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

    /// Transforms `sample`.
    ///
    /// # Errors
    /// What the mapping or the script does wrong; [`ScriptFault::Busy`] if too many are waiting.
    pub(crate) async fn run(&self, transform: Transform, sample: Sample) -> Result<Mapped, DryRunFault> {
        let (answer, outcome) = oneshot::channel();
        let job = Job {
            transform,
            sample,
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
        let outcome = transformed(&mut runner, &job.transform, &job.sample);
        // Refused only if the caller went away.
        let _ = job.answer.send(outcome);
    }
}

fn transformed(runner: &mut Runner, transform: &Transform, sample: &Sample) -> Result<Mapped, DryRunFault> {
    let Sample {
        body,
        content_type,
        context,
    } = sample;
    let Change::Script(script) = &transform.change else {
        return Ok(transform.map(body, content_type.as_ref(), context)?);
    };
    let json = transform.json_of(body, content_type.as_ref());
    let json = json.map_err(MappingFault::from)?;
    let output = runner.run(script, json.as_deref().unwrap_or(body), context, stop_check())?;
    Ok(Mapped {
        body: Some(transform.written(output)?),
        ..Mapped::default()
    })
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
