//! TLS towards clients: which certificate answers to a name, and how a connection is made secure.
//!
//! Certificates come from two places and are looked up at each handshake, so that a new one is shown from the next
//! connection on: files of the settings (`files`), read again when they change, and the control plane (`index` of the
//! live version). Connections that are open keep the one that they were made with.

pub mod client;
pub mod files;
pub mod index;
mod resolver;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora::listeners::tls::Acceptor;
use pingora::protocols::l4;
use pingora::protocols::{Ssl as _, Stream};
use rustls::ServerConfig;
use rustls::crypto::ring;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::config::ClientCertificates;
use crate::edge::Connection;
use crate::live::Shared;
use client::Clients;
use files::Files;
use resolver::Resolver;

/// Why TLS towards clients cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate in files cannot be used.
    #[error("tls.certificates[{index}]: {source}")]
    Certificate {
        /// Its place in the settings.
        index: usize,
        /// What is wrong with it.
        source: files::FilesError,
    },
    /// The authorities of clients cannot be used.
    #[error("tls.clientCertificates.caFile: {0}")]
    Authorities(#[from] client::AuthoritiesError),
    /// The library refuses what it was told.
    #[error("tls: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Why a client did not get its connection.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeFailure {
    /// It did not say enough in time.
    #[error("the handshake took longer than {} ms", .0.as_millis())]
    Timeout(Duration),
    /// It does not speak TLS, asks for what is not offered, or showed a certificate that nobody vouches for.
    #[error("{0}")]
    Refused(Box<pingora::Error>),
    /// Its certificate is good no more: it is over, or its authority is gone.
    #[error("nobody vouches for the client's certificate any more")]
    Untrusted,
    /// The connection is not what a listener gives.
    #[error("the connection is no socket")]
    NoSocket,
}

/// Makes connections of clients secure.
pub struct Terminator {
    made: ArcSwap<Made>,
    settings: ClientCertificates,
    resolver: Arc<Resolver>,
    /// The longest that a handshake may take.
    limit: Duration,
}

/// What is made of the settings, and made anew when the authorities change.
struct Made {
    acceptor: Acceptor,
    /// Judges what clients show; `None` if they are not asked.
    clients: Option<Arc<Clients>>,
}

impl Terminator {
    /// Shows the certificates in `files` and those of the live version.
    ///
    /// # Errors
    /// If the authorities of clients cannot be used, or the library refuses the settings.
    pub fn new(
        settings: &ClientCertificates,
        files: Arc<Files>,
        shared: Arc<Shared>,
        limit: Duration,
    ) -> Result<Self, TlsError> {
        let resolver = Arc::new(Resolver { files, shared });
        Ok(Self {
            made: ArcSwap::from_pointee(Made::of(settings, &resolver)?),
            settings: settings.clone(),
            resolver,
            limit,
        })
    }

    /// Reads the file of authorities again whenever it changes, until `stop`. What is wrong then is logged, and those that
    /// were read before stay.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let is_asked = self.made.load().clients.is_some();
        let Some(path) = self.settings.ca_file.as_ref().filter(|_| is_asked) else {
            return;
        };
        let mut seen = files::stamp(path);
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => return,
            }
            let now = files::stamp(path);
            if now == seen {
                continue;
            }
            seen = now;
            match Made::of(&self.settings, &self.resolver) {
                Ok(made) => {
                    self.made.store(Arc::new(made));
                    info!("the authorities of clients changed; new connections are judged by the new ones");
                }
                Err(problem) => error!(%problem, "the changed authorities cannot be used; the old ones stay"),
            }
        }
    }

    /// Does the handshake.
    ///
    /// # Errors
    /// If there is none, or none in time.
    pub async fn accept(&self, stream: Stream) -> Result<(Stream, Connection), HandshakeFailure> {
        let socket: Box<l4::stream::Stream> = stream.into_any().downcast().map_err(|_| HandshakeFailure::NoSocket)?;
        let made = self.made.load_full();
        let handshake = made.acceptor.tls_handshake(*socket);
        let stream = match tokio::time::timeout(self.limit, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(HandshakeFailure::Refused(error)),
            Err(_) => return Err(HandshakeFailure::Timeout(self.limit)),
        };
        let shown = stream.get_ssl().and_then(|tls| tls.peer_cert_chain_der());
        let peer = made.clients.as_ref().zip(shown);
        let certificate = peer.and_then(|(clients, chain)| clients.peer(chain));
        // A session that is resumed was judged when it began.
        if made
            .clients
            .as_ref()
            .is_some_and(|clients| clients.turns_away(certificate.as_ref()))
        {
            return Err(HandshakeFailure::Untrusted);
        }
        let connection = Connection {
            is_secure: true,
            certificate: certificate.map(Arc::new),
        };
        Ok((Box::new(stream), connection))
    }
}

impl Made {
    fn of(settings: &ClientCertificates, resolver: &Arc<Resolver>) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let clients = Clients::new(settings, Arc::clone(&provider))?.map(Arc::new);
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = match &clients {
            Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients) as _),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(resolver) as _);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Sessions are resumed by tickets: nothing of them is kept here, and each gateway has keys of its own.
        config.ticketer = ring::Ticketer::new()?;
        Ok(Self {
            acceptor: Acceptor::from_server_config(Arc::new(config)),
            clients,
        })
    }
}

impl HandshakeFailure {
    /// True where the client just left, as port scanners and balancers that look whether anybody listens do.
    pub fn is_absence(&self) -> bool {
        let Self::Refused(error) = self else { return false };
        let cause = error.root_cause().downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == io::ErrorKind::UnexpectedEof)
    }
}

impl std::fmt::Debug for Terminator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminator")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// Between two looks at the file of authorities.
const LOOK: Duration = Duration::from_secs(2);
