//! Requests that never reach a route: why, and what the client is told.

use thiserror::Error;

/// Why a request was refused before it was routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The bytes are no HTTP/1 request.
    #[error("the request is not valid HTTP/1.1: {0}")]
    Malformed(&'static str),
    /// The request line is too long.
    #[error("the request target is longer than the {0} bytes allowed")]
    TargetTooLong(usize),
    /// The head is too large.
    #[error("the request head is larger than the {0} bytes allowed")]
    HeadTooLarge(usize),
    /// Too many header fields.
    #[error("the request has more than the {0} header fields allowed")]
    TooManyHeaders(usize),
    /// The head did not arrive in time.
    #[error("the request head did not arrive within {0} ms")]
    HeadTimeout(u64),
    /// A method that is not served.
    #[error("this method is not served")]
    Method,
    /// A version of HTTP that is not served.
    #[error("this version of HTTP is not served here")]
    Version,
    /// A transfer coding other than chunked.
    #[error("this transfer coding is not served; only chunked is")]
    TransferCoding,
    /// An expectation other than 100-continue.
    #[error("this expectation cannot be met; only 100-continue can")]
    Expectation,
    /// Too many connections.
    #[error("the gateway has too many connections; try again shortly")]
    TooManyConnections,
}

impl Refusal {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Method => 405,
            Self::HeadTimeout(_) => 408,
            Self::TargetTooLong(_) => 414,
            Self::Expectation => 417,
            Self::HeadTooLarge(_) | Self::TooManyHeaders(_) => 431,
            Self::TransferCoding => 501,
            Self::TooManyConnections => 503,
            Self::Version => 505,
        }
    }

    /// The code for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed(_) => "BAD_REQUEST",
            Self::Method => "METHOD_NOT_ALLOWED",
            Self::HeadTimeout(_) => "REQUEST_TIMEOUT",
            Self::TargetTooLong(_) => "URI_TOO_LONG",
            Self::Expectation => "EXPECTATION_FAILED",
            Self::HeadTooLarge(_) | Self::TooManyHeaders(_) => "HEADERS_TOO_LARGE",
            Self::TransferCoding => "NOT_IMPLEMENTED",
            Self::TooManyConnections => "SERVICE_UNAVAILABLE",
            Self::Version => "HTTP_VERSION_NOT_SUPPORTED",
        }
    }

    fn reason(self) -> &'static str {
        match self.status() {
            400 => "Bad Request",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            414 => "URI Too Long",
            417 => "Expectation Failed",
            431 => "Request Header Fields Too Large",
            501 => "Not Implemented",
            503 => "Service Unavailable",
            _ => "HTTP Version Not Supported",
        }
    }

    /// The whole answer as bytes: head and JSON body (without it for `HEAD`), closing the connection.
    pub fn answer(self, request_id: &str, body: &str, head_only: bool) -> Vec<u8> {
        let extra = match self {
            Self::Method => "allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n",
            Self::TooManyConnections => "retry-after: 1\r\n",
            _ => "",
        };
        let head = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nx-request-id: {request_id}\r\n{extra}connection: close\r\n\r\n",
            self.status(),
            self.reason(),
            body.len(),
        );
        let mut bytes = head.into_bytes();
        if !head_only {
            bytes.extend_from_slice(body.as_bytes());
        }
        bytes
    }
}
