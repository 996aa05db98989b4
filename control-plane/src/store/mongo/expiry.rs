//! Old records that the server deletes by itself.

use std::time::Duration;

use mongodb::IndexModel;
use mongodb::bson::doc;
use mongodb::error::{Error, ErrorKind};
use mongodb::options::IndexOptions;

use super::super::StoreError;
use super::super::kept::MANY;
use super::{MongoStore, failed};

/// Has the server delete calls and attempts after so many days. The control plane deletes them as well; whoever comes
/// first.
pub(super) async fn expire(store: &MongoStore, days: u32) -> Result<(), StoreError> {
    let seconds = u64::from(days) * 24 * 60 * 60;
    for place in MANY {
        let collection = store.collections.place(place);
        let options = IndexOptions::builder().expire_after(Duration::from_secs(seconds));
        let index = IndexModel::builder()
            .keys(doc! {"createdAt": 1})
            .options(options.build());
        let index = index.build();
        match collection.create_index(index.clone()).await {
            Ok(_) => {}
            // It is there with another time, or with none.
            Err(error) if has_other_options(&error) => {
                collection.drop_index("createdAt_1").await.map_err(failed)?;
                collection.create_index(index).await.map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

fn has_other_options(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Command(error) => [OPTIONS_CONFLICT, KEYS_CONFLICT].contains(&error.code),
        _ => false,
    }
}

const OPTIONS_CONFLICT: i32 = 85;
const KEYS_CONFLICT: i32 = 86;
