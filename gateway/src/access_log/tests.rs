use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::*;

fn counters() -> Counters {
    let counter = |name| IntCounter::new(name, "for a test").unwrap();
    Counters {
        dropped: counter("dropped"),
        errors: counter("errors"),
    }
}

fn open(path: &Path) -> AccessLog {
    AccessLog::open(&AccessLogOutput::File(path.to_owned()), counters()).unwrap()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn record(request_id: &str) -> AccessRecord<'_> {
    AccessRecord {
        at: UNIX_EPOCH + Duration::from_micros(1_772_368_496_000_042),
        request_id,
        trace_id: [0xab; 16],
        client: None,
        method: "GET",
        host: b"partner.example",
        path: b"/patients",
        status: None,
        code: None,
        integration: None,
        org_id: None,
        consumer: None,
        mode: None,
        request_bytes: 0,
        response_bytes: 0,
        duration: Duration::from_micros(1_500),
        upstream: None,
        fault_reason: None,
        headers: &[],
    }
}

#[test]
fn a_line_says_everything_that_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = open(&path);
    log.write(&AccessRecord {
        client: Some("2001:db8::1".parse().unwrap()),
        status: Some(502),
        code: Some("UPSTREAM_UNREACHABLE"),
        integration: Some("labs"),
        org_id: Some(7),
        consumer: Some("his"),
        mode: Some(RouteMode::Exchange),
        request_bytes: 10,
        response_bytes: 20,
        upstream: Some(UpstreamRecord {
            address: Some("192.0.2.1:443".parse::<SocketAddr>().unwrap()),
            duration: Duration::from_millis(1),
            attempts: 2,
        }),
        fault_reason: Some("connection refused"),
        ..record("r-1")
    });
    log.write(&record("r-2"));
    drop(log);

    let full = json!({
        "ts": "2026-03-01T12:34:56.000042Z", "requestId": "r-1", "traceId": "ab".repeat(16), "client": "2001:db8::1",
        "method": "GET", "host": "partner.example", "path": "/patients", "status": 502, "code": "UPSTREAM_UNREACHABLE",
        "integration": "labs", "orgId": 7, "consumer": "his", "mode": "exchange", "requestBytes": 10,
        "responseBytes": 20, "durationMs": 1.5,
        "upstream": {"address": "192.0.2.1:443", "durationMs": 1.0, "attempts": 2}, "faultReason": "connection refused",
    });
    let bare = json!({
        "ts": "2026-03-01T12:34:56.000042Z", "requestId": "r-2", "traceId": "ab".repeat(16), "method": "GET",
        "host": "partner.example", "path": "/patients", "requestBytes": 0, "responseBytes": 0, "durationMs": 1.5,
    });
    assert_eq!(lines(&path), [full, bare]);
}

#[test]
fn a_query_never_gets_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = open(&path);
    log.write(&AccessRecord {
        path: b"/a?apiKey=s3cret?x",
        ..record("r")
    });
    drop(log);
    assert_eq!(lines(&path)[0]["path"], "/a");
    assert!(!fs::read_to_string(&path).unwrap().contains("s3cret"));
}

#[test]
fn times_are_right_across_seconds_and_at_the_edges() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = open(&path);
    let times = [
        (UNIX_EPOCH, "1970-01-01T00:00:00.000000Z"),
        (
            UNIX_EPOCH + Duration::from_micros(951_782_399_999_999),
            "2000-02-28T23:59:59.999999Z",
        ),
        (
            UNIX_EPOCH + Duration::from_micros(951_782_400_000_000),
            "2000-02-29T00:00:00.000000Z",
        ),
        (UNIX_EPOCH - Duration::from_secs(1), "1970-01-01T00:00:00.000000Z"),
        (
            UNIX_EPOCH + Duration::from_secs(400_000_000_000),
            "9999-12-30T22:00:00.000000Z",
        ),
    ];
    for (at, _) in times {
        log.write(&AccessRecord { at, ..record("r") });
    }
    drop(log);
    let written: Vec<_> = lines(&path)
        .iter()
        .map(|line| line["ts"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(written, times.map(|(_, text)| text));
}

#[test]
fn lines_of_many_threads_arrive_whole_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = open(&path);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || {
                for n in 0..2_000 {
                    log.write(&record(&format!("{thread}-{n}")));
                }
            });
        }
    });
    drop(log);
    let lines = lines(&path);
    let ids: HashSet<_> = lines.iter().map(|line| line["requestId"].as_str().unwrap()).collect();
    assert_eq!((lines.len(), ids.len()), (8_000, 8_000));
}

#[test]
fn a_flush_brings_out_what_was_written_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = open(&path);
    for n in 1..=3 {
        log.write(&record("r"));
        assert!(log.flush(Duration::from_secs(30)));
        assert_eq!(lines(&path).len(), n);
    }
}

#[test]
fn a_log_that_is_opened_again_goes_on_in_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, rotated) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let log = open(&path);
    log.write(&record("before"));
    assert!(log.flush(Duration::from_secs(30)));
    fs::rename(&path, &rotated).unwrap();
    log.reopen();
    log.write(&record("after"));
    drop(log);
    assert_eq!(lines(&rotated)[0]["requestId"], "before");
    assert_eq!(lines(&path)[0]["requestId"], "after");
}

#[cfg(target_os = "linux")]
#[test]
fn lines_that_cannot_be_written_are_counted() {
    let counters = counters();
    let log = AccessLog::open(&AccessLogOutput::File("/dev/full".into()), counters.clone()).unwrap();
    log.write(&record("1"));
    log.write(&record("2"));
    drop(log);
    assert_eq!(counters.dropped.get(), 2);
    assert!(counters.errors.get() >= 1);
}

#[test]
fn a_file_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/access.log");
    let error = AccessLog::open(&AccessLogOutput::File(path.clone()), counters()).unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

#[test]
fn a_log_that_is_off_takes_everything_and_keeps_nothing() {
    let log = AccessLog::open(&AccessLogOutput::Off, counters()).unwrap();
    log.write(&AccessRecord {
        at: SystemTime::now(),
        ..record("r")
    });
    log.reopen();
    assert!(log.flush(Duration::ZERO));
}

#[test]
fn a_line_has_the_fields_that_were_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = open(&path).with_fields(&[
        AccessField::Path,
        AccessField::Ts,
        AccessField::Upstream,
        AccessField::Status,
    ]);
    log.write(&AccessRecord {
        status: Some(200),
        headers: &[("user-agent", b"curl \"8\"")],
        ..record("r")
    });
    drop(log);
    let line = &lines(&path)[0];
    let names: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["ts", "path", "status", "user-agent"]);
    assert_eq!(line["user-agent"], "curl \"8\"");
}

#[test]
fn every_field_can_be_left_out_and_chosen() {
    assert_eq!(Fields::of(&[]), Fields::ALL);
    assert_eq!(Fields::of(&AccessField::ALL), Fields::ALL);
    for field in AccessField::ALL {
        let only = Fields::of(&[field]);
        assert!(
            AccessField::ALL
                .iter()
                .all(|other| only.has(*other) == (*other == field)),
            "{field:?}"
        );
    }
}
