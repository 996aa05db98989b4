use std::convert::Infallible;

use http::header;
use ring::hmac as ring_hmac;
use serde_json::{Value, json};

use super::*;
use crate::model::decode;

/// 2015-08-30T12:36:00Z, the time of the vectors of AWS.
const VECTOR_MS: i64 = 1_440_938_160_000;

fn hmac(config: &Value) -> Result<RequestSigner, Vec<String>> {
    let mut problems = Vec::new();
    let signer =
        decode::from_value(config, PATH, &mut problems).and_then(|config| RequestSigner::hmac(&config, &mut problems));
    signer.ok_or_else(|| problems.iter().map(ToString::to_string).collect())
}

fn sigv4(config: &Value) -> Result<RequestSigner, Vec<String>> {
    let mut problems = Vec::new();
    let signer =
        decode::from_value(config, PATH, &mut problems).and_then(|config| RequestSigner::sigv4(&config, &mut problems));
    signer.ok_or_else(|| problems.iter().map(ToString::to_string).collect())
}

fn signed(signer: &RequestSigner, subject: &Subject<'_>, pieces: &[&[u8]]) -> HeaderMap {
    let fields = signer.sign(subject, |take: &mut dyn FnMut(&[u8])| {
        pieces.iter().for_each(|piece| take(piece));
        Ok::<(), Infallible>(())
    });
    fields.unwrap().into_iter().collect()
}

/// The signature of a vector of AWS's test suite for Signature Version 4.
fn vector(method: Method, path: &str, query: Option<&str>) -> String {
    let signer = sigv4(
        &json!({"accessKeyId": "AKIDEXAMPLE", "region": "us-east-1", "service": "service",
        "secretAccessKey": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}),
    )
    .unwrap();
    let subject = Subject {
        method: &method,
        host: "example.amazonaws.com",
        path,
        query,
        headers: &HeaderMap::new(),
        now_ms: VECTOR_MS,
        nonce: "",
    };
    let headers = signed(&signer, &subject, &[]);
    assert_eq!(headers["x-amz-date"], "20150830T123600Z");
    let text = headers[header::AUTHORIZATION].to_str().unwrap();
    let credential = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature=";
    text.strip_prefix(credential).unwrap().to_owned()
}

#[test]
fn the_vectors_of_aws_come_out() {
    for (method, path, query, signature) in [
        (
            Method::GET,
            "/",
            None,
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            Method::POST,
            "/",
            None,
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            Method::GET,
            "/",
            Some("Param2=value2&Param1=value1"),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ] {
        assert_eq!(vector(method, path, query), signature, "{path} {query:?}");
    }
}

#[test]
fn content_type_token_and_the_hash_of_s3_are_signed() {
    let signer = sigv4(
        &json!({"accessKeyId": "AKID", "region": "eu-central-1", "service": "s3",
        "secretAccessKey": "key", "sessionToken": "temporary"}),
    )
    .unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    let subject = Subject {
        method: &Method::PUT,
        host: "bucket.s3.example",
        path: "/a%20b",
        query: None,
        headers: &headers,
        now_ms: VECTOR_MS,
        nonce: "",
    };
    let whole = signed(&signer, &subject, &[b"hello"]);
    assert_eq!(whole["x-amz-security-token"], "temporary");
    assert_eq!(
        whole["x-amz-content-sha256"],
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    );
    let text = whole[header::AUTHORIZATION].to_str().unwrap();
    let names = "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token,";
    assert!(text.contains(names), "{text}");
    assert_eq!(
        whole,
        signed(&signer, &subject, &[b"he", b"", b"llo"]),
        "pieces do not matter"
    );
    assert_ne!(text, signed(&signer, &subject, &[b"hullo"])[header::AUTHORIZATION]);
}

#[test]
fn what_is_signed_is_what_the_template_says() {
    let signer = hmac(&json!({"secret": "shared-secret", "keyId": "k-1", "algorithm": "SHA512", "encoding": "BASE64",
        "canonical": "{method} {path}?{query}\n{host}\n{header:X-Tenant}\n{timestamp}.{nonce}.{keyId}\n{bodyHash}\n{body}",
        "signatureHeader": "Authorization", "signatureFormat": "HMAC key={keyId},t={timestamp},sig={signature}",
        "timestampFormat": "rfc3339", "nonceHeader": "X-Nonce", "bodyHashHeader": "X-Body-Hash"}))
    .unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("x-tenant", HeaderValue::from_static("north"));
    let subject = Subject {
        method: &Method::POST,
        host: "api.example",
        path: "/orders",
        query: Some("a=1"),
        headers: &headers,
        now_ms: VECTOR_MS + 999,
        nonce: "n-7",
    };
    let fields = signed(&signer, &subject, &[b"{\"a\"", b":1}"]);
    let hash = hex::encode(ring::digest::digest(&ring::digest::SHA512, b"{\"a\":1}"));
    let text = format!("POST /orders?a=1\napi.example\nnorth\n2015-08-30T12:36:00Z.n-7.k-1\n{hash}\n{{\"a\":1}}");
    let key = ring_hmac::Key::new(ring_hmac::HMAC_SHA512, b"shared-secret");
    let signature = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        ring_hmac::sign(&key, text.as_bytes()),
    );
    let expected = format!("HMAC key=k-1,t=2015-08-30T12:36:00Z,sig={signature}");
    assert_eq!(fields["authorization"], expected);
    assert!(fields["authorization"].is_sensitive());
    assert_eq!(
        (&fields["x-nonce"], &fields["x-timestamp"]),
        (
            &HeaderValue::from_static("n-7"),
            &HeaderValue::from_static("2015-08-30T12:36:00Z")
        )
    );
    assert_eq!(fields["x-body-hash"], hash);
    let bare = Subject {
        headers: &HeaderMap::new(),
        ..subject
    };
    let missing = signer.sign(&bare, |_: &mut dyn FnMut(&[u8])| Ok::<(), Infallible>(()));
    assert_eq!(
        missing.unwrap_err(),
        SignatureFault::Header(HeaderName::from_static("x-tenant"))
    );
}

#[test]
fn the_usual_signature_needs_a_secret_only() {
    let signer = hmac(&json!({"secret": "shared-secret"})).unwrap();
    let subject = Subject {
        method: &Method::GET,
        host: "api.example",
        path: "/",
        query: None,
        headers: &HeaderMap::new(),
        now_ms: VECTOR_MS,
        nonce: "",
    };
    let fields = signed(&signer, &subject, &[]);
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let key = ring_hmac::Key::new(ring_hmac::HMAC_SHA256, b"shared-secret");
    let text = format!("GET\n/\n\n1440938160\n{empty}");
    assert_eq!(
        fields["x-signature"],
        hex::encode(ring_hmac::sign(&key, text.as_bytes()))
    );
    assert_eq!(fields["x-timestamp"], "1440938160");
    assert_eq!(fields.len(), 2);
}

#[test]
fn what_is_wrong_is_named_with_its_field() {
    for (change, expected) in [
        (
            json!({"secret": "short"}),
            "outgoingAuthConfig.secret: must be at least 8",
        ),
        (
            json!({"canonical": "{method}{boddy}"}),
            "outgoingAuthConfig.canonical: has `{boddy}` in it",
        ),
        (
            json!({"canonical": "{method"}),
            "outgoingAuthConfig.canonical: has a `{` without",
        ),
        (
            json!({"canonical": "{signature}"}),
            "outgoingAuthConfig.canonical: cannot hold",
        ),
        (
            json!({"canonical": "{header:a b}"}),
            "outgoingAuthConfig.canonical: has `{header:a b}` in it",
        ),
        (
            json!({"canonical": "{nonce}"}),
            "outgoingAuthConfig.nonceHeader: is needed",
        ),
        (json!({"canonical": "{keyId}"}), "outgoingAuthConfig.keyId: is needed"),
        (
            json!({"signatureFormat": "none"}),
            "outgoingAuthConfig.signatureFormat: must hold `{signature}`",
        ),
        (
            json!({"signatureFormat": "{signature}{body}"}),
            "outgoingAuthConfig.signatureFormat: must hold",
        ),
        (
            json!({"signatureHeader": "Host"}),
            "outgoingAuthConfig.signatureHeader: ",
        ),
        (
            json!({"timestampHeader": "a b"}),
            "outgoingAuthConfig.timestampHeader: ",
        ),
        (json!({"algorithm": "MD5"}), "outgoingAuthConfig.algorithm"),
    ] {
        let mut config = json!({"secret": "shared-secret"});
        config
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let problems = hmac(&config).expect_err(&config.to_string());
        assert!(
            problems.iter().any(|problem| problem.starts_with(expected)),
            "{change}: {problems:?}"
        );
        assert!(
            !problems.iter().any(|problem| problem.contains("shared-secret")),
            "{problems:?}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_key_of_aws_is_named_with_its_field() {
    for (change, expected) in [
        (json!({"region": "eu central"}), "outgoingAuthConfig.region: "),
        (json!({"accessKeyId": ""}), "outgoingAuthConfig.accessKeyId: "),
        (
            json!({"secretAccessKey": ""}),
            "outgoingAuthConfig.secretAccessKey: must not be empty",
        ),
        (json!({"sessionToken": "a b"}), "outgoingAuthConfig.sessionToken: "),
        (json!({"service": null}), "outgoingAuthConfig"),
    ] {
        let mut config = json!({"accessKeyId": "A", "secretAccessKey": "k", "region": "r", "service": "s"});
        config
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let problems = sigv4(&config).expect_err(&config.to_string());
        assert!(
            problems.iter().any(|problem| problem.starts_with(expected)),
            "{change}: {problems:?}"
        );
    }
}
