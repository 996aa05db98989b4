//! The alert centre: what needs an operator, and what did.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::error::ApiError;
use super::history::skipped;
use super::operator::Caller;
use super::request::Params;
use crate::alerts::{Alert, AlertStatus, Rule};
use crate::store::{Cursor, Field, Kept as _, Query};

/// Which alerts, and which page of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Listing {
    /// Only those about this organization; must be given if the key is not for all of them. Those about the whole
    /// installation are only listed without it.
    #[serde(default)]
    org_id: Option<u64>,
    /// Only those in this state.
    #[serde(default)]
    status: Option<AlertStatus>,
    /// Only those of this rule.
    #[serde(default)]
    rule: Option<Rule>,
    /// Only those about this subscription.
    #[serde(default)]
    integration_config_id: Option<String>,
    /// Number of the page, from 1; the first if left out. Pages reach 20,000 alerts back; `cursor` reaches all.
    #[serde(default)]
    page: Option<u32>,
    /// The `nextCursor` of the page before, instead of a number. What is raised meanwhile shifts nothing.
    #[serde(default)]
    cursor: Option<String>,
    /// Alerts on a page, 1 to 200; 50 if left out.
    #[serde(default = "fifty")]
    limit: u32,
}

/// A page of alerts, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PageOfAlert")]
pub(super) struct Page {
    /// Those on the page.
    alerts: Vec<Alert>,
    /// Number of the page; left out where a cursor was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    /// The most on a page.
    limit: u32,
    /// True if there are further pages.
    has_more: bool,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Lists alerts.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(listing): Params<Listing>,
) -> Result<Json<Page>, ApiError> {
    let scope = caller.scope(listing.org_id)?;
    let query = listing.query(scope)?;
    let mut alerts = match app.store.list::<Alert>(&query).await {
        Ok(mut kept) => {
            app.alerts.freshen(&mut kept);
            kept
        }
        // That the store does not work is an alert itself.
        Err(error) => {
            tracing::warn!(%error, "alerts are listed as far as this process knows them");
            let known = app.alerts.list().into_iter();
            let comes_after = |alert: &Alert| query.after.as_ref().is_none_or(|after| alert.cursor().is_after(after));
            let picked = known.filter(|alert| listing.picks(alert, scope) && comes_after(alert));
            picked.skip(query.skip as usize).take(query.limit as usize).collect()
        }
    };
    let limit = listing.limit;
    let has_more = alerts.len() > limit as usize;
    alerts.truncate(limit as usize);
    let last = alerts.last().filter(|_| has_more);
    Ok(Json(Page {
        next_cursor: last.map(|last| last.cursor().to_string()),
        alerts,
        page: query.after.is_none().then(|| listing.page.unwrap_or(1)),
        limit,
        has_more,
    }))
}

impl Listing {
    fn picks(&self, alert: &Alert, scope: Option<u64>) -> bool {
        let about = &self.integration_config_id;
        (scope.is_none() || alert.org_id == scope)
            && self.status.is_none_or(|status| alert.status == status)
            && self.rule.is_none_or(|rule| alert.rule == rule)
            && (about.is_none() || alert.integration_config_id == *about)
    }

    fn query(&self, scope: Option<u64>) -> Result<Query, ApiError> {
        let mut problems = Vec::new();
        if !(1..=MOST).contains(&self.limit) {
            let message = format!("{} is not between 1 and {MOST}", self.limit);
            problems.push(Problem::new("limit", message));
        }
        if self.page.is_some() && self.cursor.is_some() {
            problems.push(Problem::new("cursor", "cannot be given beside `page`"));
        }
        let after = self.cursor.as_deref().map(str::parse::<Cursor>).transpose();
        let after = after.unwrap_or_else(|error| {
            problems.push(Problem::new("cursor", error.to_string()));
            None
        });
        let skip = skipped(self.page.unwrap_or(1), self.limit, &mut problems);
        if !problems.is_empty() {
            return Err(ApiError::validation(problems));
        }
        let narrowed = [
            (Field::Status, self.status.map(|status| status.name().to_owned())),
            (Field::Rule, self.rule.map(|rule| rule.name().to_owned())),
            (Field::Integration, self.integration_config_id.clone()),
        ];
        let equal = narrowed.into_iter().filter_map(|(field, value)| Some((field, value?)));
        Ok(Query {
            org_id: scope,
            equal: equal.collect(),
            after,
            skip,
            // One more than is shown tells whether there are more.
            limit: self.limit.saturating_add(1),
            ..Query::default()
        })
    }
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List alerts, open ones and those that are over, newest first")
}

fn fifty() -> u32 {
    50
}

const MOST: u32 = 200;
