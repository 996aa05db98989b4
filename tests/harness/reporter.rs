//! A gateway's end of the push stream, said word by word: for records whose identifiers a test chooses, and for commands
//! that nobody carries out.

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::{ControlPlane, wait};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A gateway as far as its control plane can see.
#[derive(Debug)]
pub struct Reporter {
    sink: SplitSink<Socket, Message>,
    heard: mpsc::UnboundedReceiver<Value>,
    /// Reads at all times: a gateway that answers no ping is taken for gone.
    listening: JoinHandle<()>,
}

impl Reporter {
    /// Connects as the gateway `name`, which has no configuration yet.
    ///
    /// # Panics
    /// If the control plane does not take it.
    pub async fn connect(control_plane: &ControlPlane, name: &str) -> Self {
        let url = format!("{}/api/v1/gateways/stream", control_plane.url()).replacen("http", "ws", 1);
        let mut request = url.into_client_request().unwrap();
        let token = format!("Bearer {}", control_plane.gateway_token());
        request.headers_mut().insert("authorization", token.parse().unwrap());
        let (socket, _) = wait::within("the push stream", connect_async(request)).await.unwrap();
        let (sink, stream) = socket.split();
        let (hears, heard) = mpsc::unbounded_channel();
        let mut reporter = Self {
            sink,
            heard,
            listening: tokio::spawn(listen(stream, hears)),
        };
        reporter
            .say(&json!({"message": "hello", "gatewayId": name, "modelVersion": 1, "have": null}))
            .await;
        reporter.hear("snapshot").await;
        reporter
    }

    /// Tells what became of deliveries, as the first batch of its spool, and waits until it is kept.
    pub async fn outcomes(&mut self, records: &Value) {
        self.say(&json!({"message": "outcomes", "upTo": 1, "records": records}))
            .await;
        self.hear("settled").await;
    }

    /// Hands over records of calls, and waits until they are kept.
    pub async fn records(&mut self, records: &Value) {
        self.say(&json!({"message": "records", "batch": "b", "dropped": 0, "records": records}))
            .await;
        self.hear("recorded").await;
    }

    /// Tells how deliveries stand.
    pub async fn deliveries(&mut self, endpoints: &Value) {
        self.say(&json!({"message": "deliveries", "endpoints": endpoints}))
            .await;
    }

    /// Sends a message.
    ///
    /// # Panics
    /// If the control plane is gone.
    pub async fn say(&mut self, message: &Value) {
        self.sink.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Waits for a message of this name; others are passed over.
    ///
    /// # Panics
    /// If none comes.
    pub async fn hear(&mut self, name: &str) -> Value {
        let heard = async {
            while let Some(message) = self.heard.recv().await {
                if message["message"] == name {
                    return message;
                }
            }
            panic!("the control plane left the stream");
        };
        wait::within(name, heard).await
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(mut stream: SplitStream<Socket>, hears: mpsc::UnboundedSender<Value>) {
    while let Some(Ok(message)) = stream.next().await {
        if let Message::Text(text) = message
            && hears.send(serde_json::from_str(&text).unwrap()).is_err()
        {
            return;
        }
    }
}
