//! Opens one connection: addresses that were checked, in turn, then TLS, then HTTP.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use filters::target::Scheme;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::{DnsName, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::body::Body;
use crate::error::EgressError;
use crate::multiplex::Multiplexed;
use crate::pool::PoolSettings;
use crate::tls::ClientTls;
use crate::upstream::Upstream;

/// Hands one request after the other to a connection.
pub(crate) type Sender = http1::SendRequest<Body>;

/// A new connection.
pub(crate) enum Opened {
    /// For one exchange at a time.
    Own(Sender),
    /// For several.
    Shared(Multiplexed),
}

/// How connections to one upstream are opened.
pub(crate) struct Connector {
    upstream: Arc<Upstream>,
    tls: TlsConnector,
    /// Name that the partner is asked for; its host if `None`.
    server_name: Option<DnsName<'static>>,
    http: http1::Builder,
    http2: bool,
    max_head_bytes: usize,
}

impl Connector {
    pub(crate) fn new(upstream: Arc<Upstream>, tls: ClientTls, http: http1::Builder, settings: &PoolSettings) -> Self {
        Self {
            upstream,
            tls: TlsConnector::from(tls.config),
            server_name: tls.server_name,
            http,
            http2: settings.http2,
            max_head_bytes: settings.max_head_bytes,
        }
    }

    pub(crate) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Opens a connection within `limit`. An address that does not take it leaves what remains of the time to the next;
    /// a failed TLS handshake is final, as the other addresses are the same partner.
    pub(crate) async fn connect(&self, limit: Duration) -> Result<Opened, EgressError> {
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

    async fn open(&self, address: SocketAddr) -> Result<Opened, EgressError> {
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
                if secured.get_ref().1.alpn_protocol() == Some(b"h2") {
                    self.share(secured).await
                } else {
                    self.speak(secured).await
                }
            }
        }
    }

    async fn secure(&self, stream: TcpStream) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let name = match &self.server_name {
            Some(name) => ServerName::from(name.clone()),
            None => ServerName::try_from(self.upstream.host().to_owned()).map_err(io::Error::other)?,
        };
        if self.http2 {
            let offered = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            return self.tls.with_alpn(offered).connect(name, stream).await;
        }
        self.tls.connect(name, stream).await
    }

    async fn share<S>(&self, stream: S) -> Result<Opened, EgressError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match Multiplexed::start(TokioIo::new(stream), self.max_head_bytes).await {
            Ok(connection) => Ok(Opened::Shared(connection)),
            Err(source) => Err(EgressError::Protocol {
                host: self.host(),
                source,
            }),
        }
    }

    async fn speak<S>(&self, stream: S) -> Result<Opened, EgressError>
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
        Ok(Opened::Own(sender))
    }

    pub(crate) fn timed_out(&self, after: Duration) -> EgressError {
        EgressError::ConnectTimeout {
            host: self.host(),
            after,
        }
    }

    fn host(&self) -> String {
        self.upstream.host().to_owned()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("target", self.upstream.target())
            .finish_non_exhaustive()
    }
}

/// Of a host with many addresses, so many are tried for one connection.
const MOST_ADDRESSES: usize = 3;
