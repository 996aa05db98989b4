use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

use super::*;

struct Files {
    authority: String,
    certificate: String,
    key: String,
    other_key: String,
}

fn files() -> Files {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["gateway.example".to_owned()]).unwrap();
    Files {
        authority: issuer.pem(),
        certificate: params.signed_by(&key, &issuer).unwrap().pem(),
        key: key.serialize_pem(),
        other_key: KeyPair::generate().unwrap().serialize_pem(),
    }
}

fn read(config: &Value) -> Result<Arc<TlsPlan>, Vec<String>> {
    let mut problems = Vec::new();
    let plan = TlsPlan::read(Some(config), "outgoingTls", &mut problems);
    plan.ok_or_else(|| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn authorities_certificate_and_name_are_read() {
    let files = files();
    let both = format!("{}\n{}", files.authority, files.authority);
    let plan = read(
        &json!({"authorities": both, "clientCertificate": files.certificate, "privateKey": files.key,
        "serverName": "partner.internal"}),
    )
    .unwrap();
    assert_eq!(plan.authorities.len(), 2);
    assert_eq!(plan.identity.as_ref().unwrap().chain.len(), 1);
    assert_eq!(plan.server_name.as_ref().unwrap().as_ref(), "partner.internal");
    assert!(!format!("{plan:?}").contains("PRIVATE"));
    let other = read(&json!({"authorities": files.authority})).unwrap();
    assert_ne!(plan.digest, other.digest);
    assert!(other.identity.is_none());
}

#[test]
fn what_is_wrong_is_named_with_its_field() {
    let files = files();
    let garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (config, expected) in [
        (json!({}), "outgoingTls: is empty"),
        (json!({"authority": "x"}), "outgoingTls"),
        (
            json!({"authorities": "none"}),
            "outgoingTls.authorities: holds 0 certificates",
        ),
        (
            json!({"authorities": garbled}),
            "outgoingTls.authorities: certificate 1 cannot be read",
        ),
        (
            json!({"clientCertificate": files.certificate}),
            "outgoingTls.privateKey: is needed",
        ),
        (
            json!({"privateKey": files.key}),
            "outgoingTls.clientCertificate: is needed",
        ),
        (
            json!({"clientCertificate": files.certificate, "privateKey": files.other_key}),
            "outgoingTls.privateKey: is not the key of the first certificate",
        ),
        (
            json!({"clientCertificate": files.certificate, "privateKey": files.certificate}),
            "outgoingTls.privateKey: must hold a private key in PEM form",
        ),
        (
            json!({"serverName": "not a name"}),
            "outgoingTls.serverName: \"not a name\" is no DNS name",
        ),
        (
            json!({"serverName": "192.0.2.7"}),
            "outgoingTls.serverName: \"192.0.2.7\" is no DNS name",
        ),
    ] {
        let problems = read(&config).expect_err(&config.to_string());
        assert!(
            problems.iter().any(|problem| problem.starts_with(expected)),
            "{config}: {problems:?}"
        );
        assert!(!problems.iter().any(|problem| problem.contains("MII")), "{problems:?}");
    }
}
