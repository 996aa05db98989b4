//! Refresh tokens that took the place of configured ones, one file each in the data folder.
//!
//! A file is written before the access token that came with it is used, as the token endpoint may take the token before no
//! more. A lock file beside it keeps everybody else from using the token meanwhile: other credentials of this process that
//! begin with the same token, and the process that is taken over in an upgrade.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ahash::AHashMap;
use egress::{Claim, GrantStore};
use filters::model::secret::Secret;
use parking_lot::Mutex;
use tracing::{error, warn};
use zeroize::Zeroizing;

use crate::data_dir::{self, DataDir};
use crate::sealed::{Kind, SealedError};

/// All refresh tokens of a gateway.
#[derive(Debug)]
pub struct RefreshTokens {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    data_dir: Arc<DataDir>,
    /// Tokens that could not be written. The ones before may be used up, so that each is written before its grant is used.
    unwritten: Mutex<AHashMap<[u8; 32], Secret>>,
}

impl RefreshTokens {
    /// Those in `data_dir`. Files whose token nobody used for a year and more are taken away.
    pub fn new(data_dir: Arc<DataDir>) -> Self {
        let shared = Shared {
            data_dir,
            unwritten: Mutex::default(),
        };
        if let Err(error) = shared.forget_unused(SystemTime::now()) {
            warn!(path = %shared.folder().display(), %error, "cannot look for refresh tokens that nobody uses");
        }
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl GrantStore for RefreshTokens {
    fn claim(&self, grant: &[u8; 32]) -> io::Result<Option<Box<dyn Claim>>> {
        let shared = &self.shared;
        DirBuilder::new().recursive(true).mode(0o700).create(shared.folder())?;
        let path = shared.path(grant);
        let Some(lock) = locked(&path.with_extension(LOCK))? else {
            return Ok(None);
        };
        let unwritten = shared.unwritten.lock().get(grant).cloned();
        let token = match unwritten {
            Some(token) => {
                shared.write(grant, &token)?;
                shared.unwritten.lock().remove(grant);
                Some(token)
            }
            None => shared.read(grant)?,
        };
        Ok(Some(Box::new(Kept {
            shared: Arc::clone(shared),
            grant: *grant,
            token,
            _lock: lock,
        })))
    }
}

/// A token that nobody else may use.
struct Kept {
    shared: Arc<Shared>,
    grant: [u8; 32],
    token: Option<Secret>,
    /// Locked as long as it is open.
    _lock: File,
}

impl Claim for Kept {
    fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    fn replace(&mut self, token: Secret) -> io::Result<()> {
        let shared = &self.shared;
        if let Err(error) = shared.write(&self.grant, &token) {
            error!(
                path = %shared.path(&self.grant).display(), %error,
                "cannot write a refresh token; it is kept in memory, and nobody signs in with it until it is written"
            );
            shared.unwritten.lock().insert(self.grant, token);
            return Err(error);
        }
        self.token = Some(token);
        Ok(())
    }
}

impl Shared {
    fn folder(&self) -> PathBuf {
        self.data_dir.path().join("refresh-tokens")
    }

    fn path(&self, grant: &[u8; 32]) -> PathBuf {
        self.folder().join(hex::encode(grant))
    }

    /// The token in the file of `grant`. A file that is no use is moved aside, as nothing better will come of it.
    fn read(&self, grant: &[u8; 32]) -> io::Result<Option<Secret>> {
        let path = self.path(grant);
        let file = match fs::read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match KIND.open(grant, &file, self.data_dir.key()) {
            Ok(token) => Ok(std::str::from_utf8(&token).ok().map(Secret::new)),
            // Of a newer gateway, which may come back: it must not begin again with the configured token.
            Err(reason @ SealedError::Format { .. }) => Err(io::Error::other(reason)),
            Err(reason) => {
                let aside = data_dir::move_aside(&path)?;
                warn!(
                    path = %path.display(), aside = %aside.display(), %reason,
                    "a refresh token cannot be read; it was moved aside, and the configured one is used"
                );
                Ok(None)
            }
        }
    }

    fn write(&self, grant: &[u8; 32], token: &Secret) -> io::Result<()> {
        let content = Zeroizing::new(token.expose().as_bytes().to_vec());
        let file = KIND.seal(grant, &content, self.data_dir.key())?;
        data_dir::write_private(&self.path(grant), &file)
    }

    fn forget_unused(&self, now: SystemTime) -> io::Result<()> {
        let entries = match fs::read_dir(self.folder()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let age = now.duration_since(entry.metadata()?.modified()?).unwrap_or_default();
            if age > UNUSED_AFTER {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// The open and locked file; `None` while somebody else has it. It tells when it was last asked for, so that it is not
/// taken away while it is in use.
fn locked(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_modified(SystemTime::now())?;
            Ok(Some(file))
        }
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

const KIND: Kind = Kind {
    magic: b"GWREF",
    format: 1,
};
const LOCK: &str = "lock";
/// Every use writes a file where tokens are replaced, so that older files are those of integrations that are gone.
const UNUSED_AFTER: Duration = Duration::from_hours(400 * 24);

#[cfg(test)]
mod tests;
