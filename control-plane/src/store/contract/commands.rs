//! Commands to gateways, and retries of many dead letters.

use filters::model::command::{Command, CommandFailure, CommandResult};
use filters::model::delivery::DeliveryRecord;

use super::super::*;
use super::backend::{Backend, Mongo, Sqlite};
use super::deliveries::keep;
use super::keeping;

for_each_store!(
    a_command_is_due_until_its_result_is_kept,
    the_result_of_another_gateways_command_is_not_kept,
    a_retry_of_many_shows_how_far_it_is,
    commands_and_how_far_the_retry_is_are_written_as_one,
    old_commands_are_deleted,
    a_gateway_is_forgotten_with_what_it_was_to_do,
    a_command_carries_another_payload_and_stays_what_it_is,
);

async fn a_command_is_due_until_its_result_is_kept(backend: impl Backend) {
    let store = backend.open().await;
    let (one, two) = (command(1, "g1"), command(2, "g1"));
    store
        .add_commands(&[two.clone(), one.clone(), command(3, "g2")], None)
        .await
        .unwrap();
    store.close().await;

    let store = backend.open().await;
    assert_eq!(store.due_commands("g1", 10).await.unwrap(), [one.clone(), two.clone()]);
    assert_eq!(store.due_commands("g1", 1).await.unwrap(), std::slice::from_ref(&one));
    store.commands_sent(std::slice::from_ref(&one.id), at(5)).await.unwrap();
    store
        .commands_sent(&[one.id.clone(), two.id.clone()], at(9))
        .await
        .unwrap();
    let sent: Vec<_> = store.due_commands("g1", 10).await.unwrap();
    let sent: Vec<_> = sent.iter().map(|command| command.sent_at).collect();
    assert_eq!(sent, [Some(at(5)), Some(at(9))], "when it was sent first");

    keep(&store, vec![done(&one, 2)]).await;
    keep(&store, vec![done(&one, 7), done(&command(9, "g1"), 1)]).await;
    let due = store.due_commands("g1", 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].id, two.id);
    let kept = store.command(&one.id).await.unwrap().unwrap();
    assert_eq!(
        kept.done.map(|(result, _)| result.done),
        Some(2),
        "the first result stays"
    );
    assert_eq!(store.command("none").await.unwrap(), None);
    backend.drop_database(store).await;
}

async fn the_result_of_another_gateways_command_is_not_kept(backend: impl Backend) {
    let store = backend.open().await;
    let other = command(1, "g2");
    store.add_commands(std::slice::from_ref(&other), None).await.unwrap();
    keep(&store, vec![done(&other, 1)]).await;
    assert_eq!(store.due_commands("g2", 10).await.unwrap(), [other]);
    backend.drop_database(store).await;
}

async fn a_gateway_is_forgotten_with_what_it_was_to_do(backend: impl Backend) {
    let store = backend.open().await;
    let gateways = ["g1", "g2"].map(|name| GatewayRecord {
        gateway_id: name.to_owned(),
        model_version: 1,
        applied: None,
        applied_at: None,
        refused: None,
        last_seen: at(1),
    });
    store.save_gateways(&gateways).await.unwrap();
    let (carried_out, open, others) = (command(1, "g1"), command(2, "g1"), command(3, "g2"));
    let all = [carried_out.clone(), open.clone(), others.clone()];
    store.add_commands(&all, None).await.unwrap();
    keep(&store, vec![done(&carried_out, 5)]).await;
    let result = CommandResult {
        done: 0,
        failed: vec![CommandFailure {
            id: "g1".to_owned(),
            error: "it was removed".to_owned(),
        }],
    };
    let entry = AuditEntry::new("ops", "gateway.remove", "gateway g1".to_owned(), None);
    for _ in 0..2 {
        let entry = AuditEntry {
            id: uuid::Uuid::now_v7().to_string(),
            ..entry.clone()
        };
        store.remove_gateway("g1", &result, entry).await.unwrap();
    }
    store.close().await;

    let store = backend.open().await;
    assert_eq!(store.gateways().await.unwrap(), &gateways[1..]);
    assert_eq!(store.due_commands("g1", 10).await.unwrap(), []);
    assert_eq!(store.due_commands("g2", 10).await.unwrap(), [others]);
    let what_became = async |command: &CommandRecord| {
        let kept = store.command(&command.id).await.unwrap().unwrap();
        kept.done.map(|(result, _)| result)
    };
    assert_eq!(what_became(&open).await, Some(result));
    assert_eq!(what_became(&carried_out).await.map(|result| result.done), Some(5));
    let query = Query {
        limit: 10,
        ..Query::default()
    };
    assert_eq!(store.list::<AuditEntry>(&query).await.unwrap().len(), 2);
    backend.drop_database(store).await;
}

async fn a_command_carries_another_payload_and_stays_what_it_is(backend: impl Backend) {
    let store = backend.open().await;
    let (one, two) = (command(1, "g1"), command(2, "g1"));
    store.add_commands(&[one.clone(), two.clone()], None).await.unwrap();
    keep(&store, vec![done(&one, 5)]).await;
    let page = store.page_of_commands("").await.unwrap();
    assert_eq!(page.len(), 2);
    let mut changed = page[0].clone();
    assert_eq!((&changed.id, changed.org_id), (&one.id, one.org_id));
    changed.command = Command::RetryDeadLetters {
        ids: Vec::new(),
        payload: None,
    };
    store.change_command(changed.clone()).await.unwrap();
    let kept = store.command(&one.id).await.unwrap().unwrap();
    assert_eq!((&kept.command, &kept.created_by), (&changed.command, &one.created_by));
    assert!(kept.done.is_some(), "what became of it stays");
    assert_eq!(store.page_of_commands(&one.id).await.unwrap(), &page[1..]);
    backend.drop_database(store).await;
}

async fn a_retry_of_many_shows_how_far_it_is(backend: impl Backend) {
    let store = backend.open().await;
    let mut many = bulk(1);
    store.add_commands(&[], Some(&many)).await.unwrap();
    assert_eq!(store.open_bulks().await.unwrap(), [many.clone()]);
    assert_eq!(
        store.bulk(&many.id).await.unwrap(),
        Some((many.clone(), BulkProgress::default()))
    );

    let part = |number| CommandRecord {
        bulk_id: Some(many.id.clone()),
        ..command(number, "g1")
    };
    let (one, two) = (part(1), part(2));
    many.queued = 5;
    many.step = 1;
    many.cursor = Some("1768471200123.letter".parse().unwrap());
    store.add_commands(&[one.clone(), two], Some(&many)).await.unwrap();
    let result = CommandResult {
        done: 2,
        failed: vec![CommandFailure {
            id: "x".to_owned(),
            error: "it is gone".to_owned(),
        }],
    };
    let told = DeliveryRecord::Commanded { id: one.id, result };
    keep(&store, vec![told]).await;
    let progress = BulkProgress {
        waiting: 1,
        done: 2,
        failed: 1,
    };
    assert_eq!(store.bulk(&many.id).await.unwrap(), Some((many.clone(), progress)));

    many.queued_at = Some(at(9));
    assert!(
        !store.add_commands(&[part(3)], Some(&many)).await.unwrap(),
        "that step is written"
    );
    many.step = 2;
    assert!(store.add_commands(&[], Some(&many)).await.unwrap());
    assert_eq!(store.command("command-0003").await.unwrap(), None);
    assert!(store.open_bulks().await.unwrap().is_empty());
    assert_eq!(store.bulk(&many.id).await.unwrap(), Some((many, progress)));
    assert_eq!(store.bulk("none").await.unwrap(), None);
    backend.drop_database(store).await;
}

async fn commands_and_how_far_the_retry_is_are_written_as_one(backend: impl Backend) {
    let store = backend.open().await;
    let one = command(1, "g1");
    store.add_commands(std::slice::from_ref(&one), None).await.unwrap();
    // The second of them is there already, so nothing of it is written.
    let refused = store
        .add_commands(&[command(2, "g1"), one.clone()], Some(&bulk(1)))
        .await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(store.due_commands("g1", 10).await.unwrap(), [one]);
    assert!(store.open_bulks().await.unwrap().is_empty());
    backend.drop_database(store).await;
}

async fn old_commands_are_deleted(backend: impl Backend) {
    let store = backend.open().await;
    let (old, new) = (command(1, "g1"), command(9, "g1"));
    store.add_commands(&[old, new.clone()], Some(&bulk(1))).await.unwrap();
    assert_eq!(store.prune_records(&keeping(at(5), 100), 10).await.unwrap(), 2);
    assert_eq!(store.due_commands("g1", 10).await.unwrap(), [new]);
    assert!(store.open_bulks().await.unwrap().is_empty());
    backend.drop_database(store).await;
}

/// The command number `number`, given at second `number`.
pub(super) fn command(number: u32, gateway_id: &str) -> CommandRecord {
    CommandRecord {
        id: format!("command-{number:04}"),
        org_id: 648,
        gateway_id: gateway_id.into(),
        bulk_id: None,
        command: Command::RetryDeadLetters {
            ids: vec!["letter".to_owned()],
            payload: Some(serde_json::json!({"$set": {"a.b": 1.0}, "big": u64::MAX})),
        },
        created_by: "tests".to_owned(),
        created_at: at(number),
        sent_at: None,
        done: None,
    }
}

pub(super) fn bulk(number: u32) -> Bulk {
    Bulk {
        id: format!("bulk-{number:04}"),
        org_id: 648,
        filter: Some(BulkFilter {
            status: Some("ABANDONED".to_owned()),
            direction: Some("OUTBOUND".to_owned()),
            from: Some(at(1)),
            ..BulkFilter::default()
        }),
        total: 5,
        queued: 0,
        step: 0,
        cursor: None,
        created_by: "tests".to_owned(),
        created_at: at(number),
        queued_at: None,
    }
}

pub(super) fn done(command: &CommandRecord, count: u64) -> DeliveryRecord {
    DeliveryRecord::Commanded {
        id: command.id.clone(),
        result: CommandResult {
            done: count,
            failed: Vec::new(),
        },
    }
}

fn at(second: u32) -> Timestamp {
    format!("2026-01-15T10:00:{second:02}.123Z").parse().unwrap()
}
