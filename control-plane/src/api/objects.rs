//! Routes to what is done to configured objects besides changing them, and to what the control plane keeps beside them.

use std::sync::Arc;

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};
use axum::extract::DefaultBodyLimit;
use filters::model::{Certificate, Consumer, EventType, InboundIntegration, Lookup, OutboundIntegration, ProducerKey};

use super::clone::Cloned;
use super::lookups::{entries, export, import};
use super::resource::Resource;
use super::{
    App, bulk_edit, clone, field_schemas, health, jobs, rate_limits, switch, templates, tenant, trash, ui_config,
};

/// All of them. `bulk` is the limit of large bodies.
pub(super) fn routes(bulk: DefaultBodyLimit) -> ApiRouter<Arc<App>> {
    edited()
        .merge(documents())
        .merge(organizations())
        .merge(tables(bulk))
        .merge(scheduled())
}

/// What is done to one object, or to many.
fn edited() -> ApiRouter<Arc<App>> {
    ApiRouter::new()
        .merge(edits::<InboundIntegration>())
        .merge(edits::<OutboundIntegration>())
        .merge(edits::<EventType>())
        .merge(edits::<Certificate>())
        .merge(edits::<Lookup>())
        .merge(edits::<Consumer>())
        .merge(edits::<ProducerKey>())
        .merge(switches::<InboundIntegration>())
        .merge(switches::<OutboundIntegration>())
        .merge(switches::<Certificate>())
        .merge(switches::<Consumer>())
        .merge(switches::<ProducerKey>())
        .merge(copies::<InboundIntegration>())
        .merge(copies::<OutboundIntegration>())
        .merge(copies::<EventType>())
        .merge(copies::<Lookup>())
}

/// Templates, fields of events, and what was deleted.
fn documents() -> ApiRouter<Arc<App>> {
    ApiRouter::new()
        .api_route(
            "/templates",
            get_with(templates::list, templates::list_docs).post_with(templates::create, templates::create_docs),
        )
        .api_route(
            "/templates/{id}",
            get_with(templates::read, templates::read_docs)
                .put_with(templates::replace, templates::replace_docs)
                .delete_with(templates::delete, templates::delete_docs),
        )
        .api_route(
            "/templates/{id}/create",
            post_with(templates::fill, templates::fill_docs),
        )
        .api_route(
            "/field-schemas",
            get_with(field_schemas::list, field_schemas::list_docs),
        )
        .api_route(
            "/field-schemas/{eventType}",
            get_with(field_schemas::read, field_schemas::read_docs)
                .put_with(field_schemas::replace, field_schemas::replace_docs)
                .delete_with(field_schemas::delete, field_schemas::delete_docs),
        )
        .api_route("/trash", get_with(trash::list, trash::list_docs))
        .api_route(
            "/trash/{id}",
            get_with(trash::read, trash::read_docs).delete_with(trash::delete, trash::delete_docs),
        )
        .api_route("/trash/{id}/restore", post_with(trash::restore, trash::restore_docs))
}

/// Organizations as a whole.
fn organizations() -> ApiRouter<Arc<App>> {
    ApiRouter::new()
        .api_route("/tenant", get_with(tenant::tenant, tenant::tenant_docs))
        .api_route(
            "/admin/organizations/{id}/hierarchy",
            get_with(tenant::hierarchy, tenant::hierarchy_docs),
        )
        .api_route(
            "/ui-config",
            get_with(ui_config::read, ui_config::read_docs)
                .put_with(ui_config::replace, ui_config::replace_docs)
                .delete_with(ui_config::delete, ui_config::delete_docs),
        )
        .api_route(
            "/admin/rate-limits",
            get_with(rate_limits::list, rate_limits::list_docs),
        )
        .api_route(
            "/admin/rate-limits/reset",
            post_with(rate_limits::reset, rate_limits::reset_docs),
        )
        .api_route("/health", get_with(health::health, health::health_docs))
}

/// Routes to the rows of lookup tables, and to tables as files.
fn tables(bulk: DefaultBodyLimit) -> ApiRouter<Arc<App>> {
    ApiRouter::new()
        .api_route("/lookups/{id}/entries", get_with(entries::list, entries::list_docs))
        .api_route(
            "/lookups/{id}/entries/{key}",
            get_with(entries::read, entries::read_docs)
                .put_with(entries::replace, entries::replace_docs)
                .delete_with(entries::delete, entries::delete_docs),
        )
        .api_route(
            "/lookups/import",
            post_with(import::import_named, import::import_named_docs).layer(bulk),
        )
        .api_route(
            "/lookups/{id}/import",
            post_with(import::import_known, import::import_known_docs).layer(bulk),
        )
        .api_route("/lookups/{id}/export", get_with(export::export, export::export_docs))
}

/// Routes to scheduled jobs.
fn scheduled() -> ApiRouter<Arc<App>> {
    ApiRouter::new()
        .api_route(
            "/scheduled-jobs",
            get_with(jobs::list, jobs::list_docs).post_with(jobs::create, jobs::create_docs),
        )
        .api_route(
            "/scheduled-jobs/{id}",
            get_with(jobs::read, jobs::read_docs)
                .put_with(jobs::replace, jobs::replace_docs)
                .patch_with(jobs::patch, jobs::patch_docs)
                .delete_with(jobs::delete, jobs::delete_docs),
        )
        .api_route(
            "/scheduled-jobs/validate",
            post_with(jobs::validate, jobs::validate_docs),
        )
}

/// What is done to many objects of a kind.
fn edits<T: Resource>() -> ApiRouter<Arc<App>> {
    let path = format!("/{}/bulk", T::PATH);
    ApiRouter::new().api_route(&path, post_with(bulk_edit::edit::<T>, bulk_edit::edit_docs::<T>))
}

/// Objects of a kind are switched on and off.
fn switches<T: Resource>() -> ApiRouter<Arc<App>> {
    let path = |verb: &str| format!("/{}/{{id}}/{verb}", T::PATH);
    ApiRouter::new()
        .api_route(
            &path("activate"),
            post_with(switch::activate::<T>, switch::activate_docs::<T>),
        )
        .api_route(
            &path("deactivate"),
            post_with(switch::deactivate::<T>, switch::deactivate_docs::<T>),
        )
}

/// Objects of a kind are copied.
fn copies<T: Cloned>() -> ApiRouter<Arc<App>> {
    let path = format!("/{}/{{id}}/clone", T::PATH);
    ApiRouter::new().api_route(&path, post_with(clone::copy::<T>, clone::copy_docs::<T>))
}
