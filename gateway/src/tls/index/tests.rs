use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;

fn certificate(names: &[&str], expires: i32) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_after = date_time_ymd(expires, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    Certificate::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
}

fn is(found: Option<&Arc<CertifiedKey>>, wanted: &Certificate) -> bool {
    found.is_some_and(|found| Arc::ptr_eq(found, &wanted.key))
}

#[test]
fn a_wildcard_stands_for_one_label() {
    let wild = certificate(&["*.a.example"], 2_040);
    let index = Index::of([&wild]);
    assert!(is(index.wildcard("x.a.example"), &wild));
    for name in ["a.example", "x.y.a.example", "a"] {
        assert!(index.wildcard(name).is_none(), "{name}");
    }
    assert!(index.exact("x.a.example").is_none());
}

#[test]
fn the_one_that_expires_last_is_shown() {
    let old = certificate(&["a.example", "b.example"], 2_040);
    let new = certificate(&["a.example"], 2_041);
    for order in [[&old, &new], [&new, &old]] {
        let index = Index::of(order);
        assert!(is(index.exact("a.example"), &new));
        assert!(is(index.exact("b.example"), &old));
        assert!(is(index.first(), order[0]));
    }
}
