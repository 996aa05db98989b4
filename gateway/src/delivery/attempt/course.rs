//! What becomes of a delivery after an attempt: tried again, next step, undone, settled, or a dead letter. Pure: time and
//! chance are arguments.
//!
//! ```text
//! forward i --delivered--> forward i+1 ... --> done, or the next occurrence of a recurring one
//!         \--fails--> again by the schedule ... --for good--> back j (the steps before it that can be undone, last first)
//!                                                                \--> dead letter of step i
//! dead letter --retried--> once: goes on as above, or stays one
//! ```

use filters::delivery::{Classified, Meaning};
use filters::model::delivery::{ErrorCategory, TriggerType};
use filters::model::outbound::handling::OnBlocked;
use filters::subscription::Subscription;
use uuid::Uuid;

use super::memory::{Failed, Memory, Owed, StepAnswer, Then};
use crate::queue::{DeliveryState, Step};

/// How an attempt ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// When, in milliseconds since the epoch.
    pub(super) now_ms: i64,
    pub(super) judged: Classified,
    pub(super) status: Option<u16>,
    /// What went wrong, for people.
    pub(super) error: String,
    /// The answer, where later steps see it.
    pub(super) answer: Option<StepAnswer>,
    /// True if the endpoint asked not to be sent this again.
    pub(super) unwanted: bool,
}

/// What becomes of a delivery.
#[derive(Debug, PartialEq)]
pub(super) enum Course {
    /// The last step was taken, and nothing follows.
    Done,
    /// The last step was taken, and it is due again by its schedule.
    Occurrence(DeliveryState),
    /// The step was taken, and another one follows.
    Step(DeliveryState),
    /// The attempt is repeated.
    Again(DeliveryState),
    /// It failed for good, or a step was undone: a step is to be undone next.
    Undo(DeliveryState),
    /// It failed for good, and nothing is left to undo.
    Dead(Dead),
    /// It is over, and stays open until its producer is told: in the first state. The second is what it is then.
    Owing(DeliveryState, Box<Self>),
}

/// A dead letter.
#[derive(Debug, PartialEq)]
pub(super) struct Dead {
    /// How it goes on if it is retried.
    pub(super) state: DeliveryState,
    /// When that happens by itself.
    pub(super) retry_ms: Option<i64>,
    pub(super) failed: Failed,
    /// True if all automatic retries are used up.
    pub(super) abandoned: bool,
}

/// What becomes of the delivery in `state` after an attempt that ended so. `random` is between 0 and 1.
pub(super) fn course(
    subscription: &Subscription,
    state: &DeliveryState,
    memory: Memory,
    ended: &Ended,
    random: f64,
) -> Course {
    let delivery = Delivery {
        subscription,
        state,
        ended,
    };
    let is_delivered = ended.judged.meaning == Meaning::Delivered;
    match state.step {
        Step::Forward(step) if is_delivered => delivery.taken(step, memory),
        Step::Back(step) if is_delivered => delivery.undo_before(step, memory),
        Step::Forward(_) if state.dead_retries.is_some() => delivery.dead_again(memory),
        Step::Forward(step) => match delivery.retry_ms(random) {
            Some(due_ms) => Course::Again(delivery.repeated(due_ms, memory)),
            None => delivery.failed(step, memory),
        },
        Step::Back(step) => match delivery.retry_ms(random) {
            Some(due_ms) => Course::Again(delivery.repeated(due_ms, memory)),
            None => delivery.not_undone(step, memory),
        },
    }
}

/// `course`, which is over, put off until the producer was told `message`.
pub(super) fn owing(state: &DeliveryState, course: Course, message: Box<str>, due_ms: i64) -> Course {
    let (then, mut memory) = match &course {
        Course::Done => (Then::Done, Memory::default()),
        Course::Occurrence(next) => {
            let then = Then::Occurrence {
                due_ms: next.due_ms,
                occurrences: next.occurrences,
            };
            (then, Memory::default())
        }
        Course::Dead(dead) => {
            let then = Then::Dead {
                retry_ms: dead.retry_ms,
                from_first: dead.failed.undone,
            };
            (then, Memory::of(dead.state.answers.as_deref()))
        }
        Course::Step(_) | Course::Again(_) | Course::Undo(_) | Course::Owing(..) => return course,
    };
    memory.owed = Some(Owed {
        message,
        tries: 1,
        then,
    });
    let state = DeliveryState {
        due_ms,
        attempts: 0,
        // Nobody waits for that.
        order_key: None,
        dead_retries: None,
        answers: memory.text(),
        ..state.clone()
    };
    Course::Owing(state, Box::new(course))
}

/// How a delivery goes on whose producer was told, or is told no more.
pub(super) fn no_longer_owing(state: &DeliveryState, mut memory: Memory, now_ms: i64) -> Course {
    let Some(owed) = memory.owed.take() else {
        return Course::Done;
    };
    let state = DeliveryState {
        attempts: 0,
        ..state.clone()
    };
    match owed.then {
        Then::Done => Course::Done,
        Then::Occurrence { due_ms, occurrences } => Course::Occurrence(DeliveryState {
            id: Uuid::now_v7(),
            trigger: TriggerType::Scheduled,
            step: Step::Forward(0),
            due_ms,
            answers: None,
            occurrences,
            ..state
        }),
        Then::Dead { retry_ms, from_first } => {
            let Some(failed) = memory.failed.clone() else {
                return Course::Done;
            };
            Course::Dead(Dead {
                state: DeliveryState {
                    id: failed.id,
                    trigger: TriggerType::Scheduled,
                    step: Step::Forward(if from_first { 0 } else { failed.step }),
                    due_ms: retry_ms.unwrap_or(now_ms),
                    answers: memory.text(),
                    dead_retries: Some(0),
                    ..state
                },
                retry_ms,
                failed,
                abandoned: false,
            })
        }
    }
}

struct Delivery<'a> {
    subscription: &'a Subscription,
    state: &'a DeliveryState,
    ended: &'a Ended,
}

impl Delivery<'_> {
    /// The step was taken.
    fn taken(&self, step: u16, mut memory: Memory) -> Course {
        memory.failed = None;
        let plans = &self.subscription.steps;
        let next = step.saturating_add(1);
        if let Some(plan) = plans.get(usize::from(next)) {
            self.remember_schedule(&mut memory);
            if let (Some(name), Some(answer)) = (&plans[usize::from(step)].name, &self.ended.answer) {
                memory.answers.insert(name.to_string(), answer.clone());
            }
            return Course::Step(DeliveryState {
                step: Step::Forward(next),
                due_ms: later(self.ended.now_ms, plan.delay_ms),
                answers: memory.text(),
                ..self.fresh()
            });
        }
        let occurrences = self.state.occurrences.saturating_add(1);
        let scheduled_ms = memory.scheduled_ms.unwrap_or_else(|| self.scheduled_ms());
        let following = self
            .subscription
            .schedule
            .following(scheduled_ms, self.ended.now_ms, occurrences);
        following.map_or(Course::Done, |due_ms| {
            Course::Occurrence(DeliveryState {
                step: Step::Forward(0),
                due_ms: later(due_ms, self.first_delay_ms()),
                answers: None,
                occurrences,
                trigger: TriggerType::Scheduled,
                ..self.fresh()
            })
        })
    }

    /// The step failed for good: those before it are undone, the last one first.
    fn failed(&self, step: u16, mut memory: Memory) -> Course {
        memory.failed = Some(Failed {
            id: self.state.id,
            step,
            since_ms: self.ended.now_ms,
            attempts: self.state.attempts.saturating_add(1),
            category: self.category(),
            status: self.ended.status,
            error: self.ended.error.clone(),
            unwanted: self.ended.unwanted,
            undone: false,
        });
        self.undo_before(step, memory)
    }

    /// A compensation failed for good: the dead letter says so, and the other steps are undone all the same.
    fn not_undone(&self, step: u16, mut memory: Memory) -> Course {
        if let Some(failed) = &mut memory.failed {
            let plan = self.subscription.steps.get(usize::from(step));
            let name = plan.and_then(|plan| plan.name.as_deref()).unwrap_or_default();
            let error = &self.ended.error;
            failed
                .error
                .push_str(&format!("; step `{name}` could not be undone: {error}"));
        }
        self.undo_before(step, memory)
    }

    /// Undoes the last step before `step` that can be undone, or ends as a dead letter.
    fn undo_before(&self, step: u16, mut memory: Memory) -> Course {
        let steps = self.subscription.steps.iter().take(usize::from(step)).enumerate();
        let last = steps.filter(|(_, plan)| plan.compensate.is_some()).last();
        let Some(place) = last.and_then(|(place, _)| u16::try_from(place).ok()) else {
            return self.dead(memory);
        };
        self.remember_schedule(&mut memory);
        if let Some(failed) = &mut memory.failed {
            failed.undone = true;
        }
        Course::Undo(DeliveryState {
            step: Step::Back(place),
            due_ms: self.ended.now_ms,
            answers: memory.text(),
            ..self.fresh()
        })
    }

    /// The retry of a dead letter failed.
    fn dead_again(&self, mut memory: Memory) -> Course {
        let step = match self.state.step {
            Step::Forward(step) | Step::Back(step) => step,
        };
        let before = memory.failed.take();
        memory.failed = Some(Failed {
            id: self.state.id,
            step,
            since_ms: before.as_ref().map_or(self.ended.now_ms, |before| before.since_ms),
            attempts: before.as_ref().map_or(0, |before| before.attempts).saturating_add(1),
            category: self.category(),
            status: self.ended.status,
            error: self.ended.error.clone(),
            unwanted: self.ended.unwanted,
            undone: before.is_some_and(|before| before.undone),
        });
        self.dead(memory)
    }

    fn dead(&self, mut memory: Memory) -> Course {
        self.remember_schedule(&mut memory);
        let failed = memory.failed.clone().unwrap_or_else(|| Failed {
            id: self.state.id,
            step: 0,
            since_ms: self.ended.now_ms,
            attempts: self.state.attempts.saturating_add(1),
            category: self.category(),
            status: self.ended.status,
            error: self.ended.error.clone(),
            unwanted: false,
            undone: false,
        });
        if failed.undone {
            // A retry takes all steps anew.
            memory.answers.clear();
        }
        let retries = self.state.dead_retries.unwrap_or(0);
        let plan = &self.subscription.dead_letter_retry;
        let delay_ms = plan.delays_ms.get(usize::try_from(retries).unwrap_or(usize::MAX));
        let retry_ms = delay_ms
            .filter(|_| plan.enabled && !failed.unwanted)
            .map(|delay_ms| later(failed.since_ms, *delay_ms).max(self.ended.now_ms.saturating_add(LEAST_PAUSE_MS)));
        Course::Dead(Dead {
            state: DeliveryState {
                id: failed.id,
                step: Step::Forward(if failed.undone { 0 } else { failed.step }),
                due_ms: retry_ms.unwrap_or(self.ended.now_ms),
                trigger: TriggerType::Scheduled,
                order_key: None,
                answers: memory.text(),
                dead_retries: Some(retries),
                ..self.fresh()
            },
            abandoned: plan.enabled && !failed.unwanted && retry_ms.is_none() && self.state.dead_retries.is_some(),
            retry_ms,
            failed,
        })
    }

    /// When the attempt is repeated; `None` if it failed for good.
    fn retry_ms(&self, random: f64) -> Option<i64> {
        match self.ended.judged.meaning {
            Meaning::Delivered | Meaning::DeadLetter => return None,
            // A token was renewed within the attempt, if it could be.
            Meaning::Retry | Meaning::RenewToken => {}
        }
        let attempts = self.state.attempts.saturating_add(1);
        match self.subscription.order.on_blocked {
            OnBlocked::DeadLetterAfter(most) if self.state.order_key.is_some() && attempts >= most => None,
            OnBlocked::DeadLetterAfter(_) | OnBlocked::Block => {
                let wait_ms = self.ended.judged.wait_ms;
                self.subscription
                    .retry
                    .next(attempts, self.ended.now_ms, wait_ms, random)
            }
        }
    }

    fn repeated(&self, due_ms: i64, mut memory: Memory) -> DeliveryState {
        self.remember_schedule(&mut memory);
        DeliveryState {
            due_ms,
            attempts: self.state.attempts.saturating_add(1),
            answers: memory.text(),
            ..self.state.clone()
        }
    }

    /// The state for another call: its own identifier, no attempts, no dead letter.
    fn fresh(&self) -> DeliveryState {
        DeliveryState {
            id: Uuid::now_v7(),
            attempts: 0,
            dead_retries: None,
            trigger: match self.state.trigger {
                // What an operator began goes on as what it was; a dead letter's own retry was no one's wish.
                TriggerType::Scheduled if self.state.dead_retries.is_some() => TriggerType::Event,
                trigger => trigger,
            },
            ..self.state.clone()
        }
    }

    /// Keeps the time that a recurring delivery was due by its schedule, as the next attempt has another.
    fn remember_schedule(&self, memory: &mut Memory) {
        if self.subscription.schedule.is_recurring() && memory.scheduled_ms.is_none() {
            memory.scheduled_ms = Some(self.scheduled_ms());
        }
    }

    /// When it was due by its schedule, while that is what it waited for.
    fn scheduled_ms(&self) -> i64 {
        let delay_ms = i64::try_from(self.first_delay_ms()).unwrap_or(i64::MAX);
        self.state.due_ms.saturating_sub(delay_ms)
    }

    fn first_delay_ms(&self) -> u64 {
        self.subscription.steps.first().map_or(0, |step| step.delay_ms)
    }

    fn category(&self) -> ErrorCategory {
        self.ended.judged.category.unwrap_or(ErrorCategory::Internal)
    }
}

fn later(from_ms: i64, delay_ms: u64) -> i64 {
    from_ms.saturating_add(i64::try_from(delay_ms).unwrap_or(i64::MAX))
}

/// The least time between two retries of a dead letter.
const LEAST_PAUSE_MS: i64 = 60_000;

#[cfg(test)]
mod tests;
