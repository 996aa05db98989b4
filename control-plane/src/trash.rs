//! Deleted objects, which may come back for a while. Whatever a version deletes is laid aside in the same transaction: what
//! a list shows of it, and the object itself, sealed.

use filters::model::push::{Object, ObjectId, ObjectKind};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::store::{Shelf, Shelved, StoreError, Version, Write};

/// A deleted object, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trashed {
    /// Identifier of this entry (UUIDv7).
    pub(crate) id: String,
    /// Kind of the object.
    pub(crate) kind: ObjectKind,
    /// Identifier that the object had, and will have again.
    pub(crate) object_id: String,
    /// The organization that it belongs to.
    pub(crate) org_id: u64,
    /// Its name for people.
    pub(crate) name: String,
    /// The version that deleted it.
    pub(crate) version: u64,
    /// Who deleted it.
    pub(crate) deleted_by: String,
    /// When (RFC 3339).
    #[schemars(with = "String")]
    pub(crate) deleted_at: Timestamp,
    /// Until when it may come back (RFC 3339).
    #[schemars(with = "String")]
    pub(crate) expires_at: Timestamp,
}

impl Trashed {
    /// The object that it was; `None` if no release has such an identifier.
    pub(crate) fn object_id(&self) -> Option<ObjectId> {
        ObjectId::of(self.kind, &self.object_id)
    }
}

impl Shelved for Trashed {
    const SHELF: Shelf = Shelf::Trash;
    const NAME: &'static str = "entry of the trash";

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        Some(self.org_id)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("kind", self.kind.name().to_owned()),
            ("objectId", self.object_id.clone()),
        ]
    }
}

/// What a deleted object was, with its secrets.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Content {
    /// Identifier of its entry.
    id: String,
    org_id: u64,
    expires_at: Timestamp,
    /// The object.
    pub(crate) object: Object,
}

impl Shelved for Content {
    const SHELF: Shelf = Shelf::TrashContents;
    const NAME: &'static str = "deleted object";
    const SEALED: bool = true;

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        Some(self.org_id)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// What lays `object` aside that `version` deletes. Nothing for the rules of connections, which nobody can delete, and for a
/// table that would not fit into a document of MongoDB when it is sealed: it goes for good rather than never.
///
/// # Errors
/// If it cannot be written as JSON.
pub(crate) fn keep(object: Object, version: &Version) -> Result<Vec<Write>, StoreError> {
    let (Some(id), Some(org_id)) = (object.id(), object.org_id()) else {
        return Ok(Vec::new());
    };
    let entry = Trashed {
        id: Uuid::now_v7().to_string(),
        kind: id.kind(),
        object_id: id.text(),
        org_id,
        name: name_of(&object).to_owned(),
        version: version.number,
        deleted_by: version.author.clone(),
        deleted_at: version.at,
        expires_at: version.at.checked_add(KEPT).unwrap_or(Timestamp::MAX),
    };
    let content = Content {
        id: entry.id.clone(),
        org_id,
        expires_at: entry.expires_at,
        object,
    };
    let bytes = serde_json::to_vec(&content.object).map_or(0, |text| text.len());
    if bytes > LARGEST {
        tracing::warn!(%id, bytes, "a deleted object is too large for the trash");
        return Ok(Vec::new());
    }
    Ok(vec![Write::new(&entry)?, Write::new(&content)?])
}

/// What takes the entry at `revision` out of the trash, with what it was.
pub(crate) fn take_out(id: &str, revision: u64) -> Vec<Write> {
    vec![
        Write::delete::<Trashed>(id, Some(revision)),
        Write::delete::<Content>(id, None),
    ]
}

fn name_of(object: &Object) -> &str {
    match object {
        Object::Security(_) => "",
        Object::Organization(value) => &value.name,
        Object::Unit(value) => &value.name,
        Object::Integration(value) => &value.name,
        Object::Outbound(value) => &value.name,
        Object::EventType(value) => &value.event_type,
        Object::ProducerKey(value) => &value.name,
        Object::Certificate(value) => &value.name,
        Object::Lookup(value) => &value.name,
        Object::Consumer(value) => &value.name,
    }
}

/// Bytes of an object that fit into a document of 16 MiB when they are sealed and written as text.
const LARGEST: usize = 11 << 20;
/// For how long a deleted object may come back.
pub(crate) const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
