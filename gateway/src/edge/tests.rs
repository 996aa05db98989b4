use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, DuplexStream};

use super::*;

#[derive(Default)]
struct Noted(Mutex<Vec<Refusal>>);

impl RefusalSink for Noted {
    fn refused(&self, refusal: Refusal, _client: Option<IpAddr>) -> (String, String) {
        self.0.lock().unwrap().push(refusal);
        ("id-1".to_owned(), "{}".to_owned())
    }
}

fn guarded(head_timeout: Duration) -> (DuplexStream, Guard, Arc<Noted>) {
    let (client, server) = tokio::io::duplex(1 << 20);
    let limits = EdgeLimits {
        head: HeadLimits {
            bytes: 1_024,
            headers: 16,
            target_bytes: 256,
        },
        head_timeout,
    };
    let sink = Arc::new(Noted::default());
    (
        client,
        Guard::new(Box::new(server), Arc::default(), limits, Arc::clone(&sink) as _),
        sink,
    )
}

const MINUTE: Duration = Duration::from_secs(60);
const HEAD: &[u8] = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";

async fn read(guard: &mut Guard, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    guard.read_exact(&mut bytes).await.unwrap();
    bytes
}

/// True if a read finds nothing to pass on now.
async fn has_nothing(guard: &mut Guard) -> bool {
    let mut byte = [0];
    std::future::poll_fn(|cx| {
        let mut space = ReadBuf::new(&mut byte);
        Poll::Ready(Pin::new(&mut *guard).poll_read(cx, &mut space).is_pending())
    })
    .await
}

#[tokio::test]
async fn a_second_request_waits_until_the_first_is_finished() {
    let (mut client, mut guard, _) = guarded(MINUTE);
    client
        .write_all(&[HEAD, b"hello", HEAD, b"world"].concat())
        .await
        .unwrap();
    assert_eq!(read(&mut guard, HEAD.len() + 5).await, [HEAD, b"hello"].concat());
    assert!(has_nothing(&mut guard).await);
    guard.request().finish();
    assert_eq!(read(&mut guard, HEAD.len() + 5).await, [HEAD, b"world"].concat());
}

#[tokio::test]
async fn a_head_in_single_bytes_arrives_whole() {
    let (mut client, mut guard, _) = guarded(MINUTE);
    for byte in HEAD {
        client.write_all(&[*byte]).await.unwrap();
        if *byte != b'\n' {
            assert!(has_nothing(&mut guard).await);
        }
    }
    assert_eq!(read(&mut guard, HEAD.len()).await, HEAD);
}

#[tokio::test]
async fn a_client_that_leaves_while_its_request_is_under_way_is_noticed() {
    let (mut client, mut guard, _) = guarded(MINUTE);
    client.write_all(&[HEAD, b"hello"].concat()).await.unwrap();
    read(&mut guard, HEAD.len() + 5).await;
    assert!(has_nothing(&mut guard).await);
    drop(client);
    assert_eq!(guard.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_bad_head_is_answered_and_nothing_is_passed_on() {
    let (mut client, mut guard, sink) = guarded(MINUTE);
    client
        .write_all(b"GET / HTTP/1.1\r\n\r\nGET /smuggled HTTP/1.1\r\n")
        .await
        .unwrap();
    let served = tokio::spawn(async move { guard.read(&mut [0; 8]).await });
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(
        answer.contains("connection: close\r\n") && answer.ends_with("{}"),
        "{answer}"
    );
    drop(client);
    assert_eq!(served.await.unwrap().unwrap(), 0);
    assert_eq!(sink.0.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_cut_off_by_one_deadline() {
    let (mut client, mut guard, _) = guarded(Duration::from_secs(10));
    let served = tokio::spawn(async move { guard.read(&mut [0; 8]).await });
    let started = Instant::now();
    let mut drip = tokio::time::interval(Duration::from_secs(1));
    let mut answer = Vec::new();
    for byte in HEAD.iter().cycle() {
        drip.tick().await;
        if client.write_all(&[*byte | 1]).await.is_err() || started.elapsed() > Duration::from_secs(11) {
            break;
        }
    }
    tokio::io::AsyncWriteExt::shutdown(&mut client).await.unwrap();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 408 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    drop(client);
    assert_eq!(served.await.unwrap().unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_cut_off_by_its_deadline() {
    let (mut client, mut guard, _) = guarded(MINUTE);
    client.write_all(HEAD).await.unwrap();
    read(&mut guard, HEAD.len()).await;
    guard.request().client_within(Duration::from_secs(5));
    let error = guard.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn malformed_chunks_end_in_an_error() {
    let (mut client, mut guard, _) = guarded(MINUTE);
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client
        .write_all(&[head.as_slice(), b"2\r\nab\r\n;\r\n"].concat())
        .await
        .unwrap();
    let mut all = Vec::new();
    let error = guard.read_to_end(&mut all).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn what_follows_chunks_stays_behind() {
    let (mut client, mut guard, _) = guarded(MINUTE);
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    client.write_all(&request[..60]).await.unwrap();
    assert_eq!(read(&mut guard, 60).await, &request[..60]);
    client.write_all(&[&request[60..], HEAD].concat()).await.unwrap();
    let rest = request.len() - 60;
    assert_eq!(read(&mut guard, rest).await, &request[60..]);
    assert!(has_nothing(&mut guard).await);
    guard.request().finish();
    assert_eq!(read(&mut guard, HEAD.len()).await, HEAD);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_its_answer_is_given_up() {
    let (client, mut guard, _) = guarded(MINUTE);
    let error = guard.write_all(&vec![b'x'; 4 << 20]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_begun_may_be_silent_for_so_long_after_each_part() {
    let (mut client, mut guard, _) = guarded(MINUTE);
    client.write_all(&[HEAD, b"hello"].concat()).await.unwrap();
    read(&mut guard, HEAD.len() + 5).await;
    guard.request().answer_within(Duration::from_secs(2));
    assert!(has_nothing(&mut guard).await);
    guard.request().answered();
    guard.request().silent_within(Duration::from_secs(5));
    let begun = Instant::now();
    for _ in 0..3 {
        guard.write_all(b"part").await.unwrap();
        let mut byte = [0];
        let wait = tokio::time::timeout(Duration::from_secs(4), guard.read(&mut byte));
        assert!(
            wait.await.is_err(),
            "the silence before a part was counted for the one after it"
        );
    }
    let error = guard.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(begun.elapsed().as_secs(), 4 + 4 + 5);
    assert!(guard.request().awaits_answer());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_begin_ends_the_wait_whatever_timer_ran_before() {
    let (mut client, mut guard, _) = guarded(MINUTE);
    for seconds in [20, 3, 10] {
        client.write_all(&[HEAD, b"hello"].concat()).await.unwrap();
        read(&mut guard, HEAD.len() + 5).await;
        guard.request().answer_within(Duration::from_secs(seconds));
        let waited = Instant::now();
        let error = guard.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(waited.elapsed().as_secs(), seconds);
        guard.request().finish();
    }
}
