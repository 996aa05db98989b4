//! Whose requests are counted, and how.

/// Whose requests a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One client address (an IPv6 client counts as its /64).
    ClientIp,
    /// One caller: an inbound credential, or a name in a token.
    Key,
    /// One consumer, whichever integration it calls.
    Consumer,
    /// All requests to an integration.
    Integration,
    /// All requests to all integrations of an organization.
    Organization,
}

impl Scope {
    /// Its name in the `RateLimit` fields, and the label in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientIp => "client-ip",
            Self::Key => "key",
            Self::Consumer => "consumer",
            Self::Integration => "integration",
            Self::Organization => "organization",
        }
    }
}

/// How a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Requests in any window of its length.
    Window,
    /// Requests in any second.
    Second,
    /// Requests on a calendar day.
    Day,
    /// Requests under way at a time.
    Concurrent,
}

impl Kind {
    /// What its policy's name has after that of the scope.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Window => "",
            Self::Second => "-second",
            Self::Day => "-day",
            Self::Concurrent => "-concurrent",
        }
    }
}
