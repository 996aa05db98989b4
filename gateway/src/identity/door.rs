//! The way to one address of an issuer.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use egress::{EgressError, Timeouts};
use filters::address::EgressPolicy;
use filters::target::TargetUrl;
use http::header::{ACCEPT, CACHE_CONTROL};
use http::{HeaderMap, Request};
use http_body_util::Full;

use crate::destination::Destination;
use crate::live::Deps;

/// Calls one address of an issuer.
#[derive(Debug)]
pub(super) struct Door(Destination);

/// Why an issuer's answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum DoorError {
    /// There is none.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// It is not 200.
    #[error("the issuer answered with status {0}")]
    Status(u16),
    /// It is no answer to the question.
    #[error("the issuer's answer {0}")]
    Content(String),
    /// The question cannot be asked.
    #[error("the address cannot be asked for: {0}")]
    Request(#[from] http::Error),
}

/// A whole answer.
pub(super) struct Reply {
    pub(super) body: Bytes,
    /// How long the issuer says that it holds.
    pub(super) max_age: Option<Duration>,
}

impl Door {
    pub(super) fn new(url: &TargetUrl, policy: &EgressPolicy, deps: &Deps) -> Self {
        Self(Destination::new(url, policy, deps))
    }

    pub(super) fn url(&self) -> &TargetUrl {
        self.0.pool().upstream().target()
    }

    pub(super) fn policy(&self) -> &EgressPolicy {
        self.0.pool().upstream().policy()
    }

    /// A request for the address.
    pub(super) fn request(&self) -> http::request::Builder {
        Request::builder()
            .uri(self.0.path_and_query())
            .header(ACCEPT, "application/json")
    }

    /// Asks, and reads the answer.
    pub(super) async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Reply, DoorError> {
        let answer = self.0.pool().send_repeatable(request, TIMEOUTS).await?;
        if answer.status != http::StatusCode::OK {
            return Err(DoorError::Status(answer.status.as_u16()));
        }
        let max_age = max_age(&answer.headers);
        let body = answer.collect(MOST_BYTES).await?;
        Ok(Reply { body, max_age })
    }
}

/// `max-age` of `Cache-Control`; zero if the answer must not be kept.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).iter();
    let mut age = None;
    for directive in values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
    {
        let directive = directive.trim();
        if directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache") {
            return Some(Duration::ZERO);
        }
        if let Some((name, seconds)) = directive.split_once('=')
            && name.eq_ignore_ascii_case("max-age")
        {
            age = seconds.trim_matches('"').parse().ok().map(Duration::from_secs);
        }
    }
    age
}

/// A client waits for it.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(3),
    first_byte: Duration::from_secs(5),
    total: Duration::from_secs(5),
};
/// The largest answer.
const MOST_BYTES: usize = 512 * 1024;

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url().fmt(f)
    }
}
