//! Where an attempt goes: one of the integration's targets, and the path and query that it is asked for.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use filters::auth::{query_value, without_parameter};
use filters::plan::Integration;
use filters::resilience::{Balance, KeySource, balance};
use http::uri::PathAndQuery;
use http::{HeaderMap, header};
use pingora_http::RequestHeader;

use super::call::{Call, Route};
use super::fault::Fault;
use crate::clock;
use crate::live::TargetRuntime;
use crate::upstream::{Attempt, Wanted};

/// Where an attempt goes.
pub(crate) struct Aim {
    /// The target.
    pub(crate) target: Arc<TargetRuntime>,
    /// Path and query of the partner's request.
    pub(crate) path_and_query: PathAndQuery,
    /// The attempt's place at the target, where the integration has rules about failing ones.
    pub(crate) attempt: Option<Attempt>,
}

/// Aims the first attempt of a call.
///
/// # Errors
/// If no target takes it, or its path is not one: a fault of ours.
pub(super) fn first(call: &mut Call, request: &RequestHeader) -> Result<(), Fault> {
    let Some(route) = &call.route else {
        return Err(Fault::Internal("no route to aim along".to_owned()));
    };
    let Some(resilience) = &route.runtime.resilience else {
        let target = route.runtime.targets.get(route.integration.pick(call.ticket));
        let target = target.map(Arc::clone);
        let target = target.ok_or_else(|| Fault::Internal("an integration without a target is live".to_owned()))?;
        return take(call, request, target, None);
    };
    resilience.called(clock::now_ms());
    let key = match &resilience.rules().balance {
        Balance::ConsistentHash(source) => key(source, call, route, request),
        Balance::Weighted | Balance::RoundRobin | Balance::LeastRequests => None,
    };
    let wanted = Wanted {
        tried: &[],
        ticket: call.ticket,
        key,
    };
    let attempt = resilience.choose(wanted).map_err(Fault::Unavailable)?;
    call.upstream.key = key;
    at(call, request, attempt)
}

/// Hash of what the targets of a request are chosen by, if the request has it.
fn key(source: &KeySource, call: &Call, route: &Route, request: &RequestHeader) -> Option<u64> {
    let hash = |text: &str| balance::hash(text.as_bytes());
    match source {
        KeySource::Header(name) => request.headers.get(name).map(|value| balance::hash(value.as_bytes())),
        KeySource::Query(name) => query_value(request.uri.query()?, name).map(|value| hash(&value)),
        KeySource::Cookie(name) => cookie(&request.headers, name).map(hash),
        KeySource::ClientIp => call.client.map(|client| hash(&client.to_string())),
        KeySource::Caller => route.caller.name.as_deref().map(hash),
        KeySource::Path => Some(hash(route.path.as_deref().unwrap_or_else(|| request.uri.path()))),
    }
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter();
    let mut pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(other, value)| (other == name).then_some(value))
}

/// Aims another attempt.
///
/// # Errors
/// If the path is not one: a fault of ours.
pub(super) fn at(call: &mut Call, request: &RequestHeader, attempt: Attempt) -> Result<(), Fault> {
    let target = Arc::clone(&attempt.endpoint().target);
    take(call, request, target, Some(attempt))
}

fn take(
    call: &mut Call,
    request: &RequestHeader,
    target: Arc<TargetRuntime>,
    attempt: Option<Attempt>,
) -> Result<(), Fault> {
    let Some(route) = &mut call.route else {
        return Err(Fault::Internal("no route to aim along".to_owned()));
    };
    let integration = &*route.integration;
    let url = target.upstream.target();
    let edits = route.edits.as_deref();
    let mut client_query = request.uri.query().map(|query| own_query(route, query));
    if let Some(edits) = edits.filter(|edits| !edits.query.is_empty()) {
        client_query = Some(edits.query_of(client_query.as_deref().unwrap_or_default()).into());
    }
    let signed = integration.outgoing.query.as_ref().map(filters::model::Secret::expose);
    let path_and_query = integration.rewrite.path_and_query(
        url.path(),
        route.path.as_deref().unwrap_or_else(|| request.uri.path()),
        route.matched,
        |name| {
            let mapped = edits.and_then(|edits| edits.path.iter().find(|(other, _)| **other == *name));
            if let Some((_, value)) = mapped {
                return Some(value.as_str());
            }
            let found = route.params.iter().find(|(other, _)| other == name);
            found.map(|(_, value)| value.as_str())
        },
        [url.query(), client_query.as_deref(), signed],
    );
    let path_and_query = PathAndQuery::from_maybe_shared(Bytes::from(path_and_query))
        .map_err(|error| Fault::Internal(format!("the partner's path is not valid: {error}")))?;
    route.aim = Some(Aim {
        target,
        path_and_query,
        attempt,
    });
    Ok(())
}

/// The client's query, as far as it is the partner's business.
fn own_query<'q>(route: &Route, query: &'q str) -> Cow<'q, str> {
    let mut query = Cow::Borrowed(query);
    if route.by_runtime_address {
        query = without_parameter(&query, "orgId").into();
    }
    strip_credential(&route.integration, query)
}

fn strip_credential<'q>(integration: &Integration, query: Cow<'q, str>) -> Cow<'q, str> {
    integration
        .strip_query
        .iter()
        .fold(query, |query, name| Cow::Owned(without_parameter(&query, name)))
}
