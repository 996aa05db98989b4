//! What is known of a client's connection, the same for all requests on it.

use std::sync::Arc;

use filters::auth::certificate::PeerCertificate;

/// A client's connection.
#[derive(Debug, Default)]
pub struct Connection {
    /// True if it is one over TLS.
    pub is_secure: bool,
    /// The certificate that the client showed, and has the key of.
    pub certificate: Option<Arc<PeerCertificate>>,
}
