//! How an object is written down: its own JSON, with each secret sealed.

use filters::model::push::{Object, ObjectId, ObjectKind};
use filters::model::secret;
use serde_json::{Map, Value};

use super::StoreError;
use crate::seal::{SealError, Sealer};

/// An object as it is kept.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) kind: ObjectKind,
    pub(super) id: String,
    pub(super) body: String,
}

/// Writes an object down.
pub(super) fn encode(object: &Object, sealer: &Sealer) -> Stored {
    let kind = object.kind();
    let id = object.id().map(|id| id.text()).unwrap_or_default();
    let whole = serde_json::to_value(object).expect("model types have text keys and serialize without fail");
    let mut body = match whole {
        Value::Object(mut fields) => fields.remove("value").unwrap_or_default(),
        _ => Value::Null,
    };
    for_each_secret(kind, &mut body, &mut |text| *text = sealer.seal(text, &id));
    Stored {
        kind,
        id,
        body: body.to_string(),
    }
}

/// Reads an object back.
pub(super) fn decode(kind: &str, id: &str, body: &str, sealer: &Sealer) -> Result<Object, StoreError> {
    let corrupt = |reason: String| StoreError::Corrupt {
        object: format!("{kind} {id:?}"),
        reason,
    };
    let known = ObjectKind::of_name(kind).ok_or_else(|| corrupt("its kind is not known".to_owned()))?;
    let mut value: Value = serde_json::from_str(body).map_err(|error| corrupt(error.to_string()))?;
    let mut failure: Option<SealError> = None;
    for_each_secret(known, &mut value, &mut |text| match sealer.open(text, id) {
        Ok(opened) => *text = opened,
        Err(error) => failure = Some(error),
    });
    if let Some(error) = failure {
        return Err(corrupt(error.to_string()));
    }
    let whole = Map::from_iter([("kind".to_owned(), kind.into()), ("value".to_owned(), value)]);
    serde_json::from_value(Value::Object(whole)).map_err(|error| corrupt(error.to_string()))
}

/// An object as it is kept, with each of its secrets sealed by the newest key; `None` if that is so already.
pub(super) fn reseal_secrets(kind: &str, id: &str, body: &str, sealer: &Sealer) -> Result<Option<String>, StoreError> {
    let corrupt = |reason: String| StoreError::Corrupt {
        object: format!("{kind} {id:?}"),
        reason,
    };
    let known = ObjectKind::of_name(kind).ok_or_else(|| unknown(kind, id))?;
    let mut value: Value = serde_json::from_str(body).map_err(|error| corrupt(error.to_string()))?;
    let (mut changed, mut failure) = (false, None);
    for_each_secret(known, &mut value, &mut |text| {
        if sealer.is_stale(text) {
            match sealer.open(text, id) {
                Ok(opened) => {
                    *text = sealer.seal(&opened, id);
                    changed = true;
                }
                Err(error) => failure = Some(error),
            }
        }
    });
    match failure {
        Some(error) => Err(corrupt(error.to_string())),
        None => Ok(changed.then(|| value.to_string())),
    }
}

/// Reads back which object a row is about; `None` for the security rules.
pub(super) fn object_id(kind: &str, id: &str) -> Result<Option<ObjectId>, StoreError> {
    match ObjectKind::of_name(kind) {
        Some(ObjectKind::Security) => Ok(None),
        Some(known) => ObjectId::of(known, id).map(Some).ok_or_else(|| unknown(kind, id)),
        None => Err(unknown(kind, id)),
    }
}

/// A row that this program cannot have written.
pub(super) fn unknown(kind: &str, id: &str) -> StoreError {
    StoreError::Corrupt {
        object: format!("{kind} {id:?}"),
        reason: "its kind or identifier is not known".to_owned(),
    }
}

/// True for kinds whose objects may hold secrets.
pub(crate) fn holds_secrets(kind: ObjectKind) -> bool {
    match kind {
        ObjectKind::Integration
        | ObjectKind::Outbound
        | ObjectKind::ProducerKey
        | ObjectKind::Certificate
        | ObjectKind::Consumer => true,
        ObjectKind::Security
        | ObjectKind::Organization
        | ObjectKind::EventType
        | ObjectKind::Unit
        | ObjectKind::Lookup => false,
    }
}

/// Calls `visit` with each secret of an object of `kind`.
pub(crate) fn for_each_secret(kind: ObjectKind, body: &mut Value, visit: &mut dyn FnMut(&mut String)) {
    let mut seal = |config: &mut Value| {
        secret::for_each(config, &mut |value| {
            if let Value::String(text) = value {
                visit(text);
            }
        });
    };
    match kind {
        ObjectKind::Integration | ObjectKind::Outbound => {
            configs_of(body, &mut seal);
            for list in ["actions", "enrichments"] {
                let calls = body.get_mut(list).and_then(Value::as_array_mut);
                calls.into_iter().flatten().for_each(|call| configs_of(call, &mut seal));
            }
        }
        ObjectKind::ProducerKey | ObjectKind::Certificate | ObjectKind::Consumer => seal(body),
        ObjectKind::Security
        | ObjectKind::Organization
        | ObjectKind::EventType
        | ObjectKind::Unit
        | ObjectKind::Lookup => {}
    }
}

fn configs_of(holder: &mut Value, visit: &mut dyn FnMut(&mut Value)) {
    for field in [
        "inboundAuthConfig",
        "outgoingAuthConfig",
        "outgoingTls",
        "signingConfig",
    ] {
        if let Some(config) = holder.get_mut(field) {
            visit(config);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use filters::model::InboundIntegration;
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

    #[test]
    fn each_secret_of_an_outbound_integration_and_of_a_producer_key_is_sealed() {
        let sealer = Sealer::new(&[1; 32]);
        let bearer = |token: &str| json!({"token": token});
        let outbound = json!({"kind": "outbound", "value": {
            "id": "a", "name": "A", "orgId": 1, "eventType": "*", "targetUrl": "https://partner.example",
            "outgoingAuthType": "BEARER", "outgoingAuthConfig": bearer("hunter1"),
            "signingType": "GITHUB", "signingConfig": {"secrets": [{"name": "k", "value": "hunter2"}]},
            "actions": [{"name": "one", "outgoingAuthType": "BEARER", "outgoingAuthConfig": bearer("hunter3")}],
            "enrichments": [{"name": "one", "url": "https://his.example", "outgoingAuthType": "BEARER",
                "outgoingAuthConfig": bearer("hunter4")}],
        }});
        let key = json!({"kind": "producerKey", "value": {"id": "k", "orgId": 1, "name": "his", "hash": "hunter5"}});
        let certificate = json!({"kind": "certificate", "value": {
            "id": "c", "orgId": 1, "name": "lakeside", "certificate": "public", "privateKey": "hunter6"}});
        for value in [outbound, key, certificate] {
            let object: Object = serde_json::from_value(value).unwrap();
            let Stored { kind, id, body } = encode(&object, &sealer);
            assert!(!body.contains("hunter"), "{body}");
            assert_eq!(decode(kind.name(), &id, &body, &sealer).unwrap(), object);
        }
    }
}
