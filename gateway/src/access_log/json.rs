//! A writer of flat JSON for hot paths: it appends to a buffer and allocates nothing of its own.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::address_text::AddressText;

/// An object that is being written. Names must be plain ASCII that needs no escape.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    pub(super) fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    pub(super) fn close(self) {
        self.out.push(b'}');
    }

    /// A string of any bytes: what is not UTF-8 is replaced, and what is longer than 2,048 bytes is cut off.
    #[inline]
    pub(super) fn string(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        self.out.push(b'"');
        match value.split_at_checked(MAX_STRING) {
            None | Some((_, [])) => escape(self.out, value),
            Some((start, _)) => {
                escape(self.out, start);
                self.out.extend_from_slice("…".as_bytes());
            }
        }
        self.out.push(b'"');
    }

    /// A string that needs no escape.
    #[inline]
    pub(super) fn plain(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.name(name);
        self.out.push(b'"');
        write(self.out);
        self.out.push(b'"');
    }

    pub(super) fn ip(&mut self, name: &str, address: IpAddr) {
        self.plain(name, |out| push_ip(out, address));
    }

    /// An address with its port, as `192.0.2.1:443` or `[2001:db8::1]:443`.
    pub(super) fn socket(&mut self, name: &str, address: SocketAddr) {
        self.plain(name, |out| match address {
            SocketAddr::V4(v4) => {
                push_ip(out, (*v4.ip()).into());
                out.push(b':');
                decimal(out, u64::from(v4.port()));
            }
            // Writing to a buffer in memory cannot fail.
            SocketAddr::V6(v6) => drop(write!(out, "{v6}")),
        });
    }

    #[inline]
    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        decimal(self.out, value);
    }

    /// Milliseconds, with three decimals.
    #[inline]
    pub(super) fn millis(&mut self, name: &str, value: Duration) {
        self.name(name);
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        decimal(self.out, micros / 1000);
        self.out.push(b'.');
        digits::<3>(self.out, micros % 1000);
    }

    pub(super) fn object(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        let mut inner = Object::open(self.out);
        write(&mut inner);
        inner.close();
    }

    #[inline]
    fn name(&mut self, name: &str) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

/// The last `N` decimal digits of `value`.
pub(super) fn digits<const N: usize>(out: &mut Vec<u8>, mut value: u64) {
    let mut text = [b'0'; N];
    for digit in text.iter_mut().rev() {
        *digit += (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&text);
}

fn decimal(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn push_ip(out: &mut Vec<u8>, address: IpAddr) {
    out.extend_from_slice(AddressText::of(address).as_bytes());
}

fn escape(out: &mut Vec<u8>, text: &[u8]) {
    // The usual case, looked at without a branch for each byte.
    if text.iter().fold(true, |plain, byte| plain & is_plain(*byte)) {
        out.extend_from_slice(text);
        return;
    }
    let mut rest = text;
    loop {
        let plain = rest.iter().position(|byte| !is_plain(*byte)).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        rest = match &rest[plain..] {
            [] => return,
            [ascii, after @ ..] if ascii.is_ascii() => {
                escape_ascii(out, *ascii);
                after
            }
            foreign => {
                let end = foreign.iter().position(u8::is_ascii).unwrap_or(foreign.len());
                escape_foreign(out, &foreign[..end]);
                &foreign[end..]
            }
        };
    }
}

/// True for bytes that stand for themselves in a JSON string: printable ASCII but the quote and the backslash.
const fn is_plain(byte: u8) -> bool {
    (byte >= b' ') & (byte < 0x7f) & (byte != b'"') & (byte != b'\\')
}

fn escape_ascii(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => escape_code(out, u16::from(byte)),
    }
}

/// Everything beyond ASCII. Control characters are escaped here too: they would reach the terminal of a reader.
fn escape_foreign(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match u16::try_from(u32::from(character)) {
                Ok(code) if character.is_control() => escape_code(out, code),
                _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn escape_code(out: &mut Vec<u8>, code: u16) {
    out.extend_from_slice(b"\\u");
    let mut digits = [0; 4];
    hex::encode_to_slice(code.to_be_bytes(), &mut digits).expect("two bytes have four digits");
    out.extend_from_slice(&digits);
}

const MAX_STRING: usize = 2_048;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn written(write: impl FnOnce(&mut Object<'_>)) -> String {
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        write(&mut object);
        object.close();
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    /// What a reader of the line gets, after checking that it is one harmless line.
    fn read_back(text: &[u8]) -> String {
        let line = written(|object| object.string("s", text));
        assert!(!line.contains(char::is_control), "{line:?}");
        let value: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        value["s"].as_str().expect("a string").to_owned()
    }

    #[test]
    fn all_pairs_of_bytes_are_read_back_as_they_were_or_as_their_lossy_form() {
        for first in 0..=255 {
            for second in 0..=255 {
                let text = [first, second];
                assert_eq!(read_back(&text), String::from_utf8_lossy(&text), "{text:?}");
            }
        }
    }

    #[test]
    fn hostile_strings_are_read_back() {
        for text in [
            &b""[..],
            b"\",\"status\":200,\"x\":\"",
            b"line\nbreak\r\n\t\x00\x1b[31m\x7f",
            b"back\\slash\\",
            "naïve ☃ 🦀 \u{9b}31m \u{2028}\u{2029}\u{feff}".as_bytes(),
            b"\xff\xfe cut \xe2\x98 and \xf0\x9f\xa6",
            b"\xed\xa0\x80 surrogate \xc0\xaf overlong",
        ] {
            assert_eq!(read_back(text), String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn long_strings_are_cut_off_visibly() {
        assert_eq!(read_back(&[b'a'; MAX_STRING]), "a".repeat(MAX_STRING));
        assert_eq!(
            read_back(&[b'a'; MAX_STRING + 1]),
            format!("{}…", "a".repeat(MAX_STRING))
        );
        let cut_in_a_character = format!("{}é", "a".repeat(MAX_STRING - 1));
        assert_eq!(
            read_back(cut_in_a_character.as_bytes()),
            format!("{}\u{fffd}…", "a".repeat(MAX_STRING - 1))
        );
    }

    #[test]
    fn numbers_and_nested_objects_are_read_back() {
        let line = written(|object| {
            object.number("zero", 0);
            object.number("most", u64::MAX);
            object.millis("short", Duration::from_micros(7));
            object.millis("long", Duration::from_micros(1_234_050));
            object.object("empty", |_| {});
        });
        let expected = json!({
            "zero": 0, "most": u64::MAX, "short": 0.007, "long": 1234.05,
            "empty": {},
        });
        assert_eq!(serde_json::from_str::<Value>(&line).expect("JSON"), expected);
    }

    #[test]
    fn addresses_are_read_back() {
        for address in [
            "0.0.0.0",
            "192.0.2.10",
            "255.255.255.255",
            "::",
            "2001:db8::1",
            "::ffff:192.0.2.1",
        ] {
            let ip: IpAddr = address.parse().expect("an address");
            for port in [0, 443, 65_535] {
                let socket = SocketAddr::new(ip, port);
                let line = written(|object| {
                    object.ip("ip", ip);
                    object.socket("socket", socket);
                });
                let expected = json!({"ip": ip.to_string(), "socket": socket.to_string()});
                assert_eq!(serde_json::from_str::<Value>(&line).expect("JSON"), expected);
            }
        }
    }
}
