//! TLS in front of a partner, with a certificate for `localhost` that only `authority` vouches for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::authority::{Authority, Pair};
use crate::{Partner, binaries};

/// Ends TLS and passes the bytes on to a partner, until it is dropped.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    listener: JoinHandle<()>,
    met: Arc<Mutex<Vec<Met>>>,
}

/// What a client said of itself in a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// Whom it asked for.
    pub server_name: Option<String>,
    /// The certificate that it showed, as DER.
    pub certificate: Option<Vec<u8>>,
}

impl TlsFront {
    /// In front of `partner`.
    pub async fn before(partner: &Partner) -> Self {
        Self::with(acceptor(), partner.address()).await
    }

    /// In front of whatever listens at `target`, with `own` as its certificate, for clients with a certificate that
    /// `clients` vouches for.
    pub async fn for_known_clients(target: SocketAddr, own: &Pair, clients: &Authority) -> Self {
        Self::with(TlsAcceptor::from(Arc::new(own.server_config_for(clients))), target).await
    }

    async fn with(acceptor: TlsAcceptor, target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let met = Arc::<Mutex<Vec<Met>>>::default();
        let kept = Arc::clone(&met);
        let listener = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, kept) = (acceptor.clone(), Arc::clone(&kept));
                tokio::spawn(async move {
                    let mut outside = acceptor.accept(stream).await?;
                    let session = outside.get_ref().1;
                    let shown = session.peer_certificates().and_then(|chain| chain.first());
                    kept.lock().unwrap().push(Met {
                        server_name: session.server_name().map(str::to_owned),
                        certificate: shown.map(|certificate| certificate.to_vec()),
                    });
                    let mut inside = TcpStream::connect(target).await?;
                    copy_bidirectional(&mut outside, &mut inside).await
                });
            }
        });
        Self { address, listener, met }
    }

    /// What the clients of the connections so far said of themselves.
    pub fn met(&self) -> Vec<Met> {
        self.met.lock().unwrap().clone()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// The certificate of the authority that vouches for `localhost`.
pub fn authority() -> PathBuf {
    fixture("authority.pem")
}

fn acceptor() -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(fixture("localhost.pem")).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture("localhost.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn fixture(name: &str) -> PathBuf {
    binaries::repository().join("tests/fixtures/tls").join(name)
}
