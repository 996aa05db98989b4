use super::*;

const LIMITS: HeadLimits = HeadLimits {
    bytes: 1_024,
    headers: 8,
    target_bytes: 128,
};

fn complete(text: &str) -> Head {
    match examine(text.as_bytes(), &LIMITS) {
        Examined::Complete(head) => head,
        other => panic!("{text:?}: {other:?}"),
    }
}

fn status(text: &str) -> u16 {
    match examine(text.as_bytes(), &LIMITS) {
        Examined::Refused(refusal) => refusal.status(),
        other => panic!("{text:?}: {other:?}"),
    }
}

#[test]
fn good_heads_pass_as_they_came() {
    let head = complete("GET /a?b=c HTTP/1.1\r\nHost: a.example:80\r\n\r\nmore");
    assert_eq!(head.length, 43);
    assert!(head.rewritten.is_none() && head.framing.is_done());
    assert_eq!(
        complete("POST / HTTP/1.1\r\nhost: a\r\nContent-Length: 12\r\n\r\n").framing,
        Framing::Length(12)
    );
    assert_eq!(
        complete("POST / HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: Chunked\r\n\r\n").framing,
        Framing::chunked()
    );
}

#[test]
fn an_empty_line_in_front_is_dropped() {
    let head = complete("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(head.length, 29);
    assert_eq!(
        head.rewritten.as_deref(),
        Some(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice())
    );
}

#[test]
fn absolute_targets_become_paths_if_they_agree_with_the_host() {
    let head = complete("GET HTTP://A.example?x=1 HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(
        head.rewritten.as_deref(),
        Some(b"GET /?x=1 HTTP/1.1\r\nHost: a.example\r\n\r\n".as_slice())
    );
    assert_eq!(status("GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400);
}

#[test]
fn heads_that_are_not_whole_are_waited_for_up_to_the_limits() {
    for text in [
        "",
        "G",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r",
    ] {
        assert!(
            matches!(examine(text.as_bytes(), &LIMITS), Examined::Partial),
            "{text:?}"
        );
    }
    assert_eq!(status(&format!("GET /{}", "a".repeat(300))), 414);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nx: {}", "a".repeat(1_100))), 431);
    assert_eq!(status("\u{16}\u{3}\u{1}"), 400);
}

#[test]
fn limits_hold_for_whole_heads() {
    assert_eq!(
        status(&format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(128))),
        414
    );
    assert_eq!(
        status(&format!(
            "GET / HTTP/1.1\r\nHost: a\r\nx: {}\r\n\r\n",
            "a".repeat(1_024)
        )),
        431
    );
    let many: String = (0..9).map(|n| format!("x-{n}: 1\r\n")).collect();
    assert_eq!(status(&format!("GET / HTTP/1.1\r\n{many}\r\n")), 431);
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for (text, expected) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: \r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nx: a\0b\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET @x/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET :80/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /\u{7f} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /é HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000000000000\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            501,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-maybe\r\n\r\n", 417),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("PRI * HTTP/2.0\r\n\r\n", 505),
        ("GET / HTTP/3.7\r\nHost: a\r\n\r\n", 505),
        ("GET /\r\n\r\n", 400),
    ] {
        assert_eq!(status(text), expected, "{text:?}");
    }
}

#[test]
fn only_websocket_on_http_1_1_changes_the_protocol() {
    assert!(complete("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\n\r\n").websocket);
    for head in [
        "GET / HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\nx: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUPGRADE: h2c\r\nx: y\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a\r\nupgrade: x\r\nUpgrade: websocket, h2c\r\nx: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nUpgrade: websocket\r\nx: y\r\n\r\n",
    ] {
        let head = complete(head);
        let rewritten = String::from_utf8(head.rewritten.unwrap()).unwrap();
        assert!(
            !head.websocket && !rewritten.to_lowercase().contains("upgrade"),
            "{rewritten}"
        );
        assert!(rewritten.ends_with("Host: a\r\nx: y\r\n\r\n"), "{rewritten}");
    }
}
