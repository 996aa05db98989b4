//! `control-plane`: reads its settings, serves until it is told to stop.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use control_plane::config::{LogConfig, LogFormat, ProcessConfig};
use control_plane::migrate::{self, StoreKind};
use control_plane::rotate;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Counts by thread what dry runs of scripts hold; see `dry_run.rs`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Keeps integrations and versions, and pushes them to gateways.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// File with the settings; each can also be set by environment, as CONTROL_PLANE_STORE__SQLITE__PATH.
    #[arg(long, env = "CONTROL_PLANE_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// File to write the bound address to, as {"api": "127.0.0.1:7070"}.
    #[arg(long)]
    ports_file: Option<PathBuf>,
    /// What to do instead of serving.
    #[command(subcommand)]
    task: Option<Task>,
}

/// Work on the store, done once.
#[derive(Debug, Subcommand)]
enum Task {
    /// Makes a new key for stored secrets and encrypts them anew with it.
    ///
    /// With the embedded store the control plane must be stopped for it. A run that was interrupted is finished by the next
    /// one. Older keys stay in the key file until they are removed, as backups of the store may need them.
    RotateSecrets {
        /// Removes the older keys from the key file once nothing in the store needs them.
        #[arg(long)]
        remove_old_keys: bool,
    },
    /// Copies everything to an empty store of the other kind, and compares both in the end.
    ///
    /// One of them is `store` of the settings, the other `migrationStore`. Every control plane on them must be stopped;
    /// gateways go on. A run that was interrupted is finished by the next one.
    Migrate {
        /// What is copied.
        #[arg(long)]
        from: Kind,
        /// What it is copied to.
        #[arg(long)]
        to: Kind,
    },
}

/// A kind of store.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// The embedded store.
    Sqlite,
    /// A MongoDB replica set.
    Mongodb,
}

impl From<Kind> for StoreKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => Self::Sqlite,
            Kind::Mongodb => Self::Mongodb,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("control-plane: {}", filters::fault::told(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut config = ProcessConfig::load(arguments.config.as_deref())?;
    if arguments.ports_file.is_some() {
        config.ports_file = arguments.ports_file;
    }
    start_log(&config.log)?;
    if let Some(task) = arguments.task {
        return work(task, &config).await;
    }
    // Asked for before anything is served, so that no signal is missed.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let control_plane = control_plane::start(config).await?;
    if let Some(key) = &control_plane.new_operator_key {
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "operator key (shown this once, only its hash is kept): {}",
            key.expose()
        )
        .context("cannot show the new operator key")?;
    }
    if let Some(token) = &control_plane.first_admin_token {
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "token of the first administrator (works once, for POST /api/v1/auth/first-admin): {}",
            token.expose()
        )
        .context("cannot show the token of the first administrator")?;
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    control_plane.stop().await;
    tracing::info!("stopped");
    Ok(())
}

async fn work(task: Task, config: &ProcessConfig) -> anyhow::Result<()> {
    let told = match task {
        Task::RotateSecrets { remove_old_keys } => rotate::rotate(config, remove_old_keys).await?.to_string(),
        Task::Migrate { from, to } => migrate::migrate(config, from.into(), to.into()).await?.to_string(),
    };
    writeln!(std::io::stdout().lock(), "{told}").context("cannot tell what was done")
}

fn start_log(config: &LogConfig) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.level).context("log.level is not a filter such as `info`")?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Json => log.json().flatten_event(true).try_init(),
        LogFormat::Text => log.try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start the log: {error}"))
}
