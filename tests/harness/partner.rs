//! A partner's API: a real HTTP/1.1 server that remembers what it received, as bytes and as requests.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::answer::Answer;
use crate::wait;

/// A partner that listens until it is dropped.
#[derive(Debug)]
pub struct Partner {
    address: SocketAddr,
    memory: Arc<Memory>,
    listener: JoinHandle<()>,
}

/// A request as the partner received it.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method.
    pub method: Method,
    /// Path and query, as on the request line.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Received {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }
}

impl Partner {
    /// A partner that answers every request in the same way.
    pub async fn answering(answer: Answer) -> Self {
        Self::start(move |_| answer.clone()).await
    }

    /// A partner that sends back what it received: `{method, uri, headers, body}`.
    pub async fn echo() -> Self {
        Self::start(|request| {
            let headers: serde_json::Map<_, _> = request
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
                .collect();
            Answer::json(&serde_json::json!({
                "method": request.method.as_str(),
                "uri": request.uri.to_string(),
                "headers": headers,
                "body": String::from_utf8_lossy(&request.body),
            }))
        })
        .await
    }

    /// A partner that decides from each request what to answer.
    pub async fn start(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        let listener = listen("127.0.0.1:0").await;
        Self::on(listener, script)
    }

    /// The same on a listener of the caller's.
    pub fn on(listener: TcpListener, script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        let script = Arc::new(script);
        Self::accepting(listener, move |stream, memory| {
            let script = Arc::clone(&script);
            async move { serve(stream, memory, script).await }
        })
    }

    /// A partner that writes these bytes as its answer to the head of each request, whatever HTTP says about them, and
    /// then closes the connection.
    pub async fn raw(answer: &'static [u8]) -> Self {
        let listener = listen("127.0.0.1:0").await;
        Self::accepting(listener, move |mut stream, _| async move {
            if stream.read_head().await {
                drop(stream.write_all(answer).await);
                drop(stream.shutdown().await);
            }
        })
    }

    /// The same, but the connection stays open for further requests.
    pub async fn raw_kept_open(answer: &'static [u8]) -> Self {
        let listener = listen("127.0.0.1:0").await;
        Self::accepting(listener, move |mut stream, _| async move {
            while stream.read_head().await && stream.write_all(answer).await.is_ok() {}
        })
    }

    fn accepting<F>(listener: TcpListener, serve: impl Fn(Recorded, Arc<Memory>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let memory = Arc::<Memory>::default();
        let kept = Arc::clone(&memory);
        let listener = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                drop(stream.set_nodelay(true));
                let bytes = Arc::<Mutex<Vec<u8>>>::default();
                kept.connections.lock().unwrap().push(Arc::clone(&bytes));
                connections.spawn(serve(Recorded { stream, bytes }, Arc::clone(&kept)));
            }
        });
        Self {
            address,
            memory,
            listener,
        }
    }

    /// Its address, as `127.0.0.1:PORT`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address followed by `path`, as `http://127.0.0.1:PORT/path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every request so far, complete ones only.
    pub fn requests(&self) -> Vec<Received> {
        self.memory.requests.lock().unwrap().clone()
    }

    /// The one request that was received.
    ///
    /// # Panics
    /// If there was none or more than one.
    pub fn only_request(&self) -> Received {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "the partner received {requests:?}");
        requests.remove(0)
    }

    /// Waits until `count` requests have come, and returns them.
    pub async fn received(&self, count: usize) -> Vec<Received> {
        let what = format!("{count} requests at the partner");
        wait::until(&what, async || {
            let requests = self.requests();
            (requests.len() >= count).then_some(requests)
        })
        .await
    }

    /// The bytes that came in, connection by connection.
    pub fn bytes(&self) -> Vec<String> {
        let connections = self.memory.connections.lock().unwrap();
        connections
            .iter()
            .map(|bytes| String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned())
            .collect()
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.memory.connections.lock().unwrap().len()
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        let connections = self.memory.connections.lock().unwrap();
        connections.iter().filter(|bytes| Arc::strong_count(bytes) > 1).count()
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// A listener on `address`.
///
/// # Panics
/// If the address is taken.
pub async fn listen(address: &str) -> TcpListener {
    TcpListener::bind(address).await.unwrap()
}

#[derive(Debug, Default)]
struct Memory {
    requests: Mutex<Vec<Received>>,
    connections: Mutex<Vec<Arc<Mutex<Vec<u8>>>>>,
}

async fn serve(
    stream: Recorded,
    memory: Arc<Memory>,
    script: Arc<impl Fn(&Received) -> Answer + Send + Sync + 'static>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (memory, script) = (Arc::clone(&memory), Arc::clone(&script));
        async move {
            let (head, body) = request.into_parts();
            let Ok(body) = body.collect().await else {
                return Ok(Answer::status(400).send().await);
            };
            let received = Received {
                method: head.method,
                uri: head.uri,
                headers: head.headers,
                body: body.to_bytes(),
            };
            let answer = script(&received);
            memory.requests.lock().unwrap().push(received);
            Ok::<_, Infallible>(answer.send().await)
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    drop(connection.with_upgrades().await);
}

/// A connection that keeps a copy of what is read from it.
#[derive(Debug)]
struct Recorded {
    stream: TcpStream,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Recorded {
    /// Reads until the end of a request's head; false if the client leaves before.
    async fn read_head(&mut self) -> bool {
        let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            match self.read(&mut buffer).await {
                Ok(0) | Err(_) => return false,
                Ok(length) => head.extend_from_slice(&buffer[..length]),
            }
        }
        true
    }
}

impl AsyncRead for Recorded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.bytes.lock().unwrap().extend_from_slice(&buf.filled()[before..]);
        polled
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
