//! Inbound auth configuration into checks.

use http::HeaderName;

use super::super::auth::{Credentials, InboundCheck, sha256};
use crate::model::Problem;
use crate::model::auth::{ApiKeyAuth, BasicUser, Credential, InboundAuth};
use crate::model::problem::join;
use crate::model::secret::{MASK, Secret};
use crate::outgoing::header_name;

/// The most credentials of one integration.
const MOST_CREDENTIALS: usize = 10_000;

pub(super) fn compile(auth: &InboundAuth, problems: &mut Vec<Problem>) -> InboundCheck {
    match auth {
        InboundAuth::None => InboundCheck::None,
        InboundAuth::ApiKey(config) => api_key(config, problems),
        InboundAuth::Bearer(config) => InboundCheck::Bearer(credentials(&config.tokens, "tokens", problems)),
        InboundAuth::Basic(config) => InboundCheck::Basic(users(&config.users, problems)),
    }
}

fn api_key(config: &ApiKeyAuth, problems: &mut Vec<Problem>) -> InboundCheck {
    let header = match (&config.header_name, &config.query_name) {
        (None, None) => Some(HeaderName::from_static("x-api-key")),
        (Some(name), _) => header_name(name, "inboundAuthConfig.headerName", problems),
        (None, Some(_)) => None,
    };
    if config
        .query_name
        .as_deref()
        .is_some_and(|name| name.is_empty() || name.len() > 100)
    {
        problems.push(Problem::new(
            "inboundAuthConfig.queryName",
            "must be 1 to 100 bytes long",
        ));
    }
    InboundCheck::ApiKey {
        header,
        query: config.query_name.clone(),
        keys: credentials(&config.keys, "keys", problems),
    }
}

fn credentials(list: &[Credential], field: &str, problems: &mut Vec<Problem>) -> Credentials {
    check_count(list.len(), field, problems);
    let mut accepted = Credentials::default();
    let mut names = std::collections::HashSet::new();
    for (index, credential) in list.iter().enumerate() {
        let path = format!("inboundAuthConfig.{field}[{index}]");
        if !names.insert(&credential.name) {
            problems.push(Problem::new(
                format!("{path}.name"),
                format!("{:?} is there twice", credential.name),
            ));
        }
        let secret = OneOf {
            hash: (credential.hash.as_ref(), "hash"),
            clear: (credential.value.as_ref(), "value"),
        };
        let digest = secret.digest(&path, problems);
        if let Some(digest) = digest.filter(|_| credential.is_active)
            && !accepted.add(&credential.name, digest)
        {
            problems.push(Problem::new(path, "is the same secret as another entry's"));
        }
    }
    accepted
}

fn users(list: &[BasicUser], problems: &mut Vec<Problem>) -> Credentials {
    check_count(list.len(), "users", problems);
    let mut accepted = Credentials::default();
    for (index, user) in list.iter().enumerate() {
        let path = format!("inboundAuthConfig.users[{index}]");
        if user.username.is_empty() || user.username.contains(':') {
            problems.push(Problem::new(
                format!("{path}.username"),
                "must not be empty or hold a colon (RFC 7617)",
            ));
        }
        let secret = OneOf {
            hash: (user.password_hash.as_ref(), "passwordHash"),
            clear: (user.password.as_ref(), "password"),
        };
        let digest = secret.digest(&path, problems);
        if let Some(digest) = digest.filter(|_| user.is_active)
            && !accepted.add_user(&user.username, digest)
        {
            problems.push(Problem::new(
                format!("{path}.username"),
                format!("{:?} is there twice", user.username),
            ));
        }
    }
    accepted
}

fn check_count(count: usize, field: &str, problems: &mut Vec<Problem>) {
    if count > MOST_CREDENTIALS {
        let message = format!("holds {count} entries; at most {MOST_CREDENTIALS} are allowed");
        problems.push(Problem::new(format!("inboundAuthConfig.{field}"), message));
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
