//! The folder of one gateway: locked by the process that owns it, with the key that its files are encrypted with.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rand::TryRngCore as _;
use rand::rngs::OsRng;
use tokio::sync::watch;
use tracing::{error, info, warn};
use zeroize::Zeroizing;

/// Bytes of the key.
pub const KEY_BYTES: usize = 32;

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Something about it cannot be made, read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It belongs to another process.
    #[error(
        "the data folder {} is in use by another process{}; stop it, or set `dataDir` to a folder of its own",
        path.display(),
        owner.map_or_else(String::new, |id| format!(" ({id})"))
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process identifier that the owner wrote down.
        owner: Option<u32>,
    },
}

/// The open data folder. The lock is given back when this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    key: Zeroizing<[u8; KEY_BYTES]>,
    /// The locked file, which stays open, and so locked, as long as this lives.
    lock: watch::Receiver<Option<Arc<File>>>,
}

impl DataDir {
    /// Makes the folder if it is not there, and locks it.
    ///
    /// With `take_over`, another process may still own the folder: the lock is then awaited in the background for that
    /// long, and [`Self::owned`] says when it is there. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the folder cannot be used or, without `take_over`, belongs to another process.
    pub fn open(path: &Path, take_over: Option<Duration>) -> Result<Self, DataDirError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed("make the data folder", path))?;
        let lock_path = path.join(LOCK_FILE);
        let file = private_file(OpenOptions::new().read(true).write(true).create(true), &lock_path)
            .map_err(failed("open", &lock_path))?;
        let (sender, lock) = watch::channel(None);
        match file.try_lock() {
            Ok(()) => {
                note_owner(&file);
                sender.send_replace(Some(Arc::new(file)));
            }
            Err(TryLockError::WouldBlock) => match take_over {
                Some(patience) => drop(tokio::spawn(await_lock(file, path.to_owned(), patience, sender))),
                None => {
                    return Err(DataDirError::InUse {
                        path: path.to_owned(),
                        owner: owner_of(&lock_path),
                    });
                }
            },
            Err(TryLockError::Error(source)) => return Err(failed("lock", &lock_path)(source)),
        }
        Ok(Self {
            key: read_or_make_key(&path.join(KEY_FILE))?,
            path: path.to_owned(),
            lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key that files in it are encrypted with.
    pub fn key(&self) -> &[u8; KEY_BYTES] {
        &self.key
    }

    /// The process that owns the folder while this one takes it over; `None` once this one does.
    pub fn owner(&self) -> Option<u32> {
        if self.lock.borrow().is_some() {
            return None;
        }
        owner_of(&self.path.join(LOCK_FILE))
    }

    /// Waits until this process owns the folder; false if it never will.
    pub async fn owned(&self) -> bool {
        self.lock.clone().wait_for(Option::is_some).await.is_ok()
    }
}

/// Asks for the lock until the process that is taken over gives it back.
async fn await_lock(file: File, path: PathBuf, patience: Duration, sender: watch::Sender<Option<Arc<File>>>) {
    let asking = async {
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_INTERVAL).await,
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    };
    match tokio::time::timeout(patience, asking).await {
        Ok(Ok(())) => {
            note_owner(&file);
            info!(path = %path.display(), "took over the data folder");
            sender.send_replace(Some(Arc::new(file)));
        }
        Ok(Err(error)) => {
            error!(path = %path.display(), %error, "cannot lock the data folder; nothing is written to it")
        }
        Err(_) => error!(
            path = %path.display(),
            "the data folder is still in use by the process that was taken over; nothing is written to it"
        ),
    }
}

/// Leaves the process identifier in the lock file, for the message of a process that comes second.
fn note_owner(mut file: &File) {
    let noted = file
        .set_len(0)
        .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()));
    if let Err(error) = noted {
        warn!(%error, "cannot write the process identifier into the lock file");
    }
}

fn owner_of(lock_path: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(lock_path).ok()?.take(20).read_to_string(&mut text).ok()?;
    text.parse().ok()
}

fn read_or_make_key(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, DataDirError> {
    match fs::read(path).map(Zeroizing::new) {
        Ok(bytes) => {
            keep_private(path);
            if let Ok(key) = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()) {
                return Ok(Zeroizing::new(key));
            }
            let aside = move_aside(path).map_err(failed("move aside", path))?;
            warn!(
                path = %path.display(), aside = %aside.display(), bytes = bytes.len(),
                "the key of the data folder is damaged; a new one is made, and what the old one encrypted cannot be read"
            );
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("read", path)(error)),
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    OsRng
        .try_fill_bytes(key.as_mut_slice())
        .map_err(|error| failed("make a key for", path)(io::Error::other(error)))?;
    write_private(path, key.as_slice()).map_err(failed("write", path))?;
    Ok(key)
}

/// Takes the rights of others away from a file that should have none.
fn keep_private(path: &Path) {
    let open_to_others = fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0);
    if !open_to_others {
        return;
    }
    match fs::set_permissions(path, Permissions::from_mode(0o600)) {
        Ok(()) => warn!(path = %path.display(), "the file was open to other users; now it is its owner's only"),
        Err(error) => warn!(path = %path.display(), %error, "the file is open to other users"),
    }
}

/// Writes a file as a whole or not at all, readable for its owner only, and on disk when this returns.
///
/// # Errors
/// What the system said; the file that was there before is then unchanged.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let draft = path.with_added_extension("new");
    let mut file = private_file(OpenOptions::new().write(true).create(true).truncate(true), &draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(folder)?.sync_all()
}

/// Renames a file that cannot be used to `NAME.bad`, in the place of one that was there.
///
/// # Errors
/// What the system said.
pub(crate) fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = path.with_added_extension("bad");
    fs::rename(path, &aside)?;
    Ok(aside)
}

fn private_file(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.mode(0o600).open(path)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    let path = path.to_owned();
    move |source| DataDirError::Io { action, path, source }
}

const LOCK_FILE: &str = "lock";
const KEY_FILE: &str = "key";
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
