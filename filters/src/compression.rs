//! Which answers are compressed, and how.

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::validation::Range;

/// Which answers are compressed.
#[derive(Debug)]
pub struct Compression {
    pub(crate) min_bytes: u64,
    /// Those of texts if empty.
    pub(crate) types: Vec<Range>,
}

/// How an answer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Brotli (RFC 7932).
    Brotli,
    /// gzip (RFC 1952).
    Gzip,
}

impl Compression {
    /// True if the answer is one that is compressed for clients that take it: a cache must be told so of each of them.
    pub fn is_for(&self, status: StatusCode, fields: &HeaderMap, length: Option<u64>) -> bool {
        let whole = !matches!(
            status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::PARTIAL_CONTENT
        );
        let no_transform = says(fields, &header::CACHE_CONTROL, "no-transform");
        whole
            && !status.is_informational()
            && !no_transform
            && !fields.contains_key(header::CONTENT_ENCODING)
            && length.is_none_or(|length| length >= self.min_bytes)
            && self.has_type(fields)
    }

    fn has_type(&self, fields: &HeaderMap) -> bool {
        let Some(kind) = fields.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else {
            return false;
        };
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence == "text/event-stream" {
            // Its events must not wait for each other.
            return false;
        }
        if self.types.is_empty() {
            return is_text(&essence);
        }
        self.types.iter().any(|range| range.contains(&essence))
    }
}

impl Coding {
    /// The coding that a client with these fields prefers; `None` where it takes neither (RFC 9110 section 12.5.3).
    pub fn of(client: &HeaderMap) -> Option<Self> {
        let brotli = weight(client, &["br"]);
        let gzip = weight(client, &["gzip", "x-gzip"]);
        match (brotli, gzip) {
            (0, 0) => None,
            (brotli, gzip) if brotli >= gzip => Some(Self::Brotli),
            _ => Some(Self::Gzip),
        }
    }

    /// Its name in `Content-Encoding`.
    pub fn value(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        })
    }
}

/// How much a client wants a coding, in thousandths; 0 if it does not.
fn weight(client: &HeaderMap, names: &[&str]) -> u32 {
    let mut any = 0;
    for value in client.get_all(header::ACCEPT_ENCODING) {
        for word in value.to_str().unwrap_or_default().split(',') {
            let mut parts = word.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let weight = weight.map_or(1000, thousandths);
            if names.contains(&name.as_str()) {
                return weight;
            }
            if name == "*" {
                any = weight;
            }
        }
    }
    any
}

/// A weight between 0 and 1; one that is no number is none.
fn thousandths(text: &str) -> u32 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    match (whole, digits.parse::<u32>()) {
        ("1", _) => 1000,
        ("0", Ok(fraction)) => fraction,
        _ => 0,
    }
}

fn is_text(essence: &str) -> bool {
    essence.starts_with("text/") || essence.ends_with("+json") || essence.ends_with("+xml") || TEXTS.contains(&essence)
}

/// True if a list of words in a field has `word`.
fn says(fields: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = fields.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut words = values.flat_map(|value| value.split(','));
    words.any(|other| other.trim().eq_ignore_ascii_case(word))
}

const TEXTS: [&str; 6] = [
    "application/json",
    "application/xml",
    "application/javascript",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "application/yaml",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
        headers
    }

    fn answer(kind: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers
    }

    #[test]
    fn the_client_says_which_coding() {
        for (accept, coding) in [
            ("gzip, deflate, br", Some(Coding::Brotli)),
            ("gzip", Some(Coding::Gzip)),
            ("br;q=0.5, gzip;q=0.8", Some(Coding::Gzip)),
            ("br;q=0, gzip;q=0", None),
            ("*", Some(Coding::Brotli)),
            ("br;q=0, *", Some(Coding::Gzip)),
            ("identity", None),
            ("deflate, zstd", None),
            ("", None),
            ("gzip;q=2", None),
        ] {
            assert_eq!(Coding::of(&accepting(accept)), coding, "{accept}");
        }
        assert_eq!(Coding::of(&HeaderMap::new()), None);
    }

    #[test]
    fn only_large_whole_texts_are_compressed() {
        let texts = Compression {
            min_bytes: 100,
            types: Vec::new(),
        };
        let is_for = |kind, status, length| texts.is_for(status, &answer(kind), length);
        let ok = StatusCode::OK;
        assert!(is_for("application/json; charset=utf-8", ok, Some(100)));
        assert!(is_for("application/fhir+json", ok, None));
        assert!(is_for("text/html", StatusCode::NOT_FOUND, Some(1000)));
        assert!(!is_for("application/json", ok, Some(99)));
        assert!(!is_for("image/png", ok, Some(1000)));
        assert!(!is_for("text/event-stream", ok, None));
        assert!(!is_for("text/html", StatusCode::PARTIAL_CONTENT, Some(1000)));
        let mut encoded = answer("text/html");
        encoded.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(!texts.is_for(ok, &encoded, Some(1000)));
        let mut fixed = answer("text/html");
        fixed.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("max-age=1, No-Transform"),
        );
        assert!(!texts.is_for(ok, &fixed, Some(1000)));
        let chosen = Compression {
            min_bytes: 0,
            types: vec![Range::Exact("image/svg+xml".to_owned())],
        };
        assert!(chosen.is_for(ok, &answer("image/svg+xml"), None) && !chosen.is_for(ok, &answer("text/html"), None));
    }
}
