//! A certificate with its private key, checked and ready to be shown.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Why a certificate cannot be shown to clients.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The text of the chain is no PEM.
    #[error("the certificate is not PEM: {0}")]
    ChainNotPem(pem::Error),
    /// There is no certificate in it.
    #[error("there is no certificate in it; it must begin with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// The text of the key is no PEM, or holds no private key.
    #[error("there is no usable private key (PEM, without a passphrase): {0}")]
    Key(pem::Error),
    /// Chain and key cannot be used together.
    #[error("certificate and key cannot be used: {0}")]
    Pair(#[from] rustls::Error),
    /// The first certificate cannot be read.
    #[error("the first certificate cannot be read: {0}")]
    Unreadable(String),
    /// It names nobody.
    #[error("the certificate names no host: it has no DNS name in its subject alternative names")]
    NoNames,
}

/// A certificate, its key, and what it answers to.
#[derive(Debug)]
pub struct Certificate {
    /// As TLS shows it.
    pub key: Arc<CertifiedKey>,
    /// DNS names in lower case, some of them as `*.example.com`.
    pub names: Vec<Box<str>>,
    /// Seconds since 1970 after which clients refuse it.
    pub expires: i64,
}

impl Certificate {
    /// Reads a chain (its own certificate first) and a private key, both PEM.
    ///
    /// # Errors
    /// If they cannot be read, do not belong together, or name no host.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(CertificateError::ChainNotPem)?;
        let own = chain.first().ok_or(CertificateError::NoCertificate)?;
        let (names, expires) = read(own)?;
        if names.is_empty() {
            return Err(CertificateError::NoNames);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(CertificateError::Key)?;
        let key = CertifiedKey::from_der(chain, key, &ring::default_provider())?;
        Ok(Self {
            key: Arc::new(key),
            names,
            expires,
        })
    }
}

/// Seconds since 1970 after which a chain (PEM) is refused: when the first of its certificates expires.
///
/// # Errors
/// If it is no PEM, holds no certificate, or one that cannot be read.
pub fn expiry(chain: &[u8]) -> Result<i64, CertificateError> {
    let mut first = None;
    for certificate in CertificateDer::pem_slice_iter(chain) {
        let certificate = certificate.map_err(CertificateError::ChainNotPem)?;
        let (_, parsed) =
            X509Certificate::from_der(&certificate).map_err(|error| CertificateError::Unreadable(error.to_string()))?;
        let expires = parsed.validity().not_after.timestamp();
        first = Some(first.map_or(expires, |first: i64| first.min(expires)));
    }
    first.ok_or(CertificateError::NoCertificate)
}

fn read(certificate: &[u8]) -> Result<(Vec<Box<str>>, i64), CertificateError> {
    let unreadable = |error: String| CertificateError::Unreadable(error);
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| unreadable(error.to_string()))?;
    let alternatives = parsed.subject_alternative_name();
    let alternatives = alternatives.map_err(|error| unreadable(error.to_string()))?;
    let names = alternatives.iter().flat_map(|extension| &extension.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase().into_boxed_str()),
        _ => None,
    });
    Ok((names.collect(), parsed.validity().not_after.timestamp()))
}

#[cfg(test)]
mod tests;
