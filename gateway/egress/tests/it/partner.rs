//! Partners to talk to, and the shortest ways to talk to them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use egress::{Answer, EgressError, Pool, PoolSettings, Resolver, Timeouts, Upstream};
use filters::address::EgressPolicy;
use filters::target::TargetUrl;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// An HTTP server; its connections are counted.
pub(crate) struct Partner {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Partner {
    /// Answers each request with what `answer` makes of it.
    pub(crate) async fn start<F>(answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Response<Full<Bytes>> + Clone + Send + 'static,
    {
        Self::accept(move |stream| {
            let answer = answer.clone();
            async move {
                let service = service_fn(move |request| {
                    let response = answer(request);
                    async move { Ok::<_, Infallible>(response) }
                });
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        })
        .await
    }

    /// Reads one request head after the other and writes `answer` as it is, then does what is left: keeps the connection
    /// open, or closes it.
    pub(crate) async fn raw(answer: &'static [u8], close: bool) -> Self {
        Self::accept(move |mut stream| async move {
            while read_head(&mut stream).await {
                if stream.write_all(answer).await.is_err() || close {
                    return;
                }
            }
        })
        .await
    }

    /// Hands each connection to `serve`.
    pub(crate) async fn accept<F, S>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream));
            }
        });
        Self { address, connections }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn pool(&self) -> Pool {
        pool(&self.url(), open())
    }
}

/// True once a request head was read, false at the end of the connection.
pub(crate) async fn read_head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}

/// The policy of a demo: every address may be connected to.
pub(crate) fn open() -> EgressPolicy {
    EgressPolicy {
        block_private_networks: false,
        allowed_networks: Vec::new(),
    }
}

pub(crate) fn resolver() -> Arc<Resolver> {
    Arc::new(Resolver::from_system().expect("a resolver"))
}

pub(crate) fn pool(url: &str, policy: EgressPolicy) -> Pool {
    pool_with(url, policy, resolver(), PoolSettings::default())
}

pub(crate) fn pool_with(url: &str, policy: EgressPolicy, resolver: Arc<Resolver>, settings: PoolSettings) -> Pool {
    let target = TargetUrl::parse(url).expect("a target");
    let tls = egress::client_config(None).expect("TLS settings");
    Pool::new(Upstream::new(target, policy, resolver), settings, tls)
}

/// So long that only a hanging test meets them.
pub(crate) const PATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(20),
    first_byte: Duration::from_secs(20),
    total: Duration::from_secs(20),
};

pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).expect("a request")
}

pub(crate) async fn call(pool: &Pool, path: &str) -> Result<Answer, EgressError> {
    pool.send(get(path), PATIENT).await
}

/// The body of the answer to a GET of `path`, as text.
pub(crate) async fn text(pool: &Pool, path: &str) -> String {
    let answer = call(pool, path).await.expect("an answer");
    let body = answer.collect(1 << 20).await.expect("a body");
    String::from_utf8(body.into()).expect("text")
}

/// Waits until `holds`, looking again every few milliseconds.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let patience = tokio::time::timeout(Duration::from_secs(20), async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(patience.await.is_ok(), "never came true: {what}");
}
