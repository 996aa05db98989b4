//! One attempt at a delivery, from its job to what is committed of it.
//!
//! ```text
//! run -> prepare (enrich, transform) -> request (headers, signature, sign-in) -> send -> classify
//!     -> course (again, next step, undo, dead letter, settled) -> records -> Outcome
//! ```

mod callback;
mod content;
mod course;
mod enrich;
mod fault;
mod judged;
mod memory;
mod payload;
mod record;
mod request;
mod send;
mod telling;
mod trial;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use egress::{Token, TokenError, TokenSource};
use filters::delivery::{Classified, Meaning};
use filters::model::delivery::{DeliveryLog, DeliveryStatus, ErrorCategory, TriggerType};
use filters::model::outbound::RecordBodies;
use http::StatusCode;
use serde_json::Value;

use super::job::{Job, Outcome, Verdict};
use crate::clock::now_ms;
use crate::live::subscription::{CallRuntime, SubscriptionRuntime};
use crate::queue::{DeliveryKey, Next, Record, Settlement, Step};
use crate::scripts::ScriptPool;
use callback::Callbacks;
use content::Spool;
use course::Course;
use fault::Fault;
pub(crate) use fault::category;
use judged::{Attempt, asks_for_token, judge, told};
use memory::Memory;
use payload::{Prepared, prepare};
use record::{Facts, Shown};
use request::{Draft, Trace};
use send::{Reply, send};
use trial::test_job;

/// Makes attempts. One for the process; it holds what all attempts share.
#[derive(Debug)]
pub struct Attempts {
    scripts: Arc<ScriptPool>,
    spool: Spool,
    callbacks: Callbacks,
    gateway_id: Arc<str>,
}

impl Attempts {
    /// Runs scripts on `scripts`, and keeps large content for the time of an attempt in files in `folder`, at most
    /// `spool_bytes` of it.
    pub fn new(scripts: Arc<ScriptPool>, gateway_id: Arc<str>, folder: &Path, spool_bytes: u64) -> Self {
        Self {
            scripts,
            spool: Spool::new(folder, spool_bytes),
            callbacks: Callbacks::default(),
            gateway_id,
        }
    }

    /// What runs scripts.
    pub const fn scripts(&self) -> &Arc<ScriptPool> {
        &self.scripts
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
        if memory.owed.is_some() {
            return self.told_late(&job, subscription, call, memory).await;
        }
        let record_bodies = subscription.subscription.record_bodies;
        let attempt = self.attempt(&job, subscription, call, &memory, record_bodies);
        if job.event.head.status_callback.is_none() {
            let attempt = attempt.await;
            let course = attempt.course(&job, subscription, memory.clone());
            return self.settled(&job, subscription, call, &memory, &attempt, course);
        }
        let (attempt, ()) = tokio::join!(attempt, self.told_queued(&job, subscription));
        let course = attempt.course(&job, subscription, memory.clone());
        let course = self.told(&job, subscription, &attempt, course).await;
        self.settled(&job, subscription, call, &memory, &attempt, course)
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
            elapsed: begun.elapsed(),
            error: (!is_delivered).then(|| told(&result, &judged, unwanted)),
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
        match &draft.call.token {
            None => send_with(draft, prepared, None).await,
            Some(source) => signed_in(draft, prepared, source).await,
        }
    }

    fn settled(
        &self,
        job: &Job,
        subscription: &Arc<SubscriptionRuntime>,
        call: &CallRuntime,
        memory: &Memory,
        attempt: &Attempt,
        course: Course,
    ) -> Outcome {
        let is_delivered = attempt.judged.meaning == Meaning::Delivered;
        attempt.count(subscription, &course);
        let bodies = match subscription.subscription.record_bodies {
            RecordBodies::All => true,
            RecordBodies::Errors => !is_delivered,
            RecordBodies::None => false,
        };
        let shown = (bodies || !is_delivered).then(|| attempt.shown(call, bodies));
        let facts = self.facts(job, subscription, call, memory, attempt, shown);
        let records = facts.records(&course);
        outcome(job.key, course, records, &attempt.judged, attempt.ended_ms)
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
            elapsed: Duration::ZERO,
            error: Some(told(&result, &judged, unwanted)),
            judged,
            unwanted,
            request_headers: None,
            sent: None,
            result,
        };
        if memory.owed.is_some() {
            return self.after_telling(job, subscription, call, memory, Err(attempt.error.unwrap_or_default()));
        }
        let course = attempt.course(job, subscription, memory.clone());
        self.settled(job, subscription, call, &memory, &attempt, course)
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
            elapsed_ms: u64::try_from(attempt.elapsed.as_millis()).unwrap_or(u64::MAX),
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

fn outcome(key: DeliveryKey, course: Course, records: Vec<Record>, judged: &Classified, now_ms: i64) -> Outcome {
    let due_ms = match &course {
        Course::Again(state) => Some(state.due_ms),
        _ => None,
    };
    let next = match course {
        Course::Done => Next::Settled,
        Course::Occurrence(state)
        | Course::Step(state)
        | Course::Again(state)
        | Course::Undo(state)
        | Course::Owing(state, _) => Next::Again(state),
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

async fn send_with(draft: &Draft<'_>, prepared: &Prepared, token: Option<&Token>) -> Result<Reply, Fault> {
    let request = draft.request(prepared, token).await?;
    let subscription = draft.subscription;
    let most = usize::try_from(subscription.subscription.max_response_bytes).unwrap_or(usize::MAX);
    let reply = send(draft.call.target.pool(), request, subscription.timeouts, most).await?;
    if let Some(token) = token.filter(|_| reply.status != StatusCode::UNAUTHORIZED) {
        token.accepted();
    }
    Ok(reply)
}

/// Sends with a token, and once more with a new one if the endpoint does not take the first.
async fn signed_in(draft: &Draft<'_>, prepared: &Prepared, source: &Arc<TokenSource>) -> Result<Reply, Fault> {
    let limit = draft.subscription.timeouts.total;
    let no_token = |error: Arc<TokenError>| Fault::of_sign_in(&error);
    let token = source.token(limit).await.map_err(no_token)?;
    let reply = send_with(draft, prepared, Some(&token)).await?;
    if !asks_for_token(&draft.subscription.subscription, &reply, now_ms()) {
        return Ok(reply);
    }
    match source.renewed(&token, limit).await.map_err(no_token)? {
        Some(renewed) => send_with(draft, prepared, Some(&renewed)).await,
        None => Ok(reply),
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

#[cfg(test)]
mod tests;
