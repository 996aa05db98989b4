//! Lists of objects, page by page.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use filters::model::Problem;
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
    /// Number of the page, from 1; the first if left out.
    #[serde(default)]
    page: Option<usize>,
    /// The most objects on a page, from 1 to 200 (of organizations 1,000); 50 (of organizations 1,000) if left out.
    #[serde(default)]
    limit: Option<usize>,
    /// Only those with this text in one of their identifiers, names or addresses; upper and lower case are the same.
    #[serde(default)]
    search: Option<String>,
}

impl Common for Paging {
    const NAMES: &'static [&'static str] = &["orgId", "page", "limit", "search"];
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
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Counts {
    /// How many there are on all pages.
    total: usize,
    /// Number of the page.
    page: usize,
    /// The most on a page.
    limit: usize,
    /// True if there are further pages.
    has_more: bool,
}

impl<T: Resource> Serialize for Page<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Counts {
            total,
            page,
            limit,
            has_more,
        } = self.counts;
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry(T::LIST, &self.objects)?;
        map.serialize_entry("total", &total)?;
        map.serialize_entry("page", &page)?;
        map.serialize_entry("limit", &limit)?;
        map.serialize_entry("hasMore", &has_more)?;
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
    let (page, limit) = paging.checked::<T>()?;
    let scope = T::scope(&caller, paging.org_id)?;
    let search = paging.search.as_deref().map(str::to_lowercase);
    let state = app.publisher.state();
    let entries = T::entries(&state.snapshot).map(|entry| &*entry.value);
    let matching = entries.filter(|object| {
        caller.sees(object.org_id(), scope)
            && filter.picks(object)
            && search.as_ref().is_none_or(|text| mentions(*object, text))
    });
    let skip = (page - 1).saturating_mul(limit);
    let mut total = 0;
    let mut objects = Vec::new();
    for object in matching {
        if total >= skip && objects.len() < limit {
            objects.push(object.shown());
        }
        total += 1;
    }
    let counts = Counts {
        total,
        page,
        limit,
        has_more: skip.saturating_add(objects.len()) < total,
    };
    Ok(Json(Page { objects, counts }))
}

impl Paging {
    /// Number of the page, and the most on it.
    fn checked<T: Resource>(&self) -> Result<(usize, usize), ApiError> {
        let (usual, most) = T::PAGE;
        let (page, limit) = (self.page.unwrap_or(1), self.limit.unwrap_or(usual));
        let mut problems = Vec::new();
        if page == 0 {
            problems.push(Problem::new("page", "pages are counted from 1"));
        }
        if !(1..=most).contains(&limit) {
            problems.push(Problem::new("limit", format!("{limit} is not between 1 and {most}")));
        }
        if problems.is_empty() {
            Ok((page, limit))
        } else {
            Err(ApiError::validation(problems))
        }
    }
}

fn mentions<T: Resource>(object: &T, text: &str) -> bool {
    object.texts().iter().any(|field| field.to_lowercase().contains(text))
}
