//! A client of HTTP/2 that can do what no careful client does.

use bytes::Bytes;
use h2::client::{self, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Method, Request, Response};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::wait;

/// One connection.
#[derive(Debug)]
pub struct H2Client {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// An answer that was read to its end.
#[derive(Clone, Debug)]
pub struct H2Answer {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What stood behind the body.
    pub trailers: HeaderMap,
}

impl H2Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A field behind the body, or in a head that stands alone.
    pub fn field(&self, name: &str) -> Option<&str> {
        let field = self.trailers.get(name).or_else(|| self.headers.get(name));
        field?.to_str().ok()
    }
}

impl H2Client {
    /// Connects without TLS.
    pub async fn connect(address: &str) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    /// Speaks over a connection that is there.
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let mut builder = client::Builder::new();
        builder
            .initial_window_size(1 << 20)
            .initial_connection_window_size(1 << 20);
        let begun = wait::within("HTTP/2 to begin", builder.handshake(stream)).await;
        let (requests, connection) = begun.unwrap();
        Self {
            requests,
            connection: tokio::spawn(connection),
        }
    }

    /// A request that is to be sent.
    pub fn request(method: Method, host: &str, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(format!("http://{host}{path}"))
    }

    /// A GET whose answer is read.
    pub async fn get(&mut self, host: &str, path: &str) -> H2Answer {
        let request = Self::request(Method::GET, host, path).body(()).unwrap();
        self.call(request, b"").await
    }

    /// A request with a whole body (without one if it is empty) whose answer is read.
    pub async fn call(&mut self, request: Request<()>, body: &'static [u8]) -> H2Answer {
        let (answer, mut stream) = self.begin(request, body.is_empty()).await;
        if !body.is_empty() {
            stream.send_data(Bytes::from_static(body), true).unwrap();
        }
        read(answer).await
    }

    /// Sends a head. `end` says that it is all.
    pub async fn begin(&mut self, request: Request<()>, end: bool) -> (ResponseFuture, SendStream<Bytes>) {
        self.try_begin(request, end).await.unwrap()
    }

    /// The same; an error where the server will have no more requests.
    ///
    /// # Errors
    /// What the server said.
    pub async fn try_begin(
        &mut self,
        request: Request<()>,
        end: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let ready = wait::within("room for a request", self.requests.clone().ready()).await;
        self.requests = ready?;
        self.requests.send_request(request, end)
    }

    /// Waits for the end of the connection, and says how it ended.
    pub async fn ended(self) -> Result<(), h2::Error> {
        drop(self.requests);
        wait::within("the end of the connection", self.connection)
            .await
            .unwrap()
    }
}

/// Reads an answer to its end.
///
/// # Panics
/// If it breaks off.
pub async fn read(answer: ResponseFuture) -> H2Answer {
    match try_read(answer).await {
        Ok(answer) => answer,
        Err(error) => panic!("the answer broke off: {error}"),
    }
}

/// Reads an answer to its end.
///
/// # Errors
/// If it breaks off.
pub async fn try_read(answer: ResponseFuture) -> Result<H2Answer, h2::Error> {
    let answer: Response<RecvStream> = wait::within("an answer", answer).await?;
    let (head, mut stream) = answer.into_parts();
    let mut body = Vec::new();
    while let Some(data) = wait::within("more of an answer", stream.data()).await {
        let data = data?;
        body.extend_from_slice(&data);
        stream.flow_control().release_capacity(data.len())?;
    }
    let trailers = wait::within("the end of an answer", stream.trailers()).await?;
    Ok(H2Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: body.into(),
        trailers: trailers.unwrap_or_default(),
    })
}
