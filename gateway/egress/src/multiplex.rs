//! Connections that carry several exchanges at a time (HTTP/2).

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::uri::{Authority, Scheme, Uri};
use http::{Request, Version, header};
use hyper::client::conn::{TrySendError, http2};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::body::Body;
use crate::idle::Room;

/// One such connection.
pub(crate) struct Multiplexed {
    sender: http2::SendRequest<Body>,
    /// What the partner allows at a time.
    allowed: Arc<AtomicUsize>,
    streams: AtomicUsize,
    /// When the last exchange ended.
    since: Mutex<Instant>,
    _room: Option<Room>,
}

impl Multiplexed {
    /// Speaks HTTP/2 on `stream`.
    pub(crate) async fn start<S>(stream: S, max_head_bytes: usize) -> hyper::Result<Self>
    where
        S: Read + Write + Unpin + Send + 'static,
    {
        let mut settings = http2::Builder::new(TokioExecutor::new());
        settings
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(u32::try_from(max_head_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PING_LIMIT);
        let (sender, mut connection) = settings.handshake::<_, Body>(stream).await?;
        let allowed = Arc::new(AtomicUsize::new(MOST_STREAMS));
        let told = Arc::clone(&allowed);
        tokio::spawn(async move {
            let ended = poll_fn(|context| {
                let state = Pin::new(&mut connection).poll(context);
                told.store(
                    connection.current_max_send_streams().min(MOST_STREAMS),
                    Ordering::Relaxed,
                );
                state
            });
            if let Err(error) = ended.await {
                tracing::debug!(%error, "a connection to a partner ended");
            }
        });
        Ok(Self {
            sender,
            allowed,
            streams: AtomicUsize::new(0),
            since: Mutex::new(Instant::now()),
            _room: None,
        })
    }

    /// The same, with its place among the idle connections of all pools, which it keeps while it is open.
    pub(crate) fn within(mut self, room: Option<Room>) -> Self {
        self._room = room;
        self
    }

    /// False once the partner takes no more requests on it.
    pub(crate) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// When its last exchange ended; `None` while there is one.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        (self.streams.load(Ordering::Acquire) == 0).then(|| *self.since.lock())
    }

    /// The place of the first exchange.
    pub(crate) fn first(self: &Arc<Self>) -> Stream {
        self.streams.fetch_add(1, Ordering::AcqRel);
        Stream(Arc::clone(self))
    }

    /// A place for one more exchange, if the partner allows one.
    pub(crate) fn join(self: &Arc<Self>) -> Option<Stream> {
        let most = self.allowed.load(Ordering::Relaxed);
        let joined = |streams| (streams < most).then_some(streams + 1);
        self.streams
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, joined)
            .ok()?;
        Some(Stream(Arc::clone(self)))
    }
}

impl fmt::Debug for Multiplexed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multiplexed")
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

/// The place of one exchange on a connection; free again when it is dropped.
pub(crate) struct Stream(Arc<Multiplexed>);

impl Stream {
    pub(crate) fn connection(&self) -> Arc<Multiplexed> {
        Arc::clone(&self.0)
    }

    /// Sends a request whose `Host` names the partner.
    pub(crate) async fn send(
        &self,
        mut request: Request<Body>,
        host: Option<&Authority>,
    ) -> Result<http::Response<hyper::body::Incoming>, TrySendError<Request<Body>>> {
        let named = request.headers_mut().remove(header::HOST);
        let named = named.and_then(|named| Authority::try_from(named.as_bytes()).ok());
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = named.or_else(|| host.cloned());
        // Scheme, host and path are there, each of them checked, so that this cannot fail.
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        *request.version_mut() = Version::HTTP_2;
        self.0.sender.clone().try_send_request(request).await
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        *self.0.since.lock() = Instant::now();
        self.0.streams.fetch_sub(1, Ordering::AcqRel);
    }
}

/// True if the partner said that it did not look at the request, so that sending it again repeats nothing (RFC 9113,
/// section 8.7).
pub(crate) fn was_not_processed(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| {
        let refused = cause.is_reset() && cause.reason() == Some(h2::Reason::REFUSED_STREAM);
        // Only streams above the last one that the partner takes end with its GOAWAY.
        cause.is_remote() && (refused || cause.is_go_away())
    })
}

/// The most exchanges on a connection at a time, whatever the partner allows.
const MOST_STREAMS: usize = 100;
/// Bytes of an answer that may be under way before somebody reads them, and of all answers of a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes of a request that wait for the partner.
const SEND_BUFFER: usize = 256 * 1024;
/// While an exchange is under way, a silent connection is asked for a sign of life after this time.
const PING_AFTER: Duration = Duration::from_secs(10);
/// And is given up after this time without one.
const PING_LIMIT: Duration = Duration::from_secs(10);
