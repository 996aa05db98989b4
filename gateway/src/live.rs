//! What the gateway runs: the compiled plan and everything that lives as long as its integrations do.
//!
//! A new version is built beside the one that runs and takes its place in one store. A request loads it once and holds
//! it to its end, so that it never sees two versions. What a version leaves unchanged is carried over by reference:
//! connections, counters of limits, metrics.

pub mod endpoint;
mod peer_tls;
pub mod subscription;
pub mod tally;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ahash::AHashMap;
use arc_swap::ArcSwapOption;
use egress::{GrantStore, IdleLimit, Pool, PoolSettings, Resolver, SetupError, TokenSource, Tokens, Trust, Upstream};
use filters::address::EgressPolicy;
use filters::model::integration::MetricsDetail;
use filters::outgoing::{SignIn, TlsPlan};
use filters::plan::{Integration, Plan};
use filters::target::TargetUrl;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::config::ProcessConfig;
use crate::identity::{Issuers, Memories};
use crate::limiter::{Limiter, Limiters, Scope};
use crate::metrics::{IntegrationMetrics, Metrics};
use crate::quota::{QuotaKey, Quotas};
use crate::tallies::CallCounts;
use crate::tls::index::Index;
use crate::upstream::Resilience;
use endpoint::Endpoints;
pub use peer_tls::PeerTls;
use subscription::SubscriptionRuntime;
use tally::{Since, Tally};

/// The one place where the live version stands.
#[derive(Default)]
pub struct Shared {
    live: ArcSwapOption<Live>,
    /// Told of each version; locked while one takes the place of another.
    follower: Mutex<Option<Follower>>,
}

/// Told of each version that becomes live, right after it did. It must be quick, and not ask for the live version.
pub type Follower = Box<dyn Fn(&Arc<Live>) + Send>;

impl Shared {
    /// The live version, to be held for the length of a request; `None` before the first.
    pub fn load(&self) -> Option<Arc<Live>> {
        self.live.load_full()
    }

    /// Makes `live` the live version. Requests in flight finish on the one that they hold.
    pub fn store(&self, live: Arc<Live>) {
        let follower = self.follower.lock();
        self.live.store(Some(Arc::clone(&live)));
        if let Some(follower) = &*follower {
            follower(&live);
        }
    }

    /// Tells `follower` of the live version, if there is one, and of each one from now on.
    pub fn follow(&self, follower: Follower) {
        let mut place = self.follower.lock();
        if let Some(live) = self.load() {
            follower(&live);
        }
        *place = Some(follower);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("live", &self.live)
            .finish_non_exhaustive()
    }
}

/// One version, ready to serve.
#[derive(Debug)]
pub struct Live {
    /// The compiled configuration.
    pub plan: Plan,
    /// Runtime of each integration, by its slot in the plan.
    pub runtimes: Vec<Option<Arc<IntegrationRuntime>>>,
    /// Runtime of each subscription, by its slot in the plan.
    pub subscriptions: Vec<Option<Arc<SubscriptionRuntime>>>,
    /// What deliveries are made with: to its subscriptions, and of calls that became dead letters.
    pub endpoints: Endpoints,
    /// Host names on which the reserved paths win over integrations.
    pub api_hosts: Arc<[String]>,
    /// The port of `https` addresses that clients are sent to.
    pub redirect_port: u16,
    /// Certificates of the control plane, by the names that they answer to.
    pub certificates: Arc<Index>,
    organizations: BTreeMap<u64, Arc<Limiter>>,
    consumers: AHashMap<Arc<str>, Arc<Limiter>>,
    since: Since,
    /// The version before, while this one is on trial.
    pub before: Option<Arc<Self>>,
}

/// What versions are built with, the same for all of them.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Host names on which the reserved paths win over integrations.
    pub api_hosts: Arc<[String]>,
    /// The port of `https` addresses that clients are sent to.
    pub redirect_port: u16,
    /// Every metric of the process.
    pub metrics: Arc<Metrics>,
    /// Resolves the names of targets.
    pub resolver: Arc<Resolver>,
    /// Connects to targets where bodies are transformed.
    pub dialer: Arc<Dialer>,
    /// Tokens to sign in to partners with.
    pub tokens: Arc<Tokens>,
    /// Issuers of the tokens that clients show.
    pub issuers: Arc<Issuers>,
    /// What was used of daily quotas.
    pub quotas: Arc<Quotas>,
}

impl Deps {
    /// Reads the certificates to trust and the machine's name resolution, once. `grants` keeps refresh tokens.
    ///
    /// # Errors
    /// If either cannot be used.
    pub fn new(config: &ProcessConfig, metrics: Arc<Metrics>, grants: Arc<dyn GrantStore>) -> Result<Self, SetupError> {
        let egress = &config.egress;
        let resolver = Arc::new(Resolver::from_system()?);
        let trust = Trust::load(egress.extra_ca_file.as_deref())?;
        Ok(Self {
            tokens: tokens(&resolver, &trust, grants, &metrics),
            quotas: Arc::default(),
            issuers: Arc::default(),
            api_hosts: config
                .gateway
                .api_hosts
                .iter()
                .map(|host| host.to_ascii_lowercase())
                .collect(),
            redirect_port: config.tls.redirect_port,
            metrics,
            resolver,
            dialer: Arc::new(Dialer {
                settings: PoolSettings {
                    idle_timeout: Duration::from_secs(egress.keep_alive_seconds),
                    max_idle: egress.idle_per_host,
                    ..PoolSettings::default()
                },
                trust,
                idle: IdleLimit::new(MOST_IDLE),
            }),
        })
    }
}

fn tokens(resolver: &Arc<Resolver>, trust: &Trust, grants: Arc<dyn GrantStore>, metrics: &Arc<Metrics>) -> Arc<Tokens> {
    let metrics = Arc::clone(metrics);
    let told = move |call: egress::TokenCall| metrics.token_called(call.into());
    Arc::new(Tokens::new(Arc::clone(resolver), trust.clone(), grants, told))
}

/// How pools connect.
pub struct Dialer {
    /// Sizes and times of each pool.
    pub settings: PoolSettings,
    /// Whom to trust.
    pub trust: Trust,
    /// The most idle connections of all pools together.
    pub idle: Arc<IdleLimit>,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Live {
    /// Builds a version, carrying over from `previous` what has not changed. No I/O.
    pub fn build(plan: Plan, previous: Option<&Self>, deps: &Deps) -> Self {
        let organizations = organization_limiters(&plan, previous, &deps.quotas);
        let runtimes = plan.integrations.iter().map(|slot| {
            let integration = slot.as_ref()?;
            let limiter = organizations.get(&integration.source.org_id);
            let old = previous.and_then(|live| live.runtime_of(integration));
            Some(match old {
                Some(old) if old.is_for(integration, limiter) => Arc::clone(old),
                _ => Arc::new(IntegrationRuntime::new(
                    integration,
                    limiter.cloned(),
                    old.map(|old| &**old),
                    deps,
                )),
            })
        });
        let runtimes: Vec<_> = runtimes.collect();
        let subscriptions = subscriptions(&plan, previous, deps);
        let mut live = Self {
            consumers: consumer_limiters(&plan, previous, &deps.quotas),
            endpoints: Endpoints::of(&subscriptions, &runtimes, previous.map(|live| &live.endpoints)),
            runtimes,
            subscriptions,
            certificates: certificates(&plan, previous),
            plan,
            api_hosts: Arc::clone(&deps.api_hosts),
            redirect_port: deps.redirect_port,
            organizations,
            since: Since::default(),
            before: None,
        };
        live.count_anew(&deps.metrics);
        live
    }

    /// The runtime of the integration in `slot`.
    pub fn runtime(&self, slot: usize) -> Option<&Arc<IntegrationRuntime>> {
        self.runtimes.get(slot)?.as_ref()
    }

    /// The limit of all requests of an organization together, if it has one.
    pub fn organization_limiter(&self, org_id: u64) -> Option<&Arc<Limiter>> {
        self.organizations.get(&org_id)
    }

    /// The limit of all requests of a consumer together, if it has one.
    pub fn consumer_limiter(&self, id: &str) -> Option<&Arc<Limiter>> {
        self.consumers.get(id)
    }

    /// The limits of organizations, by number.
    pub(crate) fn organization_limiters(&self) -> impl Iterator<Item = (u64, &Arc<Limiter>)> {
        self.organizations.iter().map(|(org_id, limiter)| (*org_id, limiter))
    }

    /// The limits of consumers, by identifier.
    pub(crate) fn consumer_limiters(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Limiter>)> {
        self.consumers.iter()
    }

    /// The runtimes of all integrations.
    pub(crate) fn runtimes(&self) -> impl Iterator<Item = &Arc<IntegrationRuntime>> {
        self.runtimes.iter().flatten()
    }

    /// The runtime of the subscription `id`.
    pub fn subscription(&self, id: &str) -> Option<&Arc<SubscriptionRuntime>> {
        let slot = self.plan.events.subscription(id)?.slot;
        self.subscriptions.get(slot)?.as_ref()
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
    /// Where its requests go, by the index that [`Integration::pick`] returns.
    pub targets: Vec<Arc<TargetRuntime>>,
    /// Its limits, and the organization's.
    pub limiters: Limiters,
    /// Its metrics.
    pub metrics: Arc<IntegrationMetrics>,
    /// What came of its requests since it is as it is.
    pub tally: Tally,
    /// Counts of its calls for the control plane.
    pub counts: Arc<CallCounts>,
    /// What its ways in fetch and remember.
    pub memories: Memories,
    /// Tokens to sign in with, where it does so by OAuth2.
    pub token: Option<Arc<TokenSource>>,
    /// TLS with the partner for streamed requests, where the usual is not enough.
    pub peer_tls: Option<PeerTls>,
    /// Keeps the connections of integrations apart in a shared pool, and those made under another policy.
    pub group_key: u64,
    /// What is known of its targets, where it has rules about failing ones.
    pub resilience: Option<Arc<Resilience>>,
    organization: Option<Arc<Limiter>>,
}

impl IntegrationRuntime {
    fn new(
        integration: &Arc<Integration>,
        organization: Option<Arc<Limiter>>,
        old: Option<&Self>,
        deps: &Deps,
    ) -> Self {
        let limiters = Limiters::carried(
            old.map(|old| &old.limiters),
            &integration.limits,
            &integration.id,
            organization.clone(),
            &deps.quotas,
        );
        let detailed = integration.source.metrics == MetricsDetail::Detailed;
        let targets = targets(integration, old, deps);
        let metrics = deps.metrics.integration(&integration.id, detailed);
        if integration.web.as_ref().is_some_and(|web| web.cache.is_some()) {
            metrics.keeps_answers();
        }
        let known = old.and_then(|old| old.resilience.as_ref());
        let resilience = Resilience::of(integration, &targets, known, metrics.circuit_open());
        Self {
            targets,
            resilience,
            limiters,
            metrics,
            tally: Tally::default(),
            counts: counts(integration, old),
            group_key: group_key(integration),
            peer_tls: integration.tls.as_deref().map(PeerTls::of),
            memories: Memories::of(integration, old.map(|old| &old.memories), deps),
            token: token(&integration.outgoing, &integration.egress, deps),
            integration: Arc::clone(integration),
            organization,
        }
    }

    /// True if nothing would come out different: an unchanged integration is the same `Arc` in the new plan.
    fn is_for(&self, integration: &Arc<Integration>, organization: Option<&Arc<Limiter>>) -> bool {
        let same_organization = match (&self.organization, organization) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            _ => false,
        };
        same_organization && Arc::ptr_eq(&self.integration, integration)
    }
}

/// Those of the version before, of which the control plane was perhaps not told.
fn counts(integration: &Integration, old: Option<&IntegrationRuntime>) -> Arc<CallCounts> {
    let org_id = integration.source.org_id;
    let old = old.map(|old| &old.counts).filter(|counts| counts.is_of(org_id));
    old.map_or_else(|| Arc::new(CallCounts::new(org_id, &integration.id)), Arc::clone)
}

/// One place that requests go to.
#[derive(Debug)]
pub struct TargetRuntime {
    /// Gives checked addresses.
    pub upstream: Arc<Upstream>,
    pool: OnceLock<Pool>,
    dialer: Arc<Dialer>,
    http2: bool,
    /// TLS where the usual is not enough.
    tls: Option<Arc<TlsPlan>>,
}

impl TargetRuntime {
    /// A target of proxied requests. Exchanges with it speak HTTP/1.1, which costs less where a client waits for each.
    fn of_partner(url: &TargetUrl, policy: &EgressPolicy, tls: Option<&Arc<TlsPlan>>, deps: &Deps) -> Self {
        Self {
            tls: tls.cloned(),
            upstream: Upstream::new(url.clone(), policy.clone(), Arc::clone(&deps.resolver)),
            pool: OnceLock::new(),
            dialer: Arc::clone(&deps.dialer),
            http2: false,
        }
    }

    /// A target of deliveries: HTTP/2 where the endpoint has it, so that one connection carries a whole lane.
    fn of_endpoint(url: &TargetUrl, policy: &EgressPolicy, tls: Option<&Arc<TlsPlan>>, deps: &Deps) -> Self {
        Self {
            http2: true,
            ..Self::of_partner(url, policy, tls, deps)
        }
    }

    /// The same target at one of its addresses.
    pub fn pinned(&self, address: SocketAddr) -> Self {
        Self {
            upstream: self.upstream.pinned(address),
            pool: OnceLock::new(),
            dialer: Arc::clone(&self.dialer),
            http2: self.http2,
            tls: self.tls.clone(),
        }
    }

    /// True if it connects with the same TLS.
    fn has_tls(&self, tls: Option<&Arc<TlsPlan>>) -> bool {
        self.tls.as_ref().map(|plan| plan.digest) == tls.map(|plan| plan.digest)
    }

    /// The connections for exchanges and deliveries; made when first asked for, as most targets are only streamed to.
    pub fn pool(&self) -> &Pool {
        self.pool.get_or_init(|| {
            let upstream = Arc::clone(&self.upstream);
            let settings = PoolSettings {
                http2: self.http2,
                ..self.dialer.settings
            };
            let tls = match &self.tls {
                None => Arc::clone(self.dialer.trust.usual()).into(),
                Some(plan) => self.dialer.trust.with(plan),
            };
            Pool::within(&self.dialer.idle, upstream, settings, tls)
        })
    }
}

fn certificates(plan: &Plan, previous: Option<&Live>) -> Arc<Index> {
    let digests = |plan: &Plan| -> Vec<_> { plan.certificates.values().map(|(digest, _)| *digest).collect() };
    match previous {
        Some(live) if digests(&live.plan) == digests(plan) => Arc::clone(&live.certificates),
        _ => Arc::new(Index::of(
            plan.certificates.values().map(|(_, certificate)| &**certificate),
        )),
    }
}

fn subscriptions(plan: &Plan, previous: Option<&Live>, deps: &Deps) -> Vec<Option<Arc<SubscriptionRuntime>>> {
    let mut runtimes = vec![None; plan.events.slots()];
    for subscription in plan.events.subscriptions() {
        let old = previous.and_then(|live| live.subscription(&subscription.id));
        let runtime = match old {
            Some(old) if old.is_for(subscription) => Arc::clone(old),
            old => Arc::new(SubscriptionRuntime::new(subscription, old.map(|old| &**old), deps)),
        };
        if let Some(place) = runtimes.get_mut(subscription.slot) {
            *place = Some(runtime);
        }
    }
    runtimes
}

fn organization_limiters(plan: &Plan, previous: Option<&Live>, quotas: &Quotas) -> BTreeMap<u64, Arc<Limiter>> {
    let limited = plan.organization_limits().iter().map(|(id, limit)| {
        let old = previous.and_then(|live| live.organizations.get(id));
        let key = QuotaKey::Organization(*id);
        (*id, Limiter::carried(old, Scope::Organization, limit, quotas, key))
    });
    limited.collect()
}

fn consumer_limiters(plan: &Plan, previous: Option<&Live>, quotas: &Quotas) -> AHashMap<Arc<str>, Arc<Limiter>> {
    let limited = plan.consumer_limits().iter().map(|(id, limit)| {
        let old = previous.and_then(|live| live.consumers.get(id));
        let key = QuotaKey::Consumer(Arc::clone(id));
        let limiter = Limiter::carried(old, Scope::Consumer, &limit.plan, quotas, key);
        (Arc::clone(id), limiter)
    });
    limited.collect()
}

fn targets(integration: &Integration, old: Option<&IntegrationRuntime>, deps: &Deps) -> Vec<Arc<TargetRuntime>> {
    let known = old.map_or(&[][..], |old| &old.targets);
    let tls = integration.tls.as_ref();
    let runtime = |url: &TargetUrl| {
        let same = |target: &&Arc<TargetRuntime>| {
            target.upstream.target() == url && *target.upstream.policy() == integration.egress && target.has_tls(tls)
        };
        let known = known.iter().find(same).cloned();
        known.unwrap_or_else(|| Arc::new(TargetRuntime::of_partner(url, &integration.egress, tls, deps)))
    };
    integration.targets.iter().map(|target| runtime(&target.url)).collect()
}

/// The tokens that a sign-in asks for.
fn token(sign_in: &SignIn, policy: &EgressPolicy, deps: &Deps) -> Option<Arc<TokenSource>> {
    let plan = sign_in.token.as_ref()?;
    Some(deps.tokens.source(plan, policy))
}

fn group_key(integration: &Integration) -> u64 {
    let source = &integration.source;
    let tls = integration.tls.as_ref().map(|tls| tls.digest);
    let basis = format!("{} {} {:?} {tls:?}", source.org_id, integration.id, integration.egress);
    let digest = Sha256::digest(basis);
    let (first, _) = digest.split_at(8);
    first.iter().fold(0, |key, byte| (key << 8) | u64::from(*byte))
}

/// The most idle connections of all pools together; with TLS one takes some 40 kB.
const MOST_IDLE: usize = 4_096;

#[cfg(test)]
mod tests;
