//! Signed assertions by which a client shows who it is (`private_key_jwt`, RFC 7523).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;

use super::at;
use crate::model::Problem;
use crate::model::outgoing::{AssertionAlgorithm, OutgoingOauth2};

/// Makes assertions of one client.
pub(super) struct Assertion {
    key: Key,
    /// The first part of each assertion, encoded.
    header: Box<str>,
    client_id: Box<str>,
    audience: Box<str>,
}

enum Key {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// The key of a client did not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the private key of the client does not sign")]
pub struct SigningFault;

impl Assertion {
    /// Reads the key in `config`, adding what is wrong with it.
    pub(super) fn compile(config: &OutgoingOauth2, problems: &mut Vec<Problem>) -> Option<Self> {
        let Some(pem) = &config.private_key else {
            let message = "is needed by clientAuthentication private_key_jwt";
            problems.push(Problem::new(at("privateKey"), message));
            return None;
        };
        let read = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes())
            .map_err(|_| NOT_A_KEY.to_owned())
            .and_then(|der| Key::read(&der, config.algorithm));
        let (key, algorithm) = read
            .map_err(|message| problems.push(Problem::new(at("privateKey"), message)))
            .ok()?;
        let header = Header {
            alg: algorithm.as_str(),
            typ: "JWT",
            kid: config.key_id.as_deref(),
        };
        Some(Self {
            key,
            header: encoded(&header).into(),
            client_id: config.client_id.as_str().into(),
            audience: config.assertion_audience.as_deref().unwrap_or(&config.token_url).into(),
        })
    }

    /// An assertion that is good from `now_s` on for a few minutes.
    pub(super) fn sign(&self, now_s: u64, id: &str, random: &dyn SecureRandom) -> Result<String, SigningFault> {
        let claims = Claims {
            iss: &self.client_id,
            sub: &self.client_id,
            aud: &self.audience,
            jti: id,
            iat: now_s,
            exp: now_s.saturating_add(LIFETIME_S),
        };
        let mut text = format!("{}.{}", self.header, encoded(&claims));
        let signature = self.key.sign(text.as_bytes(), random)?;
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        Ok(text)
    }
}

impl Key {
    /// Reads a key, and says what it signs with: `wanted`, or what is usual for a key of its kind.
    fn read(der: &PrivateKeyDer<'_>, wanted: Option<AssertionAlgorithm>) -> Result<(Self, AssertionAlgorithm), String> {
        let rsa = match der {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(NOT_PKCS8.to_owned()),
        };
        if let Ok(pair) = rsa {
            let algorithm = wanted.unwrap_or(AssertionAlgorithm::Rs256);
            let encoding = rsa_encoding(algorithm).ok_or_else(|| unfit("an RSA key", algorithm))?;
            return Ok((Self::Rsa(pair, encoding), algorithm));
        }
        let PrivateKeyDer::Pkcs8(der) = der else {
            return Err(NO_KEY_KNOWN.to_owned());
        };
        let der = der.secret_pkcs8_der();
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            let algorithm = wanted.unwrap_or(AssertionAlgorithm::EdDsa);
            return match algorithm {
                AssertionAlgorithm::EdDsa => Ok((Self::Ed25519(pair), algorithm)),
                other => Err(unfit("an Ed25519 key", other)),
            };
        }
        // ring takes randomness to read such a key, which has no part in what it reads.
        let random = SystemRandom::new();
        let curves = [
            (
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                AssertionAlgorithm::Es256,
                "a key on P-256",
            ),
            (
                &ECDSA_P384_SHA384_FIXED_SIGNING,
                AssertionAlgorithm::Es384,
                "a key on P-384",
            ),
        ];
        for (signing, own, what) in curves {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(signing, der, &random) {
                let algorithm = wanted.unwrap_or(own);
                return if algorithm == own {
                    Ok((Self::Ecdsa(pair), algorithm))
                } else {
                    Err(unfit(what, algorithm))
                };
            }
        }
        Err(NO_KEY_KNOWN.to_owned())
    }

    fn sign(&self, message: &[u8], random: &dyn SecureRandom) -> Result<Vec<u8>, SigningFault> {
        match self {
            Self::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*encoding, random, message, &mut signature)
                    .map_err(|_| SigningFault)?;
                Ok(signature)
            }
            Self::Ecdsa(pair) => {
                let signature = pair.sign(random, message).map_err(|_| SigningFault)?;
                Ok(signature.as_ref().to_vec())
            }
            Self::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: &'a str,
    iat: u64,
    exp: u64,
}

fn encoded(part: &impl Serialize) -> String {
    // Texts and numbers are serialized without fail.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).unwrap_or_default())
}

fn rsa_encoding(algorithm: AssertionAlgorithm) -> Option<&'static dyn RsaEncoding> {
    match algorithm {
        AssertionAlgorithm::Rs256 => Some(&RSA_PKCS1_SHA256),
        AssertionAlgorithm::Rs384 => Some(&RSA_PKCS1_SHA384),
        AssertionAlgorithm::Rs512 => Some(&RSA_PKCS1_SHA512),
        AssertionAlgorithm::Ps256 => Some(&RSA_PSS_SHA256),
        AssertionAlgorithm::Ps384 => Some(&RSA_PSS_SHA384),
        AssertionAlgorithm::Ps512 => Some(&RSA_PSS_SHA512),
        AssertionAlgorithm::Es256 | AssertionAlgorithm::Es384 | AssertionAlgorithm::EdDsa => None,
    }
}

fn unfit(what: &str, algorithm: AssertionAlgorithm) -> String {
    format!("is {what}, which does not sign with {}", algorithm.as_str())
}

/// Servers refuse assertions that are good for more than five minutes; some seconds are for their clocks.
const LIFETIME_S: u64 = 240;
const NOT_A_KEY: &str = "must hold a private key in PEM form (`-----BEGIN PRIVATE KEY-----`)";
const NOT_PKCS8: &str = "must be in PKCS#8 form; `openssl pkcs8 -topk8 -nocrypt` makes it of others";
const NO_KEY_KNOWN: &str = "must be an RSA key of 2048 to 4096 bits, a key on P-256 or P-384, or an Ed25519 key";
