//! A client that writes bytes, for requests that no HTTP library would send.

use std::fmt::Write as _;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::wait;

/// One connection.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    /// Read, but not part of an answer yet.
    rest: Vec<u8>,
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    /// The status.
    pub status: u16,
    /// Names (in lower case) and values, in their order.
    pub headers: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl RawAnswer {
    /// The value of the first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find_map(|(own, value)| (own == name).then_some(value.as_str()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    /// The `code` of an error body.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl RawClient {
    /// Connects to `address`.
    ///
    /// # Panics
    /// If nobody listens there.
    pub async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            rest: Vec::new(),
        }
    }

    /// Writes bytes. An error is ignored: the other side may answer and close before it has read everything.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        drop(self.stream.write_all(bytes.as_ref()).await);
    }

    /// Writes a request of these lines with line ends, the empty line, and a body.
    pub async fn request(&mut self, lines: &[&str], body: &str) {
        let mut text = String::new();
        for line in lines {
            write!(text, "{line}\r\n").unwrap();
        }
        write!(text, "\r\n{body}").unwrap();
        self.send(text).await;
    }

    /// Says that nothing more will be sent.
    pub async fn finish_sending(&mut self) {
        drop(self.stream.shutdown().await);
    }

    /// Reads the next answer.
    ///
    /// # Panics
    /// If the connection ends before it is complete, or nothing comes.
    pub async fn answer(&mut self) -> RawAnswer {
        match self.maybe_answer().await {
            Some(answer) => answer,
            None => panic!(
                "the connection was closed after {:?}",
                String::from_utf8_lossy(&self.rest)
            ),
        }
    }

    /// Reads the next answer; `None` if the connection is closed before it begins.
    pub async fn maybe_answer(&mut self) -> Option<RawAnswer> {
        let (status, headers, length) = wait::within("the head of an answer", self.head()).await?;
        self.rest.drain(..length);
        let mut answer = RawAnswer {
            status,
            headers,
            body: Vec::new(),
        };
        answer.body = wait::within("the body of an answer", self.body(&answer)).await;
        Some(answer)
    }

    /// Reads until the end of a head, or of the connection, and returns that as it came.
    pub async fn head_text(&mut self) -> String {
        wait::within("a head", async {
            while !self.rest.windows(4).any(|end| end == b"\r\n\r\n") && self.read_more().await {}
        })
        .await;
        let text = String::from_utf8_lossy(&self.rest).into_owned();
        text.split("\r\n\r\n").next().unwrap_or_default().to_owned()
    }

    /// True once the other side closes the connection; what it still sends is dropped.
    pub async fn closed(&mut self) -> bool {
        wait::within("the end of the connection", async { while self.read_more().await {} }).await;
        true
    }

    /// Reads until the other side closes, and returns everything.
    pub async fn everything(&mut self) -> String {
        self.closed().await;
        String::from_utf8_lossy(&self.rest).into_owned()
    }

    async fn head(&mut self) -> Option<(u16, Vec<(String, String)>, usize)> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut head = httparse::Response::new(&mut headers);
            match head.parse(&self.rest) {
                Ok(httparse::Status::Complete(length)) => {
                    let headers = head.headers.iter().map(|header| {
                        let value = String::from_utf8_lossy(header.value).into_owned();
                        (header.name.to_ascii_lowercase(), value)
                    });
                    return Some((head.code?, headers.collect(), length));
                }
                Ok(httparse::Status::Partial) => {}
                Err(error) => panic!("{error} in {:?}", String::from_utf8_lossy(&self.rest)),
            }
            if !self.read_more().await {
                return None;
            }
        }
    }

    async fn body(&mut self, answer: &RawAnswer) -> Vec<u8> {
        if answer.status < 200 || answer.status == 204 || answer.status == 304 {
            return Vec::new();
        }
        if answer.header("transfer-encoding").is_some() {
            return self.chunks().await;
        }
        let Some(length) = answer.header("content-length") else {
            while self.read_more().await {}
            return std::mem::take(&mut self.rest);
        };
        self.take(length.parse().unwrap()).await
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await;
            let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
            body.extend(self.take(size).await);
            self.line().await;
            if size == 0 {
                return body;
            }
        }
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line = self.rest.drain(..=end).collect();
                return String::from_utf8(line).unwrap();
            }
            assert!(self.read_more().await, "the connection was closed inside a line");
        }
    }

    async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.rest.len() < length {
            assert!(self.read_more().await, "the connection was closed inside a body");
        }
        self.rest.drain(..length).collect()
    }

    async fn read_more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.rest.extend_from_slice(&buffer[..length]);
                true
            }
        }
    }
}
