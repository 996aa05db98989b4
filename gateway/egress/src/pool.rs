//! The connections to one target, and the exchanges on them.
//!
//! A pool has one upstream and shares connections with no other pool, so that two integrations never meet on one, even if
//! they have the same partner. A partner may close an idle connection just when it is used. The request then goes out once
//! more on a new connection if not a byte of it was written, or if its method is idempotent (RFC 9110, section 9.2.2).

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use filters::model::limits;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Uri, Version, header};
use http_body::Body as _;
use http_body_util::Full;
use hyper::client::conn::http1;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::answer::Answer;
use crate::connector::{Connector, Sender};
use crate::error::EgressError;
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
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(30),
            max_idle: 64,
            max_head_bytes: 64 * 1024,
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
    /// An empty pool; `tls` is shared by all of them ([`client_config`](crate::client_config)).
    pub fn new(upstream: Arc<Upstream>, settings: PoolSettings, tls: Arc<rustls::ClientConfig>) -> Self {
        let mut http = http1::Builder::new();
        http.max_header_size(settings.max_head_bytes);
        Self {
            connections: Arc::new(Connections {
                connector: Connector::new(upstream, tls, http),
                settings,
                idle: Mutex::new(Idle::default()),
            }),
        }
    }

    /// The target that the connections lead to.
    pub fn upstream(&self) -> &Upstream {
        self.connections.connector.upstream()
    }

    /// Sends `request` and waits for the head of the answer, whatever its status is.
    ///
    /// Of the request's URI, path and query are used. `Host` is the target's unless the request has one, and
    /// `Content-Length` is that of the body. All other fields go out as they are: hop-by-hop fields are the caller's care.
    /// Nothing is repeated but a request that met the end of a used connection, once.
    ///
    /// # Errors
    /// If there is no connection, no answer, or no time left.
    pub async fn send(&self, request: Request<Full<Bytes>>, timeouts: Timeouts) -> Result<Answer, EgressError> {
        let deadline = Deadline {
            at: Instant::now() + timeouts.total,
            limit: timeouts.total,
        };
        let request = self.prepare(request);
        let Some(sender) = self.connections.take() else {
            let sender = self.connect(timeouts.connect, deadline).await?;
            return self
                .exchange(sender, request, timeouts, deadline)
                .await
                .map_err(|failure| failure.error);
        };
        let spare = request.method().is_idempotent().then(|| request.clone());
        match self.exchange(sender, request, timeouts, deadline).await {
            Ok(answer) => Ok(answer),
            Err(Failure { error, unsent, closed }) => {
                let Some(again) = unsent.or_else(|| spare.filter(|_| closed)) else {
                    return Err(error);
                };
                let sender = self.connect(timeouts.connect, deadline).await?;
                self.exchange(sender, again, timeouts, deadline)
                    .await
                    .map_err(|failure| failure.error)
            }
        }
    }

    /// One request, and the head of its answer.
    async fn exchange(
        &self,
        mut sender: Sender,
        request: Request<Full<Bytes>>,
        timeouts: Timeouts,
        deadline: Deadline,
    ) -> Result<Answer, Failure> {
        let head_by = deadline.at.min(Instant::now() + timeouts.first_byte);
        let host = || self.connections.host();
        match timeout_at(head_by, sender.try_send_request(request)).await {
            Ok(Ok(answer)) => Ok(Answer::new(answer, deadline, Arc::clone(&self.connections), sender)?),
            Ok(Err(mut failed)) => {
                let unsent = failed.take_message();
                let source = failed.into_error();
                Err(Failure {
                    unsent,
                    closed: !source.is_parse() && !source.is_user(),
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

    fn prepare(&self, mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
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

    async fn connect(&self, limit: Duration, deadline: Deadline) -> Result<Sender, EgressError> {
        let connect = self.connections.connector.connect(limit);
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
    /// The request, if not a byte of it was written.
    unsent: Option<Request<Full<Bytes>>>,
    /// True if the connection broke, rather than bring something that is no answer.
    closed: bool,
}

impl From<EgressError> for Failure {
    fn from(error: EgressError) -> Self {
        Self {
            error,
            unsent: None,
            closed: false,
        }
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
    limit: Duration,
}

/// What a pool's clones and answers share.
pub(crate) struct Connections {
    connector: Connector,
    settings: PoolSettings,
    idle: Mutex<Idle>,
}

/// Connections without an exchange, the one that was used last at the end.
#[derive(Default)]
struct Idle {
    waiting: VecDeque<(Sender, Instant)>,
    /// True while a task closes what is idle for too long.
    swept: bool,
}

impl Connections {
    pub(crate) fn host(&self) -> String {
        self.connector.upstream().host().to_owned()
    }

    pub(crate) fn out_of_time(&self, deadline: Deadline) -> EgressError {
        EgressError::TotalTimeout {
            host: self.host(),
            after: deadline.limit,
        }
    }

    fn idle_count(&self) -> usize {
        let idle = self.idle.lock();
        idle.waiting.iter().filter(|(sender, _)| !sender.is_closed()).count()
    }

    /// The connection that was used last, of those that can take a request now.
    fn take(&self) -> Option<Sender> {
        let mut idle = self.idle.lock();
        let mut place = idle.waiting.len();
        while place > 0 {
            place -= 1;
            let (sender, since) = &idle.waiting[place];
            if sender.is_closed() || since.elapsed() >= self.settings.idle_timeout {
                idle.waiting.remove(place);
            } else if sender.is_ready() {
                return idle.waiting.remove(place).map(|(sender, _)| sender);
            }
        }
        None
    }

    /// Keeps a connection whose exchange is over for the next one.
    pub(crate) fn give_back(self: &Arc<Self>, sender: Sender) {
        if sender.is_closed() || self.settings.max_idle == 0 {
            return;
        }
        let mut idle = self.idle.lock();
        if idle.waiting.len() >= self.settings.max_idle {
            idle.waiting.pop_front();
        }
        idle.waiting.push_back((sender, Instant::now()));
        if !std::mem::replace(&mut idle.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self), self.settings.idle_timeout));
        }
    }
}

/// Closes what is idle for too long, until nothing is idle or the pool is gone.
async fn sweep(connections: Weak<Connections>, idle_timeout: Duration) {
    loop {
        tokio::time::sleep(idle_timeout).await;
        let Some(connections) = connections.upgrade() else {
            return;
        };
        let mut idle = connections.idle.lock();
        idle.waiting
            .retain(|(sender, since)| !sender.is_closed() && since.elapsed() < idle_timeout);
        if idle.waiting.is_empty() {
            idle.swept = false;
            return;
        }
    }
}
