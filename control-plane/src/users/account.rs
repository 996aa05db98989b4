//! The account of a person.

use std::collections::BTreeSet;

use filters::model::{Problem, Secret};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::{Operator, Proof, Role};
use crate::store::{Shelf, Shelved};

/// The account of a person who may sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    pub(crate) id: String,
    #[serde(flatten)]
    pub(crate) profile: Profile,
    /// Argon2id, as a PHC string; none for those who sign in elsewhere only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password_hash: Option<Secret>,
    /// Who vouches for the person, where they sign in elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<Identity>,
    /// Grows when all sessions are to end; those of another number have ended.
    pub(crate) generation: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_login_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// What an administrator says of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Profile {
    /// In small letters, as it is unique.
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    /// All of them if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) org_ids: Option<BTreeSet<u64>>,
    pub(crate) is_active: bool,
}

/// How an identity provider knows somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Identity {
    /// The provider.
    pub(crate) issuer: String,
    /// The person, in the provider's words.
    pub(crate) subject: String,
}

/// A person as the API shows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    /// Identifier.
    pub(crate) id: String,
    /// E-mail address to sign in with.
    pub(crate) email: String,
    /// Name of the person, for others.
    pub(crate) name: String,
    /// What the person may do.
    pub(crate) role: Role,
    /// The organizations that the person works for; all of them if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) org_ids: Option<BTreeSet<u64>>,
    /// The organization, where there is exactly one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) org_id: Option<u64>,
    /// False for somebody who cannot sign in any more.
    pub(crate) is_active: bool,
    /// True if the person can sign in with a password.
    pub(crate) has_password: bool,
    /// How the identity provider knows the person, who signed in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<Identity>,
    /// When the person signed in last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub(crate) last_login_at: Option<Timestamp>,
    /// When the account was made.
    #[schemars(with = "String")]
    pub(crate) created_at: Timestamp,
    /// When it was changed last.
    #[schemars(with = "String")]
    pub(crate) updated_at: Timestamp,
}

impl User {
    /// A new person, who cannot sign in yet.
    pub(crate) fn new(profile: Profile, now: Timestamp) -> Self {
        Self {
            id: Uuid::now_v7().to_string(),
            profile,
            password_hash: None,
            identity: None,
            generation: 1,
            last_login_at: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// As the API shows them.
    pub(crate) fn shown(&self) -> Account {
        let Profile {
            email,
            name,
            role,
            org_ids,
            is_active,
        } = self.profile.clone();
        Account {
            id: self.id.clone(),
            org_id: org_ids.as_ref().and_then(only),
            email,
            name,
            role,
            org_ids,
            is_active,
            has_password: self.password_hash.is_some(),
            identity: self.identity.clone(),
            last_login_at: self.last_login_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    /// As somebody who asks in the session `session`.
    pub(super) fn operator(&self, session: &str) -> Operator {
        let proof = Proof::Session {
            id: session.to_owned(),
            user_id: self.id.clone(),
        };
        let Profile {
            email, role, org_ids, ..
        } = self.profile.clone();
        Operator::new(email, role, org_ids, proof)
    }
}

impl Shelved for User {
    const SHELF: Shelf = Shelf::Users;
    const NAME: &'static str = "user";

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        self.profile.org_ids.as_ref().and_then(only)
    }

    fn unique(&self) -> Option<String> {
        Some(self.profile.email.clone())
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("email", self.profile.email.clone()),
            ("role", self.profile.role.name().to_owned()),
        ]
    }
}

impl Profile {
    /// Brings the address into the one form in which it is unique, and says what is wrong with the rest.
    pub(crate) fn settle(&mut self, problems: &mut Vec<Problem>) {
        self.email = self.email.trim().to_lowercase();
        if !is_address(&self.email) {
            let message = format!("{:?} is no e-mail address such as ana@clinic.example", self.email);
            problems.push(Problem::new("email", message));
        }
        if self.name.len() > MOST_NAME {
            problems.push(Problem::new("name", format!("is longer than {MOST_NAME} bytes")));
        }
        if self.role == Role::ApiKey {
            problems.push(Problem::new(
                "role",
                "of a person is ADMIN, USER or READ_ONLY; API_KEY is for keys",
            ));
        }
        check_organizations(self.role, self.org_ids.as_ref(), problems);
    }
}

/// Whether a role goes with organizations; of people and of keys.
pub(super) fn check_organizations(role: Role, org_ids: Option<&BTreeSet<u64>>, problems: &mut Vec<Problem>) {
    let message = match (role, org_ids) {
        (Role::Admin, Some(_)) => "must be left out for the role ADMIN, which works for all organizations",
        (Role::User, None) => "must name the organizations that a USER works for",
        (_, Some(ids)) if ids.is_empty() => "must name at least one organization",
        (_, Some(ids)) if ids.len() > MOST_ORGANIZATIONS => "names too many organizations; at most 1,000 are allowed",
        (Role::Admin | Role::ApiKey | Role::ReadOnly, None) | (Role::User | Role::ApiKey | Role::ReadOnly, Some(_)) => {
            return;
        }
    };
    problems.push(Problem::new("orgIds", message));
}

/// True for what can be an address; whether it is one, only a mail tells.
pub(super) fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let is_plain = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    text.len() <= LONGEST_ADDRESS && is_plain(local) && is_plain(domain) && !domain.contains('@')
}

fn only(org_ids: &BTreeSet<u64>) -> Option<u64> {
    org_ids.first().copied().filter(|_| org_ids.len() == 1)
}

/// Of RFC 5321.
const LONGEST_ADDRESS: usize = 254;
const MOST_NAME: usize = 200;
const MOST_ORGANIZATIONS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(email: &str, role: Role, org_ids: Option<&[u64]>) -> Vec<String> {
        let mut profile = Profile {
            email: email.to_owned(),
            name: String::new(),
            role,
            org_ids: org_ids.map(|ids| ids.iter().copied().collect()),
            is_active: true,
        };
        let mut problems = Vec::new();
        profile.settle(&mut problems);
        problems.into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn who_may_work_where_is_checked() {
        let fine: [(Role, Option<&[u64]>); 4] = [
            (Role::Admin, None),
            (Role::User, Some(&[1, 2])),
            (Role::ReadOnly, None),
            (Role::ReadOnly, Some(&[1])),
        ];
        for (role, org_ids) in fine {
            assert_eq!(problems_of("ana@clinic.example", role, org_ids), [""; 0], "{role:?}");
        }
        let wrong: [(Role, Option<&[u64]>); 4] = [
            (Role::Admin, Some(&[1])),
            (Role::User, None),
            (Role::User, Some(&[])),
            (Role::ReadOnly, Some(&[])),
        ];
        for (role, org_ids) in wrong {
            assert_eq!(problems_of("ana@clinic.example", role, org_ids), ["orgIds"], "{role:?}");
        }
        assert_eq!(problems_of("ana@clinic.example", Role::ApiKey, None), ["role"]);
    }

    #[test]
    fn addresses_are_told_from_other_texts() {
        for wrong in [
            "",
            "ana",
            "@clinic.example",
            "ana@",
            "a na@clinic.example",
            "ana@clinic.example\n@x y",
        ] {
            assert_eq!(problems_of(wrong, Role::Admin, None), ["email"], "{wrong:?}");
        }
        assert_eq!(problems_of(" Ana@Clinic.Example ", Role::Admin, None), [""; 0]);
    }
}
