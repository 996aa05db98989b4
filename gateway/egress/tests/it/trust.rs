//! Who answers must be who was meant.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use egress::{EgressError, Pool, PoolSettings, SetupError, Upstream, client_config};
use filters::target::TargetUrl;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::partner::{Partner, call, open, resolver, text};

/// A certificate authority of its own, and its file.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("a file");
        Self { issuer, folder }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// An https partner with a certificate for `name`.
    pub(crate) async fn partner(&self, name: &str) -> Partner {
        self.accept(name, &[], |mut stream| async move {
            let mut request = [0; 1024];
            while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret")
                    .await;
            }
        })
        .await
    }

    /// One that speaks one of `protocols`, and hands each connection to `serve`.
    pub(crate) async fn accept<F, S>(&self, name: &str, protocols: &[&[u8]], serve: F) -> Partner
    where
        F: Fn(TlsStream<TcpStream>) -> S + Clone + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate with its key");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Partner::accept(move |stream| {
            let (acceptor, serve) = (acceptor.clone(), serve.clone());
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream).await;
                }
            }
        })
        .await
    }
}

fn pool(partner: &Partner, authorities: Option<&Path>) -> Pool {
    let url = format!("https://localhost:{}/", partner.address.port());
    let target = TargetUrl::parse(&url).expect("a target");
    let tls = client_config(authorities).expect("TLS settings");
    Pool::new(Upstream::new(target, open(), resolver()), PoolSettings::default(), tls)
}

#[tokio::test]
async fn a_known_authority_is_trusted_and_the_connection_kept() {
    let authority = Authority::new();
    let partner = authority.partner("localhost").await;
    let pool = pool(&partner, Some(&authority.file()));
    for _ in 0..3 {
        assert_eq!(text(&pool, "/").await, "secret");
    }
    assert_eq!(partner.connections(), 1);
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let partner = Authority::new().partner("localhost").await;
    let error = call(&pool(&partner, None), "/").await.unwrap_err();
    assert!(matches!(error, EgressError::Tls { .. }), "{error:?}");
    assert!(!error.may_have_been_sent());
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let partner = authority.partner("partner.example").await;
    let error = call(&pool(&partner, Some(&authority.file())), "/").await.unwrap_err();
    assert!(matches!(error, EgressError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn a_partner_without_tls_is_refused() {
    let partner = Partner::raw(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", true).await;
    let listener = Partner::accept(|mut stream| async move {
        let _ = stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            .await;
    })
    .await;
    drop(partner);
    let error = call(&pool(&listener, None), "/").await.unwrap_err();
    assert!(matches!(error, EgressError::Tls { .. }), "{error:?}");
}

#[test]
fn a_bad_file_of_authorities_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.pem");
    assert!(matches!(
        client_config(Some(&missing)).unwrap_err(),
        SetupError::Authorities { .. }
    ));
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate\n").unwrap();
    let error = client_config(Some(&empty)).unwrap_err();
    assert!(matches!(error, SetupError::NoAuthorities(_)), "{error:?}");
    assert!(
        error.to_string().contains("empty.pem has no certificate in it"),
        "{error}"
    );
    let broken = folder.path().join("broken.pem");
    std::fs::write(
        &broken,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    assert!(matches!(
        client_config(Some(&broken)).unwrap_err(),
        SetupError::BadAuthority { .. }
    ));
}
