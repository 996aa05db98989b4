//! Routes to what was, what is to be, and what is tried: versions, drafts, rollouts.

use std::sync::Arc;

use aide::axum::ApiRouter;
use aide::axum::routing::{ApiMethodRouter, get_with, post_with};
use axum::extract::DefaultBodyLimit;
use filters::model::{
    Certificate, Consumer, EventType, InboundIntegration, Lookup, OrgUnit, Organization, OutboundIntegration,
    ProducerKey,
};

use super::resource::Resource;
use super::{App, drafts, object_versions, rollback, rollouts, versions};

/// All of them; `bulk` bounds the bodies of changes to many objects.
pub(super) fn routes(bulk: DefaultBodyLimit) -> ApiRouter<Arc<App>> {
    ApiRouter::new()
        .api_route("/versions", get_with(versions::list, versions::list_docs))
        .api_route("/versions/{number}", get_with(versions::read, versions::read_docs))
        .api_route("/versions/compare", get_with(versions::compare, versions::compare_docs))
        .api_route(
            "/versions/{number}/rollback",
            post_with(rollback::rollback, rollback::rollback_docs),
        )
        .merge(pasts())
        .merge(drafts(bulk))
        .merge(rollouts(bulk))
}

/// Routes to the versions of single objects.
fn pasts() -> ApiRouter<Arc<App>> {
    ApiRouter::new()
        .api_route("/inbound-integrations/{id}/versions", past::<InboundIntegration>())
        .api_route("/outbound-integrations/{id}/versions", past::<OutboundIntegration>())
        .api_route("/event-types/{id}/versions", past::<EventType>())
        .api_route("/producer-keys/{id}/versions", past::<ProducerKey>())
        .api_route("/certificates/{id}/versions", past::<Certificate>())
        .api_route("/lookups/{id}/versions", past::<Lookup>())
        .api_route("/consumers/{id}/versions", past::<Consumer>())
        .api_route("/admin/organizations/{id}/versions", past::<Organization>())
        .api_route("/admin/org-units/{id}/versions", past::<OrgUnit>())
}

/// The versions of one object.
fn past<T: Resource>() -> ApiMethodRouter<Arc<App>> {
    get_with(object_versions::list::<T>, object_versions::list_docs::<T>)
}

/// Routes to changes that are not published.
fn drafts(bulk: DefaultBodyLimit) -> ApiRouter<Arc<App>> {
    ApiRouter::new()
        .api_route(
            "/drafts",
            get_with(drafts::list, drafts::list_docs)
                .post_with(drafts::create, drafts::create_docs)
                .layer(bulk),
        )
        .api_route(
            "/drafts/{id}",
            get_with(drafts::read, drafts::read_docs)
                .put_with(drafts::replace, drafts::replace_docs)
                .delete_with(drafts::discard, drafts::discard_docs)
                .layer(bulk),
        )
        .api_route("/drafts/{id}/diff", get_with(drafts::diff, drafts::diff_docs))
        .api_route(
            "/drafts/{id}/validate",
            post_with(drafts::validate, drafts::validate_docs),
        )
        .api_route("/drafts/{id}/publish", post_with(drafts::publish, drafts::publish_docs))
}

/// Routes to rollouts.
fn rollouts(bulk: DefaultBodyLimit) -> ApiRouter<Arc<App>> {
    ApiRouter::new()
        .api_route(
            "/rollouts",
            get_with(rollouts::list, rollouts::list_docs)
                .post_with(rollouts::begin, rollouts::begin_docs)
                .layer(bulk),
        )
        .api_route("/rollouts/{id}", get_with(rollouts::read, rollouts::read_docs))
        .api_route(
            "/rollouts/{id}/promote",
            post_with(rollouts::promote, rollouts::promote_docs),
        )
        .api_route("/rollouts/{id}/abort", post_with(rollouts::abort, rollouts::abort_docs))
}
