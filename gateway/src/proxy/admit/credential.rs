//! Who is calling.

use filters::auth::{AuthRefusal, Checked, Identity, Presented, sha256};
use filters::plan::Integration;
use pingora_http::RequestHeader;

use super::super::call::{Call, Caller, Route};
use super::super::fault::{Fault, Forbidden};
use crate::clock;
use crate::identity::NotKnown;
use crate::live::{IntegrationRuntime, Live};

/// Checks the credential that the request carries: the first way in that it opens counts.
///
/// # Errors
/// [`Fault::Unauthorized`] if it is missing or wrong, [`Fault::Forbidden`] if it may not call this integration,
/// [`Fault::NoIssuer`] if nobody can tell.
pub(super) async fn check(
    live: &Live,
    runtime: &IntegrationRuntime,
    request: &RequestHeader,
    call: &Call,
) -> Result<Caller, Fault> {
    let integration = &*runtime.integration;
    let inbound = &integration.inbound;
    if inbound.is_open() {
        return Ok(Caller::default());
    }
    let presented = Presented {
        method: &request.method,
        uri: &request.uri,
        headers: &request.headers,
        certificate: call.client_certificate.as_deref(),
        consumers: live.plan.consumers(integration.source.org_id),
        now_s,
    };
    if inbound.is_plain() {
        return at_once(integration, &presented, call);
    }
    // Boxed, so that the future of every other request stays small.
    Box::pin(in_time(runtime, &presented, call)).await
}

/// The same where everything is at hand.
fn at_once(integration: &Integration, presented: &Presented<'_>, call: &Call) -> Result<Caller, Fault> {
    let mut furthest = NotKnown::Refused(AuthRefusal::Missing);
    for way in integration.inbound.ways() {
        let known = match integration.inbound.check(way, presented) {
            Ok(Checked::Known(identity)) => Ok(identity),
            Ok(Checked::Token(_) | Checked::Opaque(_)) => Err(NotKnown::Unavailable),
            Err(refusal) => Err(refusal.into()),
        };
        match known.and_then(|identity| admitted(identity, integration, call)) {
            Ok(identity) => return Ok(Caller::of(identity)),
            Err(not_known) => furthest = furthest.max(not_known),
        }
    }
    Err(fault(furthest, integration))
}

/// The same where keys or answers of issuers may have to be waited for.
async fn in_time(runtime: &IntegrationRuntime, presented: &Presented<'_>, call: &Call) -> Result<Caller, Fault> {
    let integration = &*runtime.integration;
    let mut furthest = NotKnown::Refused(AuthRefusal::Missing);
    for (index, way) in integration.inbound.ways().iter().enumerate() {
        let known = match integration.inbound.check(way, presented) {
            Ok(checked) => runtime.memories.settle(index, way, checked, presented).await,
            Err(refusal) => Err(refusal.into()),
        };
        match known.and_then(|identity| admitted(identity, integration, call)) {
            Ok(identity) => return Ok(Caller::of(identity)),
            Err(not_known) => furthest = furthest.max(not_known),
        }
    }
    Err(fault(furthest, integration))
}

/// What the client is told of the refusal that got furthest.
fn fault(not_known: NotKnown, integration: &Integration) -> Fault {
    match not_known {
        NotKnown::Refused(AuthRefusal::NotAllowed) => Fault::Forbidden(Forbidden::Caller),
        NotKnown::Refused(refusal) => Fault::Unauthorized(refusal, integration.inbound.challenges()),
        NotKnown::Unavailable => Fault::NoIssuer,
    }
}

/// Refuses consumers that may not call this integration, or not from there.
fn admitted(identity: Identity, integration: &Integration, call: &Call) -> Result<Identity, NotKnown> {
    match &identity.consumer {
        Some(consumer) if !consumer.may_call(&integration.id, call.client) => Err(AuthRefusal::NotAllowed.into()),
        _ => Ok(identity),
    }
}

/// Refuses a body that is not the one that was signed.
///
/// # Errors
/// [`Fault::Unauthorized`].
pub(in crate::proxy) fn check_body(route: &Route, body: &[u8]) -> Result<(), Fault> {
    let Some(signed) = route.caller.signed_body else {
        return Ok(());
    };
    let digest = if body.len() > LARGE_BODY {
        // Milliseconds of work: the other requests of this thread go on elsewhere meanwhile.
        tokio::task::block_in_place(|| sha256(body))
    } else {
        sha256(body)
    };
    if digest == signed {
        Ok(())
    } else {
        Err(Fault::Unauthorized(
            AuthRefusal::OtherBody,
            route.integration.inbound.challenges(),
        ))
    }
}

/// Bytes of a body from which on it is worth moving the other requests of the thread away.
const LARGE_BODY: usize = 256 * 1024;

fn now_s() -> i64 {
    clock::now_ms() / 1000
}
