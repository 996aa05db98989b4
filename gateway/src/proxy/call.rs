//! What is known of one request, from its first line to its log line.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use egress::TokenSource;
use filters::auth;
use filters::auth::certificate::PeerCertificate;
use filters::auth::consumers::Consumer;
use filters::cors::Grant;
use filters::delivery::Health;
use filters::model::limits::Timeouts;
use filters::plan::Integration;
use filters::plan::events::Producer;
use filters::resilience::Fallback;
use filters::transform::Edits;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;

use super::again::Next;
use super::aim::Aim;
use super::fault::Fault;
use super::kept::Kept;
use super::letter::Draft;
use super::signed::SignedIn;
use super::stand_in::StandIn;
use super::web::FieldValues;
use crate::cache::Filling;
use crate::edge::RequestState;
use crate::idempotency::Turn;
use crate::limiter::Places;
use crate::live::IntegrationRuntime;
use crate::metrics::Held;
use crate::shedding::Room;
use crate::telemetry::Tracer;
use crate::trace::{RequestId, TraceContext};
use crate::upstream::Endpoint;

/// One request.
pub struct Call {
    pub(crate) started: Instant,
    /// What the connection's guard is told; `None` before the first phase.
    pub(crate) guard: Option<Arc<RequestState>>,
    pub(crate) in_flight: Option<Held>,
    pub(crate) identity: Option<Identity>,
    pub(crate) client: Option<IpAddr>,
    /// True if the client speaks TLS with the gateway, or with a proxy of ours in front of it.
    pub(crate) is_secure: bool,
    /// The certificate that the client showed on its connection.
    pub(crate) client_certificate: Option<Arc<PeerCertificate>>,
    /// The request's number among those of this process.
    pub(crate) ticket: u64,
    /// The integration that answers to host and path, whatever becomes of the request then.
    pub(crate) runtime: Option<Arc<IntegrationRuntime>>,
    /// Set where the request hands over events; the producer once it is known.
    pub(crate) events: Option<Events>,
    /// Set once the request is admitted.
    pub(crate) route: Option<Route>,
    /// What is said to the origin that a browser names.
    pub(crate) grant: Option<Grant>,
    /// The duty to hand the answer over to the cache.
    pub(crate) filling: Option<Filling>,
    pub(crate) fault: Option<Fault>,
    /// The attempt that follows the one that failed.
    pub(crate) next: Option<Next>,
    /// Places that the request takes up until it ends.
    pub(crate) places: Places,
    /// The turn of the request among those with its idempotency key; `None` without a key, and once its answer is there.
    pub(crate) turn: Option<Turn>,
    /// The token that the attempt signs in with; set where the integration does so by OAuth2.
    pub(crate) signed_in: Option<SignedIn>,
    pub(crate) upstream: Upstream,
    /// What may serve the request if the version on trial does not.
    pub(crate) stand_in: StandIn,
    /// What the bodies of an exchange hold.
    pub(crate) room: Option<Room>,
    /// Bodies that the record may show.
    pub(crate) kept: Kept,
    /// What a dead letter of the call would be made of; `None` where the integration has none.
    pub(crate) letter: Option<Box<Draft>>,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    /// True if the client asks for another protocol, such as that of WebSockets.
    pub(crate) is_upgrade: bool,
    /// True for a call of gRPC: both sides may stream for as long as they like, and errors have a form of their own.
    pub(crate) is_grpc: bool,
    /// True while the answer may take as long as it likes: a stream of events, or another protocol.
    pub(crate) endless: bool,
}

/// Who the request is in logs and traces.
pub(crate) struct Identity {
    /// When the request began, by the wall clock.
    pub(crate) began: SystemTime,
    pub(crate) request_id: RequestId,
    pub(crate) trace: TraceContext,
    /// `X-Request-Id`; made once, as the partner and the client both get it.
    pub(crate) request_id_field: HeaderValue,
    /// `traceparent`, likewise.
    pub(crate) trace_field: HeaderValue,
}

impl Identity {
    /// Takes the client's identity of the request, or makes one.
    pub(crate) fn of(headers: &HeaderMap, now: SystemTime, tracer: Option<&Tracer>) -> Self {
        let request_id = RequestId::of(headers, now);
        let mut trace = TraceContext::of(headers);
        if let Some(tracer) = tracer {
            trace = trace.sampled_by(|trace_id| tracer.takes(trace_id));
        }
        Self {
            began: now,
            request_id_field: request_id.value(),
            trace_field: trace.value(),
            request_id,
            trace,
        }
    }
}

/// A request that hands over events.
#[derive(Default)]
pub(crate) struct Events {
    /// Who does.
    pub(crate) producer: Option<Arc<Producer>>,
}

/// A request that was let in, and where it goes.
pub(crate) struct Route {
    pub(crate) integration: Arc<Integration>,
    pub(crate) runtime: Arc<IntegrationRuntime>,
    /// Where the attempt that is under way goes; `None` before the first.
    pub(crate) aim: Option<Aim>,
    /// The client's path in canonical form, where it is not what was sent.
    pub(crate) path: Option<Box<str>>,
    /// Bytes of the path that the integration's rule matched.
    pub(crate) matched: usize,
    /// True where the request came to the runtime address.
    pub(crate) by_runtime_address: bool,
    /// Parameters of the path.
    pub(crate) params: Vec<(String, String)>,
    /// Index of the operation that checks the request and its answer; `None` where nothing does.
    pub(crate) operation: Option<usize>,
    /// What goes into edited fields; `None` where none are edited.
    pub(crate) field_values: Option<Box<FieldValues>>,
    /// What the mapping of the request changes in its path and query.
    pub(crate) edits: Option<Box<Edits>>,
    /// Who is calling.
    pub(crate) caller: Caller,
    /// `RateLimit-Policy` and `RateLimit` of the answer.
    pub(crate) limits: Option<(HeaderValue, HeaderValue)>,
}

impl Route {
    /// What the client gets where there is no answer.
    pub(crate) fn fallback(&self) -> Option<&Fallback> {
        self.runtime.resilience.as_ref()?.rules().fallback.as_ref()
    }

    /// Where the attempt that is under way goes.
    ///
    /// # Errors
    /// A fault of ours, before there is one.
    pub(crate) fn aim(&self) -> Result<&Aim, Fault> {
        let aimed = self.aim.as_ref();
        aimed.ok_or_else(|| Fault::Internal("an attempt that goes nowhere".to_owned()))
    }
}

/// Who is calling.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    /// Whose credential it is.
    pub(crate) name: Option<Arc<str>>,
    /// What the token says of its bearer.
    pub(crate) claims: Option<Arc<Value>>,
    /// The client system, where credentials are those of consumers.
    pub(crate) consumer: Option<Arc<Consumer>>,
    /// SHA-256 that the body must have, where the request is signed.
    pub(crate) signed_body: Option<[u8; 32]>,
}

impl Caller {
    /// Who `identity` is.
    pub(crate) fn of(identity: auth::Identity) -> Self {
        Self {
            name: identity.name,
            claims: identity.claims,
            consumer: identity.consumer,
            signed_body: identity.signed.and_then(|signed| signed.body),
        }
    }

    /// What tells it from all other callers of the integration: the consumer, the token's issuer, the name. What somebody is
    /// called by one who gives out tokens says nothing of who has that name elsewhere.
    pub(crate) fn marks(&self) -> [&str; 4] {
        let claims = self.claims.as_deref();
        let issuer = claims.and_then(|claims| claims.get("iss")?.as_str());
        [
            self.consumer.as_ref().map_or("", |consumer| &consumer.id),
            if claims.is_some() { "token" } else { "" },
            issuer.unwrap_or_default(),
            self.name.as_deref().unwrap_or_default(),
        ]
    }
}

/// What happened towards the partner.
#[derive(Default)]
pub(crate) struct Upstream {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) attempts: u32,
    pub(crate) called: Option<Instant>,
    pub(crate) answered: Option<Duration>,
    /// From the first call to the connection of the last.
    pub(crate) connected: Option<Duration>,
    /// Of the partner's last answer.
    pub(crate) status: Option<StatusCode>,
    /// Hash of the key that its targets are chosen by.
    pub(crate) key: Option<u64>,
    /// Where attempts failed.
    pub(crate) tried: Vec<Arc<Endpoint>>,
    /// True once an attempt met the end of an idle connection.
    pub(crate) was_stale: bool,
    /// True where the guard of the client's connection keeps the partner's times, and pingora none.
    pub(crate) is_guarded: bool,
}

impl Call {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            guard: None,
            in_flight: None,
            identity: None,
            client: None,
            is_secure: false,
            client_certificate: None,
            ticket: 0,
            runtime: None,
            events: None,
            route: None,
            grant: None,
            filling: None,
            fault: None,
            next: None,
            places: Places::default(),
            turn: None,
            signed_in: None,
            upstream: Upstream::default(),
            stand_in: StandIn::default(),
            room: None,
            kept: Kept::default(),
            letter: None,
            request_bytes: 0,
            response_bytes: 0,
            is_upgrade: false,
            is_grpc: false,
            endless: false,
        }
    }

    /// Where the attempt that is under way goes.
    ///
    /// # Errors
    /// A fault of ours, before there is one.
    pub(crate) fn aim(&self) -> Result<&Aim, Fault> {
        let route = self.route.as_ref();
        route
            .ok_or_else(|| Fault::Internal("no route to the partner".to_owned()))?
            .aim()
    }

    /// Says what the attempt that is under way shows of its target.
    pub(crate) fn settle(&mut self, health: Health) {
        let aim = self.route.as_mut().and_then(|route| route.aim.as_mut());
        if let Some(attempt) = aim.and_then(|aim| aim.attempt.as_mut()) {
            attempt.settle(health);
        }
    }

    /// The request's id as text; empty before the first phase.
    pub(crate) fn request_id(&self) -> &str {
        self.identity
            .as_ref()
            .map_or("", |identity| identity.request_id.as_str())
    }

    /// When the request began, by the wall clock; a failure before the first phase begins now.
    pub(crate) fn began(&self) -> SystemTime {
        let identity = self.identity.as_ref();
        identity.map_or_else(SystemTime::now, |identity| identity.began)
    }

    /// Where the token of a streamed request comes from, if it has one.
    pub(crate) fn token_source(&self) -> Option<Arc<TokenSource>> {
        self.route.as_ref()?.runtime.token.clone()
    }

    /// Timeouts of the route; the defaults before one is found.
    pub(crate) fn timeouts(&self) -> Timeouts {
        self.route
            .as_ref()
            .map(|route| route.integration.timeouts)
            .unwrap_or_default()
    }

    /// What is left of the total time; zero when it is over.
    pub(crate) fn time_left(&self) -> Duration {
        self.time_left_at(Instant::now())
    }

    /// What is left of it at `now`.
    pub(crate) fn time_left_at(&self, now: Instant) -> Duration {
        let gone = now.saturating_duration_since(self.started);
        Duration::from_millis(self.timeouts().total_ms).saturating_sub(gone)
    }
}
