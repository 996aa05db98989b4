use http::StatusCode;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, KeyPair as _, RSA_PKCS1_2048_8192_SHA384, UnparsedPublicKey,
    VerificationAlgorithm,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::*;
use crate::address::EgressPolicy;
use crate::model::{Security, decode};

const RSA: &str = include_str!("testing/rsa.pem");
const P256: &str = include_str!("testing/p256.pem");
const ED25519_KEY: &str = include_str!("testing/ed25519.pem");

fn compiled(change: &Value) -> Result<TokenPlan, Vec<String>> {
    compiled_for(1, change)
}

fn compiled_for(org_id: u64, change: &Value) -> Result<TokenPlan, Vec<String>> {
    let mut value =
        json!({"tokenUrl": "https://login.example/oauth/token?x=1", "clientId": "a b", "clientSecret": "s&t:u"});
    let fields = value.as_object_mut().unwrap();
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
    let mut problems = Vec::new();
    let security = Security::default();
    let egress = EgressPolicy::new(&security, None);
    let owner = Owner {
        org_id,
        egress: &egress,
        security: &security,
    };
    let plan = decode::from_value(&value, PATH, &mut problems)
        .and_then(|config| TokenPlan::compile(&config, &owner, &mut problems));
    match plan {
        Some(plan) if problems.is_empty() => Ok(plan),
        _ => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

fn request(plan: &TokenPlan) -> (Option<String>, Vec<(String, String)>) {
    let token = plan.grant.as_ref().map(|grant| &grant.token);
    let request = plan.request(token, 1_000, "id-1", &SystemRandom::new()).unwrap();
    let header = request.authorization.map(|value| value.to_str().unwrap().to_owned());
    let form = form_urlencoded::parse(request.form.expose().as_bytes());
    (header, form.into_owned().collect())
}

fn field<'a>(form: &'a [(String, String)], name: &str) -> &'a str {
    let found = form.iter().find(|(other, _)| other == name);
    found.map_or("", |(_, value)| value)
}

#[test]
fn a_secret_goes_into_the_header_as_form_values() {
    let plan = compiled(
        &json!({"scope": "read write", "audience": "api", "resource": ["https://a.example/", "urn:b"],
        "parameters": {"tenant": "x y"}}),
    )
    .unwrap();
    let (header, form) = request(&plan);
    // base64 of `a+b:s%26t%3Au`
    assert_eq!(header.unwrap(), "Basic YStiOnMlMjZ0JTNBdQ==");
    let expected = [
        ("grant_type", "client_credentials"),
        ("scope", "read write"),
        ("audience", "api"),
        ("resource", "https://a.example/"),
        ("resource", "urn:b"),
        ("tenant", "x y"),
    ];
    assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(plan.uri(), "/oauth/token?x=1");
}

#[test]
fn a_secret_goes_into_the_body() {
    let (header, form) = request(&compiled(&json!({"clientAuthentication": "client_secret_post"})).unwrap());
    assert_eq!(header, None);
    assert_eq!(
        (field(&form, "client_id"), field(&form, "client_secret")),
        ("a b", "s&t:u")
    );
}

#[test]
fn a_refresh_token_goes_into_the_body_however_the_client_shows_who_it_is() {
    let refreshing = json!({"grantType": "refresh_token", "refreshToken": "r/1 &", "scope": "read"});
    let with = |more: Value| {
        let mut change = refreshing.clone();
        change
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        request(&compiled(&change).unwrap())
    };
    let (header, form) = with(json!({}));
    assert_eq!(header.unwrap(), "Basic YStiOnMlMjZ0JTNBdQ==");
    let expected = [
        ("grant_type", "refresh_token"),
        ("scope", "read"),
        ("refresh_token", "r/1 &"),
    ];
    assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let (header, form) = with(json!({"clientAuthentication": "none", "clientSecret": null}));
    assert_eq!(header, None);
    assert_eq!(
        (field(&form, "client_id"), field(&form, "refresh_token")),
        ("a b", "r/1 &")
    );
    let key = json!({"clientAuthentication": "private_key_jwt", "clientSecret": null, "privateKey": P256});
    let (_, form) = with(key);
    assert_eq!(field(&form, "refresh_token"), "r/1 &");
    assert!(!field(&form, "client_assertion").is_empty());
}

#[test]
fn a_grant_is_that_of_one_organization_endpoint_client_and_token() {
    let id = |org_id: u64, more: Value| {
        let mut change = json!({"grantType": "refresh_token", "refreshToken": "r"});
        change
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        compiled_for(org_id, &change).unwrap().grant.unwrap().id
    };
    let one = id(1, json!({}));
    assert_eq!(one, id(1, json!({"scope": "write", "clientSecret": "another"})));
    assert_ne!(one, id(2, json!({})));
    for other in [
        json!({"refreshToken": "s"}),
        json!({"clientId": "c"}),
        json!({"tokenUrl": "https://login.example/other"}),
    ] {
        assert_ne!(one, id(1, other));
    }
    let plan = compiled(&json!({"grantType": "refresh_token", "refreshToken": "planted"})).unwrap();
    assert!(!format!("{plan:?} {:?}", plan.grant).contains("planted"));
}

/// An assertion of `key`: its header, its claims, and whether its signature is right.
fn asserted(change: Value, key: &str, verifies: &'static dyn VerificationAlgorithm, public: &[u8]) -> (Value, Value) {
    let mut config = json!({"clientAuthentication": "private_key_jwt", "clientSecret": null, "privateKey": key});
    config
        .as_object_mut()
        .unwrap()
        .extend(change.as_object().unwrap().clone());
    let (header, form) = request(&compiled(&config).unwrap());
    assert_eq!(header, None);
    assert_eq!(field(&form, "client_id"), "a b");
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    assert_eq!(field(&form, "client_assertion_type"), kind);
    let (message, signature) = field(&form, "client_assertion").rsplit_once('.').unwrap();
    let decode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap();
    let public = UnparsedPublicKey::new(verifies, public);
    public.verify(message.as_bytes(), &decode(signature)).unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let json = |part| serde_json::from_slice(&decode(part)).unwrap();
    (json(header), json(claims))
}

fn pkcs8(pem: &str) -> Vec<u8> {
    match PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap() {
        PrivateKeyDer::Pkcs8(der) => der.secret_pkcs8_der().to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn assertions_are_signed_and_say_whom_they_are_for() {
    let rsa = ring::rsa::KeyPair::from_pkcs8(&pkcs8(RSA)).unwrap();
    let (header, claims) = asserted(
        json!({"algorithm": "RS384", "keyId": "k-1"}),
        RSA,
        &RSA_PKCS1_2048_8192_SHA384,
        rsa.public_key().as_ref(),
    );
    assert_eq!(header, json!({"alg": "RS384", "typ": "JWT", "kid": "k-1"}));
    assert_eq!(
        claims,
        json!({"iss": "a b", "sub": "a b", "aud": "https://login.example/oauth/token?x=1", "jti": "id-1",
            "iat": 1_000, "exp": 1_240})
    );
    let random = SystemRandom::new();
    let signing = &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let p256 = ring::signature::EcdsaKeyPair::from_pkcs8(signing, &pkcs8(P256), &random).unwrap();
    let (header, claims) = asserted(
        json!({"assertionAudience": "https://login.example"}),
        P256,
        &ECDSA_P256_SHA256_FIXED,
        p256.public_key().as_ref(),
    );
    assert_eq!(header, json!({"alg": "ES256", "typ": "JWT"}));
    assert_eq!(claims["aud"], "https://login.example");
    let ed25519 = ring::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8(ED25519_KEY)).unwrap();
    let (header, _) = asserted(json!({}), ED25519_KEY, &ED25519, ed25519.public_key().as_ref());
    assert_eq!(header["alg"], "EdDSA");
}

/// The changes, each with how one of its problems begins.
fn assert_problems(cases: &[(Value, &str)]) {
    for (change, expected) in cases {
        let problems = compiled(change).expect_err(&change.to_string());
        let told = problems.iter().any(|problem| problem.starts_with(expected));
        assert!(told, "{change}: {problems:?}");
        let secret = |problem: &String| problem.contains("s&t:u") || problem.contains("MII");
        assert!(!problems.iter().any(secret), "{problems:?}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_field() {
    assert_problems(&[
        (json!({"tokenUrl": "login.example"}), "outgoingAuthConfig.tokenUrl: "),
        (
            json!({"tokenUrl": "http://login.example/"}),
            "outgoingAuthConfig.tokenUrl: has no TLS",
        ),
        (
            json!({"tokenUrl": null}),
            "outgoingAuthConfig: missing field `tokenUrl`",
        ),
        (
            json!({"clientId": ""}),
            "outgoingAuthConfig.clientId: must not be empty",
        ),
        (
            json!({"clientSecret": null}),
            "outgoingAuthConfig.clientSecret: is needed",
        ),
        (
            json!({"clientSecret": ""}),
            "outgoingAuthConfig.clientSecret: is needed",
        ),
        (
            json!({"privateKey": RSA}),
            "outgoingAuthConfig.privateKey: does not go with",
        ),
        (json!({"keyId": "k"}), "outgoingAuthConfig.keyId: does not go with"),
        (json!({"scope": ""}), "outgoingAuthConfig.scope: must not be empty"),
        (
            json!({"resource": ["x"]}),
            "outgoingAuthConfig.resource[0]: \"x\" must be an absolute",
        ),
        (
            json!({"parameters": {"client_id": "x"}}),
            "outgoingAuthConfig.parameters[\"client_id\"]: ",
        ),
        (
            json!({"parameters": {"x": "y".repeat(40_000)}}),
            "outgoingAuthConfig: makes a token request",
        ),
        (
            json!({"clientAuthentication": "digest"}),
            "outgoingAuthConfig.clientAuthentication: ",
        ),
        (json!({"secret": "x"}), "outgoingAuthConfig"),
    ]);
}

#[test]
fn what_is_wrong_with_a_grant_is_named_with_its_field() {
    assert_problems(&[
        (
            json!({"grantType": "refresh_token"}),
            "outgoingAuthConfig.refreshToken: is needed by grantType refresh_token",
        ),
        (
            json!({"grantType": "refresh_token", "refreshToken": ""}),
            "outgoingAuthConfig.refreshToken: is needed",
        ),
        (
            json!({"refreshToken": "r"}),
            "outgoingAuthConfig.refreshToken: does not go with grantType client_credentials",
        ),
        (
            json!({"clientAuthentication": "none", "clientSecret": null}),
            "outgoingAuthConfig.clientAuthentication: must not be none",
        ),
        (
            json!({"grantType": "refresh_token", "refreshToken": "r".repeat(40_000)}),
            "outgoingAuthConfig: makes a token request",
        ),
        (json!({"grantType": "password"}), "outgoingAuthConfig.grantType: "),
    ]);
}

#[test]
fn what_is_wrong_with_a_key_or_a_certificate_is_named_with_its_field() {
    let by = |kind: &str, more: Value| {
        let mut change = json!({"clientAuthentication": kind, "clientSecret": null});
        change
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        change
    };
    let jwt = |more| by("private_key_jwt", more);
    let tls = |more| by("tls_client_auth", more);
    assert_problems(&[
        (jwt(json!({})), "outgoingAuthConfig.privateKey: is needed"),
        (
            jwt(json!({"privateKey": "no pem"})),
            "outgoingAuthConfig.privateKey: must hold a private key in PEM",
        ),
        (
            jwt(json!({"privateKey": RSA, "algorithm": "ES256"})),
            "outgoingAuthConfig.privateKey: is an RSA key, which does not sign with ES256",
        ),
        (
            jwt(json!({"privateKey": P256, "algorithm": "ES384"})),
            "outgoingAuthConfig.privateKey: is a key on P-256, which does not sign with ES384",
        ),
        (
            jwt(json!({"privateKey": RSA, "clientSecret": "x"})),
            "outgoingAuthConfig.clientSecret: does not go with",
        ),
        (tls(json!({})), "outgoingAuthConfig.tls.clientCertificate: is needed"),
        (
            tls(json!({"clientSecret": "x"})),
            "outgoingAuthConfig.clientSecret: does not go with",
        ),
        (tls(json!({"tls": {}})), "outgoingAuthConfig.tls: is empty"),
    ]);
}

#[test]
fn a_credential_is_that_of_one_organization() {
    let one = compiled(&json!({})).unwrap();
    assert_eq!(one.credential, compiled(&json!({})).unwrap().credential);
    assert_ne!(one.credential, compiled_for(2, &json!({})).unwrap().credential);
    assert_ne!(
        one.credential,
        compiled(&json!({"clientSecret": "other"})).unwrap().credential
    );
    assert_ne!(one.credential, compiled(&json!({"scope": "x"})).unwrap().credential);
    assert!(!format!("{one:?}").contains("YStiOnMlMjZ0JTNBdQ"));
}

#[test]
fn answers_hold_a_token_or_say_why_not() {
    let ok = |body: &str| read(StatusCode::OK, body.as_bytes());
    for (body, seconds) in [
        (
            r#"{"access_token":"t","token_type":"bearer","expires_in":60}"#,
            Some(60),
        ),
        (r#"{"access_token":"t","expires_in":"60"}"#, Some(60)),
        (r#"{"access_token":"t","expires_in":60.9}"#, Some(60)),
        (r#"{"access_token":"t","expires_in":1e300}"#, Some(86_400)),
        (r#"{"access_token":"t","expires_in":-1}"#, None),
        (r#"{"access_token":"t","expires_in":null}"#, None),
        (r#"{"access_token":"t","scope":"x","extra":{}}"#, None),
    ] {
        let granted = ok(body).unwrap();
        assert_eq!(granted.authorization, "Bearer t");
        assert!(granted.authorization.is_sensitive());
        assert_eq!(granted.lifetime.map(|lifetime| lifetime.as_secs()), seconds, "{body}");
        assert_eq!(granted.refresh_token, None);
    }
    let next = |body: &str| ok(body).unwrap().refresh_token;
    assert_eq!(
        next(r#"{"access_token":"t","refresh_token":"r"}"#),
        Some(Secret::new("r"))
    );
    assert_eq!(next(r#"{"access_token":"t","refresh_token":""}"#), None);
    for (body, refusal) in [
        ("", TokenRefusal::NoToken),
        ("[]", TokenRefusal::NoToken),
        (r#"{"error":"invalid_client"}"#, TokenRefusal::NoToken),
        (r#"{"access_token":""}"#, TokenRefusal::BadToken),
        (r#"{"access_token":"a\r\nX: y"}"#, TokenRefusal::BadToken),
        (r#"{"access_token":"t","token_type":"DPoP"}"#, TokenRefusal::TokenType),
    ] {
        assert_eq!(ok(body).unwrap_err(), refusal, "{body}");
    }
}

#[test]
fn a_refusal_is_told_in_the_words_of_the_standard_only() {
    let refused = |body: &str| read(StatusCode::UNAUTHORIZED, body.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        refused(r#"{"error":"invalid_client","error_description":"secret s3cr3t is wrong"}"#),
        "answered with status 401 (invalid_client)"
    );
    assert_eq!(refused(r#"{"error":"s3cr3t"}"#), "answered with status 401");
    assert_eq!(refused("s3cr3t"), "answered with status 401");
}
