//! Encryption of secrets in the store (XChaCha20-Poly1305), and what else is made with the same key: entity tags, and the
//! signatures of our own tokens.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use filters::model::Secret;
use ring::hmac;
use sha2::{Digest as _, Sha256};

use crate::access::{AccessError, read_configured, read_or_make};
use crate::config::ProcessConfig;

/// Encrypts and decrypts the secrets of stored objects.
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    tag_key: [u8; 32],
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
}

impl Sealer {
    /// With the key of this process: 64 hexadecimal digits in `secretKeyFile`, or, if that is not set, in the data
    /// folder, where the key is made at the first start.
    ///
    /// # Errors
    /// If the file cannot be read or made, or holds something else; if the configured one is not there.
    pub fn load(config: &ProcessConfig) -> Result<Self, AccessError> {
        let made = config.data_dir.join("secret.key");
        let (file, text) = match &config.secret_key_file {
            Some(file) => (file, read_configured("secretKeyFile", file)?),
            None => (
                &made,
                read_or_make(&made, || Secret::new(hex::encode(rand::random::<[u8; 32]>())))?,
            ),
        };
        let mut key = [0; 32];
        hex::decode_to_slice(text.expose(), &mut key).map_err(|_| AccessError::File {
            path: file.clone(),
            source: std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "must hold 64 hexadecimal digits, as `openssl rand -hex 32` makes them",
            ),
        })?;
        Ok(Self::new(&key))
    }

    /// With this key.
    pub fn new(key: &[u8; 32]) -> Self {
        let derived = |purpose: &[u8]| Sha256::new().chain_update(purpose).chain_update(key).finalize();
        Self {
            cipher: XChaCha20Poly1305::new(key.into()),
            tag_key: derived(b"entity tags").into(),
            token_key: hmac::Key::new(hmac::HMAC_SHA256, &derived(b"tokens of sessions")),
        }
    }

    /// Encrypts `text`, bound to the object `owner`.
    pub(crate) fn seal(&self, text: &str, owner: &str) -> String {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload {
            msg: text.as_bytes(),
            aad: owner.as_bytes(),
        };
        let sealed = self
            .cipher
            .encrypt(XNonce::from_slice(&nonce), payload)
            .expect("the cipher refuses only texts of more than 256 GB");
        let mut whole = nonce.to_vec();
        whole.extend(sealed);
        format!("{PREFIX}{}", STANDARD_NO_PAD.encode(whole))
    }

    /// Decrypts what [`Sealer::seal`] made for the same owner.
    pub(crate) fn open(&self, sealed: &str, owner: &str) -> Result<String, SealError> {
        let encoded = sealed.strip_prefix(PREFIX).ok_or(SealError::Form)?;
        let whole = STANDARD_NO_PAD.decode(encoded).map_err(|_| SealError::Form)?;
        let (nonce, text) = whole.split_at_checked(NONCE_BYTES).ok_or(SealError::Form)?;
        let payload = Payload {
            msg: text,
            aad: owner.as_bytes(),
        };
        let opened = self
            .cipher
            .decrypt(XNonce::from_slice(nonce), payload)
            .map_err(|_| SealError::Key)?;
        String::from_utf8(opened).map_err(|_| SealError::Form)
    }

    /// Tag of an object's content for `ETag`. It is keyed, as the digest itself would let people test guesses of a
    /// secret that they are not shown.
    pub(crate) fn tag(&self, digest: &[u8; 32]) -> String {
        let tag = Sha256::new().chain_update(self.tag_key).chain_update(digest).finalize();
        hex::encode(&tag[..16])
    }

    /// Signature of one of our own tokens (HMAC-SHA256).
    pub(crate) fn sign(&self, text: &[u8]) -> Vec<u8> {
        hmac::sign(&self.token_key, text).as_ref().to_vec()
    }

    /// True if [`Sealer::sign`] made this signature of this text.
    pub(crate) fn signed(&self, text: &[u8], signature: &[u8]) -> bool {
        hmac::verify(&self.token_key, text, signature).is_ok()
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(***)")
    }
}

const PREFIX: &str = "sealed:1:";
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
        assert!(matches!(Sealer::new(&[8; 32]).open(&sealed, "a"), Err(SealError::Key)));
        assert!(matches!(sealer.open("hunter2", "a"), Err(SealError::Form)));
    }
}
