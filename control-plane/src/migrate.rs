//! `control-plane migrate`: everything of one store, copied to an empty other one.
//!
//! While it is being filled, the other store says so, and no control plane starts on it. A run that was interrupted is
//! finished by the next one. In the end both are read as a whole and compared.

use std::fmt;
use std::sync::Arc;

use crate::access::{AccessError, make_private_folder};
use crate::audit::AuditEntry;
use crate::config::{ProcessConfig, SqliteConfig, StoreConfig};
use crate::seal::Sealer;
use crate::store::{Filling, Inventory, Store, StoreError};

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// The embedded one.
    Sqlite,
    /// A MongoDB replica set.
    Mongodb,
}

/// What was copied.
#[derive(Debug)]
pub struct Migrated {
    from: StoreKind,
    to: StoreKind,
    inventory: Inventory,
}

/// Why a store was not copied. What was copied stays; the next run goes on there.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The key, or the data folder.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// One of the stores.
    #[error("{kind}: {source}")]
    Store {
        /// Which one.
        kind: StoreKind,
        /// Why.
        source: StoreError,
    },
    /// There is nothing to copy to.
    #[error("--from and --to are both {0}; name two kinds of stores")]
    Same(StoreKind),
    /// The settings do not say where the store is.
    #[error("the settings say nothing of {0}; give it as `store` or as `migrationStore`")]
    Unknown(StoreKind),
    /// The store to copy from is being filled itself.
    #[error("{0} is being filled by a migration that did not end, so it is not whole; finish that one first")]
    Unfinished(StoreKind),
    /// The store to copy to holds something.
    #[error("{kind} is not empty: it has {found}; give an empty one")]
    NotEmpty {
        /// Which one.
        kind: StoreKind,
        /// What it has.
        found: String,
    },
    /// The copy is another one than what was copied.
    #[error(
        "the copy differs in {0}: something wrote to one of the stores meanwhile; stop every control plane on them and run \
         this again"
    )]
    Differs(String),
}

/// Copies everything from the store of one kind to that of the other.
///
/// # Errors
/// If the settings name no two stores, the other store holds something else, one of them does not work, or the copy is
/// not the same in the end.
pub async fn migrate(config: &ProcessConfig, from: StoreKind, to: StoreKind) -> Result<Migrated, MigrateError> {
    if from == to {
        return Err(MigrateError::Same(from));
    }
    make_private_folder(&config.data_dir)?;
    let sealer = Arc::new(Sealer::load(config)?);
    let (source, target) = (open(config, from, &sealer).await?, open(config, to, &sealer).await?);
    let copied = copy(&source, &target, from, to).await;
    source.close().await;
    target.close().await;
    let inventory = copied?;
    Ok(Migrated { from, to, inventory })
}

async fn copy(source: &Store, target: &Store, from: StoreKind, to: StoreKind) -> Result<Inventory, MigrateError> {
    let reading = |source| MigrateError::Store { kind: from, source };
    let writing = |source| MigrateError::Store { kind: to, source };
    if source.filling().await.map_err(reading)?.is_some() {
        return Err(MigrateError::Unfinished(from));
    }
    if target.filling().await.map_err(writing)?.is_none() {
        let found = target.inventory().await.map_err(writing)?;
        if !found.is_empty() {
            let found = listed(&found);
            return Err(MigrateError::NotEmpty { kind: to, found });
        }
        let filling = Filling::from(from.name());
        target.begin_filling(&filling).await.map_err(writing)?;
    }
    source.copy_to(target).await.map_err(writing)?;
    let (wanted, there) = (
        source.inventory().await.map_err(reading)?,
        target.inventory().await.map_err(writing)?,
    );
    let differences: Vec<_> = wanted.differences(&there).collect();
    if !differences.is_empty() {
        return Err(MigrateError::Differs(differences.join(", ")));
    }
    target.end_filling().await.map_err(writing)?;
    let entry = AuditEntry::new("control-plane", "store.migrate", format!("{from} to {to}"), None);
    target.write(Vec::new(), vec![entry]).await.map_err(writing)?;
    Ok(wanted)
}

async fn open(config: &ProcessConfig, kind: StoreKind, sealer: &Arc<Sealer>) -> Result<Store, MigrateError> {
    let configured = [Some(&config.store), config.migration_store.as_ref()];
    let found = configured.into_iter().flatten().find(|store| kind_of(store) == kind);
    let store = match (found, kind) {
        (Some(store), _) => store.clone(),
        (None, StoreKind::Sqlite) => StoreConfig::Sqlite(SqliteConfig::default()),
        (None, StoreKind::Mongodb) => return Err(MigrateError::Unknown(kind)),
    };
    Store::open(&store, &config.data_dir, &config.limits, Arc::clone(sealer))
        .await
        .map_err(|source| MigrateError::Store { kind, source })
}

const fn kind_of(store: &StoreConfig) -> StoreKind {
    match store {
        StoreConfig::Sqlite(_) => StoreKind::Sqlite,
        StoreConfig::Mongodb(_) => StoreKind::Mongodb,
    }
}

fn listed(inventory: &Inventory) -> String {
    let counts = inventory.counts().filter(|(_, count)| *count > 0);
    let counts = counts.map(|(kind, count)| format!("{count} {kind}"));
    counts.collect::<Vec<_>>().join(", ")
}

impl StoreKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Mongodb => "mongodb",
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, inventory } = self;
        write!(
            f,
            "copied from {from} to {to}, compared and the same: {}\nset `store` to {to} and start the control plane",
            listed(inventory)
        )
    }
}
