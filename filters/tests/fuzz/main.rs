//! What comes from outside is thrown at every reader of it: as it stands in the corpus, and changed at random. Nothing may
//! panic, and what is accepted must mean one thing. `PROPTEST_CASES` says how long it is tried.
#![expect(clippy::unwrap_used, reason = "a broken test stops at once")]
#![expect(clippy::disallowed_methods, reason = "the corpus lies in files")]

mod corpus;
mod mappings;
mod paths;
mod records;
mod requests;
mod snapshots;
