//! The connection below HTTP/2, with an eye on its frames.

use std::fmt;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use pingora::protocols::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::super::WRITE_STALL;
use super::super::transport::passes_on_transport;
use super::meter::Meter;

/// A client's connection of HTTP/2.
pub struct Wire {
    inner: Stream,
    meter: Meter,
    /// The longest that the rest of a head may take.
    head_timeout: Duration,
    /// Runs while a rest is owed.
    owed: Option<Pin<Box<Sleep>>>,
    /// Runs while the client takes nothing of what is written.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    /// Watches over `inner`.
    pub fn new(inner: Stream, head_timeout: Duration) -> Self {
        Self {
            inner,
            meter: Meter::new(Instant::now()),
            head_timeout,
            owed: None,
            stalled: None,
        }
    }

    fn written(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = polled {
            self.stalled = None;
            self.meter.sent(*result.as_ref().unwrap_or(&0));
            return Poll::Ready(result);
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(WRITE_STALL)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        let start = out.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut wire.inner).poll_read(cx, out) {
            let fresh = &out.filled()[start..];
            if !fresh.is_empty() && wire.meter.received(fresh, Instant::now()).is_err() {
                out.set_filled(start);
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the client floods the connection with frames without content",
                )));
            }
            if !wire.meter.owes_the_rest() {
                wire.owed = None;
            }
            return Poll::Ready(read);
        }
        if !wire.meter.owes_the_rest() {
            return Poll::Pending;
        }
        // One deadline from the first byte to the last, however many come in between.
        let limit = wire.head_timeout;
        let owed = wire.owed.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(owed.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.written(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx).map_ok(|()| 0);
        self.written(cx, polled).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(cx).map_ok(|()| 0);
        self.written(cx, polled).map_ok(|_| ())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.written(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

passes_on_transport!(Wire);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
