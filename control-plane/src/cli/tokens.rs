//! The tokens of sessions that `gwctl login` began, by server, in a file that only its owner reads.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use filters::model::Secret;

use super::failure::Failure;

/// The file with the tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    file: PathBuf,
}

impl Tokens {
    /// In `$XDG_CONFIG_HOME/gwctl`, or `.config/gwctl` of the home folder.
    pub(super) fn of_this_person() -> Result<Self, Failure> {
        let folder = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let config = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")));
        let config = config
            .ok_or_else(|| Failure::Usage("there is no place for the token: set HOME or XDG_CONFIG_HOME".to_owned()))?;
        Ok(Self {
            file: config.join("gwctl").join("tokens.json"),
        })
    }

    /// Where they are, for people.
    pub(super) fn place(&self) -> std::path::Display<'_> {
        self.file.display()
    }

    /// The token for `server`. A file that does not read is as good as none: to sign in again makes a new one.
    pub(super) fn of(&self, server: &str) -> Option<Secret> {
        self.read().remove(server)
    }

    /// Keeps a token for `server` in the place of the one before, or none.
    pub(super) fn keep(&self, server: &str, token: Option<&Secret>) -> Result<(), Failure> {
        let mut tokens = self.read();
        match token {
            Some(token) => drop(tokens.insert(server.to_owned(), token.clone())),
            None => drop(tokens.remove(server)),
        }
        self.write(&tokens)
            .map_err(|error| Failure::Usage(format!("{} cannot be written: {error}", self.file.display())))
    }

    fn read(&self) -> BTreeMap<String, Secret> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Under another name first: the file is always whole, and never readable by others.
    fn write(&self, tokens: &BTreeMap<String, Secret>) -> io::Result<()> {
        if let Some(folder) = self.file.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let draft = self.file.with_extension(format!("{}.new", std::process::id()));
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
        let written = written.and_then(|mut file| {
            file.write_all(&serde_json::to_vec(tokens)?)?;
            fs::rename(&draft, &self.file)
        });
        if written.is_err() {
            // What is left of a failed try must not stand in the way of the next.
            drop(fs::remove_file(&draft));
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn tokens_are_kept_by_server_in_a_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = Tokens {
            file: folder.path().join("gwctl").join("tokens.json"),
        };
        let token = |text: &str| Some(Secret::new(text));
        tokens.keep("http://a/", token("one").as_ref()).unwrap();
        tokens.keep("http://b/", token("two").as_ref()).unwrap();
        tokens.keep("http://a/", token("three").as_ref()).unwrap();
        assert_eq!(tokens.of("http://a/"), token("three"));
        let mode = fs::metadata(&tokens.file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        tokens.keep("http://a/", None).unwrap();
        assert_eq!((tokens.of("http://a/"), tokens.of("http://b/")), (None, token("two")));
        fs::write(&tokens.file, "{").unwrap();
        assert_eq!(tokens.of("http://b/"), None);
        tokens.keep("http://b/", token("four").as_ref()).unwrap();
        assert_eq!(tokens.of("http://b/"), token("four"));
    }
}
