//! Objects in the form in which two of them are compared and shown: secrets masked, defaults written out, and without
//! what only the server knows.

use filters::model::auth::{BasicUser, Credential, InboundAuth, InboundAuthType};
use filters::model::consumer::{Consumer, ConsumerCredential};
use filters::model::outgoing::{OutgoingAuth, OutgoingAuthType};
use filters::model::push::Object;
use filters::model::secret::{self, MASK};
use filters::model::{InboundIntegration, OutboundIntegration, ProducerKey, Secret};
use serde::Serialize;
use serde_json::Value;

/// A copy without what only the server knows.
macro_rules! untimed {
    ($value:ident) => {{
        let mut value = (**$value).clone();
        (value.created_at, value.updated_at) = (None, None);
        value
    }};
}

/// An object as YAML.
pub(crate) fn object(object: &Object) -> String {
    match object {
        Object::Security(value) => yaml(value),
        Object::Organization(value) => yaml(&untimed!(value)),
        Object::EventType(value) => yaml(&untimed!(value)),
        Object::Unit(value) => yaml(&untimed!(value)),
        Object::Integration(value) => yaml(&inbound_integration(untimed!(value))),
        Object::Outbound(value) => yaml(&outbound_integration(untimed!(value))),
        Object::ProducerKey(value) => yaml(&producer_key(untimed!(value))),
        Object::Certificate(value) => yaml(&untimed!(value).masked()),
        Object::Lookup(value) => yaml(&untimed!(value)),
        Object::Consumer(value) => yaml(&consumer(untimed!(value))),
    }
}

fn inbound_integration(mut integration: InboundIntegration) -> InboundIntegration {
    integration.inbound_auth_config = inbound(&integration);
    let config = integration.outgoing_auth_config.as_ref();
    integration.outgoing_auth_config = outgoing(integration.outgoing_auth_type, config);
    integration.masked()
}

fn outbound_integration(mut integration: OutboundIntegration) -> OutboundIntegration {
    let config = integration.outgoing_auth_config.as_ref();
    integration.outgoing_auth_config = outgoing(integration.outgoing_auth_type, config);
    for action in &mut integration.actions {
        let kind = action.outgoing_auth_type.unwrap_or(integration.outgoing_auth_type);
        action.outgoing_auth_config = outgoing(kind, action.outgoing_auth_config.as_ref());
    }
    for call in &mut integration.enrichments {
        call.outgoing_auth_config = outgoing(call.outgoing_auth_type, call.outgoing_auth_config.as_ref());
    }
    integration.masked()
}

/// A key in clear in a file and its hash on the server are the same thing.
fn producer_key(mut key: ProducerKey) -> ProducerKey {
    key.value = None;
    key.hash = Some(Secret::new(MASK));
    key
}

/// A key in clear in a file and its hash on the server are the same thing.
fn inbound(integration: &InboundIntegration) -> Option<Value> {
    shown_inbound(integration.inbound_auth_type, integration.inbound_auth_config.as_ref())
}

fn shown_inbound(kind: InboundAuthType, config: Option<&Value>) -> Option<Value> {
    let mut ignored = Vec::new();
    let written = match InboundAuth::read(kind, config, &mut ignored) {
        Some(InboundAuth::None) => return None,
        Some(InboundAuth::ApiKey(mut auth)) => {
            auth.keys.iter_mut().for_each(hide_credential);
            serde_json::to_value(auth)
        }
        Some(InboundAuth::Bearer(mut auth)) => {
            auth.tokens.iter_mut().for_each(hide_credential);
            serde_json::to_value(auth)
        }
        Some(InboundAuth::Basic(mut auth)) => {
            auth.users.iter_mut().for_each(hide_user);
            serde_json::to_value(auth)
        }
        Some(InboundAuth::Jwt(auth)) => serde_json::to_value(auth),
        Some(InboundAuth::Introspection(auth)) => serde_json::to_value(auth),
        Some(InboundAuth::Hmac(auth)) => serde_json::to_value(auth),
        Some(InboundAuth::ClientCertificate(auth)) => serde_json::to_value(auth),
        Some(InboundAuth::AnyOf(mut auth)) => {
            for way in &mut auth.any_of {
                let config = Some(&way.inbound_auth_config);
                way.inbound_auth_config = shown_inbound(way.inbound_auth_type, config).unwrap_or_default();
            }
            serde_json::to_value(auth)
        }
        None => return as_it_is(config),
    };
    let mut value = written.ok()?;
    secret::mask(&mut value);
    Some(value)
}

/// The same for a consumer's credentials.
fn consumer(mut consumer: Consumer) -> Consumer {
    for credential in &mut consumer.credentials {
        let (plain, hashed) = match credential {
            ConsumerCredential::ApiKey { value, hash, .. } | ConsumerCredential::Bearer { value, hash, .. } => {
                (value, hash)
            }
            ConsumerCredential::Basic {
                password,
                password_hash,
                ..
            } => (password, password_hash),
            ConsumerCredential::Jwt { .. }
            | ConsumerCredential::Hmac { .. }
            | ConsumerCredential::ClientCertificate { .. } => continue,
        };
        (*plain, *hashed) = (None, Some(Secret::new(MASK)));
    }
    consumer.masked()
}

fn outgoing(kind: OutgoingAuthType, config: Option<&Value>) -> Option<Value> {
    let mut ignored = Vec::new();
    let written = match OutgoingAuth::read(kind, config, &mut ignored) {
        Some(OutgoingAuth::None) => return None,
        Some(OutgoingAuth::ApiKey(auth)) => serde_json::to_value(auth),
        Some(OutgoingAuth::Bearer(auth)) => serde_json::to_value(auth),
        Some(OutgoingAuth::Basic(auth)) => serde_json::to_value(auth),
        Some(OutgoingAuth::CustomHeaders(auth)) => serde_json::to_value(auth),
        Some(OutgoingAuth::Oauth2(auth)) => serde_json::to_value(auth),
        Some(OutgoingAuth::Hmac(auth)) => serde_json::to_value(auth),
        Some(OutgoingAuth::AwsSigv4(auth)) => serde_json::to_value(auth),
        None => return as_it_is(config),
    };
    let mut value = written.ok()?;
    secret::mask(&mut value);
    Some(value)
}

fn as_it_is(config: Option<&Value>) -> Option<Value> {
    let mut value = config.cloned()?;
    secret::mask(&mut value);
    Some(value)
}

fn hide_credential(credential: &mut Credential) {
    credential.value = None;
    credential.hash = Some(Secret::new(MASK));
}

fn hide_user(user: &mut BasicUser) {
    user.password = None;
    user.password_hash = Some(Secret::new(MASK));
}

fn yaml(object: &impl Serialize) -> String {
    serde_saphyr::to_string(object).expect("model types have text keys and serialize without fail")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn shown(fields: &Value) -> String {
        let mut document = json!({"name": "n", "type": "t", "orgId": 1, "targetUrl": "https://p.example"});
        for (name, value) in fields.as_object().unwrap() {
            document[name] = value.clone();
        }
        object(&Object::Integration(Arc::new(
            serde_json::from_value(document).unwrap(),
        )))
    }

    #[test]
    fn a_key_in_clear_equals_its_masked_hash() {
        let file = shown(&json!({"inboundAuthType": "API_KEY",
            "inboundAuthConfig": {"keys": [{"name": "a", "value": "hunter2"}]}}));
        let server = shown(
            &json!({"inboundAuthType": "API_KEY", "updatedAt": "2026-01-01T00:00:00Z",
            "inboundAuthConfig": {"keys": [{"name": "a", "isActive": true, "hash": "***"}]}}),
        );
        assert_eq!(file, server);
    }

    #[test]
    fn no_kind_of_auth_shows_its_secrets() {
        for (side, kind, config) in [
            (
                "inbound",
                "API_KEY",
                json!({"keys": [{"name": "a", "value": "hunter2"}]}),
            ),
            (
                "inbound",
                "BEARER",
                json!({"tokens": [{"name": "a", "hash": "hunter2"}]}),
            ),
            (
                "inbound",
                "BASIC",
                json!({"users": [{"username": "a", "password": "hunter2"}]}),
            ),
            (
                "inbound",
                "BASIC",
                json!({"users": [{"username": "a", "password": "hunter2", "unknown": 1}]}),
            ),
            (
                "inbound",
                "ANY_OF",
                json!({"anyOf": [{"inboundAuthType": "HMAC",
                    "inboundAuthConfig": {"keys": [{"name": "a", "value": "hunter2"}]}}]}),
            ),
            ("outgoing", "API_KEY", json!({"headerName": "K", "apiKey": "hunter2"})),
            ("outgoing", "BEARER", json!({"token": "hunter2"})),
            ("outgoing", "BASIC", json!({"username": "u", "password": "hunter2"})),
            ("outgoing", "CUSTOM_HEADERS", json!({"headers": {"X-K": "hunter2"}})),
            ("outgoing", "OAUTH2", json!({"clientSecret": "hunter2"})),
        ] {
            let text = shown(&json!({format!("{side}AuthType"): kind, format!("{side}AuthConfig"): config}));
            assert!(!text.contains("hunter2"), "{side} {kind}: {text}");
            assert!(text.contains("***"), "{side} {kind}: {text}");
        }
    }

    #[test]
    fn defaults_written_out_or_left_out_are_the_same() {
        let short = shown(&json!({}));
        let long = shown(&json!({"isActive": true, "direction": "INBOUND", "timeouts": {"connectMs": 5000}}));
        assert_eq!(short, long);
    }
}
