//! Lists of what is told of deliveries, page by page, and single records of it.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::Problem;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::App;
use super::error::ApiError;
use super::operator::Caller;
use super::request::{Common, Named, Params, Parted, Place, Within};
use crate::store::{Field, Kept, MOST_SEARCHED, Query};

/// A kind of record that is listed.
pub(super) trait Listed: Kept + Serialize + JsonSchema {
    /// Parameters of its list besides those that every list has.
    type Filter: Narrow;
    /// Name of the list in the answer.
    const LIST: &'static str;

    /// The organization that it belongs to.
    fn org_id(&self) -> u64;

    /// What a list shows of it.
    #[must_use]
    fn brief(self) -> Self {
        self
    }
}

/// Parameters that narrow a list.
pub(super) trait Narrow: Debug + DeserializeOwned + JsonSchema + Send {
    /// The values that are asked for.
    fn equal(self) -> Vec<(Field, String)>;
}

/// Which page of which records.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Paging {
    /// Of this organization.
    pub(super) org_id: u64,
    /// Only those made from this moment on: RFC 3339, or a date (UTC).
    #[serde(default)]
    start_date: Option<String>,
    /// Only those made before this moment: RFC 3339; or a date (UTC), which is included.
    #[serde(default)]
    end_date: Option<String>,
    /// Only those with this text in one of their identifiers, names, addresses or errors, upper and lower case being the
    /// same. It is looked for in the newest 20,000 that fit the rest; a whole identifier of an event, a delivery, a trace or
    /// a correlation is found in all.
    #[serde(default)]
    search: Option<String>,
    /// Number of the page, from 1. Pages reach 20,000 records back; `cursor` reaches all.
    #[serde(default)]
    page: Option<u32>,
    /// The most records on a page, 1 to 200; 50 if left out.
    #[serde(default)]
    limit: Option<u32>,
    /// The `nextCursor` of the page before, instead of a number. What comes in meanwhile shifts nothing.
    #[serde(default)]
    cursor: Option<String>,
}

impl Common for Paging {
    const NAMES: &'static [&'static str] = &["orgId", "startDate", "endDate", "search", "page", "limit", "cursor"];
}

/// The query of a list.
pub(super) type Listing<F> = Parted<Paging, F>;

/// A page of records, the newest first.
#[derive(Debug)]
pub(super) struct Page<T> {
    records: Vec<T>,
    position: Position,
}

/// What a page says besides its records.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Position {
    /// How many there are on all pages, counted up to 10,000; left out where a cursor was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// True if there are more than `total`.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_is_capped: Option<bool>,
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

impl<T: Listed> Serialize for Page<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Position {
            total,
            total_is_capped,
            page,
            limit,
            has_more,
            next_cursor,
        } = &self.position;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(T::LIST, &self.records)?;
        if let (Some(total), Some(is_capped)) = (total, total_is_capped) {
            map.serialize_entry("total", total)?;
            map.serialize_entry("totalIsCapped", is_capped)?;
        }
        if let Some(page) = page {
            map.serialize_entry("page", page)?;
        }
        map.serialize_entry("limit", limit)?;
        map.serialize_entry("hasMore", has_more)?;
        if let Some(next) = next_cursor {
            map.serialize_entry("nextCursor", next)?;
        }
        map.end()
    }
}

impl<T: Listed> JsonSchema for Page<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("PageOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Position::json_schema(generator);
        let records = json_schema!({
            "description": "Those on the page, the newest first.",
            "type": "array",
            "items": generator.subschema_for::<T>(),
        });
        let fields = schema.ensure_object();
        if let Some(Value::Object(properties)) = fields.get_mut("properties") {
            properties.insert(T::LIST.to_owned(), records.to_value());
        }
        if let Some(Value::Array(required)) = fields.get_mut("required") {
            required.push(T::LIST.into());
        }
        schema
    }
}

/// Lists records.
pub(super) async fn list<T: Listed>(
    State(app): State<Arc<App>>,
    caller: Caller,
    listing: Listing<T::Filter>,
) -> Result<Json<Page<T>>, ApiError> {
    caller.allow(listing.common.org_id)?;
    let (query, number) = asked(listing)?;
    page(&app, query, number).await.map(Json)
}

/// The page that is asked for, of which `number` is the number.
pub(super) async fn page<T: Listed>(app: &App, query: Query, number: Option<u32>) -> Result<Page<T>, ApiError> {
    let (records, position) = found(app, query, number).await?;
    Ok(Page { records, position })
}

/// The records of a page, and what else it says.
pub(super) async fn found<T: Listed>(
    app: &App,
    query: Query,
    page: Option<u32>,
) -> Result<(Vec<T>, Position), ApiError> {
    let query = app.store.identified::<T>(query).await?;
    // One more than is shown tells whether there are more.
    let limit = query.limit - 1;
    let counted = async {
        match page {
            Some(_) => app.store.count::<T>(&query, MOST_COUNTED + 1).await.map(Some),
            None => Ok(None),
        }
    };
    let (mut records, counted): (Vec<T>, _) = tokio::try_join!(app.store.list(&query), counted)?;
    let has_more = records.len() > limit as usize;
    records.truncate(limit as usize);
    let last = records.last().filter(|_| has_more);
    let position = Position {
        total: counted.map(|count| count.min(MOST_COUNTED)),
        total_is_capped: counted.map(|count| count > MOST_COUNTED),
        page,
        limit,
        has_more,
        next_cursor: last.map(|last| last.cursor().to_string()),
    };
    Ok((records.into_iter().map(T::brief).collect(), position))
}

/// Reads one record.
pub(super) async fn read<T: Listed>(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
) -> Result<Json<T>, ApiError> {
    find(&app, &caller, &id, &within).await.map(Json)
}

/// The record `id`, if the caller may know of it.
pub(super) async fn find<T: Listed>(app: &App, caller: &Caller, id: &str, within: &Within) -> Result<T, ApiError> {
    let scope = caller.scope(within.org_id)?;
    let found: Option<T> = app.store.find(id).await?;
    found
        .filter(|record| caller.sees(record.org_id(), scope))
        .ok_or_else(|| ApiError::not_found(&format!("{} {id:?}", T::NAME)))
}

/// What is asked of the store, with one record more than a page has; and the number of the page.
pub(super) fn asked<F: Narrow>(listing: Listing<F>) -> Result<(Query, Option<u32>), ApiError> {
    let Paging {
        org_id,
        start_date,
        end_date,
        search,
        page,
        limit,
        cursor,
    } = listing.common;
    let mut problems = Vec::new();
    let limit = limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        problems.push(Problem::new("limit", format!("{limit} is not between 1 and {MOST}")));
    }
    if page.is_some() && cursor.is_some() {
        problems.push(Problem::new("cursor", "cannot be given beside `page`"));
    }
    let after = cursor.map(|cursor| cursor.parse()).transpose();
    let after = after.unwrap_or_else(|error| {
        problems.push(Problem::new("cursor", format!("{error}")));
        None
    });
    let page = after.is_none().then(|| page.unwrap_or(1));
    let skip = skipped(page.unwrap_or(1), limit, &mut problems);
    check_search(search.as_deref(), &mut problems);
    let query = Query {
        org_id: Some(org_id),
        equal: listing.rest.equal(),
        from: moment("startDate", start_date.as_deref(), 0, &mut problems),
        before: moment("endDate", end_date.as_deref(), 1, &mut problems),
        search,
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

/// The times between which records are asked for, and a text that can be looked for.
pub(super) fn range(
    start_date: Option<&str>,
    end_date: Option<&str>,
    search: Option<&str>,
) -> Result<(Option<Timestamp>, Option<Timestamp>), ApiError> {
    let mut problems = Vec::new();
    check_search(search, &mut problems);
    let from = moment("startDate", start_date, 0, &mut problems);
    let before = moment("endDate", end_date, 1, &mut problems);
    if problems.is_empty() {
        Ok((from, before))
    } else {
        Err(ApiError::validation(problems))
    }
}

/// How many records come before a page.
pub(super) fn skipped(page: u32, limit: u32, problems: &mut Vec<Problem>) -> u32 {
    let skip = page.checked_sub(1).map(|pages| pages.saturating_mul(limit));
    match skip {
        None => problems.push(Problem::new("page", "pages are counted from 1")),
        Some(skip) if skip >= MOST_SEARCHED => problems.push(Problem::new(
            "page",
            format!("reaches back more than {MOST_SEARCHED} records; give a `cursor` instead"),
        )),
        Some(_) => {}
    }
    skip.unwrap_or(0)
}

/// Refuses a text that cannot be looked for.
pub(super) fn check_search(search: Option<&str>, problems: &mut Vec<Problem>) {
    if search.is_some_and(|text| !(1..=MOST_SEARCH_BYTES).contains(&text.len())) {
        let message = format!("must be 1 to {MOST_SEARCH_BYTES} bytes long");
        problems.push(Problem::new("search", message));
    }
}

/// The moment that `text` names; of a date the midnight (UTC) that is `days_later`.
pub(super) fn moment(
    field: &str,
    text: Option<&str>,
    days_later: i64,
    problems: &mut Vec<Problem>,
) -> Option<Timestamp> {
    moment_in(&TimeZone::UTC, field, text, days_later, problems)
}

/// The same with the midnight of a time zone.
pub(super) fn moment_in(
    zone: &TimeZone,
    field: &str,
    text: Option<&str>,
    days_later: i64,
    problems: &mut Vec<Problem>,
) -> Option<Timestamp> {
    let text = text?;
    let midnight = |date: Date| {
        let date = date.checked_add(jiff::Span::new().days(days_later)).ok()?;
        Some(date.to_zoned(zone.clone()).ok()?.timestamp())
    };
    let read = match text.parse::<Timestamp>() {
        Ok(moment) => Some(moment),
        // A time without an offset is nobody's time.
        Err(_) if text.len() == "2026-01-15".len() => text.parse().ok().and_then(midnight),
        Err(_) => None,
    };
    if read.is_none() {
        let message = format!("{text:?} is no time such as 2026-01-15T10:00:00Z, and no date such as 2026-01-15");
        problems.push(Problem::new(field, message));
    }
    read
}

/// The values that were given.
pub(super) fn given<const N: usize>(values: [(Field, Option<String>); N]) -> Vec<(Field, String)> {
    let given = values.into_iter().filter_map(|(field, value)| Some((field, value?)));
    given.collect()
}

/// The name that a value of a closed set has in JSON.
pub(super) fn name_of(value: impl Serialize) -> Option<String> {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => Some(name),
        _ => None,
    }
}

pub(super) fn list_docs<T: Listed>(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary(&format!("List {}s, newest first", T::NAME))
}

pub(super) fn read_docs<T: Listed>(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary(&format!("Read a {}", T::NAME))
}

/// Records on a page.
const USUAL: u32 = 50;
const MOST: u32 = 200;
const MOST_SEARCH_BYTES: usize = 200;
/// Records that are counted for the number of pages.
const MOST_COUNTED: u64 = 10_000;
