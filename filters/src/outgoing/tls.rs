//! TLS with a partner: whom to trust and which certificate to show, read and checked once at compile time.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, DnsName, PrivateKeyDer};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::model::outgoing::OutgoingTls;
use crate::model::problem::join;
use crate::model::{Problem, decode};

/// TLS with a partner.
pub struct TlsPlan {
    /// Stands for all of it.
    pub digest: [u8; 32],
    /// Who may vouch for the partner; whoever the gateway trusts otherwise if empty.
    pub authorities: Vec<CertificateDer<'static>>,
    /// What the gateway shows.
    pub identity: Option<Identity>,
    /// Name that the partner is asked for and that its certificate must have; that of the target if `None`.
    pub server_name: Option<DnsName<'static>>,
}

/// A certificate chain, the gateway's own first, and the key of that.
pub struct Identity {
    /// The chain; never empty.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key.
    pub key: PrivateKeyDer<'static>,
}

impl TlsPlan {
    /// Reads `config`, which stands at `path`, adding what is wrong with it.
    pub(crate) fn read(config: Option<&Value>, path: &str, problems: &mut Vec<Problem>) -> Option<Arc<Self>> {
        let config = decode::from_value(config?, path, problems)?;
        Self::compile(&config, path, problems)
    }

    /// Compiles `config`, which stands at `path`.
    pub(crate) fn compile(config: &OutgoingTls, path: &str, problems: &mut Vec<Problem>) -> Option<Arc<Self>> {
        let before = problems.len();
        if *config == OutgoingTls::default() {
            problems.push(Problem::new(path, "is empty; leave it out instead"));
        }
        // Texts are serialized without fail.
        let text = serde_json::to_vec(config).unwrap_or_default();
        let plan = Self {
            digest: Sha256::digest(text).into(),
            authorities: authorities(config, &join(path, "authorities"), problems),
            identity: identity(config, path, problems),
            server_name: server_name(config, &join(path, "serverName"), problems),
        };
        (problems.len() == before).then(|| Arc::new(plan))
    }
}

impl fmt::Debug for TlsPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsPlan")
            .field("authorities", &self.authorities.len())
            .field("identity", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

fn authorities(config: &OutgoingTls, path: &str, problems: &mut Vec<Problem>) -> Vec<CertificateDer<'static>> {
    let Some(pem) = &config.authorities else {
        return Vec::new();
    };
    let found = certificates(pem, path, problems);
    let mut store = RootCertStore::empty();
    for (index, certificate) in found.iter().enumerate() {
        if store.add(certificate.clone()).is_err() {
            let message = format!("certificate {} cannot vouch for others", index + 1);
            problems.push(Problem::new(path, message));
        }
    }
    found
}

fn identity(config: &OutgoingTls, path: &str, problems: &mut Vec<Problem>) -> Option<Identity> {
    let (certificate_path, key_path) = (join(path, "clientCertificate"), join(path, "privateKey"));
    let (pem, key) = match (&config.client_certificate, &config.private_key) {
        (Some(pem), Some(key)) => (pem, key),
        (None, None) => return None,
        (Some(_), None) => {
            problems.push(Problem::new(key_path, "is needed beside `clientCertificate`"));
            return None;
        }
        (None, Some(_)) => {
            problems.push(Problem::new(certificate_path, "is needed beside `privateKey`"));
            return None;
        }
    };
    let chain = certificates(pem, &certificate_path, problems);
    let Ok(key) = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()) else {
        let message = "must hold a private key in PEM form (`-----BEGIN PRIVATE KEY-----`)";
        problems.push(Problem::new(key_path, message));
        return None;
    };
    if chain.is_empty() {
        return None;
    }
    let provider = rustls::crypto::ring::default_provider();
    match CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider) {
        Ok(_) => Some(Identity { chain, key }),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let message = "is not the key of the first certificate of `clientCertificate`";
            problems.push(Problem::new(key_path, message));
            None
        }
        Err(_) => {
            let message = "must be an RSA key of 2048 to 4096 bits, a key on P-256 or P-384, or an Ed25519 key";
            problems.push(Problem::new(key_path, message));
            None
        }
    }
}

fn server_name(config: &OutgoingTls, path: &str, problems: &mut Vec<Problem>) -> Option<DnsName<'static>> {
    let name = config.server_name.as_ref()?;
    DnsName::try_from(name.clone())
        .map_err(|_| problems.push(Problem::new(path, format!("{name:?} is no DNS name"))))
        .ok()
}

/// The certificates in `pem`, each of which can be read.
fn certificates(pem: &str, path: &str, problems: &mut Vec<Problem>) -> Vec<CertificateDer<'static>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = found.unwrap_or_default();
    if !(1..=MOST_CERTIFICATES).contains(&found.len()) {
        let count = found.len();
        let message = format!(
            "holds {count} certificates in PEM form (`-----BEGIN CERTIFICATE-----`); it must hold 1 to {MOST_CERTIFICATES}"
        );
        problems.push(Problem::new(path, message));
        return Vec::new();
    }
    for (index, certificate) in found.iter().enumerate() {
        if !X509Certificate::from_der(certificate).is_ok_and(|(rest, _)| rest.is_empty()) {
            let message = format!("certificate {} cannot be read", index + 1);
            problems.push(Problem::new(path, message));
        }
    }
    found
}

const MOST_CERTIFICATES: usize = 100;

#[cfg(test)]
mod tests;
