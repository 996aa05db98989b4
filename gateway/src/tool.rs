//! What operators do with the queue from the command line: look at it at any time, and change it while no gateway runs.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use filters::model::delivery::DeadLetterStatus;
use uuid::Uuid;

use crate::config::{ConfigSource, ProcessConfig};
use crate::queue::{
    DeadEntry, DeadFilter, ExportError, Queue, QueueError, QueueMetrics, QueueSettings, dead_letter, dead_letters,
    export, verify,
};

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum Tool {
    /// Looks at the queue of events.
    #[command(subcommand)]
    Queue(QueueTool),
    /// Works on dead letters: deliveries that failed for good.
    #[command(subcommand)]
    Dead(DeadTool),
}

/// What is to be done with the queue.
#[derive(Debug, Subcommand)]
pub enum QueueTool {
    /// Check everything that the queue has; fails if something is wrong. A gateway may be running.
    Verify,
    /// Write events, open deliveries and dead letters as JSON lines. A gateway may be running.
    Export,
}

/// What is to be done with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadTool {
    /// List them, one a line. A gateway may be running.
    List {
        /// Of this organization only.
        #[arg(long, value_name = "NUMBER")]
        org: Option<u64>,
        /// Of this integration only.
        #[arg(long, value_name = "ID")]
        integration: Option<String>,
    },
    /// Show one with its payload, as JSON. A gateway may be running.
    Show {
        /// Which.
        id: Uuid,
    },
    /// Try some again when the gateway is started. No gateway may be running.
    Retry {
        /// Which.
        #[arg(required = true)]
        ids: Vec<Uuid>,
        /// File with a JSON payload that takes the place of the dead letter's own.
        #[arg(long, value_name = "FILE")]
        payload: Option<PathBuf>,
    },
    /// Forget some. No gateway may be running.
    Drop {
        /// Which.
        #[arg(required = true)]
        ids: Vec<Uuid>,
    },
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The queue refuses.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The export ended early.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The result cannot be written.
    #[error("cannot write the result: {0}")]
    Write(#[from] io::Error),
    /// The file of the payload cannot be used.
    #[error("cannot use the payload in {}: {reason}", path.display())]
    Payload {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such dead letter.
    #[error("there is no dead letter `{0}` in this queue")]
    Unknown(Uuid),
    /// A payload is for one dead letter.
    #[error("--payload takes the place of one dead letter's payload; name one dead letter")]
    OnePayload,
    /// The metrics cannot be made.
    #[error("cannot count: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Does what is wanted with the queue of the gateway that has these settings, and tells it to `out`. False if something
/// is wrong that was told there.
///
/// # Errors
/// If it cannot be done.
pub fn run(tool: Tool, config: &ProcessConfig, out: &mut dyn Write) -> Result<bool, ToolError> {
    let dir = config.queue_dir();
    match tool {
        Tool::Queue(QueueTool::Verify) => check(&dir, out),
        Tool::Queue(QueueTool::Export) => {
            export(&dir, out)?;
            Ok(true)
        }
        Tool::Dead(DeadTool::List { org, integration }) => list(&dir, org, integration, out),
        Tool::Dead(DeadTool::Show { id }) => {
            let entry = dead_letter(&dir, id)?.ok_or(ToolError::Unknown(id))?;
            serde_json::to_writer_pretty(&mut *out, &entry.letter).map_err(io::Error::from)?;
            writeln!(out)?;
            Ok(true)
        }
        Tool::Dead(DeadTool::Retry { ids, payload }) => {
            let payload = payload.map(read_payload).transpose()?;
            if payload.is_some() && ids.len() > 1 {
                return Err(ToolError::OnePayload);
            }
            change(config, &dir, out, async |queue| {
                queue.dead_retry(texts(&ids), payload, None).await
            })
        }
        Tool::Dead(DeadTool::Drop { ids }) => change(config, &dir, out, async |queue| {
            queue.dead_drop(texts(&ids), None).await
        }),
    }
}

fn check(dir: &Path, out: &mut dyn Write) -> Result<bool, ToolError> {
    let found = verify(dir)?;
    writeln!(
        out,
        "{} events, {} open deliveries, {} dead letters, {} records for the control plane",
        found.events, found.open, found.dead, found.records
    )?;
    for fault in &found.faults {
        writeln!(out, "wrong: {fault}")?;
    }
    match found.fault_count {
        0 => writeln!(out, "nothing is wrong")?,
        count => writeln!(out, "{count} things are wrong")?,
    }
    Ok(found.fault_count == 0)
}

fn list(dir: &Path, org_id: Option<u64>, integration: Option<String>, out: &mut dyn Write) -> Result<bool, ToolError> {
    let mut filter = DeadFilter {
        org_id,
        subscription: integration.map(Into::into),
        after: None,
        limit: PAGE,
    };
    loop {
        let page = dead_letters(dir, &filter)?;
        for entry in &page {
            writeln!(out, "{}", line(entry))?;
        }
        match page.last() {
            Some(last) if page.len() == PAGE => filter.after = Some(last.key),
            _ => return Ok(true),
        }
    }
}

/// A dead letter in one line: what one has to know to decide, the identifier first.
fn line(entry: &DeadEntry) -> String {
    let letter = &entry.letter;
    let status = match (entry.retrying, letter.status) {
        (true, _) | (false, DeadLetterStatus::Retrying) => "RETRYING",
        (false, DeadLetterStatus::PendingRetry) => "PENDING_RETRY",
        (false, DeadLetterStatus::PendingOperator) => "PENDING_OPERATOR",
        (false, DeadLetterStatus::Abandoned) => "ABANDONED",
    };
    format!(
        "{}  {status}  {}  {}  {}  {}  {} attempts  {}",
        letter.id,
        letter.created_at,
        letter.integration_name,
        letter.event_type,
        letter.event_id,
        letter.attempt_count,
        letter.last_error.escape_debug(),
    )
}

/// Opens the queue for writing, which only one process can, and changes something.
fn change(
    config: &ProcessConfig,
    dir: &Path,
    out: &mut dyn Write,
    change: impl AsyncFnOnce(&Queue) -> Result<filters::model::command::CommandResult, QueueError>,
) -> Result<bool, ToolError> {
    // Opening makes a queue where there is none; a question says so.
    dead_letters(dir, &DeadFilter::default())?;
    let mut settings = QueueSettings::new(QueueMetrics::new(&prometheus::Registry::new())?);
    settings.max_bytes = config.queue.max_bytes;
    settings.retention = std::time::Duration::from_secs(u64::from(config.queue.retention_days) * 86_400);
    settings.records = matches!(config.config, ConfigSource::ControlPlane(_));
    // Nothing is delivered here: what is handed over now is handed over again to the gateway.
    let queue = Queue::open(dir, settings, Box::new(drop))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let result = runtime.block_on(async {
        let result = change(&queue).await;
        queue.close().await;
        result
    })?;
    for failure in &result.failed {
        writeln!(out, "{}: {}", failure.id, failure.error)?;
    }
    writeln!(out, "{} done", result.done)?;
    Ok(result.failed.is_empty())
}

fn read_payload(path: PathBuf) -> Result<String, ToolError> {
    let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    let checked = read.and_then(|text| match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("it is not JSON: {error}")),
    });
    checked.map_err(|reason| ToolError::Payload { path, reason })
}

fn texts(ids: &[Uuid]) -> Vec<String> {
    ids.iter().map(Uuid::to_string).collect()
}

const PAGE: usize = 1000;
