//! Encodings, hashes and identifiers.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rhai::Engine;
use ring::{digest, hmac};
use sha2::{Digest as _, Sha256};

use super::{Around, Outcome, failed};

pub(super) fn register(engine: &mut Engine, around: &Rc<Around>) {
    engine.register_fn("base64_encode", |text: &str| STANDARD.encode(text));
    engine.register_fn("base64_decode", |text: &str| {
        decoded("base64_decode", STANDARD.decode(text))
    });
    engine.register_fn("base64url_encode", |text: &str| URL_SAFE_NO_PAD.encode(text));
    engine.register_fn("base64url_decode", |text: &str| {
        decoded("base64url_decode", URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')))
    });
    engine.register_fn("hex_encode", |text: &str| hex::encode(text));
    engine.register_fn("hex_decode", |text: &str| decoded("hex_decode", hex::decode(text)));
    engine.register_fn("url_encode", |text: &str| {
        utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
    });
    engine.register_fn("url_decode", |text: &str| -> Outcome<String> {
        let bytes = percent_decode_str(text).decode_utf8();
        bytes
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| failed("`url_decode`: it is no text"))
    });
    for (name, algorithm) in [
        ("sha1", &digest::SHA1_FOR_LEGACY_USE_ONLY),
        ("sha256", &digest::SHA256),
        ("sha512", &digest::SHA512),
    ] {
        engine.register_fn(name, move |text: &str| {
            hex::encode(digest::digest(algorithm, text.as_bytes()))
        });
    }
    for (name, as_base64, algorithm) in [
        ("hmac_sha1", "hmac_sha1_base64", hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        ("hmac_sha256", "hmac_sha256_base64", hmac::HMAC_SHA256),
        ("hmac_sha512", "hmac_sha512_base64", hmac::HMAC_SHA512),
    ] {
        let tag = move |key: &str, text: &str| hmac::sign(&hmac::Key::new(algorithm, key.as_bytes()), text.as_bytes());
        engine.register_fn(name, move |key: &str, text: &str| hex::encode(tag(key, text)));
        engine.register_fn(as_base64, move |key: &str, text: &str| STANDARD.encode(tag(key, text)));
    }
    let made = Rc::clone(around);
    engine.register_fn("uuid", move || {
        let count = made.made.get();
        made.made.set(count.wrapping_add(1));
        let mut hash = Sha256::new();
        hash.update(made.seed.get());
        hash.update(count.to_be_bytes());
        uuid_text(hash.finalize().into(), 4)
    });
    engine.register_fn("uuid_of", |text: &str| uuid_text(Sha256::digest(text).into(), 8));
}

/// Bytes that must be a text.
fn decoded<E: std::fmt::Display>(function: &str, bytes: Result<Vec<u8>, E>) -> Outcome<String> {
    let bytes = bytes.map_err(|error| failed(format_args!("`{function}`: {error}")))?;
    String::from_utf8(bytes).map_err(|_| failed(format_args!("`{function}`: what comes out is no text")))
}

/// The text of an identifier of this version (RFC 9562) with the first bytes of `hash`.
fn uuid_text(hash: [u8; 32], version: u8) -> String {
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = (bytes[6] & 0x0f) | (version << 4);
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex::encode(bytes);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}
