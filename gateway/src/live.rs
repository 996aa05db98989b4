//! What the gateway runs: the compiled plan and everything that lives as long as its integrations do.
//!
//! A new version is built beside the one that runs and takes its place in one store. A request loads it once and holds
//! it to its end, so that it never sees two versions. What a version leaves unchanged is carried over by reference.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use filters::model::{Organization, Security};
use filters::plan::{Integration, Plan};
use sha2::{Digest as _, Sha256};

/// The one place where the live version stands.
#[derive(Debug, Default)]
pub struct Shared {
    live: ArcSwapOption<Live>,
}

impl Shared {
    /// The live version, to be held for the length of a request; `None` before the first.
    pub fn load(&self) -> Option<Arc<Live>> {
        self.live.load_full()
    }

    /// Makes `live` the live version. Requests in flight finish on the one that they hold.
    pub fn store(&self, live: Arc<Live>) {
        self.live.store(Some(live));
    }
}

/// One version, ready to serve.
#[derive(Debug)]
pub struct Live {
    /// The compiled configuration.
    pub plan: Plan,
    /// Runtime of each integration, by its slot in the plan.
    pub runtimes: Vec<Option<Arc<IntegrationRuntime>>>,
    /// Host names on which the reserved paths win over integrations.
    pub api_hosts: Arc<[String]>,
}

/// What a version is built with.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Host names on which the reserved paths win over integrations.
    pub api_hosts: Arc<[String]>,
}

impl Live {
    /// Builds a version, carrying over from `previous` what has not changed. No I/O.
    pub fn build(plan: Plan, previous: Option<&Self>, deps: &Deps) -> Self {
        let runtimes = plan.integrations.iter().map(|slot| {
            let integration = slot.as_ref()?;
            let rules = Rules::of(&plan, integration);
            let old = previous.and_then(|live| live.runtime_of(integration));
            Some(match old {
                Some(old) if Arc::ptr_eq(&old.integration, integration) && old.rules == rules => Arc::clone(old),
                _ => Arc::new(IntegrationRuntime::new(integration, rules)),
            })
        });
        Self {
            runtimes: runtimes.collect(),
            plan,
            api_hosts: Arc::clone(&deps.api_hosts),
        }
    }

    /// The runtime in `slot`.
    pub fn runtime(&self, slot: usize) -> Option<&Arc<IntegrationRuntime>> {
        self.runtimes.get(slot)?.as_ref()
    }

    fn runtime_of(&self, integration: &Integration) -> Option<&Arc<IntegrationRuntime>> {
        let runtime = self.runtime(integration.slot)?;
        (runtime.integration.id == integration.id).then_some(runtime)
    }
}

/// What an integration is at run time.
#[derive(Debug)]
pub struct IntegrationRuntime {
    /// The compiled integration.
    pub integration: Arc<Integration>,
    /// Keeps the connections of integrations apart in a shared pool, and those made under other rules.
    pub group_key: u64,
    rules: Rules,
}

impl IntegrationRuntime {
    fn new(integration: &Arc<Integration>, rules: Rules) -> Self {
        Self {
            integration: Arc::clone(integration),
            group_key: rules.group_key(integration),
            rules,
        }
    }
}

/// The rules that are not the integration's own, but apply to it.
#[derive(Clone, Debug)]
struct Rules {
    security: Security,
    organization: Option<Arc<Organization>>,
}

impl Rules {
    fn of(plan: &Plan, integration: &Integration) -> Self {
        Self {
            security: plan.security,
            organization: plan.organization(integration.source.org_id).cloned(),
        }
    }

    fn group_key(&self, integration: &Integration) -> u64 {
        let mut hash = Sha256::new();
        let source = &integration.source;
        hash.update(source.org_id.to_be_bytes());
        hash.update([
            u8::from(self.security.block_private_networks),
            u8::from(self.security.enforce_https),
        ]);
        hash.update(format!("{}\0{:?}", integration.id, source.target_hosts));
        if let Some(organization) = &self.organization {
            hash.update(format!("{:?}", organization.allowed_networks));
        }
        let digest: [u8; 32] = hash.finalize().into();
        let (first, _) = digest.split_at(8);
        first.iter().fold(0, |key, byte| key << 8 | u64::from(*byte))
    }
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        let same_organization = match (&self.organization, &other.organization) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two) || one == two,
            (None, None) => true,
            _ => false,
        };
        self.security == other.security && same_organization
    }
}
