//! The audit of versions, and how long it is kept.

use super::super::*;
use super::backend::{Backend, Mongo, Sqlite};
use super::{organization, version};

for_each_store!(
    a_version_and_its_audit_are_written_together_or_not_at_all,
    old_entries_of_the_audit_are_deleted,
);

async fn a_version_and_its_audit_are_written_together_or_not_at_all(backend: impl Backend) {
    let store = backend.open().await;
    let change = |org_id| Change {
        put: vec![organization(org_id)],
        delete: Vec::new(),
    };
    let kept = entry("organization.create", "2026-01-15T10:00:00.123Z");
    let made = store
        .commit(&version(1, 1, 0), &change(1), beside(vec![kept.clone()]))
        .await;
    made.unwrap();
    let late = entry("organization.update", "2026-01-15T10:00:01Z");
    let refused = store
        .commit(&version(1, 1, 0), &change(2), beside(vec![late]))
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::Conflict(1)), "{refused:?}");
    store.close().await;
    let store = backend.open().await;
    assert_eq!(store.list::<AuditEntry>(&all()).await.unwrap(), [kept]);
    backend.drop_database(store).await;
}

async fn old_entries_of_the_audit_are_deleted(backend: impl Backend) {
    let store = backend.open().await;
    let entries = ["2026-01-15T10:00:00Z", "2026-01-15T10:00:01Z", "2026-01-15T10:00:02Z"];
    let entries: Vec<AuditEntry> = entries.iter().map(|at| entry("user.create", at)).collect();
    assert!(store.write(Vec::new(), entries.clone()).await.unwrap());
    let before: Timestamp = "2026-01-15T10:00:02Z".parse().unwrap();
    assert_eq!(store.prune_audit(before, 1).await.unwrap(), 1);
    assert_eq!(store.prune_audit(before, 10).await.unwrap(), 1);
    assert_eq!(store.prune_audit(before, 10).await.unwrap(), 0);
    assert_eq!(store.list::<AuditEntry>(&all()).await.unwrap(), entries[2..]);
    backend.drop_database(store).await;
}

fn entry(action: &str, at: &str) -> AuditEntry {
    AuditEntry {
        created_at: at.parse().unwrap(),
        ..AuditEntry::new("ops", action, "organization 1".to_owned(), Some(1))
    }
}

fn beside(audit: Vec<AuditEntry>) -> Beside {
    Beside {
        audit,
        ..Beside::default()
    }
}

fn all() -> Query {
    Query {
        limit: 10,
        ..Query::default()
    }
}
