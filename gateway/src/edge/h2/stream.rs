//! One request of HTTP/2 towards pingora: its own session, with deadlines.
//!
//! pingora waits for ever for a body, and writes the end of a chunked body twice to the partner where a client ends its
//! request with an empty frame, so that the next user of that connection gets a stray answer. Here an empty frame is
//! nothing, and each wait has an end.

mod session;
mod tally;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use pingora::protocols::http::HttpTask;
use pingora::protocols::http::v2::server::HttpSession;
use pingora::{Error, ErrorType};
use pingora_http::ResponseHeader;
use tokio::time::{Instant, timeout};

pub use self::tally::{Open, Tally};
use super::super::refusal::Refusal;
use super::super::{RequestState, WRITE_STALL};

/// A request and its answer.
pub struct H2Stream {
    inner: HttpSession,
    request: Arc<RequestState>,
    open: Open,
    began: Instant,
    /// Since when the answer to this request is waited for.
    waiting_since: Option<Instant>,
    write_timeout: Option<Duration>,
}

/// Bytes of an answer that are handed to the library at a time; the client has to take as many within the time for a
/// write.
const PIECE: usize = 16 * 1024;

impl H2Stream {
    /// Takes over a request whose head was examined.
    pub fn new(inner: HttpSession, request: Arc<RequestState>, open: Open) -> Self {
        Self {
            inner,
            request,
            open,
            began: Instant::now(),
            waiting_since: None,
            write_timeout: None,
        }
    }

    /// Answers with `refusal` in the place of everything else.
    pub async fn refuse(mut self, refusal: Refusal, request_id: String, body: String) {
        let mut head = Response::new(()).into_parts().0;
        head.status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let fields = &mut head.headers;
        fields.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/json"),
        );
        fields.insert(header::CONTENT_LENGTH, body.len().into());
        if let Ok(id) = header::HeaderValue::from_str(&request_id) {
            fields.insert("x-request-id", id);
        }
        let head_only = self.inner.req_header().method == http::Method::HEAD;
        // Whoever does not take its refusal is cut off; there is nobody to tell.
        if self.head(ResponseHeader::from(head), head_only).is_ok() && !head_only {
            let _ = self.body(body.into(), true).await;
        }
    }

    /// The next piece of the body; `None` at its end.
    async fn read(&mut self) -> pingora::Result<Option<Bytes>> {
        loop {
            let limit = self.request.time.load(Ordering::Acquire);
            let data = if limit == 0 {
                timeout(SILENCE, self.inner.read_body_bytes()).await
            } else {
                let left = Duration::from_millis(limit).saturating_sub(self.began.elapsed());
                timeout(left, self.inner.read_body_bytes()).await
            };
            match data {
                Ok(Ok(Some(data))) if data.is_empty() => {}
                Ok(Ok(data)) => return Ok(data),
                Ok(Err(error)) => return Err(self.broken(error)),
                Err(_) => return Err(timed_out("the body")),
            }
        }
    }

    /// Waits until the client goes away, or the answer was to have begun.
    async fn wait_for_the_end(&mut self) -> pingora::Result<Option<Bytes>> {
        let limit = self.request.answer_deadline.load(Ordering::Acquire);
        let closed = if limit == 0 {
            self.waiting_since = None;
            self.inner.idle().await
        } else {
            let since = *self.waiting_since.get_or_insert_with(Instant::now);
            let left = Duration::from_millis(limit).saturating_sub(since.elapsed());
            match timeout(left, self.inner.idle()).await {
                Ok(closed) => closed,
                Err(_) => return Err(timed_out("the answer")),
            }
        };
        self.open.left();
        let why = closed.map_or_else(|error| error.to_string(), |reason| reason.to_string());
        Error::e_explain(
            ErrorType::ConnectionClosed,
            format!("the client gave the request up: {why}"),
        )
    }

    /// What became of a body that ends in an error: the client gave it up, or it is not what was announced.
    fn broken(&mut self, error: Box<Error>) -> Box<Error> {
        let by_us = error
            .root_cause()
            .downcast_ref::<h2::Error>()
            .is_some_and(|cause| cause.is_library() && !cause.is_io());
        if by_us {
            let cause = io::Error::new(io::ErrorKind::InvalidData, "the body is not as long as was said");
            return Error::because(ErrorType::ReadError, "while reading a body", cause);
        }
        self.open.left();
        error
    }

    fn head(&mut self, head: ResponseHeader, end: bool) -> pingora::Result<()> {
        if !head.status.is_informational() {
            self.open.answered();
        }
        self.inner.write_response_header(Box::new(head), end)
    }

    async fn body(&mut self, mut data: Bytes, end: bool) -> pingora::Result<()> {
        let limit = match (self.write_timeout, self.request.time.load(Ordering::Acquire)) {
            (Some(limit), _) => limit,
            (None, 0) => WRITE_STALL,
            (None, millis) => Duration::from_millis(millis),
        };
        loop {
            let piece = data.split_to(data.len().min(PIECE));
            let last = data.is_empty();
            match timeout(limit, self.inner.write_body(piece, end && last)).await {
                Ok(written) => written.map_err(|error| error.into_down())?,
                Err(_) => {
                    let error = Error::explain(ErrorType::WriteTimedout, "the client takes nothing of its answer");
                    return Err(error.into_down());
                }
            }
            if last {
                return Ok(());
            }
        }
    }

    /// Writes what pingora has ready. True once it is the end of the answer.
    async fn tasks(&mut self, tasks: Vec<HttpTask>) -> pingora::Result<bool> {
        let mut ended = false;
        for task in tasks {
            ended |= match task {
                HttpTask::Header(head, end) => {
                    self.head(*head, end).map_err(|error| error.into_down())?;
                    end
                }
                HttpTask::Body(data, end) => {
                    if let Some(data) = data.filter(|data| !data.is_empty()) {
                        self.body(data, end).await?;
                    }
                    end
                }
                HttpTask::Trailer(trailers) => {
                    if let Some(trailers) = trailers {
                        self.trailers(*trailers)?;
                    }
                    true
                }
                HttpTask::Done => true,
                HttpTask::UpgradedBody(..) => {
                    return Error::e_explain(ErrorType::InternalError, "another protocol inside of HTTP/2");
                }
                HttpTask::Failed(error) => return Err(error),
            };
        }
        if ended {
            self.inner.finish().map_err(|error| error.into_down())?;
        }
        Ok(ended)
    }

    fn trailers(&mut self, trailers: HeaderMap) -> pingora::Result<()> {
        self.inner.write_trailers(trailers).map_err(|error| error.into_down())
    }
}

fn timed_out(what: &'static str) -> Box<Error> {
    let cause = io::Error::from(io::ErrorKind::TimedOut);
    Error::because(ErrorType::ReadError, format!("{what} took too long"), cause)
}

/// How long a body may pause where the request has no time of its own.
const SILENCE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests;
