//! What is known of one request, from its first line to its log line.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use filters::model::limits::Timeouts;
use filters::plan::Integration;
use filters::plan::events::Producer;
use http::{HeaderMap, HeaderValue};

use super::aim::Aim;
use super::fault::Fault;
use crate::edge::RequestState;
use crate::live::IntegrationRuntime;
use crate::metrics::Held;
use crate::trace::{RequestId, TraceContext};

/// One request.
pub struct Call {
    pub(crate) started: Instant,
    /// What the connection's guard is told; `None` before the first phase.
    pub(crate) guard: Option<Arc<RequestState>>,
    pub(crate) in_flight: Option<Held>,
    pub(crate) identity: Option<Identity>,
    pub(crate) client: Option<IpAddr>,
    /// The request's number among those of this process.
    pub(crate) ticket: u64,
    /// The integration that answers to host and path, whatever becomes of the request then.
    pub(crate) runtime: Option<Arc<IntegrationRuntime>>,
    /// Set where the request hands over events; the producer once it is known.
    pub(crate) events: Option<Events>,
    /// Set once the request is admitted.
    pub(crate) route: Option<Route>,
    pub(crate) fault: Option<Fault>,
    pub(crate) upstream: Upstream,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    /// True while the answer may take as long as it likes: a stream of events, or another protocol.
    pub(crate) endless: bool,
}

/// Who the request is in logs and traces.
pub(crate) struct Identity {
    pub(crate) request_id: RequestId,
    pub(crate) trace: TraceContext,
    /// `X-Request-Id`; made once, as the partner and the client both get it.
    pub(crate) request_id_field: HeaderValue,
    /// `traceparent`, likewise.
    pub(crate) trace_field: HeaderValue,
}

impl Identity {
    /// Takes the client's identity of the request, or makes one.
    pub(crate) fn of(headers: &HeaderMap, now: SystemTime) -> Self {
        let request_id = RequestId::of(headers, now);
        let trace = TraceContext::of(headers);
        Self {
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
    /// Who is calling.
    pub(crate) caller: Caller,
    /// `RateLimit-Policy` and `RateLimit` of the answer.
    pub(crate) limits: Option<(HeaderValue, HeaderValue)>,
}

impl Route {
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
    /// Index of the credential among those of the integration; `None` where none is asked for.
    pub(crate) credential: Option<usize>,
    /// Whose credential it is.
    pub(crate) name: Option<Arc<str>>,
}

/// What happened towards the partner.
#[derive(Default)]
pub(crate) struct Upstream {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) attempts: u32,
    pub(crate) called: Option<Instant>,
    pub(crate) answered: Option<Duration>,
}

impl Call {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            guard: None,
            in_flight: None,
            identity: None,
            client: None,
            ticket: 0,
            runtime: None,
            events: None,
            route: None,
            fault: None,
            upstream: Upstream::default(),
            request_bytes: 0,
            response_bytes: 0,
            endless: false,
        }
    }

    /// The request's id as text; empty before the first phase.
    pub(crate) fn request_id(&self) -> &str {
        self.identity
            .as_ref()
            .map_or("", |identity| identity.request_id.as_str())
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
