//! Copies of a whole store to one of the other kind.

use std::collections::BTreeSet;

use filters::model::delivery::{DeadLetter, DeliveryRecord};
use filters::model::tally::CallTally;
use filters::model::{ExecutionRecord, Security, Tally};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::*;
use super::backend::{Backend, Mongo, Sqlite};
use super::{alerts, commands, commit, deliveries, integration, organization, records};
use crate::audit::AuditEntry;
use crate::rollups::{Clocks, Deltas};

#[tokio::test]
async fn everything_goes_to_mongo_and_back() {
    let Some(mongo) = Mongo::start() else { return };
    let (first, second) = (Sqlite::start(), Sqlite::start());
    let source = first.open().await;
    fill(&source).await;
    let wanted = source.inventory().await.unwrap();
    let missing: Vec<_> = wanted.counts().filter(|(_, count)| *count == 0).collect();
    // Each shelf is kept in the same way; one of them stands for all.
    assert_eq!(missing.len(), Shelf::ALL.len() - 2, "{missing:?}");

    let between = mongo.open().await;
    source.copy_to(&between).await.unwrap();
    same(&wanted, &between).await;
    // What was interrupted is copied again and changes nothing.
    source.copy_to(&between).await.unwrap();
    same(&wanted, &between).await;

    let back = second.open().await;
    between.copy_to(&back).await.unwrap();
    same(&wanted, &back).await;
    let digest = async |store: &Store| store.load().await.unwrap().snapshot.digest();
    assert_eq!(digest(&back).await, digest(&source).await);
    let sheet: Sheet<Draft> = back.sheet("d").await.unwrap().unwrap();
    assert_eq!((sheet.revision, sheet.value.text.as_str()), (2, "hunter2"));
    let letter: Option<DeadLetter> = back.find("letter-0001").await.unwrap();
    assert_eq!(letter.unwrap().original_payload, json!({"n": 1}));
    assert_eq!(back.due_commands("g1", 9).await.unwrap().len(), 1);
    first.drop_database(source).await;
    second.drop_database(back).await;
    mongo.drop_database(between).await;
}

#[tokio::test]
async fn an_inventory_tells_what_is_another() {
    let (one, other) = (Sqlite::start(), Sqlite::start());
    let (source, target) = (one.open().await, other.open().await);
    fill(&source).await;
    let wanted = source.inventory().await.unwrap();
    assert!(target.inventory().await.unwrap().is_empty());
    source.copy_to(&target).await.unwrap();
    commit(&target, 4, vec![organization(9)], vec![]).await.unwrap();
    let there = target.inventory().await.unwrap();
    assert_eq!(wanted.differences(&there).collect::<Vec<_>>(), ["objects", "versions"]);
    one.drop_database(source).await;
    other.drop_database(target).await;
}

/// A table that is not copied would be lost.
#[tokio::test]
async fn every_table_is_copied() {
    let folder = Sqlite::start();
    let store = folder.open().await;
    let inventory = store.inventory().await.unwrap();
    let mut copied: BTreeSet<String> = inventory.counts().map(|(kind, _)| kind.to_owned()).collect();
    // Part of versions, and what sheets lie on.
    copied.extend(["changes", "version_shares", "shelves"].map(str::to_owned));
    // Made of the records by the database itself.
    let texts = ["execution_logs", "delivery_logs", "dlq", "scheduled_integrations"];
    copied.extend(texts.map(|place| format!("{place}_texts")));
    store.close().await;
    let lost: Vec<_> = folder.tables().difference(&copied).cloned().collect();
    assert!(lost.is_empty(), "store/migration.rs does not copy {lost:?}");
}

async fn same(wanted: &Inventory, store: &Store) {
    let there = store.inventory().await.unwrap();
    assert_eq!(wanted.differences(&there).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(wanted, &there);
}

/// Something of each kind.
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn fill(store: &Store) {
    let first = vec![Object::Security(Security::default()), organization(u64::MAX)];
    commit(store, 1, first, vec![]).await.unwrap();
    let put = vec![integration("a", "one"), integration("b", "two")];
    commit(store, 2, put, vec![]).await.unwrap();
    let delete = vec![ObjectId::Integration("b".into())];
    commit(store, 3, vec![integration("a", "new")], delete).await.unwrap();
    let gateway = GatewayRecord {
        gateway_id: "g1".to_owned(),
        model_version: 1,
        applied: Some((3, "x".to_owned())),
        applied_at: None,
        refused: None,
        last_seen: "2026-01-15T10:00:00Z".parse().unwrap(),
    };
    store.save_gateways(&[gateway]).await.unwrap();
    // More than one page.
    let calls: Vec<ExecutionRecord> = (0..migration::PAGE + 1)
        .map(|number| records::record(number % 60, 648))
        .enumerate()
        .map(|(number, record)| ExecutionRecord {
            id: format!("call-{number:04}"),
            ..record
        })
        .collect();
    let mut tally = Tally::default();
    tally.failure(Some("UPSTREAM_TIMEOUT"), false, 30_000);
    let counted = CallTally {
        org_id: u64::MAX,
        integration_config_id: "labs".into(),
        from: 1_768_471_200,
        tally,
    };
    let batch = Batch {
        gateway_id: "g1".into(),
        name: "b1".to_owned(),
    };
    let counted = Deltas::of_calls(&[counted], &Clocks::default());
    store.keep_calls(batch, calls, counted).await.unwrap();
    let (done, open) = (commands::command(1, "g1"), commands::command(2, "g1"));
    let many = commands::bulk(1);
    store.add_commands(&[done.clone(), open], Some(&many)).await.unwrap();
    deliveries::keep(
        store,
        vec![
            DeliveryRecord::Log(Box::new(deliveries::log(
                1,
                json!({"errorMessage": "quotes \" and 'more'"}),
            ))),
            DeliveryRecord::Log(Box::new(deliveries::log(2, json!({"orgId": u64::MAX})))),
            DeliveryRecord::DeadLetter(Box::new(deliveries::letter(1, json!({})))),
            DeliveryRecord::DeadLetterGone("letter-0002".to_owned()),
            DeliveryRecord::Scheduled(Box::new(deliveries::scheduled(1, json!({})))),
            commands::done(&done, 2),
        ],
    )
    .await;
    assert!(store.save_alert(&alerts::alert(1, json!({})), None).await.unwrap());
    let mut draft = Draft {
        id: "d".to_owned(),
        text: "hunter1".to_owned(),
    };
    let entry = AuditEntry::new("ops", "draft.create", "draft d".to_owned(), Some(648));
    let audit = vec![AuditEntry {
        created_at: "2026-01-15T10:00:00.123Z".parse().unwrap(),
        ..entry
    }];
    assert!(store.write(vec![Write::new(&draft).unwrap()], audit).await.unwrap());
    draft.text = "hunter2".to_owned();
    let write = Write::replace(&draft, 1).unwrap();
    assert!(store.write(vec![write], Vec::new()).await.unwrap());
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Draft {
    id: String,
    text: String,
}

impl Shelved for Draft {
    const SHELF: Shelf = Shelf::Drafts;
    const NAME: &'static str = "draft";
    const SEALED: bool = true;

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        Some(648)
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("state", "open".to_owned())]
    }
}
