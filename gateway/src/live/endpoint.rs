//! What deliveries are made with. It is the same from version to version where nothing of it changed, so that the dispatcher
//! leaves its lanes alone.

use std::sync::Arc;

use super::IntegrationRuntime;
use super::subscription::SubscriptionRuntime;

/// What deliveries are made with.
#[derive(Debug)]
pub enum Endpoint {
    /// Events go to a subscription.
    Subscription(Arc<SubscriptionRuntime>),
    /// Calls of an integration are made again.
    Calls(Arc<IntegrationRuntime>),
}

/// The endpoints of a version.
#[derive(Debug, Default)]
pub struct Endpoints {
    /// By the slots of subscriptions.
    subscriptions: Vec<Option<Arc<Endpoint>>>,
    /// By the slots of integrations; there are none where no call becomes a dead letter.
    calls: Vec<Option<Arc<Endpoint>>>,
}

impl Endpoints {
    /// Those of a version, carrying over from `previous` what has not changed.
    pub(super) fn of(
        subscriptions: &[Option<Arc<SubscriptionRuntime>>],
        integrations: &[Option<Arc<IntegrationRuntime>>],
        previous: Option<&Self>,
    ) -> Self {
        let (known, known_calls) = previous.map_or((&[][..], &[][..]), |known| (&known.subscriptions, &known.calls));
        let subscriptions = subscriptions.iter().enumerate().map(|(slot, runtime)| {
            let runtime = runtime.as_ref()?;
            let old = known.get(slot).and_then(Option::as_ref);
            let same = old.filter(|old| matches!(&***old, Endpoint::Subscription(old) if Arc::ptr_eq(old, runtime)));
            Some(match same {
                Some(same) => Arc::clone(same),
                None => Arc::new(Endpoint::Subscription(Arc::clone(runtime))),
            })
        });
        let calls = integrations.iter().enumerate().map(|(slot, runtime)| {
            let runtime = runtime.as_ref()?;
            runtime.integration.dead_letters.as_ref()?;
            let old = known_calls.get(slot).and_then(Option::as_ref);
            let same = old.filter(|old| matches!(&***old, Endpoint::Calls(old) if Arc::ptr_eq(old, runtime)));
            Some(match same {
                Some(same) => Arc::clone(same),
                None => Arc::new(Endpoint::Calls(Arc::clone(runtime))),
            })
        });
        Self {
            subscriptions: subscriptions.collect(),
            calls: calls.collect(),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.subscriptions.iter().chain(&self.calls).flatten()
    }
}
