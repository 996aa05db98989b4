//! Sealing anew.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::*;
use super::backend::{Backend, Mongo, Sqlite};
use super::commit;

for_each_store!(
    everything_sealed_opens_with_the_newest_key_alone_afterwards,
    more_than_one_step_is_sealed_anew,
    a_text_that_no_key_opens_stops_it,
);

async fn everything_sealed_opens_with_the_newest_key_alone_afterwards(backend: impl Backend) {
    let store = backend.open_with(&OLD).await;
    commit(&store, 1, objects("a"), vec![]).await.unwrap();
    commit(&store, 2, vec![], vec![ObjectId::Integration("a".into())])
        .await
        .unwrap();
    commit(&store, 3, objects("b"), vec![]).await.unwrap();
    let draft = Draft {
        id: "d".to_owned(),
        text: "hunter2".to_owned(),
    };
    assert!(store.write(vec![Write::new(&draft).unwrap()], vec![]).await.unwrap());
    let before = store.load().await.unwrap();
    store.close().await;

    let store = backend.open_sealed_by(Sealer::of(&NEW, &[OLD])).await;
    // The integration and the keys that are there, those that the versions put, and the draft.
    let walked = store.reseal().await.unwrap();
    assert_eq!(walked, Resealed { stale: 8, resealed: 8 });
    assert_eq!(store.reseal().await.unwrap(), Resealed::default());
    store.close().await;

    let store = backend.open_with(&NEW).await;
    let after = store.load().await.unwrap();
    assert_eq!(after.snapshot.digest(), before.snapshot.digest());
    let (_, change) = store.version(1).await.unwrap().unwrap();
    assert_eq!(change.put, objects("a"));
    let sheet: Sheet<Draft> = store.sheet("d").await.unwrap().unwrap();
    assert_eq!((sheet.revision, sheet.value), (1, draft));
    backend.drop_database(store).await;
}

async fn more_than_one_step_is_sealed_anew(backend: impl Backend) {
    let store = backend.open_with(&OLD).await;
    let many = u64::from(reseal::STEP) * 2 + 1;
    let put: Vec<Object> = (0..many).map(|number| integration(&format!("i{number}"))).collect();
    commit(&store, 1, put, vec![]).await.unwrap();
    store.close().await;
    let store = backend.open_sealed_by(Sealer::of(&NEW, &[OLD])).await;
    let walked = store.reseal().await.unwrap();
    assert_eq!((walked.stale, walked.resealed), (many * 2, many * 2));
    backend.drop_database(store).await;
}

async fn a_text_that_no_key_opens_stops_it(backend: impl Backend) {
    let store = backend.open_with(&OLD).await;
    commit(&store, 1, vec![integration("a")], vec![]).await.unwrap();
    store.close().await;
    let store = backend.open_with(&NEW).await;
    let error = store.reseal().await.unwrap_err().to_string();
    assert!(error.contains("\"a\"") && error.contains("secret key"), "{error}");
    backend.drop_database(store).await;
}

fn objects(id: &str) -> Vec<Object> {
    let key = json!({"kind": "producerKey", "value": {"id": id, "orgId": 1, "name": "his", "hash": "hunter5"}});
    vec![integration(id), serde_json::from_value(key).unwrap()]
}

fn integration(id: &str) -> Object {
    let integration = json!({"kind": "integration", "value": {
        "id": id, "name": "A", "type": id, "orgId": 1, "targetUrl": "https://partner.example",
        "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "hunter2"},
    }});
    serde_json::from_value(integration).unwrap()
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
        None
    }
}

const OLD: [u8; 32] = [5; 32];
const NEW: [u8; 32] = [6; 32];
