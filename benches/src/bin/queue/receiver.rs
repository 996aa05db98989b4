//! Endpoints: good ones that count what they get and when, and three bad ones.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use benches::error::Error;
use harness::wait;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server for all endpoints: `/ok/...`, `/hang`, `/trickle` and `/gigabyte`.
#[derive(Debug)]
pub(crate) struct Receiver {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    epoch: Instant,
    delivered: AtomicU64,
    /// Microseconds from the event's sending to its delivery's first byte.
    delays: Mutex<Vec<f64>>,
}

impl Receiver {
    /// Listens on `address`, from a thread of its own that lives as long as the program.
    ///
    /// # Errors
    /// If it cannot listen.
    pub(crate) fn start(address: SocketAddr, epoch: Instant) -> Result<Self, Error> {
        let listener = std::net::TcpListener::bind(address).map_err(Error::system("listen as the receiver"))?;
        let address = listener.local_addr().map_err(Error::system("listen as the receiver"))?;
        let shared = Arc::new(Shared {
            epoch,
            delivered: AtomicU64::new(0),
            delays: Mutex::default(),
        });
        let kept = Arc::clone(&shared);
        thread::spawn(move || serve(listener, &kept));
        Ok(Self { address, shared })
    }

    /// The address of an endpoint.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Deliveries to good endpoints so far.
    pub(crate) fn delivered(&self) -> u64 {
        self.shared.delivered.load(Ordering::Relaxed)
    }

    /// Delays in milliseconds since this was asked last.
    pub(crate) fn take_delays_ms(&self) -> Vec<f64> {
        let delays = std::mem::take(&mut *self.shared.delays.lock());
        delays.into_iter().map(|delay| delay / 1e3).collect()
    }

    /// Waits until there were `count` deliveries; `false` if none came for as long as patience lasts.
    pub(crate) async fn reached(&self, count: u64) -> bool {
        let (mut last, mut since) = (self.delivered(), Instant::now());
        while self.delivered() < count {
            if self.delivered() != last {
                (last, since) = (self.delivered(), Instant::now());
            }
            if since.elapsed() > wait::PATIENCE {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        true
    }
}

fn serve(listener: std::net::TcpListener, shared: &Arc<Shared>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (Ok(runtime), Ok(())) = (runtime, listener.set_nonblocking(true)) else {
        return;
    };
    runtime.block_on(async {
        let Ok(listener) = TcpListener::from_std(listener) else {
            return;
        };
        while let Ok((stream, _)) = listener.accept().await {
            let shared = Arc::clone(shared);
            tokio::spawn(async move { drop(answer_all(stream, &shared).await) });
        }
    });
}

async fn answer_all(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut have = 0;
    let mut arrived = None;
    loop {
        while let Some(request) = Request::read(&buffer[..have])? {
            let at = arrived.take().unwrap_or_else(|| shared.epoch.elapsed());
            match request.path.as_str() {
                "/hang" => std::future::pending().await,
                "/trickle" => return trickle(stream).await,
                "/gigabyte" => return gigabyte(stream).await,
                _ => {}
            }
            if let Some(sent) = request.sent {
                shared.delays.lock().push((at - sent).as_micros() as f64);
            }
            shared.delivered.fetch_add(1, Ordering::Relaxed);
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
            buffer.copy_within(request.length..have, 0);
            have -= request.length;
        }
        let length = stream.read(&mut buffer[have..]).await?;
        if length == 0 {
            return Ok(());
        }
        arrived.get_or_insert_with(|| shared.epoch.elapsed());
        have += length;
    }
}

/// A byte of the answer's body each second, without end.
async fn trickle(mut stream: TcpStream) -> io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        .await?;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stream.write_all(b".").await?;
    }
}

/// An answer of a gigabyte.
async fn gigabyte(mut stream: TcpStream) -> io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        .await?;
    let piece = vec![b'.'; 64 * 1024];
    for _ in 0..(1 << 30) / piece.len() {
        stream.write_all(&piece).await?;
    }
    Ok(())
}

struct Request {
    length: usize,
    path: String,
    /// When the event was sent, as its payload says.
    sent: Option<Duration>,
}

impl Request {
    /// `None` if it is not whole.
    fn read(bytes: &[u8]) -> io::Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(end) = head.parse(bytes).map_err(io::Error::other)? else {
            return Ok(None);
        };
        let announced = head
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let body = announced
            .and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok())
            .unwrap_or(0_usize);
        let Some(body) = bytes.get(end..end + body) else {
            return Ok(None);
        };
        Ok(Some(Self {
            length: end + body.len(),
            path: head.path.unwrap_or_default().to_owned(),
            sent: sent_at(body),
        }))
    }
}

fn sent_at(body: &[u8]) -> Option<Duration> {
    const FIELD: &str = "\"sent\":";
    let text = std::str::from_utf8(body).ok()?;
    let digits = &text[text.find(FIELD)? + FIELD.len()..];
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    digits[..end].parse().ok().map(Duration::from_micros)
}
