//! The compiled configuration: immutable, shared, and complete, so that a request only looks things up.

mod change;
pub mod dead_letters;
pub mod events;
pub mod idempotency;
pub mod limits;
pub mod resilience;
mod statuses;
pub mod web;

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::AHashMap;
use http::{HeaderName, HeaderValue, Method};

use crate::address::EgressPolicy;
use crate::auth::InboundCheck;
use crate::auth::consumers::Consumers;
use crate::auth::networks::ClientNetworks;
use crate::certificate::Certificate;
use crate::compile::lookup::LookupPlan;
use crate::lookup::Tables;
use crate::model::limits::{BodyLimits, Timeouts};
use crate::model::protocol::OnPlain;
use crate::model::record::RecordPolicy;
use crate::model::{Entry, InboundIntegration, Organization, RecordContent, Security};
use crate::outgoing::{SignIn, TlsPlan};
use crate::redaction::Redactor;
use crate::rewrite::Rewrite;
use crate::route::{MethodSet, PathPattern, RouteTable};
use crate::target::TargetUrl;
use crate::validation::Validator;
pub use change::{Change, Transform};
pub use events::EventPlan;
pub use statuses::StatusMap;

/// Certificates for clients, by their identifiers, each with the digest of what it was made of.
pub type CertificatePlan = BTreeMap<Arc<str>, ([u8; 32], Arc<Certificate>)>;

/// A compiled snapshot. Parts that a new version leaves unchanged are the same `Arc`s as in the plan before.
#[derive(Debug)]
pub struct Plan {
    /// Version of the snapshot.
    pub version: u64,
    /// Digest of the snapshot's content.
    pub digest: String,
    /// Rules for every connection to a partner.
    pub security: Security,
    /// Integrations by slot. An integration keeps its slot from version to version; empty slots are reused.
    pub integrations: Vec<Option<Arc<Integration>>>,
    /// Routes of the active integrations.
    pub routes: RouteTable,
    /// Producers, event types and subscriptions.
    pub events: EventPlan,
    /// Certificates for clients.
    pub certificates: CertificatePlan,
    /// Lookup tables of each organization.
    pub lookups: LookupPlan,
    pub(crate) consumers: Arc<ConsumerPlan>,
    pub(crate) organizations: BTreeMap<u64, Entry<Organization>>,
    pub(crate) organization_limits: BTreeMap<u64, limits::LimitPlan>,
    pub(crate) consumer_limits: BTreeMap<Arc<str>, limits::ConsumerLimit>,
    pub(crate) slots: AHashMap<Arc<str>, usize>,
}

/// A compiled inbound integration.
#[derive(Debug)]
pub struct Integration {
    /// Place in [`Plan::integrations`], stable while the integration exists.
    pub slot: usize,
    /// Identifier.
    pub id: Arc<str>,
    /// The integration as data.
    pub source: Arc<InboundIntegration>,
    /// Digest of that data.
    pub digest: [u8; 32],
    /// Host names as the route table keeps them.
    pub hosts: Vec<Box<str>>,
    pub(crate) paths: Vec<PathPattern>,
    /// Methods that clients may use.
    pub methods: MethodSet,
    /// Method of the partner's request; the client's if `None`.
    pub target_method: Option<Method>,
    /// Where requests go; at least one.
    pub targets: Vec<Target>,
    /// How the client's path becomes the partner's.
    pub rewrite: Rewrite,
    /// Which addresses may be connected to.
    pub egress: EgressPolicy,
    /// Where clients may call from; from anywhere if `None`.
    pub client_networks: Option<ClientNetworks>,
    /// How clients show who they are.
    pub inbound: InboundCheck,
    /// Headers that carry the client's credential, if they are to be kept from the partner.
    pub strip_headers: Vec<HeaderName>,
    /// Query parameters that carry the client's credential, if they are to be kept from the partner.
    pub strip_query: Vec<String>,
    /// What signs the gateway in to the partner.
    pub outgoing: SignIn,
    /// TLS with the partner, where the usual is not enough.
    pub tls: Option<Arc<TlsPlan>>,
    /// What requests and answers must look like; `None` where anything goes.
    pub validator: Option<Box<Validator>>,
    /// What is done for browsers and caches, and to header fields; `None` where nothing is.
    pub web: Option<Box<web::Web>>,
    /// How requests are carried.
    pub mode: Mode,
    /// Statuses that become others; `None` where all stay.
    pub statuses: Option<Box<StatusMap>>,
    /// True if answers with an error status are transformed too.
    pub transforms_errors: bool,
    /// What may be used up.
    pub limits: limits::Limits,
    /// What is done about the idempotency keys of clients.
    pub idempotency: Option<idempotency::IdempotencyPlan>,
    /// The protocols on both sides.
    pub protocols: Protocols,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// Sizes of bodies.
    pub body_limits: BodyLimits,
    /// Of which calls records are made.
    pub records: RecordPolicy,
    /// What records hold besides figures; `None` where that is nothing.
    pub record_content: Option<RecordContent>,
    /// What is masked wherever something of a call is written down.
    pub redactor: Redactor,
    /// What is done about a partner that fails; `None` where nothing is set.
    pub resilience: Option<Box<resilience::Resilience>>,
    /// Which calls become dead letters; `None` where none do.
    pub dead_letters: Option<Box<dead_letters::DeadLetterPlan>>,
}

/// The consumers of all organizations.
#[derive(Debug, Default)]
pub(crate) struct ConsumerPlan {
    pub(crate) entries: BTreeMap<Arc<str>, Entry<crate::model::Consumer>>,
    pub(crate) by_organization: AHashMap<u64, Consumers>,
}

/// One place that requests go to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its address.
    pub url: TargetUrl,
    /// Its share, relative to the other targets.
    pub weight: u32,
    /// Share of the requests, up to and including this target.
    up_to: u64,
}

/// The protocols that are spoken with clients and the partner.
#[derive(Debug)]
pub struct Protocols {
    /// What a request without TLS gets.
    pub on_plain: OnPlain,
    /// `Strict-Transport-Security` of answers over TLS.
    pub hsts: Option<HeaderValue>,
    /// True to speak HTTP/2 with the partner.
    pub http2: bool,
}

/// How the requests of an integration are carried.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each integration, and each request reads it"
)]
pub enum Mode {
    /// Untouched, as they come.
    Stream,
    /// Read, checked, transformed, sent.
    Exchange {
        /// Change of the request body.
        request: Option<Transform>,
        /// Change of the answer's body; without one the answer streams.
        response: Option<Transform>,
    },
}

impl Plan {
    /// The organization `org_id`, if the snapshot has it.
    pub fn organization(&self, org_id: u64) -> Option<&Arc<Organization>> {
        self.organizations.get(&org_id).map(|entry| &entry.value)
    }

    /// The consumers of the organization `org_id`, if it has any.
    pub fn consumers(&self, org_id: u64) -> Option<&Consumers> {
        self.consumers.by_organization.get(&org_id)
    }

    /// The lookup tables of the organization `org_id`.
    pub fn tables(&self, org_id: u64) -> &Tables {
        crate::compile::lookup::tables_of(&self.lookups, org_id)
    }

    /// All organizations, by number.
    pub fn organizations(&self) -> impl Iterator<Item = &Arc<Organization>> {
        self.organizations.values().map(|entry| &entry.value)
    }

    /// The limits of whole organizations, by number.
    pub fn organization_limits(&self) -> &BTreeMap<u64, limits::LimitPlan> {
        &self.organization_limits
    }

    /// The limits of consumers, by identifier.
    pub fn consumer_limits(&self) -> &BTreeMap<Arc<str>, limits::ConsumerLimit> {
        &self.consumer_limits
    }

    /// All integrations, in the order of their slots.
    pub fn integrations(&self) -> impl Iterator<Item = &Arc<Integration>> {
        self.integrations.iter().flatten()
    }

    /// The integration `id`.
    pub fn integration(&self, id: &str) -> Option<&Arc<Integration>> {
        self.integrations.get(*self.slots.get(id)?)?.as_ref()
    }
}

impl Mode {
    /// What changes in bodies.
    pub fn transforms(&self) -> impl Iterator<Item = &Transform> {
        let both = match self {
            Self::Stream => [None, None],
            Self::Exchange { request, response } => [request.as_ref(), response.as_ref()],
        };
        both.into_iter().flatten()
    }
}

impl Integration {
    /// Index of the target for the `ticket`-th request: shares follow the weights, spread evenly.
    pub fn pick(&self, ticket: u64) -> usize {
        let [.., last] = self.targets.as_slice() else {
            return 0;
        };
        if self.targets.len() == 1 || last.up_to == 0 {
            return 0;
        }
        // Multiplying by the golden ratio spreads neighbouring tickets over the whole range.
        let spread = ticket.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let at = (spread * last.up_to) >> 32;
        self.targets.iter().position(|target| at < target.up_to).unwrap_or(0)
    }

    /// Path rules for people: `exact /a`, `prefix /`, `template /a/{id}`.
    pub fn path_rules(&self) -> impl Iterator<Item = String> {
        self.paths.iter().map(ToString::to_string)
    }
}

impl Target {
    /// Targets with the share of each, in order.
    pub(crate) fn with_weights(targets: impl IntoIterator<Item = (TargetUrl, u32)>) -> Vec<Self> {
        targets
            .into_iter()
            .scan(0_u64, |up_to, (url, weight)| {
                *up_to += u64::from(weight);
                Some(Self {
                    url,
                    weight,
                    up_to: *up_to,
                })
            })
            .collect()
    }
}
