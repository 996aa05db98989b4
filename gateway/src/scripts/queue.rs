//! A queue that gives each organization its turn.

use std::collections::{HashMap, VecDeque};

/// Jobs that wait, by organization. Organizations take turns; within one, the first comes first.
#[derive(Debug)]
pub(super) struct FairQueue<J> {
    /// Organizations with jobs waiting, in the order of their turns.
    turns: VecDeque<u64>,
    organizations: HashMap<u64, Organization<J>>,
    waiting: usize,
    max_waiting: usize,
    max_running: usize,
    closed: bool,
}

#[derive(Debug)]
struct Organization<J> {
    waiting: VecDeque<J>,
    running: usize,
}

impl<J> FairQueue<J> {
    /// A queue for `max_waiting` jobs, half of them of one organization, of which `max_running` may run at a time.
    pub(super) fn new(max_waiting: usize, max_running: usize) -> Self {
        Self {
            turns: VecDeque::new(),
            organizations: HashMap::new(),
            waiting: 0,
            max_waiting: max_waiting.max(1),
            max_running,
            closed: false,
        }
    }

    /// Adds a job; false if there is no room for it.
    pub(super) fn push(&mut self, organization: u64, job: J) -> bool {
        if self.closed || self.waiting >= self.max_waiting {
            return false;
        }
        let share = self.max_waiting.div_ceil(2);
        let jobs = self.organizations.entry(organization).or_insert_with(|| Organization {
            waiting: VecDeque::new(),
            running: 0,
        });
        if jobs.waiting.len() >= share {
            return false;
        }
        if jobs.waiting.is_empty() {
            self.turns.push_back(organization);
        }
        jobs.waiting.push_back(job);
        self.waiting += 1;
        true
    }

    /// Takes the first job of the first organization that may run one more. [`FairQueue::finished`] must follow.
    pub(super) fn pop(&mut self) -> Option<(u64, J)> {
        for turn in 0..self.turns.len() {
            let organization = *self.turns.get(turn)?;
            let jobs = self.organizations.get_mut(&organization)?;
            if jobs.running >= self.max_running {
                continue;
            }
            let job = jobs.waiting.pop_front()?;
            jobs.running += 1;
            let more = !jobs.waiting.is_empty();
            self.waiting -= 1;
            self.turns.remove(turn);
            if more {
                self.turns.push_back(organization);
            }
            return Some((organization, job));
        }
        None
    }

    /// Notes that a job has ended.
    pub(super) fn finished(&mut self, organization: u64) {
        if let Some(jobs) = self.organizations.get_mut(&organization) {
            jobs.running = jobs.running.saturating_sub(1);
            if jobs.running == 0 && jobs.waiting.is_empty() {
                self.organizations.remove(&organization);
            }
        }
    }

    /// Lets nothing in any more, and drops what waits.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.turns.clear();
        self.organizations.clear();
        self.waiting = 0;
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organizations_take_turns() {
        let mut queue = FairQueue::new(100, 10);
        for job in 0..4 {
            assert!(queue.push(1, job));
        }
        assert!(queue.push(2, 20));
        assert!(queue.push(3, 30));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(1, 0), (2, 20), (3, 30), (1, 1), (1, 2), (1, 3)]);
    }

    #[test]
    fn one_organization_cannot_take_every_thread() {
        let mut queue = FairQueue::new(100, 2);
        for job in 0..4 {
            queue.push(1, job);
        }
        assert_eq!(queue.pop(), Some((1, 0)));
        assert_eq!(queue.pop(), Some((1, 1)));
        assert_eq!(queue.pop(), None);
        queue.push(2, 20);
        assert_eq!(queue.pop(), Some((2, 20)));
        queue.finished(1);
        assert_eq!(queue.pop(), Some((1, 2)));
    }

    #[test]
    fn one_organization_cannot_fill_the_queue() {
        let mut queue = FairQueue::new(4, 1);
        assert!(queue.push(1, 0));
        assert!(queue.push(1, 1));
        assert!(!queue.push(1, 2));
        assert!(queue.push(2, 0));
        assert!(queue.push(3, 0));
        assert!(!queue.push(4, 0));
        assert!(queue.pop().is_some());
        assert!(queue.push(4, 0));
    }

    #[test]
    fn organizations_without_jobs_are_forgotten() {
        let mut queue = FairQueue::new(4, 1);
        for organization in 0..1_000 {
            assert!(queue.push(organization, ()));
            assert!(queue.pop().is_some());
            queue.finished(organization);
        }
        assert!(queue.organizations.is_empty() && queue.turns.is_empty() && queue.waiting == 0);
    }

    #[test]
    fn a_closed_queue_is_empty_and_stays_so() {
        let mut queue = FairQueue::new(4, 1);
        queue.push(1, ());
        queue.close();
        assert!(queue.is_closed() && queue.pop().is_none() && !queue.push(1, ()));
    }
}
