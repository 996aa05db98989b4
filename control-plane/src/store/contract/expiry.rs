//! What a MongoDB server deletes by itself.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use mongodb::IndexModel;
use mongodb::bson::{Document, doc};

use super::backend::{Backend as _, Mongo};

#[tokio::test]
async fn the_server_is_told_when_records_are_too_old() {
    let Some(mongo) = Mongo::start() else { return };
    let store = mongo.open().await;
    for days in [14, 14, 3] {
        store.expire_records(days).await.unwrap();
        for name in ["execution_logs", "delivery_logs"] {
            let collection = mongo.handle().await.collection::<Document>(name);
            let indexes = collection.list_indexes().await.unwrap();
            let indexes: Vec<IndexModel> = indexes.try_collect().await.unwrap();
            let by_age = indexes.into_iter().find(|index| index.keys == doc! {"createdAt": 1});
            let expires = by_age
                .and_then(|index| index.options)
                .and_then(|options| options.expire_after);
            let wanted = Duration::from_secs(u64::from(days) * 24 * 60 * 60);
            assert_eq!(expires, Some(wanted), "{name}");
        }
    }
    mongo.drop_database(store).await;
}
