//! The list of integrations, page by page.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::{InboundIntegration, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::error::ApiError;
use super::super::operator::Caller;
use super::super::request::Params;

/// Which integrations, and which page of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in super::super) struct Listing {
    /// Of this organization; must be given if the key is not for all of them.
    #[serde(default)]
    org_id: Option<u64>,
    /// Number of the page, from 1.
    #[serde(default = "first")]
    page: usize,
    /// Integrations on a page, 1 to 200.
    #[serde(default = "fifty")]
    limit: usize,
    /// Only active ones, or only inactive ones.
    #[serde(default)]
    is_active: Option<bool>,
    /// Only of this type.
    #[serde(default, rename = "type")]
    kind: Option<String>,
    /// Only those with this text in id, name, type, hosts or targets; upper and lower case are the same.
    #[serde(default)]
    search: Option<String>,
}

/// A page of integrations, ordered by identifier.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Page {
    /// Those on the page; secrets are masked.
    integrations: Vec<InboundIntegration>,
    /// How many there are on all pages.
    total: usize,
    /// Number of the page.
    page: usize,
    /// The most on a page.
    limit: usize,
    /// True if there are further pages.
    has_more: bool,
}

/// Lists integrations.
pub(in super::super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(listing): Params<Listing>,
) -> Result<Json<Page>, ApiError> {
    listing.check()?;
    let scope = caller.scope(listing.org_id)?;
    let search = listing.search.as_deref().map(str::to_lowercase);
    let state = app.publisher.state();
    let matching = state
        .snapshot
        .integrations
        .values()
        .map(|entry| &*entry.value)
        .filter(|integration| {
            scope.is_none_or(|org_id| org_id == integration.org_id)
                && listing
                    .is_active
                    .is_none_or(|is_active| is_active == integration.is_active)
                && listing.kind.as_ref().is_none_or(|kind| *kind == integration.kind)
                && search.as_ref().is_none_or(|text| mentions(integration, text))
        });
    let skip = (listing.page - 1).saturating_mul(listing.limit);
    let mut total = 0;
    let mut integrations = Vec::new();
    for integration in matching {
        if total >= skip && integrations.len() < listing.limit {
            integrations.push(integration.masked());
        }
        total += 1;
    }
    Ok(Json(Page {
        has_more: skip.saturating_add(integrations.len()) < total,
        integrations,
        total,
        page: listing.page,
        limit: listing.limit,
    }))
}

impl Listing {
    fn check(&self) -> Result<(), ApiError> {
        let mut problems = Vec::new();
        if self.page == 0 {
            problems.push(Problem::new("page", "pages are counted from 1"));
        }
        if !(1..=MOST).contains(&self.limit) {
            problems.push(Problem::new(
                "limit",
                format!("{} is not between 1 and {MOST}", self.limit),
            ));
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(ApiError::validation(problems))
        }
    }
}

fn mentions(integration: &InboundIntegration, text: &str) -> bool {
    let single = [
        Some(&integration.id),
        Some(&integration.name),
        Some(&integration.kind),
        integration.target_url.as_ref(),
    ];
    let targets = integration.targets.iter().map(|target| &target.url);
    single
        .into_iter()
        .flatten()
        .chain(&integration.hosts)
        .chain(targets)
        .any(|field| field.to_lowercase().contains(text))
}

pub(in super::super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List integrations; secrets are masked")
}

fn first() -> usize {
    1
}

fn fifty() -> usize {
    50
}

const MOST: usize = 200;
