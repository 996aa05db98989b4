//! Who may work for an organization because somebody said so of it.

use std::collections::BTreeSet;

use super::account::User;
use super::api_key::ApiKey;
use super::people::all;
use crate::store::{Store, StoreError};

/// Accounts and keys that name `org_id`, also those that are switched off; not those for all organizations.
///
/// # Errors
/// If the store does not work.
pub(crate) async fn entitled_to(store: &Store, org_id: u64) -> Result<Vec<String>, StoreError> {
    let names = |org_ids: &Option<BTreeSet<u64>>| org_ids.as_ref().is_some_and(|org_ids| org_ids.contains(&org_id));
    let keys: Vec<ApiKey> = all(store).await?;
    let keys = keys.into_iter().filter(|key| names(&key.terms.org_ids));
    let users: Vec<User> = all(store).await?;
    let users = users.into_iter().filter(|user| names(&user.profile.org_ids));
    let keys = keys.map(|key| format!("the API key {:?}", key.terms.name));
    Ok(keys
        .chain(users.map(|user| format!("the account {}", user.profile.email)))
        .collect())
}
