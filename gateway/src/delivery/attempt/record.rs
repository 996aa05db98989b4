//! What operators are told of an attempt.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use filters::delivery::curl;
use filters::model::delivery::{
    DeadLetter, DeadLetterStatus, DeliveryDirection, DeliveryLog, DeliveryStatus, ErrorCategory, ScheduledDelivery,
    ScheduledStatus,
};
use filters::redaction::Redactor;
use filters::subscription::Subscription;
use http::{HeaderMap, HeaderName, header};
use serde_json::Value;
use uuid::Uuid;

use super::course::{Course, Dead};
use crate::delivery::Job;
use crate::live::subscription::{CallRuntime, SubscriptionRuntime};
use crate::queue::{DeliveryState, Record, Step};

/// What the records of one attempt are made from.
pub(super) struct Facts<'a> {
    pub(super) gateway_id: &'a std::sync::Arc<str>,
    pub(super) job: &'a Job,
    pub(super) subscription: &'a SubscriptionRuntime,
    pub(super) call: &'a CallRuntime,
    /// Identifier of the delivery, as the endpoint saw it.
    pub(super) id: Uuid,
    pub(super) started_ms: i64,
    pub(super) ended_ms: i64,
    pub(super) elapsed_ms: u64,
    pub(super) status: Option<u16>,
    pub(super) category: Option<ErrorCategory>,
    pub(super) error: Option<&'a str>,
    /// Attempts at the same call before this one.
    pub(super) attempts_before: u32,
    pub(super) shown: Option<Shown>,
}

/// Request and answer, where the record holds them.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) request_headers: HeaderMap,
    pub(super) request: Option<Bytes>,
    pub(super) response_headers: HeaderMap,
    pub(super) response: Option<(Bytes, bool)>,
    /// Headers of the sign-in, which are masked.
    pub(super) secret: Vec<HeaderName>,
}

impl Facts<'_> {
    /// All records of an attempt after which the delivery takes `course`.
    pub(super) fn records(mut self, course: &Course) -> Vec<Record> {
        let mut records = Vec::with_capacity(1);
        let state = &self.job.state;
        // What is put off until the producer was told is recorded now, but for the dead letter, which is none yet.
        let course = match course {
            Course::Owing(_, course) if !matches!(**course, Course::Dead(_)) => course,
            course => course,
        };
        let goes_on = matches!(course, Course::Done | Course::Occurrence(_) | Course::Step(_));
        if goes_on && state.dead_retries.is_some() {
            records.push(Record::DeadLetterGone(state.id.to_string()));
        }
        if let Course::Dead(dead) = course {
            records.push(Record::DeadLetter(Box::new(self.dead_letter(dead))));
        }
        records.extend(
            self.scheduled(course)
                .map(|scheduled| Record::Scheduled(Box::new(scheduled))),
        );
        let (status, next_ms) = match course {
            _ if self.category.is_none() => (DeliveryStatus::Success, None),
            Course::Again(state) => (DeliveryStatus::Retrying, Some(state.due_ms)),
            Course::Dead(dead) if dead.abandoned => (DeliveryStatus::Abandoned, None),
            Course::Dead(_)
            | Course::Undo(_)
            | Course::Done
            | Course::Occurrence(_)
            | Course::Step(_)
            | Course::Owing(..) => (DeliveryStatus::Failed, None),
        };
        let log = self.log(status, next_ms);
        records.insert(0, Record::Log(Box::new(log)));
        records
    }

    /// The records of a delivery that was put off until its producer was told.
    pub(super) fn late_records(&self, course: &Course) -> Vec<Record> {
        let Course::Dead(dead) = course else {
            return Vec::new();
        };
        let scheduled = self
            .scheduled(course)
            .map(|scheduled| Record::Scheduled(Box::new(scheduled)));
        let letter = Record::DeadLetter(Box::new(self.dead_letter(dead)));
        std::iter::once(letter).chain(scheduled).collect()
    }

    /// The record of the attempt itself.
    pub(super) fn log(&mut self, status: DeliveryStatus, next_ms: Option<i64>) -> DeliveryLog {
        let Subscription { id, name, org_id, .. } = &*self.subscription.subscription;
        let head = &self.job.event.head;
        let (action_index, compensation) = match self.job.state.step {
            Step::Forward(step) => (step, false),
            Step::Back(step) => (step, true),
        };
        let shown = self.shown.take();
        let is_success = status == DeliveryStatus::Success;
        let mut log = DeliveryLog {
            id: Uuid::now_v7().to_string(),
            message_id: self.id.to_string(),
            integration_config_id: std::sync::Arc::clone(id),
            integration_name: std::sync::Arc::clone(name),
            org_id: *org_id,
            entity_rid: head.entity_rid,
            event_id: head.id.clone(),
            event_type: head.event_type.clone(),
            direction: DeliveryDirection::Outbound,
            status,
            trigger_type: self.job.state.trigger,
            action_name: self.call.name.as_deref().map(str::to_owned),
            action_index,
            compensation,
            target_url: self.call.url.to_string(),
            http_method: self.call.method.to_string(),
            response_status: self.status,
            response_time_ms: self.elapsed_ms,
            attempt_count: self.attempts_before.saturating_add(1),
            should_retry: next_ms.is_some(),
            next_retry_at: next_ms.map(rfc3339),
            error_category: self.category,
            error_message: self.error.map(str::to_owned),
            request_headers: Default::default(),
            request_payload: None,
            response_headers: Default::default(),
            response_body: None,
            signature: self.subscription.subscription.signer.key_name().map(str::to_owned),
            curl_command: None,
            correlation_id: head.correlation_id.clone(),
            trace_id: head.trace_id.clone(),
            created_at: rfc3339(self.started_ms),
            delivered_at: is_success.then(|| rfc3339(self.ended_ms)),
            gateway_id: std::sync::Arc::clone(self.gateway_id),
        };
        if let Some(shown) = shown {
            add(&mut log, &shown, &self.subscription.subscription.redactor);
        }
        log
    }

    fn dead_letter(&self, dead: &Dead) -> DeadLetter {
        let subscription = &*self.subscription.subscription;
        let head = &self.job.event.head;
        let step = self
            .subscription
            .call(Step::Forward(dead.failed.step))
            .unwrap_or(self.call);
        let plan = &subscription.dead_letter_retry;
        let most = if plan.enabled { plan.delays_ms.len() } else { 0 };
        DeadLetter {
            id: dead.failed.id.to_string(),
            integration_config_id: std::sync::Arc::clone(&subscription.id),
            integration_name: std::sync::Arc::clone(&subscription.name),
            org_id: subscription.org_id,
            entity_rid: head.entity_rid,
            event_id: head.id.clone(),
            source: head.source.clone(),
            event_type: head.event_type.clone(),
            direction: DeliveryDirection::Outbound,
            status: match dead.retry_ms {
                _ if dead.abandoned => DeadLetterStatus::Abandoned,
                Some(_) => DeadLetterStatus::PendingRetry,
                None => DeadLetterStatus::PendingOperator,
            },
            original_payload: payload(self.job),
            call: None,
            action_name: step.name.as_deref().map(str::to_owned),
            action_index: dead.failed.step,
            target_url: step.url.to_string(),
            http_method: step.method.to_string(),
            last_error: dead.failed.error.clone(),
            error_category: dead.failed.category,
            last_status: dead.failed.status,
            attempt_count: dead.failed.attempts,
            retry_count: dead.state.dead_retries.unwrap_or(0),
            max_retries: u32::try_from(most).unwrap_or(u32::MAX),
            next_retry_at: dead.retry_ms.map(rfc3339),
            correlation_id: head.correlation_id.clone(),
            trace_id: head.trace_id.clone(),
            created_at: rfc3339(dead.failed.since_ms),
            updated_at: rfc3339(self.ended_ms),
            gateway_id: std::sync::Arc::clone(self.gateway_id),
        }
    }

    /// The record of a delivery that waited for its time, where its state changes.
    fn scheduled(&self, course: &Course) -> Option<ScheduledDelivery> {
        let subscription = &*self.subscription.subscription;
        if subscription.schedule.is_immediate() {
            return None;
        }
        let state = &self.job.state;
        let (status, next): (_, &DeliveryState) = match course {
            Course::Done => (ScheduledStatus::Completed, state),
            Course::Occurrence(next) => (ScheduledStatus::Pending, next),
            Course::Dead(_) => (ScheduledStatus::Failed, state),
            Course::Again(_) | Course::Step(_) | Course::Undo(_) | Course::Owing(..) => return None,
        };
        let head = &self.job.event.head;
        let key = self.job.key;
        Some(ScheduledDelivery {
            id: format!("{}:{}-{}", self.gateway_id, key.seq, key.number),
            integration_config_id: std::sync::Arc::clone(&subscription.id),
            integration_name: std::sync::Arc::clone(&subscription.name),
            org_id: subscription.org_id,
            tenant_id: subscription.source.tenant(),
            original_event_id: head.id.clone(),
            event_type: head.event_type.clone(),
            scheduled_for: rfc3339(next.due_ms),
            status,
            occurrences: match course {
                Course::Done => state.occurrences.saturating_add(1),
                _ => next.occurrences,
            },
            recurring: subscription.schedule.is_recurring(),
            target_url: self.call.url.to_string(),
            http_method: self.call.method.to_string(),
            created_at: rfc3339(self.job.accepted_ms),
            updated_at: rfc3339(self.ended_ms),
            gateway_id: std::sync::Arc::clone(self.gateway_id),
        })
    }
}

/// Milliseconds since the epoch as RFC 3339 in UTC.
pub(super) fn rfc3339(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
    format!("{time:.3}")
}

/// What the event has, or what an operator made of it: JSON, or base64 text.
fn payload(job: &Job) -> Value {
    let bytes = match &job.state.payload {
        Some(replaced) => replaced.as_bytes(),
        None => &job.event.payload,
    };
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::String(STANDARD.encode(bytes)))
}

fn add(log: &mut DeliveryLog, shown: &Shown, redactor: &Redactor) {
    log.request_headers = redactor.headers(&shown.request_headers, &shown.secret);
    log.response_headers = redactor.headers(&shown.response_headers, &[]);
    let body = |bytes: &[u8], headers: &HeaderMap, is_whole: bool| {
        redactor.body(bytes, headers.get(header::CONTENT_TYPE), is_whole, MOST_SHOWN)
    };
    let request = shown.request.as_deref();
    log.request_payload = request.and_then(|bytes| body(bytes, &shown.request_headers, true));
    let response = shown.response.as_ref();
    log.response_body = response.and_then(|(bytes, is_whole)| body(bytes, &shown.response_headers, *is_whole));
    let payload = log.request_payload.as_ref();
    log.curl_command = Some(curl::command(
        &log.http_method,
        &log.target_url,
        &log.request_headers,
        payload,
    ));
}

/// The most bytes of a body that a record holds.
const MOST_SHOWN: usize = 16 * 1024;
