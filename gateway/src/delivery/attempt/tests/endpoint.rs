//! An endpoint to deliver to: it keeps what it gets, and answers as it is told.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderMap;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) line: String,
    pub(super) headers: HeaderMap,
    /// The beginning of the body.
    pub(super) body: Vec<u8>,
    pub(super) length: usize,
}

pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Endpoint {
    /// Answers each request with what `answer` makes of it.
    pub(super) async fn start(answer: impl Fn(&Got) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::serve(move |mut stream, got| {
            let answer = answer(&got);
            async move {
                let _ = stream.write_all(&answer).await;
                stream
            }
        })
        .await
    }

    /// Answers with a status and no body.
    pub(super) async fn status(status: u16) -> Self {
        Self::start(move |_| format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").into_bytes()).await
    }

    /// Hands the connection to `serve` after each request, and takes it back for the next one.
    pub(super) async fn serve<F, S>(serve: F) -> Self
    where
        F: Fn(TcpStream, Got) -> S + Send + Sync + 'static,
        S: Future<Output = TcpStream> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let all = Arc::new(Mutex::new(Vec::new()));
        let (kept, serve) = (Arc::clone(&all), Arc::new(serve));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (kept, serve) = (Arc::clone(&kept), Arc::clone(&serve));
                tokio::spawn(async move {
                    while let Some(got) = read(&mut stream).await {
                        kept.lock().push(got.clone());
                        stream = serve(stream, got).await;
                    }
                });
            }
        });
        Self { address, got: all }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests so far.
    pub(super) fn got(&self) -> Vec<Got> {
        self.got.lock().clone()
    }
}

/// An answer with a JSON body.
pub(super) fn json(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

async fn read(stream: &mut TcpStream) -> Option<Got> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next()?.to_owned();
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name = http::HeaderName::try_from(name).unwrap();
        headers.append(name, value.parse().unwrap());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.to_str().unwrap().parse().unwrap());
    let (mut body, mut read) = (Vec::new(), 0);
    let mut chunk = vec![0; 64 * 1024];
    while read < length {
        let got = stream.read(&mut chunk).await.ok().filter(|got| *got > 0)?;
        read += got;
        if body.len() < 1024 * 1024 {
            body.extend_from_slice(&chunk[..got]);
        }
    }
    Some(Got {
        line,
        headers,
        body,
        length,
    })
}
