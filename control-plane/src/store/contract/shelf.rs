//! Shelves, and the audit that is written with them.

use serde::{Deserialize, Serialize};

use super::super::*;
use super::backend::{Backend, Mongo, Sqlite};
use crate::audit::AuditEntry;
use crate::retention::OrganizationSettings;
use crate::trash::{self, Content, Trashed};

for_each_store!(
    a_sheet_is_kept_changed_and_deleted,
    a_revision_of_a_sheet_is_replaced_once,
    a_unique_text_is_taken_once,
    changes_and_their_audit_are_made_together_or_not_at_all,
    sheets_are_listed_by_organization_and_identifier,
    sheets_are_written_with_a_version_or_not_at_all,
    sheets_whose_time_is_over_go,
    a_sealed_sheet_is_not_readable_in_the_store,
    what_an_organization_leaves_goes_and_its_trash_once_another_has_its_number,
);

async fn a_sheet_is_kept_changed_and_deleted(backend: impl Backend) {
    let store = backend.open().await;
    let mut user = user("a", Some(u64::MAX), "a@clinic.example");
    assert!(write(&store, Write::new(&user)).await);
    user.name = "changed".to_owned();
    assert!(write(&store, Write::replace(&user, 1)).await);
    store.close().await;
    let store = backend.open().await;
    let found: Sheet<User> = store.sheet("a").await.unwrap().unwrap();
    assert_eq!((found.revision, &found.value), (2, &user));
    assert_eq!(store.sheet_of::<User>("a@clinic.example").await.unwrap(), Some(found));
    assert!(write(&store, Ok(Write::delete::<User>("a", Some(2)))).await);
    assert_eq!(store.sheet::<User>("a").await.unwrap(), None);
    assert!(
        !write(&store, Ok(Write::delete::<User>("a", Some(2)))).await,
        "it is gone"
    );
    assert!(
        write(&store, Ok(Write::delete::<User>("a", None))).await,
        "gone is what it should be"
    );
    backend.drop_database(store).await;
}

async fn what_an_organization_leaves_goes_and_its_trash_once_another_has_its_number(backend: impl Backend) {
    let store = backend.open().await;
    let commit = async |number: u64, change: Change, beside: Beside| {
        let version = super::version(number, 1, 0);
        store.commit(&version, &change, beside).await.unwrap();
    };
    let put = |object: Object| Change {
        put: vec![object],
        delete: Vec::new(),
    };
    let delete = |id: ObjectId| Change {
        put: Vec::new(),
        delete: vec![id],
    };
    let trashed = |number: u64, object: Object| Beside {
        writes: trash::keep(object, &super::version(number, 0, 1)).unwrap(),
        ..Beside::default()
    };
    let of_both = Beside {
        writes: [1, 2]
            .map(|org_id| Write::new(&OrganizationSettings::new(org_id, 3)).unwrap())
            .to_vec(),
        ..Beside::default()
    };
    commit(1, put(super::organization(1)), of_both).await;
    let unit = |org_id: u64| {
        Object::Integration(Arc::new(filters::model::InboundIntegration {
            org_id,
            ..match super::integration("a", "x") {
                Object::Integration(value) => (*value).clone(),
                _ => unreachable!(),
            }
        }))
    };
    commit(2, put(super::organization(2)), trashed(2, unit(1))).await;
    commit(3, put(super::organization(2)), trashed(3, unit(2))).await;
    let left = async |org_id: u64| {
        let entries: Vec<Sheet<Trashed>> = store.sheets(Some(org_id), None, 10).await.unwrap();
        let contents: Vec<Sheet<Content>> = store.sheets(Some(org_id), None, 10).await.unwrap();
        let settings = OrganizationSettings::of(&store, org_id).await.unwrap().is_some();
        assert_eq!(entries.len(), contents.len());
        (entries.len(), settings)
    };
    assert_eq!((left(1).await, left(2).await), ((1, true), (1, true)));

    let gone = Beside {
        leaves: vec![Left::Documents(1)],
        ..trashed(4, super::organization(1))
    };
    commit(4, delete(ObjectId::Organization(1)), gone).await;
    assert_eq!((left(1).await, left(2).await), ((2, false), (1, true)));

    // Of one that was not deleted, nothing goes.
    let made = |org_id: u64| Beside {
        leaves: vec![Left::Trash(org_id)],
        ..Beside::default()
    };
    commit(5, put(super::organization(2)), made(2)).await;
    assert_eq!((left(1).await, left(2).await), ((2, false), (1, true)));
    commit(6, put(super::organization(1)), made(1)).await;
    assert_eq!((left(1).await, left(2).await), ((0, false), (1, true)));
    backend.drop_database(store).await;
}

async fn a_revision_of_a_sheet_is_replaced_once(backend: impl Backend) {
    let store = backend.open().await;
    let one = user("a", None, "a@clinic.example");
    assert!(!write(&store, Write::replace(&one, 1)).await, "it is not there");
    assert!(write(&store, Write::new(&one)).await);
    assert!(!write(&store, Write::new(&one)).await, "it is there");
    assert!(write(&store, Write::replace(&one, 1)).await);
    assert!(!write(&store, Write::replace(&one, 1)).await, "another was quicker");
    assert_eq!(store.sheet::<User>("a").await.unwrap().unwrap().revision, 2);
    backend.drop_database(store).await;
}

async fn a_unique_text_is_taken_once(backend: impl Backend) {
    let store = backend.open().await;
    let (one, mut two) = (user("a", None, "a@clinic.example"), user("b", None, "a@clinic.example"));
    assert!(write(&store, Write::new(&one)).await);
    assert!(!write(&store, Write::new(&two)).await);
    two.email = "b@clinic.example".to_owned();
    assert!(write(&store, Write::new(&two)).await);
    two.email = one.email.clone();
    assert!(!write(&store, Write::replace(&two, 1)).await);
    assert!(write(&store, Ok(Write::delete::<User>("a", Some(1)))).await);
    assert!(write(&store, Write::replace(&two, 1)).await, "it is free again");
    backend.drop_database(store).await;
}

async fn changes_and_their_audit_are_made_together_or_not_at_all(backend: impl Backend) {
    let store = backend.open().await;
    let (one, two) = (user("a", None, "a@clinic.example"), user("b", None, "b@clinic.example"));
    let entry = |action: &str| AuditEntry {
        created_at: "2026-01-15T10:00:00.123Z".parse().unwrap(),
        ..AuditEntry::new("ops", action, "user a".to_owned(), Some(648))
    };
    let both = vec![Write::new(&one).unwrap(), Write::replace(&two, 7).unwrap()];
    assert!(!store.write(both, vec![entry("user.create")]).await.unwrap());
    assert_eq!(store.sheet::<User>("a").await.unwrap(), None);
    let query = Query {
        org_id: Some(648),
        limit: 10,
        ..Query::default()
    };
    assert_eq!(store.list::<AuditEntry>(&query).await.unwrap(), []);
    let both = vec![Write::new(&one).unwrap(), Write::new(&two).unwrap()];
    let kept = entry("user.create");
    assert!(store.write(both, vec![kept.clone()]).await.unwrap());
    assert_eq!(store.list::<AuditEntry>(&query).await.unwrap(), [kept]);
    assert!(store.sheet::<User>("b").await.unwrap().is_some());
    let other = Query {
        equal: vec![(Field::Action, "user.delete".to_owned())],
        ..query
    };
    assert_eq!(store.list::<AuditEntry>(&other).await.unwrap(), []);
    backend.drop_database(store).await;
}

async fn sheets_are_written_with_a_version_or_not_at_all(backend: impl Backend) {
    let store = backend.open().await;
    let users: Vec<User> = ["a", "b", "c"]
        .iter()
        .map(|id| user(id, Some(1), &format!("{id}@clinic.example")))
        .collect();
    let new = |users: &[User]| users.iter().map(|user| Write::new(user).unwrap()).collect::<Vec<_>>();
    let audit = || vec![AuditEntry::new("ops", "user.create", "users".to_owned(), Some(1))];
    let commit = async |number: u64, writes: Vec<Write>| {
        let version = super::version(number, 1, 0);
        let change = Change {
            put: vec![super::organization(number)],
            delete: Vec::new(),
        };
        let beside = Beside {
            writes,
            audit: audit(),
            ..Beside::default()
        };
        store.commit(&version, &change, beside).await
    };
    commit(1, new(&users[..2])).await.unwrap();
    for writes in [
        new(&users[1..]),
        new(&users[..2]),
        vec![Write::new(&users[2]).unwrap(), Write::replace(&users[0], 7).unwrap()],
        vec![Write::new(&users[2]).unwrap(), Write::delete::<User>("a", Some(7))],
    ] {
        let refused = commit(2, writes).await;
        assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    }
    assert_eq!(store.head().await.unwrap(), 1);
    assert_eq!(store.sheet::<User>("c").await.unwrap(), None);
    commit(
        2,
        vec![Write::delete::<User>("a", Some(1)), Write::new(&users[2]).unwrap()],
    )
    .await
    .unwrap();
    let left: Vec<Sheet<User>> = store.sheets(None, None, 10).await.unwrap();
    assert_eq!(
        left.iter().map(|sheet| sheet.value.id.as_str()).collect::<Vec<_>>(),
        ["b", "c"]
    );
    let query = Query {
        org_id: Some(1),
        limit: 10,
        ..Query::default()
    };
    assert_eq!(store.list::<AuditEntry>(&query).await.unwrap().len(), 2);
    backend.drop_database(store).await;
}

async fn sheets_are_listed_by_organization_and_identifier(backend: impl Backend) {
    let store = backend.open().await;
    for (id, org_id) in [
        ("c", Some(1)),
        ("a", Some(1)),
        ("b", Some(2)),
        ("d", None),
        ("e", Some(1)),
    ] {
        assert!(write(&store, Write::new(&user(id, org_id, &format!("{id}@clinic.example")))).await);
    }
    let ids = async |org_id, after, limit| {
        let sheets: Vec<Sheet<User>> = store.sheets(org_id, after, limit).await.unwrap();
        sheets
            .into_iter()
            .map(|sheet| sheet.value.id)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(ids(None, None, 10).await, "a b c d e");
    assert_eq!(ids(Some(1), None, 2).await, "a c");
    assert_eq!(ids(Some(1), Some("c"), 2).await, "e");
    let back = async |org_id, before, limit| {
        let sheets: Vec<Sheet<User>> = store.sheets_before(org_id, before, limit).await.unwrap();
        let ids = sheets.into_iter().map(|sheet| sheet.value.id);
        ids.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(back(None, None, 3).await, "e d c");
    assert_eq!(back(Some(1), Some("e"), 2).await, "c a");
    assert_eq!(store.sheets::<Note>(None, None, 10).await.unwrap(), [], "another shelf");
    backend.drop_database(store).await;
}

async fn sheets_whose_time_is_over_go(backend: impl Backend) {
    let store = backend.open().await;
    for (id, expires_at) in [
        ("a", Some("2026-01-15T10:00:00Z")),
        ("b", Some("2026-01-15T10:00:01Z")),
        ("c", None),
    ] {
        let expires_at = expires_at.map(|at| at.parse().unwrap());
        let mut user = user(id, None, id);
        user.expires_at = expires_at;
        assert!(write(&store, Write::new(&user)).await);
    }
    let at = |text: &str| text.parse().unwrap();
    assert_eq!(store.prune_sheets(at("2026-01-15T09:59:59Z"), 10).await.unwrap(), 0);
    assert_eq!(store.prune_sheets(at("2026-01-15T10:00:00Z"), 10).await.unwrap(), 1);
    let left: Vec<Sheet<User>> = store.sheets(None, None, 10).await.unwrap();
    let left: Vec<_> = left.iter().map(|sheet| sheet.value.id.as_str()).collect();
    assert_eq!(left, ["b", "c"]);
    backend.drop_database(store).await;
}

async fn a_sealed_sheet_is_not_readable_in_the_store(backend: impl Backend) {
    let store = backend.open().await;
    let note = Note {
        id: "n".to_owned(),
        text: "hunter2".to_owned(),
    };
    assert!(write(&store, Write::new(&note)).await);
    let read: Sheet<Note> = store.sheet("n").await.unwrap().unwrap();
    assert_eq!(read.value, note);
    store.close().await;
    // The same database with another key.
    let store = backend.open_with(&[6; 32]).await;
    let refused = store.sheet::<Note>("n").await.unwrap_err();
    assert!(matches!(&refused, StoreError::Corrupt { .. }), "{refused}");
    assert!(!refused.to_string().contains("hunter2"));
    backend.drop_database(store).await;
}

async fn write(store: &Store, write: Result<Write, StoreError>) -> bool {
    store.write(vec![write.unwrap()], Vec::new()).await.unwrap()
}

fn user(id: &str, org_id: Option<u64>, email: &str) -> User {
    User {
        id: id.to_owned(),
        org_id,
        email: email.to_owned(),
        name: "one".to_owned(),
        expires_at: None,
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: String,
    org_id: Option<u64>,
    email: String,
    name: String,
    expires_at: Option<Timestamp>,
}

impl Shelved for User {
    const SHELF: Shelf = Shelf::Users;
    const NAME: &'static str = "user";

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        self.org_id
    }

    fn unique(&self) -> Option<String> {
        Some(self.email.clone())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    id: String,
    text: String,
}

impl Shelved for Note {
    const SHELF: Shelf = Shelf::Drafts;
    const NAME: &'static str = "note";
    const SEALED: bool = true;

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        None
    }
}
