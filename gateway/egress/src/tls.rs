//! Whom to trust.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use filters::outgoing::TlsPlan;
use rustls::client::WantsClientCert;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, DnsName};

use crate::error::SetupError;

/// Whom the gateway trusts: the machine's trust store, and authorities of the operator's own.
#[derive(Clone)]
pub struct Trust {
    roots: Arc<RootCertStore>,
    usual: Arc<ClientConfig>,
}

impl Trust {
    /// Reads the machine's trust store and the PEM file `extra_authorities`, once, at the start.
    ///
    /// # Errors
    /// If the file cannot be read or holds no authority. An empty trust store is only logged: plain targets work without.
    pub fn load(extra_authorities: Option<&Path>) -> Result<Self, SetupError> {
        let roots = Arc::new(roots(extra_authorities)?);
        let usual = builder(&roots).map_err(SetupError::Tls)?.with_no_client_auth();
        Ok(Self {
            roots,
            usual: with_http1(usual),
        })
    }

    /// The TLS settings of most pools.
    pub fn usual(&self) -> &Arc<ClientConfig> {
        &self.usual
    }

    /// The TLS settings for one partner. Settings that cannot be made, which `compile()` has ruled out, trust nobody.
    pub fn with(&self, plan: &TlsPlan) -> ClientTls {
        let config = self.config(plan).unwrap_or_else(|error| {
            tracing::error!(%error, "TLS with a partner cannot be set up, and is refused");
            let nobody = Arc::new(RootCertStore::empty());
            builder(&nobody).map_or_else(
                |_| Arc::clone(&self.usual),
                |builder| with_http1(builder.with_no_client_auth()),
            )
        });
        ClientTls {
            config,
            server_name: plan.server_name.clone(),
        }
    }

    fn config(&self, plan: &TlsPlan) -> Result<Arc<ClientConfig>, rustls::Error> {
        let roots = if plan.authorities.is_empty() {
            Arc::clone(&self.roots)
        } else {
            let mut roots = RootCertStore::empty();
            for authority in &plan.authorities {
                roots.add(authority.clone())?;
            }
            Arc::new(roots)
        };
        let builder = builder(&roots)?;
        let config = match &plan.identity {
            Some(identity) => builder.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?,
            None => builder.with_no_client_auth(),
        };
        Ok(with_http1(config))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("roots", &self.roots.len()).finish()
    }
}

/// TLS of one pool.
#[derive(Clone)]
pub struct ClientTls {
    pub(crate) config: Arc<ClientConfig>,
    /// Name that the partner is asked for; the host of the target if `None`.
    pub(crate) server_name: Option<DnsName<'static>>,
}

impl From<Arc<ClientConfig>> for ClientTls {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self {
            config,
            server_name: None,
        }
    }
}

/// The usual TLS settings; see [`Trust::load`].
///
/// # Errors
/// As of [`Trust::load`].
pub fn client_config(extra_authorities: Option<&Path>) -> Result<Arc<ClientConfig>, SetupError> {
    Ok(Trust::load(extra_authorities)?.usual)
}

fn builder(roots: &Arc<RootCertStore>) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(Arc::clone(roots)))
}

fn with_http1(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

fn roots(extra_authorities: Option<&Path>) -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "part of the machine's trust store cannot be read");
    }
    roots.add_parsable_certificates(native.certs);
    if let Some(path) = extra_authorities {
        add_file(&mut roots, path)?;
    }
    if roots.is_empty() {
        tracing::warn!("there are no certificate authorities on this machine: every https target will be refused");
    }
    Ok(roots)
}

/// The machine's trust store and the authorities in `extra_authorities` as one PEM text, for those who take only a file.
///
/// # Errors
/// If the file cannot be read.
pub fn trust_bundle(extra_authorities: &Path) -> io::Result<String> {
    let mut bundle = std::fs::read_to_string(extra_authorities)?;
    for certificate in rustls_native_certs::load_native_certs().certs {
        bundle.push_str("\n-----BEGIN CERTIFICATE-----\n");
        let text = STANDARD.encode(certificate);
        // RFC 7468: lines of 64 characters.
        for start in (0..text.len()).step_by(64) {
            bundle.push_str(&text[start..text.len().min(start + 64)]);
            bundle.push('\n');
        }
        bundle.push_str("-----END CERTIFICATE-----\n");
    }
    Ok(bundle)
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), SetupError> {
    let unreadable = |source| SetupError::Authorities {
        path: path.to_owned(),
        source,
    };
    let mut found = 0_usize;
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        let certificate = certificate.map_err(unreadable)?;
        roots.add(certificate).map_err(|source| SetupError::BadAuthority {
            path: path.to_owned(),
            source,
        })?;
        found += 1;
    }
    if found == 0 {
        return Err(SetupError::NoAuthorities(path.to_owned()));
    }
    Ok(())
}
