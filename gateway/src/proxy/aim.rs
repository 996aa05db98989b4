//! Where an attempt goes: one of the integration's targets, and the path and query that it is asked for.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use filters::auth::without_parameter;
use filters::plan::Integration;
use http::uri::PathAndQuery;
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
    let wanted = Wanted {
        tried: &[],
        ticket: call.ticket,
    };
    let attempt = resilience.choose(wanted).map_err(Fault::Unavailable)?;
    at(call, request, attempt)
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
    let client_query = request.uri.query().map(|query| own_query(route, query));
    let signed = integration.outgoing.query.as_ref().map(filters::model::Secret::expose);
    let path_and_query = integration.rewrite.path_and_query(
        url.path(),
        route.path.as_deref().unwrap_or_else(|| request.uri.path()),
        route.matched,
        |name| {
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
    integration.strip_query.iter().fold(query, |query, name| {
        Cow::Owned(without_parameter(&query, name))
    })
}
