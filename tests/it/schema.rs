//! No setting of the model without a test that uses it: a field that nobody exercises is a promise that nobody keeps.

use std::collections::BTreeSet;
use std::fs;

use filters::model::auth::{
    AnyOfAuth, ApiKeyAuth, BasicAuth, BearerAuth, CertificateAuth, HmacAuth, IntrospectionAuth, JwtAuth,
};
use filters::model::outbound::signing::{HmacSigning, SigningSecrets};
use filters::model::outgoing::{
    OutgoingApiKey, OutgoingBasic, OutgoingBearer, OutgoingHeaders, OutgoingHmac, OutgoingOauth2, OutgoingSigv4,
    OutgoingTls,
};
use filters::model::{
    EventType, InboundIntegration, OrgUnit, Organization, OutboundIntegration, ProducerKey, Security,
};
use harness::binaries;
use schemars::schema_for;
use serde_json::Value;

#[test]
fn every_field_of_the_model_is_exercised_from_outside() {
    let mut fields = BTreeSet::new();
    for schema in [
        schema_for!(InboundIntegration),
        schema_for!(Organization),
        schema_for!(Security),
        schema_for!(OutboundIntegration),
        schema_for!(SigningSecrets),
        schema_for!(HmacSigning),
        schema_for!(EventType),
        schema_for!(OrgUnit),
        schema_for!(ProducerKey),
        schema_for!(ApiKeyAuth),
        schema_for!(BearerAuth),
        schema_for!(BasicAuth),
        schema_for!(JwtAuth),
        schema_for!(IntrospectionAuth),
        schema_for!(HmacAuth),
        schema_for!(CertificateAuth),
        schema_for!(AnyOfAuth),
        schema_for!(OutgoingApiKey),
        schema_for!(OutgoingBearer),
        schema_for!(OutgoingBasic),
        schema_for!(OutgoingHeaders),
        schema_for!(OutgoingOauth2),
        schema_for!(OutgoingTls),
        schema_for!(OutgoingHmac),
        schema_for!(OutgoingSigv4),
    ] {
        collect(schema.as_value(), &mut fields);
    }
    assert!(fields.len() > 120, "the walk found only {fields:?}");
    let tests = sources();
    let missing: Vec<_> = fields
        .iter()
        .filter(|field| !NOT_SETTINGS.contains(&field.as_str()))
        .filter(|field| !tests.contains(&format!("\"{field}\"")))
        .collect();
    assert!(missing.is_empty(), "no test sets {missing:?}");
}

/// Written by the control plane, never by an operator.
const NOT_SETTINGS: &[&str] = &["createdAt", "updatedAt"];

/// The names of all properties, at every depth.
fn collect(schema: &Value, fields: &mut BTreeSet<String>) {
    match schema {
        Value::Object(parts) => {
            if let Some(Value::Object(properties)) = parts.get("properties") {
                fields.extend(properties.keys().cloned());
            }
            parts.values().for_each(|part| collect(part, fields));
        }
        Value::Array(parts) => parts.iter().for_each(|part| collect(part, fields)),
        _ => {}
    }
}

/// The text of the other modules and of the documents that the harness makes.
fn sources() -> String {
    let tests = binaries::repository().join("tests");
    let mut all = String::new();
    let mut folders = vec![tests.join("it"), tests.join("harness")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("schema.rs") {
                all.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    all
}
