//! The programs of the demo, on the default addresses where they are free.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use harness::client::Reply;
use harness::{Process, binaries, wait};
use reqwest::Client;
use serde_json::json;
use tempfile::TempDir;

/// The operator's key of the demo's control plane.
pub(crate) const OPERATOR_KEY: &str = "demo-operator-key";
/// The token that the demo's gateway shows to the control plane.
const GATEWAY_TOKEN: &str = "demo-gateway-token";

/// Everything that runs. The processes end when this is dropped, and their data with them.
pub(crate) struct Stage {
    /// Address of the gateway for clients.
    pub(crate) gateway: String,
    /// Address of the gateway's admin listener.
    pub(crate) admin: String,
    /// Address of the control plane.
    pub(crate) control_plane: String,
    /// Address of the partner.
    pub(crate) partner: String,
    /// Address of the receiver of events.
    pub(crate) receiver: String,
    /// Where the programs log.
    pub(crate) folder: TempDir,
    pub(crate) client: Client,
    processes: Vec<(&'static str, Process)>,
}

impl Stage {
    /// Starts the partner, the receiver, the control plane and a gateway that has no route yet.
    pub(crate) async fn set() -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("gateway-demo-")?;
        let mut stage = Self {
            gateway: String::new(),
            admin: String::new(),
            control_plane: String::new(),
            partner: String::new(),
            receiver: String::new(),
            folder,
            client: harness::client::client(),
            processes: Vec::new(),
        };
        stage.partner = stage.start_peer("partner", 9090).await;
        stage.receiver = stage.start_peer("receiver", 9091).await;
        stage.start_control_plane().await?;
        stage.start_gateway().await?;
        Ok(stage)
    }

    /// `gwctl` as it is called from the repository.
    pub(crate) fn gwctl_program(&self) -> String {
        let program = binaries::find("gwctl");
        let inside = program.strip_prefix(binaries::repository());
        inside.unwrap_or(&program).display().to_string()
    }

    /// Runs `gwctl` and shows what it says.
    pub(crate) async fn gwctl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(binaries::find("gwctl"));
        command
            .args(arguments)
            .env("GWCTL_SERVER", format!("http://{}", self.control_plane))
            .env("GWCTL_KEY", OPERATOR_KEY)
            .current_dir(binaries::repository());
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        ensure!(
            output.status.success(),
            "gwctl {arguments:?} ended with {}:\n{text}",
            output.status
        );
        Ok(text)
    }

    /// All that the program of that name has written.
    pub(crate) fn written_by(&self, name: &str) -> String {
        let process = self.processes.iter().find(|(of, _)| *of == name);
        process.map(|(_, process)| process.output()).unwrap_or_default()
    }

    /// Starts a program that plays somebody outside, and returns its address.
    async fn start_peer(&mut self, name: &'static str, port: u16) -> String {
        let mut command = Command::new(binaries::find(&format!("demo-{name}")));
        command.arg("--listen").arg(free_or_default(port, name));
        let process = Process::start(name, command, self.folder.path());
        let address = wait::until(&format!("the {name} to listen"), async || {
            let output = process.output();
            let (_, address) = output.split_once("listening on ")?;
            address.ends_with('\n').then(|| address.trim().to_owned())
        })
        .await;
        self.processes.push((name, process));
        address
    }

    async fn start_control_plane(&mut self) -> anyhow::Result<()> {
        let settings = json!({
            "listen": free_or_default(7070, "control plane"),
            "dataDir": self.folder.path().join("control-plane"),
            "operatorKeys": [{"name": "demo", "value": OPERATOR_KEY}],
            "gatewayTokens": [{"name": "demo", "value": GATEWAY_TOKEN}],
            // The demo's partner and receiver have no certificates.
            "security": {"enforceHttps": false},
            // The demo asks as fast as it can.
            "limits": {"requestsPerMinutePerOrganization": 10_000},
        });
        let file = self.folder.path().join("control-plane.json");
        fs::write(&file, settings.to_string())?;
        let mut command = Command::new(binaries::find("control-plane"));
        let ports = self.ports_file("control-plane");
        command.arg("--config").arg(&file).arg("--ports-file").arg(&ports);
        let mut process = Process::start("control-plane", command, self.folder.path());
        self.control_plane = process.ports(&ports).await.address("api");
        self.processes.push(("control-plane", process));
        self.healthy("the control plane", &format!("http://{}/readyz", self.control_plane))
            .await
    }

    async fn start_gateway(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(binaries::find("gateway"));
        let ports = self.ports_file("gateway");
        command
            .arg("--config")
            .arg(binaries::repository().join("conf/gateway.yaml"))
            .arg("--ports-file")
            .arg(&ports)
            .env("GATEWAY_GATEWAY__ID", "demo-gateway")
            .env("GATEWAY_LISTEN__HTTP", free_or_default(8080, "gateway"))
            .env(
                "GATEWAY_LISTEN__ADMIN",
                free_or_default(9901, "gateway's admin listener"),
            )
            .env("GATEWAY_DATA_DIR", self.folder.path().join("gateway"))
            .env(
                "GATEWAY_CONFIG__CONTROL_PLANE__URL",
                format!("http://{}", self.control_plane),
            )
            .env("GATEWAY_CONFIG__CONTROL_PLANE__TOKEN", GATEWAY_TOKEN);
        let mut process = Process::start("gateway", command, self.folder.path());
        let bound = process.ports(&ports).await;
        self.gateway = bound.address("http");
        self.admin = bound.address("admin");
        self.processes.push(("gateway", process));
        self.healthy("the gateway", &format!("http://{}/healthz", self.admin))
            .await
    }

    async fn healthy(&self, what: &str, url: &str) -> anyhow::Result<()> {
        let answered = wait::until(what, async || Reply::try_of(self.client.get(url)).await.ok());
        let reply = answered.await;
        ensure!(reply.status == 200, "{url} says {}: {}", reply.status, reply.text());
        Ok(())
    }

    fn ports_file(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}-ports.json"))
    }

    /// Fails if one of the programs has ended.
    pub(crate) fn all_run(&mut self) -> anyhow::Result<()> {
        for (_, process) in &mut self.processes {
            if !process.is_running() {
                return Err(anyhow::Error::msg(process.output())).context("a program ended, and had written this");
            }
        }
        Ok(())
    }
}

/// The default address, or a free one where another program listens there.
fn free_or_default(port: u16, name: &str) -> String {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => format!("127.0.0.1:{port}"),
        Err(error) => {
            println!("Port {port} of the {name} cannot be used ({error}); a free one is taken.");
            "127.0.0.1:0".to_owned()
        }
    }
}
