//! What every store must do, run on each of them.

use filters::model::{InboundIntegration, Organization, Security};
use serde_json::json;

use super::*;
use backend::{Backend, Mongo, Sqlite};
use records::{
    a_batch_of_records_is_kept_once, a_search_is_literal, old_records_and_those_beyond_the_most_are_deleted,
    records_are_listed_newest_first_page_by_page, records_are_narrowed_by_each_filter,
    records_of_a_trace_stay_in_their_organization,
};

mod backend;
mod records;

/// Makes a test of each function for each store.
macro_rules! for_each_store {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(super::Sqlite::start()).await; })+
        }
        mod mongo {
            $(#[tokio::test] async fn $name() {
                if let Some(mongo) = super::Mongo::start() {
                    super::$name(mongo).await;
                }
            })+
        }
    };
}

mod alerts;
mod audit;
mod commands;
mod deliveries;
mod expiry;
mod history;
mod logs;
mod migration;
mod reseal;
mod rollups;
mod shelf;

for_each_store!(
    an_empty_store_has_nothing,
    what_was_committed_is_loaded,
    a_version_shows_what_it_changed,
    a_number_is_given_once,
    a_version_without_the_one_before_is_refused,
    versions_are_listed_newest_first,
    of_many_writers_one_wins_each_number,
    many_objects_are_one_version,
    every_kind_is_kept_changed_and_deleted,
    gateways_are_kept,
    another_key_does_not_open_secrets,
    a_batch_of_records_is_kept_once,
    records_are_listed_newest_first_page_by_page,
    records_are_narrowed_by_each_filter,
    a_search_is_literal,
    records_of_a_trace_stay_in_their_organization,
    old_records_and_those_beyond_the_most_are_deleted,
);

/// Records from this moment on, and at most so many.
fn keeping(before: Timestamp, most: u64) -> Retention {
    Retention {
        before,
        sooner: std::collections::BTreeMap::new(),
        most,
    }
}

#[tokio::test]
async fn a_killed_process_loses_no_version_that_sqlite_acknowledged() {
    a_killed_server_loses_nothing_that_it_acknowledged(Sqlite::start()).await;
}

#[tokio::test]
async fn a_killed_server_loses_no_version_that_mongo_acknowledged() {
    if let Some(mongo) = Mongo::start_alone() {
        a_killed_server_loses_nothing_that_it_acknowledged(mongo).await;
    }
}

#[tokio::test]
async fn mongo_tells_the_others_of_a_version() {
    let Some(mongo) = Mongo::start() else { return };
    let (one, other) = (mongo.open().await, mongo.open().await);
    let mut told = Box::pin(other.changed());
    for number in 1.. {
        // The first ones may be made before the other listens.
        commit(&one, number, vec![organization(number)], vec![]).await.unwrap();
        if let Ok(told) = tokio::time::timeout(Duration::from_millis(200), &mut told).await {
            told.unwrap();
            break;
        }
        assert!(number < 200, "nothing was told");
    }
    drop(told);
    other.close().await;
    mongo.drop_database(one).await;
}

async fn an_empty_store_has_nothing(backend: impl Backend) {
    let store = backend.open().await;
    let contents = store.load().await.unwrap();
    assert_eq!((contents.snapshot.version, contents.recent.len()), (0, 0));
    assert!(contents.snapshot.integrations.is_empty());
    assert_eq!(store.head().await.unwrap(), 0);
    assert!(store.version(1).await.unwrap().is_none());
    assert!(store.gateways().await.unwrap().is_empty());
    backend.drop_database(store).await;
}

async fn what_was_committed_is_loaded(backend: impl Backend) {
    let store = backend.open().await;
    let lax = Security {
        enforce_https: false,
        ..Security::default()
    };
    let first = vec![
        Object::Security(lax),
        organization(u64::MAX),
        integration("a", "one"),
        integration("b", "two"),
    ];
    commit(&store, 1, first, vec![]).await.unwrap();
    commit(
        &store,
        2,
        vec![integration("a", "new")],
        vec![ObjectId::Integration("b".into())],
    )
    .await
    .unwrap();
    store.close().await;

    let store = backend.open().await;
    let contents = store.load().await.unwrap();
    assert_eq!(contents.snapshot.version, 2);
    assert_eq!(contents.snapshot.security, lax);
    let wanted = Snapshot::from_objects(
        2,
        vec![Object::Security(lax), organization(u64::MAX), integration("a", "new")],
    );
    assert_eq!(contents.snapshot.digest(), wanted.digest());
    let touched: Vec<_> = contents
        .recent
        .iter()
        .map(|step| (step.version.clone(), step.objects.len()))
        .collect();
    assert_eq!(touched, [(version(1, 4, 0), 3), (version(2, 1, 1), 2)]);
    backend.drop_database(store).await;
}

async fn a_version_shows_what_it_changed(backend: impl Backend) {
    let store = backend.open().await;
    let object = integration("a", "one");
    commit(&store, 1, vec![object.clone(), organization(7)], vec![])
        .await
        .unwrap();
    commit(
        &store,
        2,
        vec![],
        vec![ObjectId::Integration("a".into()), ObjectId::Organization(7)],
    )
    .await
    .unwrap();
    let (made, change) = store.version(1).await.unwrap().unwrap();
    assert_eq!(made, version(1, 2, 0));
    assert!(
        change.put.contains(&object) && change.put.contains(&organization(7)),
        "{change:?}"
    );
    let (_, change) = store.version(2).await.unwrap().unwrap();
    assert!(change.put.is_empty());
    assert!(change.delete.contains(&ObjectId::Organization(7)), "{change:?}");
    assert_eq!(change.delete.len(), 2);
    backend.drop_database(store).await;
}

async fn a_number_is_given_once(backend: impl Backend) {
    let store = backend.open().await;
    commit(&store, 1, vec![integration("a", "one")], vec![]).await.unwrap();
    let refused = commit(
        &store,
        1,
        vec![integration("a", "two"), integration("b", "two")],
        vec![],
    )
    .await;
    assert!(matches!(refused, Err(StoreError::Conflict(1))), "{refused:?}");
    let contents = store.load().await.unwrap();
    assert_eq!(contents.snapshot.integrations["a"].value.name, "one");
    assert_eq!(contents.snapshot.integrations.len(), 1, "nothing of it was written");
    backend.drop_database(store).await;
}

async fn a_version_without_the_one_before_is_refused(backend: impl Backend) {
    let store = backend.open().await;
    let refused = commit(&store, 2, vec![integration("a", "one")], vec![]).await;
    assert!(matches!(refused, Err(StoreError::Conflict(2))), "{refused:?}");
    assert!(store.load().await.unwrap().snapshot.integrations.is_empty());
    backend.drop_database(store).await;
}

async fn versions_are_listed_newest_first(backend: impl Backend) {
    let store = backend.open().await;
    for number in 1..=5 {
        commit(&store, number, vec![organization(number)], vec![])
            .await
            .unwrap();
    }
    let numbers = async |before, limit| -> Vec<u64> {
        let versions = store.versions(before, limit).await.unwrap();
        versions.iter().map(|version| version.number).collect()
    };
    assert_eq!(numbers(None, 3).await, [5, 4, 3]);
    assert_eq!(numbers(Some(3), 3).await, [2, 1]);
    assert_eq!(numbers(Some(u64::MAX), 1).await, [5]);
    assert_eq!(store.head().await.unwrap(), 5);
    assert!(store.version(u64::MAX).await.unwrap().is_none());
    backend.drop_database(store).await;
}

async fn of_many_writers_one_wins_each_number(backend: impl Backend) {
    let store = Arc::new(backend.open().await);
    for number in 1..=3 {
        let writers = (0..4).map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { commit(&store, number, vec![organization(writer)], vec![]).await })
        });
        let results = futures_util::future::join_all(writers).await;
        let won = results.iter().filter(|result| matches!(result, Ok(Ok(())))).count();
        let lost = results
            .iter()
            .filter(|result| matches!(result, Ok(Err(StoreError::Conflict(_)))))
            .count();
        assert_eq!((won, lost), (1, 3), "{results:?}");
    }
    backend.drop_database(Arc::into_inner(store).unwrap()).await;
}

async fn many_objects_are_one_version(backend: impl Backend) {
    let store = backend.open().await;
    let many = || {
        (0..500)
            .map(|number| integration(&format!("i{number}"), "many"))
            .collect::<Vec<_>>()
    };
    commit(&store, 1, many(), vec![]).await.unwrap();
    commit(&store, 2, many(), vec![]).await.unwrap();
    let contents = store.load().await.unwrap();
    assert_eq!(contents.snapshot.integrations.len(), 500);
    assert_eq!(contents.recent[1].objects.len(), 500);
    backend.drop_database(store).await;
}

async fn every_kind_is_kept_changed_and_deleted(backend: impl Backend) {
    let store = backend.open().await;
    let first = one_of_each("First");
    commit(&store, 1, first.clone(), vec![]).await.unwrap();
    commit(&store, 2, one_of_each("Second"), vec![]).await.unwrap();
    let contents = store.load().await.unwrap();
    let wanted = Snapshot::from_objects(2, one_of_each("Second"));
    assert_eq!(contents.snapshot.objects(), wanted.objects());
    let (_, change) = store.version(1).await.unwrap().unwrap();
    assert!(first.iter().all(|object| change.put.contains(object)), "{change:?}");

    let ids: Vec<ObjectId> = first.iter().filter_map(Object::id).collect();
    commit(&store, 3, vec![], ids.clone()).await.unwrap();
    store.close().await;
    let store = backend.open().await;
    let contents = store.load().await.unwrap();
    assert_eq!(contents.snapshot.objects().len(), 1, "only the rules are there");
    let touched = &contents.recent[2].objects;
    assert!(
        ids.iter().all(|id| touched.contains(id)) && touched.len() == ids.len(),
        "{touched:?}"
    );
    backend.drop_database(store).await;
}

async fn gateways_are_kept(backend: impl Backend) {
    let store = backend.open().await;
    let mut one = gateway("g1");
    let two = gateway("g2");
    store.save_gateways(&[two.clone(), one.clone()]).await.unwrap();
    one.applied = Some((7, "digest".to_owned()));
    store.save_gateways(std::slice::from_ref(&one)).await.unwrap();
    assert_eq!(store.gateways().await.unwrap(), [one, two]);
    backend.drop_database(store).await;
}

async fn another_key_does_not_open_secrets(backend: impl Backend) {
    let store = backend.open().await;
    commit(&store, 1, vec![integration("a", "one")], vec![]).await.unwrap();
    store.close().await;
    let other = backend.open_with(&[9; 32]).await;
    let refused = other.load().await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Corrupt { object, .. } if object.contains("\"a\"")),
        "{refused:?}"
    );
    backend.drop_database(other).await;
}

async fn a_killed_server_loses_nothing_that_it_acknowledged(mut backend: impl Backend) {
    if !backend.can_be_killed() {
        return;
    }
    let mut acknowledged = 0;
    for _ in 0..2 {
        // The kill comes while versions are being written, at no particular moment.
        acknowledged = backend.write_until_killed(acknowledged).await;
        let store = backend.open().await;
        let contents = store.load().await.unwrap();
        let stored = contents.snapshot.version;
        assert!(stored >= acknowledged, "{stored} of {acknowledged} are there");
        assert!(
            stored <= acknowledged + 1,
            "at most the one in flight was written without our knowing"
        );
        for number in 1..=stored {
            assert!(
                contents.snapshot.organizations.contains_key(&number),
                "version {number} is whole"
            );
        }
        acknowledged = stored;
        store.close().await;
    }
    assert!(acknowledged > 0);
    let store = backend.open().await;
    commit(&store, acknowledged + 1, vec![organization(1)], vec![])
        .await
        .unwrap();
    backend.drop_database(store).await;
}

pub(super) async fn commit(
    store: &Store,
    number: u64,
    put: Vec<Object>,
    delete: Vec<ObjectId>,
) -> Result<(), StoreError> {
    let version = version(number, put.len() as u64, delete.len() as u64);
    store.commit(&version, &Change { put, delete }, Beside::default()).await
}

pub(super) fn version(number: u64, put: u64, deleted: u64) -> Version {
    Version {
        number,
        author: "tests".to_owned(),
        message: format!("number {number}"),
        at: "2024-01-15T10:00:00.123Z".parse().unwrap(),
        digest: format!("digest {number}"),
        put,
        deleted,
        shares: Vec::new(),
        canary: None,
    }
}

pub(super) fn organization(org_id: u64) -> Object {
    let organization: Organization =
        serde_json::from_value(json!({"orgId": org_id, "name": "Clinic", "allowedNetworks": ["10.0.0.0/8"]})).unwrap();
    Object::Organization(organization.into())
}

/// With everything that a store could spoil: secrets, exact numbers, names with dots and dollars.
fn integration(id: &str, name: &str) -> Object {
    let integration: InboundIntegration = serde_json::from_value(json!({
        "id": id, "name": name, "type": id, "orgId": 648, "targetUrl": "https://partner.example",
        "outgoingAuthType": "CUSTOM_HEADERS", "outgoingAuthConfig": {"headers": {"X.Secret": "hunter2"}},
        "requestTransformationMode": "SIMPLE",
        "requestFieldMappings": [{"targetField": "x", "value": {"$set": {"a.b": 1.0}, "big": u64::MAX, "n": null}}],
        "createdAt": "2024-01-15T10:00:00.123Z",
    }))
    .unwrap();
    Object::Integration(integration.into())
}

/// One object of each kind but the rules; both directions of integrations are there.
fn one_of_each(name: &str) -> Vec<Object> {
    let bearer = json!({"token": "hunter2"});
    let objects = json!([
        {"kind": "unit", "value": {"rid": 84, "orgId": 648, "name": name, "timezone": "Asia/Kolkata"}},
        {"kind": "eventType", "value": {"id": "bill", "orgId": 648, "eventType": "bill.generated", "actionId": 43,
            "name": name, "schema": {"$schema": "https://json-schema.org/draft/2020-12/schema", "a.b": {"$ref": "#"}}}},
        {"kind": "producerKey", "value": {"id": "his", "orgId": 648, "name": name, "hash": "sha256:00"}},
        {"kind": "certificate", "value": {"id": "lakeside", "orgId": 648, "name": name, "certificate": "public",
            "privateKey": "hunter2"}},
        {"kind": "lookup", "value": {"id": "departments", "orgId": 648, "name": name,
            "entries": {"$a.b": 1.0, "value": "shown", "": null}}},
        {"kind": "consumer", "value": {"id": "clinic-app", "orgId": 648, "name": name}},
        {"kind": "outbound", "value": {"id": "bills", "orgId": 648, "name": name, "eventType": "bill.*",
            "targetUrl": "https://partner.example", "signingType": "STANDARD_WEBHOOKS",
            "signingConfig": {"secrets": [{"name": "k", "value": "whsec_hunter2"}]},
            "actions": [{"name": "a.b", "outgoingAuthType": "BEARER", "outgoingAuthConfig": bearer}],
            "filter": {"field": "a", "equals": null}, "createdAt": "2024-01-15T10:00:00.123Z"}},
    ]);
    let mut all: Vec<Object> = serde_json::from_value(objects).unwrap();
    all.push(organization(648));
    all.push(integration("lab", name));
    all
}

fn gateway(gateway_id: &str) -> GatewayRecord {
    GatewayRecord {
        gateway_id: gateway_id.to_owned(),
        model_version: 1,
        applied: None,
        applied_at: None,
        refused: Some(Refused {
            version: 3,
            problems: vec![Problem::new("a", "b")],
            at: "2024-01-15T10:00:00.123Z".parse().unwrap(),
        }),
        last_seen: "2024-01-15T10:00:00.123Z".parse().unwrap(),
    }
}
