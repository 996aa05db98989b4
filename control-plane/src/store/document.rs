//! How an object is written down: its own JSON, with each secret sealed.

use std::sync::Arc;

use filters::model::push::{Object, ObjectId};
use filters::model::{InboundIntegration, Organization, secret};
use serde_json::Value;

use super::StoreError;
use crate::seal::{SealError, Sealer};

/// Kinds of objects, as they are named in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Security,
    Organization,
    Integration,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Organization => "organization",
            Self::Integration => "integration",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        [Self::Security, Self::Organization, Self::Integration]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// An object as it is kept.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) body: String,
}

/// Writes an object down.
pub(super) fn encode(object: &Object, sealer: &Sealer) -> Stored {
    match object {
        Object::Security(security) => Stored {
            kind: Kind::Security,
            id: String::new(),
            body: json(security).to_string(),
        },
        Object::Organization(organization) => Stored {
            kind: Kind::Organization,
            id: organization.org_id.to_string(),
            body: json(&**organization).to_string(),
        },
        Object::Integration(integration) => {
            let mut body = json(&**integration);
            for_each_secret(&mut body, &mut |text| {
                *text = sealer.seal(text, &integration.id);
            });
            Stored {
                kind: Kind::Integration,
                id: integration.id.clone(),
                body: body.to_string(),
            }
        }
    }
}

/// Reads an object back.
pub(super) fn decode(kind: &str, id: &str, body: &str, sealer: &Sealer) -> Result<Object, StoreError> {
    let corrupt = |reason: String| StoreError::Corrupt {
        object: format!("{kind} {id:?}"),
        reason,
    };
    let read = |error: serde_json::Error| corrupt(error.to_string());
    match Kind::of_name(kind) {
        None => Err(corrupt("its kind is not known".to_owned())),
        Some(Kind::Security) => serde_json::from_str(body).map(Object::Security).map_err(read),
        Some(Kind::Organization) => serde_json::from_str::<Organization>(body)
            .map(|organization| Object::Organization(Arc::new(organization)))
            .map_err(read),
        Some(Kind::Integration) => {
            let mut value: Value = serde_json::from_str(body).map_err(read)?;
            let mut failure: Option<SealError> = None;
            for_each_secret(&mut value, &mut |text| match sealer.open(text, id) {
                Ok(opened) => *text = opened,
                Err(error) => failure = Some(error),
            });
            if let Some(error) = failure {
                return Err(corrupt(error.to_string()));
            }
            serde_json::from_value::<InboundIntegration>(value)
                .map(|integration| Object::Integration(Arc::new(integration)))
                .map_err(read)
        }
    }
}

/// Reads back which object a row is about.
pub(super) fn object_id(kind: &str, id: &str) -> Result<Option<ObjectId>, StoreError> {
    match Kind::of_name(kind) {
        Some(Kind::Security) => Ok(None),
        Some(Kind::Integration) => Ok(Some(ObjectId::Integration(id.into()))),
        Some(Kind::Organization) => id
            .parse()
            .map(|id| Some(ObjectId::Organization(id)))
            .map_err(|_| unknown(kind, id)),
        None => Err(unknown(kind, id)),
    }
}

/// Kind and identifier as they are named in the store.
pub(super) fn names_of(id: &ObjectId) -> (Kind, String) {
    match id {
        ObjectId::Organization(id) => (Kind::Organization, id.to_string()),
        ObjectId::Integration(id) => (Kind::Integration, id.to_string()),
    }
}

/// A row that this program cannot have written.
pub(super) fn unknown(kind: &str, id: &str) -> StoreError {
    StoreError::Corrupt {
        object: format!("{kind} {id:?}"),
        reason: "its kind or identifier is not known".to_owned(),
    }
}

fn for_each_secret(body: &mut Value, visit: &mut dyn FnMut(&mut String)) {
    for field in ["inboundAuthConfig", "outgoingAuthConfig"] {
        if let Some(config) = body.get_mut(field) {
            secret::for_each(config, &mut |value| {
                if let Value::String(text) = value {
                    visit(text);
                }
            });
        }
    }
}

fn json<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("model types have text keys and serialize without fail")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_sealed_and_come_back() {
        let sealer = Sealer::new(&[1; 32]);
        let integration: InboundIntegration = serde_json::from_value(json!({
            "id": "a", "name": "A", "type": "a", "orgId": u64::MAX, "targetUrl": "https://partner.example",
            "outgoingAuthType": "CUSTOM_HEADERS", "outgoingAuthConfig": {"headers": {"X-Secret": "hunter2"}},
            "inboundAuthType": "API_KEY",
            "inboundAuthConfig": {"keys": [{"name": "k", "hash": "sha256:00"}]},
        }))
        .unwrap();
        let object = Object::Integration(Arc::new(integration));
        let stored = encode(&object, &sealer);
        assert!(
            !stored.body.contains("hunter2") && !stored.body.contains("sha256"),
            "{}",
            stored.body
        );
        assert_eq!(decode("integration", "a", &stored.body, &sealer).unwrap(), object);

        let moved = decode("integration", "b", &stored.body, &sealer).unwrap_err();
        assert!(matches!(moved, StoreError::Corrupt { .. }));
        let other_key = decode("integration", "a", &stored.body, &Sealer::new(&[2; 32])).unwrap_err();
        assert!(other_key.to_string().contains("secret key"), "{other_key}");
    }
}
