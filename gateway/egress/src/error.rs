//! What can go wrong on the way to a partner. No message holds a header, a body, a query or a credential.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use filters::address::RefusedAddress;

/// Why there is no answer, or no whole one.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// Every address of the host is one that the policy keeps connections away from.
    #[error("{host} may not be connected to: {refused}")]
    Refused {
        /// The host of the target.
        host: String,
        /// The first of its addresses, and why it was refused.
        refused: RefusedAddress,
    },
    /// The host's name could not be resolved.
    #[error(transparent)]
    Resolve(ResolveError),
    /// The partner did not take the connection.
    #[error("cannot connect to {host} at {address}: {source}")]
    Connect {
        /// The host of the target.
        host: String,
        /// The address that was tried last.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The connection is there, but no trust in who answers.
    #[error("no TLS connection with {host} at {address}: {source}")]
    Tls {
        /// The host of the target, which the certificate was checked against.
        host: String,
        /// The address that was connected to.
        address: SocketAddr,
        /// What failed in the handshake.
        source: io::Error,
    },
    /// No connection in time, name resolution and TLS included.
    #[error("no connection to {host} within {} ms", after.as_millis())]
    ConnectTimeout {
        /// The host of the target.
        host: String,
        /// The limit.
        after: Duration,
    },
    /// The request was handed over, and no head of an answer came in time.
    #[error("no answer from {host} within {} ms", after.as_millis())]
    FirstByteTimeout {
        /// The host of the target.
        host: String,
        /// The limit.
        after: Duration,
    },
    /// The exchange was not over in time, the body of the answer included.
    #[error("the exchange with {host} was not over within {} ms", after.as_millis())]
    TotalTimeout {
        /// The host of the target.
        host: String,
        /// The limit.
        after: Duration,
    },
    /// The connection broke, or what came is no HTTP answer.
    #[error("no valid answer from {host}: {source}")]
    Protocol {
        /// The host of the target.
        host: String,
        /// What hyper says.
        source: hyper::Error,
    },
    /// The partner switched protocols without being asked.
    #[error("{host} answered with status {status}, which is no answer to this request")]
    UnexpectedUpgrade {
        /// The host of the target.
        host: String,
        /// The status.
        status: u16,
    },
    /// The body of the answer broke off, or its framing is wrong.
    #[error("the body of the answer from {host} broke off: {source}")]
    Body {
        /// The host of the target.
        host: String,
        /// What hyper says.
        source: hyper::Error,
    },
    /// The body of the answer is larger than the caller takes.
    #[error("the body of the answer from {host} is larger than {max} bytes")]
    BodyTooLarge {
        /// The host of the target.
        host: String,
        /// The cap in bytes.
        max: usize,
    },
}

impl EgressError {
    /// True if time ran out: 504 rather than 502 for a client that waits.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::ConnectTimeout { .. } | Self::FirstByteTimeout { .. } | Self::TotalTimeout { .. } => true,
            Self::Resolve(error) => matches!(error, ResolveError::Timeout { .. }),
            Self::Refused { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Protocol { .. }
            | Self::UnexpectedUpgrade { .. }
            | Self::Body { .. }
            | Self::BodyTooLarge { .. } => false,
        }
    }

    /// False if not a byte of the request can have reached the partner, so that trying again repeats nothing.
    pub fn may_have_been_sent(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::Resolve(_)
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::ConnectTimeout { .. } => false,
            Self::FirstByteTimeout { .. }
            | Self::TotalTimeout { .. }
            | Self::Protocol { .. }
            | Self::UnexpectedUpgrade { .. }
            | Self::Body { .. }
            | Self::BodyTooLarge { .. } => true,
        }
    }

    /// A short constant name, for metrics and log fields.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::Resolve(_) => "resolve",
            Self::Connect { .. } => "connect",
            Self::Tls { .. } => "tls",
            Self::ConnectTimeout { .. } => "connect_timeout",
            Self::FirstByteTimeout { .. } => "first_byte_timeout",
            Self::TotalTimeout { .. } => "total_timeout",
            Self::Protocol { .. } => "protocol",
            Self::UnexpectedUpgrade { .. } => "unexpected_upgrade",
            Self::Body { .. } => "body",
            Self::BodyTooLarge { .. } => "body_too_large",
        }
    }
}

impl From<ResolveError> for EgressError {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Refused { host, refused } => Self::Refused { host, refused },
            other => Self::Resolve(other),
        }
    }
}

/// Why a host has no address to connect to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// It has addresses, and the policy refuses each of them.
    #[error("{host} may not be connected to: {refused}")]
    Refused {
        /// The host.
        host: String,
        /// The first address, and why it was refused.
        refused: RefusedAddress,
    },
    /// DNS says that there is no such name, or that it has no address.
    #[error("{host} has no address in DNS")]
    NotFound {
        /// The host.
        host: String,
    },
    /// DNS gave no usable answer.
    #[error("{host} could not be resolved: {reason}")]
    Failed {
        /// The host.
        host: String,
        /// What the name servers, or the ways to them, did.
        reason: String,
    },
    /// DNS gave no answer in time.
    #[error("{host} was not resolved within {} ms", after.as_millis())]
    Timeout {
        /// The host.
        host: String,
        /// The limit.
        after: Duration,
    },
}

/// Why the client cannot be set up at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The name resolution of the system is configured in a way that cannot be used.
    #[error("name resolution cannot be set up: {0}")]
    Resolver(#[source] hickory_resolver::net::NetError),
    /// The file of additional certificate authorities cannot be read.
    #[error("{} cannot be read as certificates in PEM form: {source}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// The file of additional certificate authorities has none.
    #[error("{} has no certificate in it; it must hold one or more in PEM form", .0.display())]
    NoAuthorities(PathBuf),
    /// A certificate is not one that others can be checked against.
    #[error("{} has a certificate that is no authority: {source}", path.display())]
    BadAuthority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The TLS library refuses its own settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[source] rustls::Error),
}
