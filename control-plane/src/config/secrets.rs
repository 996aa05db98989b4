//! Where secrets may be that integrations refer to.

use std::path::PathBuf;
use std::time::Duration;

use filters::address::EgressPolicy;
use filters::model::{Problem, Secret};
use filters::target::{Scheme, TargetUrl};
use http::HeaderName;
use ipnet::IpNet;
use serde::Deserialize;

/// What integrations may refer to instead of holding a secret themselves. Nothing, unless it is listed here.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SecretSources {
    /// Variables of this process's environment: `secret://env/NAME`.
    pub env: Vec<Allowed>,
    /// Files of this machine: `secret://file/run/secrets/x`.
    pub files: Vec<Allowed>,
    /// A store of secrets: `secret://store/path#field`.
    pub store: Option<SecretStoreConfig>,
    /// How often what is referred to is read again, in seconds; 1 to 86,400.
    pub refresh_seconds: u64,
}

impl Default for SecretSources {
    fn default() -> Self {
        Self {
            env: Vec::new(),
            files: Vec::new(),
            store: None,
            refresh_seconds: 30,
        }
    }
}

/// What some organizations may refer to.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Allowed {
    /// How the name of the variable, the path of the file or of the entry begins.
    pub prefix: String,
    /// The organizations whose integrations may; all if left out.
    #[serde(default)]
    pub org_ids: Option<Vec<u64>>,
}

/// A store that answers `GET url/path` with a JSON document.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretStoreConfig {
    /// What stands before the path of an entry, as `https://vault.example:8200/v1/secret/data`.
    pub url: String,
    /// Header field that carries the token.
    #[serde(default = "token_header")]
    pub header: String,
    /// The token.
    #[serde(default)]
    pub token: Option<Secret>,
    /// File with the token instead, which is read for each walk through the references.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Where in the answer the fields are, as a JSON pointer.
    #[serde(default = "values_at")]
    pub values_at: String,
    /// What may be referred to.
    pub paths: Vec<Allowed>,
    /// Private networks that the store may be in.
    #[serde(default)]
    pub allowed_networks: Vec<IpNet>,
    /// Lets it go without TLS.
    #[serde(default)]
    pub allow_plaintext: bool,
    /// PEM file with certificate authorities that are trusted beside those of the machine.
    #[serde(default)]
    pub authorities_file: Option<PathBuf>,
}

impl SecretSources {
    /// How often what is referred to is read again.
    pub(crate) fn refresh_every(&self) -> Duration {
        Duration::from_secs(self.refresh_seconds)
    }

    /// Adds everything that is wrong, with paths from the root of the settings.
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if !(1..=86_400).contains(&self.refresh_seconds) {
            let message = format!("{} is not between 1 and 86400", self.refresh_seconds);
            problems.push(Problem::new("secretSources.refreshSeconds", message));
        }
        check_prefixes(&self.env, "secretSources.env", problems, |prefix| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            (prefix.is_empty() || !prefix.bytes().all(allowed))
                .then_some("must be the begin of a variable's name: letters, digits and `_`")
        });
        check_prefixes(&self.files, "secretSources.files", problems, |prefix| {
            let folder = prefix.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
            folder
                .is_none_or(|folder| folder.split('/').any(|part| matches!(part, "" | "." | "..")))
                .then_some("must be a folder with its whole path and a `/` at its end, as /run/secrets/")
        });
        if let Some(store) = &self.store {
            store.check(problems);
        }
    }
}

impl SecretStoreConfig {
    /// Where it may be.
    pub(crate) fn egress(&self) -> EgressPolicy {
        EgressPolicy {
            block_private_networks: true,
            allowed_networks: self.allowed_networks.clone(),
        }
    }

    fn check(&self, problems: &mut Vec<Problem>) {
        let mut wrong = |name: &str, message: &str| {
            problems.push(Problem::new(format!("secretSources.store.{name}"), message));
        };
        match TargetUrl::parse(&self.url) {
            Err(error) => wrong("url", &error.to_string()),
            Ok(target) if target.query().is_some() => wrong("url", "must have no query"),
            Ok(target) if target.scheme() == Scheme::Http && !self.allow_plaintext => wrong(
                "url",
                "is without TLS; use TLS, or set `secretSources.store.allowPlaintext` to true",
            ),
            Ok(_) => {}
        }
        if HeaderName::from_bytes(self.header.as_bytes()).is_err() {
            wrong("header", "must be the name of a header field");
        }
        if self.token.is_some() == self.token_file.is_some() {
            wrong("token", "give either `token` or `tokenFile`");
        }
        if !self.values_at.is_empty() && !self.values_at.starts_with('/') {
            wrong(
                "valuesAt",
                "must be a JSON pointer as /data/data, or empty for the document itself",
            );
        }
        if self.paths.is_empty() {
            wrong("paths", "must list what may be referred to");
        }
        check_prefixes(&self.paths, "secretSources.store.paths", problems, |prefix| {
            (prefix.is_empty() || !prefix.ends_with('/') || prefix.starts_with('/'))
                .then_some("must be the begin of a path, with a `/` at its end and none at its begin")
        });
    }
}

fn check_prefixes(
    list: &[Allowed],
    path: &str,
    problems: &mut Vec<Problem>,
    wrong: impl Fn(&str) -> Option<&'static str>,
) {
    for (index, allowed) in list.iter().enumerate() {
        if let Some(message) = wrong(&allowed.prefix) {
            problems.push(Problem::new(format!("{path}[{index}].prefix"), message));
        }
    }
}

fn token_header() -> String {
    "X-Vault-Token".to_owned()
}

fn values_at() -> String {
    "/data/data".to_owned()
}
