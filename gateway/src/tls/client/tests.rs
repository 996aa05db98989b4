use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};

use super::*;

#[test]
fn names_count_as_trusted_under_an_authority_only() {
    pingora::tls::install_default_crypto_provider();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec!["Client.example".to_owned()]).unwrap();
    params.subject_alt_names.extend([
        SanType::URI(Ia5String::try_from("spiffe://a/b").unwrap()),
        SanType::Rfc822Name(Ia5String::try_from("a@b.example").unwrap()),
        SanType::IpAddress([192, 0, 2, 1].into()),
    ]);
    let key = KeyPair::generate().unwrap();
    let vouched = params.clone().signed_by(&key, &authority).unwrap();
    let alone = params.self_signed(&key).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority.pem()).unwrap();
    let mut settings = ClientCertificates {
        mode: ClientMode::Request,
        ca_file: Some(file.path().to_owned()),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = Clients::new(&settings, Arc::clone(&provider)).unwrap().unwrap();
    let peer = clients.peer(&[vouched.der().clone()]).unwrap();
    let names = [
        "dns:client.example",
        "uri:spiffe://a/b",
        "email:a@b.example",
        "ip:192.0.2.1",
    ];
    assert_eq!(peer.names, names.map(|name| SubjectName::parse(name).unwrap()));
    assert!(peer.is_trusted);
    assert_eq!(peer.fingerprint[..], Sha256::digest(vouched.der())[..]);
    assert!(!clients.peer(&[alone.der().clone()]).unwrap().is_trusted);
    settings.ca_file = None;
    let clients = Clients::new(&settings, provider).unwrap().unwrap();
    assert!(!clients.peer(&[vouched.der().clone()]).unwrap().is_trusted);
    assert!(clients.peer(&[b"rubbish".as_slice().into()]).is_none());
}

#[test]
fn a_file_without_authorities_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let settings = ClientCertificates {
        mode: ClientMode::Require,
        ca_file: Some(file.path().to_owned()),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let error = Clients::new(&settings, provider).unwrap_err().to_string();
    assert!(error.contains("there is no certificate in"), "{error}");
}
