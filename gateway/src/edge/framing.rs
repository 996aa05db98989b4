//! Where a request's body ends on the wire (RFC 9112 sections 6 and 7), read strictly: what two programs could read
//! differently is an error.

/// How much of the body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks, with the place in them.
    Chunked(Chunks),
    /// Everything from here on belongs to another protocol.
    Raw,
}

/// A body that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadChunk;

impl Framing {
    /// A body of chunks, at its start.
    pub fn chunked() -> Self {
        Self::Chunked(Chunks {
            state: State::Size,
            left: 0,
            digits: 0,
            line: 0,
        })
    }

    /// True once the body has been seen whole.
    pub fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.state == State::Done,
            Self::Raw => false,
        }
    }

    /// How many of `bytes` belong to the body; takes note of them.
    ///
    /// # Errors
    /// [`BadChunk`] where the chunks are not what RFC 9112 section 7.1 says.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, BadChunk> {
        match self {
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                Ok(taken)
            }
            Self::Chunked(chunks) => chunks.take(bytes),
            Self::Raw => Ok(bytes.len()),
        }
    }
}

/// The place in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    state: State,
    /// Bytes of the chunk that are still to come.
    left: u64,
    /// Digits of the size line so far.
    digits: u8,
    /// Bytes of the size line's extension, or of all trailers, so far.
    line: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    SizeEnd,
    Data,
    DataEnd,
    DataEndLine,
    TrailerStart,
    Trailer,
    TrailerEnd,
    LastLine,
    Done,
}

/// The most bytes of an extension, and of all trailers together.
const LONGEST_LINE: u16 = 4_096;

impl Chunks {
    fn take(&mut self, bytes: &[u8]) -> Result<usize, BadChunk> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            if self.state == State::Data {
                let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - at);
                self.left -= here as u64;
                at += here;
                if self.left == 0 {
                    self.state = State::DataEnd;
                }
            } else {
                self.state = self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<State, BadChunk> {
        match (self.state, byte) {
            (State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte),
            (State::Size, b';') if self.digits > 0 => Ok(State::Extension),
            (State::Size, b'\r') if self.digits > 0 => Ok(State::SizeEnd),
            (State::Extension, b'\r') => Ok(State::SizeEnd),
            (State::Extension | State::Trailer, b'\t' | b' '..=b'~' | 0x80..) => {
                self.long_line()?;
                Ok(self.state)
            }
            (State::SizeEnd, b'\n') => {
                self.digits = 0;
                self.line = 0;
                Ok(if self.left == 0 {
                    State::TrailerStart
                } else {
                    State::Data
                })
            }
            (State::DataEnd, b'\r') => Ok(State::DataEndLine),
            (State::DataEndLine, b'\n') => Ok(State::Size),
            (State::TrailerStart, b'\r') => Ok(State::LastLine),
            (State::TrailerStart, b'!'..=b'~') => Ok(State::Trailer),
            (State::Trailer, b'\r') => Ok(State::TrailerEnd),
            (State::TrailerEnd, b'\n') => Ok(State::TrailerStart),
            (State::LastLine, b'\n') => Ok(State::Done),
            _ => Err(BadChunk),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<State, BadChunk> {
        let value = char::from(byte).to_digit(16).ok_or(BadChunk)?;
        self.digits += 1;
        if self.digits > 15 {
            return Err(BadChunk);
        }
        self.left = (self.left << 4) | u64::from(value);
        Ok(State::Size)
    }

    fn long_line(&mut self) -> Result<(), BadChunk> {
        self.line += 1;
        if self.line > LONGEST_LINE {
            Err(BadChunk)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` in pieces of `size`; the bytes taken, and whether the body was done.
    fn fed(bytes: &[u8], size: usize) -> Result<(usize, bool), BadChunk> {
        let mut framing = Framing::chunked();
        let mut taken = 0;
        for piece in bytes.chunks(size) {
            let here = framing.take(piece)?;
            taken += here;
            if framing.is_done() {
                break;
            }
            assert_eq!(here, piece.len());
        }
        Ok((taken, framing.is_done()))
    }

    #[test]
    fn the_end_of_chunks_is_found_however_they_arrive() {
        let body = b"5\r\nhello\r\n1a;x=\"y\"\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nx-sum: 1\r\n\r\n";
        let mut stream = body.to_vec();
        stream.extend_from_slice(b"GET / HTTP/1.1\r\n");
        for size in 1..stream.len() {
            assert_eq!(fed(&stream, size), Ok((body.len(), true)), "in pieces of {size}");
        }
        assert_eq!(fed(b"3\r\nab", 2), Ok((5, false)));
    }

    #[test]
    fn ambiguous_chunks_are_refused() {
        for body in [
            "\r\n",
            ";x\r\n",
            "g\r\n",
            "+3\r\nabc\r\n",
            "0x3\r\nabc\r\n",
            " 3\r\nabc\r\n",
            "3 \r\nabc\r\n",
            "3\nabc\r\n",
            "3\r\nabcd\r\n",
            "3\r\nabc\n",
            "0\r\n\n",
            "0\r\n x: y\r\n\r\n",
            "1;a\nb\r\n",
            "ffffffffffffffff\r\n",
            "1;\0\r\n",
        ] {
            assert_eq!(fed(body.as_bytes(), 3), Err(BadChunk), "{body:?}");
        }
        let endless = format!("1;{}", "x".repeat(5_000));
        assert_eq!(fed(endless.as_bytes(), 100), Err(BadChunk));
    }

    #[test]
    fn a_length_takes_its_bytes_and_no_more() {
        let mut framing = Framing::Length(5);
        assert_eq!(framing.take(b"abc"), Ok(3));
        assert!(!framing.is_done());
        assert_eq!(framing.take(b"defg"), Ok(2));
        assert!(framing.is_done());
    }
}
