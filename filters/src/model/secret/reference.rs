//! Where a secret is kept that is not written into the configuration itself.
//!
//! A reference stands where the secret would stand, as one whole text: `secret://env/NAME`, `secret://file/run/secrets/x`
//! or `secret://store/partners/lab#token`. The control plane puts the secret in its place before gateways get it.

use std::fmt;

/// Names a secret that is kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretReference {
    /// A variable in the environment of the control plane.
    Env(String),
    /// A file of the control plane's machine, by its whole path; the line end at its end does not count.
    File(String),
    /// A field of an entry in the secret store that the control plane is configured with.
    Store {
        /// The entry, without `/` at its begin.
        path: String,
        /// The field.
        field: String,
    },
}

/// Why a text that begins like a reference is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReference {
    /// It names another place, or none.
    #[error("is no reference: write secret://env/NAME, secret://file/path/of/the/file or secret://store/path#field")]
    Form,
    /// Not a variable's name.
    #[error("must name a variable by letters, digits and `_`, not beginning with a digit")]
    Env,
    /// Not a path.
    #[error("must name a file or an entry by its whole path, without empty parts, `.`, `..` and control characters")]
    Path,
    /// No field.
    #[error("must name the field of the entry, by letters, digits, `-`, `_` and `.`: secret://store/path#field")]
    Field,
}

impl SecretReference {
    /// True for a text that is meant as a reference.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// Reads a reference.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, BadReference> {
        let rest = text.strip_prefix(SCHEME).ok_or(BadReference::Form)?;
        let (place, name) = rest.split_once('/').ok_or(BadReference::Form)?;
        match place {
            "env" if is_variable(name) => Ok(Self::Env(name.to_owned())),
            "env" => Err(BadReference::Env),
            "file" if is_path(name) => Ok(Self::File(format!("/{name}"))),
            "store" => {
                let (path, field) = name.split_once('#').ok_or(BadReference::Field)?;
                if !is_path(path) {
                    return Err(BadReference::Path);
                }
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
                if field.is_empty() || field.len() > LONGEST_NAME || !field.bytes().all(allowed) {
                    return Err(BadReference::Field);
                }
                Ok(Self::Store {
                    path: path.to_owned(),
                    field: field.to_owned(),
                })
            }
            "file" => Err(BadReference::Path),
            _ => Err(BadReference::Form),
        }
    }
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "{SCHEME}env/{name}"),
            Self::File(path) => write!(f, "{SCHEME}file{path}"),
            Self::Store { path, field } => write!(f, "{SCHEME}store/{path}#{field}"),
        }
    }
}

fn is_variable(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_path(path: &str) -> bool {
    path.len() <= LONGEST_PATH
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !path.contains(|letter: char| letter.is_control() || matches!(letter, '#' | '?' | '%' | '\\' | ' '))
}

const SCHEME: &str = "secret://";
const LONGEST_NAME: usize = 128;
const LONGEST_PATH: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_written_alike() {
        for text in [
            "secret://env/LAB_TOKEN",
            "secret://file/run/secrets/lab",
            "secret://store/partners/648/lab#api-key",
        ] {
            assert_eq!(SecretReference::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_none_says_why() {
        for (text, reason) in [
            ("secret://", BadReference::Form),
            ("secret://vault/x", BadReference::Form),
            ("hunter2", BadReference::Form),
            ("secret://env/", BadReference::Env),
            ("secret://env/1X", BadReference::Env),
            ("secret://env/A B", BadReference::Env),
            ("secret://file/run/../etc/shadow", BadReference::Path),
            ("secret://file//etc/shadow", BadReference::Path),
            ("secret://file/a\0b", BadReference::Path),
            ("secret://store/a%2e%2e/b#c", BadReference::Path),
            ("secret://store/a?list=true#c", BadReference::Path),
            ("secret://store/a", BadReference::Field),
            ("secret://store/a#", BadReference::Field),
            ("secret://store/a#b#c", BadReference::Field),
        ] {
            assert_eq!(SecretReference::parse(text), Err(reason), "{text}");
        }
    }
}
