//! What people and programs did.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::error::ApiError;
use super::history::{check_search, given, moment, skipped};
use super::operator::Caller;
use super::request::{Named, Params, Place};
use crate::audit::AuditEntry;
use crate::store::{Field, Kept as _, Query};

/// Which entries, and which page of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Listing {
    /// Only those about this organization; must be given if the key is not for all of them. Sign-ins and what concerns the
    /// whole installation are only listed without it.
    #[serde(default)]
    org_id: Option<u64>,
    /// Only what this user (an e-mail address) or key (its name) did.
    #[serde(default)]
    actor: Option<String>,
    /// Only this action, as `integration.update`, `user.create` or `auth.login-failed`.
    #[serde(default)]
    action: Option<String>,
    /// Only what was done to this, as `integration lab-results` or `user 0190a5c3-...`.
    #[serde(default)]
    target: Option<String>,
    /// Only those made from this moment on: RFC 3339, or a date (UTC).
    #[serde(default)]
    start_date: Option<String>,
    /// Only those made before this moment: RFC 3339; or a date (UTC), which is included.
    #[serde(default)]
    end_date: Option<String>,
    /// Only those with this text in actor, action or target, upper and lower case being the same. It is looked for in the
    /// newest 20,000 that fit the rest.
    #[serde(default)]
    search: Option<String>,
    /// Number of the page, from 1. Pages reach 20,000 entries back; `cursor` reaches all.
    #[serde(default)]
    page: Option<u32>,
    /// The most entries on a page, 1 to 200; 50 if left out.
    #[serde(default)]
    limit: Option<u32>,
    /// The `nextCursor` of the page before, instead of a number. What comes in meanwhile shifts nothing.
    #[serde(default)]
    cursor: Option<String>,
}

/// A page of the audit, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PageOfAuditEntry")]
pub(super) struct Page {
    /// Those on the page.
    audit_logs: Vec<AuditEntry>,
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

/// Lists what was done.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(listing): Params<Listing>,
) -> Result<Json<Page>, ApiError> {
    let scope = caller.scope(listing.org_id)?;
    let (query, page) = listing.query(scope)?;
    // One more than is shown tells whether there are more.
    let limit = query.limit - 1;
    let mut entries: Vec<AuditEntry> = app.store.list(&query).await?;
    let has_more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let last = entries.last().filter(|_| has_more);
    Ok(Json(Page {
        page,
        limit,
        has_more,
        next_cursor: last.map(|last| last.cursor().to_string()),
        audit_logs: entries,
    }))
}

/// Reads one entry.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
) -> Result<Json<AuditEntry>, ApiError> {
    let found: Option<AuditEntry> = app.store.find(&id).await?;
    let may_see = |entry: &AuditEntry| match entry.org_id {
        Some(org_id) => caller.sees(org_id, None),
        None => caller.require_all().is_ok(),
    };
    let entry = found.filter(may_see);
    entry
        .map(Json)
        .ok_or_else(|| ApiError::not_found(&format!("the audit entry {id:?}")))
}

impl Listing {
    /// What is asked of the store, with one entry more than a page has; and the number of the page.
    fn query(self, scope: Option<u64>) -> Result<(Query, Option<u32>), ApiError> {
        let mut problems = Vec::new();
        let limit = self.limit.unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            problems.push(Problem::new("limit", format!("{limit} is not between 1 and {MOST}")));
        }
        if self.page.is_some() && self.cursor.is_some() {
            problems.push(Problem::new("cursor", "cannot be given beside `page`"));
        }
        let after = self.cursor.map(|cursor| cursor.parse()).transpose();
        let after = after.unwrap_or_else(|error| {
            problems.push(Problem::new("cursor", format!("{error}")));
            None
        });
        let page = after.is_none().then(|| self.page.unwrap_or(1));
        let skip = skipped(page.unwrap_or(1), limit, &mut problems);
        check_search(self.search.as_deref(), &mut problems);
        let query = Query {
            org_id: scope,
            equal: given([
                (Field::Actor, self.actor),
                (Field::Action, self.action),
                (Field::Target, self.target),
            ]),
            from: moment("startDate", self.start_date.as_deref(), 0, &mut problems),
            before: moment("endDate", self.end_date.as_deref(), 1, &mut problems),
            search: self.search,
            after,
            skip,
            limit: limit.saturating_add(1),
        };
        if problems.is_empty() {
            Ok((query, page))
        } else {
            Err(ApiError::validation(problems))
        }
    }
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List what people and programs did, newest first; secrets are masked")
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read an entry of the audit; secrets are masked")
}

const USUAL: u32 = 50;
const MOST: u32 = 200;
