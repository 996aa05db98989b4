//! Who may come in beside the keys of the settings: people with an account, and programs with a key that was made through
//! the API.
//!
//! A request's token or key is looked up in this order: the signature (`token.rs`), what was found a moment ago (`known.rs`),
//! the store. People get their token by signing in (`sign_in.rs`, `throttle.rs`, `password.rs`). Administrators work in
//! `people.rs` and `keys.rs`. Whatever is changed here is in the audit, in the same transaction.

use std::sync::Arc;

use egress::SetupError;
use filters::model::{Problem, Secret};
use jiff::{SignedDuration, Timestamp};

use crate::access::Operator;
use crate::config::auth::AuthConfig;
use crate::seal::Sealer;
use crate::store::{Store, StoreError, Write};

mod account;
mod api_key;
mod entitled;
mod first_admin;
mod keys;
mod known;
pub(crate) mod oidc;
mod password;
mod people;
mod session;
mod sign_in;
mod throttle;
mod token;

pub(crate) use account::{Account, Profile, User};
pub(crate) use api_key::{ApiKey, Shown as ShownKey, Terms};
pub(crate) use entitled::entitled_to;
pub(crate) use password::PasswordError;
pub(crate) use people::Edited;
pub(crate) use sign_in::{Origin, SignedIn};

use first_admin::FirstAdmin;
use known::{Found, Known, Remembered};
use oidc::Provider;
use password::Passwords;
use session::Session;
use throttle::Throttle;
use token::Claims;

/// Accounts, sessions and keys.
#[derive(Debug)]
pub(crate) struct Users {
    store: Arc<Store>,
    sealer: Arc<Sealer>,
    config: AuthConfig,
    passwords: Passwords,
    throttle: Throttle,
    known: Known,
    first_admin: FirstAdmin,
    /// Where people may sign in as well.
    provider: Option<Provider>,
}

/// Somebody whose token is good.
#[derive(Debug)]
pub(crate) struct Bearer {
    pub(crate) operator: Arc<Operator>,
    /// A token in the place of theirs, which is getting old.
    pub(crate) renewed: Option<Secret>,
}

/// Why somebody does not come in, or an account stays as it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsersError {
    /// The token is not one, or its session has ended.
    #[error("the token is not known, or its session has ended; sign in again")]
    NoSession,
    /// There is no such key, or it is not to be used any more.
    #[error("the key in X-API-Key is not known")]
    NoKey,
    /// There is no such account, or it has another password.
    #[error("the e-mail address or the password is wrong")]
    Wrong,
    /// The token of the first administrator is another one, or was used.
    #[error("the token is not the one that was shown at the start, or there is a user already")]
    NotFirst,
    /// Too many tries.
    #[error("too many failed sign-ins")]
    Throttled(u32),
    /// It is not there.
    #[error("{0} is not there")]
    NotFound(String),
    /// It is in the way of what is there.
    #[error("{0}")]
    Conflict(String),
    /// It is not as the caller knows it.
    #[error("{0} was changed in the meantime; read it again")]
    Precondition(String),
    /// What was given is wrong.
    #[error("the request has {} problem(s)", .0.len())]
    Problems(Vec<Problem>),
    /// Others change the same at the same time.
    #[error("others are changing the same; try again")]
    Busy,
    /// A password cannot be hashed now.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The identity provider cannot be spoken to.
    #[error(transparent)]
    Provider(#[from] SetupError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Users {
    /// Looks whether there is anybody; if not, makes the token with which the first administrator comes in.
    ///
    /// # Errors
    /// If the store does not work, or passwords cannot be hashed.
    pub(crate) async fn start(store: Arc<Store>, sealer: Arc<Sealer>, config: AuthConfig) -> Result<Self, UsersError> {
        let is_anybody = !store.sheets::<User>(None, None, 1).await?.is_empty();
        let passwords = tokio::task::spawn_blocking(Passwords::new).await;
        Ok(Self {
            passwords: passwords.map_err(|_| PasswordError::Fault)??,
            first_admin: FirstAdmin::new(is_anybody),
            throttle: Throttle::new(),
            known: Known::default(),
            provider: config.oidc.clone().map(Provider::new).transpose()?,
            store,
            sealer,
            config,
        })
    }

    /// The token of the first administrator, to be shown once; `None` if there are users.
    pub(crate) fn first_admin_token(&self) -> Option<Secret> {
        self.first_admin.shown()
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// If it is nobody's, or the store does not work and nothing is known of the session.
    pub(crate) async fn of_token(&self, token: &str, now: Timestamp) -> Result<Bearer, UsersError> {
        let claims = Claims::read(token, &self.sealer, now).ok_or(UsersError::NoSession)?;
        let found = self.found(&claims.sid, now, self.session(&claims.sid, now)).await?;
        let found = found.ok_or(UsersError::NoSession)?;
        let age = SignedDuration::from_secs(now.as_second() - claims.iat);
        let renewed = if age >= self.config.renew_after() {
            self.renewed(&claims, now).await
        } else {
            None
        };
        Ok(Bearer {
            operator: found.operator,
            renewed,
        })
    }

    /// Whose key this is.
    ///
    /// # Errors
    /// If it is nobody's, or the store does not work and nothing is known of the key.
    pub(crate) async fn of_key(&self, key: &str, now: Timestamp) -> Result<Arc<Operator>, UsersError> {
        if !api_key::is_one(key) {
            return Err(UsersError::NoKey);
        }
        let hash = api_key::hash_of(key);
        let found = self.found(hash.expose(), now, self.key(hash.expose(), now)).await?;
        found.map(|found| found.operator).ok_or(UsersError::NoKey)
    }

    /// What is remembered under `name`, or what the store says.
    async fn found(
        &self,
        name: &str,
        now: Timestamp,
        ask: impl Future<Output = Result<Option<Found>, StoreError>>,
    ) -> Result<Option<Found>, UsersError> {
        let goes_on = |found: &Found| found.expires_at.is_none_or(|end| now < end);
        let (remembered, era) = self.known.get(name);
        let stale = match remembered {
            Remembered::Fresh(found) => return Ok(Some(found).filter(goes_on)),
            Remembered::Stale(found) => Some(found),
            Remembered::Nothing => None,
        };
        match ask.await {
            Ok(Some(found)) => {
                self.known.put(name, found.clone(), era);
                Ok(Some(found))
            }
            Ok(None) => {
                self.known.forget(name);
                Ok(None)
            }
            Err(error @ (StoreError::Unavailable(_) | StoreError::TimedOut(_))) => {
                self.known.store_failed();
                match stale.filter(goes_on) {
                    Some(found) => Ok(Some(found)),
                    None => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The session `id` with its user, if both go on.
    async fn session(&self, id: &str, now: Timestamp) -> Result<Option<Found>, StoreError> {
        let Some(session) = self.store.sheet::<Session>(id).await? else {
            return Ok(None);
        };
        let session = session.value;
        let user = self.store.sheet::<User>(&session.user_id).await?;
        let user = user
            .map(|user| user.value)
            .filter(|user| user.profile.is_active && user.generation == session.generation && now < session.expires_at);
        Ok(user.map(|user| Found {
            operator: Arc::new(user.operator(id)),
            expires_at: Some(session.expires_at),
        }))
    }

    /// The key of this hash, if it may be used.
    async fn key(&self, hash: &str, now: Timestamp) -> Result<Option<Found>, StoreError> {
        let Some(sheet) = self.store.sheet_of::<ApiKey>(hash).await? else {
            return Ok(None);
        };
        let Some(operator) = sheet.value.operator(now) else {
            return Ok(None);
        };
        let expires_at = sheet.value.terms.expires_at;
        let noted = sheet.value.last_used_at;
        if noted.is_none_or(|at| now.duration_since(at) >= NOTE_USE_EVERY) {
            let used = ApiKey {
                last_used_at: Some(now),
                ..sheet.value
            };
            let (store, write) = (Arc::clone(&self.store), Write::replace(&used, sheet.revision)?);
            // Nobody waits for it; if it does not work, the next use notes it.
            tokio::spawn(async move {
                if let Err(error) = store.write(vec![write], Vec::new()).await {
                    tracing::debug!(%error, "the last use of an API key is not noted");
                }
            });
        }
        Ok(Some(Found {
            operator: Arc::new(operator),
            expires_at,
        }))
    }

    /// A token in the place of one that is getting old, with the session prolonged. `None` if that does not work: the old
    /// one is good for days, and the next request tries again.
    async fn renewed(&self, claims: &Claims, now: Timestamp) -> Option<Secret> {
        let mut sheet = self.store.sheet::<Session>(&claims.sid).await.ok()??;
        let wanted = self.config.end_of_session(sheet.value.created_at, now);
        // Another request may have prolonged it already.
        if wanted.duration_since(sheet.value.expires_at) >= self.config.renew_after() {
            sheet.value.expires_at = wanted;
            let write = Write::replace(&sheet.value, sheet.revision).ok()?;
            if !self.store.write(vec![write], Vec::new()).await.ok()? {
                return None;
            }
        }
        let end = sheet.value.expires_at;
        let is_longer = end.as_second() > claims.exp;
        is_longer.then(|| Claims::new(&claims.sub, &claims.sid, now, end).sign(&self.sealer))
    }
}

/// How exactly the last use of a key is known.
const NOTE_USE_EVERY: SignedDuration = SignedDuration::from_mins(5);
