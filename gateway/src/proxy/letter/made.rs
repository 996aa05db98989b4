//! What a dead letter is made of: the call as it is kept, and as operators see it.

use std::sync::Arc;

use bytes::Bytes;
use filters::auth::sha256;
use filters::event::Event;
use filters::model::EventHead;
use filters::model::dead_letter::{CallBody, DeadCall};
use filters::model::delivery::{DeadLetter, DeadLetterStatus, DeliveryDirection, TriggerType};
use filters::plan::idempotency::KEY_FIELDS;
use filters::redaction::Redactor;
use http::{HeaderMap, header};
use pingora::proxy::Session;
use serde_json::Value;
use uuid::Uuid;

use super::super::Proxy;
use super::super::call::{Call, Route};
use super::super::record::origin;
use super::Body;
use super::end::End;
use super::stored::StoredCall;
use crate::clock;
use crate::queue::{CALL, DeadArrival, Dedupe, DeliveryState, Step};

/// What a dead letter is made of.
pub(super) struct Facts<'c> {
    pub(super) proxy: &'c Proxy,
    pub(super) session: &'c Session,
    pub(super) call: &'c Call,
    pub(super) route: &'c Route,
    pub(super) end: End,
    pub(super) body: Body,
    pub(super) may_have_body: bool,
    pub(super) most_bytes: Option<usize>,
}

/// The dead letter of a call.
///
/// # Errors
/// If it cannot be written down.
pub(super) fn arrival(facts: &Facts<'_>) -> Result<DeadArrival, serde_json::Error> {
    let (kept, body) = facts.body();
    let id = Uuid::now_v7();
    let client_key = key(&facts.session.req_header().headers);
    let key = client_key.map_or_else(|| id.to_string(), str::to_owned);
    let stored = StoredCall::of(facts, &key, kept);
    let letter = letter(
        facts,
        id,
        &stored,
        DeadCall {
            path: stored.path().to_owned(),
            query: facts.redactor().query(stored.query().unwrap_or_default()),
            headers: facts.redactor().headers(&stored.headers(), &[]),
            caller: stored.caller().map(str::to_owned),
            idempotency_key: key.clone(),
            body: kept,
        },
    );
    let letter = DeadLetter {
        original_payload: facts.shown(&body),
        ..letter
    };
    Ok(DeadArrival {
        event: Arc::new(event(&letter, body)),
        state: DeliveryState {
            id,
            trigger: TriggerType::Manual,
            due_ms: clock::now_ms(),
            attempts: letter.attempt_count,
            order_key: None,
            step: Step::Forward(0),
            answers: Some(serde_json::to_string(&stored)?.into()),
            occurrences: 0,
            dead_retries: Some(0),
            payload: None,
        },
        dedupe: client_key.map(|_| dedupe(&letter, &key)),
        letter,
    })
}

/// What operators see of it, but for the body.
fn letter(facts: &Facts<'_>, id: Uuid, stored: &StoredCall, dead: DeadCall) -> DeadLetter {
    let (call, source) = (facts.call, &facts.route.integration.source);
    let request = facts.session.req_header();
    let now = clock::now_rfc3339();
    DeadLetter {
        id: id.to_string(),
        integration_config_id: Arc::clone(&facts.route.integration.id),
        integration_name: source.name.as_str().into(),
        org_id: source.org_id,
        entity_rid: source.tenant_id.filter(|unit| *unit != source.org_id),
        event_id: call.request_id().to_owned(),
        source: stored.caller().unwrap_or(UNKNOWN_CALLER).to_owned(),
        event_type: source.kind.clone(),
        direction: DeliveryDirection::Inbound,
        status: DeadLetterStatus::PendingOperator,
        original_payload: Value::Null,
        call: Some(Box::new(dead)),
        action_name: None,
        action_index: 0,
        target_url: target(facts.route),
        http_method: request.method.as_str().to_owned(),
        last_error: facts.end.error.clone(),
        error_category: facts.end.category,
        last_status: facts.end.status,
        attempt_count: call.upstream.attempts,
        retry_count: 0,
        max_retries: 0,
        next_retry_at: None,
        correlation_id: correlation(&request.headers),
        trace_id: trace_id(call),
        created_at: now.clone(),
        updated_at: now,
        gateway_id: Arc::clone(facts.proxy.letters.gateway_id()),
    }
}

impl Facts<'_> {
    /// What becomes of the body, and as much of it as is kept.
    fn body(&self) -> (CallBody, Bytes) {
        match &self.body {
            Body::Whole(body) if body.is_empty() => (CallBody::None, Bytes::new()),
            Body::Whole(body) => (CallBody::Kept, body.clone()),
            Body::TooLarge => (CallBody::TooLarge, Bytes::new()),
            Body::Unread | Body::Incomplete if !self.may_have_body => (CallBody::None, Bytes::new()),
            Body::Unread | Body::Incomplete if self.most_bytes.is_none() => (CallBody::NotKept, Bytes::new()),
            Body::Incomplete => (CallBody::Incomplete, Bytes::new()),
            Body::Unread => (CallBody::Streamed, Bytes::new()),
        }
    }

    /// The body as operators see it.
    fn shown(&self, body: &Bytes) -> Value {
        let content_type = self.session.req_header().headers.get(header::CONTENT_TYPE);
        // Written anew, a form can be longer than it was.
        let most = body.len().saturating_mul(4);
        let shown = self.redactor().body(body, content_type, true, most);
        shown.unwrap_or(Value::Null)
    }

    fn redactor(&self) -> &Redactor {
        &self.route.integration.redactor
    }
}

/// Stands for the call in the queue.
fn event(letter: &DeadLetter, payload: Bytes) -> Event {
    Event {
        head: EventHead {
            org_id: letter.org_id,
            id: letter.event_id.clone(),
            source: letter.source.clone(),
            event_type: CALL.to_owned(),
            action_id: None,
            entity_rid: letter.entity_rid,
            subject: None,
            time: None,
            data_content_type: None,
            correlation_id: letter.correlation_id.clone(),
            trace_id: letter.trace_id.clone(),
            status_callback: None,
            extensions: Default::default(),
        },
        payload,
    }
}

/// By which a client's own repeat is known: it leaves no second dead letter.
fn dedupe(letter: &DeadLetter, key: &str) -> Dedupe {
    let (integration, caller) = (&letter.integration_config_id, &letter.source);
    let identity = format!("call\n{}\n{integration}\n{caller}\n{key}", letter.org_id);
    let mut digest = [0; 16];
    digest.copy_from_slice(&sha256(identity.as_bytes())[..16]);
    Dedupe {
        key: digest,
        window_ms: REPEATS_MS,
    }
}

/// The client's key, if it sent one that can be sent again.
fn key(headers: &HeaderMap) -> Option<&str> {
    let key = KEY_FIELDS.iter().find_map(|name| headers.get(name))?.to_str().ok()?;
    (!key.is_empty() && key.len() <= LONGEST_KEY).then_some(key)
}

/// Where the call went, or would have gone.
pub(super) fn target(route: &Route) -> String {
    let aimed = route.aim.as_ref().map(|aim| aim.target.upstream.target());
    let target = aimed.or_else(|| route.integration.targets.first().map(|target| &target.url));
    target.map(origin).unwrap_or_default()
}

fn correlation(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("x-correlation-id")?.to_str().ok()?;
    (!text.is_empty() && text.len() <= LONGEST_KEY).then(|| text.to_owned())
}

fn trace_id(call: &Call) -> String {
    let identity = call.identity.as_ref();
    identity
        .map(|identity| hex::encode(identity.trace.trace_id()))
        .unwrap_or_default()
}

const LONGEST_KEY: usize = 255;
/// For how long a client's repeat is known by its key.
const REPEATS_MS: i64 = 86_400_000;
const UNKNOWN_CALLER: &str = "unknown";
