//! Ends a run from inside the interpreter: by the caller's check, or by a function that met a limit.

use std::cell::{Cell, RefCell};

use super::fault::Stopped;

/// The stop check of the run under way, where the interpreter can reach it.
#[derive(Default)]
pub(super) struct Gate {
    check: RefCell<Option<StopCheck>>,
    reason: Cell<Option<Closed>>,
}

pub(super) type StopCheck = Box<dyn Fn() -> Option<Stopped>>;

/// Why the run ends. Kept once set: a script that catches its own end does not go on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Closed {
    /// The caller said so.
    Stopped(Stopped),
    /// A value became too large in a place where the interpreter passes no error on.
    TooLarge,
}

impl Gate {
    /// Begins a run.
    pub(super) fn open(&self, check: StopCheck) {
        self.reason.set(None);
        self.check.replace(Some(check));
    }

    /// Ends a run and says why it had to end, if it had to.
    pub(super) fn close(&self) -> Option<Closed> {
        self.check.replace(None);
        self.reason.take()
    }

    /// Ends the run at its next operation.
    pub(super) fn too_large(&self) {
        self.reason.set(Some(Closed::TooLarge));
    }

    /// True if the run has to end.
    pub(super) fn is_closed(&self) -> bool {
        if self.reason.get().is_none() {
            let stopped = self.check.borrow().as_ref().and_then(|check| check());
            self.reason.set(stopped.map(Closed::Stopped));
        }
        self.reason.get().is_some()
    }
}
