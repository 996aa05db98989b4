//! The config flow of the gateway: where versions come from, and how one becomes live.
//!
//! `stream` or `file` receives a version -> `apply` compiles it and makes it live, or refuses it with every
//! problem while the old one stays -> `last_good` keeps it for the next start.

mod apply;
pub mod endpoint;
mod file;
mod last_good;
#[cfg(test)]
pub(crate) mod rig;
pub mod state;
mod stream;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::apply::{Applier, Update};
use self::endpoint::{Endpoint, EndpointError};
use self::state::State;
use crate::config::{ConfigSource, ProcessConfig};
use crate::data_dir::DataDir;
use crate::events::EventFlow;
use crate::live::{Deps, Shared};
use crate::records::Records;

/// Why the config flow cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The control plane's address cannot be used.
    #[error("config.controlPlane.url: {0}")]
    Endpoint(#[from] EndpointError),
    /// The certificates to trust cannot be used.
    #[error("config.controlPlane.caFile: {0}")]
    Tls(#[from] egress::SetupError),
}

/// What the config flow works with.
pub struct Context {
    /// Where versions become live.
    pub shared: Arc<Shared>,
    /// What they are built with.
    pub deps: Deps,
    /// Where the last known good one is kept.
    pub data_dir: Arc<DataDir>,
    /// The event flow, which the control plane hears of and has its say in.
    pub events: Option<Arc<EventFlow>>,
}

/// The config flow as it runs.
pub struct Running {
    /// What is known of it.
    pub state: Arc<State>,
    /// Takes records of calls to the control plane, if there is one.
    pub records: Option<Arc<Records>>,
}

/// Starts the config flow, which runs in `tasks` until `stop`.
///
/// The last known good configuration is live at once if the control plane pushes it, and if the file is bad.
///
/// # Errors
/// If the control plane's address or the certificates to trust cannot be used.
pub fn start(
    config: &ProcessConfig,
    context: Context,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<Running, SyncError> {
    let state = Arc::new(State::new(config.gateway_id()));
    let metrics = Arc::clone(&context.deps.metrics);
    let shared = Arc::clone(&context.shared);
    let (applier, accepted) = Applier::new(context.shared, context.deps, Arc::clone(&state));
    let applier = Arc::new(applier);
    let records = match &config.config {
        ConfigSource::ControlPlane(control_plane) => {
            let records = Arc::new(Records::new(&config.gateway_id(), &metrics));
            let stream = stream::Stream {
                endpoint: Endpoint::parse(&control_plane.url)?,
                control_plane: control_plane.clone(),
                gateway_id: config.gateway_id(),
                applier: Arc::clone(&applier),
                state: Arc::clone(&state),
                tls: egress::client_config(control_plane.ca_file.as_deref())?,
                metrics,
                records: Arc::clone(&records),
                events: context
                    .events
                    .map(|events| stream::Events::begin(events, shared, &config.gateway_id(), stop, tasks)),
                pace: stream::Pace::default(),
            };
            let data_dir = Arc::clone(&context.data_dir);
            let stop = stop.clone();
            tasks.spawn(async move {
                restore(&applier, &data_dir).await;
                stream.run(stop).await;
            });
            Some(records)
        }
        ConfigSource::File(file) => {
            let watch = file::Watch {
                path: file.path.clone(),
                applier,
                state: Arc::clone(&state),
                data_dir: Arc::clone(&context.data_dir),
                pace: file::Pace::default(),
            };
            tasks.spawn(watch.run(stop.clone()));
            None
        }
    };
    tasks.spawn(last_good::keep(context.data_dir, accepted, stop.clone()));
    Ok(Running { state, records })
}

/// Makes the last known good configuration live, if there is one.
async fn restore(applier: &Applier, data_dir: &Arc<DataDir>) {
    let data_dir = Arc::clone(data_dir);
    let loaded = tokio::task::spawn_blocking(move || last_good::load(&data_dir)).await;
    if let Ok(Some(snapshot)) = loaded {
        applier.apply(Update::Restored(snapshot)).await;
    }
}
