//! Lets a request in: who answers to it, whose it is, whether it is within its limits.

mod address;
pub(super) mod credential;
mod find;
pub(super) mod input;
mod limit;

use std::borrow::Cow;
use std::sync::Arc;

use filters::path;
use filters::route::host;
use http::{HeaderMap, Method, header};
use pingora_http::RequestHeader;

use super::call::{Call, Caller, Route};
use super::fault::Fault;
use super::letter;
use super::secure;
use super::web;
use crate::live::{IntegrationRuntime, Live};
use find::Match;
pub(super) use limit::LimitFields;

/// Decides where a request goes, and notes whose it is. `None` for one that hands over events: it goes nowhere.
///
/// # Errors
/// Why it does not go anywhere.
pub(super) async fn admit(live: &Live, request: &RequestHeader, call: &mut Call) -> Result<Option<Route>, Fault> {
    let authority = request.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let host = authority.and_then(host::of_authority).ok_or(Fault::NotFound)?;
    let path = path::canonical(request.uri.path()).map_err(Fault::Path)?;
    let Some(found) = find::find(live, &host, &path, &request.method, request.uri.query())? else {
        return Ok(None);
    };
    let integration = found.integration;
    let runtime = live
        .runtime(integration.slot)
        .ok_or_else(|| Fault::Internal("a route leads to an integration that is not live".to_owned()))?;
    call.runtime = Some(Arc::clone(runtime));
    secure::demand_tls(
        &integration.protocols,
        call.is_secure,
        &host,
        live.redirect_port,
        request,
    )?;
    if integration.web.is_some() {
        web::greet(call, request);
    }
    address::check(integration, call.client)?;
    let of_client = limit::of_client(runtime, call.client)?;
    let caller = credential::check(live, runtime, request, call).await?;
    let canonical = || matches!(path, Cow::Owned(_)).then(|| path.as_ref().into());
    let (places, fields) = match limit::within_limits(live, runtime, &caller, of_client) {
        Ok(within) => (within.places, within.fields),
        Err(fault) => {
            if letter::takes_refused(integration, &request.method)
                && let Ok(operation) = check_head(&found, request, &path)
            {
                letter::note_refused(call, route(&found, runtime, caller, canonical(), operation));
            }
            return Err(fault);
        }
    };
    call.places = places;
    let operation = check_head(&found, request, &path)?;
    let mut route = route(&found, runtime, caller, canonical(), operation);
    route.limits = fields;
    if integration.web.is_some() {
        route.field_values = web::field_values(&route, request, call);
    }
    Ok(Some(route))
}

/// Checks what stands before the body; the operation that checks the rest, if there is one.
fn check_head(found: &Match<'_, '_>, request: &RequestHeader, path: &str) -> Result<Option<usize>, Fault> {
    let integration = found.integration;
    check_length(integration.body_limits.request_bytes, &request.headers)?;
    match &integration.validator {
        Some(validator) => input::check_head(validator, found, request, path),
        None => Ok(None),
    }
}

fn route(
    found: &Match<'_, '_>,
    runtime: &Arc<IntegrationRuntime>,
    caller: Caller,
    path: Option<Box<str>>,
    operation: Option<usize>,
) -> Route {
    let params = found.params.iter();
    Route {
        integration: Arc::clone(found.integration),
        runtime: Arc::clone(runtime),
        aim: None,
        edits: None,
        path,
        matched: found.matched,
        by_runtime_address: found.by_runtime_address,
        params: params
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        operation,
        field_values: None,
        caller,
        limits: None,
    }
}

/// True for a preflight request about `method` that the gateway is to answer: the integration that answers to host, path
/// and that method has CORS. It is noted then, with what is said to the origin.
pub(super) fn is_preflight(live: &Live, request: &RequestHeader, method: &Method, call: &mut Call) -> bool {
    let authority = request.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let (Some(host), Ok(path)) = (
        authority.and_then(host::of_authority),
        path::canonical(request.uri.path()),
    ) else {
        return false;
    };
    let Ok(Some(found)) = find::find(live, &host, &path, method, request.uri.query()) else {
        return false;
    };
    let web = found.integration.web.as_ref();
    if web.is_none_or(|web| web.cors.is_none()) {
        return false;
    }
    call.runtime = live.runtime(found.integration.slot).map(Arc::clone);
    web::greet(call, request);
    true
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
