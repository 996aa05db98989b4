//! Somebody who may use the API, whatever showed who they are.

use std::collections::BTreeSet;

use filters::model::push::ObjectKind;
use http::Method;

use super::role::{Denied, Role};
use super::scope::{self, Scope};

/// Somebody who may use the API.
#[derive(Debug, PartialEq, Eq)]
pub struct Operator {
    /// Name of the key, or the user's e-mail address.
    pub name: String,
    /// How the request showed who is asking.
    pub proof: Proof,
    role: Role,
    /// The organizations that it may touch; `None` for all.
    org_ids: Option<BTreeSet<u64>>,
    /// What of its role it may do; `None` for all.
    scopes: Option<BTreeSet<Scope>>,
}

/// How a request showed who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By a key of the settings.
    OperatorKey,
    /// By a key that was made through the API.
    ApiKey {
        /// Identifier of the key.
        id: String,
    },
    /// By a token of somebody who signed in.
    Session {
        /// Identifier of the session.
        id: String,
        /// Identifier of the user.
        user_id: String,
    },
}

impl Operator {
    /// Somebody with this role in these organizations, in all of them if `None`.
    pub fn new(name: String, role: Role, org_ids: Option<BTreeSet<u64>>, proof: Proof) -> Self {
        Self {
            name,
            proof,
            role,
            org_ids,
            scopes: None,
        }
    }

    /// The same, limited to some of what the role may do; to nothing less if `None`.
    #[must_use]
    pub(crate) fn limited_to(self, scopes: Option<BTreeSet<Scope>>) -> Self {
        Self { scopes, ..self }
    }

    /// What they may do.
    pub fn role(&self) -> Role {
        self.role
    }

    /// True if it may touch `org_id`.
    pub fn may_touch(&self, org_id: u64) -> bool {
        self.org_ids.as_ref().is_none_or(|ids| ids.contains(&org_id))
    }

    /// The organizations that it may touch; `None` for all.
    pub fn org_ids(&self) -> Option<&BTreeSet<u64>> {
        self.org_ids.as_ref()
    }

    /// True if it may touch every organization, and what belongs to none.
    pub fn sees_all(&self) -> bool {
        self.org_ids.is_none()
    }

    /// What of its role it may do; `None` for all.
    pub(crate) fn scopes(&self) -> Option<&BTreeSet<Scope>> {
        self.scopes.as_ref()
    }

    /// Refuses a request that the role or the scopes do not allow, whatever organization it is about. `route` is the path
    /// with names in the place of its parameters, as `/api/v1/admin/users/{id}`.
    ///
    /// # Errors
    /// What the role would have to be, or which scope is missing.
    pub fn may_ask(&self, method: &Method, route: &str) -> Result<(), Denied> {
        self.role.permits(method, route)?;
        match &self.scopes {
            Some(scopes) => scope::permit(scopes, method, route),
            None => Ok(()),
        }
    }

    /// Refuses to change objects of a kind, by whatever route, if the kind's own one would.
    ///
    /// # Errors
    /// What the role would have to be, or which scope is missing.
    pub(crate) fn may_change(&self, kind: ObjectKind) -> Result<(), Denied> {
        self.may_ask(&Method::PUT, scope::route_of(kind))
    }
}
