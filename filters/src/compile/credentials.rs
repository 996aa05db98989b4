//! Inbound auth configuration into checks.

mod signature;
mod token;

use std::collections::HashSet;
use std::sync::Arc;

use http::HeaderName;

use super::super::auth::certificate::{CertificateCheck, Mark, SubjectName};
use super::super::auth::{Credentials, InboundCheck, Way, sha256};
use crate::model::Problem;
use crate::model::auth::{AnyOfAuth, ApiKeyAuth, BasicAuth, CertificateAuth, Credential, InboundAuth, InboundAuthType};
use crate::model::problem::join;
use crate::model::secret::{MASK, Secret};
use crate::outgoing::{Owner, header_name};

/// The most credentials of one integration.
const MOST_CREDENTIALS: usize = 10_000;
/// How many ways in `ANY_OF` may have.
const WAYS: std::ops::RangeInclusive<usize> = 2..=8;

/// Compiles the checks of `auth`, which stands at `inboundAuthConfig`.
pub(super) fn compile(auth: &InboundAuth, owner: &Owner<'_>, problems: &mut Vec<Problem>) -> InboundCheck {
    let mut checks = Checks {
        owner,
        check: InboundCheck::default(),
        names: HashSet::new(),
        problems,
    };
    match auth {
        InboundAuth::AnyOf(config) => checks.add_any_of(config, PATH),
        one => checks.add(one, PATH),
    }
    checks.check
}

const PATH: &str = "inboundAuthConfig";

/// The checks in the making.
struct Checks<'c> {
    owner: &'c Owner<'c>,
    check: InboundCheck,
    /// Names that are taken: they tell callers apart in logs and limits.
    names: HashSet<String>,
    problems: &'c mut Vec<Problem>,
}

impl Checks<'_> {
    fn add_any_of(&mut self, config: &AnyOfAuth, path: &str) {
        if !WAYS.contains(&config.any_of.len()) {
            let message = format!("must list {} to {} ways in", WAYS.start(), WAYS.end());
            self.problem(join(path, "anyOf"), message);
        }
        let mut kinds = Vec::new();
        for (index, way) in config.any_of.iter().enumerate() {
            let kind = (format!("{:?}", way.inbound_auth_type), way.name.as_deref());
            if kinds.contains(&kind) {
                let message = "is of the same kind as another one; give each a `name` of its own";
                self.problem(join(path, &format!("anyOf[{index}].name")), message);
            }
            kinds.push(kind);
            if matches!(way.inbound_auth_type, InboundAuthType::None | InboundAuthType::AnyOf) {
                let message = "must be a kind that asks for a credential, and not ANY_OF";
                self.problem(join(path, &format!("anyOf[{index}].inboundAuthType")), message);
            }
        }
        for (path, way) in config.read_all(path, self.problems) {
            if !matches!(way, InboundAuth::AnyOf(_)) {
                self.add(&way, &path);
            }
        }
    }

    fn add(&mut self, auth: &InboundAuth, path: &str) {
        let way = match auth {
            InboundAuth::None | InboundAuth::AnyOf(_) => None,
            InboundAuth::ApiKey(config) => Some(self.api_key(config, path)),
            InboundAuth::Bearer(config) => {
                let tokens = self.credentials(&config.tokens, config.consumers, "tokens", path);
                Some(Way::Bearer(tokens))
            }
            InboundAuth::Basic(config) => Some(Way::Basic(self.users(config, path))),
            InboundAuth::ClientCertificate(config) => Some(Way::Certificate(self.certificates(config, path))),
            InboundAuth::Jwt(config) => self.jwt(config, path).map(|check| Way::Jwt(Box::new(check))),
            InboundAuth::Introspection(config) => {
                let check = self.introspection(config, path);
                check.map(|check| Way::Introspection(Box::new(check)))
            }
            InboundAuth::Hmac(config) => {
                let check = self.signature(config, path);
                check.map(|check| Way::Signature(Box::new(check)))
            }
        };
        self.check.ways.extend(way);
    }

    fn problem(&mut self, path: String, message: impl Into<String>) {
        self.problems.push(Problem::new(path, message));
    }

    /// Takes a name for a credential; the index that it is known by.
    fn name(&mut self, name: &str, path: &str) -> usize {
        if name.is_empty() || name.len() > LONGEST_NAME || name.contains(char::is_control) {
            let message = format!("must be 1 to {LONGEST_NAME} bytes long, without control characters");
            self.problem(path.to_owned(), message);
        }
        if !self.names.insert(name.to_owned()) {
            self.problem(path.to_owned(), format!("{name:?} is there twice"));
        }
        self.check.names.push(Arc::from(name));
        self.check.names.len() - 1
    }

    /// A header of the configuration, or the usual one.
    fn header(&mut self, name: Option<&String>, usual: &'static str, path: String) -> HeaderName {
        let given = name.and_then(|name| header_name(name, &path, self.problems));
        given.unwrap_or_else(|| HeaderName::from_static(usual))
    }

    fn api_key(&mut self, config: &ApiKeyAuth, path: &str) -> Way {
        let header = match (&config.header_name, &config.query_name) {
            (None, Some(_)) => None,
            (name, _) => Some(self.header(name.as_ref(), "x-api-key", join(path, "headerName"))),
        };
        let query = config.query_name.clone();
        if query.as_deref().is_some_and(|name| name.is_empty() || name.len() > 100) {
            self.problem(join(path, "queryName"), "must be 1 to 100 bytes long");
        }
        Way::ApiKey {
            header,
            query,
            keys: self.credentials(&config.keys, config.consumers, "keys", path),
        }
    }

    fn credentials(&mut self, list: &[Credential], consumers: bool, field: &str, path: &str) -> Credentials {
        let path = join(path, field);
        self.check_count(list.len(), consumers, &path);
        let mut accepted = Credentials::new(consumers);
        for (index, credential) in list.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let index = self.name(&credential.name, &join(&path, "name"));
            let secret = OneOf {
                hash: (credential.hash.as_ref(), "hash"),
                clear: (credential.value.as_ref(), "value"),
            };
            let digest = secret.digest(&path, self.problems);
            if let Some(digest) = digest.filter(|_| credential.is_active)
                && !accepted.add(index, digest)
            {
                self.problem(path, "has the same secret as another entry");
            }
        }
        accepted
    }

    fn users(&mut self, config: &BasicAuth, path: &str) -> Credentials {
        let path = join(path, "users");
        self.check_count(config.users.len(), config.consumers, &path);
        let mut accepted = Credentials::new(config.consumers);
        for (index, user) in config.users.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let name_path = join(&path, "username");
            check_username(&user.username, &name_path, self.problems);
            let index = self.name(&user.username, &name_path);
            let secret = OneOf {
                hash: (user.password_hash.as_ref(), "passwordHash"),
                clear: (user.password.as_ref(), "password"),
            };
            let digest = secret.digest(&path, self.problems);
            if let Some(digest) = digest.filter(|_| user.is_active) {
                // A name that is there twice was refused above.
                accepted.add_user(index, &user.username, digest);
            }
        }
        accepted
    }

    fn certificates(&mut self, config: &CertificateAuth, path: &str) -> CertificateCheck {
        let path = join(path, "certificates");
        self.check_count(config.certificates.len(), config.consumers, &path);
        let mut check = CertificateCheck {
            consumers: config.consumers,
            ..CertificateCheck::default()
        };
        for (index, known) in config.certificates.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let index = self.name(&known.name, &join(&path, "name"));
            let mark = mark(known.fingerprint.as_deref(), known.san.as_deref(), &path, self.problems);
            if let Some(mark) = mark.filter(|_| known.is_active)
                && !check.own.add(mark, index)
            {
                self.problem(path, "is the same certificate as another entry");
            }
        }
        check
    }

    fn check_count(&mut self, count: usize, consumers: bool, path: &str) {
        if count > MOST_CREDENTIALS {
            let message = format!("holds {count} entries; at most {MOST_CREDENTIALS} are allowed");
            self.problem(path.to_owned(), message);
        }
        if count == 0 && !consumers {
            let message = "lists nobody; add an entry, or accept those of consumers with `consumers: true`";
            self.problem(path.to_owned(), message);
        }
    }
}

/// The longest name of a credential, in bytes.
const LONGEST_NAME: usize = 200;

/// Adds what is wrong with a user name.
pub(super) fn check_username(name: &str, path: &str, problems: &mut Vec<Problem>) {
    if name.is_empty() || name.contains(':') {
        problems.push(Problem::new(path, "must not be empty or hold a colon (RFC 7617)"));
    }
}

/// What a certificate is told by.
pub(super) fn mark(
    fingerprint: Option<&str>,
    san: Option<&str>,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Option<Mark> {
    match (fingerprint, san) {
        (Some(text), None) => {
            let digest = parse_hash(text);
            if digest.is_none() {
                let message = "must be sha256: and 64 hexadecimal digits";
                problems.push(Problem::new(join(path, "fingerprint"), message));
            }
            digest.map(Mark::Fingerprint)
        }
        (None, Some(text)) => {
            let name = SubjectName::parse(text);
            if name.is_none() {
                let message = "must be dns:, uri:, email: or ip: and the name, such as `dns:client.example`";
                problems.push(Problem::new(join(path, "san"), message));
            }
            name.map(Mark::Name)
        }
        _ => {
            problems.push(Problem::new(path, "needs either `fingerprint` or `san`"));
            None
        }
    }
}

/// The shortest secret that signatures may be made with, in bytes.
const SHORTEST_SHARED: usize = 16;

/// Adds what is wrong with a shared secret at `path`.
pub(super) fn check_shared(secret: &Secret, path: String, problems: &mut Vec<Problem>) {
    let text = secret.expose();
    if text == MASK {
        let message = format!("{MASK} stands for a stored secret, and none is stored for this entry");
        problems.push(Problem::new(path, message));
    } else if text.len() < SHORTEST_SHARED {
        problems.push(Problem::new(
            path,
            format!("must be at least {SHORTEST_SHARED} bytes long"),
        ));
    }
}

/// A secret that is given as a hash or in clear, each with its field's name.
pub(super) struct OneOf<'s> {
    pub(super) hash: (Option<&'s Secret>, &'static str),
    pub(super) clear: (Option<&'s Secret>, &'static str),
}

impl OneOf<'_> {
    /// The SHA-256 of the secret, which stands at `path`; `None` with a problem if there is none.
    pub(super) fn digest(&self, path: &str, problems: &mut Vec<Problem>) -> Option<[u8; 32]> {
        match (self.hash.0, self.clear.0) {
            (Some(hash), None) => {
                let digest = parse_hash(hash.expose());
                if digest.is_none() {
                    let message = "must be sha256: and 64 hexadecimal digits";
                    problems.push(Problem::new(join(path, self.hash.1), message));
                }
                digest
            }
            (None, Some(clear)) if clear.expose() == MASK => {
                let message = format!("{MASK} stands for a stored secret, and none is stored for this entry");
                problems.push(Problem::new(join(path, self.clear.1), message));
                None
            }
            (None, Some(clear)) if clear.expose().len() >= 8 => Some(sha256(clear.expose().as_bytes())),
            (None, Some(_)) => {
                problems.push(Problem::new(join(path, self.clear.1), "must be at least 8 bytes long"));
                None
            }
            _ => {
                let message = format!("needs either `{}` or `{}`", self.hash.1, self.clear.1);
                problems.push(Problem::new(path, message));
                None
            }
        }
    }
}

fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text.strip_prefix("sha256:")?, &mut digest).ok()?;
    Some(digest)
}

#[cfg(test)]
mod tests;
