//! The compiled configuration: immutable, shared, and complete, so that a request only looks things up.

use std::sync::Arc;

use crate::model::limits::{BodyLimits, RateLimit, Timeouts};
use crate::model::{InboundIntegration, Organization, Security};

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
    pub(crate) organizations: std::collections::BTreeMap<u64, Arc<Organization>>,
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
    /// Digest of that data; equal digests mean nothing to rebuild.
    pub digest: [u8; 32],
    /// Limit of all requests together.
    pub limit: Option<RateLimit>,
    /// Limit of each inbound credential.
    pub limit_per_key: Option<RateLimit>,
    /// Limit of each client address.
    pub limit_per_client_ip: Option<RateLimit>,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// Sizes of bodies.
    pub body_limits: BodyLimits,
}

impl Plan {
    /// The organization `org_id`, if the snapshot has it.
    pub fn organization(&self, org_id: u64) -> Option<&Arc<Organization>> {
        self.organizations.get(&org_id)
    }

    /// All integrations, in the order of their slots.
    pub fn integrations(&self) -> impl Iterator<Item = &Arc<Integration>> {
        self.integrations.iter().flatten()
    }
}
