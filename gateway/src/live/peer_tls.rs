//! TLS with a partner on the streaming path, in the form that pingora takes it.

use std::fmt;
use std::sync::Arc;

use filters::outgoing::TlsPlan;
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};

/// Whom to trust, what to show, and whom to ask for.
pub struct PeerTls {
    authorities: Option<Arc<CaType>>,
    identity: Option<Arc<CertKey>>,
    server_name: Option<Box<str>>,
}

impl PeerTls {
    /// Made once for an integration. `compile()` has read each certificate in the same way.
    pub(super) fn of(plan: &TlsPlan) -> Self {
        let authorities = plan.authorities.iter().map(|authority| read(authority));
        let identity = plan.identity.as_ref().map(|identity| {
            let chain = identity.chain.iter().map(|certificate| certificate.to_vec()).collect();
            Arc::new(CertKey::new(chain, identity.key.secret_der().to_vec()))
        });
        Self {
            authorities: (!plan.authorities.is_empty()).then(|| authorities.collect()),
            identity,
            server_name: plan.server_name.as_ref().map(|name| name.as_ref().into()),
        }
    }

    /// Sets it for a connection. The peer has the host of its target as the name to ask for.
    pub fn apply(&self, peer: &mut HttpPeer) {
        peer.options.ca.clone_from(&self.authorities);
        peer.client_cert_key.clone_from(&self.identity);
        if let Some(name) = &self.server_name {
            peer.sni = name.to_string();
        }
    }
}

impl fmt::Debug for PeerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerTls")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

fn read(certificate: &[u8]) -> WrappedX509 {
    WrappedX509::new(certificate.to_vec(), parse_x509)
}
