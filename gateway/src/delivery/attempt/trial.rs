//! The made-up event of a test delivery.

use std::sync::Arc;

use bytes::Bytes;
use filters::event::Event;
use filters::model::EventHead;
use filters::model::delivery::TriggerType;
use serde_json::Value;
use uuid::Uuid;

use crate::clock::now_ms;
use crate::delivery::Job;
use crate::queue::{DeliveryKey, DeliveryState, Step};

/// One delivery of an event that never was, which no queue knows.
pub(super) fn test_job(org_id: u64, event_type: &str, payload: &Value) -> Job {
    let now_ms = now_ms();
    let head = EventHead {
        org_id,
        id: Uuid::now_v7().to_string(),
        source: "test".to_owned(),
        event_type: event_type.to_owned(),
        action_id: None,
        entity_rid: None,
        subject: None,
        time: None,
        data_content_type: None,
        correlation_id: None,
        trace_id: Uuid::new_v4().simple().to_string(),
        status_callback: None,
        extensions: Default::default(),
    };
    Job {
        key: DeliveryKey { seq: 0, number: 0 },
        accepted_ms: now_ms,
        event: Arc::new(Event {
            head,
            payload: Bytes::from(payload.to_string()),
        }),
        state: DeliveryState {
            id: Uuid::now_v7(),
            trigger: TriggerType::Manual,
            due_ms: now_ms,
            attempts: 0,
            order_key: None,
            step: Step::Forward(0),
            answers: None,
            occurrences: 0,
            dead_retries: None,
            payload: None,
        },
    }
}
