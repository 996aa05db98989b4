//! The process: builds everything, listens, and stops without losing what is in flight.

mod end;
mod front;
mod h2;
mod listener;
mod serving;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use filters::target::InvalidTarget;
use filters::variable::Environment;
use http::HeaderName;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::access_log::{self, AccessLog};
use crate::admin;
use crate::cache::Cache;
use crate::config::ProcessConfig;
use crate::data_dir::{DataDir, DataDirError};
use crate::delivery::Attempts;
use crate::events::EventFlow;
use crate::idempotency::Answers;
use crate::letters::Letters;
use crate::live::{Deps, Shared};
use crate::metrics::Metrics;
use crate::proxy::Proxy;
use crate::queue::QueueError;
use crate::quota;
use crate::refresh_tokens::RefreshTokens;
use crate::scripts::{ScriptLimits, ScriptPool};
use crate::shedding::Shedding;
use crate::sync::{self, SyncError};
use crate::telemetry::Tracer;
use crate::tls::files::Files;
use crate::tls::{Terminator, TlsError};
use crate::upstream;
use listener::{Listener, Refused};
use serving::Serving;

/// Why the gateway cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The data folder cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// Metrics cannot be set up.
    #[error("cannot set up metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// Spans cannot be sent where the settings say.
    #[error("traces.otlp: {0}")]
    Traces(InvalidTarget),
    /// The access log cannot be opened.
    #[error("accessLog.output: {0}")]
    AccessLog(#[from] access_log::AccessLogError),
    /// Connections to partners cannot be set up.
    #[error("egress: {0}")]
    Egress(#[from] egress::SetupError),
    /// The config flow cannot start.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The queue cannot be opened.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address} (listen.{name}): {source}")]
    Bind {
        /// Name of the setting.
        name: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The listeners of the running process cannot be taken over.
    #[error("cannot take over the listeners at {}: {source}; is the other process running, and was it sent SIGQUIT?", path.display())]
    TakeOver {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The ports file cannot be written.
    #[error("cannot write the ports file {}: {source}", path.display())]
    PortsFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// TLS towards clients cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The certificates to trust cannot be written where the streaming path reads them.
    #[error("egress.extraCaFile: {0}")]
    Trust(io::Error),
    /// Signals cannot be caught.
    #[error("cannot catch signals: {0}")]
    Signals(io::Error),
}

/// How long a new process waits for its configuration before it takes the listeners over.
const PLAN_PATIENCE: Duration = Duration::from_secs(20);

/// Runs the gateway until it is told to stop, and until what was in flight then is done.
///
/// # Errors
/// If it cannot start.
#[expect(
    clippy::too_many_lines,
    reason = "the parts of the process in the order of their start"
)]
pub async fn run(config: ProcessConfig) -> Result<(), ServerError> {
    pingora::tls::install_default_crypto_provider();
    let take_over = config.upgrade.take_over;
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let stopping = Arc::new(AtomicBool::new(false));
    let patience = take_over.then_some(config.shutdown.grace() * 2);
    let data_dir = Arc::new(DataDir::open(&config.data_dir.0, patience)?);
    let metrics = Arc::new(Metrics::new(config.metrics.integrations)?);
    let access_log = Arc::new(open_access_log(&config, &metrics)?);
    let shared = Arc::new(Shared::default());
    let (admin_listener, admin_address) = bind_admin(&config)?;
    let refresh_tokens = Arc::new(RefreshTokens::new(Arc::clone(&data_dir)));
    let deps = Deps::new(&config, Arc::clone(&metrics), refresh_tokens)?;
    let tokens = Arc::clone(&deps.tokens);
    let scripts = Arc::new(script_pool(&config));
    let events = open_events(&config, &shared, &metrics, &scripts, &stop, &tasks).await?;
    let tracer = Tracer::start(&config, &deps, &stop, &tasks).map_err(ServerError::Traces)?;
    tasks.spawn(quota::keep(
        Arc::clone(&deps.quotas),
        Arc::clone(&data_dir),
        stop.clone(),
    ));
    let context = sync::Context {
        shared: Arc::clone(&shared),
        deps,
        data_dir,
        events: events.clone(),
    };
    let config_flow = sync::start(&config, context, &stop, &tasks)?;
    let admin = admin::Context {
        shared: Arc::clone(&shared),
        state: config_flow.state,
        metrics: Arc::clone(&metrics),
        stopping: Arc::clone(&stopping),
        events: events.clone(),
    };
    tasks.spawn(upstream::health::run(Arc::clone(&shared), stop.clone()));
    tasks.spawn(admin::serve(admin_listener, admin, stop.clone()));
    let terminator = terminator(&config, &shared, &stop, &tasks)?;
    let listeners = listen(&config, &shared, take_over).await?;
    let proxy = Proxy {
        shared,
        metrics: Arc::clone(&metrics),
        access_log: Arc::clone(&access_log),
        logged_headers: logged_headers(&config),
        tracer,
        scripts,
        stopping: Arc::clone(&stopping),
        keep_alive_seconds: config.edge.keep_alive_seconds,
        trusted_proxies: config.edge.trusted_proxies.clone(),
        shedding: shed(&config, &stop, &tasks),
        cache: Cache::new(config.cache.max_bytes, metrics.cache.clone()),
        ticket: AtomicU64::new(0),
        records: config_flow.records,
        letters: Letters::new(
            events.as_ref().map(|events| events.opened()),
            &config,
            Arc::clone(&metrics),
        ),
        answers: Arc::new(Answers::new(config.idempotency.max_bytes)),
        ingest: events.as_ref().map(|events| events.ingest()),
    };
    let mut service = Serving::start(&config, proxy, &listeners, terminator, trusted_file(&config)?, &tasks);
    report(&config, &listeners, admin_address)?;
    let end = end::wait(&config, &listeners, &access_log, &mut service).await?;
    stopping.store(true, Ordering::Relaxed);
    service.close();
    end::wind_down(&config, &metrics, events.as_deref(), end).await;
    end::keep_refresh_tokens(&tokens).await;
    end::stop_tasks(&stop, &tasks, &access_log).await;
    info!("stopped");
    Ok(())
}

/// The names were checked when the settings were read.
fn logged_headers(config: &ProcessConfig) -> Vec<HeaderName> {
    config
        .access_log
        .headers
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect()
}

/// Begins to watch the memory of the process.
fn shed(config: &ProcessConfig, stop: &CancellationToken, tasks: &TaskTracker) -> Arc<Shedding> {
    let shedding = Shedding::new(&config.shedding);
    tasks.spawn(Arc::clone(&shedding).watch(stop.clone()));
    shedding
}

/// What speaks TLS with clients; the certificates in files are followed until `stop`.
fn terminator(
    config: &ProcessConfig,
    shared: &Arc<Shared>,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<Arc<Terminator>, TlsError> {
    let certificates = Arc::new(Files::open(config.tls.certificates.clone())?);
    tasks.spawn(Arc::clone(&certificates).follow(stop.clone()));
    let clients = &config.tls.client_certificates;
    let limit = config.edge.head_timeout();
    let terminator = Arc::new(Terminator::new(clients, certificates, Arc::clone(shared), limit)?);
    tasks.spawn(Arc::clone(&terminator).follow(stop.clone()));
    Ok(terminator)
}

fn bind_admin(config: &ProcessConfig) -> Result<(TcpListener, SocketAddr), ServerError> {
    let bound = listener::bind_admin(config.listen.admin).and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|source| ServerError::Bind {
        name: "admin",
        address: config.listen.admin,
        source,
    })
}

fn open_access_log(config: &ProcessConfig, metrics: &Metrics) -> Result<AccessLog, access_log::AccessLogError> {
    let counters = access_log::Counters {
        dropped: metrics.access_log_dropped.clone(),
        errors: metrics.access_log_errors.clone(),
    };
    let log = AccessLog::open(&config.access_log.output, counters)?;
    Ok(log.with_fields(&config.access_log.fields))
}

/// Opens the queue and begins to deliver, unless the gateway is only to proxy.
async fn open_events(
    config: &ProcessConfig,
    shared: &Shared,
    metrics: &Arc<Metrics>,
    scripts: &Arc<ScriptPool>,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<Option<Arc<EventFlow>>, ServerError> {
    if !config.ingest.enabled {
        return Ok(None);
    }
    let attempts = Arc::new(Attempts::new(
        Arc::clone(scripts),
        config.gateway_id().into(),
        &config.data_dir.0.join("attempts"),
        config.delivery.content_bytes,
    ));
    let flow = EventFlow::start(config, shared, Arc::clone(metrics), attempts, stop, tasks).await?;
    Ok(Some(flow))
}

fn script_pool(config: &ProcessConfig) -> ScriptPool {
    let pool = ScriptPool::new(config.scripts.threads, script_limits(config));
    pool.with_env(Environment::of(&config.scripts.env, std::env::vars()))
}

fn script_limits(config: &ProcessConfig) -> ScriptLimits {
    ScriptLimits {
        time: Duration::from_millis(config.scripts.timeout_ms),
        memory_bytes: config.scripts.memory_bytes,
        queue: config.scripts.queue,
    }
}

/// Binds the listeners, or takes those of the running process over once there is a configuration to serve.
async fn listen(config: &ProcessConfig, shared: &Shared, take_over: bool) -> Result<Vec<Listener>, ServerError> {
    let mut taken = Vec::new();
    if take_over {
        let ready = async {
            while shared.load().is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(PLAN_PATIENCE, ready).await.is_err() {
            warn!("there is no configuration yet; taking the listeners over without one");
        }
        let path = config.upgrade_socket();
        let waiting = path.clone();
        info!(socket = %path.display(), "waiting for the running process to hand over its listeners; send it SIGQUIT");
        let given = tokio::task::spawn_blocking(move || listener::take_over(&waiting)).await;
        let given = given.unwrap_or_else(|error| Err(io::Error::other(error)));
        taken = given.map_err(|source| ServerError::TakeOver { path, source })?;
    }
    listener::bind(&config.listen, taken).map_err(|refused: Refused| ServerError::Bind {
        name: refused.name,
        address: refused.address,
        source: refused.source,
    })
}

/// The file of certificates to trust on the streaming path; the machine's own if `None`. pingora takes one file in the
/// place of the machine's store, so both are written into one.
fn trusted_file(config: &ProcessConfig) -> Result<Option<String>, ServerError> {
    let Some(extra) = &config.egress.extra_ca_file else {
        return Ok(None);
    };
    let path = config.data_dir.0.join("trusted.pem");
    let bundle = egress::trust_bundle(extra).map_err(ServerError::Trust)?;
    write_whole(&path, &bundle).map_err(ServerError::Trust)?;
    Ok(Some(path.to_string_lossy().into_owned()))
}

/// Says where the gateway listens: in the log, and in the ports file.
fn report(config: &ProcessConfig, listeners: &[Listener], admin: SocketAddr) -> Result<(), ServerError> {
    if let Some(path) = &config.ports_file {
        let mut ports = serde_json::json!({ "admin": admin, "pid": std::process::id() });
        for listener in listeners {
            ports[listener.speech.name()] = listener.address.to_string().into();
        }
        write_whole(path, &ports.to_string()).map_err(|source| ServerError::PortsFile {
            path: path.clone(),
            source,
        })?;
    }
    for listener in listeners {
        info!(protocol = listener.speech.name(), address = %listener.address, "listening");
    }
    info!(%admin, gateway = config.gateway_id(), "ready");
    Ok(())
}

/// Writes beside the file and renames, so that a reader never sees half of it.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}
