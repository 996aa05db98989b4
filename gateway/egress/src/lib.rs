//! The one way out.
//!
//! Whatever a program here wants from a partner goes through this crate: names are resolved ([`Resolver`]), every
//! address is checked against the organization's policy and pinned ([`Upstream`]), connections are kept apart by
//! integration ([`Pool`]) and few when idle ([`IdleLimit`]), a large [`Body`] stays in its file, and an [`Answer`] has a
//! deadline and a cap. Redirects are answers like any other, and proxies
//! named in the environment are not used.
//!
//! ```text
//! Pool::send -> an idle connection, or connect -> Upstream -> Resolver -> policy
//!            -> request out, head in (first byte) -> Answer::chunk or collect -> connection back to the pool
//! ```
//!
//! The streaming path asks the same [`Upstream`] for a checked address and connects by itself.

mod answer;
mod body;
mod connections;
mod connector;
mod error;
mod idle;
mod multiplex;
mod pool;
mod resolver;
mod tls;
mod token;
mod upstream;

pub use answer::Answer;
pub use body::{Body, Part, READ};
pub use error::{EgressError, ResolveError, SetupError};
pub use idle::IdleLimit;
pub use pool::{Pool, PoolSettings, Timeouts};
pub use resolver::{Resolved, Resolver};
pub use tls::{ClientTls, Trust, client_config, trust_bundle};
pub use token::{Claim, GrantStore, Token, TokenCall, TokenError, TokenSource, Tokens};
pub use upstream::Upstream;
