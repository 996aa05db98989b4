use rcgen::{CertificateParams, KeyPair};

use super::*;

fn made(names: &[&str]) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[test]
fn names_are_those_of_the_certificate() {
    let (chain, key) = made(&["API.example", "*.b.example", "192.0.2.1"]);
    let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let names: Vec<&str> = certificate.names.iter().map(AsRef::as_ref).collect();
    assert_eq!(names, ["api.example", "*.b.example"]);
}

#[test]
fn what_cannot_be_shown_is_refused_with_the_reason() {
    let (chain, key) = made(&["a.example"]);
    let (other_chain, _) = made(&["a.example"]);
    let (nameless, nameless_key) = made(&[]);
    let refused = |chain: &str, key: &str| {
        Certificate::from_pem(chain.as_bytes(), key.as_bytes())
            .unwrap_err()
            .to_string()
    };
    assert!(refused("", &key).contains("no certificate"));
    assert!(refused(&key, &key).contains("no certificate"));
    assert!(refused(&chain, "").contains("no usable private key"));
    assert!(refused(&chain, &chain).contains("no usable private key"));
    assert!(refused(&other_chain, &key).contains("cannot be used"));
    assert!(refused(&nameless, &nameless_key).contains("names no host"));
}

#[test]
fn a_chain_is_good_for_as_long_as_each_of_its_certificates() {
    let until = |year: i32| {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 15);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    };
    let (early, late) = (until(2030), until(2040));
    assert_eq!(expiry(early.as_bytes()).unwrap(), 1_894_665_600);
    assert_eq!(expiry(format!("{late}{early}").as_bytes()).unwrap(), 1_894_665_600);
    assert!(expiry(b"").is_err());
}
