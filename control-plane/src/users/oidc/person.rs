//! Who somebody is here, by what the provider says of them.

use std::collections::BTreeSet;

use filters::model::Problem;
use jiff::Timestamp;
use serde_json::Value;

use super::super::account::{Identity, Profile, User, is_address};
use super::super::people::entry;
use super::super::session::Means;
use super::super::sign_in::{MOST_TRIES, Origin, SignedIn};
use super::super::{Users, UsersError};
use super::OidcError;
use crate::access::Role;
use crate::audit::Actor;
use crate::config::oidc::OidcConfig;
use crate::store::{Sheet, Write};

/// Somebody whom the provider knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    identity: Identity,
    email: String,
    /// True if the provider saw that the address is theirs.
    email_verified: bool,
    name: String,
    role: Role,
    org_ids: Option<BTreeSet<u64>>,
}

impl Known {
    /// Reads the claims of a token that was checked.
    pub(super) fn read(claims: &Value, config: &OidcConfig) -> Result<Self, OidcError> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let (subject, email) = (text("sub"), text("email").trim().to_lowercase());
        if subject.is_empty() || !is_address(&email) {
            let message = "the identity provider names no `sub` or no `email`; ask it for the scope `email`";
            return Err(OidcError::Person(message.to_owned()));
        }
        let values = values(at(claims, &config.roles_claim));
        let role = values
            .iter()
            .filter_map(|value| config.roles.get(value).copied())
            .min_by_key(|role| match role {
                Role::Admin => 0,
                Role::User => 1,
                Role::ApiKey => 2,
                Role::ReadOnly => 3,
            });
        let role = role.ok_or_else(|| OidcError::NoRole(config.roles_claim.clone()))?;
        let org_ids: BTreeSet<u64> = self::values(at(claims, &config.organizations_claim))
            .iter()
            .filter_map(|value| value.parse().ok())
            .collect();
        if role != Role::Admin && org_ids.is_empty() {
            // Never all of them because a claim is missing.
            let message = format!(
                "the identity provider names no organization: claim `{}`",
                config.organizations_claim
            );
            return Err(OidcError::Person(message));
        }
        Ok(Self {
            identity: Identity {
                issuer: config.issuer.clone(),
                subject: subject.to_owned(),
            },
            email,
            email_verified: claims.get("email_verified") == Some(&Value::Bool(true)),
            name: text("name").chars().take(MOST_NAME).collect(),
            role,
            org_ids: (role != Role::Admin).then_some(org_ids),
        })
    }

    fn profile(&self, is_active: bool) -> Profile {
        Profile {
            email: self.email.clone(),
            name: self.name.clone(),
            role: self.role,
            org_ids: self.org_ids.clone(),
            is_active,
        }
    }
}

impl Users {
    /// Signs in somebody whom the provider knows; makes their account, or changes it as the provider says.
    pub(super) async fn sign_in_known(
        &self,
        known: Known,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<SignedIn, OidcError> {
        let actor = Actor {
            name: known.email.clone(),
            request_id: origin.request_id.clone(),
        };
        for _ in 0..MOST_TRIES {
            let Some(sheet) = self.account_of(&known).await? else {
                let user = User {
                    identity: Some(known.identity.clone()),
                    ..User::new(settled(known.profile(true))?, now)
                };
                let entry = entry(&actor, "user.create", None, Some(&user));
                let made = self
                    .store
                    .write(vec![Write::new(&user).map_err(UsersError::from)?], vec![entry])
                    .await;
                if made.map_err(UsersError::from)? {
                    return Ok(self
                        .begin(
                            Sheet {
                                revision: 1,
                                value: user,
                            },
                            Means::Oidc,
                            origin,
                            now,
                        )
                        .await?);
                }
                continue;
            };
            let before = sheet.value.clone();
            if !before.profile.is_active {
                return Err(OidcError::Person("this account is not active".to_owned()));
            }
            let mut user = before.clone();
            user.profile = settled(known.profile(true))?;
            user.identity = Some(known.identity.clone());
            if user == before {
                return Ok(self.begin(sheet, Means::Oidc, origin, now).await?);
            }
            user.updated_at = now;
            let entry = entry(&actor, "user.update", Some(&before), Some(&user));
            let write = Write::replace(&user, sheet.revision).map_err(UsersError::from)?;
            let changed = self.store.write(vec![write], vec![entry]).await;
            self.known.forget_all();
            if changed.map_err(UsersError::from)? {
                let sheet = Sheet {
                    revision: sheet.revision + 1,
                    value: user,
                };
                return Ok(self.begin(sheet, Means::Oidc, origin, now).await?);
            }
        }
        Err(UsersError::Busy.into())
    }

    /// The account of the person: the one that the provider's person signed in to before, or the one with their address.
    async fn account_of(&self, known: &Known) -> Result<Option<Sheet<User>>, OidcError> {
        let people = self.people().await?;
        let earlier = people
            .iter()
            .find(|user| user.identity.as_ref() == Some(&known.identity));
        if let Some(user) = earlier {
            return Ok(self.store.sheet(&user.id).await.map_err(UsersError::from)?);
        }
        let same: Option<Sheet<User>> = self.store.sheet_of(&known.email).await.map_err(UsersError::from)?;
        match &same {
            Some(user) if user.value.identity.is_some() => Err(OidcError::Person(
                "this address has the account of somebody else".to_owned(),
            )),
            // Whoever says that an address is theirs must not get the account that has it.
            Some(_) if !known.email_verified => Err(OidcError::Person(
                "this address has an account, and the identity provider does not say that it was verified".to_owned(),
            )),
            _ => Ok(same),
        }
    }
}

fn settled(mut profile: Profile) -> Result<Profile, UsersError> {
    let mut problems: Vec<Problem> = Vec::new();
    profile.settle(&mut problems);
    if problems.is_empty() {
        Ok(profile)
    } else {
        Err(UsersError::Problems(problems))
    }
}

/// A claim, by its name or by a path with dots.
fn at<'a>(claims: &'a Value, path: &str) -> Option<&'a Value> {
    claims
        .get(path)
        .or_else(|| path.split('.').try_fold(claims, |value, part| value.get(part)))
}

/// The values of a claim: those of a list, or a single one.
fn values(claim: Option<&Value>) -> Vec<String> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match claim {
        Some(Value::Array(all)) => all.iter().filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
        None => Vec::new(),
    }
}

const MOST_NAME: usize = 100;
