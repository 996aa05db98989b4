//! The gateway under measurement: the shipped settings, and what they have to be told here.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use benches::client::Question;
use benches::error::Error;
use benches::tools::Tools;
use harness::{ControlPlane, binaries, documents};
use serde_json::{Value, json};

use crate::PROXY_CORE;

/// How much of the gateway is in the way of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chain {
    /// One route by host name, without filters.
    Plain,
    /// A key and a limit for each key, on one of [`ROUTES`] routes.
    Full,
}

impl Chain {
    /// What the generator asks for.
    pub(crate) fn question(self) -> Question {
        let mut question = Question::new(host(self.route()), crate::PATH);
        if self == Self::Full {
            question.headers.push(("X-API-Key", key(self.route())));
        }
        question
    }

    /// The integrations, as an operator would write them.
    pub(crate) fn integrations(self, upstream: SocketAddr) -> Vec<Value> {
        match self {
            Self::Plain => vec![integration(self.route(), upstream)],
            Self::Full => (0..ROUTES).map(|number| guarded(number, upstream)).collect(),
        }
    }

    /// The route that is asked for: one in the middle.
    fn route(self) -> usize {
        match self {
            Self::Plain => 0,
            Self::Full => ROUTES / 2,
        }
    }
}

/// The command that starts a gateway on `address` with the shipped settings. Only what it must have of its own here is
/// set: addresses, folders, its control plane, and one thread, as all contestants have.
pub(crate) fn command(tools: &Tools, folder: &Path, address: SocketAddr, control_plane: &ControlPlane) -> Command {
    let mut command = tools.command(&binaries::find("gateway"), Some(PROXY_CORE));
    command
        .arg("--config")
        .arg(binaries::repository().join("conf/gateway.yaml"))
        .env("GATEWAY_LISTEN__HTTP", address.to_string())
        .env("GATEWAY_LISTEN__ADMIN", "127.0.0.1:0")
        .env("GATEWAY_DATA_DIR", folder.join(format!("gateway-{}", address.port())))
        .env("GATEWAY_CONFIG__CONTROL_PLANE__URL", control_plane.url())
        .env("GATEWAY_CONFIG__CONTROL_PLANE__TOKEN", control_plane.gateway_token())
        .env("GATEWAY_ACCESS_LOG__OUTPUT__FILE", access_log(folder))
        .env("GATEWAY_THREADS", "1")
        .env_remove("RUST_LOG");
    command
}

/// Empties the access log, which grows by hundreds of megabytes in a run.
///
/// # Errors
/// If it cannot be emptied.
pub(crate) fn empty_access_log(folder: &Path) -> Result<(), Error> {
    let path = access_log(folder);
    match fs::OpenOptions::new().write(true).open(&path) {
        Ok(file) => file.set_len(0),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(Error::system(format!("empty {}", path.display())))
}

fn access_log(folder: &Path) -> PathBuf {
    folder.join("access.log")
}

fn integration(number: usize, upstream: SocketAddr) -> Value {
    let mut integration = documents::integration(&format!("route-{number}"), &format!("http://{upstream}"));
    integration["hosts"] = json!([host(number)]);
    integration
}

fn guarded(number: usize, upstream: SocketAddr) -> Value {
    documents::with(
        integration(number, upstream),
        json!({
            "inboundAuthType": "API_KEY",
            "inboundAuthConfig": {"keys": [{"name": "client", "value": key(number)}]},
            "rateLimits": {"perKey": {"maxRequests": 1_000_000_000, "windowSeconds": 1}},
        }),
    )
}

fn host(number: usize) -> String {
    format!("route-{number}.bench.test")
}

fn key(number: usize) -> String {
    format!("key-of-route-{number}-7d0f3c")
}

/// Routes of the full chain.
pub(crate) const ROUTES: usize = 10_000;
