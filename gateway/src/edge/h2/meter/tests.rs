use std::time::Duration;

use super::*;

const PING: u8 = 6;

fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
    let length = u32::try_from(payload).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
    frame.resize(frame.len() + payload, b'x');
    frame
}

fn after_preface(now: Instant) -> Meter {
    let mut meter = Meter::new(now);
    meter.received(&[b'x'; PREFACE], now).unwrap();
    meter
}

#[test]
fn frames_in_single_bytes_are_the_same_as_in_one_piece() {
    let now = Instant::now();
    let bytes = [
        frame(HEADERS, 0, 20),
        frame(CONTINUATION, END_HEADERS, 3),
        frame(DATA, 0, 300),
    ]
    .concat();
    let mut whole = after_preface(now);
    whole.received(&bytes, now).unwrap();
    let mut pieces = after_preface(now);
    for byte in &bytes {
        pieces.received(&[*byte], now).unwrap();
    }
    assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
    assert!(!pieces.owes_the_rest());
}

#[test]
fn the_rest_of_a_head_is_owed_to_its_last_byte() {
    let now = Instant::now();
    assert!(Meter::new(now).owes_the_rest(), "the preface");
    let mut meter = after_preface(now);
    assert!(!meter.owes_the_rest());
    meter.received(&frame(HEADERS, 0, 5), now).unwrap();
    assert!(meter.owes_the_rest(), "a head without its last frame");
    let last = frame(CONTINUATION, END_HEADERS, 5);
    meter.received(&last[..last.len() - 1], now).unwrap();
    assert!(meter.owes_the_rest(), "a last frame without its last byte");
    meter.received(&last[last.len() - 1..], now).unwrap();
    assert!(!meter.owes_the_rest());
    meter.received(&frame(DATA, 0, 5)[..12], now).unwrap();
    assert!(!meter.owes_the_rest(), "bodies have a time of their own");
    meter.received(b"xx", now).unwrap();
    meter.received(&frame(DATA, 0, 5)[..4], now).unwrap();
    assert!(meter.owes_the_rest(), "half the head of a frame");
}

#[test]
fn frames_without_content_are_allowed_in_measure() {
    let now = Instant::now();
    let flood = |mut frames: u32, kind, payload, at: Instant, meter: &mut Meter| {
        let frame = frame(kind, 0, payload);
        while frames > 0 && meter.received(&frame, at).is_ok() {
            frames -= 1;
        }
        frames
    };
    for (kind, payload) in [(PING, 8), (DATA, 0), (4, 0), (3, 4), (2, 5)] {
        let mut meter = after_preface(now);
        assert!(
            flood(10_000, kind, payload, now, &mut meter) > 8_000,
            "frames of kind {kind}"
        );
    }
    let mut patient = after_preface(now);
    for second in 0..100 {
        let at = now + Duration::from_secs(second);
        assert_eq!(flood(100, PING, 8, at, &mut patient), 0, "a ping each 10 ms");
    }
    let mut busy = after_preface(now);
    for _ in 0..5_000 {
        busy.sent(16 * 1024);
        assert_eq!(
            flood(1, PING, 8, now, &mut busy),
            0,
            "a ping for each 16 KB that are downloaded"
        );
    }
}

#[test]
fn bodies_and_window_updates_are_no_flood() {
    let now = Instant::now();
    let mut meter = after_preface(now);
    for _ in 0..20_000 {
        meter.received(&frame(DATA, 0, 1), now).unwrap();
        meter.received(&frame(WINDOW_UPDATE, 0, 4), now).unwrap();
        meter.received(&frame(DATA, END_STREAM, 0), now).unwrap();
    }
}
