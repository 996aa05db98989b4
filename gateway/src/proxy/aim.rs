//! Where an attempt goes: one of the integration's targets, and the path and query that it is asked for.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use filters::auth::without_parameter;
use filters::plan::Integration;
use http::uri::PathAndQuery;
use pingora_http::RequestHeader;

use super::call::Route;
use super::fault::Fault;
use crate::live::TargetRuntime;

/// Where an attempt goes.
pub(crate) struct Aim {
    /// The target.
    pub(crate) target: Arc<TargetRuntime>,
    /// Path and query of the partner's request.
    pub(crate) path_and_query: PathAndQuery,
}

/// Takes aim at the target with this index.
///
/// # Errors
/// If the path is not one: a fault of ours.
pub(super) fn take(route: &mut Route, request: &RequestHeader, index: usize) -> Result<(), Fault> {
    let target = route
        .runtime
        .targets
        .get(index)
        .ok_or_else(|| Fault::Internal("an integration without a target is live".to_owned()))?;
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
        target: Arc::clone(target),
        path_and_query,
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
    match &integration.strip_query {
        Some(name) => without_parameter(&query, name).into(),
        None => query,
    }
}
