//! Accepts connections and serves HTTP/1 on them, with TLS where it is configured, and with a limit on their number and
//! on the time of each handshake and head.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::config::Limits;

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// True if the connection is one over TLS.
    pub(crate) is_secure: bool,
}

/// Where connections come in.
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
}

/// Serves until `stop`, then finishes the requests in flight. Returns when all of them are answered, or after the
/// shutdown timeout.
pub(crate) async fn serve(door: Door, router: Router, limits: Limits, stop: CancellationToken) {
    let Door { listener, tls } = door;
    let places = std::sync::Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
    let connections = TaskTracker::new();
    loop {
        let place = tokio::select! {
            place = std::sync::Arc::clone(&places).acquire_owned() => place,
            () = stop.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = accepted_one(stream, peer, tls.clone(), router.clone(), limits, stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                // Most often no file descriptors are left; the connection waits until there are some.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.shutdown_timeout(), connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            left = connections.len(),
            "requests were cut off, as they took too long to end"
        );
    }
}

async fn accepted_one(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let head = limits.header_timeout();
    let peer = Peer {
        address,
        is_secure: tls.is_some(),
    };
    let Some(tls) = tls else {
        return connection(stream, peer, router, head, stop).await;
    };
    match tokio::time::timeout(head, tls.accept(stream)).await {
        Ok(Ok(stream)) => connection(stream, peer, router, head, stop).await,
        Ok(Err(error)) => tracing::debug!(%address, %error, "a client got no TLS connection"),
        Err(_) => tracing::debug!(%address, "a client did not finish its TLS handshake in time"),
    }
}

async fn connection<S>(stream: S, peer: Peer, router: Router, head: Duration, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let router = router.map_request(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request.map(Body::new)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(MOST_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(peer = %peer.address, %error, "a connection ended early");
    }
}

const PAUSE: Duration = Duration::from_millis(100);
const MOST_HEAD_BYTES: usize = 64 * 1024;
