//! Keys that check signatures of tokens: JWK sets (RFC 7517), and shared secrets.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{hmac, signature};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::model::auth::JwtAlgorithm;

/// The most keys of one set.
const MOST_KEYS: usize = 200;
/// The most keys that one token is tried with.
const MOST_TRIED: usize = 8;
/// The least bytes of an RSA modulus that is accepted (2048 bits), and the most (8192).
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// Keys of one issuer.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// Why a document is not a usable set of keys.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeySetError {
    /// It is not a JWK set.
    #[error("is not a JWK set: {0}")]
    Form(String),
    /// It has too many keys.
    #[error("holds {0} keys; at most {MOST_KEYS} are allowed")]
    TooMany(usize),
    /// None of its keys can check a signature.
    #[error("holds no public RSA (2048 to 8192 bits), P-256, P-384 or Ed25519 key that checks signatures")]
    NoKey,
}

#[derive(Clone)]
struct Key {
    id: Option<Box<str>>,
    /// The only algorithm that the key is for, if it says so.
    algorithm: Option<JwtAlgorithm>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
    Secret(JwtAlgorithm, hmac::Key),
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tried {
    /// A key of the set made the signature.
    Good,
    /// A key that fits did not make it.
    Bad,
    /// The set has no key that the token asks for: the issuer may have a new one.
    NoSuchKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// A key as it is published; what else it says is not looked at.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a JWK set. Keys of other kinds or for other uses are passed over.
    ///
    /// # Errors
    /// If it is not a set, or no key is left.
    pub fn parse(document: &Value) -> Result<Self, KeySetError> {
        let list = document.get("keys").and_then(Value::as_array);
        let list = list.ok_or_else(|| KeySetError::Form("it has no list `keys`".to_owned()))?;
        if list.len() > MOST_KEYS {
            return Err(KeySetError::TooMany(list.len()));
        }
        let keys: Vec<Key> = list
            .iter()
            .filter_map(|key| Jwk::deserialize(key).ok()?.read())
            .collect();
        if keys.is_empty() {
            return Err(KeySetError::NoKey);
        }
        Ok(Self { keys })
    }

    /// Reads one from JSON text.
    ///
    /// # Errors
    /// If it is not one.
    pub fn from_json(text: &[u8]) -> Result<Self, KeySetError> {
        let document = serde_json::from_slice(text).map_err(|error| KeySetError::Form(error.to_string()))?;
        Self::parse(&document)
    }

    /// Adds a shared secret for `algorithm`, which must be one of HMAC.
    pub(crate) fn add_secret(&mut self, algorithm: JwtAlgorithm, secret: &[u8]) {
        let hash = match algorithm {
            JwtAlgorithm::HS256 => hmac::HMAC_SHA256,
            JwtAlgorithm::HS384 => hmac::HMAC_SHA384,
            JwtAlgorithm::HS512 => hmac::HMAC_SHA512,
            _ => return,
        };
        self.keys.push(Key {
            id: None,
            algorithm: Some(algorithm),
            material: Material::Secret(algorithm, hmac::Key::new(hash, secret)),
        });
    }

    /// Checks `signature` over `signed` with the keys that fit: those named `id`, where the token names one.
    pub(crate) fn check(&self, algorithm: JwtAlgorithm, id: Option<&str>, signed: &[u8], signature: &[u8]) -> Tried {
        let fits = |key: &&Key| key.fits(algorithm) && (id.is_none() || key.id.is_none() || key.id.as_deref() == id);
        let mut tried = Tried::NoSuchKey;
        for key in self.keys.iter().filter(fits).take(MOST_TRIED) {
            if key.verify(algorithm, signed, signature) {
                return Tried::Good;
            }
            if key.id.as_deref() == id || id.is_none() || matches!(key.material, Material::Secret(..)) {
                tried = Tried::Bad;
            }
        }
        tried
    }
}

impl Key {
    fn fits(&self, algorithm: JwtAlgorithm) -> bool {
        use JwtAlgorithm::{ES256, ES384, EdDsa, HS256, HS384, HS512, PS256, PS384, PS512, RS256, RS384, RS512};
        if self.algorithm.is_some_and(|own| own != algorithm) {
            return false;
        }
        match &self.material {
            Material::Rsa { .. } => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
            Material::P256(_) => algorithm == ES256,
            Material::P384(_) => algorithm == ES384,
            Material::Ed25519(_) => algorithm == EdDsa,
            Material::Secret(own, _) => matches!(algorithm, HS256 | HS384 | HS512) && *own == algorithm,
        }
    }

    fn verify(&self, algorithm: JwtAlgorithm, signed: &[u8], given: &[u8]) -> bool {
        let unparsed = |kind: &'static dyn signature::VerificationAlgorithm, key: &[u8]| {
            signature::UnparsedPublicKey::new(kind, key)
                .verify(signed, given)
                .is_ok()
        };
        match &self.material {
            Material::Rsa { n, e } => {
                let Some(kind) = rsa_kind(algorithm) else { return false };
                signature::RsaPublicKeyComponents { n, e }
                    .verify(kind, signed, given)
                    .is_ok()
            }
            Material::P256(point) => unparsed(&signature::ECDSA_P256_SHA256_FIXED, point),
            Material::P384(point) => unparsed(&signature::ECDSA_P384_SHA384_FIXED, point),
            Material::Ed25519(key) => unparsed(&signature::ED25519, key),
            Material::Secret(_, key) => hmac::verify(key, signed, given).is_ok(),
        }
    }
}

const fn rsa_kind(algorithm: JwtAlgorithm) -> Option<&'static signature::RsaParameters> {
    match algorithm {
        JwtAlgorithm::RS256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        JwtAlgorithm::RS384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        JwtAlgorithm::RS512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        JwtAlgorithm::PS256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        JwtAlgorithm::PS384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        JwtAlgorithm::PS512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

impl Jwk {
    fn read(&self) -> Option<Key> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let algorithm = match self.alg.as_deref() {
            Some(name) => Some(algorithm(name)?),
            None => None,
        };
        let bytes = |part: &Option<String>| URL_SAFE_NO_PAD.decode(part.as_deref()?).ok();
        let material = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (bytes(&self.n)?, bytes(&self.e)?);
                RSA_BYTES.contains(&n.len()).then_some(Material::Rsa { n, e })?
            }
            ("EC", Some("P-256")) => Material::P256(point(&bytes(&self.x)?, &bytes(&self.y)?, 32)?),
            ("EC", Some("P-384")) => Material::P384(point(&bytes(&self.x)?, &bytes(&self.y)?, 48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(&self.x).filter(|key| key.len() == 32)?),
            _ => return None,
        };
        Some(Key {
            id: self.kid.as_deref().map(Into::into),
            algorithm,
            material,
        })
    }
}

/// An uncompressed point (SEC 1 section 2.3.3).
fn point(x: &[u8], y: &[u8], length: usize) -> Option<Vec<u8>> {
    (x.len() == length && y.len() == length).then(|| [&[4], x, y].concat())
}

/// The algorithm of this name; `None` for those that are not supported, `none` among them.
pub(crate) fn algorithm(name: &str) -> Option<JwtAlgorithm> {
    // RFC 9864 gives EdDSA with Ed25519 a name of its own.
    let name = if name == "Ed25519" { "EdDSA" } else { name };
    serde_json::from_value(Value::String(name.to_owned())).ok()
}
