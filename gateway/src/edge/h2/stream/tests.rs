use ::h2::client;
use ::h2::{RecvStream, SendStream};
use http::Request;
use pingora::protocols::Digest;
use pingora::protocols::http::custom::server::Session as _;
use pingora::protocols::http::v2::server::{H2Accept, handshake};

use super::*;

/// A client's request, and the stream that the server has of it.
struct Pair {
    body: SendStream<Bytes>,
    answer: client::ResponseFuture,
    stream: H2Stream,
    tally: Arc<Tally>,
    request: Arc<RequestState>,
}

async fn pair(window: u32) -> Pair {
    let (client, server) = tokio::io::duplex(1 << 20);
    let mut builder = client::Builder::new();
    builder.initial_window_size(window);
    let (connected, served) = tokio::join!(builder.handshake::<_, Bytes>(client), handshake(Box::new(server), None));
    let ((mut sender, connection), mut served) = (connected.unwrap(), served.unwrap());
    tokio::spawn(connection);
    let request = Request::post("https://a.example/").body(()).unwrap();
    let (answer, body) = sender.send_request(request, false).unwrap();
    let digest = Arc::new(Digest::default());
    let accepted = HttpSession::from_h2_conn(&mut served, Arc::clone(&digest)).await;
    let Some(H2Accept::Session(session)) = accepted.unwrap() else {
        panic!("the request was rejected");
    };
    tokio::spawn(async move {
        while let Ok(Some(_)) = HttpSession::from_h2_conn(&mut served, Arc::clone(&digest)).await {}
    });
    let (tally, request) = (Arc::new(Tally::default()), Arc::new(RequestState::default()));
    Pair {
        body,
        answer,
        stream: H2Stream::new(session, Arc::clone(&request), tally.open()),
        tally,
        request,
    }
}

fn kind(error: &Error) -> Option<io::ErrorKind> {
    error.root_cause().downcast_ref::<io::Error>().map(io::Error::kind)
}

#[tokio::test]
async fn empty_frames_are_no_part_of_a_body() {
    let mut pair = pair(65_535).await;
    pair.body.send_data(Bytes::new(), false).unwrap();
    pair.body.send_data(Bytes::from_static(b"hello"), false).unwrap();
    pair.body.send_data(Bytes::new(), true).unwrap();
    assert_eq!(pair.stream.read_body_bytes().await.unwrap().unwrap(), "hello");
    assert_eq!(pair.stream.read_body_bytes().await.unwrap(), None);
    assert!(pair.stream.is_body_done());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_cut_off_by_its_deadline() {
    let mut pair = pair(65_535).await;
    pair.request.client_within(Duration::from_secs(5));
    let mut body = pair.body;
    tokio::spawn(async move {
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if body.send_data(Bytes::from_static(b"x"), false).is_err() {
                return;
            }
        }
    });
    let started = Instant::now();
    let error = loop {
        if let Err(error) = pair.stream.read_body_or_idle(false).await {
            break error;
        }
    };
    assert_eq!(
        (kind(&error), started.elapsed().as_secs()),
        (Some(io::ErrorKind::TimedOut), 5)
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_begin_ends_the_wait() {
    let mut pair = pair(65_535).await;
    pair.body.send_data(Bytes::new(), true).unwrap();
    assert_eq!(pair.stream.read_body_bytes().await.unwrap(), None);
    pair.request.answer_within(Duration::from_secs(3));
    let error = pair.stream.read_body_or_idle(true).await.unwrap_err();
    assert_eq!(kind(&error), Some(io::ErrorKind::TimedOut));
    assert!(pair.request.awaits_answer());
}

#[tokio::test]
async fn a_client_that_gives_up_is_noticed_and_counted() {
    for _ in 0..2 {
        let mut pair = pair(65_535).await;
        pair.body.send_reset(::h2::Reason::CANCEL);
        let error = pair.stream.read_body_or_idle(true).await.unwrap_err();
        assert_eq!(error.etype(), &ErrorType::ConnectionClosed);
        assert!(!pair.tally.is_abused());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_its_answer_is_given_up() {
    let mut pair = pair(16).await;
    let head = ResponseHeader::from(Response::new(()).into_parts().0);
    pair.stream.write_response_header(Box::new(head), false).await.unwrap();
    let error = pair
        .stream
        .write_body(Bytes::from(vec![b'x'; 64 * 1024]), true)
        .await
        .unwrap_err();
    assert_eq!(error.etype(), &ErrorType::WriteTimedout);
    drop(pair.answer);
}

#[tokio::test]
async fn a_large_answer_arrives_whole() {
    let mut pair = pair(1_000).await;
    let sent = Bytes::from(vec![b'x'; 300 * 1024]);
    let writing = tokio::spawn({
        let sent = sent.clone();
        async move {
            let head = ResponseHeader::from(Response::new(()).into_parts().0);
            pair.stream.write_response_header(Box::new(head), false).await.unwrap();
            pair.stream.write_body(sent, true).await.unwrap();
        }
    });
    let mut body: RecvStream = pair.answer.await.unwrap().into_body();
    let mut length = 0;
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        length += data.len();
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    writing.await.unwrap();
    assert_eq!(length, sent.len());
}
