//! Lets a request in: route, credential, limits, and where it will go.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use filters::auth::{query_value, without_parameter};
use filters::path;
use filters::plan::Integration;
use filters::route::{Found, host};
use http::uri::PathAndQuery;
use http::{HeaderMap, header};
use pingora_http::RequestHeader;

use super::call::{Call, Route};
use super::fault::{Exceeded, Fault};
use crate::limiter::Verdict;
use crate::live::{IntegrationRuntime, Live};

/// Where the runtime addresses of integrations start: `/api/v1/integrations/{type}?orgId=N`.
const RUNTIME_ADDRESS: &str = "/api/v1/integrations/";
/// Where events are handed over.
const EVENTS: &str = "/api/v1/events";
/// Paths that integrations cannot have on the gateway's own hosts.
const RESERVED: [&str; 3] = ["/api/v1/integrations", EVENTS, "/webhook"];

/// Decides where a request goes, and notes whose it is. `None` for one that hands over events: it goes nowhere.
///
/// # Errors
/// Why it does not go anywhere.
pub(super) fn admit(live: &Live, request: &RequestHeader, call: &mut Call) -> Result<Option<Route>, Fault> {
    let authority = request.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let host = authority.and_then(host::of_authority).ok_or(Fault::NotFound)?;
    let path = path::canonical(request.uri.path()).map_err(Fault::Path)?;
    let query = request.uri.query();
    let found = if is_own(live, &host, &path) {
        if path == EVENTS {
            return Ok(None);
        }
        runtime_address(live, &path, query, request)?
    } else {
        route(live, &host, &path, request)?
    };
    let runtime = live
        .runtime(found.integration.slot)
        .ok_or_else(|| Fault::Internal("a route leads to an integration that is not live".to_owned()))?;
    call.runtime = Some(Arc::clone(runtime));
    let credential = authenticate(found.integration, &request.headers, query)?;
    let limits = within_limits(runtime, credential, call.client)?;
    let integration = found.integration;
    check_length(integration.body_limits.request_bytes, &request.headers)?;
    let target = runtime
        .targets
        .get(integration.pick(call.ticket))
        .ok_or_else(|| Fault::Internal("an integration without a target is live".to_owned()))?;
    let url = target.upstream.target();
    let own_query = found.query.as_deref().map(|query| strip_credential(integration, query));
    let signed = integration.outgoing.query.as_ref().map(filters::model::Secret::expose);
    let path_and_query = integration.rewrite.path_and_query(
        url.path(),
        &path,
        found.matched,
        |name| {
            found
                .params
                .iter()
                .find(|(other, _)| *other == name)
                .map(|(_, value)| *value)
        },
        [url.query(), own_query.as_deref(), signed],
    );
    let path_and_query = PathAndQuery::from_maybe_shared(Bytes::from(path_and_query))
        .map_err(|error| Fault::Internal(format!("the partner's path is not valid: {error}")))?;
    Ok(Some(Route {
        integration: Arc::clone(integration),
        group_key: runtime.group_key,
        target: Arc::clone(target),
        path_and_query,
        path: matches!(path, Cow::Owned(_)).then(|| path.as_ref().into()),
        params: found
            .params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        consumer: credential
            .and_then(|index| integration.inbound.names().get(index))
            .cloned(),
        limits,
    }))
}

/// An integration, and what its rule made of the path.
struct Target<'l, 'p> {
    integration: &'l Arc<Integration>,
    matched: usize,
    params: Vec<(&'l str, &'p str)>,
    /// The client's query, as far as it is the partner's business.
    query: Option<Cow<'p, str>>,
}

/// True for the reserved paths, on the gateway's own hosts and on those that no integration claims.
fn is_own(live: &Live, host: &str, path: &str) -> bool {
    let is_reserved = RESERVED.iter().any(|reserved| {
        path.strip_prefix(reserved)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    is_reserved && (live.api_hosts.iter().any(|own| own == host) || !live.plan.routes.has_host(host))
}

fn runtime_address<'l, 'p>(
    live: &'l Live,
    path: &'p str,
    query: Option<&'p str>,
    request: &RequestHeader,
) -> Result<Target<'l, 'p>, Fault> {
    let kind = path.strip_prefix(RUNTIME_ADDRESS).ok_or(Fault::NotFound)?;
    let query = query.unwrap_or_default();
    let org_id = query_value(query, "orgId")
        .and_then(|value| value.parse().ok())
        .ok_or(Fault::OrgId)?;
    let integration = live.plan.routes.find_type(org_id, kind).ok_or(Fault::NotFound)?;
    if !integration.methods.contains(&request.method) {
        return Err(Fault::MethodNotAllowed(integration.methods));
    }
    Ok(Target {
        integration,
        matched: path.len(),
        params: Vec::new(),
        query: Some(without_parameter(query, "orgId").into()),
    })
}

fn route<'l, 'p>(
    live: &'l Live,
    host: &str,
    path: &'p str,
    request: &'p RequestHeader,
) -> Result<Target<'l, 'p>, Fault> {
    match live.plan.routes.find(host, path, &request.method) {
        Found::Route(found) => Ok(Target {
            integration: found.integration,
            matched: found.matched,
            params: found.parameters().collect(),
            query: request.uri.query().map(Cow::Borrowed),
        }),
        Found::MethodNotAllowed(allowed) => Err(Fault::MethodNotAllowed(allowed)),
        Found::Nothing => Err(Fault::NotFound),
    }
}

fn authenticate(integration: &Integration, headers: &HeaderMap, query: Option<&str>) -> Result<Option<usize>, Fault> {
    integration
        .inbound
        .check(headers, query)
        .map_err(|refusal| Fault::Unauthorized(refusal, integration.inbound.challenge()))
}

pub(super) type LimitFields = (http::HeaderValue, http::HeaderValue);

fn within_limits(
    runtime: &IntegrationRuntime,
    credential: Option<usize>,
    client: Option<IpAddr>,
) -> Result<Option<LimitFields>, Fault> {
    match runtime.limiters.check(credential, client) {
        None => Ok(None),
        Some(verdict) if verdict.decision.allowed => Ok(Some((verdict.policy_value(), verdict.limit_value()))),
        Some(verdict) => Err(Fault::RateLimited(Box::new(exceeded(&verdict)))),
    }
}

pub(super) fn exceeded(verdict: &Verdict<'_>) -> Exceeded {
    Exceeded {
        scope: verdict.policy.scope(),
        policy: verdict.policy_value(),
        limit: verdict.limit_value(),
        retry_after: verdict.retry_after_value(),
    }
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

fn strip_credential<'q>(integration: &Integration, query: &'q str) -> Cow<'q, str> {
    match &integration.strip_query {
        Some(name) => without_parameter(query, name).into(),
        None => Cow::Borrowed(query),
    }
}
