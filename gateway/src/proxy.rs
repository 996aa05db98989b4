//! The request flow, in the order of pingora's phases: each phase says what happens in it and leaves the how to its room.

mod admit;
mod again;
mod aim;
mod body;
mod call;
mod claims;
mod compress;
mod events;
mod exchange;
mod fallback;
mod fault;
mod forward;
mod grpc;
mod kept;
pub mod letter;
mod record;
mod respond;
mod secure;
mod signed;
mod stand_in;
mod stream;
mod web;

use std::net::IpAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use filters::plan::Mode;
use http::{HeaderName, StatusCode, Version, header};
use ipnet::IpNet;
use pingora::modules::http::HttpModules;
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};
use pingora_http::{RequestHeader, ResponseHeader};

use crate::access_log::AccessLog;
use crate::cache::Cache;
use crate::edge::{Guard, RequestState};
use crate::idempotency::Answers;
use crate::ingest::Ingest;
use crate::letters::Letters;
use crate::live::Shared;
use crate::metrics::{Held, Metrics};
use crate::records::Records;
use crate::scripts::ScriptPool;
use crate::shedding::Shedding;
use crate::telemetry::Tracer;
pub use call::Call;
use call::Identity;
use fault::{Fault, StreamFailure};
use forward::Seen;
use stand_in::StandIn;

/// The request flow, and all that it needs.
pub struct Proxy {
    /// The live configuration.
    pub shared: Arc<Shared>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// One line for each request.
    pub access_log: Arc<AccessLog>,
    /// Header fields that its lines show besides.
    pub logged_headers: Vec<HeaderName>,
    /// Takes the spans of calls; `None` where nobody records them.
    pub tracer: Option<Arc<Tracer>>,
    /// Threads that run scripts.
    pub scripts: Arc<ScriptPool>,
    /// True once the process is to stop: connections are not kept any more.
    pub stopping: Arc<AtomicBool>,
    /// How long an idle client connection is kept, in seconds.
    pub keep_alive_seconds: u64,
    /// Proxies in front of this one whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Turns requests away before memory runs out.
    pub shedding: Arc<Shedding>,
    /// Answers that are kept for the next request.
    pub cache: Cache,
    /// Counts requests, to spread them over targets.
    pub ticket: AtomicU64,
    /// Records of calls; `None` where no control plane takes them.
    pub records: Option<Arc<Records>>,
    /// Answers kept by idempotency key.
    pub answers: Arc<Answers>,
    /// Takes calls that failed for good.
    pub letters: Letters,
    /// Takes events in; `None` at a gateway that only proxies.
    pub ingest: Option<Arc<Ingest>>,
}

#[async_trait]
impl ProxyHttp for Proxy {
    // Boxed, so that pingora's futures stay small: they are made and moved for each request.
    type CTX = Box<Call>;

    fn new_ctx(&self) -> Self::CTX {
        Box::new(Call::new())
    }

    /// No modules: nothing is compressed here, and the default one costs every request.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, call: &mut Self::CTX) -> pingora::Result<()> {
        call.in_flight = Some(Held::new(&self.metrics.in_flight));
        let trusted = self.trusts(peer_of(session));
        stream::clear_head(session.req_header_mut(), trusted);
        call.is_upgrade = session.is_upgrade_req();
        if self.stopping.load(Ordering::Relaxed) || call.is_upgrade {
            session.set_keepalive(None);
        } else if session.get_keepalive().is_some() {
            // The client says whether, not for how long.
            session.set_keepalive(Some(self.keep_alive_seconds));
        }
        call.guard = guard_of(session);
        call.is_secure = self.is_secure(session, call);
        call.client_certificate = call
            .guard
            .as_ref()
            .and_then(|guard| guard.connection().certificate.clone());
        call.is_grpc = grpc::is_call(session.req_header());
        let headers = &session.req_header().headers;
        call.identity = Some(Identity::of(headers, SystemTime::now(), self.tracer.as_deref()));
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, call: &mut Self::CTX) -> pingora::Result<bool> {
        let mut taken = self.take_in(session, call).await;
        if let Err(fault) = taken {
            taken = if stand_in::can_take_over(session, call, &fault) {
                Box::pin(stand_in::take_over(self, session, call, fault))
                    .await
                    .map(|()| true)
            } else {
                Err(fault)
            };
        }
        match taken {
            Ok(answered) => Ok(answered),
            // An answer that broke off must not be made to look whole: pingora drops the connection.
            Err(fault) if respond::is_under_way(session) => Err(self.stop(session, call, fault)),
            Err(fault) => {
                letter::make_room(self, call);
                Box::pin(respond::fault(session, call, fault)).await;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, session: &mut Session, call: &mut Self::CTX) -> pingora::Result<Box<HttpPeer>> {
        match stream::peer(self, session, call).await {
            Ok(peer) => Ok(peer),
            Err(fault) => Err(self.stop(session, call, fault)),
        }
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        call: &mut Self::CTX,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let again = again::on_error(self, session, call, &error, false);
        error.set_retry(again);
        error
    }

    /// pingora's own policy, which knows neither budgets nor targets, is replaced as a whole.
    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        call: &mut Self::CTX,
        client_reused: bool,
    ) -> Box<Error> {
        let again = again::on_error(self, session, call, &error, client_reused);
        error.set_retry(again);
        error
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        _fd: RawFd,
        _digest: Option<&Digest>,
        call: &mut Self::CTX,
    ) -> pingora::Result<()> {
        // A connection that was there took no time, so that the clock need not be read.
        let at_once = reused && call.upstream.attempts == 1;
        let connected = |called: Instant| if at_once { Duration::ZERO } else { called.elapsed() };
        call.upstream.connected = call.upstream.called.map(connected);
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        head: &mut RequestHeader,
        call: &mut Self::CTX,
    ) -> pingora::Result<()> {
        let (Some(route), Some(identity)) = (&call.route, &call.identity) else {
            return Err(Error::new(ErrorType::InternalError));
        };
        // A second try sends the body again.
        call.request_bytes = 0;
        let seen = self.seen(session, call);
        let made = stream::request(head, route, identity, seen, call.is_grpc).and_then(|()| signed::sign(head, call));
        if let Err(fault) = made {
            return Err(self.stop(session, call, fault));
        }
        behind_the_others(call).await;
        Ok(())
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        call: &mut Self::CTX,
    ) -> pingora::Result<()> {
        call.request_bytes += body.as_ref().map_or(0, |body| body.len() as u64);
        let most = call
            .route
            .as_ref()
            .map_or(0, |route| route.integration.body_limits.request_bytes);
        if call.request_bytes > most && !session.was_upgraded() {
            // Where the partner speaks HTTP/2, pingora passes over any other fault of a body.
            return Err(self.stop(session, call, Fault::BodyTooLarge(most)).into_down());
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        call: &mut Self::CTX,
    ) -> pingora::Result<()> {
        if call.signed_in.is_some() {
            match Box::pin(signed::is_refused(session, call, head.status)).await {
                Ok(false) => {}
                Ok(true) => return Err(Error::new_up(ErrorType::HTTPStatus(head.status.as_u16()))),
                Err(fault) => return Err(self.stop(session, call, fault)),
            }
        }
        call.upstream.status = Some(head.status);
        match again::on_answer(self, session, call, head.status, &head.headers) {
            Ok(false) => {}
            Ok(true) => return Err(Error::new_up(ErrorType::HTTPStatus(head.status.as_u16()))),
            Err(fault) => return Err(self.stop(session, call, fault)),
        }
        if stand_in::replaces(session, call, head.status) {
            let fault = Fault::PartnerStatus(head.status.as_u16());
            return Err(self.stop(session, call, fault));
        }
        if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
            if let Some(guard) = &call.guard {
                guard.answered();
            }
            call.upstream.answered = call.upstream.called.map(|called| called.elapsed());
        }
        self.close_if_stopping(session);
        stream::response(session, head, call).map_err(|fault| self.stop(session, call, fault))
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        call: &mut Self::CTX,
    ) -> pingora::Result<Option<Duration>> {
        call.response_bytes += body.as_ref().map_or(0, |body| body.len() as u64);
        if !end && !call.endless && call.time_left().is_zero() {
            return Err(self.stop(session, call, Fault::Stream(StreamFailure::Timeout)));
        }
        Ok(None)
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, call: &mut Self::CTX) -> FailToProxy {
        let fault = match call.fault.take().unwrap_or_else(|| stream::fault_of(error, call)) {
            // The partner waited for a body that the client did not send.
            Fault::Stream(StreamFailure::Timeout) if !session.is_body_done() => Fault::BodyTimeout,
            fault => fault,
        };
        session.set_keepalive(None);
        let fault = if stand_in::can_take_over(session, call, &fault) {
            Box::pin(stand_in::take_over(self, session, call, fault)).await.err()
        } else {
            Some(fault)
        };
        let error_code = match fault {
            Some(fault) => Box::pin(respond::fault(session, call, fault)).await,
            None => {
                // The connection is dropped next, and with it what is only buffered.
                let _ = session.downstream_session.finish_body().await;
                session.response_written().map_or(0, |head| head.status.as_u16())
            }
        };
        // pingora drops the connection now; a client that reads to its end must see it end in order.
        session.downstream_session.shutdown().await;
        FailToProxy {
            error_code,
            can_reuse_downstream: false,
        }
    }

    fn suppress_error_log(&self, _session: &Session, _call: &Self::CTX, _error: &Error) -> bool {
        // The access log has a line for each request, with the fault in it.
        true
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, call: &mut Self::CTX) {
        behind_the_others(call).await;
        record::write(self, session, error, call);
        letter::put(self, session, call);
        if let Some(guard) = &call.guard {
            guard.finish();
        }
    }
}

impl Proxy {
    /// Admits the request. True if it was answered here, false if pingora is to carry it.
    async fn take_in(&self, session: &mut Session, call: &mut Call) -> Result<bool, Fault> {
        self.shedding.enter().map_err(Fault::Shed)?;
        let live = self.shared.load().ok_or(Fault::NotReady)?;
        let peer = peer_of(session);
        call.client = self.client(session, peer);
        call.stand_in = StandIn::of(&live);
        call.ticket = self.ticket.fetch_add(1, Ordering::Relaxed);
        if let Some(method) = web::preflight_method(session.req_header())
            && admit::is_preflight(&live, session.req_header(), &method, call)
        {
            Box::pin(web::preflight(session, call)).await?;
            return Ok(true);
        }
        let Some(route) = admit::admit(&live, session.req_header(), call).await? else {
            Box::pin(events::run(self, &live, session, call)).await?;
            return Ok(true);
        };
        let total = Duration::from_millis(route.integration.timeouts.total_ms);
        if let Some(guard) = call.guard.as_ref().filter(|_| !call.is_grpc) {
            guard.client_within(total);
        }
        let exchange = matches!(route.integration.mode, Mode::Exchange { .. })
            || (route.integration.web.is_some() && web::exchanges(session, call));
        call.route = Some(route);
        if !exchange {
            web::passes_by(call, session.req_header());
            aim::first(call, session.req_header())?;
        }
        self.welcome_body(session, call).await?;
        if exchange {
            let seen = self.seen(session, call);
            // Boxed, so that the future of a streamed request stays small: it is made and moved for each.
            Box::pin(exchange::run(self, session, call, &seen)).await?;
        }
        Ok(exchange)
    }

    /// Tells a client that waits for it to send its body. What is known of the request was checked; the partner is not
    /// asked.
    async fn welcome_body(&self, session: &mut Session, call: &Call) -> Result<(), Fault> {
        if session.is_body_done() {
            return Ok(());
        }
        let head = session.req_header();
        if head.version == Version::HTTP_11 && head.headers.contains_key(header::EXPECT) {
            session
                .write_continue_response()
                .await
                .map_err(|error| stream::client_fault(error, call))?;
        }
        Ok(())
    }

    /// Says `Connection: close` in the answer if the process is to stop: the connection will not be there for another.
    fn close_if_stopping(&self, session: &mut Session) {
        if self.stopping.load(Ordering::Relaxed) {
            session.set_keepalive(None);
        }
    }

    /// Notes the fault and ends pingora's handling of the request; the client is told in `fail_to_proxy`.
    fn stop(&self, _session: &Session, call: &mut Call, fault: Fault) -> Box<Error> {
        let status = fault.status();
        call.fault = Some(fault);
        Error::new(ErrorType::HTTPStatus(status))
    }

    fn seen(&self, session: &Session, call: &Call) -> Seen {
        let peer = peer_of(session);
        Seen::of(&session.req_header().headers, peer, self.trusts(peer), call.is_secure)
    }

    /// True if the client speaks TLS with us, or with a proxy of ours that says so.
    fn is_secure(&self, session: &Session, call: &Call) -> bool {
        if call.guard.as_ref().is_some_and(|guard| guard.connection().is_secure) {
            return true;
        }
        self.trusts(peer_of(session)) && forward::says_https(&session.req_header().headers)
    }

    fn trusts(&self, peer: Option<IpAddr>) -> bool {
        peer.is_some_and(|peer| self.trusted_proxies.iter().any(|network| network.contains(&peer)))
    }

    /// The client's address: the peer's, or the last one before our own trusted proxies.
    fn client(&self, session: &Session, peer: Option<IpAddr>) -> Option<IpAddr> {
        if !self.trusts(peer) {
            return peer;
        }
        forward::forwarded_for(&session.req_header().headers)
            .map_while(forward::address_of)
            .map(|hop| hop.to_canonical())
            .find(|hop| !self.trusts(Some(*hop)))
            .or(peer)
    }
}

/// Steps back once behind the requests that are ready, before the partner is written to and after the last write.
///
/// Requests that are served at the same time then write right after each other, and whoever receives is awake: to wake it
/// for each write costs more than all that is done here. A request that is alone goes on at once.
async fn behind_the_others(call: &Call) {
    // pingora takes an upgrade that is answered before it has noted the end of the request for the end of the connection.
    if !call.is_upgrade {
        tokio::task::yield_now().await;
    }
}

/// What the edge and the request flow share of this request.
fn guard_of(session: &mut Session) -> Option<Arc<RequestState>> {
    if let Some(stream) = session.stream() {
        let guard = stream.as_any().downcast_ref::<Guard>();
        return guard.map(|guard| Arc::clone(guard.request()));
    }
    // HTTP/2 has one connection for many requests, so that each brings its own along.
    session.req_header_mut().extensions_mut().remove()
}

fn peer_of(session: &Session) -> Option<IpAddr> {
    session
        .client_addr()?
        .as_inet()
        .map(|address| address.ip().to_canonical())
}
