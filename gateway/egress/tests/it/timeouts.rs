//! Every wait ends.

use std::time::Duration;

use egress::{EgressError, Timeouts};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::partner::{PATIENT, Partner, get, open, pool, read_head};

const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_connection_that_is_not_taken_times_out() {
    // A listener whose queue is full drops what knocks.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(SHORT, TcpStream::connect(address)).await {
        waiting.push(stream);
    }
    let timeouts = Timeouts {
        connect: SHORT,
        ..PATIENT
    };
    let error = pool(&format!("http://{address}/"), open())
        .send(get("/"), timeouts)
        .await
        .unwrap_err();
    assert!(
        matches!(error, EgressError::ConnectTimeout { after: SHORT, .. }),
        "{error:?}"
    );
    assert!(error.is_timeout() && !error.may_have_been_sent());
    assert_eq!(error.to_string(), "no connection to 127.0.0.1 within 100 ms");
}

#[tokio::test]
async fn tls_counts_as_connecting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let timeouts = Timeouts {
        connect: SHORT,
        ..PATIENT
    };
    let error = pool(&format!("https://localhost:{port}/"), open())
        .send(get("/"), timeouts)
        .await
        .unwrap_err();
    assert!(matches!(error, EgressError::ConnectTimeout { .. }), "{error:?}");
    drop(listener);
}

#[tokio::test]
async fn a_partner_that_says_nothing_times_out() {
    let partner = Partner::raw(b"", false).await;
    let timeouts = Timeouts {
        first_byte: SHORT,
        ..PATIENT
    };
    let error = partner.pool().send(get("/"), timeouts).await.unwrap_err();
    assert!(
        matches!(error, EgressError::FirstByteTimeout { after: SHORT, .. }),
        "{error:?}"
    );
    assert!(error.is_timeout() && error.may_have_been_sent());
}

#[tokio::test]
async fn a_head_that_trickles_times_out() {
    let partner = Partner::accept(|mut stream| async move {
        read_head(&mut stream).await;
        for byte in b"HTTP/1.1 200 OK\r\nx-a: ".iter().chain([b'a'; 100_000].iter()) {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let timeouts = Timeouts {
        first_byte: SHORT,
        ..PATIENT
    };
    let error = partner.pool().send(get("/"), timeouts).await.unwrap_err();
    assert!(matches!(error, EgressError::FirstByteTimeout { .. }), "{error:?}");
}

#[tokio::test]
async fn the_total_covers_the_wait_for_the_head() {
    let partner = Partner::raw(b"", false).await;
    let timeouts = Timeouts {
        total: SHORT,
        ..PATIENT
    };
    let error = partner.pool().send(get("/"), timeouts).await.unwrap_err();
    assert!(
        matches!(error, EgressError::TotalTimeout { after: SHORT, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_body_that_trickles_ends_with_the_total() {
    let partner = Partner::accept(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            .await;
        while stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let timeouts = Timeouts {
        total: Duration::from_millis(300),
        ..PATIENT
    };
    let pool = partner.pool();
    let collected = pool.send(get("/"), timeouts).await.unwrap().collect(2_000_000).await;
    let error = collected.unwrap_err();
    assert!(matches!(error, EgressError::TotalTimeout { .. }), "{error:?}");

    let mut answer = pool.send(get("/"), timeouts).await.unwrap();
    let error = loop {
        match answer.chunk().await.expect("no end before the deadline") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, EgressError::TotalTimeout { .. }), "{error:?}");
    assert!(answer.chunk().await.is_none());
}
