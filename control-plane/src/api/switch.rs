//! What is configured, switched on and off.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::extract::State;

use super::App;
use super::answer::Answer;
use super::changing::Changing;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Named, Place, Precondition};
use super::resource::{Resource, check_change, id_of, publish, visible};
use crate::publish::{Edit, State as Configuration};

/// Switches an object on; nothing is done if it is on.
pub(super) async fn activate<T: Resource>(
    app: State<Arc<App>>,
    caller: Caller,
    place: Place<Named>,
    changing: Changing,
    precondition: Precondition,
) -> Result<Answer<T>, ApiError> {
    switch(app, caller, place, changing, precondition, true).await
}

/// Switches an object off; nothing is done if it is off.
pub(super) async fn deactivate<T: Resource>(
    app: State<Arc<App>>,
    caller: Caller,
    place: Place<Named>,
    changing: Changing,
    precondition: Precondition,
) -> Result<Answer<T>, ApiError> {
    switch(app, caller, place, changing, precondition, false).await
}

async fn switch<T: Resource>(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    changing: Changing,
    precondition: Precondition,
    active: bool,
) -> Result<Answer<T>, ApiError> {
    let id = id_of::<T>(&named.id)?;
    let change = {
        let (id, caller, sealer) = (id.clone(), caller.clone(), Arc::clone(&app.sealer));
        move |state: &Configuration| {
            let entry = visible::<T>(state, &id, &caller, changing.org_id)?;
            check_change(entry, &caller, &precondition, &sealer)?;
            let mut object = (*entry.value).clone();
            object.switch(active);
            Ok(Edit::of_one(object.object()))
        }
    };
    publish(&app, &caller, &id, changing.message, change).await
}

pub(super) fn activate_docs<T: Resource>(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let summary = format!("Switch the {} on; nothing is done if it is on", T::NOUN);
    operation.summary(&summary).errors(&[400, 409])
}

pub(super) fn deactivate_docs<T: Resource>(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let summary = format!("Switch the {} off; nothing is done if it is off", T::NOUN);
    operation.summary(&summary).errors(&[400, 409])
}
