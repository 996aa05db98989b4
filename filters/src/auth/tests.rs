use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect()
}

/// Checks a request with these fields; the index of the credential that opens.
fn opened(check: &InboundCheck, headers: &HeaderMap, query: &str) -> Result<Option<usize>, AuthRefusal> {
    let uri: Uri = format!("/?{query}").parse().unwrap();
    let request = Presented {
        method: &Method::GET,
        uri: &uri,
        headers,
        certificate: None,
        consumers: None,
        now_s: || 0,
    };
    match check.check(&check.ways[0], &request)? {
        Checked::Known(identity) => {
            let name = identity.credential.map(|index| Arc::clone(&check.names[index]));
            assert_eq!(identity.name, name);
            Ok(identity.credential)
        }
        other => panic!("{other:?}"),
    }
}

fn check(way: Way) -> InboundCheck {
    InboundCheck {
        ways: vec![way],
        names: vec!["old".into(), "new".into()],
    }
}

fn keys() -> Credentials {
    let mut keys = Credentials::new(false);
    assert!(keys.add(0, sha256(b"key-1")));
    assert!(keys.add(1, sha256(b"key-2")));
    assert!(!keys.add(2, sha256(b"key-2")));
    keys
}

#[test]
fn an_api_key_is_found_in_header_and_query() {
    let check = check(Way::ApiKey {
        header: Some(HeaderName::from_static("x-api-key")),
        query: Some("api_key".to_owned()),
        keys: keys(),
    });
    assert_eq!(opened(&check, &headers(&[("x-api-key", "key-2")]), ""), Ok(Some(1)));
    let none = HeaderMap::new();
    assert_eq!(opened(&check, &none, "a=b&api%5Fkey=key%2D1"), Ok(Some(0)));
    assert_eq!(opened(&check, &none, "a=b"), Err(AuthRefusal::Missing));
    assert_eq!(
        opened(&check, &headers(&[("x-api-key", "key-3")]), "api_key=key-1"),
        Err(AuthRefusal::Invalid)
    );
    let two = headers(&[("x-api-key", "key-1"), ("x-api-key", "key-2")]);
    assert_eq!(opened(&check, &two, ""), Err(AuthRefusal::Malformed));
}

#[test]
fn a_bearer_token_needs_its_scheme() {
    let check = check(Way::Bearer(keys()));
    let opened = |value: &str| opened(&check, &headers(&[("authorization", value)]), "");
    assert_eq!(opened("bearer key-1"), Ok(Some(0)));
    assert_eq!(opened("Basic key-1"), Err(AuthRefusal::Malformed));
    assert_eq!(opened("Bearer "), Err(AuthRefusal::Malformed));
}

#[test]
fn basic_needs_the_right_user_and_password() {
    let mut users = Credentials::new(false);
    assert!(users.add_user(0, "ana", sha256(b"p:w")));
    assert!(!users.add_user(1, "ana", sha256(b"other")));
    let check = check(Way::Basic(users));
    let opened = |pair: &str| {
        let value = format!("Basic {}", STANDARD.encode(pair));
        opened(&check, &headers(&[("authorization", &value)]), "")
    };
    assert_eq!(opened("ana:p:w"), Ok(Some(0)));
    assert_eq!(opened("ana:pw"), Err(AuthRefusal::Invalid));
    assert_eq!(opened("bob:p:w"), Err(AuthRefusal::Invalid));
    assert_eq!(opened("bob:"), Err(AuthRefusal::Invalid));
    assert_eq!(opened("ana"), Err(AuthRefusal::Malformed));
}

#[test]
fn the_refusal_that_got_furthest_speaks() {
    use AuthRefusal::{Expired, Invalid, Malformed, Missing, NotAllowed};
    let order = [Missing, Malformed, Invalid, Expired, NotAllowed];
    assert!(order.is_sorted());
}

#[test]
fn a_parameter_is_taken_out_and_the_rest_stays_as_written() {
    assert_eq!(without_parameter("a=%20x&key=1&b&key=2&c=+", "key"), "a=%20x&b&c=+");
    assert_eq!(without_parameter("key=1", "key"), "");
}

#[test]
fn a_producer_shows_its_key_in_one_of_two_headers() {
    let key = |pairs: &[(&'static str, &str)]| key_or_token(&headers(pairs)).map(<[u8]>::to_vec);
    assert_eq!(key(&[("x-api-key", "key-1")]), Ok(b"key-1".to_vec()));
    assert_eq!(key(&[("authorization", "Bearer key-1")]), Ok(b"key-1".to_vec()));
    let both = [("authorization", "Bearer key-2"), ("x-api-key", "key-1")];
    assert_eq!(key(&both), Ok(b"key-1".to_vec()), "the one that is only a key");
    assert_eq!(key(&[]), Err(AuthRefusal::Missing));
    assert_eq!(key(&[("x-api-key", "")]), Err(AuthRefusal::Malformed));
    assert_eq!(key(&[("authorization", "Basic key-1")]), Err(AuthRefusal::Malformed));
    let two = [("x-api-key", "key-1"), ("x-api-key", "key-2")];
    assert_eq!(key(&two), Err(AuthRefusal::Malformed));
}
