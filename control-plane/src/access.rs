//! Who may come in: operators with a key of the settings, gateways with a token. People with an account and keys that were
//! made through the API are in `users.rs`; what each of them may do is in `access/role.rs`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use filters::model::Secret;

use crate::config::ProcessConfig;

mod files;
mod key_hash;
mod operator;
mod role;
mod scope;

pub(crate) use files::{make_private_folder, read_configured, read_or_make, write_private};
pub(crate) use key_hash::{KeyHash, random_key};
pub use operator::{Operator, Proof};
pub use role::{Denied, Role};
pub(crate) use scope::is_own;
pub use scope::{NoScope, Scope};

use key_hash::find;

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
            let org_ids = key.org_ids.as_ref().map(|ids| ids.iter().copied().collect());
            let operator = Operator::new(key.name.clone(), Role::Admin, org_ids, Proof::OperatorKey);
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
        let operator = Operator::new("operator".to_owned(), Role::Admin, None, Proof::OperatorKey);
        self.operators.push((hash, Arc::new(operator)));
        self.new_operator_key = made;
        Ok(())
    }
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

const SHORTEST_KEY: usize = 16;

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
