//! Encryption of secrets in the store (XChaCha20-Poly1305), and what else is made with the same key: entity tags, and the
//! signatures of our own tokens.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ring::hmac;
use sha2::{Digest as _, Sha256};

pub(crate) use self::key_file::KeyFile;
use crate::access::AccessError;
use crate::config::ProcessConfig;

mod key_file;

/// Encrypts and decrypts the secrets of stored objects. It may know several keys: the first one encrypts, each decrypts,
/// so that what an older key encrypted stays readable until it is encrypted anew.
pub struct Sealer {
    /// Never empty.
    keys: Vec<Key>,
    tag_key: [u8; 32],
}

struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
    /// Signs tokens.
    token_key: hmac::Key,
}

/// Why a stored secret cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// It is not in the form that this program writes.
    #[error("a secret is stored in a form that is not known")]
    Form,
    /// The key is another one, or the text was changed or moved to another object.
    #[error("a secret cannot be decrypted: the secret key is another one than when it was stored, or it was changed")]
    Key,
    /// None of the keys has the name that the text gives.
    #[error("a secret was encrypted with the secret key {0}, which is not among those of this process")]
    Unknown(String),
}

impl Sealer {
    /// With the keys of this process; see [`KeyFile::load`].
    ///
    /// # Errors
    /// If the file cannot be read or made, or holds something else; if the configured one is not there.
    pub fn load(config: &ProcessConfig) -> Result<Self, AccessError> {
        Ok(KeyFile::load(config)?.sealer())
    }

    /// With this key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self::of(key, &[])
    }

    /// With the key `newest`, and `older` ones that only decrypt.
    pub(crate) fn of(newest: &[u8; 32], older: &[[u8; 32]]) -> Self {
        let tag_key = Sha256::new()
            .chain_update(b"entity tags")
            .chain_update(newest)
            .finalize();
        Self {
            keys: std::iter::once(newest).chain(older).map(Key::new).collect(),
            tag_key: tag_key.into(),
        }
    }

    /// Encrypts `text`, bound to the object `owner`.
    pub(crate) fn seal(&self, text: &str, owner: &str) -> String {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload {
            msg: text.as_bytes(),
            aad: owner.as_bytes(),
        };
        let Key { id, cipher, .. } = &self.keys[0];
        let sealed = cipher
            .encrypt(XNonce::from_slice(&nonce), payload)
            .expect("the cipher refuses only texts of more than 256 GB");
        let mut whole = nonce.to_vec();
        whole.extend(sealed);
        format!("{PREFIX}{id}:{}", STANDARD_NO_PAD.encode(whole))
    }

    /// Decrypts what [`Sealer::seal`] made for the same owner, with whichever of the keys.
    pub(crate) fn open(&self, sealed: &str, owner: &str) -> Result<String, SealError> {
        let (id, encoded) = parts(sealed).ok_or(SealError::Form)?;
        let whole = STANDARD_NO_PAD.decode(encoded).map_err(|_| SealError::Form)?;
        let (nonce, text) = whole.split_at_checked(NONCE_BYTES).ok_or(SealError::Form)?;
        let nonce = XNonce::from_slice(nonce);
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| id.is_none_or(|id| key.id == id))
            .peekable();
        if let (None, Some(id)) = (fitting.peek(), id) {
            return Err(SealError::Unknown(id.to_owned()));
        }
        let opened = fitting.find_map(|key| {
            let payload = Payload {
                msg: text,
                aad: owner.as_bytes(),
            };
            key.cipher.decrypt(nonce, payload).ok()
        });
        String::from_utf8(opened.ok_or(SealError::Key)?).map_err(|_| SealError::Form)
    }

    /// True for a sealed text that the newest key did not seal.
    pub(crate) fn is_stale(&self, sealed: &str) -> bool {
        parts(sealed).is_some_and(|(id, _)| id != Some(&self.keys[0].id))
    }

    /// Tag of an object's content for `ETag`. It is keyed, as the digest itself would let people test guesses of a
    /// secret that they are not shown.
    pub(crate) fn tag(&self, digest: &[u8; 32]) -> String {
        let tag = Sha256::new().chain_update(self.tag_key).chain_update(digest).finalize();
        hex::encode(&tag[..16])
    }

    /// Signature of one of our own tokens (HMAC-SHA256).
    pub(crate) fn sign(&self, text: &[u8]) -> Vec<u8> {
        hmac::sign(&self.keys[0].token_key, text).as_ref().to_vec()
    }

    /// True if [`Sealer::sign`] made this signature of this text, with whichever of the keys.
    pub(crate) fn signed(&self, text: &[u8], signature: &[u8]) -> bool {
        self.keys
            .iter()
            .any(|key| hmac::verify(&key.token_key, text, signature).is_ok())
    }
}

impl Key {
    fn new(key: &[u8; 32]) -> Self {
        Self {
            id: key_id(key),
            cipher: XChaCha20Poly1305::new(key.into()),
            token_key: hmac::Key::new(
                hmac::HMAC_SHA256,
                &Sha256::new()
                    .chain_update(b"tokens of sessions")
                    .chain_update(key)
                    .finalize(),
            ),
        }
    }
}

/// A name for a key that tells nothing of it.
pub(crate) fn key_id(key: &[u8; 32]) -> String {
    let digest = Sha256::new()
        .chain_update(b"name of a secret key")
        .chain_update(key)
        .finalize();
    hex::encode(&digest[..4])
}

/// The name of the key, which the first releases did not write down, and what is encrypted.
fn parts(sealed: &str) -> Option<(Option<&str>, &str)> {
    if let Some(rest) = sealed.strip_prefix(PREFIX) {
        let (id, encoded) = rest.split_once(':')?;
        return Some((Some(id), encoded));
    }
    Some((None, sealed.strip_prefix(FIRST_PREFIX)?))
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(***)")
    }
}

/// What each sealed text begins with.
pub(crate) const MARK: &str = "sealed:";
const PREFIX: &str = "sealed:2:";
const FIRST_PREFIX: &str = "sealed:1:";
const NONCE_BYTES: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_of_the_data_folder_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = ProcessConfig {
            data_dir: folder.path().to_owned(),
            ..ProcessConfig::default()
        };
        let made = Sealer::load(&config).unwrap().tag(&[1; 32]);
        assert_eq!(Sealer::load(&config).unwrap().tag(&[1; 32]), made);

        let elsewhere = folder.path().join("mounted.key");
        config.secret_key_file = Some(elsewhere.clone());
        let error = Sealer::load(&config).err().unwrap().to_string();
        assert!(error.starts_with("secretKeyFile: "), "{error}");
        assert!(error.contains("mounted.key is not there"), "{error}");
        assert!(!elsewhere.exists());
    }

    #[test]
    fn a_sealed_text_opens_for_its_owner_only() {
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal("hunter2", "a");
        assert!(!sealed.contains("hunter2"));
        assert_ne!(sealed, sealer.seal("hunter2", "a"), "each has its own nonce");
        assert_eq!(sealer.open(&sealed, "a").unwrap(), "hunter2");
        assert!(matches!(sealer.open(&sealed, "b"), Err(SealError::Key)));
        let stranger = Sealer::new(&[8; 32]).open(&sealed, "a");
        assert!(matches!(stranger, Err(SealError::Unknown(_))), "{stranger:?}");
        assert!(matches!(sealer.open("hunter2", "a"), Err(SealError::Form)));
    }

    #[test]
    fn the_newest_key_seals_and_older_ones_still_open() {
        let (old, new) = (Sealer::new(&[7; 32]), Sealer::of(&[8; 32], &[[7; 32]]));
        let sealed = old.seal("hunter2", "a");
        assert_eq!(new.open(&sealed, "a").unwrap(), "hunter2");
        assert!(new.is_stale(&sealed) && !old.is_stale(&sealed));
        let anew = new.seal("hunter2", "a");
        assert!(!new.is_stale(&anew) && !new.is_stale("hunter2"));
        assert_eq!(Sealer::new(&[8; 32]).open(&anew, "a").unwrap(), "hunter2");
    }

    #[test]
    fn a_text_of_the_first_form_opens_with_whichever_key_and_is_stale() {
        let sealer = Sealer::of(&[8; 32], &[[7; 32]]);
        let sealed = Sealer::new(&[7; 32]).seal("hunter2", "a");
        let (_, encoded) = parts(&sealed).unwrap();
        let first = format!("{FIRST_PREFIX}{encoded}");
        assert_eq!(sealer.open(&first, "a").unwrap(), "hunter2");
        assert!(sealer.is_stale(&first) && Sealer::new(&[7; 32]).is_stale(&first));
        assert!(matches!(Sealer::new(&[9; 32]).open(&first, "a"), Err(SealError::Key)));
    }
}
