//! Reading what is referred to, where the settings allow it.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use filters::model::Secret;
use filters::model::secret::SecretReference;
use futures_util::{StreamExt as _, stream};

use super::entries::{Entries, EntryStore};
use super::{Values, Wanted};
use crate::config::secrets::{Allowed, SecretSources};

/// What integrations may refer to.
#[derive(Debug)]
pub(crate) struct Secrets {
    config: SecretSources,
    store: Option<EntryStore>,
}

/// Why the configured places of secrets cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("secretSources.store cannot be used: {0}")]
pub struct SecretsError(pub(super) Box<dyn std::error::Error + Send + Sync>);

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error(transparent)]
    Reference(#[from] filters::model::secret::BadReference),
    #[error("is not among what organization {org_id} may refer to by `secretSources.{list}` of the control plane")]
    NotAllowed { org_id: u64, list: &'static str },
    #[error("the control plane is not configured with `secretSources.store`")]
    NoStore,
    #[error("the variable is not set for the control plane, or is no text")]
    NotSet,
    #[error("the file cannot be read: {0}")]
    File(std::io::ErrorKind),
    #[error("the file leads out of the folder that is allowed")]
    Outside,
    #[error("is empty")]
    Empty,
    #[error("is not a text of at most 64 KiB")]
    NoText,
    #[error(transparent)]
    Entry(#[from] super::entries::EntryError),
}

impl Secrets {
    /// As configured.
    ///
    /// # Errors
    /// If the secret store's trust store or name resolution cannot be used.
    pub(crate) fn new(config: &SecretSources) -> Result<Self, SecretsError> {
        Ok(Self {
            store: config.store.as_ref().map(EntryStore::new).transpose()?,
            config: config.clone(),
        })
    }

    /// How often what is referred to is read again.
    pub(crate) fn refresh_every(&self) -> Duration {
        self.config.refresh_every()
    }

    /// False if nothing may be referred to.
    pub(crate) fn are_configured(&self) -> bool {
        !self.config.env.is_empty() || !self.config.files.is_empty() || self.store.is_some()
    }

    /// Reads each of them now.
    pub(crate) async fn read(&self, wanted: BTreeSet<Wanted>) -> Values {
        let mut values = Values::default();
        if wanted.is_empty() {
            return values;
        }
        // Of an entry with several fields one answer is asked for.
        let entries = Entries::default();
        let reads = wanted.into_iter().map(|wanted| {
            let entries = &entries;
            async move {
                let value = self.value(&wanted, entries).await.map_err(|error| error.to_string());
                (wanted, value)
            }
        });
        let mut reads = stream::iter(reads).buffer_unordered(AT_ONCE);
        while let Some((wanted, value)) = reads.next().await {
            values.insert(wanted, value);
        }
        values
    }

    async fn value(&self, wanted: &Wanted, entries: &Entries) -> Result<Secret, Unread> {
        let Wanted { org_id, text } = wanted;
        let secret = match SecretReference::parse(text)? {
            SecretReference::Env(name) => {
                allowed(&self.config.env, *org_id, &name, "env")?;
                Secret::new(std::env::var(name).map_err(|_| Unread::NotSet)?)
            }
            SecretReference::File(path) => {
                let folder = allowed(&self.config.files, *org_id, &path, "files")?;
                let folder = folder.to_owned();
                let read = tokio::task::spawn_blocking(move || read_file(Path::new(&path), Path::new(&folder)));
                read.await.map_err(|_| Unread::File(std::io::ErrorKind::Other))??
            }
            SecretReference::Store { path, field } => {
                let store = self.store.as_ref().ok_or(Unread::NoStore)?;
                let paths = self.config.store.as_ref().map_or(&[][..], |store| &store.paths);
                allowed(paths, *org_id, &path, "store.paths")?;
                store.field(&path, &field, entries).await?
            }
        };
        if secret.expose().is_empty() {
            return Err(Unread::Empty);
        }
        Ok(secret)
    }
}

/// The prefix that allows it.
fn allowed<'a>(list: &'a [Allowed], org_id: u64, name: &str, of: &'static str) -> Result<&'a str, Unread> {
    let fits = |allowed: &&Allowed| {
        let ours = allowed.org_ids.as_ref().is_none_or(|ids| ids.contains(&org_id));
        ours && name.len() > allowed.prefix.len() && name.starts_with(&allowed.prefix)
    };
    let found = list.iter().find(fits).ok_or(Unread::NotAllowed { org_id, list: of })?;
    Ok(&found.prefix)
}

/// Reads a file that lies within `folder`, wherever links lead.
fn read_file(path: &Path, folder: &Path) -> Result<Secret, Unread> {
    let failed = |error: std::io::Error| Unread::File(error.kind());
    let whole = path.canonicalize().map_err(failed)?;
    if !whole.starts_with(folder.canonicalize().map_err(failed)?) {
        return Err(Unread::Outside);
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(whole).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(Unread::NoText);
    }
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Unread::NoText);
    }
    let text = String::from_utf8(bytes).map_err(|_| Unread::NoText)?;
    Ok(Secret::new(
        text.strip_suffix('\n')
            .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text)),
    ))
}

const AT_ONCE: usize = 16;
const MOST_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests;
