//! Frames of HTTP/2 that cost their sender little: none of them costs the gateway, the partner or another client much.

use bytes::Bytes;
use harness::documents::{document, integration, with};
use harness::gateway::Setup;
use harness::h2_frames::{END_HEADERS, END_STREAM, frame, get, kind, setting};
use harness::{Answer, FrameClient, Gateway, Partner, wait};
use serde_json::json;

const SETTINGS_INITIAL_WINDOW_SIZE: u16 = 4;

/// A gateway for `labs.test`, whose calls may take five seconds.
async fn before(partner: &Partner) -> Gateway {
    let quick = json!({"timeouts": {"connectMs": 5000, "firstByteMs": 5000, "totalMs": 5000}});
    Setup::new()
        .file(&document([with(integration("labs", &partner.url("")), quick)]))
        .set("listen.h2c", json!("127.0.0.1:0"))
        .start()
        .await
}

fn empty_settings() -> Vec<u8> {
    frame(kind::SETTINGS, 0, 0, &[])
}

/// The identifier of the request with this number.
fn stream(number: u32) -> u32 {
    number * 2 + 1
}

async fn nothing_is_left(gateway: &Gateway) {
    wait::until("nothing to be in flight", async || {
        let metrics = gateway.admin_get("/metrics").await.text();
        metrics.contains("gateway_in_flight 0\n").then_some(())
    })
    .await;
    assert_eq!(gateway.get("labs.test", "/").await.status, 200);
}

#[tokio::test]
async fn a_head_that_never_ends_ends_the_connection() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let gateway = before(&partner).await;
    for piece in [&b""[..], &[0x82], &[0; 8_000]] {
        let mut client = FrameClient::connect(&gateway.h2c(), &empty_settings()).await;
        client
            .say(&frame(kind::HEADERS, END_STREAM, 1, &get("labs.test", "/")))
            .await;
        let more = frame(kind::CONTINUATION, 0, 1, piece);
        assert!(
            client.flood(100_000, |_| more.clone()).await,
            "100,000 frames of {} bytes made no head, and were taken",
            piece.len()
        );
    }
    assert!(partner.requests().is_empty());
    nothing_is_left(&gateway).await;
}

#[tokio::test]
async fn floods_of_frames_without_content_end_the_connection() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let gateway = before(&partner).await;
    let floods = [
        ("settings", empty_settings()),
        ("priorities", frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 0, 16])),
        ("of an unknown kind", frame(99, 0, 0, b"x")),
    ];
    for (name, one) in floods {
        let client = FrameClient::connect(&gateway.h2c(), &empty_settings()).await;
        let many = one.repeat(100);
        assert!(
            client.flood(10_000, |_| many.clone()).await,
            "a million frames ({name}) were taken"
        );
    }
    let mut client = FrameClient::connect(&gateway.h2c(), &empty_settings()).await;
    client
        .say(&frame(kind::HEADERS, END_HEADERS, 1, &get("labs.test", "/")))
        .await;
    let many = frame(kind::DATA, 0, 1, &[]).repeat(100);
    assert!(
        client.flood(10_000, |_| many.clone()).await,
        "a million empty pieces of a body were taken"
    );
    nothing_is_left(&gateway).await;
}

/// A request that the server has to give up itself costs as much as one that the client gives up.
#[tokio::test]
async fn requests_that_the_client_makes_the_gateway_give_up_end_the_connection() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let gateway = before(&partner).await;
    let client = FrameClient::connect(&gateway.h2c(), &empty_settings()).await;
    let head = get("labs.test", "/");
    let ended = client.flood(20_000, |number| {
        let stream = stream(number);
        // A window that grows by nothing is an error of the request.
        let wrong = frame(kind::WINDOW_UPDATE, 0, stream, &[0; 4]);
        [frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &head), wrong].concat()
    });
    assert!(ended.await, "20,000 requests were made and broken");
    nothing_is_left(&gateway).await;
}

/// Answers that are not taken hold the partner's connections for the time of a call, and nobody else up.
#[tokio::test]
async fn answers_that_are_not_taken_are_given_up() {
    let large = Bytes::from(vec![b'x'; 4 * 1024 * 1024]);
    let partner = Partner::start(move |request| match request.uri.path() {
        "/large" => Answer::text(large.clone()),
        _ => Answer::text("ok"),
    })
    .await;
    let gateway = before(&partner).await;
    let closed = setting(SETTINGS_INITIAL_WINDOW_SIZE, 0);
    let mut client = FrameClient::connect(&gateway.h2c(), &closed).await;
    let head = get("labs.test", "/large");
    for number in 0..20 {
        client
            .say(&frame(kind::HEADERS, END_HEADERS | END_STREAM, stream(number), &head))
            .await;
    }
    partner.received(20).await;
    assert_eq!(gateway.get("labs.test", "/").await.text(), "ok");
    wait::until("the partner to be let go", async || {
        let metrics = gateway.admin_get("/metrics").await.text();
        metrics.contains("gateway_in_flight 0\n").then_some(())
    })
    .await;
    assert_eq!(gateway.get("labs.test", "/").await.text(), "ok");
    drop(client);
}

#[tokio::test]
async fn half_a_frame_is_waited_for_within_the_time_of_a_head() {
    let setup = Setup::new().set("edge.headTimeoutMs", json!(300));
    let gateway = setup
        .file(&document([]))
        .set("listen.h2c", json!("127.0.0.1:0"))
        .start()
        .await;
    for half in [&[0][..], &[0, 0, 4, kind::HEADERS, END_HEADERS, 0, 0, 0, 1, 0x82]] {
        let mut client = FrameClient::connect(&gateway.h2c(), &empty_settings()).await;
        client.say(half).await;
        client.ended().await;
    }
}
