//! Settings of TLS towards clients.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::validate::Found;

/// TLS towards clients. Certificates come from these files and from the control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Tls {
    /// Certificates in files, which are read again when they change. The first one answers to names that no
    /// certificate is for, and to clients that name no host.
    pub certificates: Vec<CertificateFiles>,
    /// Certificates of clients.
    pub client_certificates: ClientCertificates,
    /// The port of `https` addresses that clients are sent to; it may be that of a balancer in front.
    pub redirect_port: u16,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificates: Vec::new(),
            client_certificates: ClientCertificates::default(),
            redirect_port: 443,
        }
    }
}

/// One certificate in files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateFiles {
    /// The certificate and those that vouch for it (PEM), its own first.
    pub cert_file: PathBuf,
    /// Its private key (PEM).
    pub key_file: PathBuf,
}

/// Certificates of clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClientCertificates {
    /// Whether clients are asked for one.
    pub mode: ClientMode,
    /// Authorities (PEM) whose word is taken for the names in a client's certificate.
    pub ca_file: Option<PathBuf>,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClientMode {
    /// They are not asked.
    #[default]
    Off,
    /// They are asked. Whoever has none, or one that no authority vouches for, is let in as well; integrations decide.
    Request,
    /// Only clients whose certificate an authority of `caFile` vouches for get a connection.
    Require,
}

impl Tls {
    pub(super) fn check(&self, found: &mut Found) {
        for (index, files) in self.certificates.iter().enumerate() {
            for (name, path) in [("certFile", &files.cert_file), ("keyFile", &files.key_file)] {
                if path.file_name().is_none() {
                    let setting = format!("tls.certificates[{index}].{name}");
                    found.add(&setting, "names no file; give one, as in `certs/gateway.pem`");
                }
            }
        }
        let clients = &self.client_certificates;
        if clients.mode == ClientMode::Require && clients.ca_file.is_none() {
            found.add(
                "tls.clientCertificates.caFile",
                "must name a file of authorities, as `mode: require` admits only those that one vouches for",
            );
        }
        if clients.ca_file.as_deref().is_some_and(|path| path == Path::new("")) {
            found.add(
                "tls.clientCertificates.caFile",
                "is empty; name a file, or leave it out",
            );
        }
        found.range("tls.redirectPort", self.redirect_port, 1..=u16::MAX);
    }
}
