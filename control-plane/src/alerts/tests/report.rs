//! The daily report: what is in it, and that it is told once.

use filters::model::Snapshot;
use serde_json::json;
use tempfile::TempDir;

use super::super::report::Reporter;
use super::*;
use crate::config::{Limits, ProcessConfig, StoreConfig};
use crate::seal::Sealer;
use crate::store::Store;

async fn store(folder: &TempDir) -> Store {
    let config = ProcessConfig {
        data_dir: folder.path().to_owned(),
        ..ProcessConfig::default()
    };
    let sealer = Arc::new(Sealer::load(&config).unwrap());
    Store::open(&StoreConfig::default(), folder.path(), &Limits::default(), sealer)
        .await
        .unwrap()
}

fn reporter() -> Reporter {
    Reporter::new(&serde_json::from_value(json!({"enabled": true, "at": "10:00"})).unwrap())
}

#[tokio::test]
async fn of_several_control_planes_one_tells_it_once_a_day() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder).await;
    let snapshot = Snapshot::from_document(&json!({})).unwrap();
    let (mut one, mut other) = (reporter(), reporter());
    assert!(one.due(&store, &snapshot, at(0)).await.unwrap().is_some());
    assert!(one.due(&store, &snapshot, at(15)).await.unwrap().is_none());
    assert!(
        other.due(&store, &snapshot, at(20)).await.unwrap().is_none(),
        "it was told"
    );
    let tomorrow = at(24 * 3_600 + 5);
    assert!(other.due(&store, &snapshot, tomorrow).await.unwrap().is_some());
    assert!(one.due(&store, &snapshot, tomorrow).await.unwrap().is_none());
    // Who starts in the afternoon does not tell of the morning.
    let late = at(48 * 3_600 + 7 * 3_600);
    assert!(reporter().due(&store, &snapshot, late).await.unwrap().is_none());
}

#[tokio::test]
async fn it_says_what_was_raised_and_what_is_open() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder).await;
    let mut open = change("g1", Happened::Raised).alert;
    open.opened_at = at(-60);
    let mut over = change("g2", Happened::Resolved).alert;
    over.opened_at = at(-120);
    let mut old = change("g3", Happened::Raised).alert;
    old.opened_at = at(-25 * 3_600);
    for alert in [&open, &over, &old] {
        assert!(store.save_alert(alert, None).await.unwrap());
    }
    let snapshot = Snapshot::from_document(&json!({})).unwrap();
    let report = reporter().due(&store, &snapshot, at(0)).await.unwrap().unwrap();
    let notice = Notice::of_report(&report, "clinic", at(0));
    assert_eq!(
        notice.subject,
        "[DAILY REPORT] clinic: 2 alerts raised, 1 open, 0 new dead letters"
    );
    assert!(
        notice.text.contains("- Gateway g1 is not connected\n"),
        "{}",
        notice.text
    );
    assert!(
        !notice.text.contains("g2") && !notice.text.contains("g3"),
        "{}",
        notice.text
    );
    let json: serde_json::Value = serde_json::from_slice(&notice.json).unwrap();
    assert_eq!(
        (&json["type"], &json["data"]["report"]["raised"]),
        (&"report.daily".into(), &2.into())
    );
    assert!(notice.pager.is_none(), "nobody is woken for it");
}
