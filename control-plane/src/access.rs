//! Who may come in: operators with an API key, gateways with a token.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use filters::model::Secret;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::config::ProcessConfig;

/// Somebody who may use the API.
#[derive(Debug, PartialEq, Eq)]
pub struct Operator {
    /// Name of the key.
    pub name: String,
    /// The organizations that it may touch; `None` for all.
    org_ids: Option<BTreeSet<u64>>,
}

impl Operator {
    /// True if it may touch `org_id`.
    pub fn may_touch(&self, org_id: u64) -> bool {
        self.org_ids.as_ref().is_none_or(|ids| ids.contains(&org_id))
    }

    /// The organizations that it may touch; `None` for all.
    pub fn org_ids(&self) -> Option<&BTreeSet<u64>> {
        self.org_ids.as_ref()
    }

    /// True if it may touch every organization, and what belongs to none.
    pub fn sees_all(&self) -> bool {
        self.org_ids.is_none()
    }
}

/// Everybody who may come in.
#[derive(Debug)]
pub struct Access {
    operators: Vec<(KeyHash, Arc<Operator>)>,
    gateways: Vec<(KeyHash, Arc<str>)>,
    /// A key that was made just now; to be shown once.
    pub new_operator_key: Option<Secret>,
}

/// Why keys and tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A configured entry is wrong.
    #[error("{path}: {message}")]
    Setting {
        /// Which one, as `operatorKeys[0].hash`.
        path: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A file of the data folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Access {
    /// Reads the configured keys and tokens; where there are none, takes those of the data folder or makes them.
    ///
    /// # Errors
    /// If an entry is wrong, or the data folder cannot be used.
    pub fn prepare(config: &ProcessConfig) -> Result<Self, AccessError> {
        let mut access = Self {
            operators: Vec::new(),
            gateways: Vec::new(),
            new_operator_key: None,
        };
        for (index, key) in config.operator_keys.iter().enumerate() {
            let path = format!("operatorKeys[{index}]");
            let hash = configured(&path, &key.name, key.hash.as_ref(), key.value.as_ref())?;
            let operator = Operator {
                name: key.name.clone(),
                org_ids: key.org_ids.as_ref().map(|ids| ids.iter().copied().collect()),
            };
            access.operators.push((hash, Arc::new(operator)));
        }
        for (index, token) in config.gateway_tokens.iter().enumerate() {
            let path = format!("gatewayTokens[{index}]");
            let hash = configured(&path, &token.name, token.hash.as_ref(), token.value.as_ref())?;
            access.gateways.push((hash, token.name.as_str().into()));
        }
        if access.operators.is_empty() {
            access.first_operator(&config.data_dir.join("operator-key.sha256"))?;
        }
        if access.gateways.is_empty() {
            let token = read_or_make(&config.data_dir.join("gateway-token"), random_key)?;
            access
                .gateways
                .push((KeyHash::of(token.expose()), "gateway-token".into()));
        }
        Ok(access)
    }

    /// The operator whose key this is. Takes the same time whichever key matches.
    pub fn operator(&self, key: &str) -> Option<Arc<Operator>> {
        find(&self.operators, key)
    }

    /// The name of the gateway token that this is. Takes the same time whichever token matches.
    pub fn gateway(&self, token: &str) -> Option<Arc<str>> {
        find(&self.gateways, token)
    }

    /// Only the hash of the first key is kept; the key itself is shown once.
    fn first_operator(&mut self, file: &Path) -> Result<(), AccessError> {
        let mut made = None;
        let kept = read_or_make(file, || {
            let key = random_key();
            let hash = KeyHash::of(key.expose()).to_text();
            made = Some(key);
            Secret::new(hash)
        })?;
        let hash = KeyHash::read(kept.expose()).ok_or_else(|| AccessError::File {
            path: file.to_owned(),
            source: io::Error::new(
                io::ErrorKind::InvalidData,
                "does not hold `sha256:` and 64 hexadecimal digits; remove the file to have a new key made",
            ),
        })?;
        let operator = Operator {
            name: "operator".to_owned(),
            org_ids: None,
        };
        self.operators.push((hash, Arc::new(operator)));
        self.new_operator_key = made;
        Ok(())
    }
}

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

    fn read(text: &str) -> Option<Self> {
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

/// Makes the folder with everything above it, readable by its owner only.
pub(crate) fn make_private_folder(path: &Path) -> Result<(), AccessError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| AccessError::File {
            path: path.to_owned(),
            source,
        })
}

/// The text of a private file; made with `make` if the file is not there.
pub(crate) fn read_or_make(path: &Path, make: impl FnOnce() -> Secret) -> Result<Secret, AccessError> {
    let failed = |source| AccessError::File {
        path: path.to_owned(),
        source,
    };
    match read_private(path) {
        Ok(text) if text.expose().len() < SHORTEST_KEY => {
            let message = "holds no key; remove the file to have a new one made";
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, message)));
        }
        Ok(text) => return Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let secret = make();
    // Under another name first: a file that exists is always whole.
    let draft = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(secret.expose().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&draft, path)?;
        path.parent()
            .map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
    };
    write().map_err(failed)?;
    Ok(secret)
}

/// Reads a secret from the file that the setting `setting` names. It is never made: a key that is not there would be
/// replaced by another one, with which nothing that was stored can be read.
pub(crate) fn read_configured(setting: &str, path: &Path) -> Result<Secret, AccessError> {
    read_private(path).map_err(|error| AccessError::Setting {
        path: setting.to_owned(),
        message: match error.kind() {
            io::ErrorKind::NotFound => format!(
                "{} is not there; make the file, or leave the setting out to have one made in dataDir",
                path.display()
            ),
            _ => format!("{} cannot be read: {error}", path.display()),
        },
    })
}

fn read_private(path: &Path) -> io::Result<Secret> {
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(MOST_KEY_BYTES)
        .read_to_string(&mut text)?;
    Ok(Secret::new(text.trim()))
}

fn random_key() -> Secret {
    Secret::new(hex::encode(rand::random::<[u8; 32]>()))
}

fn configured(path: &str, name: &str, hash: Option<&Secret>, value: Option<&Secret>) -> Result<KeyHash, AccessError> {
    let wrong = |field: &str, message: &str| AccessError::Setting {
        path: format!("{path}.{field}"),
        message: message.to_owned(),
    };
    if name.is_empty() {
        return Err(wrong("name", "must not be empty"));
    }
    match (hash, value) {
        (Some(hash), None) => {
            KeyHash::read(hash.expose()).ok_or_else(|| wrong("hash", "must be `sha256:` and 64 hexadecimal digits"))
        }
        (None, Some(value)) if value.expose().len() < SHORTEST_KEY => Err(wrong(
            "value",
            "is shorter than 16 characters; take a random key, as `openssl rand -hex 32` makes it",
        )),
        (None, Some(value)) => Ok(KeyHash::of(value.expose())),
        _ => Err(wrong("hash", "give either `hash` or `value`")),
    }
}

fn find<T: Clone>(known: &[(KeyHash, T)], presented: &str) -> Option<T> {
    let presented = KeyHash::of(presented);
    let mut found = None;
    for (hash, owner) in known {
        if bool::from(hash.0.ct_eq(&presented.0)) {
            found = Some(owner);
        }
    }
    found.cloned()
}

const SHORTEST_KEY: usize = 16;
const MOST_KEY_BYTES: u64 = 4096;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn config(folder: &Path) -> ProcessConfig {
        ProcessConfig {
            data_dir: folder.to_owned(),
            ..ProcessConfig::default()
        }
    }

    #[test]
    fn the_first_start_makes_a_key_and_keeps_only_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let first = Access::prepare(&config(folder.path())).unwrap();
        let key = first.new_operator_key.unwrap();
        let kept = std::fs::read_to_string(folder.path().join("operator-key.sha256")).unwrap();
        assert!(!kept.contains(key.expose()));

        let second = Access::prepare(&config(folder.path())).unwrap();
        assert!(second.new_operator_key.is_none());
        assert!(
            second
                .operator(key.expose())
                .is_some_and(|operator| operator.sees_all())
        );
        assert!(second.operator("another").is_none());
    }

    #[test]
    fn the_gateway_token_is_a_private_file_that_lets_in() {
        let folder = tempfile::tempdir().unwrap();
        let access = Access::prepare(&config(folder.path())).unwrap();
        let file = folder.path().join("gateway-token");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let token = std::fs::read_to_string(file).unwrap();
        assert!(access.gateway(token.trim()).is_some());
        assert!(access.gateway("").is_none());
    }

    #[test]
    fn a_wrong_entry_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        config.operator_keys = vec![crate::config::OperatorKey {
            name: "ops".to_owned(),
            hash: Some(Secret::new("sha256:12")),
            value: None,
            org_ids: None,
        }];
        let error = Access::prepare(&config).unwrap_err().to_string();
        assert!(error.starts_with("operatorKeys[0].hash:"), "{error}");
    }
}
