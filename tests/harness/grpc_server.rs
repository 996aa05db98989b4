//! A partner that speaks gRPC: messages in frames over HTTP/2, and a status behind them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::server::{self, SendResponse};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::authority::Pair;

/// A server of `/echo.Echo/*`, until it is dropped.
///
/// `Say` sends back the one message it gets, `Count` sends the numbers up to the message's, `Chat` answers each message
/// as it comes, `Fail` ends with status 5 (NOT_FOUND), and `Drop` breaks off after one message.
#[derive(Debug)]
pub struct GrpcServer {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<HeaderMap>>>,
    listener: JoinHandle<()>,
}

impl GrpcServer {
    /// Without TLS.
    pub async fn start() -> Self {
        Self::serving(None).await
    }

    /// With TLS, showing `pair`.
    pub async fn with_tls(pair: &Pair) -> Self {
        Self::serving(Some(TlsAcceptor::from(Arc::new(pair.server_config(&["h2"]))))).await
    }

    async fn serving(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<HeaderMap>>>::default();
        let kept = Arc::clone(&heads);
        let listener = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, heads) = (tls.clone(), Arc::clone(&kept));
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, heads).await;
                            }
                        }
                        None => serve(stream, heads).await,
                    }
                });
            }
        });
        Self {
            address,
            heads,
            listener,
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The header fields of each call so far.
    pub fn heads(&self) -> Vec<HeaderMap> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for GrpcServer {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, heads: Arc<Mutex<Vec<HeaderMap>>>) {
    let Ok(mut connection) = server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, answer))) = connection.accept().await {
        heads.lock().unwrap().push(request.headers().clone());
        tokio::spawn(call(request, answer));
    }
}

async fn call(request: Request<RecvStream>, mut answer: SendResponse<Bytes>) -> Option<()> {
    let method = request.uri().path().to_owned();
    let mut messages = Messages::of(request.into_body());
    let head = Response::builder()
        .header("content-type", "application/grpc")
        .body(())
        .ok()?;
    if method == "/echo.Echo/Fail" {
        let mut head = head;
        head.headers_mut().extend(status("5", "no such echo"));
        answer.send_response(head, true).ok()?;
        return Some(());
    }
    let mut stream = answer.send_response(head, false).ok()?;
    match method.as_str() {
        "/echo.Echo/Say" => {
            let message = messages.next().await?;
            send(&mut stream, &message)?;
        }
        "/echo.Echo/Count" => {
            let most: u32 = String::from_utf8(messages.next().await?).ok()?.parse().ok()?;
            for number in 1..=most {
                send(&mut stream, number.to_string().as_bytes())?;
            }
        }
        "/echo.Echo/Chat" => {
            while let Some(message) = messages.next().await {
                send(&mut stream, &[b"you said ".as_slice(), &message].concat())?;
            }
        }
        _ => {
            send(&mut stream, b"so far")?;
            stream.send_reset(h2::Reason::INTERNAL_ERROR);
            return None;
        }
    }
    stream.send_trailers(status("0", "")).ok()
}

fn status(code: &'static str, message: &'static str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert("grpc-status", http::HeaderValue::from_static(code));
    fields.insert("grpc-message", http::HeaderValue::from_static(message));
    fields
}

fn send(stream: &mut SendStream<Bytes>, message: &[u8]) -> Option<()> {
    stream.send_data(frame(message), false).ok()
}

/// A message with its prefix.
pub fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    frame.freeze()
}

/// Takes a message with its prefix off the front of `bytes`, if one is there whole.
pub fn unframe(bytes: &mut BytesMut) -> Option<Vec<u8>> {
    let length = usize::try_from(u32::from_be_bytes(*bytes.get(1..5)?.first_chunk()?)).unwrap();
    if bytes.len() < 5 + length {
        return None;
    }
    bytes.advance(5);
    Some(bytes.split_to(length).to_vec())
}

/// The messages of a stream, as they come.
#[derive(Debug)]
pub struct Messages {
    stream: RecvStream,
    rest: BytesMut,
}

impl Messages {
    /// Those of `stream`.
    pub fn of(stream: RecvStream) -> Self {
        Self {
            stream,
            rest: BytesMut::new(),
        }
    }

    /// The next one; `None` at the end, or where it breaks off.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(message) = unframe(&mut self.rest) {
                return Some(message);
            }
            let data = self.stream.data().await?.ok()?;
            self.rest.extend_from_slice(&data);
            self.stream.flow_control().release_capacity(data.len()).ok()?;
        }
    }

    /// What stands behind the messages.
    ///
    /// # Errors
    /// If the stream broke off.
    pub async fn trailers(mut self) -> Result<HeaderMap, h2::Error> {
        while let Some(data) = self.stream.data().await {
            let data = data?;
            self.stream.flow_control().release_capacity(data.len())?;
        }
        Ok(self.stream.trailers().await?.unwrap_or_default())
    }
}
