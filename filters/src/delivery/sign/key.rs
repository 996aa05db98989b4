//! Keys that sign, read from an operator's secrets.

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::signature::Ed25519KeyPair;
use zeroize::Zeroizing;

use crate::model::Problem;
use crate::model::outbound::signing::SigningSecret;
use crate::model::problem::join;
use crate::model::secret::MASK;

/// How a secret's text stands for its key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `whsec_` or `whsk_` and base64.
    StandardWebhooks,
    /// The text's own bytes.
    Text,
}

/// A key with the name of its secret.
#[derive(Clone)]
pub(super) enum Key {
    Hmac { name: Box<str>, key: hmac::Key },
    Ed25519 { name: Box<str>, pair: Arc<Ed25519KeyPair> },
}

impl Key {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Hmac { name, .. } | Self::Ed25519 { name, .. } => name,
        }
    }
}

/// Reads the list `secrets` of the configuration at `path`.
pub(super) fn read_keys(
    secrets: &[SigningSecret],
    encoding: Encoding,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Vec<Key> {
    let path = join(path, "secrets");
    if !(1..=MAX_SECRETS).contains(&secrets.len()) {
        let message = format!("has {} secrets; 1 to {MAX_SECRETS} are possible", secrets.len());
        problems.push(Problem::new(&*path, message));
    }
    let mut names = HashSet::new();
    let mut keys = Vec::with_capacity(secrets.len());
    for (index, secret) in secrets.iter().enumerate() {
        let at = format!("{path}[{index}]");
        check_name(&secret.name, &mut names, &join(&at, "name"), problems);
        match read(secret, encoding) {
            Ok(key) => keys.push(key),
            Err(message) => problems.push(Problem::new(join(&at, "value"), message)),
        }
    }
    keys
}

fn check_name<'a>(name: &'a str, names: &mut HashSet<&'a str>, path: &str, problems: &mut Vec<Problem>) {
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        let message = format!("must be 1 to {MAX_NAME} bytes without control characters");
        problems.push(Problem::new(path, message));
    } else if !names.insert(name) {
        let message = format!("`{name}` is there twice; give each secret its own name");
        problems.push(Problem::new(path, message));
    }
}

/// The messages show nothing of the secret.
fn read(secret: &SigningSecret, encoding: Encoding) -> Result<Key, String> {
    let text = secret.value.expose();
    let name = || secret.name.as_str().into();
    if text == MASK {
        return Err("is the mask that stands for a secret: give the secret itself".to_owned());
    }
    if encoding == Encoding::Text {
        if text.is_empty() {
            return Err("is empty: give the secret that the receiver has".to_owned());
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes());
        return Ok(Key::Hmac { name: name(), key });
    }
    if let Some(encoded) = text.strip_prefix("whsec_") {
        let bytes = decode(encoded)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(format!("holds a key of {} bytes; 24 to 64 are possible", bytes.len()));
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        return Ok(Key::Hmac { name: name(), key });
    }
    if let Some(encoded) = text.strip_prefix("whsk_") {
        let bytes = decode(encoded)?;
        let (seed, public) = bytes
            .split_at_checked(32)
            .filter(|(_, public)| public.len() == 32)
            .ok_or_else(|| {
                format!(
                    "holds {} bytes; an ed25519 key pair has 64, the private key and then the public one",
                    bytes.len()
                )
            })?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public)
            .map_err(|_| "holds a public key that does not belong to its private key".to_owned())?;
        return Ok(Key::Ed25519 {
            name: name(),
            pair: Arc::new(pair),
        });
    }
    Err("must begin with `whsec_` (a shared secret) or `whsk_` (an ed25519 key pair), followed by base64".to_owned())
}

fn decode(encoded: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let decoded = STANDARD.decode(encoded);
    decoded
        .map(Zeroizing::new)
        .map_err(|_| "is not base64 with padding after its prefix".to_owned())
}

/// A rotation needs two.
const MAX_SECRETS: usize = 10;
const MAX_NAME: usize = 100;
