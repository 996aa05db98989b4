//! The newest accepted configuration on disk, so that the gateway starts with everything else down.
//!
//! The file is [sealed](crate::sealed), as the configuration holds secrets. Inside is JSON.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use filters::model::Snapshot;
use filters::model::push::Object;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use zeroize::Zeroizing;

use crate::data_dir::{self, DataDir, KEY_BYTES};
use crate::sealed::{Kind, SealedError};

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum LastGoodError {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Sealed(#[from] SealedError),
    #[error("its content is not understood: {0}")]
    Content(serde_json::Error),
}

/// Reads the last known good configuration; `None` if there is none or if it cannot be used.
///
/// A file that cannot be used is moved aside, with a warning that says why.
pub(super) fn load(data_dir: &DataDir) -> Option<Snapshot> {
    let path = path_in(data_dir);
    let reason = match read(&path, data_dir.key()) {
        Ok(snapshot) => return Some(snapshot),
        Err(LastGoodError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            debug!(path = %path.display(), "there is no last known good configuration yet");
            return None;
        }
        Err(reason) => reason,
    };
    match data_dir::move_aside(&path) {
        Ok(aside) => warn!(
            path = %path.display(), aside = %aside.display(), %reason,
            "the last known good configuration cannot be used; it was moved aside"
        ),
        Err(error) => warn!(
            path = %path.display(), %reason, %error,
            "the last known good configuration cannot be used, nor moved aside"
        ),
    }
    None
}

/// Writes each snapshot that `live` holds, the newest one where they come fast, until `stop`.
///
/// What is live when the gateway stops is written before this returns.
pub(super) async fn keep(
    data_dir: Arc<DataDir>,
    mut live: watch::Receiver<Option<Arc<Snapshot>>>,
    stop: CancellationToken,
) {
    let owned = tokio::select! {
        // Who owns the folder already writes even if the stop comes first.
        biased;
        owned = data_dir.owned() => owned,
        () = stop.cancelled() => false,
    };
    if !owned {
        return;
    }
    let mut written: Option<Arc<Snapshot>> = None;
    loop {
        let last = tokio::select! {
            changed = live.changed() => changed.is_err(),
            () = stop.cancelled() => true,
        };
        if !last {
            tokio::select! {
                () = tokio::time::sleep(COALESCE) => {}
                () = stop.cancelled() => {}
            }
        }
        let newest = live.borrow_and_update().clone();
        if let Some(newest) = newest
            && written.as_ref().is_none_or(|written| !Arc::ptr_eq(written, &newest))
        {
            save(&data_dir, Arc::clone(&newest)).await;
            written = Some(newest);
        }
        if last {
            return;
        }
    }
}

async fn save(data_dir: &Arc<DataDir>, snapshot: Arc<Snapshot>) {
    let data_dir = Arc::clone(data_dir);
    let version = snapshot.version;
    let saved = tokio::task::spawn_blocking(move || write(&path_in(&data_dir), data_dir.key(), &snapshot)).await;
    match saved {
        Ok(Ok(())) => debug!(version, "wrote the last known good configuration"),
        Ok(Err(error)) => error!(version, %error, "cannot write the last known good configuration"),
        Err(error) => error!(version, %error, "writing the last known good configuration was cut off"),
    }
}

/// The JSON inside.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Content {
    version: u64,
    objects: Vec<Object>,
}

fn read(path: &Path, key: &[u8; KEY_BYTES]) -> Result<Snapshot, LastGoodError> {
    let bytes = std::fs::read(path)?;
    let json = KIND.open(&[], &bytes, key)?;
    let content: Content = serde_json::from_slice(&json).map_err(LastGoodError::Content)?;
    Ok(Snapshot::from_objects(content.version, content.objects))
}

fn write(path: &Path, key: &[u8; KEY_BYTES], snapshot: &Snapshot) -> io::Result<()> {
    let content = Content {
        version: snapshot.version,
        objects: snapshot.objects(),
    };
    let json = Zeroizing::new(serde_json::to_vec(&content)?);
    let file = KIND.seal(&[], &json, key)?;
    data_dir::write_private(path, &file)
}

fn path_in(data_dir: &DataDir) -> PathBuf {
    data_dir.path().join("last-known-good")
}

const KIND: Kind = Kind {
    magic: b"GWLKG",
    format: 1,
};

/// How long to wait for more changes before writing.
const COALESCE: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests;
