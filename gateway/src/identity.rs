//! Who is calling, where that cannot be told from the request alone: keys of issuers, tokens that have to be asked about,
//! and signatures that must not come twice. What is fetched goes through `egress` under the organization's policy.
//!
//! ```text
//! proxy/admit/credential.rs -> filters::auth (what can be told at once)
//!                           -> settle: keys.rs (JWK sets) | tokens.rs (introspection) | replays.rs
//! ```

mod door;
mod keys;
mod replays;
mod tokens;

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use filters::address::EgressPolicy;
use filters::auth::jwt::Keys;
use filters::auth::{AuthRefusal, Checked, Identity, Presented, Way};
use filters::plan::Integration;
use filters::target::TargetUrl;
use parking_lot::Mutex;

use crate::live::Deps;
use keys::KeySource;
use replays::Replays;
use tokens::TokenSource;

/// Why it is not known who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotKnown {
    /// The request does not show a good credential.
    Refused(AuthRefusal),
    /// Who could tell does not answer, or there is no room to remember the request.
    Unavailable,
}

impl From<AuthRefusal> for NotKnown {
    fn from(refusal: AuthRefusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What the ways in to one integration fetch and remember, by their index; empty if none does.
#[derive(Debug, Default)]
pub struct Memories(Box<[Memory]>);

#[derive(Clone, Debug)]
enum Memory {
    /// It has all that it needs.
    None,
    Keys(Arc<KeySource>),
    Tokens(Arc<TokenSource>),
    Replays(Arc<Replays>),
}

impl Memories {
    /// For `integration`, with what `previous` has learnt already.
    pub fn of(integration: &Integration, previous: Option<&Self>, deps: &Deps) -> Self {
        let ways = integration.inbound.ways();
        let memories: Vec<Memory> = ways
            .iter()
            .enumerate()
            .map(|(index, way)| match way {
                Way::Jwt(check) => match check.keys() {
                    Keys::Fixed(_) => Memory::None,
                    Keys::Fetched(url) => Memory::Keys(deps.issuers.keys(integration, url, deps)),
                },
                Way::Introspection(check) => {
                    let known = previous.and_then(|previous| previous.tokens(index));
                    Memory::Tokens(TokenSource::carried(known, check, &integration.egress, deps))
                }
                Way::Signature(check) => {
                    let known = previous.and_then(Self::replays);
                    Memory::Replays(Replays::carried(known, check.window_seconds()))
                }
                Way::ApiKey { .. } | Way::Bearer(_) | Way::Basic(_) | Way::Certificate(_) => Memory::None,
            })
            .collect();
        if memories.iter().all(|memory| matches!(memory, Memory::None)) {
            return Self::default();
        }
        Self(memories.into())
    }

    /// Who it is that `way`, the one with this index, made `checked` of.
    ///
    /// # Errors
    /// Why that is not known.
    pub async fn settle(
        &self,
        index: usize,
        way: &Way,
        checked: Checked<'_>,
        request: &Presented<'_>,
    ) -> Result<Identity, NotKnown> {
        let memory = self.0.get(index).unwrap_or(&Memory::None);
        match (checked, way, memory) {
            (Checked::Token(token), Way::Jwt(check), memory) => match (check.keys(), memory) {
                (Keys::Fixed(set), _) => keys::verified(check, &token, set, request),
                (Keys::Fetched(_), Memory::Keys(source)) => source.verified(check, &token, request).await,
                (Keys::Fetched(_), _) => Err(NotKnown::Unavailable),
            },
            (Checked::Opaque(token), Way::Introspection(check), Memory::Tokens(source)) => {
                let standing = source.standing(token).await?;
                Ok(check.identity(&standing, request.consumers, (request.now_s)())?)
            }
            (Checked::Known(identity), _, memory) => {
                if let (Some(signed), Memory::Replays(replays)) = (&identity.signed, memory) {
                    replays.take(signed.once)?;
                }
                Ok(identity)
            }
            _ => Err(NotKnown::Unavailable),
        }
    }

    fn tokens(&self, index: usize) -> Option<&Arc<TokenSource>> {
        match self.0.get(index)? {
            Memory::Tokens(source) => Some(source),
            _ => None,
        }
    }

    /// What was seen before, wherever the way stands now: no edit of an integration makes a signature new again.
    fn replays(&self) -> Option<&Arc<Replays>> {
        self.0.iter().find_map(|memory| match memory {
            Memory::Replays(replays) => Some(replays),
            _ => None,
        })
    }
}

/// Issuers whose keys are fetched, each once for all integrations of an organization.
#[derive(Debug, Default)]
pub struct Issuers {
    sources: Mutex<HashMap<(u64, TargetUrl), Weak<KeySource>>>,
}

impl Issuers {
    fn keys(&self, integration: &Integration, url: &TargetUrl, deps: &Deps) -> Arc<KeySource> {
        let policy: &EgressPolicy = &integration.egress;
        let mut sources = self.sources.lock();
        sources.retain(|_, source| source.strong_count() > 0);
        let id = (integration.source.org_id, url.clone());
        match sources.get(&id).and_then(Weak::upgrade) {
            Some(source) if source.is_under(policy) => source,
            _ => {
                let source = KeySource::new(url, policy, deps);
                sources.insert(id, Arc::downgrade(&source));
                source
            }
        }
    }
}
