//! Opens the WebSocket: address, TLS, token, limits.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use filters::model::push::{MODEL_VERSION_FIELD, MOST_MESSAGE_BYTES};
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, StatusCode};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Error};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};
use zeroize::Zeroizing;

use crate::config::ControlPlane;
use crate::sync::endpoint::Endpoint;

/// A connection to the control plane.
pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("cannot read the token file {}: {source}", path.display())]
    TokenFile { path: PathBuf, source: io::Error },
    #[error("the token holds characters that no header can carry")]
    Token,
    #[error("cannot resolve {host:?}: {source}")]
    Resolve { host: String, source: io::Error },
    #[error("{host:?} has no address{}", if *.loopback { " on this machine, and clear text goes nowhere else" } else { "" })]
    NoAddress { host: String, loopback: bool },
    #[error("cannot connect to {address}: {source}")]
    Tcp { address: SocketAddr, source: io::Error },
    #[error(
        "the control plane refused the gateway's token (status {0}); set `config.controlPlane.token` or `tokenFile`"
    )]
    Unauthorized(StatusCode),
    #[error("the control plane answered with status {0} in place of a stream")]
    Status(StatusCode),
    #[error("the handshake failed: {0}")]
    Handshake(Box<tungstenite::Error>),
    #[error("no connection within {} seconds", CONNECT_TIMEOUT.as_secs())]
    Timeout,
}

/// A connection, and what the control plane said of itself.
pub(super) struct Connected {
    pub(super) socket: Socket,
    /// The version of the model that it speaks, if it said.
    pub(super) model_version: Option<u32>,
}

/// Connects to the push stream at `endpoint`.
///
/// # Errors
/// If that is impossible now; it may be possible later.
pub(super) async fn connect(
    endpoint: &Endpoint,
    control_plane: &ControlPlane,
    tls: &Arc<rustls::ClientConfig>,
) -> Result<Connected, ConnectError> {
    let request = request(endpoint, control_plane).await?;
    let connecting = async {
        let tcp = dial(endpoint).await?;
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MOST_MESSAGE_BYTES))
            .max_frame_size(Some(MOST_MESSAGE_BYTES));
        let connector = Connector::Rustls(Arc::clone(tls));
        let (socket, answer) = client_async_tls_with_config(request, tcp, Some(limits), Some(connector))
            .await
            .map_err(refused)?;
        let model_version = answer.headers().get(MODEL_VERSION_FIELD);
        Ok(Connected {
            socket,
            model_version: model_version.and_then(|version| version.to_str().ok()?.parse().ok()),
        })
    };
    timeout(CONNECT_TIMEOUT, connecting)
        .await
        .unwrap_or(Err(ConnectError::Timeout))
}

async fn request(endpoint: &Endpoint, control_plane: &ControlPlane) -> Result<Request<()>, ConnectError> {
    let mut request = endpoint
        .stream_url
        .as_str()
        .into_client_request()
        .map_err(|error| ConnectError::Handshake(Box::new(error)))?;
    if let Some(token) = token(control_plane).await? {
        let bearer = Zeroizing::new(format!("Bearer {}", token.trim()));
        let mut value = HeaderValue::from_str(&bearer).map_err(|_| ConnectError::Token)?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    Ok(request)
}

async fn token(control_plane: &ControlPlane) -> Result<Option<Zeroizing<String>>, ConnectError> {
    if let Some(path) = &control_plane.token_file {
        return match tokio::fs::read_to_string(path).await {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(source) => Err(ConnectError::TokenFile {
                path: path.clone(),
                source,
            }),
        };
    }
    let token = control_plane.token.as_ref();
    Ok(token.map(|token| Zeroizing::new(token.expose().to_owned())))
}

async fn dial(endpoint: &Endpoint) -> Result<TcpStream, ConnectError> {
    let host = &endpoint.host;
    let addresses = tokio::net::lookup_host((host.as_str(), endpoint.port))
        .await
        .map_err(|source| ConnectError::Resolve {
            host: host.clone(),
            source,
        })?;
    // A name may lead anywhere: without TLS, only this machine gets to see the token and the secrets.
    let loopback = !endpoint.tls;
    let mut failure = ConnectError::NoAddress {
        host: host.clone(),
        loopback,
    };
    for address in addresses.filter(|address| endpoint.tls || address.ip().is_loopback()) {
        match TcpStream::connect(address).await {
            Ok(tcp) => {
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Err(source) => failure = ConnectError::Tcp { address, source },
        }
    }
    Err(failure)
}

fn refused(error: Error) -> ConnectError {
    match error {
        Error::Http(answer) => match answer.status() {
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => ConnectError::Unauthorized(status),
            status => ConnectError::Status(status),
        },
        error => ConnectError::Handshake(Box::new(error)),
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
