//! The watched file: a good change is live at once, a bad one is refused and says why.
//!
//! Editors write in many ways: in place, in pieces, or to another file that is renamed. The folder is watched, so that
//! a rename is seen, and the file is read when its writer is done. Where nothing can be watched, and where a link was
//! changed elsewhere, a slow look at the file's size and time finds the change.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use filters::model::Problem;
use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::apply::{Applier, Outcome, Update};
use super::state::{Source, State};
use crate::data_dir::DataDir;

/// The watch over one file.
pub(super) struct Watch {
    pub(super) path: PathBuf,
    pub(super) applier: Arc<Applier>,
    pub(super) state: Arc<State>,
    pub(super) data_dir: Arc<DataDir>,
    pub(super) pace: Pace,
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Without an event, before a finished file is read.
    pub(super) quiet: Duration,
    /// Without an event, before a file is read whose writer has not closed it.
    pub(super) unfinished: Duration,
    /// Between two looks at size and time.
    pub(super) poll: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(50),
            unfinished: Duration::from_secs(1),
            poll: Duration::from_secs(2),
        }
    }
}

impl Watch {
    /// Applies the file and every change of it until `stop`. While it is bad at the start, the last known good
    /// configuration is live.
    pub(super) async fn run(self, stop: CancellationToken) {
        let (sender, mut events) = watch::channel(Events::default());
        // Watched before it is read for the first time, so that no change falls between.
        let watcher = self.watcher(sender);
        let mut seen = Seen::default();
        if !self.look(&mut seen).await {
            super::restore(&self.applier, &self.data_dir).await;
        }
        loop {
            let noticed = tokio::select! {
                changed = events.changed(), if watcher.is_some() => changed.is_ok(),
                () = sleep(self.pace.poll) => false,
                () = stop.cancelled() => return,
            };
            if noticed {
                self.settled(&mut events).await;
            } else if seen.stamp == Stamp::of(&self.path).await {
                continue;
            }
            self.look(&mut seen).await;
        }
    }

    /// Reads the file and applies it if its content is new; false if that did not go well.
    async fn look(&self, seen: &mut Seen) -> bool {
        seen.stamp = Stamp::of(&self.path).await;
        let content = match read(&self.path).await {
            Ok(content) => content,
            Err(error) => {
                self.unreadable(seen, &error);
                return false;
            }
        };
        seen.error = None;
        if Stamp::of(&self.path).await != seen.stamp {
            // Changed while it was read: the next look has it whole.
            seen.stamp = None;
            return false;
        }
        let digest: [u8; 32] = Sha256::digest(&content).into();
        if seen.content.replace(digest) == Some(digest) {
            debug!(path = %self.path.display(), "the file was touched, but holds what it did");
            return true;
        }
        matches!(self.applier.apply(Update::Document(content)).await, Outcome::Live(_))
    }

    fn unreadable(&self, seen: &mut Seen, error: &io::Error) {
        let problem = Problem::new("", format!("cannot read {}: {error}", self.path.display()));
        if seen.error.as_ref() == Some(&problem) {
            return;
        }
        warn!(%problem, "the file of integrations cannot be read; what was live stays");
        self.state.refused(Source::File, None, vec![problem.clone()]);
        seen.error = Some(problem);
        // When it is back, it counts as changed, so that its state is reported again.
        seen.content = None;
    }

    /// Waits until nobody writes to the file.
    async fn settled(&self, events: &mut watch::Receiver<Events>) {
        let longest = Instant::now() + LONGEST_SETTLING;
        loop {
            let writing = events.borrow_and_update().writing;
            let quiet = if writing { self.pace.unfinished } else { self.pace.quiet };
            let until = (Instant::now() + quiet).min(longest);
            match timeout_at(until, events.changed()).await {
                Ok(Ok(())) if Instant::now() < longest => {}
                _ => return,
            }
        }
    }

    fn watcher(&self, sender: watch::Sender<Events>) -> Option<RecommendedWatcher> {
        let folder = match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let name = self.path.file_name().map(OsStr::to_owned).unwrap_or_default();
        let started = notify::recommended_watcher(move |event| note(&sender, &name, event)).and_then(|mut watcher| {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        match started {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                warn!(
                    folder = %folder.display(), %error, seconds = self.pace.poll.as_secs(),
                    "the folder cannot be watched; the file is looked at every few seconds"
                );
                None
            }
        }
    }
}

/// What was told of the file.
#[derive(Clone, Copy, Debug, Default)]
struct Events {
    /// True between a write and the close that follows it.
    writing: bool,
}

fn note(sender: &watch::Sender<Events>, name: &OsString, event: notify::Result<Event>) {
    let writing = match event {
        Ok(event) if !event.paths.iter().any(|path| path.file_name() == Some(name)) => return,
        Ok(event) => match event.kind {
            EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => true,
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
            EventKind::Access(_) => return,
            EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(_) | EventKind::Any | EventKind::Other => {
                false
            }
        },
        Err(error) => {
            warn!(%error, "watching the file of integrations failed; it is looked at now");
            false
        }
    };
    sender.send_replace(Events { writing });
}

/// What was found at the last look.
#[derive(Debug, Default)]
struct Seen {
    stamp: Option<Stamp>,
    content: Option<[u8; 32]>,
    error: Option<Problem>,
}

/// What changes when a file does, mostly.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    bytes: u64,
    node: (u64, u64),
}

impl Stamp {
    async fn of(path: &Path) -> Option<Self> {
        let file = tokio::fs::metadata(path).await.ok()?;
        Some(Self {
            modified: file.modified().ok()?,
            bytes: file.len(),
            node: (file.dev(), file.ino()),
        })
    }
}

async fn read(path: &Path) -> io::Result<String> {
    let file = tokio::fs::metadata(path).await?;
    if !file.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if file.len() > MOST_BYTES {
        return Err(io::Error::other(format!("it has more than {MOST_BYTES} bytes")));
    }
    tokio::fs::read_to_string(path).await
}

const LONGEST_SETTLING: Duration = Duration::from_secs(10);
const MOST_BYTES: u64 = 256 * 1024 * 1024;

#[cfg(test)]
mod tests;
