//! One line of JSON for each request, written behind the requests' backs.
//!
//! A request only appends its line to a buffer. A thread of its own writes the buffer out every 50 ms, or as soon as it
//! holds 256 KiB. While the disk or the reader of a pipe is slow, up to 8 MiB wait; lines beyond that are dropped and
//! counted, so that a log never slows traffic down.

mod buffer;
mod fields;
mod json;
mod record;
mod sink;

use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use prometheus::IntCounter;

use self::buffer::{Batch, Buffer};
pub use self::fields::AccessField;
use self::fields::Fields;
use self::record::Scratch;
pub use self::record::{AccessRecord, RouteMode, UpstreamRecord};
use self::sink::Sink;
use crate::config::AccessLogOutput;

/// Why the access log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum AccessLogError {
    /// The file cannot be opened or made.
    #[error("cannot open the access log {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The writing thread cannot be started.
    #[error("cannot start the thread that writes the access log: {0}")]
    Thread(io::Error),
}

/// What is counted of the log itself; cheap to clone.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Lines that were lost, because the buffer was full or they could not be written.
    pub dropped: IntCounter,
    /// Failures to write or to open the file again.
    pub errors: IntCounter,
}

/// The access log of a gateway.
#[derive(Debug)]
pub struct AccessLog {
    /// None if the log is off.
    buffer: Option<Arc<Buffer>>,
    fields: Fields,
}

impl AccessLog {
    /// Opens the log and starts the thread that writes it.
    ///
    /// A file is made with mode 0640 if it is missing, else appended to. When it is renamed or removed, as logrotate
    /// does, a new one is made within a second of the next line.
    ///
    /// # Errors
    /// If the file cannot be opened or the thread cannot be started.
    pub fn open(output: &AccessLogOutput, counters: Counters) -> Result<Self, AccessLogError> {
        let sink = match output {
            AccessLogOutput::Off => {
                return Ok(Self {
                    buffer: None,
                    fields: Fields::ALL,
                });
            }
            AccessLogOutput::Stdout => Sink::stdout(),
            AccessLogOutput::File(path) => {
                Sink::file(path.clone(), FOLLOW_EVERY).map_err(|source| AccessLogError::Open {
                    path: path.clone(),
                    source,
                })?
            }
        };
        let buffer = Arc::new(Buffer::new(counters.dropped.clone()));
        let writing = Arc::clone(&buffer);
        thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_out(&writing, sink, &counters))
            .map_err(AccessLogError::Thread)?;
        Ok(Self {
            buffer: Some(buffer),
            fields: Fields::ALL,
        })
    }

    /// The same log with these fields only; with all if there are none.
    #[must_use]
    pub fn with_fields(mut self, fields: &[AccessField]) -> Self {
        self.fields = Fields::of(fields);
        self
    }

    /// Appends the line of one request. Never waits for the output.
    pub fn write(&self, record: &AccessRecord<'_>) {
        if let Some(buffer) = &self.buffer {
            // The line is made before the buffer is locked, so that threads hardly ever wait for each other.
            SCRATCH.with_borrow_mut(|scratch| buffer.append(record.line(self.fields, scratch)));
        }
    }

    /// Opens the file again, for those who rotate logs with SIGHUP. Nothing happens for other outputs.
    pub fn reopen(&self) {
        if let Some(buffer) = &self.buffer {
            buffer.reopen();
        }
    }

    /// Waits until every line appended so far is out of the buffer, at most `timeout`; false if that was too short.
    /// It blocks the thread: call it where blocking is fine.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.buffer.as_ref().is_none_or(|buffer| buffer.flush(timeout))
    }
}

impl Drop for AccessLog {
    /// Writes out what waits, for two seconds at most: an output that does not move must not keep a process alive.
    fn drop(&mut self) {
        if let Some(buffer) = &self.buffer {
            buffer.stop(LAST_FLUSH);
        }
    }
}

/// Runs until the buffer is stopped and empty.
fn write_out(buffer: &Buffer, mut sink: Sink, counters: &Counters) {
    let (mut following, mut writing) = (Trouble::default(), Trouble::default());
    let mut batch = Batch::default();
    while buffer.take(&mut batch) {
        let followed = sink.follow(batch.reopen);
        following.note(&followed, "open the access log again", counters);
        let written = sink.write(&batch.bytes);
        writing.note(&written, "write the access log", counters);
        if written.is_err() {
            counters.dropped.inc_by(batch.lines);
        }
    }
}

/// Reports when something starts to fail and when it works again, not each failure in between.
#[derive(Debug, Default)]
struct Trouble {
    failing: bool,
}

impl Trouble {
    fn note(&mut self, result: &io::Result<()>, what: &str, counters: &Counters) {
        match result {
            Err(error) => {
                counters.errors.inc();
                if !self.failing {
                    tracing::error!(%error, "cannot {what}");
                }
            }
            Ok(()) if self.failing => tracing::info!("could {what}"),
            Ok(()) => {}
        }
        self.failing = result.is_err();
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

const LAST_FLUSH: Duration = Duration::from_secs(2);
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
