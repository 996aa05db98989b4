//! What administrators do with keys of programs.

use filters::model::Secret;
use jiff::Timestamp;

use super::api_key::{ApiKey, Terms};
use super::people::all;
use super::sign_in::MOST_TRIES;
use super::{Users, UsersError};
use crate::audit::{Actor, AuditEntry};
use crate::store::{Sheet, Shelved, Write};

impl Users {
    /// All keys, by identifier.
    ///
    /// # Errors
    /// If the store does not work.
    pub(crate) async fn api_keys(&self) -> Result<Vec<ApiKey>, UsersError> {
        Ok(all(&self.store).await?)
    }

    /// The key `id`.
    ///
    /// # Errors
    /// If it is not there, or the store does not work.
    pub(crate) async fn api_key(&self, id: &str) -> Result<ApiKey, UsersError> {
        Ok(self.api_key_sheet(id).await?.value)
    }

    /// Makes a key; the second is what it is in clear, which nobody can find out later.
    ///
    /// # Errors
    /// If something of it is wrong, or the store does not work.
    pub(crate) async fn make_api_key(
        &self,
        terms: Terms,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(ApiKey, Secret), UsersError> {
        let terms = checked(terms)?;
        let (kept, key) = ApiKey::new(terms, &actor.name, now);
        let entry = entry(actor, "apiKey.create", None, Some(&kept));
        if self.store.write(vec![Write::new(&kept)?], vec![entry]).await? {
            Ok((kept, key))
        } else {
            Err(UsersError::Busy)
        }
    }

    /// Changes a key as `edit` says, which sees it as it is and is asked again if somebody else is faster.
    ///
    /// # Errors
    /// If something is wrong with the change, the key is not there, or the store does not work.
    pub(crate) async fn change_api_key(
        &self,
        id: &str,
        actor: &Actor,
        now: Timestamp,
        edit: impl Fn(&ApiKey) -> Result<Terms, UsersError> + Send,
    ) -> Result<ApiKey, UsersError> {
        for _ in 0..MOST_TRIES {
            let Sheet {
                revision,
                value: before,
            } = self.api_key_sheet(id).await?;
            let mut key = before.clone();
            key.terms = checked(edit(&before)?)?;
            if key == before {
                return Ok(before);
            }
            key.updated_at = now;
            let entry = entry(actor, "apiKey.update", Some(&before), Some(&key));
            let written = self
                .store
                .write(vec![Write::replace(&key, revision)?], vec![entry])
                .await;
            self.known.forget_all();
            if written? {
                return Ok(key);
            }
        }
        Err(UsersError::Busy)
    }

    /// Deletes a key. `check` sees it as it is.
    ///
    /// # Errors
    /// If `check` refuses, it is not there, or the store does not work.
    pub(crate) async fn delete_api_key(
        &self,
        id: &str,
        actor: &Actor,
        check: impl Fn(&ApiKey) -> Result<(), UsersError> + Send,
    ) -> Result<(), UsersError> {
        for _ in 0..MOST_TRIES {
            let Sheet { revision, value: key } = self.api_key_sheet(id).await?;
            check(&key)?;
            let entry = entry(actor, "apiKey.delete", Some(&key), None);
            let written = self
                .store
                .write(vec![Write::delete::<ApiKey>(id, Some(revision))], vec![entry])
                .await;
            self.known.forget_all();
            if written? {
                return Ok(());
            }
        }
        Err(UsersError::Busy)
    }

    async fn api_key_sheet(&self, id: &str) -> Result<Sheet<ApiKey>, UsersError> {
        let found = self.store.sheet::<ApiKey>(id).await?;
        found.ok_or_else(|| UsersError::NotFound(format!("the API key {id:?}")))
    }
}

fn checked(terms: Terms) -> Result<Terms, UsersError> {
    let mut problems = Vec::new();
    terms.check(&mut problems);
    if problems.is_empty() {
        Ok(terms)
    } else {
        Err(UsersError::Problems(problems))
    }
}

fn entry(actor: &Actor, action: &str, before: Option<&ApiKey>, after: Option<&ApiKey>) -> AuditEntry {
    let key = after.or(before);
    let (id, org_id) = key.map_or(("", None), |key| (key.id.as_str(), key.org_id()));
    let (before, after) = (before.map(ApiKey::shown), after.map(ApiKey::shown));
    actor
        .did(action, format!("apiKey {id}"), org_id)
        .with(before.as_ref(), after.as_ref())
}
