//! Subscriptions, compiled: whose events they get, and how these are delivered.

mod enrichment;
mod matching;
mod order;
pub(crate) mod pattern;

use std::sync::Arc;

use http::Method;

use crate::address::EgressPolicy;
use crate::condition::Condition;
use crate::delivery::{BreakerRules, RetryPlan, SchedulePlan, Signer, StatusTable};
use crate::event::{Event, Payload};
use crate::model::OutboundIntegration;
use crate::model::limits::{RateLimit, Timeouts};
use crate::model::outbound::{DeadLetterRetry, RecordBodies, Scope};
use crate::outgoing::{SignIn, TlsPlan};
use crate::plan::Transform;
use crate::redaction::Redactor;
use crate::target::TargetUrl;
pub(crate) use enrichment::AddressTemplate;
pub use enrichment::{EnrichmentFault, EnrichmentPlan};
pub(crate) use matching::Index;
pub use matching::{MOST_SKIPPED, Matched, SkipReason};
pub use order::Order;
use pattern::TypePattern;

/// A compiled subscription.
#[derive(Debug)]
pub struct Subscription {
    /// Its place among the subscriptions of the plan, stable while it exists.
    pub slot: usize,
    /// Identifier.
    pub id: Arc<str>,
    /// Name for people.
    pub name: Arc<str>,
    /// Organization that owns it.
    pub org_id: u64,
    /// The subscription as data.
    pub source: Arc<OutboundIntegration>,
    /// Digest of that data.
    pub digest: [u8; 32],
    /// False if no event matches it. Its open deliveries wait.
    pub is_active: bool,
    pub(crate) topic: Topic,
    pub(crate) filter: Option<Condition>,
    /// Units that it leaves out, in ascending order.
    pub(crate) excluded: Box<[u64]>,
    /// Its deliveries, one after the other; at least one.
    pub steps: Vec<StepPlan>,
    /// Calls before each attempt, in order.
    pub enrichments: Vec<EnrichmentPlan>,
    /// Which addresses may be connected to.
    pub egress: EgressPolicy,
    /// How deliveries are signed.
    pub signer: Signer,
    /// When a failed attempt is repeated.
    pub retry: RetryPlan,
    /// What statuses mean.
    pub statuses: StatusTable,
    /// When the endpoint is left alone.
    pub breaker: BreakerRules,
    /// When events are delivered.
    pub schedule: SchedulePlan,
    /// Which deliveries wait for each other.
    pub order: Order,
    /// The most attempts in a window.
    pub limit: Option<RateLimit>,
    /// The most attempts that are under way at a time.
    pub max_concurrency: u32,
    /// The most bytes that are read of an answer.
    pub max_response_bytes: u64,
    /// Timeouts of one attempt.
    pub timeouts: Timeouts,
    /// When dead letters are tried again without an operator.
    pub dead_letter_retry: DeadLetterRetry,
    /// Of which attempts the record holds the bodies.
    pub record_bodies: RecordBodies,
    /// What is masked in records.
    pub redactor: Redactor,
}

/// What a subscription asks of an event's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Type(TypePattern),
    Action(i64),
}

/// One call of a delivery.
#[derive(Debug)]
pub struct StepPlan {
    /// Its name, where the subscription has several.
    pub name: Option<Arc<str>>,
    /// Where it goes.
    pub target: TargetUrl,
    /// Method.
    pub method: Method,
    /// How its body is made; the payload itself without.
    pub transform: Option<Arc<Transform>>,
    /// What signs the gateway in.
    pub sign_in: SignIn,
    /// TLS with the target, where the usual is not enough.
    pub tls: Option<Arc<TlsPlan>>,
    /// Milliseconds after the step before it, or after the event was accepted.
    pub delay_ms: u64,
    /// What undoes it.
    pub compensate: Option<CompensationPlan>,
}

/// What undoes a step. It is sent with the sign-in of its step.
#[derive(Debug)]
pub struct CompensationPlan {
    /// Where it goes.
    pub target: TargetUrl,
    /// Method.
    pub method: Method,
    /// How its body is made; that of the step itself if left out.
    pub transform: Option<Arc<Transform>>,
}

impl Subscription {
    /// What changes in the payloads that it sends.
    pub(crate) fn transforms(&self) -> impl Iterator<Item = &Transform> {
        let undone = self.steps.iter().filter_map(|step| step.compensate.as_ref());
        let own = self.steps.iter().filter_map(|step| step.transform.as_deref());
        own.chain(undone.filter_map(|compensation| compensation.transform.as_deref()))
    }

    /// Why it does not get an event of its organization; `None` if it does.
    pub fn skip_reason(&self, event: &Event, payload: &Payload<'_>) -> Option<SkipReason> {
        let is_topic = event.head.org_id == self.org_id
            && match &self.topic {
                Topic::Type(pattern) => pattern.matches(&event.head.event_type),
                Topic::Action(action) => event.head.action_id == Some(*action),
            };
        if is_topic {
            self.objection(event, payload)
        } else {
            Some(SkipReason::OtherType)
        }
    }

    /// The key by which its deliveries wait for each other; see [`Order::key`].
    pub fn order_key(&self, event: &Event, payload: &Payload<'_>) -> Option<u64> {
        self.order.key(event, payload)
    }

    /// Why it does not get an event whose type is right.
    fn objection(&self, event: &Event, payload: &Payload<'_>) -> Option<SkipReason> {
        let entity = event.head.entity();
        if !self.is_active {
            return Some(SkipReason::Inactive);
        }
        if self.source.tenant() != entity {
            if self.source.tenant() != self.org_id || self.source.scope == Scope::EntityOnly {
                return Some(SkipReason::OtherEntity);
            }
            if self.excluded.binary_search(&entity).is_ok() {
                return Some(SkipReason::Excluded);
            }
        }
        match &self.filter {
            Some(filter) if !filter.holds(payload.value()) => Some(SkipReason::Filter),
            _ => None,
        }
    }
}
