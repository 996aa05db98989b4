//! What this process is told at its start: a YAML file, and the environment over it.
//!
//! Nothing here is pushed to gateways but the rules for connections in [`ProcessConfig::security`].

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::Serialized;
use filters::model::{Problem, Secret, decode};
use serde::Deserialize;
use serde_json::Value;

pub mod alerts;
pub mod auth;
pub mod oidc;
pub mod secrets;
pub mod security;

use alerts::AlertsConfig;
use auth::{AuditConfig, AuthConfig};
use secrets::SecretSources;
use security::SecurityConfig;

/// All settings of the process. `conf/control-plane.yaml` shows each of them with its default.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProcessConfig {
    /// Address of the API; port 0 takes a free one.
    pub listen: SocketAddr,
    /// TLS on that address; without it only this machine may come for secrets, unless `stream.allowPlaintext` is set.
    pub tls: Option<TlsConfig>,
    /// File that names the bound address once it is known: `{"api": "127.0.0.1:7070"}`.
    pub ports_file: Option<PathBuf>,
    /// Folder of everything that this process writes; made if missing, readable by its owner only.
    pub data_dir: PathBuf,
    /// Where integrations and versions are kept.
    pub store: StoreConfig,
    /// The other store of `control-plane migrate`.
    pub migration_store: Option<StoreConfig>,
    /// File with the key that encrypts stored secrets: 64 hexadecimal digits in each line, the newest key first. It must
    /// be there; if not given, one is made in the data folder.
    pub secret_key_file: Option<PathBuf>,
    /// What integrations may refer to instead of holding a secret.
    pub secret_sources: SecretSources,
    /// Keys of the people and programs that may use the API. Without any, one is made at the first start.
    pub operator_keys: Vec<OperatorKey>,
    /// Tokens of the gateways. Without any, one is made at the first start.
    pub gateway_tokens: Vec<GatewayToken>,
    /// How people sign in.
    pub auth: AuthConfig,
    /// How long it is kept what people did.
    pub audit: AuditConfig,
    /// Rules for every connection that a gateway makes to a partner, which are pushed, and for pages of browsers.
    pub security: SecurityConfig,
    /// The push stream.
    pub stream: StreamConfig,
    /// Records of calls.
    pub records: RecordsConfig,
    /// What operators are told of.
    pub alerts: AlertsConfig,
    /// Sizes and times.
    pub limits: Limits,
    /// Logging.
    pub log: LogConfig,
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7070)),
            tls: None,
            ports_file: None,
            data_dir: PathBuf::from("data/control-plane"),
            store: StoreConfig::default(),
            migration_store: None,
            secret_key_file: None,
            secret_sources: SecretSources::default(),
            operator_keys: Vec::new(),
            gateway_tokens: Vec::new(),
            auth: AuthConfig::default(),
            audit: AuditConfig::default(),
            security: SecurityConfig::default(),
            stream: StreamConfig::default(),
            records: RecordsConfig::default(),
            alerts: AlertsConfig::default(),
            limits: Limits::default(),
            log: LogConfig::default(),
        }
    }
}

/// The certificate of the API, in files that are read again when they change.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate and those that vouch for it (PEM), its own first.
    pub cert_file: PathBuf,
    /// Its private key (PEM).
    pub key_file: PathBuf,
}

/// Where integrations and versions are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum StoreConfig {
    /// An embedded database; needs nothing else.
    Sqlite(SqliteConfig),
    /// A MongoDB replica set, which several control planes may share.
    Mongodb(MongodbConfig),
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self::Sqlite(SqliteConfig::default())
    }
}

/// The embedded database.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SqliteConfig {
    /// Its file; `control-plane.db` in the data folder if not given.
    pub path: Option<PathBuf>,
}

/// A MongoDB replica set.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MongodbConfig {
    /// Connection string; may hold a password.
    pub uri: Secret,
    /// Name of the database.
    #[serde(default = "default_database")]
    pub database: String,
}

/// A key of somebody who may use the API.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OperatorKey {
    /// Whose it is; stands in logs and versions.
    pub name: String,
    /// `sha256:` and 64 hexadecimal digits.
    #[serde(default)]
    pub hash: Option<Secret>,
    /// The key in clear, instead of `hash`.
    #[serde(default)]
    pub value: Option<Secret>,
    /// The organizations that it may touch; all of them if left out.
    #[serde(default)]
    pub org_ids: Option<Vec<u64>>,
}

/// A token of one or several gateways.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayToken {
    /// Whose it is; stands in logs.
    pub name: String,
    /// `sha256:` and 64 hexadecimal digits.
    #[serde(default)]
    pub hash: Option<Secret>,
    /// The token in clear, instead of `hash`.
    #[serde(default)]
    pub value: Option<Secret>,
}

/// The push stream.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StreamConfig {
    /// Lets gateways on other machines connect without TLS. Only for a TLS terminator in front of this process:
    /// the stream carries the secrets of every integration.
    pub allow_plaintext: bool,
}

/// How long records of calls are kept.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RecordsConfig {
    /// Records of calls before so many days are deleted; 1 to 3,650.
    pub retention_days: u32,
    /// The most that are kept, of all organizations together; the oldest are deleted first.
    pub max_records: u64,
    /// Counts by hour, of the analytics, are kept for so many days; 1 to 3,650.
    pub hourly_days: u32,
    /// Counts by day are kept for so many days; 1 to 3,650.
    pub daily_days: u32,
}

impl Default for RecordsConfig {
    fn default() -> Self {
        Self {
            retention_days: 14,
            max_records: 500_000,
            hourly_days: 62,
            daily_days: 800,
        }
    }
}

/// Sizes and times.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// The most bytes of a request body.
    pub body_bytes: usize,
    /// The same for `POST /api/v1/apply`.
    pub bulk_body_bytes: usize,
    /// For a whole request, in milliseconds.
    pub request_timeout_ms: u64,
    /// For the head of a request, and for an idle connection to ask again, in milliseconds.
    pub header_timeout_ms: u64,
    /// For one call to the store, in milliseconds.
    pub store_timeout_ms: u64,
    /// For requests in flight when the process is told to stop, in milliseconds.
    pub shutdown_timeout_ms: u64,
    /// The most connections at a time; further ones wait.
    pub connections: usize,
    /// Requests in a minute from one address (an IPv6 site counts as one), whoever asks.
    pub requests_per_minute_per_address: u32,
    /// Requests in a minute about one organization, by all keys together.
    pub requests_per_minute_per_organization: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1024 * 1024,
            bulk_body_bytes: 32 * 1024 * 1024,
            request_timeout_ms: 30_000,
            header_timeout_ms: 30_000,
            store_timeout_ms: 10_000,
            shutdown_timeout_ms: 10_000,
            connections: 4_096,
            requests_per_minute_per_address: 1_000,
            requests_per_minute_per_organization: 100,
        }
    }
}

impl Limits {
    /// For a whole request.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// For the head of a request.
    pub fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms)
    }

    /// For one call to the store.
    pub fn store_timeout(&self) -> Duration {
        Duration::from_millis(self.store_timeout_ms)
    }

    /// For requests in flight at the end.
    pub fn shutdown_timeout(&self) -> Duration {
        Duration::from_millis(self.shutdown_timeout_ms)
    }
}

/// Logging to standard error.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogConfig {
    /// What is logged, as in `info` or `info,control_plane=debug`.
    pub level: String,
    /// In which form.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Json,
        }
    }
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// One JSON object per line, for programs.
    Json,
    /// One line of text each, for people.
    Text,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The environment cannot be read.
    #[error("the environment variable {name} is not UTF-8 text")]
    Environment {
        /// Which variable.
        name: String,
    },
    /// Settings are wrong.
    #[error("{origin} has {} problem(s), {PREFIX}* variables included:{}", problems.len(), listed(problems))]
    Problems {
        /// The file, or the environment.
        origin: String,
        /// Everything that is wrong.
        problems: Vec<Problem>,
    },
}

impl ProcessConfig {
    /// Reads `file` (if there is one) and the `CONTROL_PLANE_*` environment variables, which win.
    ///
    /// # Errors
    /// If the file cannot be read, or with every setting that is wrong.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut variables = Vec::new();
        for (name, value) in std::env::vars_os() {
            let Some(setting) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
                continue;
            };
            let value = value.into_string().map_err(|_| ConfigError::Environment {
                name: format!("{PREFIX}{setting}"),
            })?;
            variables.push((setting.to_owned(), value));
        }
        Self::read(file, variables)
    }

    /// The same with the given variables, named without their prefix.
    fn read(file: Option<&Path>, variables: Vec<(String, String)>) -> Result<Self, ConfigError> {
        let origin = file.map_or_else(|| "the environment".to_owned(), |path| path.display().to_string());
        let failed = |problems| ConfigError::Problems {
            origin: origin.clone(),
            problems,
        };
        let document = match file {
            None => Value::Object(serde_json::Map::new()),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
                    path: path.to_owned(),
                    source,
                })?;
                document_of(&text).map_err(|problem| failed(vec![problem]))?
            }
        };
        let mut settings = Figment::from(Serialized::defaults(document));
        for (name, text) in variables {
            if !NOT_SETTINGS.contains(&name.as_str()) {
                let Ok(value) = text.parse::<figment::value::Value>();
                settings = settings.merge(Serialized::default(&path_of(&name), value));
            }
        }
        let merged: Value = settings
            .extract()
            .map_err(|error| failed(vec![Problem::new("", error.to_string())]))?;
        let mut problems = Vec::new();
        let config = decode::from_value::<Self>(&merged, "", &mut problems);
        if let Some(config) = &config {
            config.check(&mut problems);
        }
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(failed(problems)),
        }
    }

    fn check(&self, problems: &mut Vec<Problem>) {
        let limits = [
            ("limits.bodyBytes", self.limits.body_bytes),
            ("limits.bulkBodyBytes", self.limits.bulk_body_bytes),
            ("limits.connections", self.limits.connections),
            (
                "limits.requestsPerMinutePerAddress",
                self.limits.requests_per_minute_per_address as usize,
            ),
            (
                "limits.requestsPerMinutePerOrganization",
                self.limits.requests_per_minute_per_organization as usize,
            ),
        ];
        for (path, value) in limits {
            if value == 0 {
                problems.push(Problem::new(path, "must be at least 1"));
            }
        }
        let times = [
            ("limits.requestTimeoutMs", self.limits.request_timeout_ms),
            ("limits.headerTimeoutMs", self.limits.header_timeout_ms),
            ("limits.storeTimeoutMs", self.limits.store_timeout_ms),
            ("limits.shutdownTimeoutMs", self.limits.shutdown_timeout_ms),
        ];
        for (path, value) in times {
            if !(1..=HOUR_MS).contains(&value) {
                problems.push(Problem::new(path, format!("{value} is not between 1 and {HOUR_MS}")));
            }
        }
        let records = &self.records;
        for (field, days) in [
            ("retentionDays", records.retention_days),
            ("hourlyDays", records.hourly_days),
            ("dailyDays", records.daily_days),
        ] {
            if !(1..=LONGEST_RETENTION_DAYS).contains(&days) {
                let message = format!("{days} is not between 1 and {LONGEST_RETENTION_DAYS}");
                problems.push(Problem::new(format!("records.{field}"), message));
            }
        }
        if self.records.max_records == 0 {
            problems.push(Problem::new("records.maxRecords", "must be at least 1"));
        }
        self.auth.check(problems);
        self.audit.check(problems);
        self.alerts.check(problems);
        self.security.cors(problems);
        self.secret_sources.check(problems);
        self.check_stores(problems);
    }

    fn check_stores(&self, problems: &mut Vec<Problem>) {
        let stores = [
            ("store", Some(&self.store)),
            ("migrationStore", self.migration_store.as_ref()),
        ];
        for (path, store) in stores {
            if let Some(StoreConfig::Mongodb(mongodb)) = store
                && (mongodb.database.is_empty() || mongodb.database.contains(['/', '\\', '.', '"', '$', ' ', '\0']))
            {
                problems.push(Problem::new(
                    format!("{path}.mongodb.database"),
                    "must be a MongoDB database name: not empty, without / \\ . \" $ or spaces",
                ));
            }
        }
    }
}

/// An empty file, or one with comments only, is a file without settings.
fn document_of(text: &str) -> Result<Value, Problem> {
    match decode::from_text(text)? {
        Value::Null => Ok(Value::Object(serde_json::Map::new())),
        object @ Value::Object(_) => Ok(object),
        _ => Err(Problem::new("", "must hold settings as `name: value`")),
    }
}

/// `STORE__SQLITE__PATH` is `store.sqlite.path`, and `DATA_DIR` is `dataDir`.
fn path_of(variable: &str) -> String {
    let settings = variable.split("__").map(|part| {
        let mut words = part.split('_').map(str::to_ascii_lowercase);
        let first = words.next().unwrap_or_default();
        words.fold(first, |name, word| {
            let mut letters = word.chars();
            match letters.next() {
                Some(initial) => format!("{name}{}{}", initial.to_ascii_uppercase(), letters.as_str()),
                None => name,
            }
        })
    });
    settings.collect::<Vec<_>>().join(".")
}

fn listed(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

fn default_database() -> String {
    "integration_gateway".to_owned()
}

const PREFIX: &str = "CONTROL_PLANE_";
/// Variables with the prefix that the command line reads.
const NOT_SETTINGS: [&str; 1] = ["CONFIG"];
const LONGEST_RETENTION_DAYS: u32 = 3_650;
const HOUR_MS: u64 = 3_600_000;

#[cfg(test)]
mod tests;
