//! Signing in and out, and what people do with their own account.

use std::net::IpAddr;

use filters::model::{Problem, Secret};
use jiff::Timestamp;
use serde_json::json;

use super::account::{Profile, User, is_address};
use super::first_admin::FIRST_ID;
use super::password;
use super::session::{Means, Session};
use super::token::Claims;
use super::{Users, UsersError};
use crate::access::Role;
use crate::audit::{Actor, AuditEntry};
use crate::store::{Sheet, Write};

/// Where a request comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// The address itself.
    pub(crate) address: Option<IpAddr>,
    /// What counts as one place: the address, or an IPv6 site.
    pub(crate) site: Option<IpAddr>,
    pub(crate) request_id: Option<String>,
}

/// Somebody who signed in just now.
#[derive(Debug)]
pub(crate) struct SignedIn {
    pub(crate) token: Secret,
    /// When it is over, if it is not used.
    pub(crate) expires_at: Timestamp,
    pub(crate) user: User,
}

impl Users {
    /// Signs somebody in who knows their password. It takes as long, and says the same, whether there is no such account
    /// or the password is wrong.
    ///
    /// # Errors
    /// Why not.
    pub(crate) async fn sign_in(
        &self,
        email: &str,
        password: &Secret,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<SignedIn, UsersError> {
        let email = email.trim().to_lowercase();
        // What is no address is one account that nobody has.
        let account = if is_address(&email) { email.as_str() } else { "" };
        self.throttle
            .take(account, origin.site)
            .map_err(UsersError::Throttled)?;
        let signed_in = self.try_sign_in(account, password, origin, now).await;
        if !matches!(signed_in, Err(UsersError::Wrong)) {
            self.throttle.forgive(account, origin.site);
        }
        signed_in
    }

    /// Signs in somebody who is known to be this user.
    pub(super) async fn begin(
        &self,
        mut user: Sheet<User>,
        means: Means,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<SignedIn, UsersError> {
        for _ in 0..MOST_TRIES {
            let was = user.value.clone();
            user.value.last_login_at = Some(now);
            let (session, entry) = self.session_of(&user.value, means, origin, now);
            let writes = vec![Write::new(&session)?, Write::replace(&user.value, user.revision)?];
            if self.store.write(writes, vec![entry]).await? {
                return Ok(self.signed_in(user.value, &session, now));
            }
            // The account was changed at the same time: whoever was let in by what it was before is not let in now.
            let newer = self.store.sheet::<User>(&was.id).await?.ok_or(UsersError::Wrong)?;
            let goes_on = newer.value.profile.is_active && newer.value.generation == was.generation;
            if !goes_on {
                return Err(UsersError::Wrong);
            }
            user = newer;
        }
        Err(UsersError::Busy)
    }

    /// Ends a session. One that has ended already stays so.
    ///
    /// # Errors
    /// If the store does not work.
    pub(crate) async fn sign_out(&self, session: &str, user_id: &str, actor: &Actor) -> Result<(), UsersError> {
        let entry = actor.did("auth.logout", target(user_id), None);
        let written = self
            .store
            .write(vec![Write::delete::<Session>(session, None)], vec![entry])
            .await;
        self.known.forget_all();
        written?;
        Ok(())
    }

    /// A new token for a session, which goes on for as long as if it had begun to be unused now.
    ///
    /// # Errors
    /// If the session has ended, or the store does not work.
    pub(crate) async fn refresh(&self, session: &str, now: Timestamp) -> Result<SignedIn, UsersError> {
        for _ in 0..MOST_TRIES {
            let mut sheet = self
                .store
                .sheet::<Session>(session)
                .await?
                .ok_or(UsersError::NoSession)?;
            let user = self.store.sheet::<User>(&sheet.value.user_id).await?;
            let goes_on = |user: &User| user.profile.is_active && user.generation == sheet.value.generation;
            let user = user
                .map(|user| user.value)
                .filter(goes_on)
                .ok_or(UsersError::NoSession)?;
            sheet.value.expires_at = self.config.end_of_session(sheet.value.created_at, now);
            let write = Write::replace(&sheet.value, sheet.revision)?;
            if self.store.write(vec![write], Vec::new()).await? {
                return Ok(self.signed_in(user, &sheet.value, now));
            }
        }
        Err(UsersError::Busy)
    }

    /// Gives a person who knows their password another one. All their sessions end, and a new one begins.
    ///
    /// # Errors
    /// Why not.
    pub(crate) async fn change_own_password(
        &self,
        user_id: &str,
        current: &Secret,
        new: &Secret,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<SignedIn, UsersError> {
        let user = self.store.sheet::<User>(user_id).await?.ok_or(UsersError::NoSession)?;
        let email = user.value.profile.email.clone();
        let mut problems = Vec::new();
        password::check(new, &email, "newPassword", &mut problems);
        if new == current {
            problems.push(Problem::new("newPassword", "is the current password"));
        }
        if !problems.is_empty() {
            return Err(UsersError::Problems(problems));
        }
        self.throttle.take(&email, origin.site).map_err(UsersError::Throttled)?;
        if !self.is_password(current, user.value.password_hash.as_ref()).await? {
            return Err(UsersError::Problems(vec![Problem::new("currentPassword", "is wrong")]));
        }
        self.throttle.forgive(&email, origin.site);
        let hash = self.passwords.hash(new).await?;
        let mut changed = user.value.clone();
        changed.password_hash = Some(hash);
        changed.generation += 1;
        changed.updated_at = now;
        let (session, _) = self.session_of(&changed, Means::Password, origin, now);
        let actor = Actor {
            name: email,
            request_id: origin.request_id.clone(),
        };
        let entry = actor.did("auth.password", target(user_id), None);
        let writes = vec![Write::new(&session)?, Write::replace(&changed, user.revision)?];
        let written = self.store.write(writes, vec![entry]).await;
        self.known.forget_all();
        if written? {
            Ok(self.signed_in(changed, &session, now))
        } else {
            Err(UsersError::Busy)
        }
    }

    /// Makes the first administrator, for whoever has the token that was shown at the start.
    ///
    /// # Errors
    /// Why not.
    pub(crate) async fn make_first_admin(
        &self,
        token: &Secret,
        email: String,
        name: String,
        password: &Secret,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<SignedIn, UsersError> {
        self.throttle.take("", origin.site).map_err(UsersError::Throttled)?;
        if !self.first_admin.is(token) {
            return Err(UsersError::NotFirst);
        }
        self.throttle.forgive("", origin.site);
        let mut profile = Profile {
            email,
            name,
            role: Role::Admin,
            org_ids: None,
            is_active: true,
        };
        let mut problems = Vec::new();
        profile.settle(&mut problems);
        password::check(password, &profile.email, "password", &mut problems);
        if !problems.is_empty() {
            return Err(UsersError::Problems(problems));
        }
        let is_anybody = !self.store.sheets::<User>(None, None, 1).await?.is_empty();
        let user = User {
            id: FIRST_ID.to_owned(),
            password_hash: Some(self.passwords.hash(password).await?),
            last_login_at: Some(now),
            ..User::new(profile, now)
        };
        let (session, entry) = self.session_of(&user, Means::FirstAdmin, origin, now);
        let made = AuditEntry {
            action: "auth.first-admin".to_owned(),
            ..entry.with(None::<&()>, Some(&user.shown()))
        };
        let writes = vec![Write::new(&user)?, Write::new(&session)?];
        if is_anybody || !self.store.write(writes, vec![made]).await? {
            self.first_admin.done();
            return Err(UsersError::NotFirst);
        }
        self.first_admin.done();
        Ok(self.signed_in(user, &session, now))
    }

    async fn try_sign_in(
        &self,
        email: &str,
        password: &Secret,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<SignedIn, UsersError> {
        let user = self.store.sheet_of::<User>(email).await?;
        let kept = user.as_ref().and_then(|user| user.value.password_hash.as_ref());
        let matches = self.is_password(password, kept).await?;
        let (id, is_active) = match &user {
            Some(user) => (Some(user.value.id.clone()), user.value.profile.is_active),
            None => (None, false),
        };
        if let Some(user) = user.filter(|_| matches && is_active) {
            return self.begin(user, Means::Password, origin, now).await;
        }
        let actor = Actor {
            // What is no address may be a password in the wrong field.
            name: if email.is_empty() { "nobody" } else { email }.to_owned(),
            request_id: origin.request_id.clone(),
        };
        let reason = match (&id, matches) {
            (None, _) => "there is no such account",
            (Some(_), false) => "the password is wrong",
            (Some(_), true) => "the account is not active",
        };
        let target = id.map_or_else(|| "no user".to_owned(), |id| target(&id));
        let after = json!({"address": origin.address, "reason": reason});
        let entry = actor
            .did("auth.login-failed", target, None)
            .with(None::<&()>, Some(&after));
        self.store.write(Vec::new(), vec![entry]).await?;
        Err(UsersError::Wrong)
    }

    async fn is_password(&self, given: &Secret, kept: Option<&Secret>) -> Result<bool, UsersError> {
        if password::is_too_long(given) {
            return Ok(self.passwords.verify(&Secret::new(""), None).await?);
        }
        Ok(self.passwords.verify(given, kept).await?)
    }

    /// A new session of `user`, and what the audit says of it.
    fn session_of(&self, user: &User, means: Means, origin: &Origin, now: Timestamp) -> (Session, AuditEntry) {
        let end = self.config.end_of_session(now, now);
        let session = Session {
            address: origin.address.map(|address| address.to_string()),
            ..Session::new(&user.id, user.generation, means, now, end)
        };
        let actor = Actor {
            name: user.profile.email.clone(),
            request_id: origin.request_id.clone(),
        };
        let after = json!({"address": origin.address, "means": means, "session": session.id});
        let entry = actor
            .did("auth.login", target(&user.id), None)
            .with(None::<&()>, Some(&after));
        (session, entry)
    }

    fn signed_in(&self, user: User, session: &Session, now: Timestamp) -> SignedIn {
        let claims = Claims::new(&user.id, &session.id, now, session.expires_at);
        SignedIn {
            token: claims.sign(&self.sealer),
            expires_at: session.expires_at,
            user,
        }
    }
}

/// A user, in the audit.
pub(super) fn target(user_id: &str) -> String {
    format!("user {user_id}")
}

/// How often something is written anew when others are faster.
pub(super) const MOST_TRIES: usize = 5;
