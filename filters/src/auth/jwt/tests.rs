use http::header::AUTHORIZATION;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::json;

use super::super::claims::{NameClaim, Rule};
use super::*;

/// RFC 7515, appendix A.1 to A.3: the same claims under three algorithms. They expired in 2011.
const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const IN_TIME: i64 = 1_300_819_000;

fn rfc(header: &str, signature: &str) -> String {
    format!("{header}.{CLAIMS}.{signature}")
}

fn hs256() -> String {
    rfc(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    )
}

fn rs256() -> String {
    rfc(
        "eyJhbGciOiJSUzI1NiJ9",
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CU\
         Ar7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_d\
         O--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0ig\
         cN_IoypGlUPQGe77Rw",
    )
}

fn es256() -> String {
    rfc(
        "eyJhbGciOiJFUzI1NiJ9",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    )
}

fn rfc_keys() -> KeySet {
    let set = json!({"keys": [
        {"kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2\
          mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMd\
          bBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_\
          h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"},
        {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
          "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
        {"kty": "oct", "k": "passed over"}, {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, "nonsense"
    ]});
    KeySet::parse(&set).unwrap()
}

fn rfc_secret() -> KeySet {
    let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let mut keys = KeySet::default();
    keys.add_secret(JwtAlgorithm::HS256, &URL_SAFE_NO_PAD.decode(secret).unwrap());
    keys
}

fn check_of(algorithms: &[JwtAlgorithm]) -> JwtCheck {
    JwtCheck {
        header: AUTHORIZATION,
        algorithms: algorithms.to_vec(),
        keys: Keys::Fixed(KeySet::default()),
        leeway_s: 30,
        claims: ClaimCheck {
            issuer: Some("joe".into()),
            audiences: Vec::new(),
            rules: Vec::new(),
            name: NameClaim::Usual(&["sub", "client_id"]),
            consumer: None,
        },
    }
}

fn verified(check: &JwtCheck, token: &str, keys: &KeySet, now_s: i64) -> Result<Identity, Failed> {
    check.verify(&Token::parse(token)?, keys, None, now_s)
}

fn refusal(check: &JwtCheck, token: &str, keys: &KeySet, now_s: i64) -> AuthRefusal {
    match verified(check, token, keys, now_s) {
        Err(Failed::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// An issuer of the tests, with an Ed25519 key.
struct Issuer {
    key: Ed25519KeyPair,
}

impl Issuer {
    fn new() -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        Self { key }
    }

    fn keys(&self, id: &str) -> KeySet {
        let x = URL_SAFE_NO_PAD.encode(self.key.public_key());
        KeySet::parse(&json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": id, "x": x, "use": "sig"}]})).unwrap()
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// A token with these claims and those that each needs.
    fn claiming(&self, claims: Value) -> String {
        let mut all = json!({"iss": "joe", "exp": 2_000});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        self.token(&json!({"alg": "EdDSA", "kid": "1"}), &all)
    }
}

#[test]
fn tokens_of_the_rfc_open_until_they_expire() {
    use JwtAlgorithm::{ES256, HS256, RS256};
    for (algorithm, token, keys) in [
        (HS256, hs256(), rfc_secret()),
        (RS256, rs256(), rfc_keys()),
        (ES256, es256(), rfc_keys()),
    ] {
        let check = check_of(&[algorithm]);
        let identity = verified(&check, &token, &keys, IN_TIME).unwrap();
        assert_eq!(identity.claims.unwrap()["http://example.com/is_root"], true);
        assert_eq!(refusal(&check, &token, &keys, IN_TIME + 1_000), AuthRefusal::Expired);
        let mut changed = token.clone();
        changed.replace_range(changed.len() - 20..changed.len() - 19, "_");
        assert_eq!(refusal(&check, &changed, &keys, IN_TIME), AuthRefusal::Invalid);
    }
}

#[test]
fn p384_signatures_open() {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let (x, y) = key.public_key().as_ref()[1..].split_at(48);
    let encoded = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let keys = json!({"keys": [{"kty": "EC", "crv": "P-384", "x": encoded(x), "y": encoded(y)}]});
    let keys = KeySet::parse(&keys).unwrap();
    let signed = format!("{}.{CLAIMS}", encoded(br#"{"alg":"ES384"}"#));
    let signature = key.sign(&random, signed.as_bytes()).unwrap();
    let token = format!("{signed}.{}", encoded(signature.as_ref()));
    assert!(verified(&check_of(&[JwtAlgorithm::ES384]), &token, &keys, IN_TIME).is_ok());
    let other = check_of(&[JwtAlgorithm::ES256]);
    assert_eq!(refusal(&other, &token, &keys, IN_TIME), AuthRefusal::Invalid);
}

#[test]
fn what_a_token_says_of_its_algorithm_widens_nothing() {
    let check = check_of(&[JwtAlgorithm::RS256]);
    let forged = |header: &str| format!("{}.{CLAIMS}.", URL_SAFE_NO_PAD.encode(header));
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"NONE"}"#, r#"{"alg":"HS257"}"#] {
        assert_eq!(
            Token::parse(&forged(header)).unwrap_err(),
            AuthRefusal::Invalid,
            "{header}"
        );
    }
    // Good signatures of algorithms that are not the integration's.
    assert_eq!(refusal(&check, &es256(), &rfc_keys(), IN_TIME), AuthRefusal::Invalid);
    assert_eq!(refusal(&check, &hs256(), &rfc_secret(), IN_TIME), AuthRefusal::Invalid);
}

#[test]
fn a_claim_of_the_wrong_kind_is_not_one_that_is_left_out() {
    let issuer = Issuer::new();
    let keys = issuer.keys("1");
    let check = check_of(&[JwtAlgorithm::EdDsa]);
    assert!(verified(&check, &issuer.claiming(json!({})), &keys, 1_000).is_ok());
    for claims in [
        json!({"exp": "2000"}),
        json!({"exp": null}),
        json!({"nbf": "0"}),
        json!({"nbf": 1_031}),
        json!({"iss": ["joe"]}),
        json!({"iss": "jo"}),
        json!({"sub": "two\nlines"}),
    ] {
        let token = issuer.claiming(claims.clone());
        assert_eq!(refusal(&check, &token, &keys, 1_000), AuthRefusal::Invalid, "{claims}");
    }
    let endless = issuer.token(&json!({"alg": "EdDSA"}), &json!({"iss": "joe"}));
    assert_eq!(refusal(&check, &endless, &keys, 1_000), AuthRefusal::Invalid);
    assert!(
        verified(
            &check,
            &issuer.claiming(json!({"nbf": 1_030.5, "exp": 971.0})),
            &keys,
            1_000
        )
        .is_ok()
    );
    assert_eq!(
        refusal(&check, &issuer.claiming(json!({"exp": 970})), &keys, 1_000),
        AuthRefusal::Expired
    );
}

#[test]
fn the_audience_must_be_one_of_ours() {
    let issuer = Issuer::new();
    let keys = issuer.keys("1");
    let mut check = check_of(&[JwtAlgorithm::EdDsa]);
    check.claims.audiences = vec!["gateway".into()];
    for (audience, good) in [
        (json!("gateway"), true),
        (json!(["other", "gateway"]), true),
        (json!("other"), false),
        (json!([]), false),
        (json!(["gateway2"]), false),
        (json!({"gateway": 1}), false),
    ] {
        let token = issuer.claiming(json!({ "aud": audience }));
        assert_eq!(verified(&check, &token, &keys, 1_000).is_ok(), good, "{audience}");
    }
    assert!(verified(&check, &issuer.claiming(json!({})), &keys, 1_000).is_err());
}

#[test]
fn who_lacks_a_claim_is_known_and_may_not() {
    let issuer = Issuer::new();
    let keys = issuer.keys("1");
    let mut check = check_of(&[JwtAlgorithm::EdDsa]);
    let rules = serde_json::from_value::<Vec<_>>(json!([{"claim": "scope", "contains": ["book"]}])).unwrap();
    check.claims.rules = Rule::compile(&rules, "", &mut Vec::new());
    let token = issuer.claiming(json!({"sub": "ana", "scope": "read book"}));
    let identity = verified(&check, &token, &keys, 1_000).unwrap();
    assert_eq!(identity.name.as_deref(), Some("ana"));
    let token = issuer.claiming(json!({"sub": "ana", "scope": "read"}));
    assert_eq!(refusal(&check, &token, &keys, 1_000), AuthRefusal::NotAllowed);
}

#[test]
fn an_unknown_key_is_told_from_a_bad_signature() {
    let issuer = Issuer::new();
    let check = check_of(&[JwtAlgorithm::EdDsa]);
    let token = issuer.claiming(json!({}));
    let result = verified(&check, &token, &issuer.keys("2"), 1_000);
    assert_eq!(result.unwrap_err(), Failed::NoSuchKey);
    let other = Issuer {
        key: Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap(),
    };
    assert_eq!(refusal(&check, &token, &other.keys("1"), 1_000), AuthRefusal::Invalid);
}

#[test]
fn what_is_no_token_is_malformed() {
    let issuer = Issuer::new();
    let critical = issuer.token(&json!({"alg": "EdDSA", "crit": ["b64"], "b64": false}), &json!({}));
    let long = issuer.claiming(json!({"pad": "x".repeat(20_000)}));
    for text in [
        "",
        "a.b",
        "a.b.c",
        "....",
        "a.b.c.d",
        &format!("{}.", hs256()),
        &critical,
        &long,
    ] {
        assert_eq!(Token::parse(text).unwrap_err(), AuthRefusal::Malformed, "{text}");
    }
    let list = issuer.token(&json!({"alg": "EdDSA"}), &json!(["iss"]));
    let check = check_of(&[JwtAlgorithm::EdDsa]);
    assert_eq!(refusal(&check, &list, &issuer.keys("1"), 0), AuthRefusal::Malformed);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}", header in "\\PC{0,60}", claims in "\\PC{0,60}") {
        let encoded = |part: &str| URL_SAFE_NO_PAD.encode(part);
        let check = check_of(&[JwtAlgorithm::EdDsa]);
        let keys = Issuer::new().keys("1");
        for token in [text, format!("{}.{}.AAAA", encoded(&header), encoded(&claims))] {
            proptest::prop_assert!(verified(&check, &token, &keys, 0).is_err());
        }
    }
}
