//! Keys of programs, made through the API: shown once, kept as hashes.

use std::collections::BTreeSet;

use filters::model::{Problem, Secret};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::account::check_organizations;
use crate::access::{KeyHash, Operator, Proof, Role, Scope, random_key};
use crate::store::{Shelf, Shelved};

/// A key of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApiKey {
    pub(crate) id: String,
    pub(crate) terms: Terms,
    /// `sha256:` and 64 hexadecimal digits.
    pub(crate) hash: Secret,
    /// How the key begins, so that people know it again.
    pub(crate) begins: String,
    pub(crate) created_by: String,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_used_at: Option<Timestamp>,
}

/// What an administrator says of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Terms {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// All of them if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) org_ids: Option<BTreeSet<u64>>,
    /// All that the role allows if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scopes: Option<BTreeSet<Scope>>,
    pub(crate) is_active: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Timestamp>,
}

/// A key as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ShownApiKey")]
pub(crate) struct Shown {
    /// Identifier.
    pub(crate) id: String,
    /// Name of the program; appears in logs, versions and the audit.
    pub(crate) name: String,
    /// The key itself; only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Secret>,
    /// How the key begins.
    pub(crate) begins: String,
    /// What the program may do.
    pub(crate) role: Role,
    /// The organizations that it may touch; all of them if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) org_ids: Option<BTreeSet<u64>>,
    /// What of its role it may do; all of it if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scopes: Option<BTreeSet<Scope>>,
    /// False for a key that is refused.
    pub(crate) is_active: bool,
    /// When it is refused from; never if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub(crate) expires_at: Option<Timestamp>,
    /// When it was used last, within some minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub(crate) last_used_at: Option<Timestamp>,
    /// Who made it.
    pub(crate) created_by: String,
    /// When it was made.
    #[schemars(with = "String")]
    pub(crate) created_at: Timestamp,
    /// When it was changed last.
    #[schemars(with = "String")]
    pub(crate) updated_at: Timestamp,
}

impl ApiKey {
    /// A new key, and what it is in clear.
    pub(super) fn new(terms: Terms, created_by: &str, now: Timestamp) -> (Self, Secret) {
        let key = Secret::new(format!("{PREFIX}{}", random_key().expose()));
        let kept = Self {
            id: Uuid::now_v7().to_string(),
            terms,
            hash: hash_of(key.expose()),
            begins: key.expose().chars().take(SHOWN).collect(),
            created_by: created_by.to_owned(),
            created_at: now,
            updated_at: now,
            last_used_at: None,
        };
        (kept, key)
    }

    /// As the API shows it.
    pub(crate) fn shown(&self) -> Shown {
        let Terms {
            name,
            role,
            org_ids,
            scopes,
            is_active,
            expires_at,
        } = self.terms.clone();
        Shown {
            id: self.id.clone(),
            name,
            key: None,
            begins: self.begins.clone(),
            role,
            org_ids,
            scopes,
            is_active,
            expires_at,
            last_used_at: self.last_used_at,
            created_by: self.created_by.clone(),
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    /// As somebody who asks with it; `None` if it is not to be used.
    pub(super) fn operator(&self, now: Timestamp) -> Option<Operator> {
        let Terms {
            name,
            role,
            org_ids,
            scopes,
            is_active,
            expires_at,
        } = self.terms.clone();
        let proof = Proof::ApiKey { id: self.id.clone() };
        let is_over = expires_at.is_some_and(|end| end <= now);
        (is_active && !is_over).then(|| Operator::new(name, role, org_ids, proof).limited_to(scopes))
    }
}

impl Terms {
    /// Says what is wrong with them.
    pub(crate) fn check(&self, problems: &mut Vec<Problem>) {
        if self.name.trim().is_empty() {
            problems.push(Problem::new("name", "must not be empty"));
        } else if self.name.len() > MOST_NAME {
            problems.push(Problem::new("name", format!("is longer than {MOST_NAME} bytes")));
        }
        if self.role == Role::User {
            problems.push(Problem::new(
                "role",
                "of a key is ADMIN, API_KEY or READ_ONLY; USER is for people",
            ));
        }
        check_organizations(self.role, self.org_ids.as_ref(), problems);
        if self.scopes.as_ref().is_some_and(BTreeSet::is_empty) {
            problems.push(Problem::new(
                "scopes",
                "name nothing; leave them out for all that the role allows",
            ));
        }
        for scope in self.scopes.iter().flatten() {
            if let Err(denied) = scope.fits(self.role) {
                let message = format!("{scope} allows nothing to this key: {denied}");
                problems.push(Problem::new("scopes", message));
            }
        }
    }
}

impl Shelved for ApiKey {
    const SHELF: Shelf = Shelf::ApiKeys;
    const NAME: &'static str = "API key";

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        let org_ids = self.terms.org_ids.as_ref()?;
        org_ids.first().copied().filter(|_| org_ids.len() == 1)
    }

    fn unique(&self) -> Option<String> {
        Some(self.hash.expose().to_owned())
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("name", self.terms.name.clone()),
            ("role", self.terms.role.name().to_owned()),
        ]
    }
}

/// What is kept of a key in clear.
pub(super) fn hash_of(key: &str) -> Secret {
    Secret::new(KeyHash::of(key).to_text())
}

/// True for what can be one of these keys, so that the store is not asked about others.
pub(super) fn is_one(key: &str) -> bool {
    key.starts_with(PREFIX) && key.len() == PREFIX.len() + KEY_DIGITS
}

/// By what people, and programs that look for leaked keys, know one.
const PREFIX: &str = "igk_";
const KEY_DIGITS: usize = 64;
/// Characters of a key that are shown.
const SHOWN: usize = 12;
const MOST_NAME: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(role: Role, org_ids: Option<&[u64]>) -> Terms {
        Terms {
            name: "nightly export".to_owned(),
            role,
            org_ids: org_ids.map(|ids| ids.iter().copied().collect()),
            scopes: None,
            is_active: true,
            expires_at: None,
        }
    }

    #[test]
    fn a_key_is_kept_as_its_hash_and_used_in_its_time() {
        let now = Timestamp::from_second(1_000).unwrap();
        let (mut kept, key) = ApiKey::new(terms(Role::ApiKey, None), "ops", now);
        assert!(is_one(key.expose()) && !is_one("igk_short"));
        assert_eq!(hash_of(key.expose()), kept.hash);
        let written = serde_json::to_string(&kept).unwrap();
        assert!(!written.contains(&key.expose()[SHOWN..]), "{written}");
        assert!(kept.operator(now).is_some());
        kept.terms.expires_at = Some(now);
        assert!(kept.operator(now).is_none(), "its time is over");
        kept.terms.expires_at = None;
        kept.terms.is_active = false;
        assert!(kept.operator(now).is_none());
    }

    #[test]
    fn what_a_key_may_touch_is_checked() {
        let problems_of = |terms: Terms| {
            let mut problems = Vec::new();
            terms.check(&mut problems);
            problems.into_iter().map(|problem| problem.path).collect::<Vec<_>>()
        };
        assert_eq!(problems_of(terms(Role::ApiKey, Some(&[648]))), [""; 0]);
        assert_eq!(problems_of(terms(Role::Admin, Some(&[648]))), ["orgIds"]);
        assert_eq!(problems_of(terms(Role::ApiKey, Some(&[]))), ["orgIds"]);
        assert_eq!(problems_of(terms(Role::User, Some(&[648]))), ["role"]);
        let scoped = |role, scopes: &[&str]| Terms {
            scopes: Some(scopes.iter().map(|scope| scope.parse().unwrap()).collect()),
            ..terms(role, None)
        };
        assert_eq!(problems_of(scoped(Role::ApiKey, &["logs:read", "dlq:retry"])), [""; 0]);
        assert_eq!(problems_of(scoped(Role::ApiKey, &[])), ["scopes"]);
        assert_eq!(problems_of(scoped(Role::ApiKey, &["org-units:read"])), ["scopes"]);
        assert_eq!(problems_of(scoped(Role::Admin, &["org-units:read"])), [""; 0]);
        // A reader's key may still try what it cannot apply.
        assert_eq!(problems_of(scoped(Role::ReadOnly, &["apply:write"])), [""; 0]);
        assert_eq!(problems_of(scoped(Role::ReadOnly, &["dlq:retry"])), ["scopes"]);
    }
}
