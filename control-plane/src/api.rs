//! Every route of the API in one screen.

use std::sync::Arc;

use aide::axum::ApiRouter;
use aide::axum::routing::{ApiMethodRouter, delete_with, get_with, post_with};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use bytes::Bytes;
use filters::model::delivery::{DeadLetter, DeliveryLog, ScheduledDelivery};
use filters::model::{
    Certificate, Consumer, EventType, ExecutionRecord, InboundIntegration, Lookup, OrgUnit, Organization,
    OutboundIntegration, ProducerKey,
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::alerts::Alerts;
use crate::bulk::Bulks;
use crate::commands::Commands;
use crate::config::{Limits, RecordsConfig, StreamConfig};
use crate::dry_run::DryRuns;
use crate::erasures::Erasures;
use crate::fleet::{Fleet, Messages};
use crate::metrics::Metrics;
use crate::publish::Publisher;
use crate::rollout::Rollouts;
use crate::seal::Sealer;
use crate::store::Store;
use crate::users::Users;

mod alerts;
mod analytics;
mod answer;
mod api_keys;
mod apply;
mod audit;
mod auth;
mod bulk;
mod bulk_edit;
mod certificates;
mod changing;
mod clone;
mod commands;
mod consumers;
mod cors;
mod dashboard;
mod dead_letters;
mod docs_page;
mod drafts;
mod dry_run;
mod endpoints;
mod erasures;
mod error;
mod event_types;
mod execution_logs;
mod export;
mod export_records;
mod field_schemas;
mod figures;
mod gateways;
mod health;
mod history;
mod import;
mod integrations;
mod jobs;
mod lists;
mod logs;
mod lookups;
mod object_versions;
mod objects;
mod observe;
mod oidc;
mod openapi;
mod operator;
mod organizations;
mod outbound;
mod producer_keys;
mod rate;
mod rate_limits;
mod request;
mod resource;
mod retention;
mod revisions;
mod rollback;
mod rollouts;
mod scheduled;
mod sheets;
mod stream;
mod switch;
mod templates;
mod tenant;
mod trash;
mod ui_config;
mod units;
mod users;
mod versions;

pub(crate) use cors::Pages;
pub(crate) use rate::Rates;
use resource::Resource;

#[cfg(test)]
mod tests;

/// What handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) access: Access,
    pub(crate) users: Users,
    pub(crate) publisher: Publisher,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) messages: Messages,
    pub(crate) commands: Arc<Commands>,
    pub(crate) bulks: Arc<Bulks>,
    pub(crate) rollouts: Arc<Rollouts>,
    pub(crate) store: Arc<Store>,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) dry_runs: DryRuns,
    pub(crate) records: RecordsConfig,
    pub(crate) limits: Limits,
    pub(crate) rates: Rates,
    pub(crate) pages: Pages,
    pub(crate) stream: StreamConfig,
    pub(crate) erasures: Arc<Erasures>,
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
        .api_route("/apply", post_with(apply::apply, apply::apply_docs).layer(bulk))
        .api_route("/export", get_with(export::export, export::export_docs))
        .api_route(
            "/inbound-integrations/import",
            post_with(import::import, import::import_docs).layer(bulk),
        )
        .merge(access())
        .merge(integrations())
        .merge(surroundings(bulk))
        .merge(objects::routes(bulk))
        .merge(revisions::routes(bulk))
        .merge(operations())
        .merge(figures())
        .merge(deliveries());
    let documented = ApiRouter::new().nest("/api/v1", v1).finish_api(&mut document);
    openapi::name_operations(&mut document);
    let document: Bytes = openapi::text(&document);
    documented
        .route("/api/v1/openapi.json", get(move || openapi::answer(document.clone())))
        .route("/docs", get(docs_page::page))
        .route("/docs/page.js", get(docs_page::script))
        .route("/docs/page.css", get(docs_page::style))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(error::no_such_path)
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(from_fn_with_state(Arc::clone(&app), rate::by_address))
        .layer(from_fn_with_state(Arc::clone(&app), observe::observe))
        .with_state(app)
}

/// Routes to sign in by, and to those who may come in.
fn access() -> ApiRouter<Arc<App>> {
    ApiRouter::new()
        .api_route("/auth/login", post_with(auth::login, auth::login_docs))
        .api_route("/auth/logout", post_with(auth::logout, auth::logout_docs))
        .api_route("/auth/me", get_with(auth::me, auth::me_docs))
        .api_route("/auth/refresh", post_with(auth::refresh, auth::refresh_docs))
        .api_route("/auth/password", post_with(auth::password, auth::password_docs))
        .api_route(
            "/auth/first-admin",
            post_with(auth::first_admin, auth::first_admin_docs),
        )
        .api_route("/auth/oidc/login", get_with(oidc::begin, oidc::begin_docs))
        .api_route("/auth/oidc/callback", get_with(oidc::end, oidc::end_docs))
        .api_route(
            "/admin/users",
            get_with(users::list, users::list_docs).post_with(users::create, users::create_docs),
        )
        .api_route(
            "/admin/users/{id}",
            get_with(users::read, users::read_docs)
                .patch_with(users::patch, users::patch_docs)
                .delete_with(users::delete, users::delete_docs),
        )
        .api_route(
            "/admin/users/{id}/end-sessions",
            post_with(users::end_sessions, users::end_sessions_docs),
        )
        .api_route("/admin/audit-logs", get_with(audit::list, audit::list_docs))
        .api_route("/admin/audit-logs/{id}", get_with(audit::read, audit::read_docs))
        .api_route(
            "/admin/api-keys",
            get_with(api_keys::list, api_keys::list_docs).post_with(api_keys::create, api_keys::create_docs),
        )
        .api_route(
            "/admin/api-keys/{id}",
            get_with(api_keys::read, api_keys::read_docs)
                .patch_with(api_keys::patch, api_keys::patch_docs)
                .delete_with(api_keys::delete, api_keys::delete_docs),
        )
}

/// Routes to integrations of both directions.
fn integrations() -> ApiRouter<Arc<App>> {
    type Inbound = InboundIntegration;
    type Outbound = OutboundIntegration;
    ApiRouter::new()
        .api_route("/inbound-integrations", all::<Inbound>())
        .api_route("/inbound-integrations/{id}", one::<Inbound>())
        .api_route("/inbound-integrations/validate", check::<Inbound>())
        .api_route(
            "/inbound-integrations/test",
            post_with(dry_run::free::<Inbound>, dry_run::free_docs),
        )
        .api_route(
            "/inbound-integrations/{id}/test",
            post_with(dry_run::stored::<Inbound>, dry_run::stored_docs),
        )
        .api_route("/outbound-integrations", all::<Outbound>())
        .api_route("/outbound-integrations/{id}", one::<Outbound>())
        .api_route("/outbound-integrations/validate", check::<Outbound>())
        .api_route(
            "/outbound-integrations/test",
            post_with(dry_run::free::<Outbound>, dry_run::free_docs),
        )
        .api_route(
            "/outbound-integrations/{id}/test",
            post_with(dry_run::stored::<Outbound>, dry_run::stored_docs),
        )
}

/// Routes to what integrations refer to.
fn surroundings(bulk: DefaultBodyLimit) -> ApiRouter<Arc<App>> {
    ApiRouter::new()
        .api_route("/event-types", all::<EventType>())
        .api_route("/event-types/{id}", one::<EventType>())
        .api_route("/event-types/validate", check::<EventType>())
        .api_route("/certificates", all::<Certificate>())
        .api_route("/certificates/{id}", one::<Certificate>())
        .api_route("/certificates/validate", check::<Certificate>())
        // Their entries make them large.
        .api_route("/lookups", all::<Lookup>().layer(bulk))
        .api_route("/lookups/{id}", one::<Lookup>().layer(bulk))
        .api_route("/lookups/validate", check::<Lookup>().layer(bulk))
        .api_route("/consumers", all::<Consumer>())
        .api_route("/consumers/{id}", one::<Consumer>())
        .api_route("/consumers/validate", check::<Consumer>())
        .api_route("/admin/organizations", all::<Organization>())
        .api_route("/admin/organizations/{id}", one::<Organization>())
        .api_route(
            "/admin/organizations/{id}/retention",
            get_with(retention::read, retention::read_docs)
                .put_with(retention::set, retention::set_docs)
                .delete_with(retention::unset, retention::unset_docs),
        )
        .api_route("/admin/org-units", all::<OrgUnit>())
        .api_route("/admin/org-units/{id}", one::<OrgUnit>())
        .api_route(
            "/producer-keys",
            get_with(resource::list::<ProducerKey>, resource::list_docs::<ProducerKey>)
                .post_with(producer_keys::create, producer_keys::create_docs),
        )
        .api_route(
            "/producer-keys/{id}",
            get_with(resource::read::<ProducerKey>, resource::read_docs::<ProducerKey>)
                .patch_with(resource::patch::<ProducerKey>, resource::patch_docs::<ProducerKey>)
                .delete_with(resource::delete::<ProducerKey>, resource::delete_docs::<ProducerKey>),
        )
}

/// The methods of a list.
fn all<T: Resource>() -> ApiMethodRouter<Arc<App>> {
    get_with(resource::list::<T>, resource::list_docs::<T>).post_with(resource::create::<T>, resource::create_docs::<T>)
}

/// The methods of one object.
fn one<T: Resource>() -> ApiMethodRouter<Arc<App>> {
    get_with(resource::read::<T>, resource::read_docs::<T>)
        .put_with(resource::replace::<T>, resource::replace_docs::<T>)
        .patch_with(resource::patch::<T>, resource::patch_docs::<T>)
        .delete_with(resource::delete::<T>, resource::delete_docs::<T>)
}

/// The check of an object that is not saved.
fn check<T: Resource>() -> ApiMethodRouter<Arc<App>> {
    post_with(resource::validate::<T>, resource::validate_docs::<T>)
}

/// Routes to what operators watch.
fn operations() -> ApiRouter<Arc<App>> {
    type Call = ExecutionRecord;
    ApiRouter::new()
        .api_route(
            "/execution-logs",
            get_with(history::list::<Call>, execution_logs::list_docs),
        )
        .api_route(
            "/execution-logs/{traceId}",
            get_with(execution_logs::read, execution_logs::read_docs),
        )
        .api_route(
            "/admin/erasures",
            get_with(erasures::list, erasures::list_docs).post_with(erasures::begin, erasures::begin_docs),
        )
        .api_route("/admin/erasures/{id}", get_with(erasures::show, erasures::show_docs))
        .api_route("/alerts", get_with(alerts::list, alerts::list_docs))
        .api_route("/gateways", get_with(gateways::list, gateways::list_docs))
        .api_route("/gateways/{id}", delete_with(gateways::remove, gateways::remove_docs))
        .route("/gateways/stream", get(stream::open))
}

/// Routes to figures of calls and deliveries, and to their records as tables.
fn figures() -> ApiRouter<Arc<App>> {
    type Call = ExecutionRecord;
    type Letter = DeadLetter;
    type Log = DeliveryLog;
    ApiRouter::new()
        .api_route("/dashboard", get_with(dashboard::read, dashboard::read_docs))
        .api_route("/analytics", get_with(analytics::read, analytics::read_docs))
        .api_route(
            "/logs/export",
            get_with(export_records::export::<Log>, export_records::export_docs::<Log>),
        )
        .api_route(
            "/execution-logs/export",
            get_with(export_records::export::<Call>, export_records::export_docs::<Call>),
        )
        .api_route(
            "/dlq/export",
            get_with(export_records::export::<Letter>, export_records::export_docs::<Letter>),
        )
}

/// Routes to what became of deliveries, and to what gateways are told to do with them.
fn deliveries() -> ApiRouter<Arc<App>> {
    type Letter = DeadLetter;
    type Log = DeliveryLog;
    type Scheduled = ScheduledDelivery;
    ApiRouter::new()
        .api_route("/logs", get_with(logs::list, logs::list_docs))
        .api_route("/logs/{id}", get_with(history::read::<Log>, history::read_docs::<Log>))
        .api_route("/dlq", get_with(history::list::<Letter>, history::list_docs::<Letter>))
        .api_route(
            "/dlq/{id}",
            get_with(dead_letters::read, dead_letters::read_docs)
                .delete_with(dead_letters::delete, dead_letters::delete_docs),
        )
        .api_route(
            "/dlq/{id}/retry",
            post_with(dead_letters::retry, dead_letters::retry_docs),
        )
        .api_route(
            "/dlq/{id}/abandon",
            post_with(dead_letters::abandon, dead_letters::abandon_docs),
        )
        .api_route("/dlq/bulk-retry", post_with(bulk::begin, bulk::begin_docs))
        .api_route("/dlq/bulk/{id}", get_with(bulk::read, bulk::read_docs))
        .api_route(
            "/scheduled-integrations",
            get_with(history::list::<Scheduled>, history::list_docs::<Scheduled>),
        )
        .api_route(
            "/scheduled-integrations/{id}",
            get_with(history::read::<Scheduled>, history::read_docs::<Scheduled>)
                .delete_with(scheduled::cancel, scheduled::cancel_docs),
        )
        .api_route(
            "/scheduled-integrations/{id}/cancel",
            post_with(scheduled::cancel, scheduled::cancel_docs),
        )
        .api_route(
            "/outbound-integrations/{id}/deliver-test",
            post_with(endpoints::deliver_test, endpoints::deliver_test_docs),
        )
        .api_route(
            "/outbound-integrations/{id}/pause",
            post_with(endpoints::pause, endpoints::pause_docs),
        )
        .api_route(
            "/outbound-integrations/{id}/resume",
            post_with(endpoints::resume, endpoints::resume_docs),
        )
        .api_route("/replay", post_with(endpoints::replay, endpoints::replay_docs))
        .api_route(
            "/undelivered",
            get_with(endpoints::undelivered, endpoints::undelivered_docs),
        )
        .api_route("/commands/{id}", get_with(commands::read, commands::read_docs))
}
