//! `docs/model.md` cannot rot: each of its JSON blocks is decoded, and each field of the model must be named in it.

use std::collections::BTreeSet;

use schemars::{JsonSchema, schema_for};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::auth::{self, InboundAuth};
use crate::model::cache::Cache;
use crate::model::client_networks::ClientNetworks;
use crate::model::command::{Command, CommandResult};
use crate::model::compression::Compression;
use crate::model::cors::Cors;
use crate::model::dead_letter::CallDeadLetters;
use crate::model::delivery::{DeadLetter, DeliveryLog, DeliveryRecord, ScheduledDelivery};
use crate::model::error_page::ErrorPage;
use crate::model::format::BodyFormat;
use crate::model::headers::HeaderEdits;
use crate::model::idempotency::Idempotency;
use crate::model::limits::{BodyLimits, Limit, RateLimits, Timeouts};
use crate::model::mapping::{FieldMapping, Transformer};
use crate::model::outbound::signing::{HmacSigning, Signing, SigningSecrets};
use crate::model::outbound::{
    Action, Breaker, DeadLetterRetry, DeliveryLimits, Enrichment, Filter, Ordering, Retry, ScheduleConfig, StatusRule,
};
use crate::model::outgoing::{self, OutgoingAuth};
use crate::model::protocol::HttpsRule;
use crate::model::push::{EndpointStatus, FromControlPlane, FromGateway, ObjectKind};
use crate::model::resilience::{
    AdaptiveConcurrency, Balancing, CallRetry, Discovery, Fallback, HealthCheck, PassiveHealth, RetrySchedule,
};
use crate::model::route::{PathMatch, PathRewrite, Target, TargetHosts};
use crate::model::status_mapping::StatusMapping;
use crate::model::validation::Validation;
use crate::model::{
    Certificate, Consumer, EventHead, EventType, ExecutionRecord, InboundIntegration, Lookup, OrgUnit, Organization,
    OutboundIntegration, ProducerKey, Security, Snapshot, decode,
};
use crate::script::{Script, ScriptContext};

const PAGE: &str = include_str!("../../docs/model.md");

/// The kinds of blocks; each must be there.
const KINDS: [&str; 67] = [
    "integration",
    "callRetry",
    "callSchedule",
    "balance",
    "passiveHealth",
    "healthCheck",
    "discovery",
    "adaptiveConcurrency",
    "fallback",
    "outbound",
    "filter",
    "action",
    "enrichment",
    "signing",
    "schedule",
    "retry",
    "statusRule",
    "ordering",
    "breaker",
    "deadLetterRetry",
    "deliveryLimits",
    "eventType",
    "unit",
    "producerKey",
    "certificate",
    "https",
    "lookup",
    "consumer",
    "eventHead",
    "deliveryLog",
    "deadLetter",
    "scheduledDelivery",
    "command",
    "commandResult",
    "inboundAuth",
    "clientNetworks",
    "outgoingAuth",
    "outgoingTls",
    "path",
    "pathRewrite",
    "target",
    "targetHosts",
    "mapping",
    "transformer",
    "condition",
    "bodyFormat",
    "statusMapping",
    "validation",
    "cors",
    "headers",
    "errorPage",
    "compression",
    "cache",
    "rateLimits",
    "limit",
    "callDeadLetters",
    "idempotency",
    "timeouts",
    "bodyLimits",
    "organization",
    "security",
    "snapshot",
    "fromGateway",
    "fromControlPlane",
    "later",
    "rhai",
    "scriptContext",
];

#[test]
fn every_block_decodes_as_what_it_is_marked() {
    let mut seen = BTreeSet::new();
    for block in blocks() {
        let kind = block.kind;
        seen.insert(kind);
        if let Err(problem) = block.check() {
            panic!("docs/model.md:{}: {kind}: {problem}\n{}", block.line, block.text);
        }
    }
    assert_eq!(seen, BTreeSet::from(KINDS));
}

#[test]
fn every_field_and_word_of_the_model_is_on_the_page() {
    let mut words = BTreeSet::new();
    collect::<InboundIntegration>(&mut words);
    collect::<Organization>(&mut words);
    collect::<Security>(&mut words);
    collect::<ExecutionRecord>(&mut words);
    collect::<OutboundIntegration>(&mut words);
    collect::<SigningSecrets>(&mut words);
    collect::<HmacSigning>(&mut words);
    collect::<EventType>(&mut words);
    collect::<OrgUnit>(&mut words);
    collect::<ProducerKey>(&mut words);
    collect::<Certificate>(&mut words);
    collect::<Lookup>(&mut words);
    collect::<Consumer>(&mut words);
    collect::<EventHead>(&mut words);
    collect::<DeliveryRecord>(&mut words);
    collect::<Command>(&mut words);
    collect::<CommandResult>(&mut words);
    collect::<EndpointStatus>(&mut words);
    collect::<ObjectKind>(&mut words);
    collect::<auth::ApiKeyAuth>(&mut words);
    collect::<auth::BearerAuth>(&mut words);
    collect::<auth::BasicAuth>(&mut words);
    collect::<auth::JwtAuth>(&mut words);
    collect::<auth::IntrospectionAuth>(&mut words);
    collect::<auth::HmacAuth>(&mut words);
    collect::<auth::CertificateAuth>(&mut words);
    collect::<auth::AnyOfAuth>(&mut words);
    collect::<outgoing::OutgoingApiKey>(&mut words);
    collect::<outgoing::OutgoingBearer>(&mut words);
    collect::<outgoing::OutgoingBasic>(&mut words);
    collect::<outgoing::OutgoingHeaders>(&mut words);
    collect::<outgoing::OutgoingOauth2>(&mut words);
    collect::<outgoing::OutgoingTls>(&mut words);
    collect::<outgoing::OutgoingHmac>(&mut words);
    collect::<outgoing::OutgoingSigv4>(&mut words);
    assert!(words.len() > 250, "{words:?}");
    let missing: Vec<_> = words
        .iter()
        .filter(|word| !PAGE.contains(&format!("`{word}`")) && !PAGE.contains(&format!("\"{word}\"")))
        .collect();
    assert!(missing.is_empty(), "docs/model.md does not name {missing:?}");
}

#[test]
fn every_example_of_an_integration_compiles() {
    for block in blocks() {
        let document = match block.kind {
            "integration" | "outbound" => format!(r#"{{"integrations": [{}]}}"#, block.text),
            "eventType" => format!(r#"{{"eventTypes": [{}]}}"#, block.text),
            "unit" => format!(r#"{{"units": [{}]}}"#, block.text),
            "producerKey" => format!(r#"{{"producerKeys": [{}]}}"#, block.text),
            "certificate" => format!(r#"{{"certificates": [{}]}}"#, block.text),
            "lookup" => format!(r#"{{"lookups": [{}]}}"#, block.text),
            "consumer" => format!(r#"{{"consumers": [{}]}}"#, block.text),
            "organization" => format!(r#"{{"organizations": [{}]}}"#, block.text),
            "snapshot" => block.text.clone(),
            _ => continue,
        };
        let snapshot = Snapshot::from_document(&serde_json::from_str(&document).unwrap()).unwrap();
        if let Err(problems) = crate::compile(&snapshot, None) {
            panic!("docs/model.md:{}: {problems:?}", block.line);
        }
    }
}

/// A fenced block of the page.
struct Block {
    line: usize,
    kind: &'static str,
    text: String,
}

impl Block {
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of block")]
    fn check(&self) -> Result<(), String> {
        if self.kind == "rhai" {
            let mut problems = Vec::new();
            let script = Script::check(&self.text, "", &mut problems);
            return script.map(drop).ok_or_else(|| format!("{problems:?}"));
        }
        let value: Value = serde_json::from_str(&self.text).map_err(|error| error.to_string())?;
        match self.kind {
            "integration" => same::<InboundIntegration>(&value),
            "inboundAuth" => typed(&value, ["inboundAuthType", "inboundAuthConfig"], InboundAuth::read),
            "outgoingAuth" => typed(&value, ["outgoingAuthType", "outgoingAuthConfig"], OutgoingAuth::read),
            "callRetry" => same::<CallRetry>(&value),
            "callSchedule" => same::<RetrySchedule>(&value),
            "balance" => same::<Balancing>(&value),
            "passiveHealth" => same::<PassiveHealth>(&value),
            "healthCheck" => same::<HealthCheck>(&value),
            "discovery" => same::<Discovery>(&value),
            "adaptiveConcurrency" => same::<AdaptiveConcurrency>(&value),
            "fallback" => same::<Fallback>(&value),
            "https" => same::<HttpsRule>(&value),
            "outgoingTls" => same::<outgoing::OutgoingTls>(&value),
            "outbound" => same::<OutboundIntegration>(&value),
            "signing" => typed(&value, ["signingType", "signingConfig"], Signing::read),
            "filter" => same::<Filter>(&value),
            "action" => same::<Action>(&value),
            "enrichment" => same::<Enrichment>(&value),
            "schedule" => same::<ScheduleConfig>(&value),
            "retry" => same::<Retry>(&value),
            "statusRule" => same::<StatusRule>(&value),
            "ordering" => same::<Ordering>(&value),
            "breaker" => same::<Breaker>(&value),
            "deadLetterRetry" => same::<DeadLetterRetry>(&value),
            "deliveryLimits" => same::<DeliveryLimits>(&value),
            "eventType" => same::<EventType>(&value),
            "unit" => same::<OrgUnit>(&value),
            "producerKey" => same::<ProducerKey>(&value),
            "certificate" => same::<Certificate>(&value),
            "lookup" => same::<Lookup>(&value),
            "consumer" => same::<Consumer>(&value),
            "eventHead" => same::<EventHead>(&value),
            "deliveryLog" => same::<DeliveryLog>(&value),
            "deadLetter" => same::<DeadLetter>(&value),
            "scheduledDelivery" => same::<ScheduledDelivery>(&value),
            "command" => same::<Command>(&value),
            "commandResult" => same::<CommandResult>(&value),
            "clientNetworks" => same::<ClientNetworks>(&value),
            "path" => same::<PathMatch>(&value),
            "pathRewrite" => same::<PathRewrite>(&value),
            "target" => same::<Target>(&value),
            "targetHosts" => same::<TargetHosts>(&value),
            "mapping" => same::<FieldMapping>(&value),
            "transformer" => same::<Transformer>(&value),
            "condition" => same::<Filter>(&value),
            "bodyFormat" => same::<BodyFormat>(&value),
            "statusMapping" => same::<StatusMapping>(&value),
            "validation" => same::<Validation>(&value),
            "cache" => same::<Cache>(&value),
            "compression" => same::<Compression>(&value),
            "cors" => same::<Cors>(&value),
            "headers" => same::<HeaderEdits>(&value),
            "errorPage" => same::<ErrorPage>(&value),
            "rateLimits" => same::<RateLimits>(&value),
            "limit" => same::<Limit>(&value),
            "callDeadLetters" => same::<CallDeadLetters>(&value),
            "idempotency" => same::<Idempotency>(&value),
            "timeouts" => same::<Timeouts>(&value),
            "bodyLimits" => same::<BodyLimits>(&value),
            "organization" => same::<Organization>(&value),
            "security" => same::<Security>(&value),
            "scriptContext" => same::<ScriptContext>(&value),
            "fromGateway" => same::<FromGateway>(&value),
            "fromControlPlane" => same::<FromControlPlane>(&value),
            "snapshot" => Snapshot::from_document(&value)
                .map(drop)
                .map_err(|problems| format!("{problems:?}")),
            "later" => Ok(()),
            other => Err(format!("no test knows how to decode {other}")),
        }
    }
}

/// The JSON and script blocks; other fences are not of the model.
fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = PAGE.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let kind = info.strip_prefix("json").map_or(info, str::trim_start);
        assert!(
            !kind.is_empty(),
            "docs/model.md:{}: the block says nothing of its kind",
            number + 1
        );
        let text = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```")
            .collect::<Vec<_>>()
            .join("\n");
        blocks.push(Block {
            line: number + 1,
            kind,
            text,
        });
    }
    blocks
}

/// Decodes `value`, and checks that nothing of it was lost on the way.
fn same<T: DeserializeOwned + Serialize>(value: &Value) -> Result<(), String> {
    let mut problems = Vec::new();
    let read: T = decode::from_value(value, "", &mut problems).ok_or_else(|| format!("{problems:?}"))?;
    let written = serde_json::to_value(&read).map_err(|error| error.to_string())?;
    lost(value, &written, "").map_or(Ok(()), |place| Err(format!("{place} is not kept")))
}

/// The first place where `written` has not what `given` has; defaults that were added are no loss.
fn lost(given: &Value, written: &Value, place: &str) -> Option<String> {
    match (given, written) {
        (Value::Object(given), Value::Object(written)) => given.iter().find_map(|(name, value)| {
            let place = format!("{place}.{name}");
            match written.get(name) {
                Some(kept) => lost(value, kept, &place),
                // Left out as the default.
                None => (*value != Value::Bool(false)).then_some(place),
            }
        }),
        (Value::Array(given), Value::Array(written)) if given.len() == written.len() => given
            .iter()
            .zip(written)
            .enumerate()
            .find_map(|(index, (given, written))| lost(given, written, &format!("{place}[{index}]"))),
        _ => (given != written).then(|| place.to_owned()),
    }
}

/// Decodes a kind with its configuration, which are the two fields of `value`.
fn typed<K: DeserializeOwned, A>(
    value: &Value,
    [kind, config]: [&str; 2],
    read: impl FnOnce(K, Option<&Value>, &mut Vec<crate::model::Problem>) -> Option<A>,
) -> Result<(), String> {
    let fields = value.as_object().ok_or("not an object")?;
    if let Some(other) = fields.keys().find(|name| *name != kind && *name != config) {
        return Err(format!("{other} does not belong here"));
    }
    let kind = serde_json::from_value(value[kind].clone()).map_err(|error| error.to_string())?;
    let mut problems = Vec::new();
    match read(kind, value.get(config), &mut problems) {
        Some(_) if problems.is_empty() => Ok(()),
        _ => Err(format!("{problems:?}")),
    }
}

/// Adds the names of all fields of a type, and the words of its enums.
fn collect<T: JsonSchema>(words: &mut BTreeSet<String>) {
    walk(schema_for!(T).as_value(), words);
}

fn walk(schema: &Value, words: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("properties", Value::Object(properties)) => words.extend(properties.keys().cloned()),
                    ("enum", Value::Array(values)) => {
                        words.extend(values.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    ("const", Value::String(word)) => {
                        words.insert(word.clone());
                    }
                    _ => {}
                }
                walk(value, words);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, words)),
        _ => {}
    }
}
