//! The route table, for people: what answers where.

use axum::Json;
use axum::extract::State;
use filters::plan::{Integration, Mode};
use filters::route::MethodSet;
use filters::target::matches_host_pattern;
use serde::{Deserialize, Serialize};

use super::Context;
use super::fault::{AdminFault, Query};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RoutesQuery {
    /// Only routes that may answer on this host.
    host: Option<String>,
    /// Routes to leave out from the start of the list.
    #[serde(default)]
    offset: usize,
    /// The most routes to show.
    #[serde(default = "some")]
    limit: usize,
}

#[derive(Serialize)]
pub(super) struct Routes {
    /// Routes that match, whether shown or not.
    total: usize,
    offset: usize,
    routes: Vec<Route>,
}

/// One line of the route table.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
struct Route {
    /// Host name or pattern; none for the runtime address.
    host: Option<String>,
    /// The rule, as `prefix /fhir`.
    path: String,
    /// The methods, as in an `Allow` header; `*` for all.
    methods: String,
    integration: String,
    org_id: u64,
    mode: &'static str,
}

/// Lists the routes of the live version, in the order of their hosts.
pub(super) async fn list(
    State(context): State<Context>,
    Query(query): Query<RoutesQuery>,
) -> Result<Json<Routes>, AdminFault> {
    let Some(live) = context.shared.load() else {
        return Err(AdminFault::not_ready("no configuration is live yet; /config says why"));
    };
    let listed = move || {
        let host = query.host.as_deref().map(|host| host.trim_end_matches('.'));
        let active = live
            .plan
            .integrations()
            .filter(|integration| integration.source.is_active);
        let mut routes: Vec<_> = active.flat_map(|integration| routes_of(integration, host)).collect();
        routes.sort_unstable();
        Routes {
            total: routes.len(),
            offset: query.offset,
            routes: routes
                .into_iter()
                .skip(query.offset)
                .take(query.limit.min(MOST_SHOWN))
                .collect(),
        }
    };
    let routes = tokio::task::spawn_blocking(listed).await;
    routes.map(Json).map_err(|error| AdminFault::internal(&error))
}

fn routes_of(integration: &Integration, host: Option<&str>) -> Vec<Route> {
    let route = |pattern: Option<&String>, path: String, methods: MethodSet| Route {
        host: pattern.cloned(),
        path,
        methods: if methods == MethodSet::ALL {
            "*".to_owned()
        } else {
            methods.allow()
        },
        integration: integration.id.to_string(),
        org_id: integration.source.org_id,
        mode: match integration.mode {
            Mode::Stream => "stream",
            Mode::Exchange { .. } => "exchange",
        },
    };
    let hosts = &integration.source.hosts;
    let asked_for = |pattern: &&String| host.is_none_or(|host| matches_host_pattern(host, pattern));
    let mut routes: Vec<_> = hosts
        .iter()
        .filter(asked_for)
        .flat_map(|pattern| {
            integration
                .path_rules()
                .map(move |path| route(Some(pattern), path, integration.methods))
        })
        .collect();
    if host.is_none() {
        let address = format!(
            "exact /api/v1/integrations/{}?orgId={}",
            integration.source.kind, integration.source.org_id
        );
        routes.push(route(None, address, MethodSet::ALL));
    }
    routes
}

fn some() -> usize {
    100
}

const MOST_SHOWN: usize = 1_000;
