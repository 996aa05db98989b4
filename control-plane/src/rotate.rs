//! `control-plane rotate-secrets`: a new key for what is sealed in the store, and everything sealed anew with it.
//!
//! The new key is on disk, before the old ones, before anything is sealed with it; the old ones stay until nothing needs
//! them. A rotation that was killed therefore goes on where it was, with the key that it began with.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::access::{AccessError, make_private_folder};
use crate::audit::AuditEntry;
use crate::config::ProcessConfig;
use crate::seal::KeyFile;
use crate::store::{Resealed, Store, StoreError};

/// What came of a rotation.
#[derive(Debug)]
pub struct Rotated {
    /// Name of the key that everything is sealed with now.
    pub newest: String,
    /// True if that key was made just now.
    pub made: bool,
    /// Objects, versions' changes and sheets that were sealed anew.
    pub resealed: u64,
    /// Names of the keys that nothing in the store needs any more.
    pub unneeded: Vec<String>,
    /// True if those were removed.
    pub removed: bool,
    /// The file of the keys.
    pub file: PathBuf,
}

impl fmt::Display for Rotated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = if self.made { "made the key" } else { "found the key" };
        writeln!(f, "{made} {}, sealed {} texts anew with it", self.newest, self.resealed)?;
        let unneeded = self.unneeded.join(", ");
        match (self.unneeded.is_empty(), self.removed) {
            (true, _) => write!(f, "there is no older key"),
            (false, true) => write!(f, "removed {unneeded} from {}", self.file.display()),
            (false, false) => write!(
                f,
                "the store needs {unneeded} no more; backups from before do, until the key is removed from {}",
                self.file.display()
            ),
        }
    }
}

/// Why a rotation did not come to its end. What was done of it stays, and another one goes on there.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The keys, or the data folder.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This program may not make the key itself.
    #[error(
        "{} holds one key, and {because}; write a new one (`openssl rand -hex 32`) in a line below the old one for every \
         control plane and restart them, put the new one first and restart them again, then run this once more", file.display()
    )]
    OneKey {
        /// The file of the keys.
        file: PathBuf,
        /// Why no key is made.
        because: &'static str,
    },
    /// Somebody went on sealing with an older key.
    #[error(
        "{left} texts are sealed with an older key still, as something else writes to the store; see to it that every control \
         plane has the new key in the first line of its key file, restart them, and run this again"
    )]
    Left {
        /// How many.
        left: u64,
    },
    /// Not this program's file.
    #[error("{} is not a file that this program writes; remove the lines of the older keys from it yourself", .0.display())]
    NotOwn(PathBuf),
}

/// Seals everything in the store with the newest key; makes one first where there is one only. With `remove`, the older
/// keys are removed afterwards. Backups of the store from before need those to be restored.
///
/// # Errors
/// If the keys or the store cannot be used, or another process still seals with an older key.
pub async fn rotate(config: &ProcessConfig, remove: bool) -> Result<Rotated, RotateError> {
    make_private_folder(&config.data_dir)?;
    let mut keys = KeyFile::load(config)?;
    if remove && !keys.is_own() {
        return Err(RotateError::NotOwn(keys.path().to_owned()));
    }
    // Opened first: no key is made for a store that is not there, or that another process uses.
    let mut store = open(config, &keys).await?;
    let made = keys.older().is_empty();
    if made {
        let because = match (keys.is_own(), store.is_shared()) {
            (false, _) => "it is not a file that this program writes",
            (true, true) => "other control planes may use the same store",
            (true, false) => "",
        };
        store.close().await;
        if !because.is_empty() {
            let file = keys.path().to_owned();
            return Err(RotateError::OneKey { file, because });
        }
        keys.add_key()?;
        store = open(config, &keys).await?;
    }
    let done = reseal(&store, &keys).await;
    store.close().await;
    let resealed = done?;
    let unneeded = keys.older();
    if remove {
        keys.remove_older()?;
    }
    Ok(Rotated {
        newest: keys.newest(),
        made,
        resealed,
        unneeded,
        removed: remove,
        file: keys.path().to_owned(),
    })
}

async fn open(config: &ProcessConfig, keys: &KeyFile) -> Result<Store, StoreError> {
    Store::open(&config.store, &config.data_dir, &config.limits, Arc::new(keys.sealer())).await
}

/// Walks until nothing is left. Returns how much was sealed anew.
async fn reseal(store: &Store, keys: &KeyFile) -> Result<u64, RotateError> {
    let mut resealed = 0;
    for _ in 0..MOST_WALKS {
        let walked: Resealed = store.reseal().await?;
        resealed += walked.resealed;
        if walked.stale == 0 {
            let entry = AuditEntry::new(
                "control-plane",
                "secrets.rotate",
                format!("key {}", keys.newest()),
                None,
            );
            store.write(Vec::new(), vec![entry]).await?;
            return Ok(resealed);
        }
    }
    Err(RotateError::Left {
        left: store.reseal().await?.stale,
    })
}

/// The second walk sees that the first one left nothing; more are for those who write in the meantime.
const MOST_WALKS: usize = 4;

#[cfg(test)]
mod tests;
