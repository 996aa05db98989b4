//! TLS of the API and the push stream, with a certificate in files that is read again when it changes.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use filters::certificate::{Certificate, CertificateError};
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::config::TlsConfig;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("tls: cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What stands in the files cannot be used.
    #[error("tls: {}: {source}", path.display())]
    Content {
        /// The file of the certificate.
        path: PathBuf,
        /// What is wrong.
        source: CertificateError,
    },
    /// The library refuses what it was told.
    #[error("tls: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Makes connections secure with the certificate that `config` names.
///
/// # Errors
/// If it cannot be used.
pub(crate) fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, TlsError> {
    let shown = Arc::new(Shown::open(config)?);
    let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// The certificate, whatever name a client asks for.
#[derive(Debug)]
struct Shown {
    files: TlsConfig,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    stamp: Stamp,
    looked: Instant,
}

/// What changes when a file does: time, length and node of both.
type Stamp = [Option<(SystemTime, u64, u64)>; 2];

impl Shown {
    fn open(files: &TlsConfig) -> Result<Self, TlsError> {
        let current = Current {
            stamp: stamp(files),
            key: read(files)?,
            looked: Instant::now(),
        };
        Ok(Self {
            files: files.clone(),
            current: Mutex::new(current),
        })
    }

    /// Looks at the files at most once in a while. What is wrong with a change is logged, and the old one stays.
    fn key(&self) -> Arc<CertifiedKey> {
        let mut current = self.current.lock();
        if current.looked.elapsed() > LOOK_EVERY {
            current.looked = Instant::now();
            let stamp = stamp(&self.files);
            if stamp != current.stamp {
                current.stamp = stamp;
                match read(&self.files) {
                    Ok(key) => {
                        current.key = key;
                        tracing::info!("the certificate changed; new connections get the new one");
                    }
                    Err(problem) => {
                        tracing::error!(%problem, "the changed certificate cannot be used; the old one stays")
                    }
                }
            }
        }
        Arc::clone(&current.key)
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key())
    }
}

fn read(files: &TlsConfig) -> Result<Arc<CertifiedKey>, TlsError> {
    let read = |path: &Path| {
        fs::read(path).map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })
    };
    let (chain, key) = (read(&files.cert_file)?, read(&files.key_file)?);
    let certificate = Certificate::from_pem(&chain, &key).map_err(|source| TlsError::Content {
        path: files.cert_file.clone(),
        source,
    })?;
    Ok(certificate.key)
}

fn stamp(files: &TlsConfig) -> Stamp {
    [&files.cert_file, &files.key_file].map(|path| {
        let file = fs::metadata(path).ok()?;
        Some((file.modified().ok()?, file.len(), file.ino()))
    })
}

const LOOK_EVERY: Duration = Duration::from_secs(1);
