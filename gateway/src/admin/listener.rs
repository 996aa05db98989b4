//! Serves the admin listener, with a limit and a timeout for whoever connects.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;
use tracing::{debug, warn};

use super::{Context, router};

/// Answers on `listener` until `stop`, and then finishes what was begun. Failures of single connections are logged.
pub async fn serve(listener: TcpListener, context: Context, stop: CancellationToken) {
    warn_if_open(&listener);
    let router = router(context);
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, slot)) => {
                let serving = connection(stream, router.clone(), stop.clone());
                connections.spawn(async move {
                    serving.await;
                    drop(slot);
                });
            }
            Err(error) => {
                // Mostly a lack of file descriptors, which goes away.
                warn!(%error, "the admin listener cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    connections.close();
    // A client that does not read its answer is not waited for any longer.
    let _ = timeout(LAST_ANSWERS, connections.wait()).await;
}

fn warn_if_open(listener: &TcpListener) {
    match listener.local_addr() {
        Ok(address) if !address.ip().is_loopback() => warn!(
            %address,
            "the admin listener asks for no password and is open to other machines; set listen.admin to a loopback \
             address unless the network is closed"
        ),
        _ => {}
    }
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut router = router.clone();
        async move {
            Ok::<_, Infallible>(
                router
                    .call(request.map(Body::new))
                    .await
                    .unwrap_or_else(|never| match never {}),
            )
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut stopping = false;
    let served = loop {
        tokio::select! {
            served = connection.as_mut() => break served,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = sleep(LONGEST_CONNECTION) => break Ok(()),
        }
    };
    if let Err(error) = served {
        debug!(%error, "a connection to the admin listener broke");
    }
}

const MOST_CONNECTIONS: usize = 256;
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
const LONGEST_CONNECTION: Duration = Duration::from_secs(3_600);
const LAST_ANSWERS: Duration = Duration::from_secs(1);
