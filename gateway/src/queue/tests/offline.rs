use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;
use uuid::Uuid;

use super::super::{DeliveryKey, Next, verify};
use super::dead_letters::dead;
use super::{Opened, arrival, copied, folder, record};
use crate::config::ProcessConfig;
use crate::tool::{DeadTool, QueueTool, Tool, ToolError, run};

#[tokio::test]
async fn a_sound_queue_is_told_from_a_damaged_one() {
    let folder = folder();
    filled(folder.path()).await;
    let found = verify(folder.path()).unwrap();
    assert_eq!((found.events, found.open, found.dead, found.records), (3, 2, 1, 2));
    assert_eq!(found.faults, Vec::<String>::new());

    for (damage, told) in [
        (
            "DELETE FROM events WHERE seq = 1",
            "event 1: it has open deliveries, and is not there",
        ),
        (
            "DELETE FROM events WHERE seq = 2",
            "dead letter 2-0: its event is not there",
        ),
        (
            "UPDATE events SET head = x'7b' WHERE seq = 3",
            "event 3: its head cannot be read",
        ),
        (
            "UPDATE open SET state = x'0102' WHERE seq = 1",
            "event 1: its open deliveries cannot be read",
        ),
        (
            "UPDATE dead SET retrying = 1",
            "dead letter 2-0: it is either being tried again or not",
        ),
        (
            "UPDATE dead SET state = x''",
            "dead letter 2-0: its state cannot be read",
        ),
        ("UPDATE settled SET outcomes = x'0105'", "its outcomes cannot be read"),
        ("UPDATE spool SET records = x'7b'", "they cannot be read"),
        ("UPDATE spool SET count = 9", "should be 9"),
        ("UPDATE dedupe_log SET entries = x'00'", "digests of log 1"),
    ] {
        let copy = super::folder();
        std::fs::copy(folder.path().join("queue.db"), copy.path().join("queue.db")).unwrap();
        Connection::open(copy.path().join("queue.db"))
            .unwrap()
            .execute(damage, [])
            .unwrap();
        let found = verify(copy.path()).unwrap();
        assert!(
            found.faults.iter().any(|fault| fault.contains(told)),
            "{damage}: {:?}",
            found.faults
        );
        assert_eq!(found.faults.len() as u64, found.fault_count);
        let (is_sound, out) = told_by(copy.path(), Tool::Queue(QueueTool::Verify)).unwrap();
        assert!(!is_sound && out.contains("wrong: "), "{out}");
    }
}

#[tokio::test]
async fn what_a_crash_left_is_checked_as_it_is() {
    let folder = folder();
    let opened = Opened::new(folder.path());
    opened.accept(arrival("e1", &["a", "b"])).await;
    let copy = copied(folder.path());
    let found = verify(copy.path()).unwrap();
    assert_eq!((found.events, found.open, found.fault_count), (1, 2, 0));
    assert!(copy.path().join("queue.db-wal").exists());
}

#[tokio::test]
async fn damage_below_the_rows_is_found() {
    let folder = folder();
    filled(folder.path()).await;
    let path = folder.path().join("queue.db");
    let store = Connection::open(&path).unwrap();
    let select = "SELECT rootpage FROM sqlite_schema WHERE name = 'events'";
    let page: usize = store.query_row(select, [], |row| row.get::<_, u32>(0)).unwrap() as usize;
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[(page - 1) * 8192..][..64].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let found = verify(folder.path()).unwrap();
    assert!(found.fault_count > 0);
}

#[tokio::test]
async fn an_export_has_all_there_is_also_while_the_queue_is_in_use() {
    let folder = folder();
    filled(folder.path()).await;
    let opened = Opened::new(folder.path());
    opened.accept(arrival("last", &[])).await;
    let (_, out) = told_by(folder.path(), Tool::Queue(QueueTool::Export)).unwrap();
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_kind = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).collect::<Vec<_>>();
    let events = of_kind("event");
    assert_eq!(events.len(), 4);
    assert_eq!(events[3]["head"]["id"], "last");
    assert_eq!(events[3]["payload"]["bill"], "last");
    assert_eq!(events[3]["audit"]["producer"], "erp");
    assert_eq!(of_kind("open")[0]["deliveries"][1]["subscription"], "b");
    assert_eq!(of_kind("deadLetter")[0]["letter"]["eventId"], "dead");
}

#[tokio::test]
async fn dead_letters_are_worked_on_while_no_gateway_runs() {
    let folder = folder();
    let (_, id) = filled(folder.path()).await;
    let dir = folder.path().to_owned();
    let told = move |tool: DeadTool| {
        let dir = dir.clone();
        // In a thread of its own, as it brings a runtime.
        std::thread::spawn(move || told_by(&dir, Tool::Dead(tool)))
            .join()
            .unwrap()
    };
    let list = || DeadTool::List {
        org: None,
        integration: None,
    };
    let retry = || DeadTool::Retry {
        ids: vec![id],
        payload: None,
    };
    let (_, out) = told(list()).unwrap();
    assert!(
        out.starts_with(&format!("{id}  PENDING_RETRY  ")) && out.lines().count() == 1,
        "{out}"
    );
    let (_, out) = told(DeadTool::Show { id }).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&out).unwrap()["originalPayload"]["bill"],
        "dead"
    );
    assert!(matches!(
        told(DeadTool::Show { id: Uuid::nil() }),
        Err(ToolError::Unknown(_))
    ));

    let running = Opened::new(folder.path());
    let refused = told(retry()).unwrap_err().to_string();
    assert!(refused.contains("in use by another process"), "{refused}");
    running.queue.close().await;

    assert_eq!(told(retry()).unwrap(), (true, "1 done\n".to_owned()));
    let (is_done, out) = told(DeadTool::Drop { ids: vec![id] }).unwrap();
    assert!(
        !is_done && out.contains("already") && out.ends_with("0 done\n"),
        "{out}"
    );
    let gateway = Opened::new(folder.path());
    let handed = gateway.handed(3);
    let (seq, delivery) = handed.iter().find(|(_, delivery)| delivery.state.id == id).unwrap();
    let key = DeliveryKey {
        seq: *seq,
        number: delivery.number,
    };
    gateway.settle(key, Next::Settled, Vec::new()).await;
    let (_, other) = dead(&gateway, "other", None).await;
    gateway.queue.close().await;
    assert_eq!(
        told(DeadTool::Drop { ids: vec![other] }).unwrap(),
        (true, "1 done\n".to_owned())
    );
    assert_eq!(told(list()).unwrap().1, "");
}

#[test]
fn a_queue_that_is_not_there_is_not_made() {
    let folder = folder();
    let dir = folder.path().join("none");
    for tool in [
        Tool::Queue(QueueTool::Verify),
        Tool::Queue(QueueTool::Export),
        Tool::Dead(DeadTool::Drop { ids: vec![Uuid::nil()] }),
    ] {
        let refused = told_by(&dir, tool).unwrap_err().to_string();
        assert!(refused.contains("queue.db: No such file"), "{refused}");
    }
    assert!(!dir.exists());
}

#[test]
fn a_payload_must_be_json_and_for_one_dead_letter() {
    let folder = folder();
    let payload = folder.path().join("payload.json");
    std::fs::write(&payload, "{").unwrap();
    let retry = |count| {
        let tool = DeadTool::Retry {
            ids: vec![Uuid::nil(); count],
            payload: Some(payload.clone()),
        };
        told_by(folder.path(), Tool::Dead(tool)).unwrap_err()
    };
    assert!(retry(1).to_string().contains("it is not JSON"));
    std::fs::write(&payload, "{}").unwrap();
    assert!(matches!(retry(2), ToolError::OnePayload));
}

/// A closed queue with an event that is half settled, one that is a dead letter, and one that nobody gets.
async fn filled(dir: &Path) -> (DeliveryKey, Uuid) {
    let opened = Opened::new(dir);
    let seq = opened.accept(arrival("open", &["a", "b", "c"])).await;
    opened.handed(3);
    opened
        .settle(DeliveryKey { seq, number: 2 }, Next::Settled, vec![record("r")])
        .await;
    let dead = dead(&opened, "dead", None).await;
    opened.accept(arrival("nobody", &[])).await;
    opened.queue.close().await;
    dead
}

fn told_by(dir: &Path, tool: Tool) -> Result<(bool, String), ToolError> {
    let mut config = ProcessConfig::default();
    config.queue.dir = Some(dir.to_owned());
    let mut out = Vec::new();
    let found = run(tool, &config, &mut out)?;
    Ok((found, String::from_utf8(out).unwrap()))
}
