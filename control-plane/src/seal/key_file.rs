//! The file with the keys: one in each line, the newest first.

use std::io;
use std::path::{Path, PathBuf};

use filters::model::Secret;

use super::{Sealer, key_id};
use crate::access::{AccessError, read_configured, read_or_make, write_private};
use crate::config::ProcessConfig;

/// The keys of this process, and the file that they are from.
pub(crate) struct KeyFile {
    path: PathBuf,
    /// True for the file of the data folder, which this program writes itself.
    own: bool,
    newest: [u8; 32],
    older: Vec<[u8; 32]>,
}

impl KeyFile {
    /// Reads the keys: 64 hexadecimal digits in each line of `secretKeyFile`, or, if that is not set, of a file in the
    /// data folder, where a key is made at the first start.
    pub(crate) fn load(config: &ProcessConfig) -> Result<Self, AccessError> {
        let made = config.data_dir.join("secret.key");
        let (path, own, text) = match &config.secret_key_file {
            Some(file) => (file.clone(), false, read_configured("secretKeyFile", file)?),
            None => {
                let text = read_or_make(&made, || written(&[rand::random()]))?;
                (made, true, text)
            }
        };
        let keys = read(&path, text.expose())?;
        let mut keys = keys.into_iter();
        let newest = keys.next().ok_or_else(|| wrong(&path))?;
        Ok(Self {
            path,
            own,
            newest,
            older: keys.collect(),
        })
    }

    /// What seals with the newest key.
    pub(crate) fn sealer(&self) -> Sealer {
        Sealer::of(&self.newest, &self.older)
    }

    /// Where the keys are.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// True if this program may write the file.
    pub(crate) fn is_own(&self) -> bool {
        self.own
    }

    /// Name of the newest key.
    pub(crate) fn newest(&self) -> String {
        key_id(&self.newest)
    }

    /// Names of the older keys.
    pub(crate) fn older(&self) -> Vec<String> {
        self.older.iter().map(key_id).collect()
    }

    /// Puts a new key before the others; it is on disk when this returns.
    pub(crate) fn add_key(&mut self) -> Result<(), AccessError> {
        let (newest, mut older) = (rand::random(), vec![self.newest]);
        older.append(&mut self.older.clone());
        self.write(newest, older)
    }

    /// Leaves the newest key only.
    pub(crate) fn remove_older(&mut self) -> Result<(), AccessError> {
        self.write(self.newest, Vec::new())
    }

    fn write(&mut self, newest: [u8; 32], older: Vec<[u8; 32]>) -> Result<(), AccessError> {
        let mut keys = vec![newest];
        keys.extend(&older);
        write_private(&self.path, &written(&keys)).map_err(|source| AccessError::File {
            path: self.path.clone(),
            source,
        })?;
        (self.newest, self.older) = (newest, older);
        Ok(())
    }
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyFile(***)")
    }
}

fn written(keys: &[[u8; 32]]) -> Secret {
    let lines: Vec<String> = keys.iter().map(hex::encode).collect();
    Secret::new(lines.join("\n"))
}

fn read(path: &Path, text: &str) -> Result<Vec<[u8; 32]>, AccessError> {
    let mut keys = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut key = [0; 32];
        hex::decode_to_slice(line, &mut key).map_err(|_| wrong(path))?;
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(keys)
}

fn wrong(path: &Path) -> AccessError {
    AccessError::File {
        path: path.to_owned(),
        source: io::Error::new(
            io::ErrorKind::InvalidData,
            "must hold 64 hexadecimal digits in each line, as `openssl rand -hex 32` makes them, the newest key first",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &Path) -> ProcessConfig {
        ProcessConfig {
            data_dir: folder.to_owned(),
            ..ProcessConfig::default()
        }
    }

    #[test]
    fn a_new_key_stands_before_the_others_until_they_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let mut keys = KeyFile::load(&config).unwrap();
        let first = keys.newest();
        let sealed = keys.sealer().seal("hunter2", "a");
        keys.add_key().unwrap();

        let mut keys = KeyFile::load(&config).unwrap();
        assert_ne!(keys.newest(), first);
        assert_eq!(keys.older(), [first]);
        assert_eq!(keys.sealer().open(&sealed, "a").unwrap(), "hunter2");
        keys.remove_older().unwrap();
        let keys = KeyFile::load(&config).unwrap();
        assert!(keys.older().is_empty());
        assert!(keys.sealer().open(&sealed, "a").is_err());
    }

    #[test]
    fn a_file_with_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let good = "ab".repeat(32);
        for text in [
            format!("{good}\nkey"),
            format!("{good}ab"),
            "0123456789abcdef".to_owned(),
        ] {
            std::fs::write(folder.path().join("secret.key"), text).unwrap();
            let error = KeyFile::load(&config).unwrap_err().to_string();
            assert!(error.contains("64 hexadecimal digits in each line"), "{error}");
        }
        std::fs::write(folder.path().join("secret.key"), format!("\n{good}\n\n{good}\n")).unwrap();
        assert!(
            KeyFile::load(&config).unwrap().older().is_empty(),
            "one key, given twice"
        );
    }
}
