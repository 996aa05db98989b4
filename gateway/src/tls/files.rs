//! Certificates in files, read again when they change.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwap, Guard};
use filters::certificate::{Certificate, CertificateError};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::TlsError;
use super::index::Index;
use crate::config::CertificateFiles;

/// Why the files of a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What stands in them cannot be used.
    #[error("{}: {source}", path.display())]
    Content {
        /// The file of the certificate.
        path: PathBuf,
        /// What is wrong.
        source: CertificateError,
    },
}

/// The certificates of the settings.
#[derive(Debug)]
pub struct Files {
    named: Vec<CertificateFiles>,
    /// How the files were when they were read first: what changed since then is a change.
    first: Vec<Stamp>,
    index: ArcSwap<Index>,
}

/// When a file was written, its length and its identity; `None` if it is not there.
pub(super) type Stamp = Option<(SystemTime, u64, u64)>;

impl Files {
    /// Reads all of them.
    ///
    /// # Errors
    /// If one cannot be used.
    pub fn open(named: Vec<CertificateFiles>) -> Result<Self, TlsError> {
        let first = stamps(&named);
        let index = ArcSwap::from_pointee(read_all(&named)?);
        Ok(Self { named, first, index })
    }

    /// The certificates as they are now.
    pub fn index(&self) -> Guard<Arc<Index>> {
        self.index.load()
    }

    /// Reads them again whenever they change, until `stop`. What is wrong then is logged, and the old ones stay.
    ///
    /// The folders are watched, as a careful program renames a new file to the place of the old one. A slow look at the
    /// files' times finds what no watch tells of, as behind links to other folders.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        if self.named.is_empty() {
            return;
        }
        let noticed = Arc::new(Notify::new());
        let watcher = self.watcher(Arc::clone(&noticed));
        let mut seen = self.first.clone();
        loop {
            tokio::select! {
                () = noticed.notified(), if watcher.is_some() => tokio::time::sleep(QUIET).await,
                () = tokio::time::sleep(POLL) => {}
                () = stop.cancelled() => return,
            }
            let now = stamps(&self.named);
            if now != seen {
                seen = now;
                self.read_again();
            }
        }
    }

    fn read_again(&self) {
        match read_all(&self.named) {
            Ok(index) => {
                self.index.store(Arc::new(index));
                info!("the certificates in files changed; new connections get the new ones");
            }
            // Half of a pair is there already, or none: the other half is a change as well.
            Err(problem) => error!(%problem, "the changed certificates cannot be used; the old ones stay"),
        }
    }

    fn watcher(&self, noticed: Arc<Notify>) -> Option<RecommendedWatcher> {
        let started = notify::recommended_watcher(move |_| noticed.notify_one()).and_then(|mut watcher| {
            for folder in self.folders() {
                watcher.watch(folder, RecursiveMode::NonRecursive)?;
            }
            Ok(watcher)
        });
        match started {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                warn!(%error, "the folders of the certificates cannot be watched; they are looked at every few seconds");
                None
            }
        }
    }

    fn folders(&self) -> BTreeSet<&Path> {
        let folders = paths(&self.named).filter_map(Path::parent);
        folders
            .map(|folder| {
                if folder == Path::new("") {
                    Path::new(".")
                } else {
                    folder
                }
            })
            .collect()
    }
}

fn paths(named: &[CertificateFiles]) -> impl Iterator<Item = &Path> {
    named
        .iter()
        .flat_map(|files| [files.cert_file.as_path(), files.key_file.as_path()])
}

fn stamps(named: &[CertificateFiles]) -> Vec<Stamp> {
    paths(named).map(stamp).collect()
}

pub(super) fn stamp(path: &Path) -> Stamp {
    let file = std::fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len(), file.ino()))
}

fn read_all(named: &[CertificateFiles]) -> Result<Index, TlsError> {
    let mut certificates = Vec::with_capacity(named.len());
    for (index, files) in named.iter().enumerate() {
        certificates.push(read(files).map_err(|source| TlsError::Certificate { index, source })?);
    }
    Ok(Index::of(&certificates))
}

fn read(files: &CertificateFiles) -> Result<Certificate, FilesError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| FilesError::Read {
            path: path.to_owned(),
            source,
        })
    };
    let (chain, key) = (read(&files.cert_file)?, read(&files.key_file)?);
    Certificate::from_pem(&chain, &key).map_err(|source| FilesError::Content {
        path: files.cert_file.clone(),
        source,
    })
}

/// How long a change is given to be complete: both halves of a pair are written, one after the other.
const QUIET: Duration = Duration::from_millis(100);
/// Between two looks at the files.
const POLL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
