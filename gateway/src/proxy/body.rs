//! Reads whole bodies.

use bytes::{Bytes, BytesMut};
use pingora::proxy::Session;

use super::call::Call;
use super::fault::Fault;
use super::stream;

/// Reads the client's body, at most `most` bytes of it. `hold` is told how many there are so far, and may refuse more.
pub(super) async fn read(
    session: &mut Session,
    call: &mut Call,
    most: u64,
    mut hold: impl FnMut(u64) -> Result<(), Fault>,
) -> Result<Bytes, Fault> {
    let mut whole = BytesMut::new();
    let mut first = None;
    loop {
        let chunk = session
            .read_request_body()
            .await
            .map_err(|error| stream::client_fault(error, call))?;
        let Some(chunk) = chunk else { break };
        call.request_bytes += chunk.len() as u64;
        if call.request_bytes > most {
            return Err(Fault::BodyTooLarge(most));
        }
        hold(call.request_bytes)?;
        // A body that came in one piece is not copied.
        match first.take() {
            None if whole.is_empty() => first = Some(chunk),
            Some(earlier) => {
                whole.extend_from_slice(&earlier);
                whole.extend_from_slice(&chunk);
            }
            None => whole.extend_from_slice(&chunk),
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}
