//! What the operations on documents of the control plane's own have in common: pages, entity tags, and changes with their
//! audit.

use std::borrow::Cow;

use filters::model::Problem;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::App;
use super::error::ApiError;
use super::operator::Caller;
use super::request::Precondition;
use crate::audit::AuditEntry;
use crate::publish::Refusal;
use crate::store::{Sheet, Shelved, Write};

/// A kind of documents.
pub(super) trait Filed: Shelved + Serialize + JsonSchema {
    /// The field of their list that they are in.
    const LIST: &'static str;
    /// What the audit calls them, as `template`.
    const AUDITED: &'static str;

    /// What may be shown of it and kept in the audit.
    fn shown(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Which documents, and which page of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Listing {
    /// Of this organization; must be given if the key is not for all of them.
    #[serde(default)]
    pub(super) org_id: Option<u64>,
    /// The `nextCursor` of the page before.
    #[serde(default)]
    pub(super) cursor: Option<String>,
    /// The most on a page, 1 to 200; 50 if left out.
    #[serde(default)]
    pub(super) limit: Option<u32>,
}

impl Listing {
    /// The most on a page.
    pub(super) fn limit(&self) -> Result<u32, ApiError> {
        let limit = self.limit.unwrap_or(USUAL);
        if (1..=MOST).contains(&limit) {
            return Ok(limit);
        }
        let problem = Problem::new("limit", format!("{limit} is not between 1 and {MOST}"));
        Err(ApiError::validation(vec![problem]))
    }
}

/// A page of documents, by identifier.
#[derive(Debug)]
pub(super) struct Page<T> {
    documents: Vec<T>,
    position: Position,
}

/// What a page says besides its documents.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Position {
    /// The most on a page.
    limit: u32,
    /// True if there are further pages.
    has_more: bool,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl<T: Filed> Page<T> {
    /// The first `limit` of `sheets`, which are one more if there are further ones.
    pub(super) fn of(mut sheets: Vec<Sheet<T>>, limit: u32) -> Self {
        let has_more = sheets.len() > limit as usize;
        sheets.truncate(limit as usize);
        let last = sheets.last().filter(|_| has_more);
        Self {
            position: Position {
                limit,
                has_more,
                next_cursor: last.map(|sheet| sheet.value.id().to_owned()),
            },
            documents: sheets.into_iter().map(|sheet| sheet.value).collect(),
        }
    }
}

impl<T: Filed> Serialize for Page<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let shown: Vec<Value> = self.documents.iter().map(Filed::shown).collect();
        map.serialize_entry(T::LIST, &shown)?;
        map.serialize_entry("limit", &self.position.limit)?;
        map.serialize_entry("hasMore", &self.position.has_more)?;
        if let Some(next) = &self.position.next_cursor {
            map.serialize_entry("nextCursor", next)?;
        }
        map.end()
    }
}

impl<T: Filed> JsonSchema for Page<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("PageOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Position::json_schema(generator);
        let documents = json_schema!({
            "description": "Those on the page.",
            "type": "array",
            "items": generator.subschema_for::<T>(),
        });
        let fields = schema.ensure_object();
        if let Some(Value::Object(properties)) = fields.get_mut("properties") {
            properties.insert(T::LIST.to_owned(), documents.to_value());
        }
        if let Some(Value::Array(required)) = fields.get_mut("required") {
            required.push(T::LIST.into());
        }
        schema
    }
}

/// The entity tag of a document.
pub(super) fn tag_of<T: Serialize>(app: &App, document: &T) -> String {
    let text = serde_json::to_vec(document).unwrap_or_default();
    app.sealer.tag(&Sha256::digest(text).into())
}

/// Refuses a change of a document that is not as the caller knows it; `None` for one that is not there.
pub(super) fn check_tag<T: Filed>(
    app: &App,
    precondition: &Precondition,
    sheet: Option<&Sheet<T>>,
    id: &str,
) -> Result<(), ApiError> {
    let tag = sheet.map(|sheet| tag_of(app, &sheet.value));
    if precondition.allows(tag.as_deref()) {
        Ok(())
    } else {
        Err(Refusal::Precondition(format!("the {} {id:?}", T::NAME)).into())
    }
}

/// Keeps `value` in the place of `before`, or as a new one, with its entry in the audit.
pub(super) async fn save<T: Filed>(
    app: &App,
    caller: &Caller,
    value: &T,
    before: Option<&Sheet<T>>,
) -> Result<(), ApiError> {
    let write = match before {
        Some(before) => Write::replace(value, before.revision)?,
        None => Write::new(value)?,
    };
    let verb = if before.is_some() { "update" } else { "create" };
    let mut entry = audit_of::<T>(caller, verb, value.id(), value.org_id());
    entry.before = before.map(|before| before.value.shown());
    entry.after = Some(value.shown());
    if app.store.write(vec![write], vec![entry]).await? {
        return Ok(());
    }
    let message = match before {
        Some(_) => format!(
            "the {} {:?} was changed in the meantime; read it again",
            T::NAME,
            value.id()
        ),
        None => format!("a {} with this identifier or name is there already", T::NAME),
    };
    Err(Refusal::Conflict(message).into())
}

/// Deletes a document, with its entry in the audit.
pub(super) async fn remove<T: Filed>(app: &App, caller: &Caller, sheet: &Sheet<T>) -> Result<(), ApiError> {
    let id = sheet.value.id();
    let mut entry = audit_of::<T>(caller, "delete", id, sheet.value.org_id());
    entry.before = Some(sheet.value.shown());
    let write = Write::delete::<T>(id, Some(sheet.revision));
    if app.store.write(vec![write], vec![entry]).await? {
        Ok(())
    } else {
        let message = format!("the {} {id:?} was changed in the meantime; read it again", T::NAME);
        Err(Refusal::Conflict(message).into())
    }
}

/// There is no such document for the caller.
pub(super) fn absent<T: Filed>(id: &str) -> ApiError {
    ApiError::not_found(&format!("the {} {id:?}", T::NAME))
}

/// The time in milliseconds, the finest that both stores keep.
pub(super) fn now() -> jiff::Timestamp {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Millisecond).unwrap_or(now)
}

/// What is wrong with an identifier that somebody chose.
pub(super) fn check_id(id: &str) -> Option<Problem> {
    let fits = (1..=LONGEST_ID).contains(&id.len())
        && id.starts_with(|first: char| first.is_ascii_alphanumeric())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    let message = "must be 1 to 128 letters, digits, `-`, `_` or `.`, and begin with a letter or a digit";
    (!fits).then(|| Problem::new("id", message))
}

fn audit_of<T: Filed>(caller: &Caller, verb: &str, id: &str, org_id: Option<u64>) -> AuditEntry {
    let action = format!("{}.{verb}", T::AUDITED);
    caller.actor().did(&action, format!("{} {id}", T::AUDITED), org_id)
}

const USUAL: u32 = 50;
const MOST: u32 = 200;
const LONGEST_ID: usize = 128;
