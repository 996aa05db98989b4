//! Objects in the form in which two of them are compared and shown: secrets masked, defaults written out, and without
//! what only the server knows.

use filters::model::auth::{BasicUser, Credential, InboundAuth, OutgoingAuth};
use filters::model::secret::{self, MASK};
use filters::model::{InboundIntegration, Organization, Secret};
use serde::Serialize;
use serde_json::Value;

/// An object as YAML text.
pub(super) struct Comparable {
    pub(super) text: String,
    /// True where it has secrets, which the text does not show.
    pub(super) has_secrets: bool,
}

impl Comparable {
    pub(super) fn of_organization(organization: &Organization) -> Self {
        Self {
            text: yaml(organization),
            has_secrets: false,
        }
    }

    pub(super) fn of_integration(integration: &InboundIntegration) -> Self {
        let mut shown = integration.clone();
        shown.inbound_auth_config = inbound(integration);
        shown.outgoing_auth_config = outgoing(integration);
        shown.created_at = None;
        shown.updated_at = None;
        let has_secrets = [&shown.inbound_auth_config, &shown.outgoing_auth_config]
            .into_iter()
            .flatten()
            .any(secret::has_mask);
        Self {
            text: yaml(&shown),
            has_secrets,
        }
    }
}

/// A key in clear in a file and its hash on the server are the same thing.
fn inbound(integration: &InboundIntegration) -> Option<Value> {
    let config = integration.inbound_auth_config.as_ref();
    let mut ignored = Vec::new();
    let written = match InboundAuth::read(integration.inbound_auth_type, config, &mut ignored) {
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
        None => return as_it_is(config),
    };
    written.ok()
}

fn outgoing(integration: &InboundIntegration) -> Option<Value> {
    let config = integration.outgoing_auth_config.as_ref();
    let mut ignored = Vec::new();
    let written = match OutgoingAuth::read(integration.outgoing_auth_type, config, &mut ignored) {
        Some(OutgoingAuth::None) => return None,
        Some(OutgoingAuth::ApiKey(auth)) => serde_json::to_value(auth),
        Some(OutgoingAuth::Bearer(auth)) => serde_json::to_value(auth),
        Some(OutgoingAuth::Basic(auth)) => serde_json::to_value(auth),
        Some(OutgoingAuth::CustomHeaders(auth)) => serde_json::to_value(auth),
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
    use serde_json::json;

    use super::*;

    fn integration(fields: &Value) -> Comparable {
        let mut document = json!({"name": "n", "type": "t", "orgId": 1, "targetUrl": "https://p.example"});
        for (name, value) in fields.as_object().unwrap() {
            document[name] = value.clone();
        }
        Comparable::of_integration(&serde_json::from_value(document).unwrap())
    }

    #[test]
    fn a_key_in_clear_equals_its_masked_hash_and_is_not_shown() {
        let file = integration(&json!({"inboundAuthType": "API_KEY",
            "inboundAuthConfig": {"keys": [{"name": "a", "value": "hunter2"}]}}));
        let server = integration(
            &json!({"inboundAuthType": "API_KEY", "updatedAt": "2026-01-01T00:00:00Z",
            "inboundAuthConfig": {"keys": [{"name": "a", "isActive": true, "hash": "***"}]}}),
        );
        assert_eq!(file.text, server.text);
        assert!(file.has_secrets);
        assert!(!file.text.contains("hunter2"));
    }

    #[test]
    fn no_kind_of_auth_shows_its_secrets() {
        for (kind, config) in [
            ("API_KEY", json!({"headerName": "K", "apiKey": "hunter2"})),
            ("BEARER", json!({"token": "hunter2"})),
            ("BASIC", json!({"username": "u", "password": "hunter2"})),
            ("CUSTOM_HEADERS", json!({"headers": {"X-K": "hunter2"}})),
            ("OAUTH2", json!({"clientSecret": "hunter2"})),
        ] {
            let shown = integration(&json!({"outgoingAuthType": kind, "outgoingAuthConfig": config}));
            assert!(!shown.text.contains("hunter2"), "{kind}: {}", shown.text);
            assert!(shown.has_secrets, "{kind}");
        }
        for (kind, config) in [
            ("BEARER", json!({"tokens": [{"name": "a", "value": "hunter2"}]})),
            ("BASIC", json!({"users": [{"username": "a", "password": "hunter2"}]})),
        ] {
            let shown = integration(&json!({"inboundAuthType": kind, "inboundAuthConfig": config}));
            assert!(!shown.text.contains("hunter2"), "{kind}: {}", shown.text);
        }
    }

    #[test]
    fn defaults_written_out_or_left_out_are_the_same() {
        let short = integration(&json!({}));
        let long = integration(&json!({"isActive": true, "direction": "INBOUND", "timeouts": {"connectMs": 5000}}));
        assert_eq!(short.text, long.text);
        assert!(!short.has_secrets);
    }
}
