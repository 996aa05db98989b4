//! How the first administrator comes in: with a token that is shown at the start while there is nobody, is kept in memory
//! only, and works once.

use filters::model::Secret;
use parking_lot::Mutex;

use crate::access::{KeyHash, random_key};

/// The identifier of the account that the token makes. It is always the same, so that of two who come at the same time the
/// store lets one in.
pub(super) const FIRST_ID: &str = "00000000-0000-7000-8000-000000000001";

/// The token, until it was used.
#[derive(Debug)]
pub(super) struct FirstAdmin(Mutex<Option<Waiting>>);

#[derive(Debug)]
struct Waiting {
    hash: KeyHash,
    /// Until it was shown.
    token: Option<Secret>,
}

impl FirstAdmin {
    pub(super) fn new(is_anybody: bool) -> Self {
        let waiting = (!is_anybody).then(|| {
            let token = random_key();
            Waiting {
                hash: KeyHash::of(token.expose()),
                token: Some(token),
            }
        });
        Self(Mutex::new(waiting))
    }

    /// The token, the first time that it is asked for.
    pub(super) fn shown(&self) -> Option<Secret> {
        self.0.lock().as_mut()?.token.take()
    }

    /// True if this is the token.
    pub(super) fn is(&self, token: &Secret) -> bool {
        let waiting = self.0.lock();
        waiting
            .as_ref()
            .is_some_and(|waiting| waiting.hash.matches(token.expose()))
    }

    /// The token does not work any more.
    pub(super) fn done(&self) {
        *self.0.lock() = None;
    }
}
