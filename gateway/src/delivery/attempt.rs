//! One attempt at a delivery, from its job to what is committed of it.
//!
//! ```text
//! run -> prepare (enrich, transform) -> request (headers, signature, sign-in) -> send -> classify
//!     -> course (again, next step, undo, dead letter, settled) -> records -> Outcome
//! ```

mod content;
mod course;
mod enrich;
mod fault;
mod memory;
mod payload;
mod record;
mod request;
mod send;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use filters::delivery::{Answer, AttemptResult, Classified, Health, Meaning, advice};
use filters::event::Event;
use filters::model::EventHead;
use filters::model::delivery::{DeliveryLog, DeliveryStatus, ErrorCategory, TriggerType};
use filters::model::outbound::RecordBodies;
use serde_json::Value;
use uuid::Uuid;

use super::job::{Job, Outcome, Verdict};
use crate::clock::now_ms;
use crate::live::subscription::{CallRuntime, SubscriptionRuntime};
use crate::queue::{DeliveryKey, DeliveryState, Next, Record, Settlement, Step};
use crate::scripts::ScriptPool;
use content::Spool;
use course::{Course, Ended, course};
use fault::Fault;
use memory::{Memory, StepAnswer};
use payload::{Prepared, prepare};
use record::{Facts, Shown};
use request::{Draft, Trace};
use send::{Reply, send};

/// Makes attempts. One for the process; it holds what all attempts share.
#[derive(Debug)]
pub struct Attempts {
    scripts: Arc<ScriptPool>,
    spool: Spool,
    gateway_id: Arc<str>,
}

impl Attempts {
    /// Runs scripts on `scripts`, and keeps large content for the time of an attempt in files in `folder`, at most
    /// `spool_bytes` of it.
    pub fn new(scripts: Arc<ScriptPool>, gateway_id: Arc<str>, folder: &Path, spool_bytes: u64) -> Self {
        Self {
            scripts,
            spool: Spool::new(folder, spool_bytes),
            gateway_id,
        }
    }

    /// The name of this gateway.
    pub const fn gateway_id(&self) -> &Arc<str> {
        &self.gateway_id
    }

    /// Makes one attempt. It ends within [`SubscriptionRuntime::longest_attempt`], and the delivery goes on only after its
    /// outcome was committed.
    pub async fn run(&self, job: Job, subscription: &Arc<SubscriptionRuntime>) -> Outcome {
        let memory = Memory::of(job.state.answers.as_deref());
        let Some(call) = subscription.call(job.state.step) else {
            let fault = Fault::ours(
                ErrorCategory::Transformation,
                "the subscription no longer has this step",
            );
            return self.without_call(&job, subscription, memory, fault);
        };
        let record_bodies = subscription.subscription.record_bodies;
        let attempt = self.attempt(&job, subscription, call, &memory, record_bodies).await;
        self.settled(&job, subscription, call, memory, attempt)
    }

    /// What is committed of an attempt that failed by a fault of the gateway (`why`): it is repeated by the schedule.
    pub fn crashed(&self, job: &Job, subscription: &Arc<SubscriptionRuntime>, why: &str) -> Outcome {
        let memory = Memory::of(job.state.answers.as_deref());
        self.without_call(job, subscription, memory, Fault::ours(ErrorCategory::Internal, why))
    }

    /// Delivers a made-up event once, whatever schedule, order and breaker say, and returns the record of it. Nothing is
    /// kept in the queue. Of several steps only the first is taken.
    pub async fn test(
        &self,
        subscription: &Arc<SubscriptionRuntime>,
        event_type: &str,
        payload: &Value,
    ) -> DeliveryLog {
        let job = test_job(subscription.subscription.org_id, event_type, payload);
        let memory = Memory::default();
        let Some(step) = subscription.steps.first() else {
            unreachable!("compile() gives each subscription a step");
        };
        let attempt = self
            .attempt(&job, subscription, &step.call, &memory, RecordBodies::All)
            .await;
        let status = match attempt.judged.meaning {
            Meaning::Delivered => DeliveryStatus::Success,
            Meaning::Retry | Meaning::DeadLetter | Meaning::RenewToken => DeliveryStatus::Failed,
        };
        let shown = Some(attempt.shown(&step.call, true));
        self.facts(&job, subscription, &step.call, &memory, &attempt, shown)
            .log(status, None)
    }

    async fn attempt<'a>(
        &self,
        job: &'a Job,
        subscription: &'a Arc<SubscriptionRuntime>,
        call: &'a CallRuntime,
        memory: &Memory,
        record_bodies: RecordBodies,
    ) -> Attempt {
        let (begun, started_ms) = (Instant::now(), now_ms());
        let trace = Trace::of(&job.event.head);
        let draft = Draft {
            job,
            subscription,
            call,
            id: memory.sent_id(&job.state),
            started_ms,
            trace: &trace,
        };
        let mut sent = None;
        let result = self.exchange(&draft, memory, &mut sent).await;
        let plan = &subscription.subscription;
        let ended_ms = now_ms();
        let (judged, unwanted) = judge(plan, &result, ended_ms);
        let is_delivered = judged.meaning == Meaning::Delivered;
        let is_shown = match record_bodies {
            RecordBodies::All => true,
            RecordBodies::Errors | RecordBodies::None => !is_delivered,
        };
        let headers = sent.as_ref().filter(|_| is_shown).map(|sent| draft.shown_headers(sent));
        Attempt {
            id: draft.id,
            started_ms,
            ended_ms,
            elapsed_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            error: (!is_delivered).then(|| told(&result, &judged)),
            judged,
            unwanted,
            request_headers: headers,
            sent: sent.filter(|_| is_shown),
            result,
        }
    }

    async fn exchange(&self, draft: &Draft<'_>, memory: &Memory, sent: &mut Option<Prepared>) -> Result<Reply, Fault> {
        let subscription = draft.subscription;
        check_schedule(draft.job, subscription)?;
        let prepared = prepare(self, draft.job, subscription, draft.call, memory, draft.trace).await?;
        let prepared = sent.insert(prepared);
        let request = draft.request(prepared).await?;
        let most = usize::try_from(subscription.subscription.max_response_bytes).unwrap_or(usize::MAX);
        send(draft.call.target.pool(), request, subscription.timeouts, most).await
    }

    fn settled(
        &self,
        job: &Job,
        subscription: &Arc<SubscriptionRuntime>,
        call: &CallRuntime,
        memory: Memory,
        attempt: Attempt,
    ) -> Outcome {
        let plan = &*subscription.subscription;
        let ended = attempt.ended(plan.steps.len() > 1);
        let is_delivered = attempt.judged.meaning == Meaning::Delivered;
        let bodies = match plan.record_bodies {
            RecordBodies::All => true,
            RecordBodies::Errors => !is_delivered,
            RecordBodies::None => false,
        };
        let shown = (bodies || !is_delivered).then(|| attempt.shown(call, bodies));
        let facts = self.facts(job, subscription, call, &memory, &attempt, shown);
        let random = if is_delivered { 0.0 } else { rand::random() };
        let course = course(plan, &job.state, memory.clone(), &ended, random);
        let records = facts.records(&course);
        outcome(job.key, course, records, &attempt.judged, ended.now_ms)
    }

    /// An attempt that never came to a call.
    fn without_call(
        &self,
        job: &Job,
        subscription: &Arc<SubscriptionRuntime>,
        memory: Memory,
        fault: Fault,
    ) -> Outcome {
        let plan = &subscription.subscription;
        let known = subscription.call(job.state.step);
        let Some(call) = known.or_else(|| subscription.steps.first().map(|step| &step.call)) else {
            unreachable!("compile() gives each subscription a step");
        };
        let now_ms = now_ms();
        let result = Err(fault);
        let (judged, unwanted) = judge(plan, &result, now_ms);
        let attempt = Attempt {
            id: memory.sent_id(&job.state),
            started_ms: now_ms,
            ended_ms: now_ms,
            elapsed_ms: 0,
            error: Some(told(&result, &judged)),
            judged,
            unwanted,
            request_headers: None,
            sent: None,
            result,
        };
        self.settled(job, subscription, call, memory, attempt)
    }

    fn facts<'a>(
        &'a self,
        job: &'a Job,
        subscription: &'a SubscriptionRuntime,
        call: &'a CallRuntime,
        memory: &Memory,
        attempt: &'a Attempt,
        shown: Option<Shown>,
    ) -> Facts<'a> {
        let retried = memory.failed.as_ref().filter(|_| job.state.dead_retries.is_some());
        Facts {
            gateway_id: &self.gateway_id,
            job,
            subscription,
            call,
            id: attempt.id,
            started_ms: attempt.started_ms,
            ended_ms: attempt.ended_ms,
            elapsed_ms: attempt.elapsed_ms,
            status: attempt.result.as_ref().ok().map(|reply| reply.status.as_u16()),
            category: attempt.judged.category,
            error: attempt.error.as_deref(),
            attempts_before: job
                .state
                .attempts
                .saturating_add(retried.map_or(0, |failed| failed.attempts)),
            shown,
        }
    }
}

/// What was done, and what came of it.
struct Attempt {
    /// Identifier of the delivery, as the endpoint saw it.
    id: Uuid,
    started_ms: i64,
    ended_ms: i64,
    elapsed_ms: u64,
    judged: Classified,
    unwanted: bool,
    error: Option<String>,
    /// Where the record shows them.
    request_headers: Option<http::HeaderMap>,
    sent: Option<Prepared>,
    result: Result<Reply, Fault>,
}

impl Attempt {
    fn ended(&self, has_steps: bool) -> Ended {
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

    fn shown(&self, call: &CallRuntime, bodies: bool) -> Shown {
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

/// What an attempt means, and whether the endpoint asked not to be sent this again.
fn judge(plan: &filters::subscription::Subscription, result: &Result<Reply, Fault>, now_ms: i64) -> (Classified, bool) {
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

/// What went wrong, for people.
fn told(result: &Result<Reply, Fault>, judged: &Classified) -> String {
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
        Some(category) => format!("{what}; {}", advice(category, status)),
        None => what,
    }
}

fn outcome(key: DeliveryKey, course: Course, records: Vec<Record>, judged: &Classified, now_ms: i64) -> Outcome {
    let due_ms = match &course {
        Course::Again(state) => Some(state.due_ms),
        _ => None,
    };
    let next = match course {
        Course::Done => Next::Settled,
        Course::Occurrence(state) | Course::Step(state) | Course::Again(state) | Course::Undo(state) => {
            Next::Again(state)
        }
        Course::Dead(dead) => Next::Dead {
            state: dead.state,
            retry_ms: dead.retry_ms,
        },
    };
    Outcome {
        settlement: Settlement { key, next, records },
        verdict: Verdict {
            health: judged.health,
            pause_until_ms: judged.pause_until(now_ms, due_ms),
            disable: judged.disable.map(str::to_owned),
        },
    }
}

/// The time of a delivery may be in its payload, and ingest takes the event even if it is not: the fault is found here.
fn check_schedule(job: &Job, subscription: &SubscriptionRuntime) -> Result<(), Fault> {
    let state = &job.state;
    let schedule = &subscription.subscription.schedule;
    let is_first = state.step == Step::Forward(0) && state.trigger == TriggerType::Event;
    if !schedule.reads_payload() || !is_first {
        return Ok(());
    }
    let first = schedule.first(job.accepted_ms, &job.event.payload);
    first
        .map(|_| ())
        .map_err(|fault| Fault::ours(ErrorCategory::Transformation, fault.to_string()))
}

fn test_job(org_id: u64, event_type: &str, payload: &Value) -> Job {
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

#[cfg(test)]
mod tests;
