//! What a request carries: bytes in memory, or pieces of which some stay in a file until they are sent.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::Full;
use tokio::task::{JoinHandle, spawn_blocking};

/// The body of a request, of known length. A clone begins at the beginning.
#[derive(Debug)]
pub struct Body(State);

/// A piece of a body.
#[derive(Clone, Debug)]
pub enum Part {
    /// Bytes in memory.
    Bytes(Bytes),
    /// The first `length` bytes of a file. The file must not change until the request is over.
    File {
        /// The file, open for reading.
        file: Arc<File>,
        /// How much of it.
        length: u64,
    },
}

impl Body {
    /// A body of several pieces, one after the other. Of a file, [`READ`] bytes are in memory at a time.
    pub fn of_parts(parts: impl Into<Arc<[Part]>>) -> Self {
        let parts = parts.into();
        Self(State::Parts(Box::new(Parts {
            left: parts.iter().map(Part::length).sum(),
            parts,
            next: 0,
            offset: 0,
            reading: None,
        })))
    }

    /// Its length in bytes, less what was sent of it.
    pub fn length(&self) -> u64 {
        match &self.0 {
            State::Whole(bytes) => bytes.len() as u64,
            State::Parts(parts) => parts.left,
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self(State::Whole(Bytes::new()))
    }
}

impl Clone for Body {
    fn clone(&self) -> Self {
        match &self.0 {
            State::Whole(bytes) => Self(State::Whole(bytes.clone())),
            State::Parts(parts) => Self::of_parts(Arc::clone(&parts.parts)),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(State::Whole(bytes))
    }
}

impl From<Full<Bytes>> for Body {
    fn from(full: Full<Bytes>) -> Self {
        Self(State::Whole(full.into_inner().unwrap_or_default()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.0 {
            State::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            State::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            State::Parts(parts) => parts
                .poll(context)
                .map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.length() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length())
    }
}

#[derive(Debug)]
enum State {
    /// What is left of a body in memory: all of it, or nothing.
    Whole(Bytes),
    Parts(Box<Parts>),
}

/// How far a body of several pieces was read.
struct Parts {
    parts: Arc<[Part]>,
    /// The piece that is read, and from where.
    next: usize,
    offset: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    left: u64,
}

impl Parts {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if let Some(reading) = &mut self.reading {
                let read = ready!(Pin::new(reading).poll(context)).unwrap_or_else(|gone| Err(io::Error::other(gone)));
                self.reading = None;
                return Poll::Ready(Some(read.inspect(|bytes| self.sent(bytes.len() as u64))));
            }
            match self.parts.get(self.next) {
                None => return Poll::Ready(None),
                Some(part) if self.offset >= part.length() => {
                    self.next += 1;
                    self.offset = 0;
                }
                Some(Part::Bytes(bytes)) => {
                    let bytes = bytes.clone();
                    self.sent(bytes.len() as u64);
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Part::File { file, length }) => {
                    let (file, from, most) = (Arc::clone(file), self.offset, length - self.offset);
                    self.reading = Some(spawn_blocking(move || read(&file, from, most)));
                }
            }
        }
    }

    fn sent(&mut self, bytes: u64) {
        self.offset += bytes;
        self.left -= bytes;
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Part {
    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

/// Up to [`READ`] of the `most` bytes from `from` on, at least one.
fn read(file: &File, from: u64, most: u64) -> io::Result<Bytes> {
    let mut buffer = vec![0; usize::try_from(most).unwrap_or(READ).min(READ)];
    let length = file.read_at(&mut buffer, from)?;
    if length == 0 {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the file of a body became shorter while it was sent",
        ));
    }
    buffer.truncate(length);
    Ok(buffer.into())
}

/// Bytes of a file that are in memory at a time.
pub const READ: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use http_body::Body as _;
    use http_body_util::BodyExt as _;

    use super::*;

    fn file(content: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        Arc::new(file)
    }

    fn mixed(content: &[u8], length: u64) -> Body {
        let file = file(content);
        Body::of_parts([
            Part::Bytes(Bytes::from_static(b"{\"a\":\"")),
            Part::File { file, length },
            Part::Bytes(Bytes::new()),
            Part::Bytes(Bytes::from_static(b"\"}")),
        ])
    }

    #[tokio::test]
    async fn pieces_come_in_order_and_a_clone_begins_anew() {
        let content = vec![b'x'; READ * 2 + 5];
        let mut body = mixed(&content, content.len() as u64);
        assert_eq!(body.length(), content.len() as u64 + 8);
        body.frame().await.unwrap().unwrap();
        let again = body.clone();
        assert_eq!(again.length(), content.len() as u64 + 8);
        assert_eq!(body.length(), content.len() as u64 + 2);
        let whole = again.collect().await.unwrap().to_bytes();
        assert_eq!(whole, [b"{\"a\":\"", &*content, b"\"}"].concat());
    }

    #[tokio::test]
    async fn a_file_is_never_in_memory_as_a_whole() {
        let mut body = mixed(&vec![b'x'; READ * 4], READ as u64 * 4);
        while let Some(frame) = body.frame().await {
            assert!(frame.unwrap().into_data().unwrap().len() <= READ);
        }
        assert!(body.is_end_stream());
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_is_an_error() {
        let mut body = mixed(b"abc", 10);
        body.frame().await.unwrap().unwrap();
        body.frame().await.unwrap().unwrap();
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
