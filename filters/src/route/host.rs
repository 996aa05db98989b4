//! Host names of requests and of integrations.

/// The host of an authority (`Host` header), in lower case and without its port. `None` if it is not a host.
///
/// A trailing dot is taken off: `a.example.` and `a.example` are the same name.
pub fn of_authority(authority: &str) -> Option<std::borrow::Cow<'_, str>> {
    let host = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            if !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
                return None;
            }
            &authority[..address.len() + 2]
        }
        None => {
            // A search for the byte is cheaper than one for the character.
            let colon = authority.bytes().position(|byte| byte == b':');
            let (host, port) = authority.split_at(colon.unwrap_or(authority.len()));
            if !port.is_empty() && !is_port(&port[1..]) {
                return None;
            }
            let host = host.strip_suffix('.').unwrap_or(host);
            is_name(host).then_some(host)?
        }
    };
    Some(if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        host.to_ascii_lowercase().into()
    } else {
        host.into()
    })
}

/// An integration's host as the table keeps it: lower case, `*.` in front of a wildcard.
///
/// # Errors
/// What is wrong with it, for a problem.
pub(crate) fn parse(host: &str) -> Result<Box<str>, String> {
    let name = host.strip_prefix("*.").unwrap_or(host);
    if name.contains(':') {
        return Err("must be a host name without scheme and port".to_owned());
    }
    if !is_name(name) || name.len() > 250 {
        return Err("is not a host name; write api.example.com or *.example.com".to_owned());
    }
    Ok(host.to_ascii_lowercase().into_boxed_str())
}

/// True if every name that `host` stands for lies within `pattern`; both as integrations have them.
pub(crate) fn covers(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => {
            let name = host.strip_prefix('*').unwrap_or(host);
            name.len() >= suffix.len()
                && name.as_bytes()[name.len() - suffix.len()..].eq_ignore_ascii_case(suffix.as_bytes())
        }
        None => pattern.eq_ignore_ascii_case(host),
    }
}

/// True for labels of 1 to 63 letters, digits, `-` and `_`, with no `-` at their ends. One pass over the bytes, as it is
/// made for each request.
fn is_name(name: &str) -> bool {
    let mut length = 0;
    let mut before = b'.';
    for byte in name.bytes() {
        if IN_LABELS[usize::from(byte)] {
            if length == 63 || (byte == b'-' && length == 0) {
                return false;
            }
            length += 1;
        } else if byte != b'.' || length == 0 || before == b'-' {
            return false;
        } else {
            length = 0;
        }
        before = byte;
    }
    name.len() <= 253 && length > 0 && before != b'-'
}

/// The bytes of labels: a look at the table is cheaper than ranges are.
const IN_LABELS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let character = byte as u8;
        table[byte] = character.is_ascii_alphanumeric() || character == b'-' || character == b'_';
        byte += 1;
    }
    table
};

fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_reduced_to_their_host() {
        for (authority, host) in [
            ("A.Example", "a.example"),
            ("a.example.:8080", "a.example"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(of_authority(authority).as_deref(), Some(host), "{authority}");
        }
        for authority in [
            "",
            "a b",
            "a:b",
            "a:99999",
            "a@b",
            "[x]",
            "[::1",
            "[::1]x",
            "a..b",
            "-a",
            "a-",
            "a-.b",
            "a..",
            "a/b",
            "::1",
            ":80",
            "é.example",
        ] {
            assert_eq!(of_authority(authority), None, "{authority}");
        }
    }

    #[test]
    fn labels_and_names_have_a_longest() {
        let label = "a".repeat(63);
        assert!(is_name(&format!("{label}.{label}.{label}.{}", "a".repeat(61))));
        assert!(!is_name(&format!("{label}.{label}.{label}.{}", "a".repeat(62))));
        assert!(!is_name(&format!("{label}a")));
        assert!(!is_name(&format!("b.{label}a.b")));
    }

    #[test]
    fn hosts_of_integrations_are_checked() {
        assert_eq!(parse("*.Example.com").as_deref(), Ok("*.example.com"));
        for host in ["", "*", "*.", "a:80", "http://a", "a.*.b", "a b"] {
            assert!(parse(host).is_err(), "{host}");
        }
    }

    #[test]
    fn a_pattern_covers_names_below_it() {
        for (pattern, host) in [
            ("a.example", "A.example"),
            ("*.a.example", "b.a.example"),
            ("*.A.example", "*.a.example"),
            ("*.a.example", "*.b.a.example"),
        ] {
            assert!(covers(pattern, host), "{pattern} {host}");
        }
        for (pattern, host) in [
            ("a.example", "b.a.example"),
            ("a.example", "*.a.example"),
            ("*.a.example", "a.example"),
            ("*.a.example", "ba.example"),
            ("*.b.a.example", "*.a.example"),
        ] {
            assert!(!covers(pattern, host), "{pattern} {host}");
        }
    }
}
