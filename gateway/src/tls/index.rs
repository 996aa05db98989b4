//! Which certificate answers to a name.

use std::sync::Arc;

use ahash::AHashMap;
use filters::certificate::Certificate;
use rustls::sign::CertifiedKey;

/// Certificates by the names that they answer to.
#[derive(Debug, Default)]
pub struct Index {
    exact: AHashMap<Box<str>, Entry>,
    /// By what follows the `*.`.
    wildcard: AHashMap<Box<str>, Entry>,
    first: Option<Arc<CertifiedKey>>,
}

#[derive(Debug)]
struct Entry {
    key: Arc<CertifiedKey>,
    expires: i64,
}

impl Index {
    /// Where several certificates answer to a name, the one that expires last is shown.
    pub fn of<'c>(certificates: impl IntoIterator<Item = &'c Certificate>) -> Self {
        let mut index = Self::default();
        for certificate in certificates {
            index.first.get_or_insert_with(|| Arc::clone(&certificate.key));
            for name in &certificate.names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut index.wildcard, rest),
                    None => (&mut index.exact, &**name),
                };
                if map.get(name).is_none_or(|other| other.expires < certificate.expires) {
                    let entry = Entry {
                        key: Arc::clone(&certificate.key),
                        expires: certificate.expires,
                    };
                    map.insert(name.into(), entry);
                }
            }
        }
        index
    }

    /// The certificate for exactly this name (in lower case).
    pub fn exact(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        self.exact.get(name).map(|entry| &entry.key)
    }

    /// The certificate whose wildcard stands for the first label of this name (in lower case).
    pub fn wildcard(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let (_, rest) = name.split_once('.')?;
        self.wildcard.get(rest).map(|entry| &entry.key)
    }

    /// The first certificate, for names that none is for.
    pub fn first(&self) -> Option<&Arc<CertifiedKey>> {
        self.first.as_ref()
    }
}

#[cfg(test)]
mod tests;
