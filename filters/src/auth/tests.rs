use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect()
}

fn keys() -> Credentials {
    let mut keys = Credentials::default();
    assert!(keys.add("old", sha256(b"key-1")));
    assert!(keys.add("new", sha256(b"key-2")));
    keys
}

#[test]
fn an_api_key_is_found_in_header_and_query() {
    let check = InboundCheck::ApiKey {
        header: Some(HeaderName::from_static("x-api-key")),
        query: Some("api_key".to_owned()),
        keys: keys(),
    };
    assert_eq!(check.check(&headers(&[("x-api-key", "key-2")]), None), Ok(Some(1)));
    assert_eq!(
        check.check(&HeaderMap::new(), Some("a=b&api%5Fkey=key%2D1")),
        Ok(Some(0))
    );
    assert_eq!(check.check(&HeaderMap::new(), Some("a=b")), Err(AuthRefusal::Missing));
    assert_eq!(
        check.check(&headers(&[("x-api-key", "key-3")]), Some("api_key=key-1")),
        Err(AuthRefusal::Invalid)
    );
    let two = headers(&[("x-api-key", "key-1"), ("x-api-key", "key-2")]);
    assert_eq!(check.check(&two, None), Err(AuthRefusal::Malformed));
}

#[test]
fn a_bearer_token_needs_its_scheme() {
    let check = InboundCheck::Bearer(keys());
    assert_eq!(
        check.check(&headers(&[("authorization", "bearer key-1")]), None),
        Ok(Some(0))
    );
    assert_eq!(
        check.check(&headers(&[("authorization", "Basic key-1")]), None),
        Err(AuthRefusal::Malformed)
    );
    assert_eq!(
        check.check(&headers(&[("authorization", "Bearer ")]), None),
        Err(AuthRefusal::Malformed)
    );
    assert_eq!(check.check(&HeaderMap::new(), None), Err(AuthRefusal::Missing));
}

#[test]
fn basic_needs_the_right_user_and_password() {
    let mut users = Credentials::default();
    assert!(users.add_user("ana", sha256(b"p:w")));
    assert!(!users.add_user("ana", sha256(b"other")));
    let check = InboundCheck::Basic(users);
    let sent = |pair: &str| headers(&[("authorization", &format!("Basic {}", STANDARD.encode(pair)))]);
    assert_eq!(check.check(&sent("ana:p:w"), None), Ok(Some(0)));
    assert_eq!(check.check(&sent("ana:pw"), None), Err(AuthRefusal::Invalid));
    assert_eq!(check.check(&sent("bob:p:w"), None), Err(AuthRefusal::Invalid));
    assert_eq!(check.check(&sent("bob:"), None), Err(AuthRefusal::Invalid));
    assert_eq!(check.check(&sent("ana"), None), Err(AuthRefusal::Malformed));
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
