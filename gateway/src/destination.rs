//! One address that the gateway calls on its own account: an issuer's, that of the collector of spans.

use std::sync::Arc;

use egress::{Pool, Upstream};
use filters::address::EgressPolicy;
use filters::target::TargetUrl;

use crate::live::Deps;

/// An address, with connections to it.
#[derive(Debug)]
pub(crate) struct Destination {
    pool: Pool,
    path_and_query: String,
}

impl Destination {
    /// The address `url`, bound by `policy`. Nothing connects before somebody calls.
    pub(crate) fn new(url: &TargetUrl, policy: &EgressPolicy, deps: &Deps) -> Self {
        let upstream = Upstream::new(url.clone(), policy.clone(), Arc::clone(&deps.resolver));
        let dialer = &deps.dialer;
        let mut path_and_query = url.path().to_owned();
        if let Some(query) = url.query() {
            path_and_query.push('?');
            path_and_query.push_str(query);
        }
        Self {
            pool: Pool::within(
                &dialer.idle,
                upstream,
                dialer.settings,
                Arc::clone(dialer.trust.usual()),
            ),
            path_and_query,
        }
    }

    /// The connections.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What stands behind the host.
    pub(crate) fn path_and_query(&self) -> &str {
        &self.path_and_query
    }
}
