//! IP addresses as text, the usual kind without the formatting machinery: each request has some.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};

/// An address as text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddressText {
    text: [u8; LONGEST],
    length: usize,
}

/// Characters of the longest address: IPv6 whose end is written as IPv4.
const LONGEST: usize = 45;

impl AddressText {
    /// Writes `address`.
    pub(crate) fn of(address: IpAddr) -> Self {
        let mut text = [0; LONGEST];
        let length = match address {
            IpAddr::V4(address) => write_octets(&mut text, address),
            IpAddr::V6(address) => {
                let mut room = &mut text[..];
                write!(room, "{address}").expect("the longest address fits");
                LONGEST - room.len()
            }
        };
        Self { text, length }
    }

    /// Its characters, all of them ASCII.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

/// Returns how many bytes were written.
fn write_octets(text: &mut [u8; LONGEST], address: Ipv4Addr) -> usize {
    let mut length = 0;
    let mut push = |byte| {
        text[length] = byte;
        length += 1;
    };
    for (place, octet) in address.octets().into_iter().enumerate() {
        if place > 0 {
            push(b'.');
        }
        if octet >= 100 {
            push(b'0' + octet / 100);
        }
        if octet >= 10 {
            push(b'0' + octet / 10 % 10);
        }
        push(b'0' + octet % 10);
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_the_standard_library_does() {
        for address in [
            "0.0.0.0",
            "1.10.100.255",
            "109.99.9.101",
            "255.255.255.255",
            "::",
            "::1",
            "2001:db8::7",
            "::ffff:192.0.2.7",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(AddressText::of(address).as_bytes(), address.to_string().as_bytes());
        }
    }
}
