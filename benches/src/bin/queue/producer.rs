//! Producers of events: keep-alive connections that each wait for the 202 before their next event.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use harness::documents::ORG;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::gateway::KEY;

/// What to send.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// Where to.
    pub(crate) address: SocketAddr,
    /// Connections.
    pub(crate) connections: usize,
    /// Events in all.
    pub(crate) events: u64,
    /// Events in a second; as fast as they are acknowledged if `None`.
    pub(crate) rate: Option<u64>,
    /// Types of the events, in turn.
    pub(crate) types: Vec<String>,
    /// Begins the events' identifiers, so that no two runs have the same.
    pub(crate) name: &'static str,
    /// Times in events are counted from here.
    pub(crate) epoch: Instant,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// Events that were acknowledged: all of them.
    pub(crate) events: u64,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Sends it all from a thread of its own.
pub(crate) fn start(load: Load) -> JoinHandle<anyhow::Result<Sent>> {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(send_all(Arc::new(load)))
    })
}

/// The same, and waits for its end without keeping the runtime from its other work.
///
/// # Errors
/// If an event was not acknowledged.
pub(crate) async fn send(load: Load) -> anyhow::Result<Sent> {
    finished(start(load)).await
}

/// Waits for the end of a load.
///
/// # Errors
/// If an event was not acknowledged.
pub(crate) async fn finished(sender: JoinHandle<anyhow::Result<Sent>>) -> anyhow::Result<Sent> {
    tokio::task::spawn_blocking(move || sender.join().map_err(|_| anyhow!("a producer panicked"))?).await?
}

async fn send_all(load: Arc<Load>) -> anyhow::Result<Sent> {
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..load.connections {
        connections.spawn(send_on_one(Arc::clone(&load), Arc::clone(&next), started));
    }
    while let Some(ended) = connections.join_next().await {
        ended??;
    }
    Ok(Sent {
        events: load.events,
        took: started.elapsed(),
    })
}

async fn send_on_one(load: Arc<Load>, next: Arc<AtomicU64>, started: Instant) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(load.address).await?;
    stream.set_nodelay(true)?;
    let mut answer = vec![0; 4096];
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= load.events {
            return Ok(());
        }
        if let Some(rate) = load.rate {
            let due = started + Duration::from_micros(number * 1_000_000 / rate);
            tokio::time::sleep_until(due.into()).await;
        }
        let kind = &load.types[usize::try_from(number)? % load.types.len()];
        stream.write_all(request(&load, number, kind).as_bytes()).await?;
        let status = read_answer(&mut stream, &mut answer)
            .await
            .context("no answer to an event")?;
        ensure!(
            status == 202,
            "event {number} was answered with {status}: {}",
            String::from_utf8_lossy(&answer)
        );
    }
}

/// One event of 1 KiB.
fn request(load: &Load, number: u64, kind: &str) -> String {
    let sent = load.epoch.elapsed().as_micros();
    let body = format!(
        r#"{{"id":"{}-{number}","eventType":"{kind}","orgId":{ORG},"payload":{{"sent":{sent},"padding":"{PADDING}"}}}}"#,
        load.name
    );
    format!(
        "POST /api/v1/events HTTP/1.1\r\nHost: bench.test\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Reads one whole answer and returns its status.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<u16> {
    let mut have = 0;
    loop {
        let length = stream.read(&mut buffer[have..]).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        have += length;
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut headers);
        let parsed = head.parse(&buffer[..have]).map_err(io::Error::other)?;
        let (httparse::Status::Complete(end), Some(status)) = (parsed, head.code) else {
            continue;
        };
        let announced = head
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let body = announced
            .and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok())
            .unwrap_or(0_usize);
        if have >= end + body {
            return Ok(status);
        }
    }
}

/// Brings an event to about 1 KiB.
const PADDING: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
