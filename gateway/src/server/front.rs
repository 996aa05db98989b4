//! What each new connection meets: the cap, then the guard, then pingora.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use filters::fault::ErrorBody;
use pingora::apps::{HttpPersistentSettings, HttpServerApp as _, ServerApp};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use tokio::sync::watch;

use crate::access_log::{AccessLog, AccessRecord};
use crate::clock;
use crate::edge::refusal::Refusal;
use crate::edge::{EdgeLimits, Guard, RefusalSink};
use crate::metrics::{self, Held, Metrics, Outcome};
use crate::proxy::Proxy;
use crate::trace::RequestId;

/// The application behind every listener.
pub(super) struct Front {
    pub(super) proxy: Arc<HttpProxy<Proxy>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) limits: EdgeLimits,
    pub(super) sink: Arc<dyn RefusalSink>,
    pub(super) max_connections: usize,
    /// How long idle connections are kept once the listeners are closed.
    pub(super) linger: watch::Receiver<Duration>,
    /// How long a connection is kept between two requests.
    pub(super) keep_alive: Duration,
    /// Tells idle connections to end.
    pub(super) end_idle: watch::Sender<bool>,
}

#[async_trait]
impl ServerApp for Front {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let _open = Held::new(&self.metrics.connections);
        let mut guard = Box::new(Guard::new(stream, self.limits, Arc::clone(&self.sink)));
        if usize::try_from(self.metrics.connections.get()).is_ok_and(|open| open > self.max_connections) {
            guard.turn_away(Refusal::TooManyConnections).await;
            return None;
        }
        let mut idle_ends = self.end_idle.subscribe();
        let mut settings = None;
        // pingora's own loop makes all that a request needs, some 20 KB, before it waits for one.
        while self
            .request_begins(&mut guard, &mut idle_ends, settings.is_some())
            .await
        {
            let mut session = ServerSession::new_http1(guard);
            match settings.take() {
                Some(settings) => HttpPersistentSettings::apply_to_session(settings, &mut session),
                None => self.first(&mut session, *shutdown.borrow()),
            }
            let reusable = self.proxy.process_new_http(session, shutdown).await?;
            let (stream, kept) = reusable.consume();
            guard = stream.into_any().downcast().ok()?;
            settings = kept;
        }
        None
    }

    /// Called when the listeners are closed: idle connections end, at once or when they have had time to be told.
    async fn cleanup(&self) {
        let linger = *self.linger.borrow();
        let until = tokio::time::Instant::now() + linger;
        while self.metrics.connections.get() > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.end_idle.send_replace(true);
        self.proxy.http_cleanup().await;
    }
}

impl Front {
    async fn request_begins(&self, guard: &mut Guard, idle_ends: &mut watch::Receiver<bool>, again: bool) -> bool {
        let idle = if again { self.keep_alive } else { FIRST_REQUEST };
        tokio::select! {
            biased; // A request that is there is served.
            begins = guard.request_begins(idle) => begins,
            _ = idle_ends.wait_for(|ended| *ended) => false,
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

/// How long a new connection may take to begin its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(60);

/// Reports requests that never reach a route.
pub(super) struct Reports {
    pub(super) metrics: Arc<Metrics>,
    pub(super) access_log: Arc<AccessLog>,
}

impl RefusalSink for Reports {
    fn refused(&self, refusal: Refusal, connection: &Stream) -> (String, String) {
        let at = SystemTime::now();
        let id = RequestId::made(at);
        self.metrics.refused(reason(refusal));
        self.metrics.finished(Outcome::Refused);
        let text = refusal.to_string();
        let peer = connection.get_socket_digest();
        let peer = peer
            .as_ref()
            .and_then(|digest| digest.peer_addr()?.as_inet().map(|address| address.ip()));
        self.access_log.write(&AccessRecord {
            at,
            request_id: id.as_str(),
            client: peer.map(|peer| peer.to_canonical()),
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
