//! Secrets that are kept elsewhere, and that integrations refer to.
//!
//! What an object holds is the reference; the API shows it, versions keep it. What gateways get, and what is compiled,
//! has the secret in its place ([`Resolved`]). References are read when an object with them is saved, and again every
//! now and then; a secret that is another one then is a new version. One that cannot be read stays what it was.

mod entries;
mod resolved;
mod sources;

pub(crate) use resolved::{Resolved, Values, Wanted, wanted_by};
pub(crate) use sources::Secrets;
pub use sources::SecretsError;
