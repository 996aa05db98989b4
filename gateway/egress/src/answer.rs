//! A partner's answer: its head, and a body that comes under the deadline of the whole exchange.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::connections::{Connections, Link};
use crate::error::EgressError;
use crate::pool::Deadline;

/// A partner's answer. Dropping it before its end closes the connection, or over HTTP/2 this exchange.
pub struct Answer {
    /// The status, redirects included.
    pub status: StatusCode,
    /// The header fields as they came, those of the connection included.
    pub headers: HeaderMap,
    /// When there was a connection for the request.
    pub connected: Instant,
    body: Incoming,
    deadline: Deadline,
    connections: Arc<Connections>,
    /// The connection, until the end of the body gives it back.
    link: Option<Link>,
    failed: bool,
}

impl Answer {
    pub(crate) fn new(
        response: http::Response<Incoming>,
        deadline: Deadline,
        connections: Arc<Connections>,
        link: Link,
        connected: Instant,
    ) -> Result<Self, EgressError> {
        let (head, body) = response.into_parts();
        if head.status.is_informational() {
            return Err(EgressError::UnexpectedUpgrade {
                host: connections.host(),
                status: head.status.as_u16(),
            });
        }
        let mut answer = Self {
            status: head.status,
            headers: head.headers,
            connected,
            body,
            deadline,
            connections,
            link: Some(link),
            failed: false,
        };
        answer.release_if_over();
        Ok(answer)
    }

    /// The host that answered, as it was resolved.
    pub fn host(&self) -> String {
        self.connections.host()
    }

    /// Bytes of the body that are still to come, if the partner said so.
    pub fn remaining(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next piece of the body; `None` at its end, and after an error.
    ///
    /// # Errors
    /// If the body breaks off, or the time for the whole exchange is over.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, EgressError>> {
        while !self.failed {
            // A body that is always there at once never meets the timer.
            if Instant::now() >= self.deadline.at {
                let error = self.connections.out_of_time(self.deadline);
                return Some(Err(self.fail(error)));
            }
            let frame = match timeout_at(self.deadline.at, self.body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(source))) => {
                    let host = self.connections.host();
                    return Some(Err(self.fail(EgressError::Body { host, source })));
                }
                Ok(None) => {
                    self.release();
                    return None;
                }
                Err(_) => {
                    let error = self.connections.out_of_time(self.deadline);
                    return Some(Err(self.fail(error)));
                }
            };
            self.release_if_over();
            // What is not data is trailers, which nobody here asked for (no `TE` is sent).
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                return Some(Ok(data));
            }
        }
        None
    }

    /// The whole body.
    ///
    /// # Errors
    /// As for [`Answer::chunk`], and if the body is larger than `max_bytes`.
    pub async fn collect(mut self, max_bytes: usize) -> Result<Bytes, EgressError> {
        if self.body.size_hint().lower() > u64::try_from(max_bytes).unwrap_or(u64::MAX) {
            return Err(self.too_large(max_bytes));
        }
        let mut whole = Bytes::new();
        let mut joined = BytesMut::new();
        while let Some(chunk) = self.chunk().await {
            let chunk = chunk?;
            if whole.len() + joined.len() + chunk.len() > max_bytes {
                return Err(self.too_large(max_bytes));
            }
            // Most bodies come in one piece, which is then handed on as it is.
            if whole.is_empty() && joined.is_empty() {
                whole = chunk;
                continue;
            }
            if !whole.is_empty() {
                joined.reserve(self.expected(whole.len() + chunk.len(), max_bytes));
                joined.extend_from_slice(&std::mem::take(&mut whole));
            }
            joined.extend_from_slice(&chunk);
        }
        Ok(if joined.is_empty() { whole } else { joined.freeze() })
    }

    /// Room for a body of which `have` bytes are here.
    fn expected(&self, have: usize, max_bytes: usize) -> usize {
        let rest = usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX);
        have.saturating_add(rest).min(max_bytes)
    }

    /// A body of known length is over with its last byte, before anybody asks for more.
    fn release_if_over(&mut self) {
        if self.body.is_end_stream() {
            self.release();
        }
    }

    /// Gives the connection back.
    fn release(&mut self) {
        if let Some(link) = self.link.take() {
            self.connections.give_back(link);
        }
    }

    fn too_large(&mut self, max: usize) -> EgressError {
        let host = self.connections.host();
        self.fail(EgressError::BodyTooLarge { host, max })
    }

    /// After an error there is nothing more to come, and the connection is of no use to anybody.
    fn fail(&mut self, error: EgressError) -> EgressError {
        self.failed = true;
        self.link = None;
        error
    }
}

impl fmt::Debug for Answer {
    /// Without header values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
