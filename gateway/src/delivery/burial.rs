//! What becomes of deliveries whose subscription was deleted: dead letters, which nobody retries but an operator.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use filters::model::delivery::{
    DeadLetter, DeadLetterStatus, DeliveryDirection, ErrorCategory, ScheduledDelivery, ScheduledStatus,
};
use serde_json::Value;

use super::job::Job;
use crate::clock;
use crate::live::subscription::SubscriptionRuntime;
use crate::queue::{Next, Record, Settlement, Step};

/// The settlement of a delivery without a subscription. `last` is what the subscription was, if it is known.
pub(super) fn bury(
    job: &Job,
    id: &Arc<str>,
    last: Option<&Arc<SubscriptionRuntime>>,
    gateway_id: &Arc<str>,
) -> Settlement {
    let head = &job.event.head;
    let call = last.and_then(|runtime| runtime.call(job.state.step));
    let (Step::Forward(step) | Step::Back(step)) = job.state.step;
    let now = clock::now_rfc3339();
    let dead_letter = DeadLetter {
        id: job.state.id.to_string(),
        integration_config_id: Arc::clone(id),
        integration_name: last.map_or_else(|| Arc::clone(id), |runtime| Arc::clone(&runtime.subscription.name)),
        org_id: head.org_id,
        entity_rid: head.entity_rid,
        event_id: head.id.clone(),
        source: head.source.clone(),
        event_type: head.event_type.clone(),
        direction: DeliveryDirection::Outbound,
        status: DeadLetterStatus::PendingOperator,
        original_payload: payload(job),
        call: None,
        action_name: call.and_then(|call| call.name.as_deref().map(str::to_owned)),
        action_index: step,
        target_url: call.map(|call| call.url.to_string()).unwrap_or_default(),
        http_method: call.map(|call| call.method.to_string()).unwrap_or_default(),
        last_error: DELETED.to_owned(),
        error_category: ErrorCategory::Internal,
        last_status: None,
        attempt_count: job.state.attempts,
        retry_count: job.state.dead_retries.unwrap_or_default(),
        max_retries: 0,
        next_retry_at: None,
        correlation_id: head.correlation_id.clone(),
        trace_id: head.trace_id.clone(),
        created_at: now.clone(),
        updated_at: now,
        gateway_id: Arc::clone(gateway_id),
    };
    let scheduled = last.and_then(|runtime| scheduled(job, runtime, gateway_id));
    let mut records = vec![Record::DeadLetter(Box::new(dead_letter))];
    records.extend(scheduled.map(|scheduled| Record::Scheduled(Box::new(scheduled))));
    Settlement {
        key: job.key,
        next: Next::Dead {
            state: job.state.clone(),
            retry_ms: None,
        },
        records,
    }
}

/// The end of a delivery that waited for its time.
fn scheduled(job: &Job, last: &SubscriptionRuntime, gateway_id: &Arc<str>) -> Option<ScheduledDelivery> {
    let subscription = &*last.subscription;
    if subscription.schedule.is_immediate() {
        return None;
    }
    let call = last.call(job.state.step)?;
    let head = &job.event.head;
    Some(ScheduledDelivery {
        id: format!("{gateway_id}:{}-{}", job.key.seq, job.key.number),
        integration_config_id: Arc::clone(&subscription.id),
        integration_name: Arc::clone(&subscription.name),
        org_id: subscription.org_id,
        tenant_id: subscription.source.tenant(),
        original_event_id: head.id.clone(),
        event_type: head.event_type.clone(),
        scheduled_for: clock::rfc3339(job.state.due_ms),
        status: ScheduledStatus::Failed,
        occurrences: job.state.occurrences,
        recurring: subscription.schedule.is_recurring(),
        target_url: call.url.to_string(),
        http_method: call.method.to_string(),
        created_at: clock::rfc3339(job.accepted_ms),
        updated_at: clock::now_rfc3339(),
        gateway_id: Arc::clone(gateway_id),
    })
}

/// What the event has, or what an operator made of it: JSON, or base64 text.
fn payload(job: &Job) -> Value {
    let bytes = match &job.state.payload {
        Some(replaced) => replaced.as_bytes(),
        None => &job.event.payload,
    };
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::String(STANDARD.encode(bytes)))
}

const DELETED: &str = "the subscription was deleted";
