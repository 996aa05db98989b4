//! A connection of HTTP/2: each request on it is a task of its own; the connection itself ends in order.

use std::sync::Arc;
use std::time::Duration;

use ::h2::Reason;
use ::h2::server::Connection as H2Connection;
use bytes::Bytes;
use pingora::apps::HttpServerApp as _;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Accept, H2Options, HttpSession, default_h2_options, handshake};
use pingora::protocols::{Digest, Stream};
use pingora::server::ShutdownWatch;
use tokio::time::timeout;
use tracing::debug;

use super::front::{FIRST_REQUEST, Hall};
use crate::edge::h2::stream::{H2Stream, Tally};
use crate::edge::h2::wire::Wire;
use crate::edge::{Connection, RequestState, address_of, h2 as edge};

/// Serves the connection to its end.
pub(super) async fn serve(hall: &Arc<Hall>, stream: Stream, connection: Arc<Connection>, shutdown: &ShutdownWatch) {
    let digest = Arc::new(Digest {
        ssl_digest: stream.get_ssl_digest(),
        timing_digest: stream.get_timing_digest(),
        proxy_digest: stream.get_proxy_digest(),
        socket_digest: stream.get_socket_digest(),
    });
    let client = address_of(&stream);
    let wire = Box::new(Wire::new(stream, hall.limits.head_timeout));
    let begun = handshake(wire, Some(options(hall)));
    let Ok(Ok(library)) = timeout(hall.limits.head_timeout, begun).await else {
        debug!(?client, "a client did not begin HTTP/2");
        return;
    };
    let served = Served {
        hall: Arc::clone(hall),
        connection,
        digest,
        tally: Arc::default(),
        shutdown: shutdown.clone(),
        requests: 0,
        malformed: 0,
    };
    served.run(library).await;
}

/// Caps that the client is told of, and those that the library keeps by itself.
fn options(hall: &Hall) -> H2Options {
    let mut options = default_h2_options();
    options
        .max_concurrent_streams(hall.streams)
        .max_header_list_size(u32::try_from(hall.limits.head.bytes).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER);
    options
}

struct Served {
    hall: Arc<Hall>,
    connection: Arc<Connection>,
    digest: Arc<Digest>,
    tally: Arc<Tally>,
    shutdown: ShutdownWatch,
    requests: u32,
    malformed: u32,
}

/// What the connection does next.
enum Next {
    /// Another request was taken, or refused.
    On,
    /// The client is told that there will be no more; what is open goes on.
    Leave,
    /// It is over, whatever is open.
    Abuse,
    /// The client closed it, or it broke.
    Over,
}

impl Served {
    async fn run(mut self, mut library: H2Connection<Stream, Bytes>) {
        let mut idle_ends = self.hall.end_idle.subscribe();
        let mut stopping = self.shutdown.clone();
        let mut idle = FIRST_REQUEST;
        loop {
            let next = tokio::select! {
                biased; // Requests that are there are served.
                accepted = HttpSession::from_h2_conn(&mut library, Arc::clone(&self.digest)) => self.take(accepted),
                // At the end of the process a connection that has nothing open is told, like one that has.
                _ = stopping.wait_for(|stopping| *stopping) => Next::Leave,
                _ = idle_ends.wait_for(|ended| *ended) => Next::Leave,
                () = quiet(&self.tally, idle) => Next::Leave,
            };
            match next {
                Next::On => idle = self.hall.keep_alive,
                Next::Leave => break,
                Next::Abuse => return abandon(library).await,
                Next::Over => return,
            }
        }
        library.graceful_shutdown();
        self.drain(library).await;
    }

    /// Serves what is open, and what was on its way when the client was told.
    async fn drain(mut self, mut library: H2Connection<Stream, Bytes>) {
        let most = self.requests.saturating_add(self.hall.streams);
        loop {
            let next = tokio::select! {
                biased;
                accepted = HttpSession::from_h2_conn(&mut library, Arc::clone(&self.digest)) => self.take(accepted),
                () = quiet(&self.tally, FAREWELL) => Next::Over,
            };
            match next {
                Next::On | Next::Leave if self.requests <= most => {}
                Next::On | Next::Leave | Next::Abuse => return abandon(library).await,
                Next::Over => return,
            }
        }
    }

    fn take(&mut self, accepted: pingora::Result<Option<H2Accept>>) -> Next {
        match accepted {
            Err(_) | Ok(None) => return Next::Over,
            Ok(Some(H2Accept::Rejected)) => {
                self.malformed += 1;
                if self.malformed >= MOST_MALFORMED {
                    return Next::Abuse;
                }
            }
            Ok(Some(H2Accept::Session(session))) => self.begin(session),
        }
        if self.tally.is_abused() {
            return Next::Abuse;
        }
        self.requests = self.requests.saturating_add(1);
        if self.requests >= self.hall.requests {
            Next::Leave
        } else {
            Next::On
        }
    }

    fn begin(&self, mut session: HttpSession) {
        let head = session.req_header_mut();
        let refused = edge::examine(head, &self.hall.limits.head).err();
        let request = Arc::new(RequestState::on(Arc::clone(&self.connection)));
        head.extensions_mut().insert(Arc::clone(&request));
        let stream = H2Stream::new(session, request, self.tally.open());
        let hall = Arc::clone(&self.hall);
        if let Some(refusal) = refused {
            let client = self.digest.socket_digest.as_ref();
            let client = client.and_then(|digest| Some(digest.peer_addr()?.as_inet()?.ip().to_canonical()));
            let (id, body) = hall.sink.refused(refusal, client);
            tokio::spawn(stream.refuse(refusal, id, body));
            return;
        }
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move {
            let session = ServerSession::new_custom(Box::new(stream));
            hall.proxy.process_new_http(session, &shutdown).await;
        });
    }
}

/// Returns when no request was open for as long as `time`.
async fn quiet(tally: &Tally, time: Duration) {
    tally.idle().await;
    tokio::time::sleep(time).await;
}

/// Says that it is over, and waits no longer than it takes to say so.
async fn abandon(mut library: H2Connection<Stream, Bytes>) {
    library.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
    let said = async { while let Some(Ok(_)) = library.accept().await {} };
    // A client that does not listen is cut off.
    let _ = timeout(FAREWELL, said).await;
}

/// Bytes of a body that a client may send before they are read, for each request and for all of a connection.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes of an answer that the library holds until the client takes them.
const SEND_BUFFER: usize = 64 * 1024;
/// Requests of a connection that may be malformed.
const MOST_MALFORMED: u32 = 32;
/// How long a connection that has nothing open is kept after the client was told that it ends.
const FAREWELL: Duration = Duration::from_secs(2);
