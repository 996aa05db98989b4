//! A gateway process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use nix::sys::signal::Signal;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Reply, client};
use crate::documents::document;
use crate::process::{Ports, Process, next_number};
use crate::{ControlPlane, RawClient, binaries, wait};

/// How a gateway is to run.
#[derive(Clone, Debug)]
pub struct Setup {
    settings: Value,
    folder: Arc<TempDir>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// A gateway on free ports with an empty data folder, and no source of integrations yet.
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("gateway-").unwrap();
        let settings = json!({
            "gateway": {"id": "gateway-under-test"},
            "listen": {"http": "127.0.0.1:0", "admin": "127.0.0.1:0"},
            "dataDir": folder.path().join("data"),
            "threads": 2,
            "shutdown": {"graceSeconds": 20},
        });
        Self {
            settings,
            folder: Arc::new(folder),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Takes its integrations from a file, with this content to begin with.
    #[must_use]
    pub fn file(self, document: &Value) -> Self {
        let path = self.document_path();
        fs::write(&path, document.to_string()).unwrap();
        self.set("config", json!({"file": {"path": path}}))
    }

    /// Takes its integrations from a control plane.
    #[must_use]
    pub fn control_plane(self, control_plane: &ControlPlane) -> Self {
        self.set(
            "config",
            json!({"controlPlane": {"url": control_plane.url(), "token": control_plane.gateway_token()}}),
        )
    }

    /// Sets one setting, named by its path: `edge.headBytes`.
    #[must_use]
    pub fn set(mut self, path: &str, value: Value) -> Self {
        let place = path
            .split('.')
            .fold(&mut self.settings, |place, field| &mut place[field]);
        *place = value;
        self
    }

    /// Adds an argument of the command line.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes the settings to a file of their own, for a test that starts the process itself.
    pub fn settings_file(&self) -> PathBuf {
        let file = self.folder.path().join(format!("gateway-{}.json", next_number()));
        fs::write(&file, self.settings.to_string()).unwrap();
        file
    }

    /// The data folder.
    pub fn data_folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The file of integrations.
    pub fn document_path(&self) -> PathBuf {
        self.folder.path().join("integrations.json")
    }

    /// Starts it and waits until it listens, whether or not it has a plan.
    ///
    /// # Panics
    /// If it ends before.
    pub async fn start_listening(self) -> Gateway {
        self.try_start_listening()
            .await
            .expect("the gateway ended before it listened")
    }

    /// The same, but `None` if it is killed before it listens.
    pub async fn try_start_listening(self) -> Option<Gateway> {
        let settings = self.settings_file();
        let ports_file = settings.with_extension("ports");
        let mut command = Command::new(binaries::find("gateway"));
        command
            .arg("--config")
            .arg(&settings)
            .arg("--ports-file")
            .arg(&ports_file)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env_remove("RUST_LOG");
        let mut process = Process::start("gateway", command, self.folder.path());
        let ports = process.ports_unless_killed(&ports_file).await?;
        Some(Gateway {
            http: ports.address("http"),
            ports,
            process,
            setup: self,
            client: client(),
        })
    }

    /// Starts it and waits until it is ready to serve.
    pub async fn start(self) -> Gateway {
        let mut gateway = self.start_listening().await;
        gateway.ready().await;
        gateway
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// Its process.
    pub process: Process,
    ports: Ports,
    http: String,
    setup: Setup,
    client: Client,
}

impl Gateway {
    /// A ready gateway that serves the integrations of `document`.
    pub async fn serving(document: &Value) -> Self {
        Setup::new().file(document).start().await
    }

    /// A ready gateway that serves one integration.
    pub async fn serving_one(integration: Value) -> Self {
        Self::serving(&document([integration])).await
    }

    /// A ready gateway that is fed by `control_plane`.
    pub async fn fed_by(control_plane: &ControlPlane) -> Self {
        Setup::new().control_plane(control_plane).start().await
    }

    /// Address of its listener for clients.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// Address of its listener for clients over TLS; set `listen.https` for one.
    pub fn https(&self) -> String {
        self.ports.address("https")
    }

    /// Address of its listener for clients that speak HTTP/2 without TLS; set `listen.h2c` for one.
    pub fn h2c(&self) -> String {
        self.ports.address("h2c")
    }

    /// Address of its admin listener.
    pub fn admin(&self) -> String {
        self.ports.address("admin")
    }

    /// How it was set up; start it again with this to have the same folder.
    pub fn setup(&self) -> Setup {
        self.setup.clone()
    }

    /// Its data folder.
    pub fn data_folder(&self) -> PathBuf {
        self.setup.data_folder()
    }

    /// A request to `path` on the host name `host`.
    pub fn request(&self, method: Method, host: &str, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.http);
        self.client.request(method, url).header("host", host)
    }

    /// A GET whose answer is read.
    pub async fn get(&self, host: &str, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, host, path)).await
    }

    /// A POST of JSON whose answer is read.
    pub async fn post(&self, host: &str, path: &str, body: &Value) -> Reply {
        Reply::of(self.request(Method::POST, host, path).json(body)).await
    }

    /// A connection for raw bytes.
    pub async fn raw(&self) -> RawClient {
        RawClient::connect(&self.http).await
    }

    /// A GET on the admin listener.
    pub async fn admin_get(&self, path: &str) -> Reply {
        Reply::of(self.client.get(format!("http://{}{path}", self.admin()))).await
    }

    /// Another call on the admin listener.
    pub async fn admin_call(&self, method: Method, path: &str) -> Reply {
        Reply::of(self.client.request(method, format!("http://{}{path}", self.admin()))).await
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Panics
    /// If the process ends or refuses its configuration before.
    pub async fn ready(&mut self) {
        let admin = self.admin();
        let (client, process) = (&self.client, &mut self.process);
        let get = |path| Reply::try_of(client.get(format!("http://{admin}{path}")));
        wait::until("the gateway to be ready", async || {
            assert!(process.is_running(), "the gateway ended");
            if get("/readyz").await.ok()?.status == 200 {
                return Some(());
            }
            let refused = &get("/config").await.ok()?.json()["lastError"];
            assert!(refused.is_null(), "the gateway refused its configuration: {refused}");
            None
        })
        .await;
    }

    /// Replaces the file of integrations at once, by a rename, and waits until it is live.
    pub async fn swap(&self, document: &Value) {
        let before = self.admin_get("/config").await.json()["digest"].clone();
        replace(&self.setup.document_path(), document.to_string().as_bytes());
        wait::until("the new integrations to be live", async || {
            (self.admin_get("/config").await.json()["digest"] != before).then_some(())
        })
        .await;
    }

    /// Sends SIGTERM.
    pub fn terminate(&mut self) {
        self.process.signal(Signal::SIGTERM);
    }
}

/// Writes a file beside `path` and renames it to `path`, as careful programs do.
pub fn replace(path: &Path, content: &[u8]) {
    let beside = path.with_extension(format!("new-{}", next_number()));
    fs::write(&beside, content).unwrap();
    fs::rename(&beside, path).unwrap();
}
