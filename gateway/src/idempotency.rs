//! Answers kept by idempotency key, so that a repeated request gets the answer of the first one and the partner one call.
//!
//! They are in memory, of bounded size, and gone with the process: a repeat after a restart goes to the partner, with the key
//! that the client gave. When there is no more room, the organization that takes most of it loses its oldest answers.

mod table;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;

use table::{Found, Table};

/// An answer as its first client got it.
#[derive(Debug)]
pub struct Kept {
    /// Its status.
    pub status: StatusCode,
    /// Its fields, without those that belong to the one request.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Whose key it is.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The organization.
    pub org_id: u64,
    /// The integration.
    pub integration: &'a str,
    /// The caller: consumer, kind and issuer of its token, name; where nobody says who they are, the client's address.
    pub caller: [&'a str; 5],
}

/// What becomes of a request with a key.
#[derive(Debug)]
pub enum Entered {
    /// It is the first: it goes to the partner, and its answer is handed to the turn.
    First(Turn),
    /// There is an answer already.
    Repeat(Arc<Kept>),
    /// It was carried out, and its answer was too large to be kept.
    NotKept,
    /// The key belongs to another request.
    Other,
    /// The first one is still under way, for longer than this one may wait.
    UnderWay,
}

/// All keys of the process.
#[derive(Debug)]
pub struct Answers {
    table: Arc<Mutex<Table>>,
}

/// The turn of the first request of a key. If it is dropped without an answer, the next request of the key gets it.
#[derive(Debug)]
pub struct Turn {
    table: Arc<Mutex<Table>>,
    key: [u8; 32],
    number: u64,
    keep: Duration,
    /// Wakes those who wait when it is dropped.
    _wakes: watch::Sender<()>,
}

impl Answers {
    /// Nothing kept yet, and room for answers of `max_bytes` together.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            table: Arc::new(Mutex::new(Table::new(max_bytes))),
        }
    }

    /// Says what becomes of a request with the key `key`, which is told from others by its `fingerprint`. Waits for the
    /// first request of the key, if that is under way, until `deadline`.
    pub async fn enter(
        &self,
        scope: Scope<'_>,
        key: &str,
        fingerprint: [u8; 32],
        keep: Duration,
        deadline: Instant,
    ) -> Entered {
        let digest = digest_of(scope, key);
        loop {
            let mut first_ends = {
                let mut table = self.table.lock();
                match table.find(&digest, &fingerprint, Instant::now()) {
                    Found::Nothing => {
                        let (wakes, first_ends) = watch::channel(());
                        let number = table.begin(digest, scope.org_id, fingerprint, first_ends);
                        return Entered::First(Turn {
                            table: Arc::clone(&self.table),
                            key: digest,
                            number,
                            keep,
                            _wakes: wakes,
                        });
                    }
                    Found::Kept(answer) => return Entered::Repeat(answer),
                    Found::NotKept => return Entered::NotKept,
                    Found::Other => return Entered::Other,
                    Found::UnderWay(first_ends) => first_ends,
                }
            };
            // The sender sends nothing: it is dropped.
            if tokio::time::timeout_at(deadline, first_ends.changed()).await.is_err() {
                return Entered::UnderWay;
            }
        }
    }
}

impl Turn {
    /// Keeps the answer for those who repeat the request; `None` only that it was carried out.
    pub fn keep(self, answer: Option<Kept>) {
        let expires = Instant::now() + self.keep;
        self.table.lock().end(&self.key, self.number, answer, expires);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.table.lock().give_up(&self.key, self.number);
    }
}

/// What tells a request from others: its method, address and body.
pub fn fingerprint(method: &http::Method, path_and_query: &str, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [method.as_str().as_bytes(), path_and_query.as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn digest_of(scope: Scope<'_>, key: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(scope.org_id.to_be_bytes());
    for part in [scope.integration].into_iter().chain(scope.caller).chain([key]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
