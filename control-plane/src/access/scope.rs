//! Scopes of API keys: what a key may do within its role, as `logs:read`. Which one a request needs, its method and its route
//! say, by the same table as what its role must be.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use filters::model::push::ObjectKind;
use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::role::{Denied, Need, Role, Verb};

/// One right of a key that is limited to some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope {
    noun: Noun,
    verb: Verb,
}

/// Why a text is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoScope {
    /// It does not say what is done to what.
    #[error("{0:?} is no scope; write a noun and a verb, as `logs:read`")]
    Shape(String),
    /// There is nothing of that name.
    #[error("{0:?} is no scope; it must begin with one of {known}", known = known_nouns())]
    Noun(String),
    /// It cannot be done, or no key that is limited to scopes may do it; with what there is.
    #[error("{0:?} is no scope; there is {1}")]
    Verb(String, String),
}

impl Scope {
    /// Each scope that a key may be given.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Noun::ALL.into_iter().flat_map(Self::of_noun)
    }

    /// What a request needs of a key that is limited to scopes; `None` if no scope allows it.
    pub(crate) fn needed(method: &Method, route: &str) -> Option<Self> {
        let noun = Noun::of(route)?;
        let verb = Verb::of(method, route);
        noun.verbs().contains(&verb).then_some(Self { noun, verb })
    }

    /// True if a key with this scope may do what `other` allows: whoever changes something sees it as well.
    pub(crate) fn includes(self, other: Self) -> bool {
        self.noun == other.noun && (self.verb == other.verb || self.verb == Verb::Write)
    }

    /// Refuses a scope that allows nothing to a key of this role.
    ///
    /// # Errors
    /// What the role would have to be.
    pub(crate) fn fits(self, role: Role) -> Result<(), Denied> {
        match (role, self.verb) {
            (Role::Admin, _) => Ok(()),
            (Role::User | Role::ApiKey | Role::ReadOnly, _) if self.is_of_administrators() => Err(Denied::Admin),
            // Whoever only reads may try a change.
            (Role::ReadOnly, Verb::Write | Verb::Retry) if self.noun != Noun::Apply => Err(Denied::Write),
            (Role::User | Role::ApiKey | Role::ReadOnly, _) => Ok(()),
        }
    }

    /// True if only administrators are let in where it is good for.
    const fn is_of_administrators(self) -> bool {
        // To remove a gateway ends the erasures that wait for it.
        let removes_gateways = matches!((self.noun, self.verb), (Noun::Gateways, Verb::Write));
        removes_gateways
            || matches!(
                self.noun,
                Noun::Organizations
                    | Noun::OrgUnits
                    | Noun::RateLimits
                    | Noun::Erasures
                    | Noun::AuditLogs
                    | Noun::Users
                    | Noun::ApiKeys
            )
    }

    fn of_noun(noun: Noun) -> impl Iterator<Item = Self> {
        noun.verbs().iter().map(move |verb| Self { noun, verb: *verb })
    }
}

/// Refuses a request that none of `scopes` allows. Everybody may ask who they are.
///
/// # Errors
/// The scope that is missing.
pub(super) fn permit(scopes: &BTreeSet<Scope>, method: &Method, route: &str) -> Result<(), Denied> {
    if is_own(method, route) {
        return Ok(());
    }
    let needed = Scope::needed(method, route).ok_or(Denied::Unscoped)?;
    if scopes.iter().any(|scope| scope.includes(needed)) {
        Ok(())
    } else {
        Err(Denied::Scope(needed))
    }
}

/// True for a route that is about nobody but the one who asks, which needs no scope.
pub(crate) fn is_own(method: &Method, route: &str) -> bool {
    Need::of(method, route) == Need::Own
}

/// The route by which objects of a kind are changed: whoever may not change them there may not do so elsewhere.
pub(super) fn route_of(kind: ObjectKind) -> &'static str {
    match kind {
        // They are set in the settings; nobody else than administrators would be let in.
        ObjectKind::Security => "/api/v1/admin/security",
        ObjectKind::Organization => "/api/v1/admin/organizations/{id}",
        ObjectKind::Unit => "/api/v1/admin/org-units/{id}",
        ObjectKind::Integration => "/api/v1/inbound-integrations/{id}",
        ObjectKind::Outbound => "/api/v1/outbound-integrations/{id}",
        ObjectKind::EventType => "/api/v1/event-types/{id}",
        ObjectKind::ProducerKey => "/api/v1/producer-keys/{id}",
        ObjectKind::Certificate => "/api/v1/certificates/{id}",
        ObjectKind::Lookup => "/api/v1/lookups/{id}",
        ObjectKind::Consumer => "/api/v1/consumers/{id}",
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.noun, self.verb.name())
    }
}

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        let shape = || NoScope::Shape(text.to_owned());
        let (noun, verb) = text.split_once(':').ok_or_else(shape)?;
        let known = Noun::ALL.into_iter().find(|known| known.name() == noun);
        let noun = known.ok_or_else(|| NoScope::Noun(text.to_owned()))?;
        let mut scopes = Self::of_noun(noun);
        let scope = scopes.find(|scope| scope.verb.name() == verb);
        scope.ok_or_else(|| NoScope::Verb(text.to_owned(), known_scopes(noun)))
    }
}

impl TryFrom<String> for Scope {
    type Error = NoScope;

    fn try_from(text: String) -> Result<Self, NoScope> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl JsonSchema for Scope {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "KeyScope".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let all: Vec<String> = Self::all().map(|scope| scope.to_string()).collect();
        json_schema!({
            "type": "string",
            "description": "What a key may do: `read`, `write` (which includes all else of the noun) or `retry`.",
            "enum": all,
        })
    }
}

fn known_nouns() -> String {
    Noun::ALL.map(Noun::name).join(", ")
}

fn known_scopes(noun: Noun) -> String {
    let all: Vec<String> = Scope::of_noun(noun).map(|scope| scope.to_string()).collect();
    all.join(", ")
}

/// Makes [`Noun`] of the names that it has in routes, each with what is done to it.
macro_rules! nouns {
    ($($(#[$doc:meta])* $noun:ident = $name:literal [$($verb:ident),+],)+) => {
        /// What a route is about: the first part of its path, behind `admin`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        enum Noun {
            $($(#[$doc])* $noun,)+
        }

        impl Noun {
            const ALL: [Self; [$($name),+].len()] = [$(Self::$noun),+];

            /// As in routes and scopes.
            const fn name(self) -> &'static str {
                match self {
                    $(Self::$noun => $name,)+
                }
            }

            /// What a key with scopes may do to it.
            const fn verbs(self) -> &'static [Verb] {
                match self {
                    $(Self::$noun => &[$(Verb::$verb),+],)+
                }
            }
        }
    };
}

nouns! {
    /// Inbound integrations.
    InboundIntegrations = "inbound-integrations" [Read, Write],
    /// Outbound integrations, and their endpoints.
    OutboundIntegrations = "outbound-integrations" [Read, Write],
    /// Event types.
    EventTypes = "event-types" [Read, Write],
    /// Fields of events.
    FieldSchemas = "field-schemas" [Read, Write],
    /// Certificates.
    Certificates = "certificates" [Read, Write],
    /// Lookup tables.
    Lookups = "lookups" [Read, Write],
    /// Client systems.
    Consumers = "consumers" [Read, Write],
    /// Keys of producers.
    ProducerKeys = "producer-keys" [Read, Write],
    /// Templates.
    Templates = "templates" [Read, Write],
    /// Scheduled jobs.
    ScheduledJobs = "scheduled-jobs" [Read, Write],
    /// Changes to many objects.
    Apply = "apply" [Write],
    /// All that is configured.
    Export = "export" [Read],
    /// Versions, and rolling back.
    Versions = "versions" [Read, Write],
    /// Changes that are not published.
    Drafts = "drafts" [Read, Write],
    /// Versions that some gateways get first.
    Rollouts = "rollouts" [Read, Write],
    /// Deleted objects.
    Trash = "trash" [Read, Write],
    /// Attempts at deliveries.
    Logs = "logs" [Read],
    /// Calls.
    ExecutionLogs = "execution-logs" [Read],
    /// Dead letters.
    Dlq = "dlq" [Read, Retry, Write],
    /// Deliveries that wait for their time.
    ScheduledIntegrations = "scheduled-integrations" [Read, Write],
    /// Delivering events once more.
    Replay = "replay" [Write],
    /// What is not delivered yet.
    Undelivered = "undelivered" [Read],
    /// What gateways were told to do.
    Commands = "commands" [Read],
    /// The dashboard.
    Dashboard = "dashboard" [Read],
    /// Figures.
    Analytics = "analytics" [Read],
    /// Alerts.
    Alerts = "alerts" [Read],
    /// Gateways.
    Gateways = "gateways" [Read, Write],
    /// How the control plane is.
    Health = "health" [Read],
    /// The organization, as its people see it.
    Tenant = "tenant" [Read],
    /// How the console looks.
    UiConfig = "ui-config" [Read, Write],
    /// Organizations.
    Organizations = "organizations" [Read, Write],
    /// Units of organizations.
    OrgUnits = "org-units" [Read, Write],
    /// Limits, and how far they are used up.
    RateLimits = "rate-limits" [Read, Write],
    /// Erasures of people's data.
    Erasures = "erasures" [Read, Write],
    /// The audit.
    AuditLogs = "audit-logs" [Read],
    /// Accounts. Whoever makes one may do everything, so that no scope allows it.
    Users = "users" [Read],
    /// Keys of programs. Whoever makes one may do everything, so that no scope allows it.
    ApiKeys = "api-keys" [Read],
}

impl Noun {
    fn of(route: &str) -> Option<Self> {
        let mut parts = route.strip_prefix("/api/v1/").unwrap_or(route).split('/');
        let first = parts.next()?;
        let name = if first == "admin" { parts.next()? } else { first };
        Self::ALL.into_iter().find(|noun| noun.name() == name)
    }
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    #[test]
    fn a_scope_is_read_as_it_is_written() {
        for scope in Scope::all() {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        let problem = |text: &str| text.parse::<Scope>().unwrap_err().to_string();
        assert!(problem("logs").contains("noun and a verb"), "{}", problem("logs"));
        assert!(
            problem("log:read").contains("execution-logs"),
            "{}",
            problem("log:read")
        );
        assert_eq!(
            problem("users:write"),
            r#""users:write" is no scope; there is users:read"#
        );
    }

    #[test]
    fn whoever_changes_something_sees_it() {
        assert!(scope("dlq:write").includes(scope("dlq:read")));
        assert!(scope("dlq:write").includes(scope("dlq:retry")));
        assert!(!scope("dlq:retry").includes(scope("dlq:read")));
        assert!(!scope("dlq:read").includes(scope("dlq:write")));
        assert!(!scope("dlq:write").includes(scope("logs:read")));
    }

    #[test]
    fn method_and_route_say_which_scope_is_needed() {
        let needed = |method: Method, route: &str| Scope::needed(&method, route).map(|scope| scope.to_string());
        for (method, route, wanted) in [
            (Method::GET, "/api/v1/dlq/{id}", Some("dlq:read")),
            (Method::POST, "/api/v1/dlq/{id}/retry", Some("dlq:retry")),
            (Method::POST, "/api/v1/dlq/bulk-retry", Some("dlq:retry")),
            (Method::POST, "/api/v1/dlq/{id}/abandon", Some("dlq:write")),
            (Method::POST, "/api/v1/lookups/validate", Some("lookups:read")),
            (Method::GET, "/api/v1/admin/audit-logs", Some("audit-logs:read")),
            (Method::POST, "/api/v1/admin/users", None),
            (Method::GET, "/api/v1/unheard-of", None),
        ] {
            assert_eq!(needed(method, route).as_deref(), wanted, "{route}");
        }
        let own = permit(&BTreeSet::new(), &Method::GET, "/api/v1/auth/me");
        assert_eq!(own, Ok(()));
    }
}
