//! What each new connection meets: the cap, TLS where it is spoken, then the guard of its protocol, then pingora.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use filters::fault::ErrorBody;
use pingora::apps::{HttpPersistentSettings, HttpServerApp as _, ServerApp};
use pingora::protocols::http::ServerSession;
use pingora::protocols::{ALPN, Stream};
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use tokio::sync::watch;
use tracing::debug;

use super::h2;
use crate::access_log::{AccessLog, AccessRecord};
use crate::clock;
use crate::edge::refusal::Refusal;
use crate::edge::{Connection, EdgeLimits, Guard, RefusalSink, address_of};
use crate::metrics::{self, Held, Metrics, Outcome};
use crate::proxy::Proxy;
use crate::tls::Terminator;
use crate::trace::RequestId;

/// The application behind one listener.
pub(super) struct Front {
    pub(super) hall: Arc<Hall>,
    pub(super) entrance: Entrance,
}

/// What is spoken on a listener.
pub(super) enum Entrance {
    /// HTTP/1.1.
    Plain,
    /// TLS, and in it what the client chooses.
    Tls(Arc<Terminator>),
    /// HTTP/2 without TLS, by those who know.
    H2c,
}

/// What all listeners share.
pub(super) struct Hall {
    pub(super) proxy: Arc<HttpProxy<Proxy>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) limits: EdgeLimits,
    pub(super) sink: Arc<dyn RefusalSink>,
    pub(super) max_connections: usize,
    /// How long idle connections are kept once the listeners are closed.
    pub(super) linger: watch::Receiver<Duration>,
    /// How long a connection is kept between two requests.
    pub(super) keep_alive: Duration,
    /// Requests after which a connection of HTTP/2 is closed.
    pub(super) requests: u32,
    /// The most requests at a time on a connection of HTTP/2.
    pub(super) streams: u32,
    /// Tells idle connections to end.
    pub(super) end_idle: watch::Sender<bool>,
}

#[async_trait]
impl ServerApp for Front {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let hall = &self.hall;
        let _open = Held::new(&hall.metrics.connections);
        let is_one_too_many =
            usize::try_from(hall.metrics.connections.get()).is_ok_and(|open| open > hall.max_connections);
        match &self.entrance {
            Entrance::Plain if is_one_too_many => hall.turn_away(stream).await,
            // To tell why would cost more than the connection that is not there for it.
            _ if is_one_too_many => hall.metrics.refused(metrics::Refusal::TooManyConnections),
            Entrance::Plain => hall.serve_http1(stream, Arc::default(), shutdown).await,
            Entrance::H2c => Box::pin(h2::serve(hall, stream, Arc::default(), shutdown)).await,
            Entrance::Tls(terminator) => Box::pin(self.serve_tls(terminator, stream, shutdown)).await,
        }
        None
    }

    /// Called when the listeners are closed: idle connections end, at once or when they have had time to be told.
    async fn cleanup(&self) {
        let hall = &self.hall;
        let linger = *hall.linger.borrow();
        let until = tokio::time::Instant::now() + linger;
        // What was accepted last is counted once its task runs; to go by the count before would drop it unheard.
        tokio::time::sleep(SETTLE.min(linger)).await;
        while hall.metrics.connections.get() > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        hall.end_idle.send_replace(true);
        hall.proxy.http_cleanup().await;
    }
}

impl Front {
    async fn serve_tls(&self, terminator: &Terminator, stream: Stream, shutdown: &ShutdownWatch) {
        let client = address_of(&stream);
        match terminator.accept(stream).await {
            Ok((stream, connection)) if stream.selected_alpn_proto() == Some(ALPN::H2) => {
                h2::serve(&self.hall, stream, Arc::new(connection), shutdown).await;
            }
            Ok((stream, connection)) => self.hall.serve_http1(stream, Arc::new(connection), shutdown).await,
            Err(failure) => {
                if !failure.is_absence() {
                    self.hall.metrics.refused(metrics::Refusal::Handshake);
                }
                debug!(?client, %failure, "a client got no TLS connection");
            }
        }
    }
}

impl Hall {
    async fn turn_away(&self, stream: Stream) {
        let guard = Guard::new(stream, Arc::default(), self.limits, Arc::clone(&self.sink));
        guard.turn_away(Refusal::TooManyConnections).await;
    }

    async fn serve_http1(&self, stream: Stream, connection: Arc<Connection>, shutdown: &ShutdownWatch) {
        let mut guard = Box::new(Guard::new(stream, connection, self.limits, Arc::clone(&self.sink)));
        // Waited for by all requests of the connection together: to begin and end to wait costs each of them.
        let mut ends = self.end_idle.subscribe();
        let mut idle_ends = pin!(ends.wait_for(|ended| *ended));
        let mut settings = None;
        // pingora's own loop makes all that a request needs, some 20 KB, before it waits for one.
        while self
            .request_begins(&mut guard, idle_ends.as_mut(), settings.is_some())
            .await
        {
            let mut session = ServerSession::new_http1(guard);
            match settings.take() {
                Some(settings) => HttpPersistentSettings::apply_to_session(settings, &mut session),
                None => self.first(&mut session, *shutdown.borrow()),
            }
            let Some(reusable) = self.proxy.process_new_http(session, shutdown).await else {
                return;
            };
            let (stream, kept) = reusable.consume();
            let Ok(same) = stream.into_any().downcast() else {
                return;
            };
            guard = same;
            settings = kept;
        }
    }

    async fn request_begins(&self, guard: &mut Guard, idle_ends: impl Future, again: bool) -> bool {
        let idle = if again { self.keep_alive } else { FIRST_REQUEST };
        tokio::select! {
            biased; // A request that is there is served.
            begins = guard.request_begins(idle) => begins,
            _ = idle_ends => false,
        }
    }

    /// Prepares a connection's first session, as pingora does.
    fn first(&self, session: &mut ServerSession, stopping: bool) {
        let seconds = self.keep_alive.as_secs();
        session.set_keepalive((!stopping).then_some(seconds));
        let options = self.proxy.server_options.as_ref();
        session.set_keepalive_reuses_remaining(options.and_then(|options| options.keepalive_request_limit));
    }
}

/// How long the tasks of connections that were just accepted get to begin.
const SETTLE: Duration = Duration::from_millis(200);

/// How long a new connection may take to begin its first request.
pub(super) const FIRST_REQUEST: Duration = Duration::from_secs(60);

/// Reports requests that never reach a route.
pub(super) struct Reports {
    pub(super) metrics: Arc<Metrics>,
    pub(super) access_log: Arc<AccessLog>,
}

impl RefusalSink for Reports {
    fn refused(&self, refusal: Refusal, client: Option<IpAddr>) -> (String, String) {
        let at = SystemTime::now();
        let id = RequestId::made(at);
        self.metrics.refused(reason(refusal));
        self.metrics.finished(Outcome::Refused);
        let text = refusal.to_string();
        self.access_log.write(&AccessRecord {
            at,
            request_id: id.as_str(),
            client,
            status: Some(refusal.status()),
            code: Some(refusal.code()),
            fault_reason: Some(&text),
            trace_id: [0; 16],
            method: "",
            host: &[],
            path: &[],
            integration: None,
            org_id: None,
            consumer: None,
            mode: None,
            request_bytes: 0,
            response_bytes: 0,
            duration: Duration::ZERO,
            upstream: None,
            headers: &[],
        });
        let body = ErrorBody {
            error: text,
            code: refusal.code().to_owned(),
            status_code: refusal.status(),
            timestamp: clock::now_rfc3339(),
            request_id: id.as_str().to_owned(),
            problems: Vec::new(),
        };
        (id.as_str().to_owned(), serde_json::to_string(&body).unwrap_or_default())
    }
}

fn reason(refusal: Refusal) -> metrics::Refusal {
    match refusal {
        Refusal::HeadTimeout(_) => metrics::Refusal::HeadTimeout,
        Refusal::HeadTooLarge(_) | Refusal::TooManyHeaders(_) | Refusal::TargetTooLong(_) => {
            metrics::Refusal::HeadTooLarge
        }
        Refusal::Method => metrics::Refusal::MethodNotAllowed,
        Refusal::TooManyConnections => metrics::Refusal::TooManyConnections,
        Refusal::Malformed(_) | Refusal::Version | Refusal::TransferCoding | Refusal::Expectation => {
            metrics::Refusal::BadRequest
        }
    }
}
