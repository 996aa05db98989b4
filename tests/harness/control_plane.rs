//! A control-plane process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use nix::sys::signal::Signal;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authority::Authority;
use crate::client::{Reply, client, client_trusting};
use crate::documents::{ORG, organization};
use crate::process::{Process, next_number};
use crate::{Mongo, binaries, wait};

/// How a control plane is to run.
#[derive(Clone, Debug)]
pub struct Setup {
    settings: Value,
    folder: Arc<TempDir>,
    /// Who vouches for its certificate, if it has one.
    authority: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// A control plane on a free port, with an embedded store in a folder of its own.
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("control-plane-").unwrap();
        let settings = json!({
            "listen": "127.0.0.1:0",
            "dataDir": folder.path().join("data"),
            "operatorKeys": [{"name": "tests", "value": OPERATOR_KEY}],
            "gatewayTokens": [{"name": "tests", "value": GATEWAY_TOKEN}],
            "security": {"blockPrivateNetworks": true, "enforceHttps": false},
            // Tests ask more often than people do.
            "limits": {"requestsPerMinutePerAddress": u32::MAX, "requestsPerMinutePerOrganization": u32::MAX},
        });
        Self {
            settings,
            folder: Arc::new(folder),
            authority: None,
        }
    }

    /// Keeps everything in a MongoDB instead.
    #[must_use]
    pub fn mongo(self, mongo: &Mongo) -> Self {
        self.set(
            "store",
            json!({"mongodb": {"uri": mongo.uri(), "database": mongo.database()}}),
        )
    }

    /// Sets one setting, named by its path.
    #[must_use]
    pub fn set(mut self, path: &str, value: Value) -> Self {
        let place = path
            .split('.')
            .fold(&mut self.settings, |place, field| &mut place[field]);
        *place = value;
        self
    }

    /// Speaks TLS, with a certificate for `localhost` that `authority` vouches for.
    #[must_use]
    pub fn tls(mut self, authority: &Authority) -> Self {
        let (certificate, key) = authority.write("control-plane", &authority.vouch_for(&["localhost"]));
        self.authority = Some(authority.file());
        self.set("tls", json!({"certFile": certificate, "keyFile": key}))
    }

    /// Leaves a setting at its default.
    pub fn unset(&mut self, name: &str) {
        if let Some(settings) = self.settings.as_object_mut() {
            settings.remove(name);
        }
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> ControlPlane {
        let number = next_number();
        let settings = self.folder.path().join(format!("control-plane-{number}.json"));
        let ports_file = self.folder.path().join(format!("ports-{number}.json"));
        fs::write(&settings, self.settings.to_string()).unwrap();
        let mut command = Command::new(binaries::find("control-plane"));
        command
            .arg("--config")
            .arg(&settings)
            .arg("--ports-file")
            .arg(&ports_file)
            .env_remove("RUST_LOG");
        let mut process = Process::start("control-plane", command, self.folder.path());
        let address = process.ports(&ports_file).await.address("api");
        let client = self.authority.as_deref().map_or_else(client, client_trusting);
        let mut control_plane = ControlPlane {
            process,
            settings,
            address,
            setup: self,
            client,
        };
        control_plane.ready().await;
        control_plane
    }
}

/// A running control plane.
#[derive(Debug)]
pub struct ControlPlane {
    /// Its process.
    pub process: Process,
    settings: PathBuf,
    address: String,
    setup: Setup,
    client: Client,
}

impl ControlPlane {
    /// A ready control plane that knows the organization of the tests.
    pub async fn start() -> Self {
        let control_plane = Setup::new().start().await;
        control_plane.allow_this_machine().await;
        control_plane
    }

    /// Its address, as `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        match (&self.setup.authority, self.address.rsplit_once(':')) {
            (Some(_), Some((_, port))) => format!("https://localhost:{port}"),
            _ => format!("http://{}", self.address),
        }
    }

    /// How it was set up; start it again with this to have the same store.
    pub fn setup(&self) -> Setup {
        self.setup.clone()
    }

    /// The file with its settings.
    pub fn settings_file(&self) -> &Path {
        &self.settings
    }

    /// Its data folder.
    pub fn data_folder(&self) -> PathBuf {
        self.setup.folder.path().join("data")
    }

    /// Another control plane on the same store, with the key that seals the secrets in it.
    pub fn setup_of_a_sibling(&self) -> Setup {
        let mut sibling = Setup::new();
        sibling.settings["store"] = self.setup.settings["store"].clone();
        sibling.set("secretKeyFile", json!(self.data_folder().join("secret.key")))
    }

    /// The token that gateways show.
    pub fn gateway_token(&self) -> &'static str {
        GATEWAY_TOKEN
    }

    /// The key that operators show.
    pub fn operator_key(&self) -> &'static str {
        OPERATOR_KEY
    }

    /// A request of an operator.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.url());
        self.client.request(method, url).header("x-api-key", OPERATOR_KEY)
    }

    /// A GET of an operator, whose answer is read.
    pub async fn get(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path)).await
    }

    /// A PUT of an operator, whose answer is read.
    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        Reply::of(self.request(Method::PUT, path).json(body)).await
    }

    /// A POST of an operator, whose answer is read.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        Reply::of(self.request(Method::POST, path).json(body)).await
    }

    /// Makes or changes an integration of the tests' organization, which must be accepted.
    ///
    /// # Panics
    /// If it is not.
    pub async fn save(&self, integration: &Value) -> Value {
        let reply = self.try_save(integration).await.unwrap();
        assert!([200, 201].contains(&reply.status), "{}: {}", reply.status, reply.text());
        reply.json()
    }

    /// The same, whatever the answer is.
    ///
    /// # Errors
    /// If there is none.
    pub async fn try_save(&self, integration: &Value) -> Result<Reply, reqwest::Error> {
        let id = integration["id"].as_str().unwrap_or_default();
        let path = format!("/api/v1/inbound-integrations/{id}?orgId={ORG}");
        Reply::try_of(self.request(Method::PUT, &path).json(integration)).await
    }

    /// Makes the organization of the tests, whose targets may lie on this machine.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn allow_this_machine(&self) {
        let reply = self
            .put(&format!("/api/v1/admin/organizations/{ORG}"), &organization())
            .await;
        assert!([200, 201].contains(&reply.status), "{}: {}", reply.status, reply.text());
    }

    /// Tells it to stop.
    pub fn terminate(&mut self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Panics
    /// If the process ends before.
    pub async fn ready(&mut self) {
        let url = format!("{}/readyz", self.url());
        let (client, process) = (&self.client, &mut self.process);
        wait::until("the control plane to be ready", async || {
            assert!(process.is_running(), "the control plane ended");
            Reply::try_of(client.get(&url))
                .await
                .is_ok_and(|reply| reply.status == 200)
                .then_some(())
        })
        .await;
    }
}

/// The key for all organizations.
pub const OPERATOR_KEY: &str = "operator-key-of-the-tests";
const GATEWAY_TOKEN: &str = "gateway-token-of-the-tests";
