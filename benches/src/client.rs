//! A keep-alive client that hides nothing: each request is sent once, and whatever goes wrong with it is an error.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::error::Error;

/// One connection, opened anew only after the other side said that it closes it.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    stream: TcpStream,
    received: Vec<u8>,
    announced_close: bool,
}

/// What to ask for.
#[derive(Clone, Debug)]
pub struct Question {
    /// Host name.
    pub host: String,
    /// Path.
    pub path: String,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
}

impl Question {
    /// A question without further headers.
    pub fn new(host: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            path: path.into(),
            headers: Vec::new(),
        }
    }

    fn head(&self) -> String {
        let mut head = format!("GET {} HTTP/1.1\r\nHost: {}\r\n", self.path, self.host);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head + "\r\n"
    }
}

/// A complete answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
}

impl Client {
    /// Connects to `address`.
    ///
    /// # Errors
    /// If nobody listens there.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            address,
            stream: open(address)?,
            received: Vec::new(),
            announced_close: false,
        })
    }

    /// Sends a GET and reads the whole answer.
    ///
    /// # Errors
    /// If there is no complete answer within [`PATIENCE`].
    pub fn get(&mut self, question: &Question) -> io::Result<Reply> {
        if self.announced_close {
            self.stream = open(self.address)?;
            self.received.clear();
            self.announced_close = false;
        }
        self.stream.write_all(question.head().as_bytes())?;
        let head = loop {
            match Head::read(&self.received)? {
                Some(head) => break head,
                None => self.read_more()?,
            }
        };
        let end = head.length + head.body_length;
        while self.received.len() < end {
            self.read_more()?;
        }
        self.announced_close = head.closes;
        let body = self.received[head.length..end].to_vec();
        self.received.drain(..end);
        Ok(Reply {
            status: head.status,
            body,
        })
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 8 * 1024];
        let length = self.stream.read(&mut buffer)?;
        if length == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection was closed before the answer was complete",
            ));
        }
        self.received.extend_from_slice(&buffer[..length]);
        Ok(())
    }
}

/// Asks until there is a 200, and returns its body.
///
/// # Errors
/// With the last failure, if there is none within [`PATIENCE`].
pub fn first_good_answer(who: &str, address: SocketAddr, question: &Question) -> Result<Vec<u8>, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let what = match Client::connect(address).and_then(|mut client| client.get(question)) {
            Ok(reply) if reply.status == 200 => return Ok(reply.body),
            Ok(reply) => format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body)),
            Err(error) => error.to_string(),
        };
        if Instant::now() > deadline {
            return Err(Error::WrongAnswer {
                who: who.to_owned(),
                what,
            });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port that was free a moment ago, for programs that cannot say which one they took.
///
/// # Errors
/// If none is free.
pub fn free_address() -> Result<SocketAddr, Error> {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(Error::system("take a free port"))
}

struct Head {
    status: u16,
    length: usize,
    body_length: usize,
    closes: bool,
}

impl Head {
    /// `None` if it is not complete.
    fn read(received: &[u8]) -> io::Result<Option<Self>> {
        let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Response::new(&mut headers);
        let parsed = head.parse(received).map_err(|error| wrong(error.to_string()))?;
        let (httparse::Status::Complete(length), Some(status)) = (parsed, head.code) else {
            return Ok(None);
        };
        let value = |name: &str| {
            let found = head
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(found.value).ok()
        };
        let body_length = value("content-length")
            .and_then(|length| length.parse().ok())
            .ok_or_else(|| wrong("an answer without a length".to_owned()))?;
        Ok(Some(Self {
            status,
            length,
            body_length,
            closes: value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
        }))
    }
}

fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// How long anything may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);
