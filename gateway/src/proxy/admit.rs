//! Lets a request in: who answers to it, whose it is, whether it is within its limits.

mod address;
mod credential;
mod find;
mod limit;

use std::borrow::Cow;
use std::sync::Arc;

use filters::path;
use filters::route::host;
use http::{HeaderMap, header};
use pingora_http::RequestHeader;

use super::aim;
use super::call::{Call, Route};
use super::fault::Fault;
use crate::live::Live;
pub(super) use limit::{LimitFields, exceeded};

/// Decides where a request goes, and notes whose it is. `None` for one that hands over events: it goes nowhere.
///
/// # Errors
/// Why it does not go anywhere.
pub(super) async fn admit(live: &Live, request: &RequestHeader, call: &mut Call) -> Result<Option<Route>, Fault> {
    let authority = request.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let host = authority.and_then(host::of_authority).ok_or(Fault::NotFound)?;
    let path = path::canonical(request.uri.path()).map_err(Fault::Path)?;
    let Some(found) = find::find(live, &host, &path, request)? else {
        return Ok(None);
    };
    let integration = found.integration;
    let runtime = live
        .runtime(integration.slot)
        .ok_or_else(|| Fault::Internal("a route leads to an integration that is not live".to_owned()))?;
    address::check(integration, call.client)?;
    let of_client = limit::of_client(runtime, call.client)?;
    call.runtime = Some(Arc::clone(runtime));
    let caller = credential::check(integration, request)?;
    let limits = limit::within_limits(runtime, caller.credential, of_client)?;
    check_length(integration.body_limits.request_bytes, &request.headers)?;
    let mut route = Route {
        integration: Arc::clone(integration),
        runtime: Arc::clone(runtime),
        aim: None,
        path: matches!(path, Cow::Owned(_)).then(|| path.as_ref().into()),
        matched: found.matched,
        by_runtime_address: found.by_runtime_address,
        params: found
            .params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        caller,
        limits,
    };
    aim::take(&mut route, request, integration.pick(call.ticket))?;
    Ok(Some(route))
}

/// Refuses a body that says itself that it is too large, before any of it is read. Returns the length, if it is said.
pub(super) fn check_length(most: u64, headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > most) {
        Err(Fault::BodyTooLarge(most))
    } else {
        Ok(length)
    }
}
