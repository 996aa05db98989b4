//! Lists of objects, page by page.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use filters::model::Problem;
use filters::model::push::ObjectId;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::super::App;
use super::super::error::ApiError;
use super::super::operator::Caller;
use super::super::request::{Common, Parted};
use super::Resource;

/// Parameters that pick objects of a list.
pub(in super::super) trait Filter<T>: Debug + DeserializeOwned + JsonSchema + Send {
    /// True if the object is one of those that are asked for.
    fn picks(&self, object: &T) -> bool;
}

/// No further parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Everything {}

impl<T> Filter<T> for Everything {
    fn picks(&self, _: &T) -> bool {
        true
    }
}

/// Which objects, and which page of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in super::super) struct Paging {
    /// Of this organization; must be given if the key is not for all of them.
    #[serde(default)]
    org_id: Option<u64>,
    /// Number of the page, from 1; the first if left out. What is made or deleted meanwhile shifts the pages after it.
    #[serde(default)]
    page: Option<usize>,
    /// The `nextCursor` of the page before, instead of a number. What is made or deleted meanwhile shifts nothing.
    #[serde(default)]
    cursor: Option<String>,
    /// The most objects on a page, from 1 to 200 (of organizations 1,000); 50 (of organizations 1,000) if left out.
    #[serde(default)]
    limit: Option<usize>,
    /// Only those with this text in one of their identifiers, names or addresses; upper and lower case are the same.
    #[serde(default)]
    search: Option<String>,
}

impl Common for Paging {
    const NAMES: &'static [&'static str] = &["orgId", "page", "cursor", "limit", "search"];
}

/// The query of a list.
pub(in super::super) type Listing<F> = Parted<Paging, F>;

/// A page of objects, ordered by identifier.
#[derive(Debug)]
pub(in super::super) struct Page<T> {
    /// Those on the page; secrets are masked.
    objects: Vec<T>,
    counts: Counts,
}

/// What a page says besides its objects.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Counts {
    /// How many there are on all pages; left out where a cursor was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<usize>,
    /// Number of the page; left out where a cursor was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<usize>,
    /// The most on a page.
    limit: usize,
    /// True if there are further pages.
    has_more: bool,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl<T: Resource> Serialize for Page<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Counts {
            total,
            page,
            limit,
            has_more,
            next_cursor,
        } = &self.counts;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(T::LIST, &self.objects)?;
        if let Some(total) = total {
            map.serialize_entry("total", total)?;
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

impl<T: Resource> JsonSchema for Page<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("PageOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Counts::json_schema(generator);
        let objects = json_schema!({
            "description": "Those on the page, by identifier; secrets are masked.",
            "type": "array",
            "items": generator.subschema_for::<T>(),
        });
        let fields = schema.ensure_object();
        if let Some(Value::Object(properties)) = fields.get_mut("properties") {
            properties.insert(T::LIST.to_owned(), objects.to_value());
        }
        if let Some(Value::Array(required)) = fields.get_mut("required") {
            required.push(T::LIST.into());
        }
        schema
    }
}

/// Lists objects.
pub(in super::super) async fn list<T: Resource>(
    State(app): State<Arc<App>>,
    caller: Caller,
    listing: Listing<T::Filter>,
) -> Result<Json<Page<T>>, ApiError> {
    let Parted {
        common: paging,
        rest: filter,
    } = listing;
    let (start, limit) = paging.checked::<T>()?;
    let scope = T::scope(&caller, paging.org_id)?;
    let search = paging.search.as_deref().map(str::to_lowercase);
    let state = app.publisher.state();
    let entries = T::entries(&state.snapshot).map(|entry| &*entry.value);
    let matching = entries.filter(|object| {
        caller.sees(object.org_id(), scope)
            && filter.picks(object)
            && search.as_ref().is_none_or(|text| mentions(*object, text))
    });
    Ok(Json(match start {
        Start::Page(page) => Page::numbered(matching, page, limit),
        Start::After(after) => Page::of(matching.filter(|object| object.id() > after), limit),
    }))
}

/// Where a page begins.
enum Start {
    /// It has this number, from 1.
    Page(usize),
    /// After the object with this identifier, whether it is still there or not.
    After(ObjectId),
}

impl<T: Resource> Page<T> {
    /// The page `page` of all that match.
    fn numbered<'a>(matching: impl Iterator<Item = &'a T>, page: usize, limit: usize) -> Self {
        let skip = (page - 1).saturating_mul(limit);
        let mut total = 0;
        let counted = matching.inspect(|_| total += 1);
        let mut rest = counted.skip(skip);
        let mut found = Self::of(rest.by_ref(), limit);
        for _ in rest {}
        found.counts.total = Some(total);
        found.counts.page = Some(page);
        found
    }

    /// The first of those that match.
    fn of<'a>(mut matching: impl Iterator<Item = &'a T>, limit: usize) -> Self {
        let objects: Vec<T> = matching.by_ref().take(limit).map(T::shown).collect();
        let has_more = matching.next().is_some();
        let last = objects.last().filter(|_| has_more);
        Self {
            counts: Counts {
                total: None,
                page: None,
                limit,
                has_more,
                next_cursor: last.map(|last| last.id().text()),
            },
            objects,
        }
    }
}

impl Paging {
    /// Where the page begins, and the most on it.
    fn checked<T: Resource>(&self) -> Result<(Start, usize), ApiError> {
        let (usual, most) = T::PAGE;
        let limit = self.limit.unwrap_or(usual);
        let mut problems = Vec::new();
        if !(1..=most).contains(&limit) {
            problems.push(Problem::new("limit", format!("{limit} is not between 1 and {most}")));
        }
        let start = match (&self.cursor, self.page) {
            (Some(_), Some(_)) => Err(Problem::new("cursor", "cannot be given beside `page`")),
            (Some(cursor), None) => ObjectId::of(T::KIND, cursor)
                .map(Start::After)
                .ok_or_else(|| Problem::new("cursor", "is no place in this list; give the `nextCursor` of a page")),
            (None, Some(0)) => Err(Problem::new("page", "pages are counted from 1")),
            (None, page) => Ok(Start::Page(page.unwrap_or(1))),
        };
        match start {
            Ok(start) if problems.is_empty() => Ok((start, limit)),
            start => {
                problems.extend(start.err());
                Err(ApiError::validation(problems))
            }
        }
    }
}

fn mentions<T: Resource>(object: &T, text: &str) -> bool {
    object.texts().iter().any(|field| field.to_lowercase().contains(text))
}
