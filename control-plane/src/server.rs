//! Puts the parts together, and takes them down in the reverse order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use filters::model::{Problem, Secret};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{Access, AccessError, make_private_folder};
use crate::alerts::{Alerts, AlertsError, Watcher};
use crate::api::{App, Pages, Rates, router};
use crate::bulk::Bulks;
use crate::commands::Commands;
use crate::config::auth::AuditConfig;
use crate::config::{ProcessConfig, RecordsConfig};
use crate::dry_run::DryRuns;
use crate::erasures::Erasures;
use crate::fleet::{Fleet, Messages};
use crate::listener::{self, Door};
use crate::metrics::Metrics;
use crate::publish::{Publisher, Refusal};
use crate::records;
use crate::rollout::Rollouts;
use crate::seal::Sealer;
use crate::secrets::{Secrets, SecretsError};
use crate::store::{Store, StoreError};
use crate::tls::{self, TlsError};
use crate::users::{Users, UsersError};

/// A running control plane.
#[derive(Debug)]
pub struct ControlPlane {
    /// Where the API listens.
    pub address: SocketAddr,
    /// An operator key that was made just now, to be shown once.
    pub new_operator_key: Option<Secret>,
    /// The token of the first administrator, to be shown once; there is one while there are no users.
    pub first_admin_token: Option<Secret>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

/// Why the control plane does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Keys, tokens or the data folder.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored integrations break the configured security rules.
    #[error("the integrations in the store break the rules in `security`:{}", listed(.0))]
    Security(Vec<Problem>),
    /// The versions cannot be taken up.
    #[error(transparent)]
    Publish(Refusal),
    /// The address is taken or is not this machine's.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// TLS cannot be spoken as configured.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The ports file cannot be written.
    #[error("cannot write {path}: {source}")]
    PortsFile {
        /// Which file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Accounts cannot be looked at, or passwords not be hashed.
    #[error("accounts cannot be used: {0}")]
    Users(String),
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
    /// A migration fills the store.
    #[error("the store is being filled from {0} and is not whole; run `control-plane migrate` to its end first")]
    Filling(String),
    /// The places of secrets cannot be used as configured.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// Alerts cannot be sent as configured.
    #[error(transparent)]
    Alerts(#[from] AlertsError),
    /// The metrics cannot be registered.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// Starts a control plane. It serves when this returns.
///
/// # Errors
/// If a part cannot be used as configured.
pub async fn start(config: ProcessConfig) -> Result<ControlPlane, StartError> {
    make_private_folder(&config.data_dir)?;
    let mut access = Access::prepare(&config)?;
    let new_operator_key = access.new_operator_key.take();
    let sealer = Arc::new(Sealer::load(&config)?);
    let metrics = Arc::new(Metrics::new()?);
    let store = open_store(&config, &sealer).await?;
    let publisher = start_publisher(&config, &store, &metrics).await?;
    let users = Users::start(Arc::clone(&store), Arc::clone(&sealer), config.auth.clone()).await?;
    let first_admin_token = users.first_admin_token();
    let fleet = Arc::new(Fleet::load(Arc::clone(&store), Arc::clone(&metrics)).await?);
    let alerts = Arc::new(Alerts::default());
    let watcher = Watcher::new(&config.alerts, &alerts, &metrics)?;
    let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
    let (listener, address) = listen(&config).await?;
    let stop = CancellationToken::new();
    let commands = Arc::new(Commands::new(Arc::clone(&store)));
    let rollouts = Rollouts::new(publisher.clone(), Arc::clone(&store), Arc::clone(&fleet));
    let erasures = Erasures::new(Arc::clone(&store), Arc::clone(&commands), Arc::clone(&fleet));
    let app = Arc::new(App {
        access,
        users,
        publisher,
        fleet,
        messages: Messages::default(),
        bulks: Arc::new(Bulks::new(Arc::clone(&store), Arc::clone(&commands))),
        erasures: Arc::new(erasures),
        commands,
        rollouts: Arc::new(rollouts),
        store,
        sealer,
        metrics,
        alerts,
        dry_runs: DryRuns::start().map_err(StartError::Thread)?,
        rates: Rates::new(&config.limits),
        records: config.records,
        pages: Pages::new(&config.security),
        limits: config.limits,
        stream: config.stream,
        stop: stop.clone(),
        streams: TaskTracker::new(),
    });
    tracing::info!(%address, version = app.publisher.state().snapshot.version, "ready");
    Ok(ControlPlane {
        address,
        new_operator_key,
        first_admin_token,
        serving: tokio::spawn(serve(
            app,
            (config.records, config.audit),
            watcher,
            Door { listener, tls },
        )),
        stop,
    })
}

impl From<UsersError> for StartError {
    fn from(error: UsersError) -> Self {
        match error {
            UsersError::Store(error) => Self::Store(error),
            other => Self::Users(other.to_string()),
        }
    }
}

/// Takes the address, and tells those who wait for it.
async fn listen(config: &ProcessConfig) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen {
        address: config.listen,
        source,
    };
    let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    if let Some(path) = &config.ports_file {
        write_ports(path, address).map_err(|source| StartError::PortsFile {
            path: path.display().to_string(),
            source,
        })?;
    }
    Ok((listener, address))
}

/// Opens the store, unless it is not whole.
async fn open_store(config: &ProcessConfig, sealer: &Arc<Sealer>) -> Result<Arc<Store>, StartError> {
    let store = Store::open(&config.store, &config.data_dir, &config.limits, Arc::clone(sealer)).await?;
    match store.filling().await? {
        Some(filling) => Err(StartError::Filling(filling.from)),
        None => Ok(Arc::new(store)),
    }
}

async fn start_publisher(
    config: &ProcessConfig,
    store: &Arc<Store>,
    metrics: &Arc<Metrics>,
) -> Result<Publisher, StartError> {
    let secrets = Secrets::new(&config.secret_sources)?;
    let started = Publisher::start(
        Arc::clone(store),
        secrets,
        config.security.pushed(),
        Arc::clone(metrics),
    )
    .await;
    started.map_err(|refusal| match refusal {
        Refusal::Problems(problems) => StartError::Security(problems),
        Refusal::Store(error) => StartError::Store(error),
        other => StartError::Publish(other),
    })
}

impl ControlPlane {
    /// Stops it: no new requests, those in flight end, and what is known of gateways is saved.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the control plane ended by a fault");
        }
    }
}

async fn serve(app: Arc<App>, kept: (RecordsConfig, AuditConfig), watcher: Watcher, door: Door) {
    let saved = CancellationToken::new();
    let saving = {
        let (fleet, saved) = (Arc::clone(&app.fleet), saved.clone());
        tokio::spawn(async move { fleet.keep_saved(saved).await })
    };
    let watching = tokio::spawn(watcher.watch(Arc::clone(&app)));
    let following = tokio::spawn(follow(Arc::clone(&app)));
    let refreshing = tokio::spawn(refresh_secrets(Arc::clone(&app)));
    let erasing = tokio::spawn(Arc::clone(&app.erasures).run(app.stop.clone()));
    let retrying = tokio::spawn(Arc::clone(&app.bulks).run(app.stop.clone()));
    let rolling = tokio::spawn(Arc::clone(&app.rollouts).watch(app.stop.clone()));
    let pruning = tokio::spawn(records::prune(Arc::clone(&app.store), kept.0, kept.1, app.stop.clone()));
    listener::serve(door, router(Arc::clone(&app)), app.limits, app.stop.clone()).await;
    app.streams.close();
    if tokio::time::timeout(app.limits.shutdown_timeout(), app.streams.wait())
        .await
        .is_err()
    {
        tracing::warn!(left = app.streams.len(), "push streams were cut off");
    }
    saved.cancel();
    for task in [
        saving, following, refreshing, erasing, retrying, rolling, pruning, watching,
    ] {
        if let Err(error) = task.await {
            tracing::error!(%error, "a background task ended by a fault");
        }
    }
    app.store.close().await;
}

/// Takes over versions that this process does not know of: those that other control planes write to a shared store,
/// and its own that were written after it gave up waiting. The store tells of them, and is asked now and then, as word
/// may be lost.
async fn follow(app: Arc<App>) {
    let mut works = true;
    loop {
        // Kept while it waits: to begin anew takes the store some work.
        let told = app.store.changed();
        tokio::pin!(told);
        let failed = loop {
            let failed = tokio::select! {
                told = &mut told => Some(told.is_err()),
                () = tokio::time::sleep(FOLLOW_EVERY) => None,
                () = app.stop.cancelled() => return,
            };
            match app.publisher.catch_up().await {
                Ok(()) => works = true,
                Err(error) if works => {
                    tracing::warn!(%error, "the store cannot be asked for new versions; it is tried again");
                    works = false;
                }
                Err(_) => {}
            }
            if let Some(failed) = failed {
                break failed;
            }
        };
        if failed {
            tokio::time::sleep(FOLLOW_EVERY).await;
        }
    }
}

/// Reads what integrations refer to again, now and then.
async fn refresh_secrets(app: Arc<App>) {
    let mut works = true;
    loop {
        tokio::select! {
            () = tokio::time::sleep(app.publisher.refresh_every()) => {}
            () = app.stop.cancelled() => return,
        }
        match app.publisher.refresh_secrets().await {
            Ok(()) => works = true,
            Err(error) if works => {
                tracing::error!(%error, "secrets that changed are not published; gateways keep the old ones");
                works = false;
            }
            Err(_) => {}
        }
    }
}

/// Whole or not at all, as others wait for it.
fn write_ports(path: &Path, address: SocketAddr) -> std::io::Result<()> {
    let draft = path.with_extension("new");
    std::fs::write(&draft, serde_json::json!({"api": address.to_string()}).to_string())?;
    std::fs::rename(draft, path)
}

fn listed(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

const FOLLOW_EVERY: Duration = Duration::from_secs(1);
