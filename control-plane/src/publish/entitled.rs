//! Who is entitled to an organization that is to be deleted.

use filters::model::push::ObjectId;

use super::Refusal;
use super::needed::listed;
use crate::store::Store;
use crate::users;

/// Refuses to delete an organization that accounts or keys of programs are for: they would be good for whoever gets its
/// number next. The text names them.
pub(super) async fn check(store: &Store, deleted: &[ObjectId]) -> Result<(), Refusal> {
    for id in deleted {
        let ObjectId::Organization(org_id) = id else {
            continue;
        };
        let entitled = users::entitled_to(store, *org_id).await?;
        if !entitled.is_empty() {
            let who = listed(&entitled);
            return Err(Refusal::Conflict(format!(
                "{id} is open to {who}; delete them, or take the organization from their orgIds first"
            )));
        }
    }
    Ok(())
}
