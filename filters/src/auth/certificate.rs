//! Client certificates: matched by fingerprint, or by one of the names that they are for.

use std::net::IpAddr;
use std::sync::Arc;

use ahash::AHashMap;

use super::AuthRefusal;
use super::consumers::Consumers;
use super::credentials::Found;

/// The certificate that a client showed, and that it has the key of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// SHA-256 of its DER form.
    pub fingerprint: [u8; 32],
    /// Its subject alternative names.
    pub names: Vec<SubjectName>,
    /// True if an authority that the gateway trusts for clients vouches for it. Its names count only then.
    pub is_trusted: bool,
}

/// A subject alternative name (RFC 5280 section 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SubjectName {
    /// A DNS name, in lower case.
    Dns(Box<str>),
    /// A URI, as it stands.
    Uri(Box<str>),
    /// A mail address, as it stands.
    Email(Box<str>),
    /// An address.
    Ip(IpAddr),
}

impl SubjectName {
    /// Reads `dns:client.example`, `uri:spiffe://example/client`, `email:ops@example.org` or `ip:192.0.2.7`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once(':')?;
        let is_text = !name.is_empty() && name.is_ascii() && !name.contains(|c: char| c.is_ascii_control() || c == ' ');
        match kind {
            "dns" if is_text => Some(Self::dns(name)),
            "uri" if is_text => Some(Self::Uri(name.into())),
            "email" if is_text => Some(Self::Email(name.into())),
            "ip" => name.parse().ok().map(Self::Ip),
            _ => None,
        }
    }

    /// A DNS name.
    pub fn dns(name: &str) -> Self {
        Self::Dns(name.to_ascii_lowercase().into())
    }
}

/// Certificates that open.
#[derive(Debug, Default)]
pub struct CertificateCheck {
    pub(crate) own: Certificates<usize>,
    /// True accepts those of the organization's consumers, too.
    pub(crate) consumers: bool,
}

/// Certificates, each with whose it is.
#[derive(Debug)]
pub(crate) struct Certificates<T> {
    by_fingerprint: AHashMap<[u8; 32], T>,
    by_name: AHashMap<SubjectName, T>,
}

impl<T> Default for Certificates<T> {
    fn default() -> Self {
        Self {
            by_fingerprint: AHashMap::new(),
            by_name: AHashMap::new(),
        }
    }
}

/// What a known certificate is told by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Fingerprint([u8; 32]),
    Name(SubjectName),
}

impl<T> Certificates<T> {
    /// Adds one. False if the mark is there already.
    pub(crate) fn add(&mut self, mark: Mark, owner: T) -> bool {
        match mark {
            Mark::Fingerprint(digest) => match self.by_fingerprint.entry(digest) {
                std::collections::hash_map::Entry::Occupied(_) => false,
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(owner);
                    true
                }
            },
            Mark::Name(name) => match self.by_name.entry(name) {
                std::collections::hash_map::Entry::Occupied(_) => false,
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(owner);
                    true
                }
            },
        }
    }

    fn find(&self, shown: &PeerCertificate) -> Option<&T> {
        let by_name = || shown.names.iter().find_map(|name| self.by_name.get(name));
        let found = self.by_fingerprint.get(&shown.fingerprint);
        found.or_else(|| shown.is_trusted.then(by_name).flatten())
    }
}

impl CertificateCheck {
    pub(crate) fn find(
        &self,
        shown: Option<&PeerCertificate>,
        consumers: Option<&Consumers>,
    ) -> Result<Found, AuthRefusal> {
        let shown = shown.ok_or(AuthRefusal::Missing)?;
        if let Some(index) = self.own.find(shown) {
            return Ok(Found::Own(*index));
        }
        let consumers = consumers.filter(|_| self.consumers).ok_or(AuthRefusal::Invalid)?;
        let consumer = consumers.certificates.find(shown).ok_or(AuthRefusal::Invalid)?;
        Ok(Found::Consumer(Arc::clone(consumer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(names: &[&str], is_trusted: bool) -> PeerCertificate {
        PeerCertificate {
            fingerprint: [7; 32],
            names: names.iter().map(|name| SubjectName::parse(name).unwrap()).collect(),
            is_trusted,
        }
    }

    fn check(marks: impl IntoIterator<Item = Mark>) -> CertificateCheck {
        let mut check = CertificateCheck::default();
        for (index, mark) in marks.into_iter().enumerate() {
            assert!(check.own.add(mark, index));
        }
        check
    }

    fn found(check: &CertificateCheck, shown: Option<&PeerCertificate>) -> Result<usize, AuthRefusal> {
        match check.find(shown, None)? {
            Found::Own(index) => Ok(index),
            Found::Consumer(_) => panic!("there are no consumers"),
        }
    }

    #[test]
    fn a_name_counts_only_if_an_authority_vouches_for_it() {
        let check = check([Mark::Name(SubjectName::parse("dns:Client.Example").unwrap())]);
        let names = ["uri:spiffe://example/other", "dns:client.example"];
        assert_eq!(found(&check, Some(&shown(&names, true))), Ok(0));
        assert_eq!(found(&check, Some(&shown(&names, false))), Err(AuthRefusal::Invalid));
        assert_eq!(
            found(&check, Some(&shown(&["dns:a.client.example"], true))),
            Err(AuthRefusal::Invalid)
        );
        assert_eq!(found(&check, None), Err(AuthRefusal::Missing));
    }

    #[test]
    fn a_fingerprint_opens_without_an_authority() {
        let check = check([Mark::Fingerprint([8; 32]), Mark::Fingerprint([7; 32])]);
        assert_eq!(found(&check, Some(&shown(&[], false))), Ok(1));
    }

    #[test]
    fn names_are_read_by_their_kind() {
        assert_eq!(
            SubjectName::parse("ip:192.0.2.7"),
            Some(SubjectName::Ip([192, 0, 2, 7].into()))
        );
        for text in ["client.example", "dns:", "dns:a b", "ip:x", "dn:x", "uri:"] {
            assert_eq!(SubjectName::parse(text), None, "{text}");
        }
    }
}
