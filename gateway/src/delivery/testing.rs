//! What the tests of this module are made of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use filters::delivery::BreakerRules;
use filters::event::Event;
use filters::model::EventHead;
use filters::model::delivery::TriggerType;
use filters::model::outbound::Breaker;
use uuid::Uuid;

use super::subscriptions::Rules;
use crate::queue::{DeliveryState, OpenDelivery, Step};

/// Event number `number` with a payload of `bytes` bytes.
pub(super) fn event(number: i64, bytes: usize) -> Arc<Event> {
    let head = EventHead {
        org_id: 1,
        id: number.to_string(),
        source: "test".to_owned(),
        event_type: "bill.generated".to_owned(),
        action_id: None,
        entity_rid: None,
        subject: None,
        time: None,
        data_content_type: None,
        correlation_id: None,
        trace_id: "0".repeat(32),
        status_callback: None,
        extensions: BTreeMap::new(),
    };
    Arc::new(Event {
        head,
        payload: Bytes::from(vec![b' '; bytes]),
    })
}

/// Delivery `number` to `subscription`, due at `due_ms`.
pub(super) fn open(number: u16, subscription: &str, due_ms: i64, order_key: Option<u64>) -> OpenDelivery {
    OpenDelivery {
        number,
        subscription: subscription.into(),
        state: DeliveryState {
            id: Uuid::from_u128(u128::from(number)),
            trigger: TriggerType::Event,
            due_ms,
            attempts: 0,
            order_key,
            step: Step::Forward(0),
            answers: None,
            occurrences: 0,
            dead_retries: None,
            payload: None,
        },
    }
}

/// Rules of a subscription of `org_id`, without a rate and without a breaker.
pub(super) fn rules(org_id: u64, max_concurrency: u32) -> Rules {
    let breaker = Breaker {
        enabled: false,
        ..Breaker::default()
    };
    Rules {
        org_id,
        is_active: true,
        max_concurrency,
        rate: None,
        breaker: breaker_rules(&breaker),
        longest_attempt: Duration::from_secs(60),
    }
}

/// The compiled `breaker`.
pub(super) fn breaker_rules(breaker: &Breaker) -> BreakerRules {
    BreakerRules::compile(breaker, "breaker", &mut Vec::new()).unwrap()
}
