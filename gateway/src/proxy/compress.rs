//! Answers that are compressed on their way to the client.

use std::io::Write as _;

use brotli::CompressorWriter;
use bytes::Bytes;
use filters::compression::Coding;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, Version, header};
use pingora::proxy::Session;
use pingora_http::ResponseHeader;

use super::call::Call;
use super::fault::Fault;
use super::web;

/// Compresses one answer, piece by piece.
pub(super) enum Encoder {
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    /// The encoder for an answer that has this head and a body of `length` bytes; `None` where it stays as it is. The head
    /// says afterwards how it is encoded, but nothing of its length.
    pub(super) fn of(
        session: &Session,
        call: &Call,
        head: &mut ResponseHeader,
        length: Option<u64>,
    ) -> Result<Option<Self>, Fault> {
        let Some(compression) = web::of(call).and_then(|web| web.compression.as_ref()) else {
            return Ok(None);
        };
        if !compression.is_for(head.status, &head.headers, length) {
            return Ok(None);
        }
        let internal = |error: Box<pingora::Error>| Fault::Internal(error.to_string());
        head.append_header(header::VARY, HeaderValue::from(header::ACCEPT_ENCODING))
            .map_err(internal)?;
        let client = session.req_header();
        let Some(coding) = Coding::of(&client.headers).filter(|_| client.version >= Version::HTTP_11) else {
            return Ok(None);
        };
        head.insert_header(header::CONTENT_ENCODING, coding.value())
            .map_err(internal)?;
        if let Some(weak) = head.headers.get(header::ETAG).and_then(weak) {
            head.insert_header(header::ETAG, weak).map_err(internal)?;
        }
        // Ranges and digests of the partner's bytes say nothing of these.
        for name in [header::CONTENT_LENGTH, header::ACCEPT_RANGES] {
            head.remove_header(&name);
        }
        for name in ["content-md5", "digest", "content-digest"] {
            head.remove_header(name);
        }
        Ok(Some(Self::new(coding)))
    }

    fn new(coding: Coding) -> Self {
        match coding {
            Coding::Brotli => {
                let writer = CompressorWriter::new(Vec::new(), BUFFER, BROTLI_QUALITY, BROTLI_WINDOW);
                Self::Brotli(Box::new(writer))
            }
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))),
        }
    }

    /// What becomes of a piece; all of it is in what was returned so far.
    pub(super) fn piece(&mut self, piece: &[u8]) -> Result<Bytes, Fault> {
        self.write(piece)?;
        let flushed = match self {
            Self::Brotli(writer) => writer.flush().map(|()| std::mem::take(writer.get_mut())),
            Self::Gzip(writer) => writer.flush().map(|()| std::mem::take(writer.get_mut())),
        };
        flushed.map(Bytes::from).map_err(broken)
    }

    /// The end of the answer.
    pub(super) fn end(self) -> Result<Bytes, Fault> {
        match self {
            Self::Brotli(writer) => Ok(writer.into_inner().into()),
            Self::Gzip(writer) => writer.finish().map(Bytes::from).map_err(broken),
        }
    }

    /// A whole answer.
    pub(super) fn whole(mut self, body: &[u8]) -> Result<Bytes, Fault> {
        let mut work = || -> Result<(), Fault> { self.write(body) };
        if body.len() > LARGE_BODY {
            // Milliseconds of work: the other requests of this thread go on elsewhere meanwhile.
            tokio::task::block_in_place(work)?;
        } else {
            work()?;
        }
        self.end()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let written = match self {
            Self::Brotli(writer) => writer.write_all(bytes),
            Self::Gzip(writer) => writer.write_all(bytes),
        };
        written.map_err(broken)
    }
}

/// A strong entity tag as a weak one: it names the partner's bytes, not these (RFC 9110 section 8.8.1).
fn weak(tag: &HeaderValue) -> Option<HeaderValue> {
    if tag.as_bytes().starts_with(b"W/") {
        return None;
    }
    HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()).ok()
}

/// True if the fields of a request say that its answer may be compressed here.
pub(super) fn is_wanted(client: &HeaderMap) -> bool {
    Coding::of(client).is_some()
}

fn broken(error: std::io::Error) -> Fault {
    Fault::Internal(format!("an answer cannot be compressed: {error}"))
}

/// As fast as gzip, and smaller.
const BROTLI_QUALITY: u32 = 4;
/// 256 KiB of memory, and as much for the tables.
const BROTLI_WINDOW: u32 = 18;
const GZIP_LEVEL: u32 = 5;
const BUFFER: usize = 4 * 1024;
/// Bytes of a body from which on compressing it takes milliseconds.
const LARGE_BODY: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn unpacked(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match coding {
            Coding::Brotli => brotli::Decompressor::new(bytes, BUFFER).read_to_end(&mut plain),
            Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain),
        }
        .unwrap();
        plain
    }

    #[test]
    fn what_is_packed_is_unpacked_again() {
        let text = b"all work and no play ".repeat(2_000);
        for coding in [Coding::Brotli, Coding::Gzip] {
            let whole = Encoder::new(coding).whole(&text[..40_000]).unwrap();
            assert!(whole.len() < 2_000, "{coding:?}: {}", whole.len());
            assert_eq!(unpacked(coding, &whole), text[..40_000]);
            let mut encoder = Encoder::new(coding);
            let mut pieces = Vec::new();
            for piece in text.chunks(700) {
                let packed = encoder.piece(piece).unwrap();
                assert!(!packed.is_empty(), "a piece waits for the next one");
                pieces.extend_from_slice(&packed);
            }
            pieces.extend_from_slice(&encoder.end().unwrap());
            assert_eq!(unpacked(coding, &pieces), text);
        }
    }

    #[test]
    fn a_tag_of_other_bytes_is_weak() {
        assert_eq!(weak(&HeaderValue::from_static("\"a\"")).unwrap(), "W/\"a\"");
        assert_eq!(weak(&HeaderValue::from_static("W/\"a\"")), None);
    }
}
