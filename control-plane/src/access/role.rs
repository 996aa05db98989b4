//! What each role may ask for: one table of methods and routes, looked at before any handler is.

use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scope::Scope;

/// What somebody may do within their organizations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// Everything, the routes below `/admin` included.
    Admin,
    /// Reads and changes what belongs to the organizations.
    User,
    /// The same, for programs.
    ApiKey,
    /// Reads what belongs to the organizations.
    ReadOnly,
}

/// Why somebody may not ask for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It is for administrators.
    #[error("this needs the role ADMIN")]
    Admin,
    /// It changes something.
    #[error("the role READ_ONLY changes nothing")]
    Write,
    /// The key is limited to scopes, and this one is not among them.
    #[error("this key has not the scope {0}")]
    Scope(Scope),
    /// The key is limited to scopes, and none allows this.
    #[error("no scope allows this; it needs a key without scopes")]
    Unscoped,
}

/// What is done to what a route is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verb {
    /// Nothing is changed.
    Read,
    /// What failed is tried again.
    Retry,
    /// All else.
    Write,
}

/// What a route is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Only the one who asks: their own session and password.
    Own,
    /// An administrator's work.
    Admin,
    /// Reading.
    Read,
    /// Changing, unless the body says that it is only tried; the handler asks for the right to write then.
    Try,
    /// Changing.
    Write,
}

impl Role {
    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "ADMIN",
            Self::User => "USER",
            Self::ApiKey => "API_KEY",
            Self::ReadOnly => "READ_ONLY",
        }
    }

    /// True if it may change something at all.
    pub const fn may_write(self) -> bool {
        match self {
            Self::Admin | Self::User | Self::ApiKey => true,
            Self::ReadOnly => false,
        }
    }

    /// Refuses what the role may not ask for.
    pub(super) fn permits(self, method: &Method, route: &str) -> Result<(), Denied> {
        match (Need::of(method, route), self) {
            (_, Self::Admin) | (Need::Own | Need::Read | Need::Try, _) => Ok(()),
            (Need::Admin, Self::User | Self::ApiKey | Self::ReadOnly) => Err(Denied::Admin),
            (Need::Write, Self::User | Self::ApiKey) => Ok(()),
            (Need::Write, Self::ReadOnly) => Err(Denied::Write),
        }
    }
}

impl Need {
    /// A route that is not named here needs the right to write, unless its method only reads: one that is forgotten is
    /// refused and not let through.
    pub(super) fn of(method: &Method, route: &str) -> Self {
        match (ends_of(route), Verb::of(method, route)) {
            (("auth", _), _) => Self::Own,
            (("admin", _), _) | (("gateways", _), Verb::Write) => Self::Admin,
            (_, Verb::Read) => Self::Read,
            (("apply", "apply"), _) if method == Method::POST => Self::Try,
            (_, Verb::Retry | Verb::Write) => Self::Write,
        }
    }
}

impl Verb {
    /// Its name in scopes.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Retry => "retry",
            Self::Write => "write",
        }
    }

    /// What a request does.
    pub(super) fn of(method: &Method, route: &str) -> Self {
        let (first, last) = ends_of(route);
        match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => Self::Read,
            Method::POST if READING.contains(&last) => Self::Read,
            Method::POST if first == "dlq" && RETRYING.contains(&last) => Self::Retry,
            _ => Self::Write,
        }
    }
}

/// The first part of a route behind `/api/v1`, and the last one.
fn ends_of(route: &str) -> (&str, &str) {
    let route = route.strip_prefix("/api/v1").unwrap_or(route);
    let first = route.split('/').nth(1).unwrap_or_default();
    (first, route.rsplit('/').next().unwrap_or_default())
}

/// What a POST route ends in that changes nothing: it has a body because what it asks is long.
const READING: [&str; 5] = ["validate", "test", "diff", "compare", "preview"];
/// What a POST route to dead letters ends in that tries them again.
const RETRYING: [&str; 2] = ["retry", "bulk-retry"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_routes_of_administrators_are_theirs() {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let route = "/api/v1/admin/users/{id}";
            assert_eq!(Role::Admin.permits(&method, route), Ok(()));
            for role in [Role::User, Role::ApiKey, Role::ReadOnly] {
                assert_eq!(role.permits(&method, route), Err(Denied::Admin), "{role:?}");
            }
        }
        let not_below = "/api/v1/inbound-integrations/admin";
        assert_eq!(Role::User.permits(&Method::GET, not_below), Ok(()));
    }

    #[test]
    fn reading_is_told_from_writing() {
        let reads = |method: Method, route: &str| Role::ReadOnly.permits(&method, route).is_ok();
        assert!(reads(Method::GET, "/api/v1/dlq"));
        assert!(reads(Method::POST, "/api/v1/outbound-integrations/{id}/test"));
        assert!(reads(Method::POST, "/api/v1/auth/logout"));
        assert!(!reads(Method::POST, "/api/v1/outbound-integrations/{id}/deliver-test"));
        assert!(!reads(Method::POST, "/api/v1/dlq/{id}/retry"));
        assert!(!reads(Method::PUT, "/api/v1/lookups/validate"));
        assert!(!reads(Method::DELETE, "/api/v1/lookups/{id}"));
    }
}
