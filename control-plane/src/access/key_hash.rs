//! Hashes of keys and tokens that machines made: what is kept of them.

use filters::model::Secret;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// SHA-256 of a key that a machine made.
#[derive(Clone, Copy)]
pub(crate) struct KeyHash([u8; 32]);

impl KeyHash {
    pub(crate) fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    pub(crate) fn to_text(self) -> String {
        format!("sha256:{}", hex::encode(self.0))
    }

    /// True if this is its key; takes the same time whatever is given.
    pub(crate) fn matches(self, key: &str) -> bool {
        self.0.ct_eq(&Self::of(key).0).into()
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let digits = text.trim().strip_prefix("sha256:")?;
        let mut hash = [0; 32];
        hex::decode_to_slice(digits, &mut hash).ok()?;
        Some(Self(hash))
    }
}

impl std::fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(filters::model::secret::MASK)
    }
}

/// A new key of 256 random bits.
pub(crate) fn random_key() -> Secret {
    Secret::new(hex::encode(rand::random::<[u8; 32]>()))
}

/// The owner of the key that was presented. Takes the same time whichever key matches.
pub(super) fn find<T: Clone>(known: &[(KeyHash, T)], presented: &str) -> Option<T> {
    let presented = KeyHash::of(presented);
    let mut found = None;
    for (hash, owner) in known {
        if bool::from(hash.0.ct_eq(&presented.0)) {
            found = Some(owner);
        }
    }
    found.cloned()
}
