//! One form for every path, so that matching, access rules, logs and the partner all see the same thing.

use std::borrow::Cow;

use thiserror::Error;

/// Why a path is refused. Each of these reads differently in different programs, which is how access rules are evaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathRefusal {
    /// Not an absolute path.
    #[error("the path must start with /")]
    NotAbsolute,
    /// A byte that RFC 3986 does not allow in a path.
    #[error("the path holds a character that must be percent-encoded")]
    BadCharacter,
    /// `%` without two hexadecimal digits.
    #[error("the path holds a % that two hexadecimal digits do not follow")]
    BadEscape,
    /// An encoded slash, backslash or control character.
    #[error("the path holds an encoded slash, backslash or control character")]
    AmbiguousEscape,
    /// A segment `.` or `..`, in clear or encoded.
    #[error("the path holds a segment that is . or ..")]
    DotSegment,
    /// Two slashes in a row.
    #[error("the path holds an empty segment")]
    EmptySegment,
}

/// The canonical form of `path`: unreserved characters decoded, other escapes in upper case (RFC 3986 section 6.2.2).
/// Borrowed when the path is canonical already, which nearly all are.
///
/// # Errors
/// [`PathRefusal`] for a path that could be read in more than one way.
pub fn canonical(path: &str) -> Result<Cow<'_, str>, PathRefusal> {
    if !path.starts_with('/') {
        return Err(PathRefusal::NotAbsolute);
    }
    if is_plain(path) {
        return Ok(Cow::Borrowed(path));
    }
    let form = if path.contains('%') {
        Cow::Owned(unescape(path)?)
    } else {
        Cow::Borrowed(path)
    };
    let mut segments = form[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            // Some servers drop `;` and what follows before they resolve the dots.
            _ if matches!(before_parameters(segment), "." | "..") => return Err(PathRefusal::DotSegment),
            "" if segments.peek().is_some() => return Err(PathRefusal::EmptySegment),
            _ if !segment.bytes().all(allowed) => return Err(PathRefusal::BadCharacter),
            _ => {}
        }
    }
    Ok(form)
}

/// True for what needs no closer look: unreserved characters only, and no segment that is empty or begins with a dot. One
/// pass over the bytes, as it is made for each request.
fn is_plain(path: &str) -> bool {
    let mut before = b'.';
    for byte in path.bytes() {
        let begins_segment = before == b'/';
        if !PLAIN[usize::from(byte)] || (begins_segment && matches!(byte, b'/' | b'.')) {
            return false;
        }
        before = byte;
    }
    true
}

/// The slash and the unreserved characters: a look at the table is cheaper than ranges are.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = byte as u8 == b'/' || unreserved(byte as u8);
        byte += 1;
    }
    table
};

/// A segment without path parameters (RFC 3986 section 3.3).
fn before_parameters(segment: &str) -> &str {
    let end = segment.find(';').into_iter().chain(segment.find("%3B")).min();
    &segment[..end.unwrap_or(segment.len())]
}

fn unescape(path: &str) -> Result<String, PathRefusal> {
    let mut form = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        form.push_str(&rest[..at]);
        let digits = rest.as_bytes().get(at + 1..at + 3).ok_or(PathRefusal::BadEscape)?;
        let byte = (hex_digit(digits[0])? << 4) | hex_digit(digits[1])?;
        match byte {
            b'/' | b'\\' | 0..=0x1f | 0x7f => return Err(PathRefusal::AmbiguousEscape),
            _ if unreserved(byte) => form.push(char::from(byte)),
            _ => {
                form.push('%');
                form.extend(digits.iter().map(|digit| char::from(digit.to_ascii_uppercase())));
            }
        }
        rest = &rest[at + 3..];
    }
    form.push_str(rest);
    Ok(form)
}

fn hex_digit(byte: u8) -> Result<u8, PathRefusal> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        b'A'..=b'F' => Ok(byte - b'A' + 10),
        _ => Err(PathRefusal::BadEscape),
    }
}

const fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// pchar of RFC 3986, with `%` as part of an escape that was checked.
fn allowed(byte: u8) -> bool {
    unreserved(byte) || matches!(byte, b'!' | b'$' | b'&'..=b',' | b';' | b'=' | b':' | b'@' | b'%')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_paths_are_borrowed() {
        for path in ["/", "/a", "/a/b/", "/patients/1:2@x;v=1", "/a%20b"] {
            assert_eq!(canonical(path).unwrap(), path);
        }
        assert!(matches!(canonical("/a/b").unwrap(), Cow::Borrowed(_)));
    }

    #[test]
    fn escapes_of_unreserved_characters_are_decoded_and_others_upper_cased() {
        assert_eq!(canonical("/%61%2d%7E/%c3%a9").unwrap(), "/a-~/%C3%A9");
    }

    #[test]
    fn ambiguous_paths_are_refused() {
        let cases = [
            ("a", PathRefusal::NotAbsolute),
            ("", PathRefusal::NotAbsolute),
            ("/a/../b", PathRefusal::DotSegment),
            ("/a/%2e%2E/b", PathRefusal::DotSegment),
            ("/.", PathRefusal::DotSegment),
            ("/..;/x", PathRefusal::DotSegment),
            ("/a/..;v=1", PathRefusal::DotSegment),
            ("/a/%2e%2E%3bx/b", PathRefusal::DotSegment),
            ("/a//b", PathRefusal::EmptySegment),
            ("//", PathRefusal::EmptySegment),
            ("/a%2fb", PathRefusal::AmbiguousEscape),
            ("/a%5Cb", PathRefusal::AmbiguousEscape),
            ("/a%00", PathRefusal::AmbiguousEscape),
            ("/a%0d%0a", PathRefusal::AmbiguousEscape),
            ("/a\\b", PathRefusal::BadCharacter),
            ("/a b", PathRefusal::BadCharacter),
            ("/é", PathRefusal::BadCharacter),
            ("/a%", PathRefusal::BadEscape),
            ("/a%g0", PathRefusal::BadEscape),
            ("/a%é", PathRefusal::BadEscape),
        ];
        for (path, refusal) in cases {
            assert_eq!(canonical(path), Err(refusal), "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_canonical_for_good(path in "\\PC*") {
            if let Ok(form) = canonical(&path) {
                prop_assert_eq!(canonical(&form).unwrap(), form.as_ref());
                prop_assert!(form.is_ascii() && !form.contains("/../") && !form.contains("//"));
            }
        }

        #[test]
        fn paths_made_of_escapes_never_climb(path in "(/|\\.|%2e|%2F|%25|a|%41){0,12}") {
            if let Ok(form) = canonical(&path) {
                prop_assert!(!form.split('/').any(|segment| segment == ".." || segment == "."));
                prop_assert!(!form.to_ascii_lowercase().contains("%2f"));
            }
        }
    }
}
