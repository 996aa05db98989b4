//! The services behind the listeners.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pingora::apps::HttpServerOptions;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::proxy::HttpProxy;
use pingora::server::Fds;
use pingora::server::configuration::ServerConf;
use pingora::services::Service as _;
use pingora::services::listening::Service;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::front::{Entrance, Front, Hall, Reports};
use super::listener::{Listener, Speech};
use crate::config::ProcessConfig;
use crate::edge::EdgeLimits;
use crate::edge::head::{HeadLimits, MOST_HEADERS};
use crate::proxy::Proxy;
use crate::tls::Terminator;

/// The listening services, which can be closed.
pub(super) struct Serving {
    shutdown: watch::Sender<bool>,
    /// How long idle connections are kept once the listeners are closed.
    pub(super) linger: watch::Sender<Duration>,
}

impl Serving {
    /// Accepts connections on all `listeners`.
    pub(super) fn start(
        config: &ProcessConfig,
        proxy: Proxy,
        listeners: &[Listener],
        terminator: Arc<Terminator>,
        trusted: Option<String>,
        tasks: &TaskTracker,
    ) -> Self {
        let (shutdown, closing) = watch::channel(false);
        let (linger, lingering) = watch::channel(Duration::ZERO);
        let hall = Arc::new(hall(config, proxy, trusted, lingering));
        for listener in listeners {
            let front = Front {
                hall: Arc::clone(&hall),
                entrance: match listener.speech {
                    Speech::Http => Entrance::Plain,
                    Speech::Https => Entrance::Tls(Arc::clone(&terminator)),
                    Speech::H2c => Entrance::H2c,
                },
            };
            let address = listener.address.to_string();
            let mut sockets = Fds::new();
            sockets.add(address.clone(), listener.socket);
            let mut service = Service::new(listener.speech.name().to_owned(), front);
            let buffers = L4BufferSettings::new(READ_BUFFER, WRITE_BUFFER);
            service.add_listener(ListenerConfig::tcp(&address).l4_buffer(buffers));
            let closing = closing.clone();
            tasks.spawn(async move {
                service
                    .start_service(Some(Arc::new(Mutex::new(sockets))), closing, 1)
                    .await;
            });
        }
        Self { shutdown, linger }
    }

    /// Stops accepting. Idle connections end; those with a request in flight end with it.
    pub(super) fn close(&self) {
        self.shutdown.send_replace(true);
    }
}

fn hall(config: &ProcessConfig, proxy: Proxy, trusted: Option<String>, linger: watch::Receiver<Duration>) -> Hall {
    let metrics = Arc::clone(&proxy.metrics);
    let sink = Arc::new(Reports {
        metrics: Arc::clone(&metrics),
        access_log: Arc::clone(&proxy.access_log),
    });
    let settings = ServerConf {
        threads: config.worker_threads(),
        upstream_keepalive_pool_size: config.egress.upstream_pool,
        // Whether there is another attempt is decided for each; this is only a bound.
        max_retries: MOST_ATTEMPTS,
        ca_file: trusted,
        ..ServerConf::default()
    };
    let mut http = HttpProxy::new(proxy, Arc::new(settings));
    let mut options = HttpServerOptions::default();
    // pingora counts the requests after the first.
    options.keepalive_request_limit = Some(config.edge.requests_per_connection.saturating_sub(1));
    http.server_options = Some(options);
    http.handle_init_modules();
    Hall {
        proxy: Arc::new(http),
        metrics,
        limits: edge_limits(config),
        sink,
        max_connections: config.edge.max_connections,
        linger,
        keep_alive: Duration::from_secs(config.edge.keep_alive_seconds),
        requests: config.edge.requests_per_connection,
        streams: config.edge.h2_streams,
        end_idle: watch::Sender::new(false),
    }
}

fn edge_limits(config: &ProcessConfig) -> EdgeLimits {
    EdgeLimits {
        head: HeadLimits {
            bytes: config.edge.head_bytes,
            headers: config.edge.headers.min(MOST_HEADERS),
            target_bytes: config.edge.uri_bytes,
        },
        head_timeout: config.edge.head_timeout(),
    }
}

/// Bytes of a connection's read and write buffers. An answer that fits into the second leaves in one system call.
const READ_BUFFER: usize = 4 * 1024;
const WRITE_BUFFER: usize = 8 * 1024;
/// Attempts that pingora makes at most: the first, those of the longest schedule, one for a connection that the partner
/// closed while it was idle, and one for a credential that had to be renewed.
const MOST_ATTEMPTS: usize = filters::resilience::retry::MOST_RETRIES as usize + 3;
