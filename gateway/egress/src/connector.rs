//! Opens one connection: addresses that were checked, in turn, then TLS, then HTTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use filters::target::Scheme;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::error::EgressError;
use crate::upstream::Upstream;

/// Hands one request after the other to a connection.
pub(crate) type Sender = http1::SendRequest<Full<Bytes>>;

/// How connections to one upstream are opened.
pub(crate) struct Connector {
    upstream: Arc<Upstream>,
    tls: TlsConnector,
    http: http1::Builder,
}

impl Connector {
    pub(crate) fn new(upstream: Arc<Upstream>, tls: Arc<rustls::ClientConfig>, http: http1::Builder) -> Self {
        Self {
            upstream,
            tls: TlsConnector::from(tls),
            http,
        }
    }

    pub(crate) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Opens a connection within `limit`. An address that does not take it leaves what remains of the time to the next;
    /// a failed TLS handshake is final, as the other addresses are the same partner.
    pub(crate) async fn connect(&self, limit: Duration) -> Result<Sender, EgressError> {
        let deadline = Instant::now() + limit;
        let addresses = timeout_at(deadline, self.upstream.candidates(MOST_ADDRESSES, limit))
            .await
            .map_err(|_| self.timed_out(limit))??;
        let mut failure = self.timed_out(limit);
        for (tried, address) in (0_u32..).zip(&addresses) {
            let waiting = u32::try_from(addresses.len()).unwrap_or(u32::MAX) - tried;
            let share = deadline.saturating_duration_since(Instant::now()) / waiting;
            match timeout(share, self.open(*address)).await {
                Ok(Err(error @ EgressError::Connect { .. })) => failure = error,
                Ok(done) => return done,
                Err(_) => failure = self.timed_out(limit),
            }
        }
        Err(failure)
    }

    async fn open(&self, address: SocketAddr) -> Result<Sender, EgressError> {
        let connected = TcpStream::connect(address).await.and_then(|stream| {
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        let stream = connected.map_err(|source| EgressError::Connect {
            host: self.host(),
            address,
            source,
        })?;
        match self.upstream.target().scheme() {
            Scheme::Http => self.speak(stream).await,
            Scheme::Https => {
                let secured = self.secure(stream).await.map_err(|source| EgressError::Tls {
                    host: self.host(),
                    address,
                    source,
                })?;
                self.speak(secured).await
            }
        }
    }

    async fn secure(&self, stream: TcpStream) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let name = ServerName::try_from(self.upstream.host().to_owned()).map_err(io::Error::other)?;
        self.tls.connect(name, stream).await
    }

    async fn speak<S>(&self, stream: S) -> Result<Sender, EgressError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = self.http.handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|source| EgressError::Protocol {
            host: self.host(),
            source,
        })?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a partner ended");
            }
        });
        Ok(sender)
    }

    fn timed_out(&self, after: Duration) -> EgressError {
        EgressError::ConnectTimeout {
            host: self.host(),
            after,
        }
    }

    fn host(&self) -> String {
        self.upstream.host().to_owned()
    }
}

/// Of a host with many addresses, so many are tried for one connection.
const MOST_ADDRESSES: usize = 3;
