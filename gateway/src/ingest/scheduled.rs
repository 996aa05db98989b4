//! What operators are told of deliveries that wait for a time of their own, before there is an attempt.

use std::sync::Arc;

use filters::model::EventHead;
use filters::model::delivery::{ScheduledDelivery, ScheduledStatus};
use filters::subscription::Subscription;

use crate::clock::rfc3339;
use crate::queue::DeliveryState;

/// A delivery of an event that was accepted at `accepted_ms` and that waits. Its identifier is made by the queue.
pub fn told(
    subscription: &Subscription,
    event: &EventHead,
    state: &DeliveryState,
    accepted_ms: i64,
    gateway_id: &Arc<str>,
) -> ScheduledDelivery {
    let step = subscription.steps.first();
    ScheduledDelivery {
        id: String::new(),
        integration_config_id: Arc::clone(&subscription.id),
        integration_name: Arc::clone(&subscription.name),
        org_id: subscription.org_id,
        tenant_id: subscription.source.tenant(),
        original_event_id: event.id.clone(),
        event_type: event.event_type.clone(),
        scheduled_for: rfc3339(state.due_ms),
        status: ScheduledStatus::Pending,
        occurrences: state.occurrences,
        recurring: subscription.schedule.is_recurring(),
        target_url: step.map(|step| step.target.to_string()).unwrap_or_default(),
        http_method: step.map(|step| step.method.to_string()).unwrap_or_default(),
        created_at: rfc3339(accepted_ms),
        updated_at: rfc3339(accepted_ms),
        gateway_id: Arc::clone(gateway_id),
    }
}
