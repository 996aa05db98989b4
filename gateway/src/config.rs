//! The settings of one gateway process: read once at the start from a file and the environment, never pushed.
//!
//! Every setting of the file can be given in the environment: `edge.headBytes` is `GATEWAY_EDGE__HEAD_BYTES`. The
//! environment wins over the file, the file over the defaults. `conf/gateway.yaml` shows all of them.

mod events;
mod layers;
mod source;
mod tls;
mod traces;
mod validate;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use filters::model::Problem;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::access_log::AccessField;

pub use self::events::{Dedupe, Delivery, Ingest, Queue};
pub use self::source::{ConfigSource, ControlPlane, FileSource};
pub use self::tls::{CertificateFiles, ClientCertificates, ClientMode, Tls};
pub use self::traces::Traces;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a document.
    #[error("the settings file {} is {problem}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and what.
        problem: Problem,
    },
    /// Some settings are wrong.
    #[error("the settings are not usable:{}", listed(.0))]
    Invalid(Vec<Problem>),
}

/// All settings of a gateway process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProcessConfig {
    /// Who this gateway is.
    pub gateway: Identity,
    /// Addresses to listen on.
    pub listen: Listen,
    /// File that the bound addresses are written to once the gateway listens, as JSON.
    pub ports_file: Option<PathBuf>,
    /// Folder for everything that must survive a restart.
    pub data_dir: DataDirPath,
    /// Worker threads; 0 takes one for each core.
    pub threads: usize,
    /// TLS towards clients.
    pub tls: Tls,
    /// What clients may send before anything is routed.
    pub edge: Edge,
    /// How the process stops.
    pub shutdown: Shutdown,
    /// How a new process takes over from a running one.
    pub upgrade: Upgrade,
    /// Where the integrations come from.
    pub config: ConfigSource,
    /// One line for each request.
    pub access_log: AccessLog,
    /// The process's own log.
    pub log: Log,
    /// Metrics.
    pub metrics: Metrics,
    /// Spans of calls.
    pub traces: Traces,
    /// Customers' scripts.
    pub scripts: Scripts,
    /// Answers kept by idempotency key.
    pub idempotency: Idempotency,
    /// Answers kept for the next request.
    pub cache: Cache,
    /// Turning requests away before memory runs out.
    pub shedding: Shedding,
    /// Connections to partners.
    pub egress: Egress,
    /// Taking events in.
    pub ingest: Ingest,
    /// Keeping events.
    pub queue: Queue,
    /// Delivering events.
    pub delivery: Delivery,
}

impl ProcessConfig {
    /// Reads the settings from `file`, if there is one, and from the `GATEWAY_` variables of `environment`.
    ///
    /// # Errors
    /// If the file cannot be read, or with everything that is wrong with the settings.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let config = layers::read(file, environment)?;
        let problems = validate::problems(&config);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Invalid(problems))
        }
    }

    /// The name that the control plane knows this gateway by: `gateway.id`, else the host's name.
    pub fn gateway_id(&self) -> String {
        self.gateway.id.clone().unwrap_or_else(host_name)
    }

    /// The socket over which an old process hands its listeners to a new one.
    pub fn upgrade_socket(&self) -> PathBuf {
        let socket = self.upgrade.socket.clone();
        socket.unwrap_or_else(|| self.data_dir.0.join("upgrade.sock"))
    }

    /// The folder of the queue.
    pub fn queue_dir(&self) -> PathBuf {
        let dir = self.queue.dir.clone();
        dir.unwrap_or_else(|| self.data_dir.0.join("queue"))
    }

    /// Number of worker threads, at least one.
    pub fn worker_threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}

/// Who this gateway is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Identity {
    /// Name, unique among the gateways of one control plane; the host's name if left out.
    pub id: Option<String>,
    /// Host names on which the reserved paths (`/api/v1/integrations`, ...) win over integrations.
    pub api_hosts: Vec<String>,
}

/// Addresses to listen on. Port 0 takes a free port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Listen {
    /// For clients.
    pub http: SocketAddr,
    /// For clients over TLS, with HTTP/1.1 or HTTP/2 as they choose; nowhere if left out.
    pub https: Option<SocketAddr>,
    /// For clients that speak HTTP/2 without TLS and say so by coming here; nowhere if left out.
    pub h2c: Option<SocketAddr>,
    /// For health checks, metrics and operators.
    pub admin: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            http: SocketAddr::from(([0, 0, 0, 0], 8080)),
            https: None,
            h2c: None,
            admin: SocketAddr::from(([127, 0, 0, 1], 9901)),
        }
    }
}

/// The data folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DataDirPath(pub PathBuf);

impl Default for DataDirPath {
    fn default() -> Self {
        Self(PathBuf::from("data/gateway"))
    }
}

/// What clients may send before anything is routed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Edge {
    /// The most bytes of a request's head.
    pub head_bytes: usize,
    /// The most header lines of a request.
    pub headers: usize,
    /// The most bytes of a request's path and query.
    pub uri_bytes: usize,
    /// Milliseconds for a whole head to arrive.
    pub head_timeout_ms: u64,
    /// Seconds that an idle client connection is kept.
    pub keep_alive_seconds: u64,
    /// The most client connections at a time.
    pub max_connections: usize,
    /// Requests after which a client connection is closed.
    pub requests_per_connection: u32,
    /// The most requests at a time on one HTTP/2 connection.
    pub h2_streams: u32,
    /// Address ranges of proxies in front, whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

impl Edge {
    /// [`Self::head_timeout_ms`] as a duration.
    pub fn head_timeout(&self) -> Duration {
        Duration::from_millis(self.head_timeout_ms)
    }
}

impl Default for Edge {
    fn default() -> Self {
        Self {
            head_bytes: 32 * 1024,
            headers: 100,
            uri_bytes: 8 * 1024,
            head_timeout_ms: 10_000,
            keep_alive_seconds: 60,
            max_connections: 10_000,
            requests_per_connection: 10_000,
            h2_streams: 100,
            trusted_proxies: Vec::new(),
        }
    }
}

/// How the process stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Shutdown {
    /// The most seconds to wait for requests in flight; the process ends as soon as they are done.
    pub grace_seconds: u64,
}

impl Shutdown {
    /// [`Self::grace_seconds`] as a duration.
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_seconds)
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { grace_seconds: 30 }
    }
}

/// How a new process takes over from a running one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Upgrade {
    /// Unix socket over which the listeners are handed; `upgrade.sock` in the data folder if left out.
    pub socket: Option<PathBuf>,
    /// True in a process started with `--upgrade`: it takes the listeners of the running one.
    #[serde(skip)]
    pub take_over: bool,
}

/// One line for each request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AccessLog {
    /// Where the lines go.
    pub output: AccessLogOutput,
    /// Which fields a line has; all if empty.
    pub fields: Vec<AccessField>,
    /// Header fields of requests that are added to a line; what is a secret is masked.
    pub headers: Vec<String>,
}

/// Where access lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AccessLogOutput {
    /// Standard output.
    #[default]
    Stdout,
    /// Nowhere.
    Off,
    /// A file, appended to.
    File(PathBuf),
}

/// The process's own log, on standard error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`, and per module as in `info,gateway::sync=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
        }
    }
}

/// Metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Metrics {
    /// How many integrations get series of their own; the rest is counted under `other`.
    pub integrations: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { integrations: 200 }
    }
}

/// Limits of customers' scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Scripts {
    /// Threads that run scripts.
    pub threads: usize,
    /// Milliseconds that one run may take.
    pub timeout_ms: u64,
    /// Bytes that one run may allocate.
    pub memory_bytes: u64,
    /// Runs that may wait for a thread; more are refused.
    pub queue: usize,
    /// Variables of the environment that tables and scripts may read, by `{{env.NAME}}`.
    pub env: Vec<String>,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            threads: 2,
            timeout_ms: 50,
            memory_bytes: 8 * 1024 * 1024,
            queue: 256,
            env: Vec::new(),
        }
    }
}

/// Answers kept by idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Idempotency {
    /// Bytes of all answers together; beyond it, the organization that takes most loses its oldest ones.
    pub max_bytes: usize,
}

impl Default for Idempotency {
    fn default() -> Self {
        Self {
            max_bytes: 64 * 1024 * 1024,
        }
    }
}

/// Answers kept for the next request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Cache {
    /// Bytes of all answers together; beyond it, what was not asked for the longest goes.
    pub max_bytes: usize,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            max_bytes: 64 * 1024 * 1024,
        }
    }
}

/// Turning requests away before memory runs out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Shedding {
    /// The most bytes that the request bodies of all exchanges hold together.
    pub buffered_bytes: u64,
    /// Bytes of resident memory from which on requests are turned away; nine tenths of what the control group or the machine
    /// has if left out.
    pub memory_bytes: Option<u64>,
}

impl Default for Shedding {
    fn default() -> Self {
        Self {
            buffered_bytes: 256 * 1024 * 1024,
            memory_bytes: None,
        }
    }
}

/// Connections to partners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Egress {
    /// Certificates (PEM) that are trusted beside those of the machine.
    pub extra_ca_file: Option<PathBuf>,
    /// Seconds that an idle connection to a partner is kept.
    pub keep_alive_seconds: u64,
    /// The most idle connections to one partner address where bodies are transformed.
    pub idle_per_host: usize,
    /// The most idle connections to all partners where bodies are streamed.
    pub upstream_pool: usize,
}

impl Default for Egress {
    fn default() -> Self {
        Self {
            extra_ca_file: None,
            keep_alive_seconds: 30,
            idle_per_host: 32,
            upstream_pool: 512,
        }
    }
}

fn listed(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "gateway".to_owned())
}

#[cfg(test)]
mod tests;
