//! What the documents look like.

use filters::model::push::{Object, ObjectId, ObjectKind};
use filters::model::{
    Certificate, Consumer, EventType, InboundIntegration, Lookup, OrgUnit, Organization, OutboundIntegration,
    ProducerKey,
};
use jiff::Timestamp;
use mongodb::bson::{Bson, DateTime, Document, doc};

use super::super::document::{Stored, encode, unknown};
use super::super::{Canary, Share, StoreError, Version};
use crate::seal::Sealer;

/// `_id` of an object in its collection.
pub(super) fn key_of(kind: ObjectKind, id: &str) -> String {
    match kind {
        ObjectKind::Security => "security".to_owned(),
        _ => id.to_owned(),
    }
}

/// An object with its document, and its entry in the list of changes.
pub(super) fn documents_of(object: &Object, version: u64, sealer: &Sealer) -> (ObjectKind, Document, Document) {
    let Stored { kind, id, body } = encode(object, sealer);
    let entry = change_of(kind, &id, Some(&body), version);
    let mut document = match object {
        Object::Security(_) => doc! {},
        Object::Organization(organization) => organization_fields(organization),
        Object::Integration(integration) => integration_fields(integration),
        Object::Outbound(integration) => outbound_fields(integration),
        Object::EventType(event_type) => event_type_fields(event_type),
        Object::Unit(unit) => unit_fields(unit),
        Object::ProducerKey(key) => producer_key_fields(key),
        Object::Certificate(certificate) => certificate_fields(certificate),
        Object::Lookup(lookup) => lookup_fields(lookup),
        Object::Consumer(consumer) => consumer_fields(consumer),
    };
    document.insert("_id", key_of(kind, &id));
    document.insert("version", number(version));
    document.insert("document", body);
    (kind, document, entry)
}

/// The entry of a deletion.
pub(super) fn deletion_of(id: &ObjectId, version: u64) -> (ObjectKind, String, Document) {
    let (kind, id) = (id.kind(), id.text());
    let entry = change_of(kind, &id, None, version);
    (kind, key_of(kind, &id), entry)
}

pub(super) fn version_document(version: &Version, commit: &str) -> Document {
    doc! {
        "_id": number(version.number),
        "commit": commit,
        "author": &version.author,
        "message": &version.message,
        "at": DateTime::from_millis(version.at.as_millisecond()),
        "digest": &version.digest,
        "put": number(version.put),
        "deleted": number(version.deleted),
        "shares": version.shares.iter().map(share_document).collect::<Vec<_>>(),
        "canary": version.canary.as_ref().map(canary_document),
    }
}

fn share_document(share: &Share) -> Document {
    doc! {"orgId": number(share.org_id), "put": number(share.put), "deleted": number(share.deleted)}
}

fn canary_document(canary: &Canary) -> Document {
    doc! {"rollout": &canary.rollout, "base": number(canary.base), "gateways": &canary.gateways}
}

/// `None` if it is of another kind than it is written as. Versions of earlier releases have none.
fn shares_of(document: &Document) -> Option<Vec<Share>> {
    let shares = document.get_array("shares").map(Vec::as_slice).unwrap_or_default();
    let share = |share: &Bson| {
        let share = share.as_document()?;
        Some(Share {
            org_id: unsigned(share, "orgId")?,
            put: unsigned(share, "put")?,
            deleted: unsigned(share, "deleted")?,
        })
    };
    shares.iter().map(share).collect()
}

fn canary_of(document: &Document) -> Option<Option<Canary>> {
    let Ok(canary) = document.get_document("canary") else {
        return Some(None);
    };
    let gateways = canary.get_array("gateways").ok()?.iter();
    Some(Some(Canary {
        rollout: canary.get_str("rollout").ok()?.to_owned(),
        base: unsigned(canary, "base")?,
        gateways: gateways
            .map(|gateway| gateway.as_str().map(str::to_owned))
            .collect::<Option<_>>()?,
    }))
}

pub(super) fn version_of(document: &Document) -> Result<Version, StoreError> {
    let read = || -> Option<Version> {
        Some(Version {
            number: unsigned(document, "_id")?,
            author: document.get_str("author").ok()?.to_owned(),
            message: document.get_str("message").ok()?.to_owned(),
            at: Timestamp::from_millisecond(document.get_datetime("at").ok()?.timestamp_millis()).ok()?,
            digest: document.get_str("digest").ok()?.to_owned(),
            put: unsigned(document, "put")?,
            deleted: unsigned(document, "deleted")?,
            shares: shares_of(document)?,
            canary: canary_of(document)?,
        })
    };
    read().ok_or_else(|| StoreError::Corrupt {
        object: format!("version {}", document.get("_id").unwrap_or(&Bson::Null)),
        reason: "a field is missing or of another kind".to_owned(),
    })
}

/// Kind and identifier of an entry in the list of changes.
pub(super) fn names_in(document: &Document) -> Result<(&str, &str), StoreError> {
    match (document.get_str("kind"), document.get_str("id")) {
        (Ok(kind), Ok(id)) => Ok((kind, id)),
        _ => Err(unknown(
            "change",
            &document.get("_id").unwrap_or(&Bson::Null).to_string(),
        )),
    }
}

/// A text that must be there.
pub(super) fn text<'a>(document: &'a Document, field: &str) -> Result<&'a str, StoreError> {
    document.get_str(field).map_err(|error| StoreError::Corrupt {
        object: format!("the document {}", document.get("_id").unwrap_or(&Bson::Null)),
        reason: format!("{field}: {error}"),
    })
}

pub(super) fn unsigned(document: &Document, field: &str) -> Option<u64> {
    match document.get(field)? {
        Bson::Int64(number) => u64::try_from(*number).ok(),
        Bson::Int32(number) => u64::try_from(*number).ok(),
        Bson::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Numbers beyond what BSON can hold are texts; nobody has so many, but a wrong one must not look right.
pub(super) fn number(value: u64) -> Bson {
    i64::try_from(value).map_or_else(|_| Bson::String(value.to_string()), Bson::Int64)
}

fn change_of(kind: ObjectKind, id: &str, body: Option<&str>, version: u64) -> Document {
    doc! {
        "_id": format!("{version}/{}/{id}", kind.name()),
        "version": number(version),
        "kind": kind.name(),
        "id": id,
        "document": body,
    }
}

fn organization_fields(organization: &Organization) -> Document {
    doc! {
        "orgId": number(organization.org_id),
        "name": &organization.name,
        "code": organization.code.as_deref(),
        "createdAt": date(organization.created_at.as_deref()),
        "updatedAt": date(organization.updated_at.as_deref()),
    }
}

/// The fields of the source documents by which integrations are looked for.
fn integration_fields(integration: &InboundIntegration) -> Document {
    let mut fields = doc! {
        "direction": "INBOUND",
        "type": &integration.kind,
        "name": &integration.name,
        "orgId": number(integration.org_id),
        "tenantId": number(integration.tenant_id.unwrap_or(integration.org_id)),
        "isActive": integration.is_active,
        "targetUrl": integration.target_url.as_deref(),
        "createdAt": date(integration.created_at.as_deref()),
        "updatedAt": date(integration.updated_at.as_deref()),
    };
    if let Some(limits) = &integration.rate_limits {
        fields.insert("rateLimits", doc! {"enabled": limits.enabled});
    }
    fields
}

/// The same for outbound ones.
fn outbound_fields(integration: &OutboundIntegration) -> Document {
    doc! {
        "direction": "OUTBOUND",
        "name": &integration.name,
        "orgId": number(integration.org_id),
        "tenantId": number(integration.tenant()),
        "eventType": integration.event_type.as_deref(),
        "actionId": integration.action_id,
        "isActive": integration.is_active,
        "targetUrl": integration.target_url.as_deref(),
        "rateLimits": {"enabled": integration.rate_limits.enabled && integration.rate_limits.max_requests.is_some()},
        "createdAt": date(integration.created_at.as_deref()),
        "updatedAt": date(integration.updated_at.as_deref()),
    }
}

fn event_type_fields(event_type: &EventType) -> Document {
    doc! {
        "orgId": number(event_type.org_id),
        "eventType": &event_type.event_type,
        "actionId": event_type.action_id,
        "name": &event_type.name,
        "createdAt": date(event_type.created_at.as_deref()),
        "updatedAt": date(event_type.updated_at.as_deref()),
    }
}

fn unit_fields(unit: &OrgUnit) -> Document {
    doc! {
        "orgId": number(unit.org_id),
        "rid": number(unit.rid),
        "name": &unit.name,
        "code": unit.code.as_deref(),
        "createdAt": date(unit.created_at.as_deref()),
        "updatedAt": date(unit.updated_at.as_deref()),
    }
}

fn producer_key_fields(key: &ProducerKey) -> Document {
    doc! {
        "orgId": number(key.org_id),
        "name": &key.name,
        "isActive": key.is_active,
        "createdAt": date(key.created_at.as_deref()),
        "updatedAt": date(key.updated_at.as_deref()),
    }
}

fn certificate_fields(certificate: &Certificate) -> Document {
    doc! {
        "orgId": number(certificate.org_id),
        "name": &certificate.name,
        "isActive": certificate.is_active,
        "createdAt": date(certificate.created_at.as_deref()),
        "updatedAt": date(certificate.updated_at.as_deref()),
    }
}

fn lookup_fields(lookup: &Lookup) -> Document {
    doc! {
        "orgId": number(lookup.org_id),
        "name": &lookup.name,
        "createdAt": date(lookup.created_at.as_deref()),
        "updatedAt": date(lookup.updated_at.as_deref()),
    }
}

fn consumer_fields(consumer: &Consumer) -> Document {
    doc! {
        "orgId": number(consumer.org_id),
        "name": &consumer.name,
        "isActive": consumer.is_active,
        "createdAt": date(consumer.created_at.as_deref()),
        "updatedAt": date(consumer.updated_at.as_deref()),
    }
}

fn date(text: Option<&str>) -> Option<DateTime> {
    let at: Timestamp = text?.parse().ok()?;
    Some(DateTime::from_millis(at.as_millisecond()))
}
