//! Bodies that the record of a call may show. Nothing is kept of a call whose integration does not ask for it.

use std::sync::OnceLock;

use http::{HeaderMap, HeaderValue, header};

use super::Proxy;
use super::call::Call;

/// The bodies of one call, as far as its record may show them.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    request: OnceLock<Box<Piece>>,
    answer: OnceLock<Box<Piece>>,
}

/// The beginning of a body.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    pub(super) bytes: Vec<u8>,
    pub(super) content_type: Option<HeaderValue>,
    /// False if there is more of it.
    pub(super) is_whole: bool,
    most: usize,
}

impl Kept {
    /// What was kept of the client's body.
    pub(super) fn request(&self) -> Option<&Piece> {
        self.request.get().map(|piece| &**piece)
    }

    /// What was kept of the partner's.
    pub(super) fn answer(&self) -> Option<&Piece> {
        self.answer.get().map(|piece| &**piece)
    }
}

/// Keeps the beginning of the client's body, if a record may show it.
pub(super) fn request(proxy: &Proxy, call: &Call, headers: &HeaderMap, body: &[u8]) {
    if let Some(mut piece) = wanted(proxy, call, headers) {
        piece.add(body);
        // It is read once only.
        let _ = call.kept.request.set(piece);
    }
}

/// Keeps the beginning of the partner's body likewise.
pub(super) fn answer(proxy: &Proxy, call: &Call, headers: &HeaderMap, body: &[u8]) {
    if let Some(mut piece) = wanted(proxy, call, headers) {
        piece.add(body);
        keep_answer(call, Some(piece));
    }
}

/// Keeps what was gathered of the partner's body.
pub(super) fn keep_answer(call: &Call, piece: Option<Box<Piece>>) {
    if let Some(piece) = piece {
        // There is one answer for the client.
        let _ = call.kept.answer.set(piece);
    }
}

/// Where a body is gathered that comes in pieces; `None` if no record shows it.
pub(super) fn wanted(proxy: &Proxy, call: &Call, headers: &HeaderMap) -> Option<Box<Piece>> {
    let content = call.route.as_ref()?.integration.record_content?;
    let most = content.body_bytes as usize;
    (most > 0 && proxy.records.is_some()).then(|| {
        Box::new(Piece {
            content_type: headers.get(header::CONTENT_TYPE).cloned(),
            is_whole: true,
            most,
            ..Piece::default()
        })
    })
}

impl Piece {
    /// Adds what fits.
    pub(super) fn add(&mut self, body: &[u8]) {
        let room = self.most - self.bytes.len();
        self.bytes.extend_from_slice(&body[..body.len().min(room)]);
        self.is_whole &= body.len() <= room;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_takes_what_fits_and_says_whether_that_was_all() {
        let mut piece = Piece {
            most: 6,
            is_whole: true,
            ..Piece::default()
        };
        piece.add(b"abc");
        piece.add(b"def");
        assert_eq!((piece.bytes.as_slice(), piece.is_whole), (&b"abcdef"[..], true));
        piece.add(b"");
        assert!(piece.is_whole);
        piece.add(b"g");
        assert_eq!((piece.bytes.as_slice(), piece.is_whole), (&b"abcdef"[..], false));
    }
}
