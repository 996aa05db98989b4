//! What came of an attempt, and what it means.

use std::time::Duration;

use filters::delivery::{Answer, AttemptResult, Classified, Health, Meaning, advice};
use filters::model::delivery::ErrorCategory;
use filters::subscription::Subscription;
use http::HeaderMap;
use uuid::Uuid;

use super::course::{Course, Ended, course};
use super::fault::Fault;
use super::memory::{Memory, StepAnswer};
use super::payload::Prepared;
use super::record::Shown;
use super::send::Reply;
use crate::delivery::Job;
use crate::live::subscription::{CallRuntime, SubscriptionRuntime};
use crate::metrics::{Attempted, Failure};
use crate::queue::DeliveryState;

/// What was done, and what came of it.
pub(super) struct Attempt {
    /// Identifier of the delivery, as the endpoint saw it.
    pub(super) id: Uuid,
    pub(super) started_ms: i64,
    pub(super) ended_ms: i64,
    pub(super) elapsed: Duration,
    pub(super) judged: Classified,
    pub(super) unwanted: bool,
    pub(super) error: Option<String>,
    /// Where the record shows them.
    pub(super) request_headers: Option<HeaderMap>,
    pub(super) sent: Option<Prepared>,
    pub(super) result: Result<Reply, Fault>,
}

impl Attempt {
    /// No attempt at all, where there is only something left to be told.
    pub(super) fn none(state: &DeliveryState, now_ms: i64) -> Self {
        Self {
            id: state.id,
            started_ms: now_ms,
            ended_ms: now_ms,
            elapsed: Duration::ZERO,
            judged: Classified {
                meaning: Meaning::Retry,
                category: Some(ErrorCategory::Internal),
                health: Health::Unknown,
                wait_ms: None,
                pauses_lane: false,
                disable: None,
            },
            unwanted: false,
            error: None,
            request_headers: None,
            sent: None,
            result: Err(Fault::ours(ErrorCategory::Internal, "")),
        }
    }

    /// Counts it, as the metrics show it.
    pub(super) fn count(&self, subscription: &SubscriptionRuntime, course: &Course) {
        subscription.tally.count(self.judged.meaning != Meaning::Delivered);
        let metrics = &subscription.metrics;
        if let Ok(reply) = &self.result {
            metrics.answered(reply.status.as_u16(), self.elapsed);
        }
        if let Some(category) = self.judged.category
            && let Some(kind) = kind(category)
        {
            metrics.failed(kind);
        }
        subscription.event_metrics().attempted(match course {
            _ if self.judged.meaning == Meaning::Delivered => Attempted::Delivered,
            Course::Again(_) => Attempted::Retried,
            Course::Done
            | Course::Occurrence(_)
            | Course::Step(_)
            | Course::Undo(_)
            | Course::Dead(_)
            | Course::Owing(..) => Attempted::Failed,
        });
    }

    /// What becomes of the delivery.
    pub(super) fn course(&self, job: &Job, subscription: &SubscriptionRuntime, memory: Memory) -> Course {
        let plan = &*subscription.subscription;
        let ended = self.ended(plan.steps.len() > 1);
        let is_delivered = self.judged.meaning == Meaning::Delivered;
        let random = if is_delivered { 0.0 } else { rand::random() };
        course(plan, &job.state, memory, &ended, random)
    }

    pub(super) fn ended(&self, has_steps: bool) -> Ended {
        let reply = self.result.as_ref().ok();
        Ended {
            now_ms: self.ended_ms,
            judged: self.judged,
            status: reply.map(|reply| reply.status.as_u16()),
            error: self.error.clone().unwrap_or_default(),
            answer: reply
                .filter(|_| has_steps)
                .map(|reply| StepAnswer::of(reply.status.as_u16(), &reply.body, reply.is_whole)),
            unwanted: self.unwanted,
        }
    }

    pub(super) fn shown(&self, call: &CallRuntime, bodies: bool) -> Shown {
        let reply = self.result.as_ref().ok();
        Shown {
            request_headers: self.request_headers.clone().unwrap_or_default(),
            request: self.sent.as_ref().filter(|_| bodies).map(|sent| sent.content.shown()),
            response_headers: reply.map(|reply| reply.headers.clone()).unwrap_or_default(),
            response: reply
                .filter(|_| bodies)
                .map(|reply| (reply.body.clone(), reply.is_whole)),
            secret: call.sign_in.iter().map(|(name, _)| name.clone()).collect(),
        }
    }
}

/// The kind of failure that the metrics of an integration know; `None` where its status says it all.
fn kind(category: ErrorCategory) -> Option<Failure> {
    match category {
        ErrorCategory::Dns | ErrorCategory::Network | ErrorCategory::Tls => Some(Failure::Connect),
        ErrorCategory::BlockedAddress => Some(Failure::Address),
        ErrorCategory::Timeout => Some(Failure::Timeout),
        ErrorCategory::Protocol => Some(Failure::Answer),
        ErrorCategory::Transformation | ErrorCategory::Enrichment => Some(Failure::Transform),
        ErrorCategory::SignIn => Some(Failure::SignIn),
        ErrorCategory::Internal => Some(Failure::Internal),
        ErrorCategory::RateLimited
        | ErrorCategory::Unavailable
        | ErrorCategory::ServerError
        | ErrorCategory::Auth
        | ErrorCategory::ClientError
        | ErrorCategory::Redirect
        | ErrorCategory::Gone => None,
    }
}

/// What an attempt means, and whether the endpoint asked not to be sent this again.
pub(super) fn judge(plan: &Subscription, result: &Result<Reply, Fault>, now_ms: i64) -> (Classified, bool) {
    let reply = match result {
        Ok(reply) => reply,
        Err(fault) => {
            let mut judged = plan.statuses.classify(AttemptResult::Failure(fault.category));
            if !fault.is_endpoints {
                judged.health = Health::Unknown;
            }
            return (judged, false);
        }
    };
    let answer = Answer::read(reply.status, &reply.headers, now_ms);
    let judged = plan.statuses.classify(AttemptResult::Answer(answer));
    match &reply.broken {
        // Half an answer is no answer, unless its status says more than that the endpoint tried.
        Some(fault) if judged.meaning == Meaning::Delivered => {
            (plan.statuses.classify(AttemptResult::Failure(fault.category)), false)
        }
        _ => {
            let unwanted = answer.control.is_some() || judged.category == Some(ErrorCategory::Gone);
            (judged, unwanted)
        }
    }
}

/// True if the answer is to be met with a new token, and the attempt made again at once.
pub(super) fn asks_for_token(plan: &Subscription, reply: &Reply, now_ms: i64) -> bool {
    let answer = Answer {
        can_renew: true,
        ..Answer::read(reply.status, &reply.headers, now_ms)
    };
    plan.statuses.classify(AttemptResult::Answer(answer)).meaning == Meaning::RenewToken
}

/// What went wrong, for people. `unwanted`: the endpoint asked not to be sent this again.
pub(super) fn told(result: &Result<Reply, Fault>, judged: &Classified, unwanted: bool) -> String {
    let (what, status) = match result {
        Err(fault) => (fault.message.clone(), None),
        Ok(Reply {
            broken: Some(fault), ..
        }) => (fault.message.clone(), None),
        Ok(reply) => {
            let status = reply.status.as_u16();
            (format!("the endpoint answered with status {status}"), Some(status))
        }
    };
    match judged.category {
        Some(category) if unwanted && category != ErrorCategory::Gone => {
            format!("{what}; it asks by `webhook-delivery` not to be sent this again")
        }
        Some(category) => format!("{what}; {}", advice(category, status)),
        None => what,
    }
}
