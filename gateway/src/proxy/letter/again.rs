//! Makes calls again that became dead letters: each once for each time that an operator wants it, on the way that the
//! integration's calls take now, with the idempotency key that the call had.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use egress::Answer;
use filters::delivery::classify::{Answer as Answered, AttemptResult, Meaning, StatusTable, advice};
use filters::model::delivery::{DeliveryDirection, DeliveryLog, DeliveryStatus, ErrorCategory};
use filters::model::outbound::Retry;
use filters::plan::Integration;
use filters::resilience::health_of;
use http::{HeaderMap, HeaderValue, header};
use pingora_http::RequestHeader;
use serde_json::Value;
use uuid::Uuid;

use super::super::admit::input;
use super::super::again::health_of_fault;
use super::super::aim;
use super::super::call::{Call, Identity, Route};
use super::super::exchange::partner;
use super::super::exchange::request::{self, Prepared};
use super::super::fault::Fault;
use super::super::forward::Seen;
use super::super::web;
use super::end::of_fault;
use super::made::target;
use super::stored::StoredCall;
use crate::clock;
use crate::delivery::{Job, Outcome};
use crate::live::IntegrationRuntime;
use crate::queue::{DeliveryState, Next, Record, Setback, Settlement};
use crate::scripts::ScriptPool;

/// Makes calls again.
#[derive(Debug)]
pub struct CallsAgain {
    scripts: Arc<ScriptPool>,
    gateway_id: Arc<str>,
    statuses: Option<StatusTable>,
}

/// What came of making a call again.
struct Attempt {
    status: Option<u16>,
    /// Why it failed; `None` if the partner has it now.
    failure: Option<Setback>,
    sent: Option<Prepared>,
    headers: HeaderMap,
    body: Bytes,
    is_whole: bool,
}

impl CallsAgain {
    /// Runs scripts on `scripts`.
    pub fn new(scripts: Arc<ScriptPool>, gateway_id: Arc<str>) -> Self {
        Self {
            scripts,
            gateway_id,
            statuses: StatusTable::compile(&[], &Retry::Standard {}, "", &mut Vec::new()),
        }
    }

    /// Makes the call of `job` once.
    pub async fn run(&self, job: Job, runtime: &Arc<IntegrationRuntime>) -> Outcome {
        let (begun, started_ms) = (Instant::now(), clock::now_ms());
        let mut call = Call::new();
        let attempt = match self.attempt(&job, runtime, &mut call).await {
            Ok(attempt) => attempt,
            Err(setback) => Attempt {
                status: setback.status,
                failure: Some(setback),
                sent: None,
                headers: HeaderMap::new(),
                body: Bytes::new(),
                is_whole: true,
            },
        };
        let log = Record::Log(Box::new(self.log(&job, &call, runtime, &attempt, (begun, started_ms))));
        match attempt.failure {
            None => Settlement {
                key: job.key,
                next: Next::Settled,
                records: vec![log, Record::DeadLetterGone(job.state.id.to_string())],
            },
            Some(setback) => Settlement {
                records: vec![log],
                ..still_dead(&job, setback)
            },
        }
        .into()
    }

    /// What is committed of a call that could not be made again.
    pub fn failed(job: &Job, category: ErrorCategory, error: String) -> Settlement {
        still_dead(
            job,
            Setback {
                error,
                category,
                status: None,
            },
        )
    }

    async fn attempt(&self, job: &Job, runtime: &Arc<IntegrationRuntime>, call: &mut Call) -> Result<Attempt, Setback> {
        let stored = StoredCall::read(job.state.answers.as_deref()).map_err(|error| {
            setback(
                ErrorCategory::Internal,
                format!("the call cannot be read back: {error}"),
            )
        })?;
        let body = body(job, &stored)?;
        let request = stored.request(body.len()).map_err(|error| {
            setback(
                ErrorCategory::Internal,
                format!("the call cannot be made again: {error}"),
            )
        })?;
        let request = with_type(request, job);
        let prepared = self
            .prepare(&stored, &request, runtime, call, body)
            .await
            .map_err(|fault| of(&fault))?;
        aim::first(call, &request).map_err(|fault| of(&fault))?;
        let answer = send(call, &prepared, &stored.seen()).await?;
        let answered = Answered::read(answer.status, &answer.headers, clock::now_ms());
        let status = answer.status.as_u16();
        let judged = self
            .statuses
            .as_ref()
            .map(|table| table.classify(AttemptResult::Answer(answered)));
        let is_done = match &judged {
            Some(judged) => judged.meaning == Meaning::Delivered,
            None => answer.status.is_success(),
        };
        let category = judged
            .and_then(|judged| judged.category)
            .unwrap_or(ErrorCategory::ServerError);
        let failure = (!is_done).then(|| Setback {
            error: format!(
                "the partner answered with status {status}; {}",
                advice(category, Some(status))
            ),
            category,
            status: Some(status),
        });
        let headers = answer.headers.clone();
        let (body, is_whole) = beginning(answer, most_shown(&runtime.integration)).await;
        Ok(Attempt {
            status: Some(status),
            failure,
            sent: Some(prepared),
            headers,
            body,
            is_whole,
        })
    }

    /// Checks the call as one that comes now, and makes the partner's request of it.
    async fn prepare(
        &self,
        stored: &StoredCall,
        request: &RequestHeader,
        runtime: &Arc<IntegrationRuntime>,
        call: &mut Call,
        body: Bytes,
    ) -> Result<Prepared, Fault> {
        call.client = stored.client();
        call.identity = Some(Identity::of(&request.headers, SystemTime::now(), None));
        call.runtime = Some(Arc::clone(runtime));
        let mut route = route(stored, runtime);
        route.operation = input::check_again(&route, request, stored.path())?;
        if route.integration.web.is_some() {
            route.field_values = web::field_values(&route, request, call);
        }
        input::check_body(&route, &request.headers, &body)?;
        call.route = Some(route);
        request::prepare(&self.scripts, request, call, body).await
    }

    fn log(
        &self,
        job: &Job,
        call: &Call,
        runtime: &IntegrationRuntime,
        attempt: &Attempt,
        (begun, started_ms): (Instant, i64),
    ) -> DeliveryLog {
        let (integration, head) = (&*runtime.integration, &job.event.head);
        let failure = attempt.failure.as_ref();
        let method = attempt.sent.as_ref().map(|sent| sent.method.as_str());
        let mut log = DeliveryLog {
            id: Uuid::now_v7().to_string(),
            message_id: job.state.id.to_string(),
            integration_config_id: Arc::clone(&integration.id),
            integration_name: integration.source.name.as_str().into(),
            org_id: head.org_id,
            entity_rid: head.entity_rid,
            event_id: head.id.clone(),
            event_type: integration.source.kind.clone(),
            direction: DeliveryDirection::Inbound,
            status: match failure {
                None => DeliveryStatus::Success,
                Some(_) => DeliveryStatus::Failed,
            },
            trigger_type: job.state.trigger,
            action_name: None,
            action_index: 0,
            compensation: false,
            target_url: call.route.as_ref().map(target).unwrap_or_default(),
            http_method: method.unwrap_or_default().to_owned(),
            response_status: attempt.status,
            response_time_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            attempt_count: job.state.attempts.saturating_add(1),
            should_retry: false,
            next_retry_at: None,
            error_category: failure.map(|failure| failure.category),
            error_message: failure.map(|failure| failure.error.clone()),
            request_headers: Default::default(),
            request_payload: None,
            response_headers: Default::default(),
            response_body: None,
            signature: None,
            curl_command: None,
            correlation_id: head.correlation_id.clone(),
            trace_id: head.trace_id.clone(),
            created_at: clock::rfc3339(started_ms),
            delivered_at: failure.is_none().then(clock::now_rfc3339),
            gateway_id: Arc::clone(&self.gateway_id),
        };
        show(&mut log, integration, attempt);
        log
    }
}

/// Sends the request to a target of the integration, and tells it what the answer shows of it.
async fn send(call: &mut Call, prepared: &Prepared, seen: &Seen) -> Result<Answer, Setback> {
    match partner::once(call, prepared, seen).await {
        Ok(answer) => {
            call.settle(health_of(answer.status.as_u16()));
            Ok(answer)
        }
        Err(fault) => {
            call.settle(health_of_fault(&fault));
            Err(of(&fault))
        }
    }
}

/// What goes out: what an operator put in its place, or what the client sent.
fn body(job: &Job, stored: &StoredCall) -> Result<Bytes, Setback> {
    let Some(edited) = &job.state.payload else {
        return match stored.is_whole() {
            true => Ok(job.event.payload.clone()),
            false => Err(setback(ErrorCategory::ClientError, NO_BODY.to_owned())),
        };
    };
    // What is not JSON is given as a text.
    match serde_json::from_str(edited) {
        Ok(Value::String(text)) if !is_json(&stored.headers()) => Ok(text.into()),
        _ => Ok(Bytes::copy_from_slice(edited.as_bytes())),
    }
}

/// An operator's payload is JSON where the client said nothing of its body.
fn with_type(mut request: RequestHeader, job: &Job) -> RequestHeader {
    if job.state.payload.is_some() && !request.headers.contains_key(header::CONTENT_TYPE) {
        // A field more than a head takes is left out.
        let _ = request.insert_header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    request
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let essence = kind
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    essence.ends_with("/json") || essence.ends_with("+json")
}

fn route(stored: &StoredCall, runtime: &Arc<IntegrationRuntime>) -> Route {
    let (matched, params) = stored.matched();
    Route {
        integration: Arc::clone(&runtime.integration),
        runtime: Arc::clone(runtime),
        aim: None,
        path: None,
        matched,
        by_runtime_address: false,
        params: params.to_vec(),
        operation: None,
        field_values: None,
        edits: None,
        caller: stored.identity(),
        limits: None,
    }
}

/// Reads as much of an answer as is shown, and a little more so that its connection can be used again.
async fn beginning(mut answer: Answer, most: usize) -> (Bytes, bool) {
    let mut body = BytesMut::new();
    let mut is_whole = true;
    let mut read = 0;
    while let Some(Ok(chunk)) = answer.chunk().await {
        read += chunk.len();
        let room = most - body.len();
        is_whole &= chunk.len() <= room;
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if read > MOST_READ {
            break;
        }
    }
    (body.freeze(), is_whole)
}

/// Adds what the integration wants to see of calls.
fn show(log: &mut DeliveryLog, integration: &Integration, attempt: &Attempt) {
    let (Some(content), Some(sent)) = (integration.record_content, &attempt.sent) else {
        return;
    };
    let redactor = &integration.redactor;
    if content.headers {
        log.request_headers = redactor.headers(&sent.headers, &[]);
        log.response_headers = redactor.headers(&attempt.headers, &[]);
    }
    let most = content.body_bytes as usize;
    let kind = |headers: &HeaderMap| headers.get(header::CONTENT_TYPE).cloned();
    log.request_payload = redactor.body(&sent.body, kind(&sent.headers).as_ref(), true, most);
    log.response_body = redactor.body(&attempt.body, kind(&attempt.headers).as_ref(), attempt.is_whole, most);
}

fn most_shown(integration: &Integration) -> usize {
    integration
        .record_content
        .map_or(0, |content| content.body_bytes as usize)
}

fn still_dead(job: &Job, setback: Setback) -> Settlement {
    Settlement {
        key: job.key,
        next: Next::StillDead {
            state: DeliveryState {
                attempts: job.state.attempts.saturating_add(1),
                ..job.state.clone()
            },
            setback,
        },
        records: Vec::new(),
    }
}

fn setback(category: ErrorCategory, error: String) -> Setback {
    Setback {
        error,
        category,
        status: None,
    }
}

/// Why there is no answer.
fn of(fault: &Fault) -> Setback {
    let category = match fault {
        Fault::RequestMapping(_) | Fault::Script(..) => ErrorCategory::Transformation,
        Fault::Internal(_) => ErrorCategory::Internal,
        fault => of_fault(fault).map_or(ErrorCategory::ClientError, |(_, category)| category),
    };
    setback(category, fault.to_string())
}

/// Bytes of an answer that are read at the most.
const MOST_READ: usize = 64 * 1024;
const NO_BODY: &str = "the body of the call is not kept; retry it with a payload";
