//! The token of a streamed request whose integration signs in with one: found before the attempt, written on the partner's
//! request, and replaced once if the partner refuses it.

use std::sync::Arc;

use egress::{Token, TokenSource};
use http::{StatusCode, header};
use pingora::proxy::Session;
use pingora_http::RequestHeader;

use super::again::Next;
use super::call::Call;
use super::fault::Fault;
use super::respond;

/// The token of a request.
pub(crate) struct SignedIn {
    token: Arc<Token>,
    /// True once it was replaced, which is done once for a request.
    is_renewed: bool,
}

/// Finds the token for the next attempt; waits for it if there is none.
///
/// # Errors
/// If there is none in the time that is left.
pub(super) async fn prepare(call: &mut Call, source: &Arc<TokenSource>) -> Result<(), Fault> {
    let is_renewed = call.signed_in.as_ref().is_some_and(|signed| signed.is_renewed);
    let token = match source.known() {
        Some(token) => token,
        None => source.token(call.time_left()).await.map_err(Fault::SignIn)?,
    };
    call.signed_in = Some(SignedIn { token, is_renewed });
    Ok(())
}

/// Writes the token on the partner's request.
///
/// # Errors
/// If the head takes no more: a fault of ours.
pub(super) fn sign(head: &mut RequestHeader, call: &Call) -> Result<(), Fault> {
    let Some(signed) = &call.signed_in else {
        return Ok(());
    };
    let written = head.insert_header(header::AUTHORIZATION, signed.token.authorization().clone());
    written.map_err(|error| Fault::Internal(error.to_string()))
}

/// Looks at the status of the partner's answer; true if the request is to be made again with another token, which is in
/// `call.next` then.
///
/// # Errors
/// If there is no other token.
pub(super) async fn is_refused(session: &Session, call: &mut Call, status: StatusCode) -> Result<bool, Fault> {
    let Some(source) = call.route.as_ref().and_then(|route| route.runtime.token.clone()) else {
        return Ok(false);
    };
    let left = call.time_left();
    let Some(signed) = &mut call.signed_in else {
        return Ok(false);
    };
    if status != StatusCode::UNAUTHORIZED {
        signed.token.accepted();
        return Ok(false);
    }
    if signed.is_renewed || respond::is_under_way(session) {
        return Ok(false);
    }
    let Some(token) = source.renewed(&signed.token, left).await.map_err(Fault::SignIn)? else {
        return Ok(false);
    };
    *signed = SignedIn {
        token,
        is_renewed: true,
    };
    // What was sent of a body and is not kept cannot be sent again: the partner's word stands, and the next request has
    // the new token.
    if session.as_downstream().retry_buffer_truncated() {
        return Ok(false);
    }
    call.next = Some(Next::same_target());
    Ok(true)
}
