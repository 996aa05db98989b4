//! What administrators do with accounts.

use filters::model::Secret;
use jiff::Timestamp;

use super::account::{Profile, User};
use super::password;
use super::sign_in::{MOST_TRIES, target};
use super::{Users, UsersError};
use crate::audit::{Actor, AuditEntry};
use crate::store::{Sheet, Shelved, Store, StoreError, Write};

/// What is to become of an account.
#[derive(Debug)]
pub(crate) struct Edited {
    pub(crate) profile: Profile,
    /// A password in the place of the one before.
    pub(crate) password: Option<Secret>,
}

impl Users {
    /// All accounts, by identifier.
    ///
    /// # Errors
    /// If the store does not work.
    pub(crate) async fn people(&self) -> Result<Vec<User>, UsersError> {
        Ok(all(&self.store).await?)
    }

    /// The account `id`.
    ///
    /// # Errors
    /// If it is not there, or the store does not work.
    pub(crate) async fn person(&self, id: &str) -> Result<User, UsersError> {
        Ok(self.person_sheet(id).await?.value)
    }

    /// Makes an account, with a password or for somebody who signs in elsewhere.
    ///
    /// # Errors
    /// If something of it is wrong, the address is taken, or the store does not work.
    pub(crate) async fn make_person(&self, edited: Edited, actor: &Actor, now: Timestamp) -> Result<User, UsersError> {
        let Edited { profile, password } = checked(edited)?;
        let mut user = User::new(profile, now);
        if let Some(password) = &password {
            user.password_hash = Some(self.passwords.hash(password).await?);
        }
        let entry = entry(actor, "user.create", None, Some(&user));
        if self.store.write(vec![Write::new(&user)?], vec![entry]).await? {
            Ok(user)
        } else {
            Err(taken(&user.profile.email))
        }
    }

    /// Changes an account as `edit` says, which sees it as it is and is asked again if somebody else is faster. A new
    /// password, and that the account is not active any more, end all sessions.
    ///
    /// # Errors
    /// If something is wrong with the change, the account is not there, or the store does not work.
    pub(crate) async fn change_person(
        &self,
        id: &str,
        actor: &Actor,
        now: Timestamp,
        edit: impl Fn(&User) -> Result<Edited, UsersError> + Send,
    ) -> Result<User, UsersError> {
        for _ in 0..MOST_TRIES {
            let Sheet {
                revision,
                value: before,
            } = self.person_sheet(id).await?;
            let Edited { profile, password } = checked(edit(&before)?)?;
            let mut user = before.clone();
            let ends = password.is_some() || (before.profile.is_active && !profile.is_active);
            let email_changed = before.profile.email != profile.email;
            user.profile = profile;
            if let Some(password) = &password {
                user.password_hash = Some(self.passwords.hash(password).await?);
            }
            user.generation += u64::from(ends);
            if user == before {
                return Ok(before);
            }
            user.updated_at = now;
            let mut entry = entry(actor, "user.update", Some(&before), Some(&user));
            if password.is_some() {
                note_password(&mut entry);
            }
            let written = self
                .store
                .write(vec![Write::replace(&user, revision)?], vec![entry])
                .await;
            self.known.forget_all();
            if written? {
                return Ok(user);
            }
            let holder = if email_changed {
                self.store.sheet_of::<User>(&user.profile.email).await?
            } else {
                None
            };
            if holder.is_some_and(|holder| holder.value.id != user.id) {
                return Err(taken(&user.profile.email));
            }
        }
        Err(UsersError::Busy)
    }

    /// Deletes an account, which ends its sessions. `check` sees it as it is.
    ///
    /// # Errors
    /// If `check` refuses, it is not there, or the store does not work.
    pub(crate) async fn delete_person(
        &self,
        id: &str,
        actor: &Actor,
        check: impl Fn(&User) -> Result<(), UsersError> + Send,
    ) -> Result<(), UsersError> {
        for _ in 0..MOST_TRIES {
            let Sheet { revision, value: user } = self.person_sheet(id).await?;
            check(&user)?;
            let entry = entry(actor, "user.delete", Some(&user), None);
            let written = self
                .store
                .write(vec![Write::delete::<User>(id, Some(revision))], vec![entry])
                .await;
            self.known.forget_all();
            if written? {
                return Ok(());
            }
        }
        Err(UsersError::Busy)
    }

    /// Ends all sessions of an account.
    ///
    /// # Errors
    /// If it is not there, or the store does not work.
    pub(crate) async fn end_sessions(&self, id: &str, actor: &Actor) -> Result<(), UsersError> {
        for _ in 0..MOST_TRIES {
            let Sheet {
                revision,
                value: mut user,
            } = self.person_sheet(id).await?;
            user.generation += 1;
            let entry = actor.did("user.end-sessions", target(id), user.org_id());
            let written = self
                .store
                .write(vec![Write::replace(&user, revision)?], vec![entry])
                .await;
            self.known.forget_all();
            if written? {
                return Ok(());
            }
        }
        Err(UsersError::Busy)
    }

    async fn person_sheet(&self, id: &str) -> Result<Sheet<User>, UsersError> {
        let found = self.store.sheet::<User>(id).await?;
        found.ok_or_else(|| UsersError::NotFound(format!("the user {id:?}")))
    }
}

/// All sheets of a shelf, by identifier, up to a number that no installation has.
pub(super) async fn all<T: Shelved>(store: &Store) -> Result<Vec<T>, StoreError> {
    let mut all: Vec<T> = Vec::new();
    while all.len() < MOST_LISTED {
        let after = all.last().map(|last| last.id().to_owned());
        let page = store.sheets::<T>(None, after.as_deref(), PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        all.extend(page.into_iter().map(|sheet| sheet.value));
        if is_last {
            break;
        }
    }
    Ok(all)
}

/// What was given, with everything that is wrong with it.
fn checked(mut edited: Edited) -> Result<Edited, UsersError> {
    let mut problems = Vec::new();
    edited.profile.settle(&mut problems);
    if let Some(password) = &edited.password {
        password::check(password, &edited.profile.email, "password", &mut problems);
    }
    if problems.is_empty() {
        Ok(edited)
    } else {
        Err(UsersError::Problems(problems))
    }
}

pub(super) fn entry(actor: &Actor, action: &str, before: Option<&User>, after: Option<&User>) -> AuditEntry {
    let user = after.or(before);
    let (id, org_id) = user.map_or(("", None), |user| (user.id.as_str(), user.org_id()));
    let (before, after) = (before.map(User::shown), after.map(User::shown));
    actor
        .did(action, target(id), org_id)
        .with(before.as_ref(), after.as_ref())
}

/// That the password is another one shows in neither.
fn note_password(entry: &mut AuditEntry) {
    if let Some(fields) = entry.after.as_mut().and_then(serde_json::Value::as_object_mut) {
        fields.insert("password".to_owned(), filters::model::secret::MASK.into());
    }
}

fn taken(email: &str) -> UsersError {
    UsersError::Conflict(format!("{email} has an account already"))
}

const PAGE: u32 = 500;
const MOST_LISTED: usize = 10_000;
