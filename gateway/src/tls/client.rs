//! Certificates of clients: asked for, and judged by who vouches for them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use filters::auth::certificate::{PeerCertificate, SubjectName};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::config::{ClientCertificates, ClientMode};

/// Why certificates of clients cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// The file of authorities cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// There is no authority in it.
    #[error("there is no certificate in {}; it must hold at least one -----BEGIN CERTIFICATE-----", .0.display())]
    Empty(PathBuf),
    /// One of them cannot be used.
    #[error("{}: {source}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// All of them together cannot be used.
    #[error("{0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// Asks clients for a certificate. Whoever shows one has its key: that is proven in every handshake.
#[derive(Debug)]
pub(super) struct Clients {
    /// Judges by the authorities of the settings.
    authorities: Option<Arc<dyn ClientCertVerifier>>,
    is_required: bool,
    provider: Arc<CryptoProvider>,
}

impl Clients {
    /// `None` if clients are not asked.
    pub(super) fn new(
        settings: &ClientCertificates,
        provider: Arc<CryptoProvider>,
    ) -> Result<Option<Self>, AuthoritiesError> {
        if settings.mode == ClientMode::Off {
            return Ok(None);
        }
        let authorities = match &settings.ca_file {
            Some(path) => Some(authorities(path.clone(), Arc::clone(&provider))?),
            None => None,
        };
        Ok(Some(Self {
            authorities,
            is_required: settings.mode == ClientMode::Require,
            provider,
        }))
    }

    /// True for a client that gets no connection: an authority has to vouch for it, and none does.
    pub(super) fn turns_away(&self, shown: Option<&PeerCertificate>) -> bool {
        self.is_required && self.authorities.is_some() && !shown.is_some_and(|shown| shown.is_trusted)
    }

    /// What is known of whoever showed this chain; `None` if it cannot be read.
    pub(super) fn peer(&self, chain: &[CertificateDer<'_>]) -> Option<PeerCertificate> {
        let (own, others) = chain.split_first()?;
        let vouched = self.authorities.as_ref().map(|authorities| {
            let now = UnixTime::now();
            authorities.verify_client_cert(own, others, now)
        });
        Some(PeerCertificate {
            fingerprint: Sha256::digest(own).into(),
            names: names(own)?,
            is_trusted: matches!(vouched, Some(Ok(_))),
        })
    }
}

fn authorities(path: PathBuf, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, AuthoritiesError> {
    let read = |source| AuthoritiesError::Read {
        path: path.clone(),
        source,
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&path).map_err(read)? {
        let certificate = certificate.map_err(read)?;
        roots.add(certificate).map_err(|source| AuthoritiesError::Unusable {
            path: path.clone(),
            source,
        })?;
    }
    if roots.is_empty() {
        return Err(AuthoritiesError::Empty(path));
    }
    Ok(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?)
}

fn names(certificate: &[u8]) -> Option<Vec<SubjectName>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let alternatives = parsed.subject_alternative_name().ok()?;
    let names = alternatives.iter().flat_map(|extension| &extension.value.general_names);
    Some(names.filter_map(name).collect())
}

fn name(name: &GeneralName<'_>) -> Option<SubjectName> {
    match name {
        GeneralName::DNSName(name) => Some(SubjectName::dns(name)),
        GeneralName::URI(uri) => Some(SubjectName::Uri((*uri).into())),
        GeneralName::RFC822Name(address) => Some(SubjectName::Email((*address).into())),
        GeneralName::IPAddress(bytes) => address(bytes).map(SubjectName::Ip),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Where anybody is let in, no client is to conclude from a list that it has nothing to show.
        match &self.authorities {
            Some(authorities) if self.is_required => authorities.root_hint_subjects(),
            _ => &[],
        }
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        match &self.authorities {
            Some(authorities) if self.is_required => authorities.verify_client_cert(own, others, now),
            // Nobody has to vouch for it here; whether somebody does is noted in `peer`.
            _ => Ok(ClientCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
