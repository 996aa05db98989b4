//! Chooses the certificate of a handshake.

use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::files::Files;
use crate::live::Shared;

/// Looks at what the control plane sent and at the files, each as they are now.
pub(super) struct Resolver {
    pub(super) files: Arc<Files>,
    pub(super) shared: Arc<Shared>,
}

impl ResolvesServerCert for Resolver {
    /// A name of its own wins over a wildcard, the control plane over files. The first file answers to all other names.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let files = self.files.index();
        let Some(name) = hello.server_name() else {
            return files.first().cloned();
        };
        let name = name.to_ascii_lowercase();
        let live = self.shared.load();
        let pushed = live.as_deref().map(|live| &*live.certificates);
        let exact = pushed.and_then(|pushed| pushed.exact(&name));
        exact
            .or_else(|| files.exact(&name))
            .or_else(|| pushed.and_then(|pushed| pushed.wildcard(&name)))
            .or_else(|| files.wildcard(&name))
            .or_else(|| files.first())
            .cloned()
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}
