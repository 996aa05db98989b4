//! Frames of HTTP/2 as bytes, for what no HTTP library would send.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::wait;

/// Kinds of frames.
pub mod kind {
    /// A piece of a body.
    pub const DATA: u8 = 0;
    /// The head of a request, or its beginning.
    pub const HEADERS: u8 = 1;
    /// What a request depends on.
    pub const PRIORITY: u8 = 2;
    /// What the sender can take.
    pub const SETTINGS: u8 = 4;
    /// Room for more of a body.
    pub const WINDOW_UPDATE: u8 = 8;
    /// More of a head.
    pub const CONTINUATION: u8 = 9;
}

/// No more frames of the request follow.
pub const END_STREAM: u8 = 1;
/// The head ends here.
pub const END_HEADERS: u8 = 4;

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A settings frame with one setting.
pub fn setting(name: u16, value: u32) -> Vec<u8> {
    let payload = [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(kind::SETTINGS, 0, 0, &payload)
}

/// The fields of a GET, in their longest form: no table is needed to read them.
pub fn get(host: &str, path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", host),
        (":path", path),
    ];
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// One connection that writes frames and reads nothing but its end.
#[derive(Debug)]
pub struct FrameClient {
    stream: TcpStream,
}

impl FrameClient {
    /// Connects, and says the preface with `settings`.
    ///
    /// # Panics
    /// If nobody listens.
    pub async fn connect(address: &str, settings: &[u8]) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self { stream };
        client.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        client.say(settings).await;
        client
    }

    /// Writes; false once the other side takes no more.
    pub async fn say(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Writes `round(0)`, `round(1)` and so on while it reads what comes; true if the other side ended the connection
    /// within that many rounds.
    pub async fn flood(self, rounds: u32, mut round: impl FnMut(u32) -> Vec<u8>) -> bool {
        let (mut reading, mut writing) = self.stream.into_split();
        let flood = async {
            for number in 0..rounds {
                writing.write_all(&round(number)).await?;
                // What it answers is taken in between, as a client would.
                tokio::task::yield_now().await;
            }
            Ok::<_, std::io::Error>(())
        };
        let mut answers = tokio::io::sink();
        wait::within("the end of a flood", async {
            tokio::select! {
                flooded = flood => flooded.is_err(),
                _ = tokio::io::copy(&mut reading, &mut answers) => true,
            }
        })
        .await
    }

    /// Waits for the other side to end the connection.
    pub async fn ended(mut self) {
        let mut rest = Vec::new();
        drop(wait::within("the end of the connection", self.stream.read_to_end(&mut rest)).await);
    }
}
