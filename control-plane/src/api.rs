//! Every route of the API in one screen.

use std::sync::Arc;

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::config::{Limits, StreamConfig};
use crate::dry_run::DryRuns;
use crate::fleet::{Fleet, Messages};
use crate::metrics::Metrics;
use crate::publish::Publisher;
use crate::seal::Sealer;
use crate::store::Store;

mod answer;
mod apply;
mod dry_run;
mod error;
mod execution_logs;
mod export;
mod gateways;
mod health;
mod integrations;
mod lists;
mod observe;
mod openapi;
mod operator;
mod organizations;
mod request;
mod stream;
mod versions;

#[cfg(test)]
mod tests;

/// What handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) access: Access,
    pub(crate) publisher: Publisher,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) messages: Messages,
    pub(crate) store: Arc<Store>,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) dry_runs: DryRuns,
    pub(crate) limits: Limits,
    pub(crate) stream: StreamConfig,
    /// Told to stop; push streams end by it.
    pub(crate) stop: CancellationToken,
    /// The push streams, which outlive the requests that opened them.
    pub(crate) streams: TaskTracker,
}

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (limits, mut document) = (app.limits, openapi::document());
    let bulk = DefaultBodyLimit::max(limits.bulk_body_bytes);
    let v1 = ApiRouter::new()
        .api_route(
            "/inbound-integrations",
            get_with(integrations::list, integrations::list_docs)
                .post_with(integrations::create, integrations::create_docs),
        )
        .api_route(
            "/inbound-integrations/validate",
            post_with(integrations::validate, integrations::validate_docs),
        )
        .api_route(
            "/inbound-integrations/test",
            post_with(dry_run::free, dry_run::free_docs),
        )
        .api_route(
            "/inbound-integrations/{id}/test",
            post_with(dry_run::stored, dry_run::stored_docs),
        )
        .api_route(
            "/inbound-integrations/{id}",
            get_with(integrations::read, integrations::read_docs)
                .put_with(integrations::replace, integrations::replace_docs)
                .patch_with(integrations::patch, integrations::patch_docs)
                .delete_with(integrations::delete, integrations::delete_docs),
        )
        .api_route(
            "/admin/organizations",
            get_with(organizations::list, organizations::list_docs),
        )
        .api_route(
            "/admin/organizations/{orgId}",
            get_with(organizations::read, organizations::read_docs)
                .put_with(organizations::replace, organizations::replace_docs)
                .delete_with(organizations::delete, organizations::delete_docs),
        )
        .api_route("/apply", post_with(apply::apply, apply::apply_docs).layer(bulk))
        .api_route("/export", get_with(export::export, export::export_docs))
        .merge(operations());
    let documented = ApiRouter::new().nest("/api/v1", v1).finish_api(&mut document);
    let document: Bytes = openapi::text(&document);
    documented
        .route("/api/v1/openapi.json", get(move || openapi::answer(document.clone())))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(error::no_such_path)
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(from_fn_with_state(Arc::clone(&app), observe::observe))
        .with_state(app)
}

/// Routes to what operators watch.
fn operations() -> ApiRouter<Arc<App>> {
    ApiRouter::new()
        .api_route("/versions", get_with(versions::list, versions::list_docs))
        .api_route("/versions/{number}", get_with(versions::read, versions::read_docs))
        .api_route(
            "/execution-logs",
            get_with(execution_logs::list, execution_logs::list_docs),
        )
        .api_route(
            "/execution-logs/{traceId}",
            get_with(execution_logs::read, execution_logs::read_docs),
        )
        .api_route("/gateways", get_with(gateways::list, gateways::list_docs))
        .route("/gateways/stream", get(stream::open))
}
