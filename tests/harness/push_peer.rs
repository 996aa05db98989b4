//! The other end of a gateway's push stream, said word by word: for what a real control plane would never send.

use filters::model::push::{FromControlPlane, FromGateway, MODEL_VERSION_FIELD};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use crate::wait;

/// Listens as a control plane does.
#[derive(Debug)]
pub struct PushPeer {
    listener: TcpListener,
}

/// One connection of a gateway.
#[derive(Debug)]
pub struct PushStream {
    socket: WebSocketStream<TcpStream>,
    /// What the gateway showed in `Authorization`.
    pub authorization: String,
}

impl PushPeer {
    /// On a free port.
    pub async fn listen() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        }
    }

    /// Its address for a gateway's settings.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.local_addr().unwrap())
    }

    /// Waits for a gateway and shakes hands.
    ///
    /// # Panics
    /// If none comes, or not with a WebSocket.
    pub async fn accept(&self) -> PushStream {
        self.accept_speaking(None).await
    }

    /// The same, as a control plane that speaks this version of the model.
    ///
    /// # Panics
    /// If none comes, or not with a WebSocket.
    pub async fn accept_speaking(&self, model_version: Option<u32>) -> PushStream {
        let (stream, _) = wait::within("a gateway to connect", self.listener.accept())
            .await
            .unwrap();
        let mut authorization = String::new();
        #[expect(clippy::result_large_err, reason = "the library asks for this type")]
        let look = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            if let Some(version) = model_version {
                response.headers_mut().insert(MODEL_VERSION_FIELD, version.into());
            }
            let shown = request.headers().get("authorization");
            authorization = shown
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned();
            Ok(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(stream, look).await.unwrap();
        PushStream { socket, authorization }
    }
}

impl PushStream {
    /// Sends a message.
    ///
    /// # Panics
    /// If the gateway is gone.
    pub async fn say(&mut self, message: &FromControlPlane) {
        self.say_text(&serde_json::to_string(message).unwrap()).await;
    }

    /// Sends any text.
    ///
    /// # Panics
    /// If the gateway is gone.
    pub async fn say_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The next message that is neither a status nor a batch of records.
    ///
    /// # Panics
    /// If none comes, or one that cannot be read.
    pub async fn hear(&mut self) -> FromGateway {
        let heard = async {
            loop {
                let text = match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    other => panic!("the gateway left the stream: {other:?}"),
                };
                match serde_json::from_str(&text).unwrap() {
                    FromGateway::Status { .. } | FromGateway::Records { .. } => {}
                    message => return message,
                }
            }
        };
        wait::within("a message of the gateway", heard).await
    }

    /// True once the gateway has ended the connection.
    pub async fn ended(&mut self) -> bool {
        wait::within("the end of the stream", async {
            while let Some(Ok(_)) = self.socket.next().await {}
        })
        .await;
        true
    }
}
