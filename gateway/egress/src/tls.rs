//! Whom to trust.

use std::io;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::error::SetupError;

/// The TLS settings of all pools: the machine's trust store, and the authorities in the PEM file `extra_authorities`.
/// Reads files; built once, at the start.
///
/// # Errors
/// If the file cannot be read or holds no authority. An empty trust store is only logged: plain targets work without.
pub fn client_config(extra_authorities: Option<&Path>) -> Result<Arc<ClientConfig>, SetupError> {
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
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(SetupError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
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
