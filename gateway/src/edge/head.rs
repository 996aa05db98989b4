//! A request's head, checked before any parser that is more forgiving sees it.

use std::mem::MaybeUninit;

use filters::route::host;

use super::framing::Framing;
use super::refusal::Refusal;

/// Limits of a head.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes of the whole head.
    pub bytes: usize,
    /// Header fields.
    pub headers: usize,
    /// Bytes of the request target.
    pub target_bytes: usize,
}

/// What was found at the start of a request.
#[derive(Debug)]
pub enum Examined {
    /// The head is not whole yet.
    Partial,
    /// A good head.
    Complete(Head),
    /// A head that is refused.
    Refused(Refusal),
}

/// A good head.
#[derive(Debug)]
pub struct Head {
    /// Bytes of it on the wire, with empty lines in front.
    pub length: usize,
    /// The head to pass on in its place, if it is not passed on as it came.
    pub rewritten: Option<Vec<u8>>,
    /// How its body ends.
    pub framing: Framing,
    /// True if it asks to change over to WebSocket (RFC 6455), the one other protocol that is carried.
    pub websocket: bool,
}

/// The most header fields that can be allowed.
pub const MOST_HEADERS: usize = 256;

/// Examines the bytes that a client sent at the start of a request.
pub fn examine(bytes: &[u8], limits: &HeadLimits) -> Examined {
    let skipped = empty_lines(bytes);
    let bytes = &bytes[skipped..];
    let Some(length) = end_of_head(bytes) else {
        return partial(bytes, limits);
    };
    match length.and_then(|length| check(&bytes[..length], limits)) {
        Ok(mut head) => {
            head.length += skipped;
            if skipped > 0 && head.rewritten.is_none() {
                head.rewritten = Some(bytes[..head.length - skipped].to_vec());
            }
            Examined::Complete(head)
        }
        Err(refusal) => Examined::Refused(refusal),
    }
}

/// A server should ignore an empty line before a request (RFC 9112 section 2.2); two are plenty.
fn empty_lines(bytes: &[u8]) -> usize {
    (0..2).take_while(|line| bytes[line * 2..].starts_with(b"\r\n")).count() * 2
}

/// Length of the head with its empty line. A line that ends in a bare line feed is refused wherever it stands.
fn end_of_head(bytes: &[u8]) -> Option<Result<usize, Refusal>> {
    let mut line_start = 0;
    for at in memchr::memchr_iter(b'\n', bytes) {
        if at == 0 || bytes[at - 1] != b'\r' {
            return Some(Err(Refusal::Malformed("a line ends in a bare line feed")));
        }
        if at - 1 == line_start {
            return Some(Ok(at + 1));
        }
        line_start = at + 1;
    }
    None
}

fn partial(bytes: &[u8], limits: &HeadLimits) -> Examined {
    let line = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    if line > limits.target_bytes + LONGEST_METHOD_AND_VERSION {
        return Examined::Refused(Refusal::TargetTooLong(limits.target_bytes));
    }
    if bytes.len() >= limits.bytes {
        return Examined::Refused(Refusal::HeadTooLarge(limits.bytes));
    }
    // Another protocol (a TLS hello, an HTTP/2 preface) need not be waited for.
    if bytes.first().is_some_and(|byte| !byte.is_ascii_graphic()) {
        return Examined::Refused(Refusal::Malformed("it does not start with a method"));
    }
    Examined::Partial
}

const LONGEST_METHOD_AND_VERSION: usize = 64;

fn check(bytes: &[u8], limits: &HeadLimits) -> Result<Head, Refusal> {
    let line = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    if line > limits.target_bytes + LONGEST_METHOD_AND_VERSION {
        return Err(Refusal::TargetTooLong(limits.target_bytes));
    }
    if bytes.len() > limits.bytes {
        return Err(Refusal::HeadTooLarge(limits.bytes));
    }
    // Not filled in first: that would cost more than the parsing.
    let mut fields = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let room = limits.headers.min(MOST_HEADERS);
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut fields[..room]) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Refusal::Malformed("the head is not whole")),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooManyHeaders(room)),
        Err(httparse::Error::Version) => return Err(version_refusal(&bytes[..line])),
        Err(httparse::Error::HeaderName) => return Err(Refusal::Malformed("a header field has a bad name")),
        Err(httparse::Error::HeaderValue) => return Err(Refusal::Malformed("a header field has a bad value")),
        Err(_) => return Err(Refusal::Malformed("the request line cannot be read")),
    }
    let fields = Fields::collect(request.headers)?;
    let version_1_0 = request.version == Some(0);
    let target = request.path.unwrap_or_default();
    if target.len() > limits.target_bytes {
        return Err(Refusal::TargetTooLong(limits.target_bytes));
    }
    let method = request.method.unwrap_or_default();
    if matches!(method, "CONNECT" | "TRACE") {
        return Err(Refusal::Method);
    }
    let authority = fields.host.ok_or(Refusal::Malformed("the Host header is missing"))?;
    let authority = std::str::from_utf8(authority).unwrap_or_default();
    if host::of_authority(authority).is_none() {
        return Err(Refusal::Malformed("the Host header is no host"));
    }
    let websocket = !version_1_0 && fields.upgrade == Some(true);
    let mut rewritten = origin_form(bytes, method, target, authority)?;
    if fields.upgrade.is_some() && !websocket {
        // A server may ignore an upgrade that it does not know (RFC 9110 section 7.8); the parser would not.
        rewritten = Some(without_upgrade(rewritten.as_deref().unwrap_or(bytes)));
    }
    Ok(Head {
        length: bytes.len(),
        rewritten,
        framing: fields.framing(version_1_0)?,
        websocket,
    })
}

fn version_refusal(line: &[u8]) -> Refusal {
    let known = line
        .rsplit(|byte| *byte == b' ')
        .next()
        .is_some_and(|version| version.starts_with(b"HTTP/"));
    if known {
        Refusal::Version
    } else {
        Refusal::Malformed("the request line cannot be read")
    }
}

/// The head with its target in origin form; `None` if it is so already. A target in absolute form must agree with the
/// Host header (RFC 9112 section 3.2.2 lets it win; disagreeing is how caches and access rules are fooled).
fn origin_form(bytes: &[u8], method: &str, target: &str, authority: &str) -> Result<Option<Vec<u8>>, Refusal> {
    if target.starts_with('/') {
        return match target.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'#') {
            true => Ok(None),
            false => Err(Refusal::Malformed(
                "the request target holds a byte that must be percent-encoded",
            )),
        };
    }
    let rest = strip_scheme(target).ok_or(Refusal::Malformed("the request target is not a path"))?;
    let path = rest.find(['/', '?']).unwrap_or(rest.len());
    if !rest[..path].eq_ignore_ascii_case(authority) {
        return Err(Refusal::Malformed(
            "the request target names another host than the Host header",
        ));
    }
    let slash = if rest[path..].starts_with('/') { "" } else { "/" };
    let tail = &bytes[method.len() + 1 + target.len()..];
    let origin = [
        method.as_bytes(),
        b" ",
        slash.as_bytes(),
        &rest.as_bytes()[path..],
        tail,
    ]
    .concat();
    if rest[path..]
        .bytes()
        .any(|byte| !(0x21..=0x7e).contains(&byte) || byte == b'#')
    {
        return Err(Refusal::Malformed(
            "the request target holds a byte that must be percent-encoded",
        ));
    }
    Ok(Some(origin))
}

/// The head without its `Upgrade` fields.
fn without_upgrade(head: &[u8]) -> Vec<u8> {
    let is_upgrade = |line: &[u8]| line.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"upgrade:"));
    head.split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !is_upgrade(line))
        .flatten()
        .copied()
        .collect()
}

fn strip_scheme(target: &str) -> Option<&str> {
    ["http://", "https://"].into_iter().find_map(|scheme| {
        target
            .get(..scheme.len())?
            .eq_ignore_ascii_case(scheme)
            .then(|| &target[scheme.len()..])
    })
}

/// The header fields that decide where a request goes and where it ends.
#[derive(Default)]
struct Fields<'h> {
    host: Option<&'h [u8]>,
    length: Option<&'h [u8]>,
    coding: Option<&'h [u8]>,
    /// True if the change to WebSocket is asked for, and no other with it.
    upgrade: Option<bool>,
}

impl<'h> Fields<'h> {
    fn collect(headers: &[httparse::Header<'h>]) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        for header in headers {
            // The lengths rule most fields out before any text is compared.
            match header.name.len() {
                4 if header.name.eq_ignore_ascii_case("host") => once(&mut fields.host, header.value)?,
                14 if header.name.eq_ignore_ascii_case("content-length") => once(&mut fields.length, header.value)?,
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => once(&mut fields.coding, header.value)?,
                6 if header.name.eq_ignore_ascii_case("expect")
                    && !header.value.eq_ignore_ascii_case(b"100-continue") =>
                {
                    return Err(Refusal::Expectation);
                }
                7 if header.name.eq_ignore_ascii_case("upgrade") => {
                    let is_only = fields.upgrade.is_none();
                    fields.upgrade = Some(is_only && header.value.eq_ignore_ascii_case(b"websocket"));
                }
                _ => {}
            }
        }
        Ok(fields)
    }

    fn framing(&self, version_1_0: bool) -> Result<Framing, Refusal> {
        match (self.length, self.coding) {
            (None, None) => Ok(Framing::Length(0)),
            (Some(_), Some(_)) => Err(Refusal::Malformed(
                "Content-Length and Transfer-Encoding exclude each other",
            )),
            (Some(length), None) => parse_length(length).map(Framing::Length),
            (None, Some(_)) if version_1_0 => Err(Refusal::Malformed("HTTP/1.0 has no Transfer-Encoding")),
            (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::chunked()),
            (None, Some(_)) => Err(Refusal::TransferCoding),
        }
    }
}

fn once<'h>(field: &mut Option<&'h [u8]>, value: &'h [u8]) -> Result<(), Refusal> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::Malformed(
            "a header field that must be there once is there twice",
        )),
    }
}

fn parse_length(value: &[u8]) -> Result<u64, Refusal> {
    const BAD: Refusal = Refusal::Malformed("the Content-Length is no number");
    if value.is_empty() || value.len() > 18 {
        return Err(BAD);
    }
    value.iter().try_fold(0_u64, |length, byte| match byte {
        b'0'..=b'9' => Ok(length * 10 + u64::from(byte - b'0')),
        _ => Err(BAD),
    })
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
