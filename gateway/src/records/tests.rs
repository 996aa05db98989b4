use filters::model::record::RecordStatus;

use filters::model::RecordContent;
use filters::redaction::MOST_HEADER_BYTES;

use super::*;

struct Rig {
    metrics: Metrics,
    records: Records,
}

impl Rig {
    fn new() -> Self {
        let metrics = Metrics::new(0).unwrap();
        let records = Records::new("gw-1", &metrics);
        Self { metrics, records }
    }

    /// The batch that is sent: its name, and the numbers of its records.
    fn sent(&self) -> Option<(String, Vec<u64>)> {
        let text = self.records.batch().unwrap()?;
        match serde_json::from_str(&text).unwrap() {
            FromGateway::Records { batch, records, .. } => {
                Some((batch, records.iter().map(|record| record.duration_ms).collect()))
            }
            other => panic!("{other:?}"),
        }
    }

    fn counts(&self) -> (i64, u64) {
        (self.metrics.records_waiting.get(), self.metrics.records_dropped.get())
    }
}

fn record(number: u64) -> ExecutionRecord {
    ExecutionRecord {
        id: Uuid::now_v7().to_string(),
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        request_id: "r".to_owned(),
        org_id: u64::MAX,
        integration_config_id: "labs".into(),
        integration_name: "Lab results".to_owned(),
        direction: filters::model::integration::Direction::Inbound,
        status: RecordStatus::Success,
        http_method: "GET".to_owned(),
        path: "/labs".to_owned(),
        response_status: Some(200),
        error_category: None,
        error_message: None,
        attempts: u32::MAX,
        request_bytes: u64::MAX,
        response_bytes: u64::MAX,
        duration_ms: number,
        upstream_ms: Some(u64::MAX),
        upstream_status: Some(200),
        connect_ms: Some(u64::MAX),
        request_headers: Default::default(),
        request_payload: None,
        response_headers: Default::default(),
        response_body: None,
        target_url: None,
        consumer: None,
        created_at: moment(SystemTime::UNIX_EPOCH),
        gateway_id: "gw-1".into(),
    }
}

#[test]
fn a_batch_is_the_same_until_it_is_acknowledged() {
    let rig = Rig::new();
    assert_eq!(rig.sent(), None);
    rig.records.put(record(1));
    let (first, numbers) = rig.sent().unwrap();
    assert_eq!(numbers, [1]);
    rig.records.put(record(2));
    assert_eq!(rig.sent(), Some((first.clone(), vec![1])), "it is sent again as it was");
    assert!(!rig.records.acknowledged("another"));
    assert_eq!(rig.counts(), (2, 0));
    assert!(rig.records.acknowledged(&first));
    assert!(!rig.records.acknowledged(&first));
    let (second, numbers) = rig.sent().unwrap();
    assert_eq!(numbers, [2]);
    assert!(rig.records.acknowledged(&second));
    assert_eq!((rig.sent(), rig.counts()), (None, (0, 0)));
}

#[test]
fn what_has_no_room_is_dropped_and_counted() {
    let rig = Rig::new();
    let most = MOST_RECORDS as u64;
    (0..most + 5).for_each(|number| rig.records.put(record(number)));
    assert_eq!(rig.counts(), (MOST_RECORDS as i64, 5));
    let (name, numbers) = rig.sent().unwrap();
    assert_eq!(numbers[..2], [0, 1], "the oldest first");
    rig.records.put(record(0));
    assert_eq!(rig.counts().1, 6, "what is on its way takes room too");
    rig.records.acknowledged(&name);
    rig.records.put(record(0));
    assert_eq!(rig.counts().1, 6);
}

#[test]
fn large_records_take_more_room() {
    let rig = Rig::new();
    let large = ExecutionRecord {
        path: "/".repeat(MOST_BYTES / 3),
        ..record(0)
    };
    (0..3).for_each(|_| rig.records.put(large.clone()));
    assert_eq!(rig.counts(), (2, 1));
    let (name, numbers) = rig.sent().unwrap();
    assert_eq!(numbers.len(), 1, "one that is too large for a batch goes alone");
    rig.records.acknowledged(&name);
    rig.records.put(large);
    assert_eq!(rig.counts(), (2, 1), "there is room again");
}

#[test]
fn no_batch_is_larger_than_the_control_plane_takes() {
    let rig = Rig::new();
    // Each of these characters is six bytes in JSON.
    let worst = "\u{1}".repeat(ExecutionRecord::MOST_TEXT_BYTES);
    let worst = ExecutionRecord {
        path: worst.clone(),
        error_message: Some(worst),
        ..record(u64::MAX)
    };
    let body = serde_json::Value::String("\u{1}".repeat(RecordContent::MOST_BODY_BYTES as usize));
    let fields = [("x".to_owned(), "\"".repeat(MOST_HEADER_BYTES))];
    rig.records.put(ExecutionRecord {
        request_headers: fields.clone().into(),
        request_payload: Some(body.clone()),
        response_headers: fields.into(),
        response_body: Some(body),
        ..worst.clone()
    });
    (0..2_000).for_each(|number| {
        rig.records.put(if number < 1_000 {
            worst.clone()
        } else {
            record(u64::MAX)
        })
    });
    let mut shipped = 0;
    while let Some(text) = rig.records.batch().unwrap() {
        assert!(text.len() < 1024 * 1024, "{}", text.len());
        let (name, numbers) = rig.sent().unwrap();
        assert!(numbers.len() <= BATCH_RECORDS);
        shipped += numbers.len();
        assert!(rig.records.acknowledged(&name));
    }
    assert_eq!((shipped, rig.counts()), (2_001, (0, 0)));
}

#[tokio::test]
async fn a_full_batch_is_announced() {
    let rig = Rig::new();
    (0..BATCH_RECORDS as u64 - 1).for_each(|number| rig.records.put(record(number)));
    assert!(!rig.records.fill_a_batch());
    rig.records.put(record(0));
    rig.records.filled().await;
    assert!(rig.records.fill_a_batch());
}
