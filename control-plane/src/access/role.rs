//! What each role may ask for: one table of methods and routes, looked at before any handler is.

use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// Why a role may not ask for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It is for administrators.
    #[error("this needs the role ADMIN")]
    Admin,
    /// It changes something.
    #[error("the role READ_ONLY changes nothing")]
    Write,
}

/// What a route is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
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
    fn of(method: &Method, route: &str) -> Self {
        let route = route.strip_prefix("/api/v1").unwrap_or(route);
        let first = route.split('/').nth(1).unwrap_or_default();
        let last = route.rsplit('/').next().unwrap_or_default();
        match (first, last) {
            ("auth", _) => Self::Own,
            ("admin", _) => Self::Admin,
            _ if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) => Self::Read,
            ("apply", "apply") if method == Method::POST => Self::Try,
            (_, last) if method == Method::POST && READING.contains(&last) => Self::Read,
            _ => Self::Write,
        }
    }
}

/// What a POST route ends in that changes nothing: it has a body because what it asks is long.
const READING: [&str; 5] = ["validate", "test", "diff", "compare", "preview"];

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
