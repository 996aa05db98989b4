//! The past: versions by organization, the versions of one object, objects as they were; and what is written with a version.

use serde::{Deserialize, Serialize};

use super::super::*;
use super::backend::{Backend, Mongo, Sqlite};
use super::{commit, integration, one_of_each, organization, version};
use crate::audit::AuditEntry;

for_each_store!(
    what_a_version_says_of_itself_is_kept,
    versions_are_listed_by_organization,
    an_object_has_its_own_history,
    objects_are_there_as_they_were,
    a_version_and_what_belongs_to_it_are_written_together_or_not_at_all,
);

async fn what_a_version_says_of_itself_is_kept(backend: impl Backend) {
    let store = backend.open().await;
    let wanted = Version {
        shares: vec![share(7, 1, 0), share(u64::MAX, 0, 2)],
        canary: Some(Canary {
            rollout: "r".to_owned(),
            base: 6,
            gateways: vec!["a".to_owned(), "b.c".to_owned()],
        }),
        ..version(1, 1, 2)
    };
    let change = Change {
        put: vec![organization(7)],
        delete: Vec::new(),
    };
    store.commit(&wanted, &change, Beside::default()).await.unwrap();
    store.close().await;
    let store = backend.open().await;
    assert_eq!(store.versions(None, 1).await.unwrap(), std::slice::from_ref(&wanted));
    assert_eq!(store.version(1).await.unwrap().unwrap().0, wanted);
    assert_eq!(store.load().await.unwrap().recent[0].version, wanted);
    backend.drop_database(store).await;
}

async fn versions_are_listed_by_organization(backend: impl Backend) {
    let store = backend.open().await;
    for number in 1..=6 {
        let org_id = if number % 2 == 0 { u64::MAX } else { 7 };
        let mut version = version(number, 1, 0);
        version.shares = vec![share(org_id, 1, 0)];
        if number == 5 {
            version.shares.push(share(u64::MAX, 0, 1));
        }
        let change = Change {
            put: vec![organization(number)],
            delete: Vec::new(),
        };
        store.commit(&version, &change, Beside::default()).await.unwrap();
    }
    let numbers = async |org_id, before, limit| -> Vec<u64> {
        let versions = store.versions_of(org_id, before, limit).await.unwrap();
        versions.iter().map(|version| version.number).collect()
    };
    assert_eq!(numbers(7, None, 10).await, [5, 3, 1]);
    assert_eq!(numbers(u64::MAX, None, 3).await, [6, 5, 4]);
    assert_eq!(numbers(u64::MAX, Some(4), 3).await, [2]);
    assert!(numbers(8, None, 3).await.is_empty());
    backend.drop_database(store).await;
}

async fn an_object_has_its_own_history(backend: impl Backend) {
    let store = backend.open().await;
    let id = ObjectId::Integration("a".into());
    commit(
        &store,
        1,
        vec![integration("a", "one"), integration("b", "one")],
        vec![],
    )
    .await
    .unwrap();
    commit(&store, 2, vec![integration("b", "two")], vec![]).await.unwrap();
    commit(&store, 3, vec![integration("a", "three")], vec![])
        .await
        .unwrap();
    commit(&store, 4, vec![], vec![id.clone()]).await.unwrap();
    let steps = store.history(&id, None, 10).await.unwrap();
    let wanted = [
        (version(4, 0, 1), None),
        (version(3, 1, 0), Some(integration("a", "three"))),
        (version(1, 2, 0), Some(integration("a", "one"))),
    ];
    assert_eq!(steps, wanted.map(|(version, object)| Step { version, object }));
    let page = store.history(&id, Some(4), 1).await.unwrap();
    assert_eq!(page, steps[1..2]);
    let other = ObjectId::Outbound("a".into());
    assert!(store.history(&other, None, 10).await.unwrap().is_empty());
    backend.drop_database(store).await;
}

async fn objects_are_there_as_they_were(backend: impl Backend) {
    let store = backend.open().await;
    let first = one_of_each("First");
    let ids: Vec<ObjectId> = first.iter().filter_map(Object::id).collect();
    commit(&store, 1, first.clone(), vec![]).await.unwrap();
    commit(&store, 2, one_of_each("Second"), vec![]).await.unwrap();
    commit(&store, 3, vec![], ids.clone()).await.unwrap();
    commit(&store, 4, vec![organization(9)], vec![]).await.unwrap();
    let at = async |number| store.objects_at(number, &ids).await.unwrap();
    let all = |objects: Vec<Object>| objects.into_iter().map(Some).collect::<Vec<_>>();
    assert_eq!(at(0).await, vec![None; ids.len()]);
    assert_eq!(at(1).await, all(first));
    assert_eq!(at(2).await, all(one_of_each("Second")));
    assert_eq!(at(4).await, vec![None; ids.len()]);

    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert_eq!(store.touched(0, 3).await.unwrap(), sorted);
    assert_eq!(store.touched(3, 9).await.unwrap(), [ObjectId::Organization(9)]);
    assert!(store.touched(4, 4).await.unwrap().is_empty());
    backend.drop_database(store).await;
}

async fn a_version_and_what_belongs_to_it_are_written_together_or_not_at_all(backend: impl Backend) {
    let store = backend.open().await;
    let sheet = Note {
        id: "n".to_owned(),
        text: "hunter2".to_owned(),
    };
    let change = Change {
        put: vec![organization(1)],
        delete: Vec::new(),
    };
    let beside = |write: Write| Beside {
        leaves: Vec::new(),
        writes: vec![write],
        audit: vec![AuditEntry::new("ops", "rollout.begin", "rollout n".to_owned(), None)],
    };
    let misfit = beside(Write::replace(&sheet, 3).unwrap());
    let refused = store.commit(&version(1, 1, 0), &change, misfit).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    assert_eq!(store.head().await.unwrap(), 0);
    let audited = async || store.count::<AuditEntry>(&Query::default(), 9).await.unwrap();
    assert_eq!(audited().await, 0);

    let fit = beside(Write::new(&sheet).unwrap());
    store.commit(&version(1, 1, 0), &change, fit).await.unwrap();
    assert_eq!(store.head().await.unwrap(), 1);
    assert_eq!(store.sheet::<Note>("n").await.unwrap().unwrap().value, sheet);
    assert_eq!(audited().await, 1);
    backend.drop_database(store).await;
}

/// What lies on a shelf in this test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    id: String,
    text: String,
}

impl Shelved for Note {
    const SHELF: Shelf = Shelf::Rollouts;
    const NAME: &'static str = "note";

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        None
    }
}

fn share(org_id: u64, put: u64, deleted: u64) -> Share {
    Share { org_id, put, deleted }
}
