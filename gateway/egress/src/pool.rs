//! The connections to one target, and the exchanges on them.
//!
//! A pool has one upstream and shares connections with no other pool, so that two integrations never meet on one, even if
//! they have the same partner. Over HTTP/1.1 a connection carries one exchange at a time; over HTTP/2, where the pool may
//! speak it and the partner chooses it, up to a hundred.
//!
//! A partner may close an idle connection just when it is used. The request then goes out once more on another connection
//! if not a byte of it was written, if the partner said that it did not look at it, if its method is idempotent (RFC 9110,
//! section 9.2.2), or if its sender says that it may arrive twice.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use filters::model::limits;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Uri, Version, header};
use http_body::Body as _;
use hyper::client::conn::http1;
use tokio::time::{Instant, timeout_at};

use crate::answer::Answer;
use crate::body::Body;
use crate::connections::{Connections, Link};
use crate::connector::Connector;
use crate::error::EgressError;
use crate::idle::IdleLimit;
use crate::multiplex::{self, Multiplexed};
use crate::tls::ClientTls;
use crate::upstream::Upstream;

/// Sizes and times of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// An idle connection is closed after this time.
    pub idle_timeout: Duration,
    /// So many idle connections are kept; beyond it, the one that was idle for longest is closed.
    pub max_idle: usize,
    /// The most bytes of an answer's head. It has at most 100 fields.
    pub max_head_bytes: usize,
    /// True speaks HTTP/2 with those https partners that choose it.
    pub http2: bool,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(30),
            max_idle: 64,
            max_head_bytes: 64 * 1024,
            http2: false,
        }
    }
}

/// How long an exchange may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To get a new connection: name resolution, TCP and TLS together.
    pub connect: Duration,
    /// From having a connection to having the head of the answer; the request is written in this time.
    pub first_byte: Duration,
    /// For everything, the body of the answer included.
    pub total: Duration,
}

impl From<limits::Timeouts> for Timeouts {
    fn from(model: limits::Timeouts) -> Self {
        Self {
            connect: Duration::from_millis(model.connect_ms),
            first_byte: Duration::from_millis(model.first_byte_ms),
            total: Duration::from_millis(model.total_ms),
        }
    }
}

/// The connections to one target. Cloning shares them; they are closed when the last clone and the last answer are gone.
#[derive(Clone)]
pub struct Pool {
    connections: Arc<Connections>,
}

impl Pool {
    /// An empty pool; `tls` is what most of them share ([`client_config`](crate::client_config)), or the partner's own
    /// ([`Trust::with`](crate::Trust::with)).
    pub fn new(upstream: Arc<Upstream>, settings: PoolSettings, tls: impl Into<ClientTls>) -> Self {
        Self::build(upstream, settings, tls.into(), None)
    }

    /// The same, whose idle connections count towards `limit`, too.
    pub fn within(
        limit: &Arc<IdleLimit>,
        upstream: Arc<Upstream>,
        settings: PoolSettings,
        tls: impl Into<ClientTls>,
    ) -> Self {
        let pool = Self::build(upstream, settings, tls.into(), Some(Arc::clone(limit)));
        limit.add(&pool.connections);
        pool
    }

    fn build(upstream: Arc<Upstream>, settings: PoolSettings, tls: ClientTls, limit: Option<Arc<IdleLimit>>) -> Self {
        let mut http = http1::Builder::new();
        http.max_header_size(settings.max_head_bytes);
        let connector = Connector::new(upstream, tls, http, &settings);
        Self {
            connections: Arc::new(Connections::new(connector, settings, limit)),
        }
    }

    /// The target that the connections lead to.
    pub fn upstream(&self) -> &Upstream {
        self.connections.upstream()
    }

    /// Sends `request` and waits for the head of the answer, whatever its status is.
    ///
    /// Of the request's URI, path and query are used. `Host` is the target's unless the request has one, and
    /// `Content-Length` is that of the body. All other fields go out as they are: hop-by-hop fields are the caller's care.
    /// Nothing is repeated but a request that met the end of a used connection, once.
    ///
    /// # Errors
    /// If there is no connection, no answer, or no time left.
    pub async fn send<B: Into<Body>>(&self, request: Request<B>, timeouts: Timeouts) -> Result<Answer, EgressError> {
        let may_repeat = request.method().is_idempotent();
        self.call(request.map(Into::into), timeouts, may_repeat).await
    }

    /// The same for a request that may reach the partner twice, whatever its method is: it carries something that the
    /// partner knows a repeat by.
    ///
    /// # Errors
    /// As of [`Pool::send`].
    pub async fn send_repeatable<B: Into<Body>>(
        &self,
        request: Request<B>,
        timeouts: Timeouts,
    ) -> Result<Answer, EgressError> {
        self.call(request.map(Into::into), timeouts, true).await
    }

    async fn call(&self, request: Request<Body>, timeouts: Timeouts, may_repeat: bool) -> Result<Answer, EgressError> {
        let deadline = Deadline {
            at: Instant::now() + timeouts.total,
            limit: timeouts.total,
        };
        let request = self.prepare(request);
        let (link, used) = match self.connections.take() {
            Some(link) => (link, true),
            None => (self.connect(timeouts.connect, deadline, None).await?, false),
        };
        let shared = link.shared();
        let may_repeat = may_repeat && used;
        let spare = (may_repeat || shared.is_some()).then(|| request.clone());
        let Failure { error, unsent, seen } = match self.exchange(link, request, timeouts, deadline).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let again = match seen {
            Seen::No if used || shared.is_some() => unsent.or(spare),
            Seen::Perhaps if may_repeat => spare,
            Seen::No | Seen::Perhaps | Seen::Yes => None,
        };
        let Some(again) = again else {
            return Err(error);
        };
        let link = self.connect(timeouts.connect, deadline, shared).await?;
        self.exchange(link, again, timeouts, deadline)
            .await
            .map_err(|failure| failure.error)
    }

    /// One request, and the head of its answer.
    async fn exchange(
        &self,
        mut link: Link,
        request: Request<Body>,
        timeouts: Timeouts,
        deadline: Deadline,
    ) -> Result<Answer, Failure> {
        let connected = Instant::now();
        let head_by = deadline.at.min(connected + timeouts.first_byte);
        let host = || self.connections.host();
        let answered = match &mut link {
            Link::Own(sender) => timeout_at(head_by, sender.try_send_request(request)).await,
            Link::Shared(stream) => {
                let authority = self.connections.authority();
                timeout_at(head_by, stream.send(request, authority)).await
            }
        };
        match answered {
            Ok(Ok(answer)) => Ok(Answer::new(
                answer,
                deadline,
                Arc::clone(&self.connections),
                link,
                connected,
            )?),
            Ok(Err(mut failed)) => {
                let unsent = failed.take_message();
                let source = failed.into_error();
                Err(Failure {
                    seen: seen(unsent.is_some(), &source),
                    // One that was made for HTTP/2 fits no other connection.
                    unsent: unsent.filter(|_| matches!(link, Link::Own(_))),
                    error: EgressError::Protocol { host: host(), source },
                })
            }
            Err(_) if head_by == deadline.at => Err(self.connections.out_of_time(deadline).into()),
            Err(_) => Err(Failure::from(EgressError::FirstByteTimeout {
                host: host(),
                after: timeouts.first_byte,
            })),
        }
    }

    fn prepare(&self, mut request: Request<Body>) -> Request<Body> {
        if request.uri().scheme().is_some() || request.uri().authority().is_some() {
            let origin = request.uri().path_and_query().cloned();
            *request.uri_mut() = Uri::from(origin.unwrap_or_else(|| PathAndQuery::from_static("/")));
        }
        *request.version_mut() = Version::HTTP_11;
        if let header::Entry::Vacant(host) = request.headers_mut().entry(header::HOST) {
            host.insert(self.upstream().target().authority().clone());
        }
        if request.body().is_end_stream() && announces_a_body(request.method()) {
            // hyper leaves it out for an empty body, and some partners answer that with 411.
            let length = request.headers_mut().entry(header::CONTENT_LENGTH);
            length.or_insert(HeaderValue::from_static("0"));
        }
        request
    }

    /// A connection other than `except`: a new one, or one that somebody else opened meanwhile and shares.
    async fn connect(
        &self,
        limit: Duration,
        deadline: Deadline,
        except: Option<Arc<Multiplexed>>,
    ) -> Result<Link, EgressError> {
        let connect = self.connections.connect(limit, except.as_ref());
        match timeout_at(deadline.at, connect).await {
            Ok(connected) => connected,
            Err(_) => Err(self.connections.out_of_time(deadline)),
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("target", self.upstream().target())
            .field("idle", &self.connections.idle_count())
            .finish()
    }
}

/// An exchange without an answer, and what may be done about it.
struct Failure {
    error: EgressError,
    /// The request, if not a byte of it was written and it can be sent as it is.
    unsent: Option<Request<Body>>,
    seen: Seen,
}

/// Whether the partner has looked at a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    No,
    /// The connection broke before there was an answer.
    Perhaps,
    /// It answered something that is no answer, or nothing in time.
    Yes,
}

impl From<EgressError> for Failure {
    fn from(error: EgressError) -> Self {
        Self {
            error,
            unsent: None,
            seen: Seen::Yes,
        }
    }
}

fn seen(unsent: bool, error: &hyper::Error) -> Seen {
    if unsent || multiplex::was_not_processed(error) {
        Seen::No
    } else if error.is_parse() || error.is_user() {
        Seen::Yes
    } else {
        Seen::Perhaps
    }
}

/// Methods whose requests have a length even if it is nothing (RFC 9110, section 8.6).
fn announces_a_body(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}

/// When an exchange must be over, and how long that was from its beginning.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) limit: Duration,
}
