//! Files of the data folder that hold secrets: encrypted with the folder's key, and checksummed, so that damage and a
//! wrong key can be told apart.
//!
//! ```text
//! magic | format (1 byte) | SHA-256 of the rest (32) | nonce (24) | XChaCha20-Poly1305 of the content
//! ```

use std::io;

use chacha20poly1305::aead::{Aead as _, AeadCore as _, KeyInit as _, OsRng, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::data_dir::KEY_BYTES;

/// Why a file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealedError {
    #[error("it is no file of this kind")]
    NoMagic,
    #[error("its format is {found}, and this gateway reads {known}")]
    Format { found: u8, known: u8 },
    #[error("it is damaged: {0} bytes, and their checksum is wrong")]
    Damaged(usize),
    #[error("it was encrypted with another key")]
    Key,
}

/// A kind of file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// What its files begin with.
    pub(crate) magic: &'static [u8],
    /// The version of what is in them.
    pub(crate) format: u8,
}

impl Kind {
    /// The file that holds `content`. It opens for the same `owner` only, so that no file can take the place of another.
    ///
    /// # Errors
    /// If the content is too large to encrypt.
    pub(crate) fn seal(self, owner: &[u8], content: &[u8], key: &[u8; KEY_BYTES]) -> io::Result<Vec<u8>> {
        let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
        let payload = Payload {
            msg: content,
            aad: &self.bound_to(owner),
        };
        let sealed = XChaCha20Poly1305::new(key.into())
            .encrypt(&nonce, payload)
            .map_err(|_| io::Error::other("it is too large to encrypt"))?;
        let checksum = Sha256::new().chain_update(nonce).chain_update(&sealed).finalize();
        let parts = [
            self.magic,
            &[self.format],
            checksum.as_slice(),
            nonce.as_slice(),
            sealed.as_slice(),
        ];
        Ok(parts.concat())
    }

    /// What the file of `owner` holds.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub(crate) fn open(
        self,
        owner: &[u8],
        file: &[u8],
        key: &[u8; KEY_BYTES],
    ) -> Result<Zeroizing<Vec<u8>>, SealedError> {
        let rest = file.strip_prefix(self.magic).ok_or(SealedError::NoMagic)?;
        let damaged = || SealedError::Damaged(file.len());
        let (&found, rest) = rest.split_first().ok_or_else(damaged)?;
        if found != self.format {
            let known = self.format;
            return Err(SealedError::Format { found, known });
        }
        let (checksum, sealed) = rest.split_at_checked(CHECKSUM_BYTES).ok_or_else(damaged)?;
        if Sha256::digest(sealed).as_slice() != checksum {
            return Err(damaged());
        }
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or_else(damaged)?;
        let payload = Payload {
            msg: sealed,
            aad: &self.bound_to(owner),
        };
        XChaCha20Poly1305::new(key.into())
            .decrypt(XNonce::from_slice(nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| SealedError::Key)
    }

    fn bound_to(self, owner: &[u8]) -> Vec<u8> {
        [&[self.format], owner].concat()
    }
}

const CHECKSUM_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
