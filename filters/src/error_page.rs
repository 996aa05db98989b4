//! Error answers in an integration's own words, compiled.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::{HeaderMap, HeaderValue, header};

use crate::edits::{Facts, Template};

/// The pages of an integration.
#[derive(Debug)]
pub struct ErrorPages(pub(crate) Vec<ErrorPage>);

/// A page.
#[derive(Debug)]
pub struct ErrorPage {
    /// Lowest and highest status; all if empty.
    pub(crate) statuses: Vec<(u16, u16)>,
    /// All if empty.
    pub(crate) codes: Vec<String>,
    pub(crate) replaces_partner: bool,
    /// Its `Content-Type`.
    pub content_type: HeaderValue,
    /// The content type without parameters, in lower case.
    pub(crate) essence: String,
    pub(crate) escape: Escape,
    pub(crate) body: Template,
}

/// How values are written, so that they cannot break out of their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    Markup,
    Json,
    Nothing,
}

impl ErrorPages {
    /// The page for an error of the gateway, for a client with these header fields.
    pub fn find(&self, status: u16, code: &str, headers: &HeaderMap) -> Option<&ErrorPage> {
        self.0.iter().find(|page| page.is_for(status, code, headers))
    }

    /// True if there is a page in the place of an answer of the partner with this status.
    pub fn replace_partner(&self, status: u16, code: &str, headers: &HeaderMap) -> bool {
        let page = self.find(status, code, headers).filter(|_| status >= 400);
        page.is_some_and(|page| page.replaces_partner)
    }
}

impl ErrorPage {
    /// The page with the values of one error in their places; a value that is not there is left out.
    pub fn body(&self, facts: &impl Facts) -> String {
        let value = |source: &_| {
            let value = facts.value(source).unwrap_or_default();
            Some(self.escape.apply(value))
        };
        self.body.fill_with(value).unwrap_or_default()
    }

    fn is_for(&self, status: u16, code: &str, headers: &HeaderMap) -> bool {
        let has_status = self.statuses.iter().any(|(from, to)| (*from..=*to).contains(&status));
        (self.statuses.is_empty() || has_status)
            && (self.codes.is_empty() || self.codes.iter().any(|known| known == code))
            && accepts(headers, &self.essence)
    }
}

impl Escape {
    fn apply(self, text: Cow<'_, str>) -> Cow<'_, str> {
        match self {
            Self::Nothing => text,
            Self::Markup => {
                let mut escaped = String::with_capacity(text.len());
                for character in text.chars() {
                    match character {
                        '&' => escaped.push_str("&amp;"),
                        '<' => escaped.push_str("&lt;"),
                        '>' => escaped.push_str("&gt;"),
                        '"' => escaped.push_str("&quot;"),
                        '\'' => escaped.push_str("&#39;"),
                        other => escaped.push(other),
                    }
                }
                Cow::Owned(escaped)
            }
            Self::Json => {
                let mut escaped = String::with_capacity(text.len());
                for character in text.chars() {
                    match character {
                        '"' => escaped.push_str("\\\""),
                        '\\' => escaped.push_str("\\\\"),
                        other if other.is_control() => {
                            let _ = write!(escaped, "\\u{:04x}", u32::from(other));
                        }
                        other => escaped.push(other),
                    }
                }
                Cow::Owned(escaped)
            }
        }
    }
}

/// True if `Accept` allows a content type (RFC 9110 section 12.5.1): what is said of it most exactly counts.
pub fn accepts(headers: &HeaderMap, essence: &str) -> bool {
    let mut said: Option<(u8, bool)> = None;
    let mut is_there = false;
    for value in headers.get_all(header::ACCEPT) {
        is_there = true;
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let range = parts.next().unwrap_or_default().to_ascii_lowercase();
            let family = range.strip_suffix("/*");
            let exactness = match family {
                _ if range == essence => 3,
                Some("*") => 1,
                Some(family) if essence.split('/').next() == Some(family) => 2,
                _ => continue,
            };
            let mut weights = parts.filter_map(|part| part.strip_prefix("q="));
            let wanted = weights.next().and_then(|weight| weight.parse::<f32>().ok()) != Some(0.0);
            if said.is_none_or(|(other, _)| other < exactness) {
                said = Some((exactness, wanted));
            }
        }
    }
    !is_there || said.is_some_and(|(_, wanted)| wanted)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::edits::Source;

    struct Error;

    impl Facts for Error {
        fn value(&self, source: &Source) -> Option<Cow<'_, str>> {
            match source {
                Source::ErrorMessage => Some(Cow::Borrowed("<b>\"no\"\n")),
                Source::Status => Some(Cow::Borrowed("429")),
                _ => None,
            }
        }
    }

    fn compiled(pages: Value) -> Result<ErrorPages, Vec<String>> {
        let mut problems = Vec::new();
        let pages: Vec<_> = serde_json::from_value(pages).unwrap();
        let compiled = crate::compile::error_page::compile(&pages, &[], &mut problems);
        compiled.ok_or_else(|| problems.iter().map(ToString::to_string).collect())
    }

    fn accepting(accept: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        headers
    }

    #[test]
    fn the_first_page_that_fits_counts() {
        let page = |fields: Value| {
            let mut page = json!({"contentType": "text/html", "body": ""});
            page.as_object_mut()
                .unwrap()
                .extend(fields.as_object().unwrap().clone());
            page
        };
        let pages = compiled(json!([
            page(json!({"codes": ["RATE_LIMITED"], "contentType": "a/one"})),
            page(json!({"statuses": ["404", "5XX"], "contentType": "a/two", "replacesPartner": true})),
            page(json!({}))
        ]))
        .unwrap();
        let found = |status, code, accept| {
            let page = pages.find(status, code, &accepting(accept));
            page.map(|page| page.essence.clone()).unwrap_or_default()
        };
        assert_eq!(found(429, "RATE_LIMITED", "*/*"), "a/one");
        assert_eq!(found(429, "RATE_LIMITED", "text/html"), "text/html");
        assert_eq!(found(404, "NOT_FOUND", "a/*"), "a/two");
        assert_eq!(found(503, "X", "*/*"), "a/two");
        assert_eq!(found(401, "X", "*/*"), "text/html");
        assert_eq!(found(401, "X", "application/json"), "");
        assert!(pages.replace_partner(503, "X", &HeaderMap::new()));
        assert!(!pages.replace_partner(401, "X", &HeaderMap::new()));
    }

    #[test]
    fn values_cannot_break_out() {
        let page = |kind: &str, body: &str| {
            let pages = compiled(json!([{"contentType": kind, "body": body}])).unwrap();
            pages.find(429, "X", &HeaderMap::new()).unwrap().body(&Error)
        };
        let told = page(
            "text/html; charset=utf-8",
            "<p>{{status}}: {{error.message}}{{caller.name}}</p>",
        );
        assert_eq!(told, "<p>429: &lt;b&gt;&quot;no&quot;\n</p>");
        let told = page("application/problem+json", r#"{"detail": "{{error.message}}"}"#);
        let read: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(read, json!({"detail": "<b>\"no\"\n"}));
    }

    #[test]
    fn accept_is_read_from_the_most_exact_word() {
        for (accept, wanted) in [
            ("text/html", true),
            ("application/json, text/*;q=0.5", true),
            ("*/*", true),
            ("text/html;q=0, */*", false),
            ("text/*;q=0, text/html", true),
            ("application/json", false),
            ("", false),
        ] {
            assert_eq!(accepts(&accepting(accept), "text/html"), wanted, "{accept}");
        }
        assert!(accepts(&HeaderMap::new(), "text/html"));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (page, told) in [
            (
                json!({"contentType": "html", "body": ""}),
                "errorPages[0].contentType: \"html\" must be",
            ),
            (
                json!({"contentType": "a/b", "body": "{{x}}"}),
                "errorPages[0].body: {{x}} is not known",
            ),
            (
                json!({"contentType": "a/b", "body": "", "statuses": ["200"]}),
                "errorPages[0].statuses[0]: \"200\" must be",
            ),
            (
                json!({"contentType": "a/b", "body": "", "codes": ["no such"]}),
                "errorPages[0].codes[0]: \"no such\" must be",
            ),
            (
                json!({"contentType": "a/b", "body": "x".repeat(70_000)}),
                "errorPages[0].body: is 70000 bytes long",
            ),
        ] {
            let problems = compiled(json!([page])).unwrap_err();
            assert!(problems[0].starts_with(told), "{problems:?}");
        }
    }
}
