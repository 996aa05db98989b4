use std::sync::Arc;

use filters::model::delivery::{DeliveryLog, DeliveryRecord};
use filters::model::subject::{Subject, SubjectPath};
use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::config::{Limits, StoreConfig};
use crate::erasures::{ErasureState, Removed};
use crate::rollups::{Clocks, Deltas};
use crate::seal::Sealer;
use crate::store::{Batch, CommandRecord, Outcomes, Query};

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn what_names_a_person_is_gone_from_records_and_file_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let sealer = Arc::new(Sealer::new(&[1; 32]));
    let store = Store::open(&StoreConfig::default(), folder.path(), &Limits::default(), sealer)
        .await
        .unwrap();
    // More than a page, so that something else is on each of them.
    let logs = (0..450).map(|number| {
        let patient = if number % 100 == 7 {
            "planted-4711"
        } else {
            "planted-other"
        };
        let log = log(number, 648, patient);
        DeliveryRecord::Log(Box::new(log))
    });
    let more = [
        DeliveryRecord::Log(Box::new(log(900, 7, "planted-4711"))),
        DeliveryRecord::DeadLetter(Box::new(letter("01", "planted-4711"))),
        DeliveryRecord::DeadLetter(Box::new(letter("02", "planted-other"))),
    ];
    let told = Outcomes::sort(&"g1".into(), logs.chain(more).collect(), &Clocks::default()).unwrap();
    store.keep_outcomes(told).await.unwrap();
    let calls = vec![call("1", "/labs/planted-4711"), call("2", "/labs/other")];
    let batch = Batch {
        gateway_id: "g1".into(),
        name: "b1".to_owned(),
    };
    let counted = Deltas::of_calls(&[], &Clocks::default());
    store.keep_calls(batch, calls, counted).await.unwrap();

    let again = CommandRecord {
        command: Command::Replay {
            org_id: 648,
            integration_config_id: None,
            event_ids: vec!["planted-4711".to_owned(), "planted-other".to_owned()],
            from: None,
            to: None,
        },
        ..retry("c3", "")
    };
    let edited = vec![retry("c1", "planted-4711"), retry("c2", "planted-other"), again];
    store.add_commands(&edited, None).await.unwrap();

    let erasure = erasure();
    let removed = sweep(&store, &erasure).await.unwrap();
    let wanted = Removed {
        delivery_logs: 5,
        execution_logs: 1,
        dead_letters: 1,
        scheduled: 0,
        commands: 2,
    };
    assert_eq!(removed, wanted);
    assert_eq!(
        sweep(&store, &erasure).await.unwrap(),
        Removed::default(),
        "a second time finds nothing"
    );

    let query = Query {
        org_id: Some(648),
        limit: 1_000,
        ..Query::default()
    };
    let logs: Vec<DeliveryLog> = store.list(&query).await.unwrap();
    assert_eq!(logs.len(), 450, "attempts stay in the history");
    let emptied = logs.iter().filter(|log| log.request_payload.is_none()).count();
    assert_eq!(emptied, 5);
    let letters: Vec<DeadLetter> = store.list(&query).await.unwrap();
    assert_eq!(letters.len(), 1);
    // A batch that comes late does not bring it back.
    let late = vec![DeliveryRecord::DeadLetter(Box::new(letter("01", "planted-4711")))];
    store
        .keep_outcomes(Outcomes::sort(&"g1".into(), late, &Clocks::default()).unwrap())
        .await
        .unwrap();
    assert_eq!(store.list::<DeadLetter>(&query).await.unwrap().len(), 1);
    let other: Vec<DeliveryLog> = store
        .list(&Query {
            org_id: Some(7),
            ..query
        })
        .await
        .unwrap();
    assert!(other[0].request_payload.is_some(), "another organization's");

    store.rewrite(vec![erased_log(other)]).await.unwrap();
    let commands = store.due_commands("g1", 10).await.unwrap();
    assert_eq!(commands.len(), 3, "they are still to be carried out");
    assert!(store.empty_log().await.unwrap());
    store.close().await;
    let file = std::fs::read(folder.path().join("control-plane.db")).unwrap();
    let holds = |text: &str| file.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("planted-other") && !holds("planted-4711"));
}

#[tokio::test]
async fn a_short_number_is_removed_where_payloads_have_persons_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let sealer = Arc::new(Sealer::new(&[1; 32]));
    let store = Store::open(&StoreConfig::default(), folder.path(), &Limits::default(), sealer)
        .await
        .unwrap();
    let other = json!({"patient": {"id": 12}, "total": 7, "ward": "7"});
    let logs = [json!({"patient": {"id": 7}}), json!({"patient": {"id": "7"}}), other];
    let logs = logs.into_iter().zip(1..).map(|(payload, number)| {
        let log = DeliveryLog {
            request_payload: Some(payload),
            curl_command: Some("curl https://partner.example/beds/7".to_owned()),
            target_url: "https://partner.example/beds/7".to_owned(),
            ..log(number, 648, "x")
        };
        DeliveryRecord::Log(Box::new(log))
    });
    let told = Outcomes::sort(&"g1".into(), logs.collect(), &Clocks::default()).unwrap();
    store.keep_outcomes(told).await.unwrap();
    let erasure = Erasure {
        subject: Subject::new("7", "salt"),
        paths: vec![SubjectPath {
            path: "patient.id".to_owned(),
            event_type: None,
        }],
        only_paths: true,
        ..erasure()
    };
    assert_eq!(sweep(&store, &erasure).await.unwrap().delivery_logs, 2);
    let query = Query {
        org_id: Some(648),
        limit: 10,
        ..Query::default()
    };
    let logs: Vec<DeliveryLog> = store.list(&query).await.unwrap();
    let left: Vec<&str> = logs
        .iter()
        .filter(|log| log.request_payload.is_some())
        .map(|log| log.id.as_str())
        .collect();
    assert_eq!(left, ["log-0003"]);
    store.close().await;
}

fn retry(id: &str, patient: &str) -> CommandRecord {
    CommandRecord {
        id: id.to_owned(),
        org_id: 648,
        gateway_id: "g1".into(),
        bulk_id: None,
        command: Command::RetryDeadLetters {
            ids: vec!["letter-01".to_owned()],
            payload: Some(json!({"patient": patient})),
        },
        created_by: "tests".to_owned(),
        created_at: Timestamp::now(),
        sent_at: None,
        done: None,
    }
}

/// The other organization's, erased too, so that the file must not have the name at all.
fn erased_log(mut logs: Vec<DeliveryLog>) -> DeliveryLog {
    let search = Search::new(&Subject::new("planted-4711", "salt"), &[], false).unwrap();
    logs.remove(0).erased(7, &search).unwrap()
}

fn erasure() -> Erasure {
    Erasure {
        id: "e".to_owned(),
        org_id: 648,
        subject: Subject::new("planted-4711", "salt"),
        paths: Vec::new(),
        only_paths: false,
        state: ErasureState::Running,
        requested_by: "tests".to_owned(),
        requested_at: Timestamp::now(),
        swept_at: None,
        finished_at: None,
        gateways: Vec::new(),
        removed: Removed::default(),
    }
}

fn log(number: u32, org_id: u64, patient: &str) -> DeliveryLog {
    serde_json::from_value(json!({
        "id": format!("log-{number:04}"), "messageId": "m", "integrationConfigId": "bills", "integrationName": "Bills",
        "orgId": org_id, "eventId": "e", "eventType": "bill.generated", "status": "SUCCESS",
        "targetUrl": "https://partner.example/hook", "httpMethod": "POST", "responseStatus": 200, "responseTimeMs": 3,
        "attemptCount": 1, "shouldRetry": false, "traceId": "t", "createdAt": "2026-01-15T10:00:00.000Z",
        "gatewayId": "g1", "requestPayload": {"patient": {"id": patient}}, "curlCommand": format!("curl -d {patient}"),
    }))
    .unwrap()
}

fn letter(number: &str, patient: &str) -> DeadLetter {
    serde_json::from_value(json!({
        "id": format!("letter-{number}"), "integrationConfigId": "bills", "integrationName": "Bills", "orgId": 648,
        "eventId": "e", "source": "/his", "eventType": "bill.generated", "status": "PENDING_RETRY",
        "originalPayload": {"patient": patient}, "targetUrl": "https://partner.example/hook", "httpMethod": "POST",
        "lastError": "it answered 500", "errorCategory": "SERVER_ERROR", "attemptCount": 8, "retryCount": 0,
        "maxRetries": 3, "traceId": "t", "createdAt": "2026-01-15T10:00:00.000Z", "updatedAt": "2026-01-15T10:00:00.000Z",
        "gatewayId": "g1",
    }))
    .unwrap()
}

fn call(id: &str, path: &str) -> ExecutionRecord {
    serde_json::from_value(json!({
        "id": id, "traceId": "t", "requestId": "r", "orgId": 648, "integrationConfigId": "labs",
        "integrationName": "Lab results", "direction": "INBOUND", "status": "SUCCESS", "httpMethod": "GET", "path": path,
        "responseStatus": 200, "attempts": 1, "requestBytes": 0, "responseBytes": 17, "durationMs": 3,
        "createdAt": "2026-01-15T10:00:00.000Z", "gatewayId": "g1",
    }))
    .unwrap()
}
