//! What endpoints answer, and what that means for the delivery.

use tokio::io::AsyncWriteExt as _;

use super::*;

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let outcome = Rig::new()
        .run(&json!({"targetUrl": "http://localhost.localdomain.invalid/"}))
        .await;
    assert_eq!(log(&outcome).error_category, Some(ErrorCategory::Dns));
    let endpoint = Endpoint::start(|_| {
        b"HTTP/1.1 301 X\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n".to_vec()
    })
    .await;
    let outcome = Rig::new().run(&json!({"targetUrl": endpoint.url("/")})).await;
    assert_eq!(log(&outcome).error_category, Some(ErrorCategory::Redirect));
    assert!(
        matches!(outcome.settlement.next, Next::Dead { .. }),
        "it is not followed"
    );
}

/// Timeouts that a test waits for.
fn short() -> Value {
    json!({"connectMs": 2_000, "firstByteMs": 200, "totalMs": 400})
}

#[tokio::test]
async fn an_endpoint_that_hangs_or_trickles_holds_an_attempt_only_for_its_time() {
    let hanging = Endpoint::serve(|stream, _| async move {
        std::future::pending::<()>().await;
        stream
    })
    .await;
    let trickling = Endpoint::serve(|mut stream, _| async move {
        let _ = stream
            .write_all(b"HTTP/1.1 200 X\r\ncontent-length: 100000\r\n\r\n")
            .await;
        while stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stream
    })
    .await;
    for endpoint in [hanging, trickling] {
        let outcome = Rig::new()
            .run(&json!({"targetUrl": endpoint.url("/"), "timeouts": short()}))
            .await;
        assert_eq!(log(&outcome).error_category, Some(ErrorCategory::Timeout));
        assert!(is_retried(&outcome));
        assert_eq!(outcome.verdict.health, Health::Bad);
    }
}

#[tokio::test]
async fn a_gigabyte_is_not_read_and_its_status_counts() {
    let endpoint = Endpoint::serve(|mut stream, _| async move {
        let head = format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", 1_u64 << 30);
        let _ = stream.write_all(head.as_bytes()).await;
        while stream.write_all(&[b'x'; 64 * 1024]).await.is_ok() {}
        stream
    })
    .await;
    let change =
        json!({"targetUrl": endpoint.url("/"), "recordBodies": "all", "rateLimits": {"maxResponseBytes": 1_000}});
    let outcome = Rig::new().run(&change).await;
    assert_eq!(outcome.settlement.next, Next::Settled);
    let body = log(&outcome).response_body.clone().unwrap();
    assert_eq!(body.as_str().unwrap().len(), 1_000);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer_unless_it_is_a_refusal() {
    let close = |head: &'static str| {
        Endpoint::serve(move |mut stream, _| async move {
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.shutdown().await;
            stream
        })
    };
    let rig = Rig::new();
    for (head, category, retried) in [
        ("", ErrorCategory::Network, true),
        (
            "HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nhalf",
            ErrorCategory::Network,
            true,
        ),
        (
            "HTTP/1.1 400 X\r\ncontent-length: 9\r\n\r\nhalf",
            ErrorCategory::ClientError,
            false,
        ),
        ("SSH-2.0\r\n\r\n", ErrorCategory::Protocol, true),
    ] {
        let endpoint = close(head).await;
        let outcome = rig.run(&json!({"targetUrl": endpoint.url("/")})).await;
        assert_eq!(log(&outcome).error_category, Some(category), "{head}");
        assert_eq!(is_retried(&outcome), retried, "{head}");
    }
    // More than it said: what is too much is not looked at.
    let endpoint = Endpoint::start(|_| b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\nok and more".to_vec()).await;
    assert_eq!(
        rig.run(&json!({"targetUrl": endpoint.url("/")})).await.settlement.next,
        Next::Settled
    );
}

#[tokio::test]
async fn what_an_endpoint_asks_for_reaches_its_lane() {
    let slow = Endpoint::start(|_| b"HTTP/1.1 429 X\r\nretry-after: 30\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    let outcome = Rig::new().run(&json!({"targetUrl": slow.url("/")})).await;
    let Next::Again(state) = &outcome.settlement.next else {
        panic!("{:?}", outcome.settlement.next);
    };
    assert_eq!(outcome.verdict.pause_until_ms, Some(state.due_ms));
    assert!(state.due_ms >= now_ms() + 25_000);
    let gone = Endpoint::status(410).await;
    let outcome = Rig::new().run(&json!({"targetUrl": gone.url("/")})).await;
    assert!(outcome.verdict.disable.is_some());
    assert!(matches!(outcome.settlement.next, Next::Dead { retry_ms: None, .. }));
    let abort =
        Endpoint::start(|_| b"HTTP/1.1 500 X\r\nwebhook-delivery: abort-message\r\ncontent-length: 0\r\n\r\n".to_vec())
            .await;
    let outcome = Rig::new().run(&json!({"targetUrl": abort.url("/")})).await;
    assert!(matches!(outcome.settlement.next, Next::Dead { retry_ms: None, .. }));
    assert_eq!(outcome.verdict.disable, None);
    let told = "the endpoint answered with status 500; it asks by `webhook-delivery` not to be sent this again";
    assert_eq!(log(&outcome).error_message.as_deref(), Some(told));
}
