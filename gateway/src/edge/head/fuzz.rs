//! Heads as clients should and should not send them, changed at random: nothing panics, and what passes is one request.

use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits {
    bytes: 4_096,
    headers: 20,
    target_bytes: 512,
};

/// What smuggles, floods or confuses.
const CORPUS: [&[u8]; 10] = [
    b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"POST /a?b=c HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n",
    b"GET http://a.test/x HTTP/1.1\r\nHost: b.test\r\n\r\n",
    b"\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a.test\nX: a\r b\n\n",
    b"GET / HTTP/1.1\r\nHost : a.test\r\nX:\x00\xff\r\n folded\r\n\r\n",
];

proptest! {
    #[test]
    fn a_changed_head_is_refused_or_means_one_request(
        file in 0..CORPUS.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"\r\n :,;/\0\t\xffaZ0chunked".to_vec()), any::<bool>()), 0..6),
    ) {
        let mut bytes = CORPUS[file].to_vec();
        for (place, byte, replaces) in edits {
            let at = place.index(bytes.len());
            if replaces {
                bytes[at] = byte;
            } else {
                bytes.insert(at, byte);
            }
        }
        if let Examined::Complete(head) = examine(&bytes, &LIMITS) {
            prop_assert!(head.length <= bytes.len() && head.length <= LIMITS.bytes);
            let passed = head.rewritten.as_deref().unwrap_or(&bytes[..head.length]);
            // What is passed on is examined as the same again.
            match examine(passed, &LIMITS) {
                Examined::Complete(again) => prop_assert_eq!(again.framing, head.framing),
                other => prop_assert!(false, "{:?} of {:?}", other, String::from_utf8_lossy(passed)),
            }
        }
    }
}
