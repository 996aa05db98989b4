//! The first thing that a client's bytes meet: one guard around each connection.
//!
//! pingora's HTTP/1 parser is forgiving, and its only deadline is between two reads. So the guard reads first. It waits
//! for a whole head within one deadline, refuses what could be read in two ways, follows the body to its end, and passes
//! on nothing past that end until the request is finished. What pingora parses was therefore framed here.

mod connection;
pub mod framing;
pub mod h2;
pub mod head;
mod idle;
pub mod refusal;
mod request;
mod transport;
mod write;

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, BytesMut};
use pingora::protocols::Stream;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::io::poll_read_buf;

pub use connection::Connection;
use framing::Framing;
use head::{Examined, HeadLimits};
use refusal::Refusal;
pub use request::RequestState;
use transport::passes_on_transport;

/// Limits of a connection before anything is routed.
#[derive(Clone, Copy, Debug)]
pub struct EdgeLimits {
    /// Limits of a head.
    pub head: HeadLimits,
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
}

/// Told of each request that is refused before it is routed; makes the body of the answer.
pub trait RefusalSink: Send + Sync {
    /// Takes note of the refusal and returns the request's id and the answer's JSON body.
    fn refused(&self, refusal: Refusal, client: Option<IpAddr>) -> (String, String);
}

/// A client's connection, guarded.
pub struct Guard {
    inner: Stream,
    limits: EdgeLimits,
    sink: Arc<dyn RefusalSink>,
    /// Bytes of the client that were not passed on yet.
    held: BytesMut,
    /// How many of them may be passed on.
    cleared: usize,
    phase: Phase,
    /// Since when the client, or an answer, is waited for.
    since: Option<Instant>,
    /// Wakes the connection to look at its limits. It is not set anew for each wait: one that rings early is moved on.
    timer: Option<Pin<Box<Sleep>>>,
    /// Runs while the client does not take what is written to it.
    stalled: Option<Pin<Box<Sleep>>>,
    /// The request that is under way asks to change over to WebSocket.
    websocket: bool,
    request: Arc<RequestState>,
}

#[derive(Debug)]
enum Phase {
    /// Waiting for a head.
    Head,
    /// Passing the body on.
    Body(Framing),
    /// The request was passed on whole; it is not finished.
    Waiting,
    /// Telling the client why its request was refused.
    Refusing { answer: Vec<u8>, written: usize },
    /// Reading what the client still sends, so that it can read the answer.
    Draining { left: usize },
    /// Nothing more will come.
    Closed,
}

/// Bytes of one read of a head; every silent connection holds as many.
const FIRST_READ: usize = 2 * 1024;
/// Bytes of a following request that are held while one is under way.
const MOST_HELD: usize = 64 * 1024;
/// Bytes that are read and thrown away after a refusal, and for how long.
const MOST_DRAINED: usize = 256 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// How long a client may take nothing of an answer before its request has a time of its own.
const WRITE_STALL: Duration = Duration::from_secs(30);

impl Guard {
    /// Guards `inner`.
    pub fn new(inner: Stream, connection: Arc<Connection>, limits: EdgeLimits, sink: Arc<dyn RefusalSink>) -> Self {
        Self {
            inner,
            limits,
            sink,
            held: BytesMut::new(),
            cleared: 0,
            phase: Phase::Head,
            since: None,
            timer: None,
            stalled: None,
            websocket: false,
            request: Arc::new(RequestState::on(connection)),
        }
    }

    /// What the request flow and the guard share.
    pub fn request(&self) -> &Arc<RequestState> {
        &self.request
    }

    /// Answers with `refusal` instead of reading anything, and closes.
    pub async fn turn_away(mut self, refusal: Refusal) {
        self.refuse(refusal);
        let Phase::Refusing { answer, .. } = &self.phase else {
            return;
        };
        let answer = answer.clone();
        let farewell = async {
            self.inner.write_all(&answer).await?;
            self.inner.flush().await
        };
        // A client that does not read its refusal is cut off; there is nobody to tell.
        let _ = tokio::time::timeout(DRAIN_TIME, farewell).await;
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            if !self.held.is_empty() {
                match head::examine(&self.held, &self.limits.head) {
                    Examined::Complete(head) => {
                        self.accept(head);
                        return Poll::Ready(Ok(true));
                    }
                    Examined::Refused(refusal) => {
                        self.refuse(refusal);
                        return Poll::Ready(Ok(true));
                    }
                    Examined::Partial => {}
                }
            }
            match self.poll_hold(cx, FIRST_READ) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(false)),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                // Between requests the time to be idle rules; within a head this one does.
                Poll::Pending if self.held.is_empty() => return Poll::Pending,
                Poll::Pending => {
                    ready!(self.poll_deadline(cx, self.limits.head_timeout));
                    let millis = u64::try_from(self.limits.head_timeout.as_millis()).unwrap_or(u64::MAX);
                    self.refuse(Refusal::HeadTimeout(millis));
                    return Poll::Ready(Ok(true));
                }
            }
        }
    }

    fn accept(&mut self, head: head::Head) {
        self.since = None;
        self.request.finished.store(false, Ordering::Release);
        self.request.time.store(0, Ordering::Release);
        self.cleared = head.length;
        if let Some(rewritten) = head.rewritten {
            self.cleared = rewritten.len();
            let rest = self.held.split_off(head.length);
            self.held = BytesMut::from(rewritten.as_slice());
            self.held.unsplit(rest);
        }
        self.request.answer_deadline.store(0, Ordering::Release);
        self.request.silence.store(0, Ordering::Release);
        self.websocket = head.websocket;
        self.phase = if head.framing.is_done() {
            self.after_body()
        } else {
            Phase::Body(head.framing)
        };
    }

    fn refuse(&mut self, refusal: Refusal) {
        let head_only = self.held.starts_with(b"HEAD ");
        let (request_id, body) = self.sink.refused(refusal, address_of(&self.inner));
        self.held = BytesMut::new();
        self.cleared = 0;
        self.since = None;
        self.phase = Phase::Refusing {
            answer: refusal.answer(&request_id, &body, head_only),
            written: 0,
        };
    }

    /// Reads more of the client into `held`. The number of bytes read; 0 at the end.
    fn poll_hold(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        self.held.reserve(room);
        // No more than the room is read: what is reserved may be larger.
        let mut space = (&mut self.held).limit(room);
        poll_read_buf(Pin::new(&mut self.inner), cx, &mut space)
    }

    /// Passes on up to the end of the body. Held bytes go first; after them the client is read straight into `out`.
    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        mut framing: Framing,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        if !self.held.is_empty() {
            self.cleared = framing.take(&self.held).map_err(|_| bad_chunk())?;
        } else {
            let start = out.filled().len();
            match Pin::new(&mut self.inner).poll_read(cx, out) {
                Poll::Ready(read) => read?,
                Poll::Pending => {
                    // Another protocol may be silent for as long as the partner's side bears it.
                    let limit = match framing {
                        Framing::Raw => &self.request.answer_deadline,
                        Framing::Length(_) | Framing::Chunked(_) => &self.request.time,
                    };
                    ready!(self.poll_limit(cx, limit.load(Ordering::Acquire)));
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
            let fresh = &out.filled()[start..];
            if fresh.is_empty() {
                self.phase = Phase::Closed;
                return Poll::Ready(Ok(false));
            }
            let taken = framing.take(fresh).map_err(|_| bad_chunk())?;
            self.held.extend_from_slice(&fresh[taken..]);
            out.set_filled(start + taken);
        }
        self.phase = if framing.is_done() {
            self.since = None;
            self.after_body()
        } else {
            Phase::Body(framing)
        };
        Poll::Ready(Ok(true))
    }

    /// What follows a request's last byte.
    fn after_body(&self) -> Phase {
        if self.websocket {
            Phase::Body(Framing::Raw)
        } else {
            Phase::Waiting
        }
    }

    /// Between a request's last byte and its end only the client's going away is of interest. What it sends meanwhile
    /// is held for the next request.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.request.finished.load(Ordering::Acquire) {
            self.phase = Phase::Head;
            return Poll::Ready(Ok(true));
        }
        while self.held.len() < MOST_HELD {
            match self.poll_hold(cx, FIRST_READ)? {
                Poll::Ready(0) => {
                    self.phase = Phase::Closed;
                    return Poll::Ready(Ok(false));
                }
                Poll::Ready(_) => {}
                Poll::Pending => break,
            }
        }
        ready!(self.poll_limit(cx, self.request.partner_limit()));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_refusing(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.phase {
                Phase::Refusing { answer, written } if *written < answer.len() => {
                    match Pin::new(&mut self.inner).poll_write(cx, &answer[*written..]) {
                        Poll::Ready(Ok(0)) => self.phase = Phase::Closed,
                        Poll::Ready(Ok(sent)) => *written += sent,
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Pending => {
                            ready!(self.poll_deadline(cx, DRAIN_TIME));
                            self.phase = Phase::Closed;
                        }
                    }
                }
                Phase::Refusing { .. } => {
                    ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
                    ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
                    self.since = None;
                    self.phase = Phase::Draining { left: MOST_DRAINED };
                }
                Phase::Draining { left } => {
                    let room = FIRST_READ.min(*left);
                    let mut left = *left;
                    self.held.clear();
                    match self.poll_hold(cx, room) {
                        Poll::Ready(Ok(read)) if read > 0 && read < left => left -= read,
                        Poll::Ready(_) => left = 0,
                        Poll::Pending => {
                            ready!(self.poll_deadline(cx, DRAIN_TIME));
                            left = 0;
                        }
                    }
                    self.phase = if left == 0 {
                        Phase::Closed
                    } else {
                        Phase::Draining { left }
                    };
                }
                Phase::Head | Phase::Body(_) | Phase::Waiting | Phase::Closed => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Ready once the limit has passed since it was first asked for; never for 0.
    fn poll_limit(&mut self, cx: &mut Context<'_>, millis: u64) -> Poll<()> {
        if millis == 0 {
            self.since = None;
            return Poll::Pending;
        }
        self.poll_deadline(cx, Duration::from_millis(millis))
    }

    /// Ready once `time` has passed since it was first asked for in this wait.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, time: Duration) -> Poll<()> {
        let until = *self.since.get_or_insert_with(Instant::now) + time;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if timer.deadline() > until {
            timer.as_mut().reset(until);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= until {
                return Poll::Ready(());
            }
            timer.as_mut().reset(until);
        }
    }

    /// What a write came to. A client that takes nothing for as long as its whole request may last is given up; the time
    /// costs nothing until a write has to wait.
    fn written<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            if matches!(self.phase, Phase::Waiting) && self.request.silence.load(Ordering::Acquire) > 0 {
                // More of the answer has come, and what is waited for now is what follows it.
                self.since = None;
            }
            return polled;
        }
        let limit = match self.request.time.load(Ordering::Acquire) {
            0 => WRITE_STALL,
            millis => Duration::from_millis(millis),
        };
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn pass_on(&mut self, out: &mut ReadBuf<'_>) {
        let passed = self.cleared.min(out.remaining());
        out.put_slice(&self.held[..passed]);
        self.cleared -= passed;
        self.held.advance(passed);
    }
}

passes_on_transport!(Guard);

/// The address of whoever is at the other end.
pub fn address_of(stream: &Stream) -> Option<IpAddr> {
    let digest = stream.get_socket_digest()?;
    let address = digest.peer_addr()?.as_inet()?.ip();
    Some(address.to_canonical())
}

fn bad_chunk() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the request's chunks are malformed")
}

impl AsyncRead for Guard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let guard = &mut *self;
        let start = out.filled().len();
        loop {
            if guard.cleared > 0 {
                guard.pass_on(out);
                return Poll::Ready(Ok(()));
            }
            let more = match guard.phase {
                Phase::Head => ready!(guard.poll_head(cx))?,
                Phase::Body(framing) => ready!(guard.poll_body(cx, framing, out))?,
                Phase::Waiting => ready!(guard.poll_waiting(cx))?,
                Phase::Refusing { .. } | Phase::Draining { .. } => {
                    ready!(guard.poll_refusing(cx))?;
                    false
                }
                Phase::Closed => false,
            };
            if !more || out.filled().len() > start {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The held bytes may be credentials.
        f.debug_struct("Guard")
            .field("held", &self.held.len())
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
