//! A request as people write it down.

use std::net::IpAddr;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use super::Question;
use crate::model::Problem;

impl Question {
    /// Reads a request line, such as `GET /v1/a?b=c HTTP/1.1` or `GET https://a.example/v1/a`, and header lines, such as
    /// `Accept: text/html`.
    ///
    /// # Errors
    /// What cannot be read, as a problem of `line` or `header[N]`.
    pub fn read(line: &str, lines: &[String], client: Option<IpAddr>, now_s: fn() -> i64) -> Result<Self, Problem> {
        let wrong = |message: &str| Problem::new("line", format!("{line:?} {message}, as `GET /v1/a HTTP/1.1` is one"));
        let mut parts = line.split_ascii_whitespace();
        let (Some(method), Some(target)) = (parts.next(), parts.next()) else {
            return Err(wrong("is no request line"));
        };
        let version = parts.next().unwrap_or("HTTP/1.1");
        if parts.next().is_some() || !version.starts_with("HTTP/") {
            return Err(wrong("is no request line"));
        }
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| wrong("begins with no method"))?;
        let uri: Uri = target.parse().map_err(|_| wrong("asks for no path"))?;
        let path = uri.path_and_query().cloned();
        let path = path
            .filter(|path| path.as_str().starts_with('/'))
            .ok_or_else(|| wrong("asks for no path"))?;
        let mut headers = headers(lines)?;
        if let Some(authority) = uri.authority().and_then(|authority| authority.as_str().parse().ok()) {
            headers.insert(header::HOST, authority);
        }
        Ok(Self {
            method,
            uri: origin(path),
            headers,
            client,
            now_s,
        })
    }
}

fn origin(path: PathAndQuery) -> Uri {
    Uri::from(path)
}

fn headers(lines: &[String]) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    for (index, line) in lines.iter().enumerate() {
        // The value may be a secret, so that it is not repeated.
        let wrong = |message: &str| Problem::new(format!("header[{index}]"), message);
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| wrong("is no header line; write it as `Name: value`"))?;
        let name: HeaderName = name
            .trim()
            .parse()
            .map_err(|_| wrong("has no name that a header field can have"))?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| wrong("has characters that no value can have"))?;
        headers.append(name, value);
    }
    Ok(headers)
}
