//! What may come back, and how much of it.

use egress::EgressError;
use tokio::io::AsyncWriteExt as _;

use crate::partner::{Partner, call, read_head};

#[tokio::test]
async fn a_body_of_exactly_the_cap_passes() {
    let partner = Partner::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", false).await;
    assert_eq!(
        call(&partner.pool(), "/").await.unwrap().collect(5).await.unwrap(),
        "hello"
    );
}

#[tokio::test]
async fn an_announced_body_beyond_the_cap_is_refused_before_it_is_read() {
    let partner = Partner::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n", false).await;
    let error = call(&partner.pool(), "/").await.unwrap().collect(5).await.unwrap_err();
    assert!(matches!(error, EgressError::BodyTooLarge { max: 5, .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "the body of the answer from 127.0.0.1 is larger than 5 bytes"
    );
}

#[tokio::test]
async fn a_body_without_an_announced_length_is_capped_while_it_comes() {
    let partner = Partner::accept(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        // For ever, if nobody stops it.
        while stream.write_all(b"400\r\n").await.is_ok()
            && stream.write_all(&[b'x'; 0x400]).await.is_ok()
            && stream.write_all(b"\r\n").await.is_ok()
        {}
    })
    .await;
    let error = call(&partner.pool(), "/")
        .await
        .unwrap()
        .collect(100_000)
        .await
        .unwrap_err();
    assert!(
        matches!(error, EgressError::BodyTooLarge { max: 100_000, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn pieces_are_joined_in_order() {
    let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n";
    let partner = Partner::raw(answer, false).await;
    let pool = partner.pool();
    assert_eq!(call(&pool, "/").await.unwrap().collect(6).await.unwrap(), "abcdef");
    assert_eq!(call(&pool, "/").await.unwrap().collect(6).await.unwrap(), "abcdef");
    assert_eq!(partner.connections(), 1);
}

#[tokio::test]
async fn trailers_are_not_data() {
    let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x\r\n\r\n2\r\nok\r\n0\r\nx: 1\r\n\r\n";
    let partner = Partner::raw(answer, false).await;
    assert_eq!(
        call(&partner.pool(), "/").await.unwrap().collect(10).await.unwrap(),
        "ok"
    );
}

#[tokio::test]
async fn a_truncated_body_is_an_error() {
    let answers: [&'static [u8]; 2] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf.",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhalf.\r\n",
    ];
    for answer in answers {
        let partner = Partner::raw(answer, true).await;
        let pool = partner.pool();
        let mut answer = call(&pool, "/").await.unwrap();
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "half.");
        let error = answer.chunk().await.unwrap().unwrap_err();
        assert!(matches!(error, EgressError::Body { .. }), "{error:?}");
        assert!(answer.chunk().await.is_none(), "an error is the end");
        assert!(call(&pool, "/").await.unwrap().collect(100).await.is_err());
    }
}

#[tokio::test]
async fn what_is_no_answer_is_a_protocol_error() {
    let many_fields = {
        let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
        (0..101).for_each(|number| head.extend_from_slice(format!("x-{number}: 1\r\n").as_bytes()));
        head.extend_from_slice(b"\r\n");
        &*head.leak()
    };
    let large_head = {
        let mut head = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
        head.extend_from_slice(&[b'x'; 70_000]);
        head.extend_from_slice(b"\r\n\r\n");
        &*head.leak()
    };
    let answers: [&'static [u8]; 7] = [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n..",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        many_fields,
        large_head,
    ];
    for answer in answers {
        let partner = Partner::raw(answer, true).await;
        let outcome = call(&partner.pool(), "/").await;
        let error = outcome.expect_err(&String::from_utf8_lossy(&answer[..answer.len().min(60)]));
        assert!(matches!(error, EgressError::Protocol { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_switch_of_protocols_that_nobody_asked_for_is_refused() {
    let partner = Partner::raw(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        false,
    )
    .await;
    let error = call(&partner.pool(), "/").await.unwrap_err();
    assert!(
        matches!(error, EgressError::UnexpectedUpgrade { status: 101, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn interim_answers_are_skipped() {
    let answer = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let partner = Partner::raw(answer, false).await;
    assert_eq!(
        call(&partner.pool(), "/").await.unwrap().collect(10).await.unwrap(),
        "ok"
    );
}

#[tokio::test]
async fn bytes_beyond_an_answer_never_become_the_next_one() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad";
    let partner = Partner::raw(answer, false).await;
    let pool = partner.pool();
    for _ in 0..10 {
        assert_eq!(call(&pool, "/").await.unwrap().collect(10).await.unwrap(), "ok");
    }
}
