//! What an attempt sends. Small content is in memory; large content stays in a temporary file, and the payload around it
//! holds a mark in its place until the payload is mapped.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use egress::{Answer, EgressError, Part};
use memchr::memmem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// What is sent.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Bytes in memory.
    Whole(Bytes),
    /// Text in memory with files in it.
    Pieces {
        parts: Arc<[Part]>,
        /// Holds the files' room on the disk.
        _spooled: Arc<[Spooled]>,
    },
}

impl Content {
    /// `text`, with each of `spooled` in the place of its mark.
    pub(super) fn assembled(text: Bytes, spooled: Vec<Spooled>) -> Self {
        let mut marks: Vec<(usize, &Spooled)> = spooled
            .iter()
            .flat_map(|one| memmem::find_iter(&text, one.mark.as_bytes()).map(move |at| (at, one)))
            .collect();
        if marks.is_empty() {
            return Self::Whole(text);
        }
        marks.sort_unstable_by_key(|(at, _)| *at);
        let mut parts = Vec::with_capacity(marks.len() * 2 + 1);
        let mut from = 0;
        for (at, one) in marks {
            parts.push(Part::Bytes(text.slice(from..at)));
            parts.push(Part::File {
                file: Arc::clone(&one.file),
                length: one.length,
            });
            from = at + one.mark.len();
        }
        parts.push(Part::Bytes(text.slice(from..)));
        Self::Pieces {
            parts: parts.into(),
            _spooled: spooled.into(),
        }
    }

    /// As a request carries it.
    pub(super) fn body(&self) -> egress::Body {
        match self {
            Self::Whole(bytes) => bytes.clone().into(),
            Self::Pieces { parts, .. } => egress::Body::of_parts(Arc::clone(parts)),
        }
    }

    /// As a record shows it: the text, and the size of what is in files.
    pub(super) fn shown(&self) -> Bytes {
        match self {
            Self::Whole(bytes) => bytes.clone(),
            Self::Pieces { parts, .. } => {
                let mut text = Vec::new();
                for part in parts.iter() {
                    match part {
                        Part::Bytes(bytes) => text.extend_from_slice(bytes),
                        Part::File { length, .. } => {
                            text.extend_from_slice(format!("[{length} bytes of base64]").as_bytes());
                        }
                    }
                }
                text.into()
            }
        }
    }
}

/// Base64 text in a temporary file that has no name: it is gone with the last handle, however the process ends.
#[derive(Clone, Debug)]
pub(super) struct Spooled {
    /// Stands for it in the payload. It has nothing in it that a change of case, trimming or JSON would change.
    pub(super) mark: String,
    pub(super) file: Arc<File>,
    pub(super) length: u64,
    /// Its room on the disk.
    _room: Arc<OwnedSemaphorePermit>,
}

/// Where large content is kept for the time of an attempt.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    /// Room on the disk, in pieces of [`UNIT`].
    room: Arc<Semaphore>,
}

/// Content that was fetched.
#[derive(Debug)]
pub(super) enum Fetched {
    /// Base64 text.
    Small(String),
    /// More than that.
    Large(Spooled),
}

/// Why content could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpoolFault {
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error("a temporary file for large content cannot be written: {0}")]
    File(#[source] io::Error),
    #[error("too much large content is under way; try again")]
    NoRoom,
}

impl Spool {
    /// Keeps at most `bytes` in files in `folder`.
    pub(super) fn new(folder: &Path, bytes: u64) -> Self {
        let units = usize::try_from(bytes / UNIT).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            folder: folder.to_owned(),
            room: Arc::new(Semaphore::new(units.clamp(1, Semaphore::MAX_PERMITS))),
        }
    }

    /// Reads the body of `answer`, at most `max` bytes, as base64 text: into memory while it is small, else into a file.
    pub(super) async fn fetch(&self, mut answer: Answer, max: u64) -> Result<Fetched, SpoolFault> {
        let mut read = 0_u64;
        let mut small = Vec::new();
        while let Some(chunk) = answer.chunk().await {
            let chunk = chunk?;
            read += chunk.len() as u64;
            if read > max {
                return Err(too_large(&answer, max));
            }
            small.extend_from_slice(&chunk);
            if small.len() > IN_MEMORY {
                return self.spool(answer, small, read, max).await.map(Fetched::Large);
            }
        }
        Ok(Fetched::Small(STANDARD.encode(&small)))
    }

    async fn spool(&self, mut answer: Answer, start: Vec<u8>, mut read: u64, max: u64) -> Result<Spooled, SpoolFault> {
        let most = answer.remaining().map_or(max, |left| max.min(read + left));
        let units = u32::try_from(most.div_ceil(3) * 4 / UNIT + 1).map_err(|_| SpoolFault::NoRoom)?;
        let room = Arc::clone(&self.room);
        let room = timeout(WAIT_FOR_ROOM, room.acquire_many_owned(units)).await;
        let room = room.ok().and_then(Result::ok).ok_or(SpoolFault::NoRoom)?;
        let folder = self.folder.clone();
        let file = blocking(move || tempfile::tempfile_in(folder)).await?;
        let mut writer = Writer {
            file: Some(file),
            rest: start,
            length: 0,
        };
        writer.write(false).await?;
        while let Some(chunk) = answer.chunk().await {
            let chunk = chunk?;
            read += chunk.len() as u64;
            if read > max {
                return Err(too_large(&answer, max));
            }
            writer.rest.extend_from_slice(&chunk);
            if writer.rest.len() >= IN_MEMORY {
                writer.write(false).await?;
            }
        }
        writer.write(true).await?;
        let file = writer
            .file
            .ok_or_else(|| SpoolFault::File(io::ErrorKind::Other.into()))?;
        Ok(Spooled {
            mark: format!("#{:039}#", rand::random::<u128>()),
            file: Arc::new(file),
            length: writer.length,
            _room: Arc::new(room),
        })
    }
}

/// Writes base64 text piece by piece.
struct Writer {
    /// `None` only while it is written to, and after a failure.
    file: Option<File>,
    /// What is not written yet.
    rest: Vec<u8>,
    length: u64,
}

impl Writer {
    /// Writes what is there, up to the last whole group of three bytes unless it is the end.
    async fn write(&mut self, is_end: bool) -> Result<(), SpoolFault> {
        let Some(mut file) = self.file.take() else {
            return Err(SpoolFault::File(io::ErrorKind::Other.into()));
        };
        let whole = if is_end {
            self.rest.len()
        } else {
            self.rest.len() / 3 * 3
        };
        let rest = self.rest.split_off(whole);
        let bytes = std::mem::replace(&mut self.rest, rest);
        let (file, length) = blocking(move || {
            let text = STANDARD.encode(bytes);
            file.write_all(text.as_bytes())?;
            Ok((file, text.len() as u64))
        })
        .await?;
        self.file = Some(file);
        self.length += length;
        Ok(())
    }
}

fn too_large(answer: &Answer, max: u64) -> SpoolFault {
    let error = EgressError::BodyTooLarge {
        host: answer.host(),
        max: usize::try_from(max).unwrap_or(usize::MAX),
    };
    error.into()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, SpoolFault> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|gone| Err(io::Error::other(gone)))
        .map_err(SpoolFault::File)
}

/// Content up to this size is kept in memory.
const IN_MEMORY: usize = 256 * 1024;
/// How long content waits for room on the disk.
const WAIT_FOR_ROOM: Duration = Duration::from_secs(5);
/// Room on the disk is counted in mebibytes.
const UNIT: u64 = 1024 * 1024;
