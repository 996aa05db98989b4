//! Whether settings that could be read make sense.

use std::ops::RangeInclusive;

use filters::model::Problem;
use http::HeaderName;
use tracing_subscriber::EnvFilter;

use super::{AccessLog, ConfigSource, ControlPlane, Edge, Egress, ProcessConfig, Scripts};
use crate::sync::endpoint::Endpoint;

/// Everything that is wrong, each with the setting's name.
pub(super) fn problems(config: &ProcessConfig) -> Vec<Problem> {
    let mut found = Found::default();
    identity(config, &mut found);
    found.range("threads", config.threads, 0..=1_024);
    edge(&config.edge, &mut found);
    config.tls.check(&mut found);
    found.range("shutdown.graceSeconds", config.shutdown.grace_seconds, 0..=3_600);
    if config.data_dir.0.as_os_str().is_empty() {
        found.add("dataDir", "is empty; name a folder, as in `data/gateway`");
    }
    match &config.config {
        ConfigSource::ControlPlane(control_plane) => source(control_plane, &mut found),
        ConfigSource::File(file) => {
            if file.path.file_name().is_none() {
                found.add(
                    "config.file.path",
                    "names no file; give one, as in `conf/integrations.yaml`",
                );
            }
        }
    }
    access_log(&config.access_log, &mut found);
    if let Err(error) = EnvFilter::try_new(&config.log.level) {
        let message = format!("is no log level ({error}); use error, warn, info, debug or trace");
        found.add("log.level", message);
    }
    found.range("metrics.integrations", config.metrics.integrations, 0..=5_000);
    config.traces.check(&mut found);
    scripts(&config.scripts, &mut found);
    let kept = config.idempotency.max_bytes;
    found.range("idempotency.maxBytes", kept, 65_536..=1 << 36);
    found.range("cache.maxBytes", config.cache.max_bytes, 65_536..=1 << 36);
    egress(&config.egress, &mut found);
    config.ingest.check(&mut found);
    config.queue.check(&mut found);
    config.delivery.check(&mut found);
    found.0
}

fn identity(config: &ProcessConfig, found: &mut Found) {
    if let Some(id) = &config.gateway.id {
        let plain = id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if id.is_empty() || id.len() > 128 || !plain {
            found.add(
                "gateway.id",
                "must be 1 to 128 letters, digits, dots, dashes and underscores",
            );
        }
    }
    for (index, host) in config.gateway.api_hosts.iter().enumerate() {
        let plain = host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        if host.is_empty() || host.len() > 253 || !plain {
            let message = format!("{host:?} is no host name; give a name without port, as in `gateway.example.com`");
            found.add(&format!("gateway.apiHosts[{index}]"), message);
        }
    }
}

fn edge(edge: &Edge, found: &mut Found) {
    found.range("edge.headBytes", edge.head_bytes, 1_024..=1_000_000);
    found.range("edge.headers", edge.headers, 1..=256);
    found.range("edge.uriBytes", edge.uri_bytes, 64..=1_000_000);
    found.range("edge.headTimeoutMs", edge.head_timeout_ms, 100..=600_000);
    found.range("edge.keepAliveSeconds", edge.keep_alive_seconds, 1..=86_400);
    found.range("edge.maxConnections", edge.max_connections, 1..=1_000_000);
    found.range("edge.requestsPerConnection", edge.requests_per_connection, 1..=u32::MAX);
    found.range("edge.h2Streams", edge.h2_streams, 1..=10_000);
}

fn source(control_plane: &ControlPlane, found: &mut Found) {
    if control_plane.token.is_some() && control_plane.token_file.is_some() {
        let message = "stands beside `token`; leave one of them out";
        found.add("config.controlPlane.tokenFile", message);
    }
    if let Err(error) = Endpoint::parse(&control_plane.url) {
        found.add("config.controlPlane.url", error.to_string());
    }
}

fn access_log(access_log: &AccessLog, found: &mut Found) {
    for (index, name) in access_log.headers.iter().enumerate() {
        if name.parse::<HeaderName>().is_err() {
            let message = format!("{name:?} is no name of a header field; give one such as `User-Agent`");
            found.add(&format!("accessLog.headers[{index}]"), message);
        }
    }
    if access_log.headers.len() > MOST_LOGGED_HEADERS {
        found.add(
            "accessLog.headers",
            format!("holds more than {MOST_LOGGED_HEADERS} names"),
        );
    }
}

/// The most header fields of a line.
const MOST_LOGGED_HEADERS: usize = 20;

fn scripts(scripts: &Scripts, found: &mut Found) {
    found.range("scripts.threads", scripts.threads, 1..=256);
    found.range("scripts.timeoutMs", scripts.timeout_ms, 1..=10_000);
    found.range("scripts.memoryBytes", scripts.memory_bytes, 65_536..=1 << 30);
    found.range("scripts.queue", scripts.queue, 1..=65_536);
}

fn egress(egress: &Egress, found: &mut Found) {
    found.range("egress.keepAliveSeconds", egress.keep_alive_seconds, 1..=3_600);
    found.range("egress.idlePerHost", egress.idle_per_host, 0..=10_000);
    found.range("egress.upstreamPool", egress.upstream_pool, 1..=100_000);
}

/// What is wrong so far.
#[derive(Default)]
pub(super) struct Found(Vec<Problem>);

impl Found {
    pub(super) fn add(&mut self, setting: &str, message: impl Into<String>) {
        self.0.push(Problem::new(setting, message));
    }

    pub(super) fn range<T: PartialOrd + std::fmt::Display>(
        &mut self,
        setting: &str,
        value: T,
        allowed: RangeInclusive<T>,
    ) {
        if !allowed.contains(&value) {
            let message = format!("is {value}; it must be {} to {}", allowed.start(), allowed.end());
            self.add(setting, message);
        }
    }
}
