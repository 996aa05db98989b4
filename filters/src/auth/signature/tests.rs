use http::{HeaderValue, Method, Uri};

use super::*;

const SECRET: &[u8] = b"0123456789abcdef";
const NOW: i64 = 1_800_000_000;

fn now_s() -> i64 {
    NOW
}

fn check() -> SignatureCheck {
    SignatureCheck {
        signature: HeaderName::from_static("x-signature"),
        prefix: "".into(),
        key_id: HeaderName::from_static("x-key-id"),
        timestamp: HeaderName::from_static("x-timestamp"),
        nonce: None,
        digest: HeaderName::from_static("content-digest"),
        components: Component::usual(false),
        algorithm: HmacAlgorithm::Sha256,
        encoding: SignatureEncoding::Hex,
        skew_s: 300,
        keys: AHashMap::from([("clinic".into(), (0, SigningKey::new(SECRET)))]),
        consumers: false,
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect()
}

fn signature(text: &str) -> String {
    hex::encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), text.as_bytes()))
}

fn checked(check: &SignatureCheck, method: Method, uri: &str, headers: &HeaderMap) -> Result<Signed, AuthRefusal> {
    let uri: Uri = uri.parse().unwrap();
    let request = Presented {
        method: &method,
        uri: &uri,
        headers,
        certificate: None,
        consumers: None,
        now_s,
    };
    check.check(&request).map(|(_, signed)| signed)
}

/// A POST of `body` as a client signs it at `timestamp`.
fn signed_post(body: &[u8], timestamp: &str) -> HeaderMap {
    let digest = sha256(body);
    let canonical = format!("POST\n/book\nday=1&x=%20\n{timestamp}\n{}", hex::encode(digest));
    headers(&[
        ("x-key-id", "clinic"),
        ("x-timestamp", timestamp),
        ("x-signature", &signature(&canonical)),
        ("content-digest", &format!("sha-256=:{}:", STANDARD.encode(digest))),
        ("content-length", "4"),
    ])
}

#[test]
fn a_signed_request_opens_and_names_its_body() {
    let fields = signed_post(b"body", &NOW.to_string());
    let signed = checked(&check(), Method::POST, "/book?day=1&x=%20", &fields).unwrap();
    assert_eq!(signed.body, Some(sha256(b"body")));
}

#[test]
fn whatever_is_signed_cannot_be_changed() {
    let fields = signed_post(b"body", &NOW.to_string());
    let refused = |method, uri, fields: &HeaderMap| checked(&check(), method, uri, fields).unwrap_err();
    for (method, uri) in [
        (Method::PUT, "/book?day=1&x=%20"),
        (Method::POST, "/books?day=1&x=%20"),
        (Method::POST, "/book?day=2&x=%20"),
        (Method::POST, "/book?day=1&x=+"),
    ] {
        assert_eq!(refused(method, uri, &fields), AuthRefusal::Invalid, "{uri}");
    }
    for (name, value) in [
        ("x-timestamp", (NOW + 1).to_string()),
        ("x-key-id", "other".to_owned()),
        (
            "content-digest",
            format!("sha-256=:{}:", STANDARD.encode(sha256(b"evil"))),
        ),
    ] {
        let mut changed = fields.clone();
        changed.insert(name, HeaderValue::from_str(&value).unwrap());
        assert_eq!(
            refused(Method::POST, "/book?day=1&x=%20", &changed),
            AuthRefusal::Invalid,
            "{name}"
        );
    }
}

#[test]
fn what_is_missing_or_malformed_is_said_so() {
    let fields = signed_post(b"body", &NOW.to_string());
    for name in ["x-signature", "x-key-id", "x-timestamp", "content-digest"] {
        let mut without = fields.clone();
        without.remove(name);
        let refused = checked(&check(), Method::POST, "/book?day=1&x=%20", &without);
        assert_eq!(refused, Err(AuthRefusal::Missing), "{name}");
        let mut bad = fields.clone();
        bad.insert(name, HeaderValue::from_static("zz"));
        let refused = checked(&check(), Method::POST, "/book?day=1&x=%20", &bad);
        let expected = if name == "x-key-id" {
            AuthRefusal::Invalid
        } else {
            AuthRefusal::Malformed
        };
        assert_eq!(refused, Err(expected), "{name}");
    }
}

#[test]
fn a_time_far_from_now_is_refused_only_where_the_signature_is_good() {
    for (seconds, expected) in [
        (-301, Err(AuthRefusal::Skewed)),
        (301, Err(AuthRefusal::Skewed)),
        (-300, Ok(())),
    ] {
        let fields = signed_post(b"body", &(NOW + seconds).to_string());
        let result = checked(&check(), Method::POST, "/book?day=1&x=%20", &fields).map(drop);
        assert_eq!(result, expected, "{seconds}");
    }
    let mut forged = signed_post(b"body", "1");
    forged.insert("x-signature", HeaderValue::from_str(&signature("other")).unwrap());
    let refused = checked(&check(), Method::POST, "/book?day=1&x=%20", &forged);
    assert_eq!(refused, Err(AuthRefusal::Invalid));
    let written = signed_post(b"body", "2027-01-15T08:00:00Z");
    assert!(checked(&check(), Method::POST, "/book?day=1&x=%20", &written).is_ok());
}

#[test]
fn a_request_without_a_body_needs_no_digest() {
    let canonical = format!("GET\n/slots\n\n{NOW}\n{}", hex::encode(sha256(b"")));
    let fields = headers(&[
        ("x-key-id", "clinic"),
        ("x-timestamp", &NOW.to_string()),
        ("x-signature", &signature(&canonical)),
    ]);
    let signed = checked(&check(), Method::GET, "/slots", &fields).unwrap();
    assert_eq!(
        signed.body,
        Some(sha256(b"")),
        "a body that comes nonetheless is another one"
    );
}

#[test]
fn what_is_signed_can_be_chosen() {
    let components = [
        "method",
        "host",
        "path",
        "timestamp",
        "keyId",
        "nonce",
        "header:x-tenant",
    ];
    let mut check = check();
    check.components = components.iter().map(|name| Component::parse(name).unwrap()).collect();
    check.nonce = Some(HeaderName::from_static("x-nonce"));
    check.prefix = "HMAC ".into();
    check.encoding = SignatureEncoding::Base64;
    check.algorithm = HmacAlgorithm::Sha512;
    let canonical = format!("GET\nlabs.test\n/slots\n{NOW}\nclinic\nn-1\nward");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, SECRET), canonical.as_bytes());
    let fields = headers(&[
        ("host", "labs.test"),
        ("x-key-id", "clinic"),
        ("x-timestamp", &NOW.to_string()),
        ("x-nonce", "n-1"),
        ("x-tenant", "ward"),
        ("x-signature", &format!("HMAC {}", STANDARD.encode(tag))),
    ]);
    let signed = checked(&check, Method::GET, "/slots", &fields).unwrap();
    assert_eq!(signed.body, None, "the body is not signed here");
    assert_eq!(Component::parse("header:"), None);
    assert_eq!(Component::parse("Method"), None);
}

#[test]
fn digests_are_read_in_each_of_their_forms() {
    let digest = sha256(b"body");
    let base64 = STANDARD.encode(digest);
    for text in [
        format!("sha-256=:{base64}:"),
        format!("sha-512=:AAAA:, sha-256=:{base64}:"),
        base64,
        hex::encode(digest),
        hex::encode_upper(digest),
    ] {
        assert_eq!(read_digest(&text), Some(digest), "{text}");
    }
    for text in ["", "sha-256=x", "sha-512=:AAAA:", "abcd"] {
        assert_eq!(read_digest(text), None, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn no_header_makes_the_check_panic(
        signature in "[ -~]{0,80}", time in "[ -~]{0,30}", digest in "[ -~]{0,90}", key in "[ -~]{0,20}"
    ) {
        let fields = headers(&[
            ("x-signature", &signature),
            ("x-timestamp", &time),
            ("content-digest", &digest),
            ("x-key-id", &key),
        ]);
        proptest::prop_assert!(checked(&check(), Method::POST, "/", &fields).is_err());
    }
}
