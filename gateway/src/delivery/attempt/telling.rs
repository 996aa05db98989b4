//! When an event's producer is told, and what becomes of a delivery whose producer cannot be told.

use std::sync::Arc;

use super::callback::{Message, Told, next_try_ms};
use super::course::{Course, no_longer_owing, owing};
use super::memory::Memory;
use super::{Attempt, Attempts, outcome};
use crate::clock::now_ms;
use crate::delivery::job::{Job, Outcome, Verdict};
use crate::live::subscription::{CallRuntime, SubscriptionRuntime};
use crate::queue::{DeliveryState, Step};

impl Attempts {
    /// Tells the producer that its event is on its way, if this is the first attempt.
    pub(super) async fn told_queued(&self, job: &Job, subscription: &SubscriptionRuntime) {
        let state = &job.state;
        let is_first = state.attempts == 0
            && state.occurrences == 0
            && state.step == Step::Forward(0)
            && state.dead_retries.is_none();
        if !is_first {
            return;
        }
        let message = Message::of(job, subscription, Told::Queued, now_ms()).text();
        if let Err(error) = self.callbacks.tell(job, subscription, &message).await {
            tracing::debug!(%error, event = %job.event.head.id, "a producer could not be told that its event is queued");
        }
    }

    /// Tells the producer of an outcome; where that fails, the delivery stays open for it.
    pub(super) async fn told(
        &self,
        job: &Job,
        subscription: &SubscriptionRuntime,
        attempt: &Attempt,
        course: Course,
    ) -> Course {
        let status = match &course {
            Course::Done | Course::Occurrence(_) => Told::Success,
            // One that fails again is known to have failed.
            Course::Dead(_) if job.state.dead_retries.is_none() => Told::Fail,
            Course::Dead(_) | Course::Step(_) | Course::Again(_) | Course::Undo(_) | Course::Owing(..) => {
                return course;
            }
        };
        let mut message = Message::of(job, subscription, status, attempt.ended_ms);
        message.message_id = attempt.id;
        message.response_status = attempt.result.as_ref().ok().map(|reply| reply.status.as_u16());
        message.error = attempt.error.as_deref();
        if let Course::Dead(dead) = &course {
            message.message_id = dead.failed.id;
            message.response_status = dead.failed.status;
            message.error = Some(&dead.failed.error);
        }
        let text = message.text();
        let Err(error) = self.callbacks.tell(job, subscription, &text).await else {
            return course;
        };
        tracing::debug!(%error, event = %job.event.head.id, "a producer could not be told what became of its event");
        match next_try_ms(1, now_ms()) {
            Some(due_ms) => owing(&job.state, course, text, due_ms),
            None => course,
        }
    }

    /// Tells the producer of an outcome that it could not be told of before.
    pub(super) async fn told_late(
        &self,
        job: &Job,
        subscription: &Arc<SubscriptionRuntime>,
        call: &CallRuntime,
        memory: Memory,
    ) -> Outcome {
        let Some(owed) = &memory.owed else {
            unreachable!("only those that owe something come here");
        };
        let told = self.callbacks.tell(job, subscription, &owed.message).await;
        self.after_telling(job, subscription, call, memory, told)
    }

    pub(super) fn after_telling(
        &self,
        job: &Job,
        subscription: &Arc<SubscriptionRuntime>,
        call: &CallRuntime,
        mut memory: Memory,
        told: Result<(), String>,
    ) -> Outcome {
        let now_ms = now_ms();
        let (next_ms, tries) = match (&mut memory.owed, &told) {
            (Some(owed), Err(_)) => {
                owed.tries = owed.tries.saturating_add(1);
                (next_try_ms(owed.tries, now_ms), owed.tries)
            }
            _ => (None, 0),
        };
        let (course, records) = match (next_ms, told) {
            (Some(due_ms), _) => {
                let state = DeliveryState {
                    due_ms,
                    answers: memory.text(),
                    ..job.state.clone()
                };
                (Course::Again(state), Vec::new())
            }
            (None, told) => {
                if let Err(error) = told {
                    let event = &job.event.head.id;
                    tracing::warn!(%error, %event, tries, "a producer is not told what became of its event");
                }
                let attempt = Attempt::none(&job.state, now_ms);
                let course = no_longer_owing(&job.state, memory.clone(), now_ms);
                let records = self
                    .facts(job, subscription, call, &memory, &attempt, None)
                    .late_records(&course);
                (course, records)
            }
        };
        let mut outcome = outcome(
            job.key,
            course,
            records,
            &Attempt::none(&job.state, now_ms).judged,
            now_ms,
        );
        outcome.verdict = Verdict::default();
        outcome
    }
}
