//! Which integration a request is for.

use std::sync::Arc;

use filters::auth::query_value;
use filters::plan::Integration;
use filters::route::Found;
use http::Method;

use super::super::fault::Fault;
use crate::live::Live;

/// Where the runtime addresses of integrations start: `/api/v1/integrations/{type}?orgId=N`.
const RUNTIME_ADDRESS: &str = "/api/v1/integrations/";
/// Where events are handed over.
const EVENTS: &str = "/api/v1/events";
/// Paths that integrations cannot have on the gateway's own hosts.
const RESERVED: [&str; 3] = ["/api/v1/integrations", EVENTS, "/webhook"];

/// An integration, and what its rule made of the path.
pub(super) struct Match<'l, 'p> {
    pub(super) integration: &'l Arc<Integration>,
    /// Bytes of the path that the rule matched.
    pub(super) matched: usize,
    pub(super) params: Vec<(&'l str, &'p str)>,
    /// True where the request came to the runtime address, whose `orgId` is not the partner's business.
    pub(super) by_runtime_address: bool,
}

/// Finds who answers to `host` and `path`. `None` for a request that hands over events.
pub(super) fn find<'l, 'p>(
    live: &'l Live,
    host: &str,
    path: &'p str,
    method: &Method,
    query: Option<&str>,
) -> Result<Option<Match<'l, 'p>>, Fault> {
    if !is_own(live, host, path) {
        return route(live, host, path, method).map(Some);
    }
    if path == EVENTS {
        return Ok(None);
    }
    runtime_address(live, path, method, query.unwrap_or_default()).map(Some)
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
    method: &Method,
    query: &str,
) -> Result<Match<'l, 'p>, Fault> {
    let kind = path.strip_prefix(RUNTIME_ADDRESS).ok_or(Fault::NotFound)?;
    let org_id = query_value(query, "orgId")
        .and_then(|value| value.parse().ok())
        .ok_or(Fault::OrgId)?;
    let integration = live.plan.routes.find_type(org_id, kind).ok_or(Fault::NotFound)?;
    if !integration.methods.contains(method) {
        return Err(Fault::MethodNotAllowed(integration.methods));
    }
    Ok(Match {
        integration,
        matched: path.len(),
        params: Vec::new(),
        by_runtime_address: true,
    })
}

fn route<'l, 'p>(live: &'l Live, host: &str, path: &'p str, method: &Method) -> Result<Match<'l, 'p>, Fault> {
    match live.plan.routes.find(host, path, method) {
        Found::Route(found) => Ok(Match {
            integration: found.integration,
            matched: found.matched,
            params: found.parameters().collect(),
            by_runtime_address: false,
        }),
        Found::MethodNotAllowed(allowed) => Err(Fault::MethodNotAllowed(allowed)),
        Found::Nothing => Err(Fault::NotFound),
    }
}
