//! gRPC: its calls are told by their content type, and its errors are a status of their own (in header fields or
//! trailers, of an answer that is a 200).

use std::fmt::Write as _;

use http::{HeaderMap, HeaderValue, Response, Version, header};
use pingora_http::{RequestHeader, ResponseHeader};

use super::call::Call;
use super::fault::Fault;
use super::respond;

/// True for a call of gRPC. Only HTTP/2 carries it.
pub(super) fn is_call(request: &RequestHeader) -> bool {
    request.version == Version::HTTP_2
        && request
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| is_grpc(kind.as_bytes()))
}

/// `application/grpc`, alone or with a format (`+proto`) or parameters behind it. gRPC-Web is another protocol.
fn is_grpc(kind: &[u8]) -> bool {
    let (start, rest) = kind.split_at(GRPC.len().min(kind.len()));
    start.eq_ignore_ascii_case(GRPC) && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
}

const GRPC: &[u8] = b"application/grpc";

/// The head of an answer that is nothing but a fault.
pub(super) fn answer(fault: &Fault, call: &Call) -> ResponseHeader {
    let mut head = Response::new(()).into_parts().0;
    head.headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    head.headers.extend(fault.headers());
    respond::stamp(&mut head.headers, call.identity.as_ref());
    head.headers.extend(status(fault, call));
    ResponseHeader::from(head)
}

/// The fields that tell of a fault: in the head of an answer that has not begun, or behind one that has.
pub(super) fn status(fault: &Fault, call: &Call) -> HeaderMap {
    let body = fault.body(call.request_id());
    let mut fields = HeaderMap::with_capacity(2);
    fields.insert("grpc-status", HeaderValue::from(code(fault.status())));
    if let Ok(message) = HeaderValue::try_from(encoded(&format!("{} ({})", body.error, body.code))) {
        fields.insert("grpc-message", message);
    }
    fields
}

/// The status of gRPC that says what ours says.
fn code(status: u16) -> u16 {
    match status {
        499 => 1,                         // CANCELLED
        400 | 411..=412 | 415 | 422 => 3, // INVALID_ARGUMENT
        408 | 504 => 4,                   // DEADLINE_EXCEEDED
        403 => 7,                         // PERMISSION_DENIED
        413 | 429 => 8,                   // RESOURCE_EXHAUSTED
        308 => 9,                         // FAILED_PRECONDITION
        409 => 10,                        // ABORTED
        404 | 405 => 12,                  // UNIMPLEMENTED
        500 => 13,                        // INTERNAL
        401 => 16,                        // UNAUTHENTICATED
        _ => 14,                          // UNAVAILABLE
    }
}

/// A message in the form that the header field has: percent-encoded where it is not plain text.
fn encoded(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => text.push(char::from(byte)),
            byte => {
                // Writing into a text cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_by_their_type() {
        for kind in [
            "application/grpc",
            "application/grpc+proto",
            "Application/gRPC;a=b",
            "application/grpc ; a=b",
        ] {
            assert!(is_grpc(kind.as_bytes()), "{kind}");
        }
        for kind in [
            "application/grpc-web",
            "application/grpcx",
            "application/json",
            "application/grp",
            "",
        ] {
            assert!(!is_grpc(kind.as_bytes()), "{kind}");
        }
    }

    #[test]
    fn a_fault_is_a_status_with_a_message() {
        let fields = status(&Fault::BodyTooLarge(5), &Call::new());
        assert_eq!(fields["grpc-status"], "8");
        let message = fields["grpc-message"].to_str().unwrap();
        assert!(
            message.contains("larger than the 5 bytes allowed (PAYLOAD_TOO_LARGE)"),
            "{message}"
        );
        assert_eq!(status(&Fault::NotFound, &Call::new())["grpc-status"], "12");
    }

    #[test]
    fn messages_are_plain_text() {
        assert_eq!(encoded("50 % caf\u{e9}\n"), "50 %25 caf%C3%A9%0A");
    }
}
