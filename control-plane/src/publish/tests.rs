use std::collections::VecDeque;

use filters::model::{InboundIntegration, Organization, Snapshot};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::config::secrets::SecretSources;
use crate::config::{Limits, StoreConfig};
use crate::seal::Sealer;
use crate::secrets::Values;
use crate::store::HISTORY;

/// A state at version `newest`. Version 1 set the security rules, each later one put the organization of its number.
pub(crate) fn sample(newest: u64) -> State {
    let [state] = samples([newest]);
    state
}

/// The states of one history at these versions, in ascending order. Two histories differ by the times of their objects.
pub(crate) fn samples<const N: usize>(versions: [u64; N]) -> [State; N] {
    let snapshot = Snapshot::default();
    let plan = filters::compile(&snapshot, None).unwrap();
    let mut chain = vec![State {
        digest: snapshot.digest(),
        at: None,
        plan: Some(Arc::new(plan)),
        recent: VecDeque::new(),
        resolved: Resolved::of(&snapshot, &Values::default()),
        snapshot,
        trial: None,
    }];
    for number in 1..=versions.into_iter().max().unwrap() {
        let author = Author {
            name: "tests".to_owned(),
            message: String::new(),
            org_ids: None,
            request_id: None,
        };
        let object = match number {
            1 => Object::Security(Security::default()),
            number => organization(number),
        };
        let newest = chain.last().unwrap();
        let next = Proposal::new(newest, Edit::of_one(object), &Stage::Plain, &author, &Values::default())
            .unwrap()
            .next
            .unwrap();
        chain.push(next.state);
    }
    chain.retain(|state| versions.contains(&state.snapshot.version));
    chain.try_into().unwrap()
}

fn organization(number: u64) -> Object {
    Object::Organization(Arc::new(Organization {
        org_id: number,
        ..Organization::default()
    }))
}

fn integration(id: &str) -> Object {
    let integration: InboundIntegration = serde_json::from_value(
        json!({"id": id, "name": id, "type": id, "orgId": 1, "targetUrl": "https://partner.example"}),
    )
    .unwrap();
    Object::Integration(Arc::new(integration))
}

pub(crate) fn no_secrets() -> Secrets {
    Secrets::new(&SecretSources::default()).unwrap()
}

fn author() -> Author {
    Author {
        name: "tests".to_owned(),
        message: String::new(),
        org_ids: None,
        request_id: None,
    }
}

async fn store(folder: &TempDir) -> Arc<Store> {
    let sealer = Arc::new(Sealer::new(&[3; 32]));
    let store = Store::open(&StoreConfig::default(), folder.path(), &Limits::default(), sealer).await;
    Arc::new(store.unwrap())
}

async fn publisher(store: &Arc<Store>) -> Publisher {
    let metrics = Arc::new(Metrics::new().unwrap());
    Publisher::start(Arc::clone(store), no_secrets(), Security::default(), metrics)
        .await
        .unwrap()
}

async fn put(publisher: &Publisher, object: Object) -> Result<Published, Refusal> {
    publisher
        .publish(author(), Mode::Commit, move |_| Ok(Edit::of_one(object.clone())))
        .await
}

#[tokio::test]
async fn two_writers_on_one_store_lose_nothing() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder).await;
    let (one, two) = (publisher(&store).await, publisher(&store).await);
    put(&one, integration("a")).await.unwrap();
    // This one does not know of version 2 yet, and learns of it by the conflict.
    let published = put(&two, integration("b")).await.unwrap();
    assert_eq!(published.state.snapshot.version, 3);
    assert_eq!(published.state.snapshot.integrations.len(), 2);
    one.catch_up().await.unwrap();
    assert_eq!(one.state().digest, two.state().digest);
    assert_eq!(one.state().digest_at(2), two.state().digest_at(2));
}

#[tokio::test]
async fn a_store_that_was_emptied_is_not_taken_for_the_truth() {
    let (full, empty) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let other = publisher(&store(&full).await).await;
    put(&other, integration("a")).await.unwrap();
    let state = other.state();
    let publisher = Publisher(Arc::new(Inner {
        secrets: no_secrets(),
        store: store(&empty).await,
        state: watch::Sender::new(state),
        turn: Mutex::new(()),
        metrics: Arc::new(Metrics::new().unwrap()),
    }));
    assert!(matches!(
        publisher.catch_up().await,
        Err(Refusal::Store(StoreError::Corrupt { .. }))
    ));
    assert_eq!(
        publisher.state().snapshot.integrations.len(),
        1,
        "gateways keep what they have"
    );
}

#[tokio::test]
async fn a_change_of_the_security_rules_is_a_version() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder).await;
    assert_eq!(publisher(&store).await.state().snapshot.version, 1);
    assert_eq!(
        publisher(&store).await.state().snapshot.version,
        1,
        "the same rules make no version"
    );
    let lax = Security {
        enforce_https: false,
        ..Security::default()
    };
    let metrics = Arc::new(Metrics::new().unwrap());
    let changed = Publisher::start(Arc::clone(&store), no_secrets(), lax, metrics)
        .await
        .unwrap();
    assert_eq!(changed.state().snapshot.version, 2);
    assert!(!changed.state().snapshot.security.enforce_https);
}

#[tokio::test]
async fn rules_that_stored_integrations_break_are_refused_at_the_start() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder).await;
    let lax = Security {
        enforce_https: false,
        ..Security::default()
    };
    let metrics = Arc::new(Metrics::new().unwrap());
    let publisher = Publisher::start(Arc::clone(&store), no_secrets(), lax, Arc::clone(&metrics))
        .await
        .unwrap();
    let plain = json!({"id": "a", "name": "a", "type": "a", "orgId": 1, "targetUrl": "http://partner.example"});
    let plain = Object::Integration(Arc::new(serde_json::from_value(plain).unwrap()));
    put(&publisher, plain).await.unwrap();
    match Publisher::start(store, no_secrets(), Security::default(), metrics).await {
        Err(Refusal::Problems(problems)) => assert!(problems[0].path.contains("\"a\""), "{problems:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_split_store_and_state() {
    let folder = TempDir::new().unwrap();
    let publisher = publisher(&store(&folder).await).await;
    let change = put(&publisher, integration("a"));
    // Polled once, and dropped.
    let dropped = tokio::time::timeout(Duration::ZERO, change).await;
    assert!(dropped.is_err());
    let next = put(&publisher, integration("b")).await.unwrap();
    assert_eq!(next.state.snapshot.version, 3);
    assert!(next.state.snapshot.integrations.contains_key("a"));
}

#[test]
fn the_history_is_bounded() {
    let state = sample(u64::from(HISTORY) + 10);
    assert_eq!(state.recent.len(), HISTORY as usize);
    assert!(state.digest_at(5).is_none());
    assert!(state.digest_at(11).is_some());
}
