//! The call itself, and as much of the answer as is wanted.

use bytes::{Bytes, BytesMut};
use egress::{Body, Pool, Timeouts};
use http::{HeaderMap, Request, StatusCode};

use super::fault::Fault;

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The body, or its beginning.
    pub(super) body: Bytes,
    /// True if that is all of it.
    pub(super) is_whole: bool,
    /// Why the body ended before its end, unless it was only too long.
    pub(super) broken: Option<Fault>,
}

/// Sends `request` and reads at most `most` bytes of the answer's body. If there are more, the connection is dropped and
/// the answer counts all the same. The endpoint knows a repeat by its `Idempotency-Key`.
pub(super) async fn send(pool: &Pool, request: Request<Body>, timeouts: Timeouts, most: usize) -> Result<Reply, Fault> {
    let answer = pool.send_repeatable(request, timeouts).await;
    let mut answer = answer.map_err(|error| Fault::of_endpoint(&error))?;
    let mut reply = Reply {
        status: answer.status,
        headers: std::mem::take(&mut answer.headers),
        body: Bytes::new(),
        is_whole: true,
        broken: None,
    };
    let mut joined = BytesMut::new();
    while let Some(chunk) = answer.chunk().await {
        let mut chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => {
                reply.broken = Some(Fault::of_endpoint(&error));
                reply.is_whole = false;
                break;
            }
        };
        let room = most - reply.body.len() - joined.len();
        if chunk.len() > room {
            chunk.truncate(room);
            reply.is_whole = false;
        }
        // Most bodies come in one piece, which is not copied.
        if reply.body.is_empty() && joined.is_empty() {
            reply.body = chunk;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut reply.body));
            joined.extend_from_slice(&chunk);
        }
        if !reply.is_whole {
            break;
        }
    }
    if !joined.is_empty() {
        reply.body = joined.freeze();
    }
    Ok(reply)
}
