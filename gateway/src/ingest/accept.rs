//! From events that were read to arrivals for the queue: what they match, and when each delivery is due.

use std::sync::Arc;

use filters::event::{Decoded, Event, Payload, WINDOW_MS};
use filters::model::delivery::TriggerType;
use filters::model::outbound::SchedulingMode;
use filters::plan::events::EventPlan;
use filters::plan::events::Producer;
use filters::subscription::Subscription;
use uuid::Uuid;

use super::scheduled;
use crate::config;
use crate::queue::{Arrival, Dedupe, DeliveryState, OpenDelivery, Skipped, Step};

/// How long a repeat of an event is known, as the settings say, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Windows {
    with_id_ms: i64,
    without_id_ms: i64,
}

impl Windows {
    pub(super) fn of(settings: config::Dedupe) -> Self {
        let millis = |seconds: u64| i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
        Self {
            with_id_ms: millis(settings.with_id_seconds),
            without_id_ms: millis(settings.without_id_seconds),
        }
    }

    /// What takes the place of the window that the event was read with, which is one of two.
    fn in_place_of(self, read_ms: i64) -> i64 {
        if read_ms == WINDOW_MS {
            self.with_id_ms
        } else {
            self.without_id_ms
        }
    }
}

/// What the events of a request have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'r> {
    pub(super) producer: &'r Producer,
    pub(super) gateway_id: &'r Arc<str>,
    pub(super) windows: Windows,
    /// When they are accepted.
    pub(super) now_ms: i64,
}

/// The arrival of an event.
pub(super) fn arrival(plan: &EventPlan, decoded: Decoded, terms: &Terms<'_>) -> Arrival {
    let Decoded {
        event,
        parsed,
        dedupe_key,
        dedupe_window_ms,
    } = decoded;
    let payload = Payload::with(&event, parsed);
    let matched = plan.matches(&event, &payload);
    let deliveries: Vec<OpenDelivery> = NUMBERS
        .zip(&matched.subscriptions)
        .map(|(number, subscription)| delivery(number, subscription, &event, &payload, terms.now_ms))
        .collect();
    let pairs = deliveries.iter().zip(&matched.subscriptions);
    let scheduled = pairs.filter(|(_, subscription)| !subscription.schedule.is_immediate());
    let scheduled = scheduled.map(|(delivery, subscription)| {
        let told = scheduled::told(
            subscription,
            &event.head,
            &delivery.state,
            terms.now_ms,
            terms.gateway_id,
        );
        (delivery.number, told)
    });
    let scheduled = scheduled.collect();
    let beyond = matched.subscriptions.iter().skip(NUMBERS.len());
    let skipped = matched
        .skipped
        .iter()
        .map(|(id, reason)| (id, reason.to_string()))
        .chain(beyond.map(|subscription| (&subscription.id, "too many subscriptions match".to_owned())));
    Arrival {
        dedupe: Dedupe {
            key: dedupe_key,
            window_ms: terms.windows.in_place_of(dedupe_window_ms),
        },
        deliveries,
        scheduled,
        skipped: skipped
            .map(|(id, reason)| Skipped {
                integration_config_id: Arc::clone(id),
                reason,
            })
            .collect(),
        producer: Arc::clone(&terms.producer.name),
        event: Arc::new(event),
    }
}

/// The first delivery of `event` to `subscription`.
pub(super) fn delivery(
    number: u16,
    subscription: &Subscription,
    event: &Event,
    payload: &Payload<'_>,
    now_ms: i64,
) -> OpenDelivery {
    // A time that the payload does not name right is no reason to refuse the event, nor to lose the delivery: the
    // attempt finds the same fault and makes a dead letter of it.
    let value = subscription.schedule.reads_payload().then(|| payload.value()).flatten();
    let due_ms = subscription.schedule.first_of(now_ms, value).unwrap_or(now_ms);
    let delay_ms = subscription.steps.first().map_or(0, |step| step.delay_ms);
    OpenDelivery {
        number,
        subscription: Arc::clone(&subscription.id),
        state: DeliveryState {
            id: Uuid::now_v7(),
            trigger: TriggerType::Event,
            due_ms: due_ms.saturating_add(i64::try_from(delay_ms).unwrap_or(i64::MAX)),
            attempts: 0,
            order_key: keeps_order(subscription)
                .then(|| subscription.order_key(event, payload))
                .flatten(),
            step: Step::Forward(0),
            answers: None,
            occurrences: 0,
            dead_retries: None,
            payload: None,
        },
    }
}

/// False where deliveries become due in another order than their events came in: none of them waits for the others.
fn keeps_order(subscription: &Subscription) -> bool {
    let source = &subscription.source;
    match source.scheduling_mode {
        SchedulingMode::Immediate => true,
        SchedulingMode::Delayed => {
            let config = source.scheduling_config.as_ref();
            config.is_none_or(|config| config.until_field.is_none())
        }
        SchedulingMode::Recurring => false,
    }
}

/// Numbers that the deliveries of one event may have.
const NUMBERS: std::ops::Range<u16> = 0..u16::MAX;
