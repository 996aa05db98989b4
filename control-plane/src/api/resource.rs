//! What the kinds of configured objects have in common: list, make, read, replace, patch, delete, validate.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use filters::model::push::{Object, ObjectId, ObjectKind};
use filters::model::{Entry, Problem, Snapshot};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::App;
use super::answer::Answer;
use super::changing::Changing;
use super::error::ApiError;
use super::operator::Caller;
use super::request::{Document, Named, Params, Place, Precondition, Within, read as read_value};
use crate::differences::json_of;
use crate::publish::{Action, Edit, Mode, Published, Refusal, State as Configuration};
use crate::seal::Sealer;

mod docs;
mod kept;
mod list;
mod merge;

pub(super) use docs::{create_docs, delete_docs, list_docs, patch_docs, read_docs, replace_docs, validate_docs};
pub(super) use kept::kept_in;
pub(super) use list::{Everything, Filter, list};
pub(super) use merge::{check_patch, merge_into, merged};

/// A kind of configured objects.
pub(super) trait Resource: Clone + DeserializeOwned + Serialize + JsonSchema + Send + Sync + 'static {
    /// Parameters of its list, besides those that each list has.
    type Filter: Filter<Self>;

    /// The kind.
    const KIND: ObjectKind;
    /// Its path below `/api/v1/`.
    const PATH: &'static str;
    /// What one of them is called.
    const NOUN: &'static str;
    /// The field of its list that they are in.
    const LIST: &'static str;
    /// The field of its identifier.
    const ID: &'static str = "id";
    /// How many are listed on a page if nothing is said, and the most that may be asked for.
    const PAGE: (usize, usize) = (50, 200);

    /// All of them.
    fn entries(snapshot: &Snapshot) -> impl Iterator<Item = &Entry<Self>>;
    /// One of them.
    fn entry<'a>(snapshot: &'a Snapshot, id: &ObjectId) -> Option<&'a Entry<Self>>;
    /// As an object.
    fn object(self) -> Object;
    /// Its identifier.
    fn id(&self) -> ObjectId;
    /// The organization that it belongs to.
    fn org_id(&self) -> u64;
    /// Gives it an identifier if it has none.
    fn name_it(&mut self) {}
    /// A copy that may be shown: without its secrets.
    fn shown(&self) -> Self {
        self.clone()
    }
    /// Whether it is used; `None` for kinds that are always.
    fn is_active(&self) -> Option<bool> {
        None
    }
    /// Has it used, or not any more, where it has that.
    fn switch(&mut self, _active: bool) {}
    /// The texts that a search looks at.
    fn texts(&self) -> Vec<&str>;

    /// The organization of a list: the one that is asked for, or all (`None`) that the key sees.
    fn scope(caller: &Caller, org_id: Option<u64>) -> Result<Option<u64>, ApiError> {
        caller.scope(org_id)
    }
    /// The organization within which the object `id` is asked for.
    fn within(_id: &ObjectId, org_id: Option<u64>) -> Option<u64> {
        org_id
    }
    /// Refuses an operator who may not change what belongs to `org_id`.
    fn may_change(caller: &Caller, org_id: u64) -> Result<(), Refusal> {
        caller.may(org_id)
    }
}

/// Whether an object could be saved.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdict {
    /// True if there are no problems.
    valid: bool,
    /// Everything that is wrong.
    problems: Vec<Problem>,
    /// What may be wrong, and can be saved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Problem>,
}

/// What a patch may change: any field but identity and times, by JSON merge patch (RFC 7396).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes the body; it is merged as JSON")]
pub(super) struct Patch {
    /// False keeps the object but does not use it, where it has the field.
    #[serde(default)]
    is_active: Option<bool>,
    /// Name for people.
    #[serde(default)]
    name: Option<String>,
}

/// Makes an object.
pub(super) async fn create<T: Resource>(
    State(app): State<Arc<App>>,
    caller: Caller,
    changing: Changing,
    document: Document<T>,
) -> Result<Answer<T>, ApiError> {
    let value = read_body(document, changing.org_id, None)?;
    make(&app, &caller, value, changing.message).await
}

/// Makes `value`; `message` says what for.
pub(super) async fn make<T: Resource>(
    app: &App,
    caller: &Caller,
    mut value: T,
    message: String,
) -> Result<Answer<T>, ApiError> {
    T::may_change(caller, value.org_id())?;
    value.name_it();
    let id = value.id();
    let object = value.object();
    let put = {
        let id = id.clone();
        move |state: &Configuration| {
            if state.snapshot.object(&id).is_some() {
                return Err(Refusal::Conflict(taken::<T>(&id)));
            }
            Ok(Edit::of_one(object.clone()))
        }
    };
    publish(app, caller, &id, message, put).await
}

/// Reads an object.
pub(super) async fn read<T: Resource>(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    Params(within): Params<Within>,
) -> Result<Answer<T>, ApiError> {
    let id = id_of::<T>(&named.id)?;
    let state = app.publisher.state();
    let entry = visible::<T>(&state, &id, &caller, within.org_id)?;
    Ok(Answer::found(app.sealer.tag(&entry.digest), entry.value.shown()))
}

/// Replaces an object, or makes it under this identifier.
pub(super) async fn replace<T: Resource>(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    changing: Changing,
    precondition: Precondition,
    document: Document<T>,
) -> Result<Answer<T>, ApiError> {
    let id = id_of::<T>(&named.id)?;
    let value = read_body(document, changing.org_id, Some(&id))?;
    T::may_change(&caller, value.org_id())?;
    let object = value.object();
    let put = {
        let (id, caller, sealer) = (id.clone(), caller.clone(), Arc::clone(&app.sealer));
        move |state: &Configuration| {
            let entry = T::entry(&state.snapshot, &id);
            if entry.is_some_and(|entry| !caller.sees(entry.value.org_id(), None)) {
                return Err(Refusal::NotFound(title(&id)));
            }
            let tag = entry.map(|entry| sealer.tag(&entry.digest));
            if !precondition.allows(tag.as_deref()) {
                return Err(Refusal::Precondition(title(&id)));
            }
            Ok(Edit::of_one(object.clone()))
        }
    };
    publish(&app, &caller, &id, changing.message, put).await
}

/// Changes single fields of an object.
pub(super) async fn patch<T: Resource>(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    changing: Changing,
    precondition: Precondition,
    document: Document<Patch>,
) -> Result<Answer<T>, ApiError> {
    check_patch(&document.value).map_err(ApiError::validation)?;
    let id = id_of::<T>(&named.id)?;
    let change = {
        let (id, caller, sealer) = (id.clone(), caller.clone(), Arc::clone(&app.sealer));
        move |state: &Configuration| {
            let entry = visible::<T>(state, &id, &caller, changing.org_id)?;
            check_change(entry, &caller, &precondition, &sealer)?;
            let patched = merged(&*entry.value, &document.value).map_err(Refusal::Problems)?;
            Ok(Edit::of_one(patched.object()))
        }
    };
    publish(&app, &caller, &id, changing.message, change).await
}

/// Deletes an object.
pub(super) async fn delete<T: Resource>(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    changing: Changing,
    precondition: Precondition,
) -> Result<NoContent, ApiError> {
    let id = id_of::<T>(&named.id)?;
    let (by, sealer) = (caller.author(changing.message), Arc::clone(&app.sealer));
    let remove = move |state: &Configuration| {
        let entry = visible::<T>(state, &id, &caller, changing.org_id)?;
        check_change(entry, &caller, &precondition, &sealer)?;
        Ok(Edit {
            delete: vec![id.clone()],
            ..Edit::default()
        })
    };
    app.publisher.publish(by, Mode::Commit, remove).await?;
    Ok(NoContent)
}

/// Says what would be wrong with an object if it were saved.
pub(super) async fn validate<T: Resource>(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(within): Params<Within>,
    document: Document<T>,
) -> Result<Json<Verdict>, ApiError> {
    let (problems, warnings) = match read_body(document, within.org_id, None) {
        Ok(mut value) => {
            T::may_change(&caller, value.org_id())?;
            value.name_it();
            let (id, object) = (value.id(), value.object());
            let by = caller.author(String::new());
            let put = move |state: &Configuration| {
                let entry = T::entry(&state.snapshot, &id);
                if entry.is_some_and(|entry| !caller.sees(entry.value.org_id(), None)) {
                    return Err(Refusal::NotFound(title(&id)));
                }
                Ok(Edit::of_one(object.clone()))
            };
            match app.publisher.publish(by, Mode::DryRun, put).await {
                Ok(published) => (Vec::new(), published.warnings),
                Err(Refusal::Problems(problems)) => (problems, Vec::new()),
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Err(error) => (error.into_problems()?, Vec::new()),
    };
    Ok(Json(Verdict {
        valid: problems.is_empty(),
        problems,
        warnings,
    }))
}

/// The object `id`, if the caller may know of it.
pub(super) fn visible<'a, T: Resource>(
    state: &'a Configuration,
    id: &ObjectId,
    caller: &Caller,
    org_id: Option<u64>,
) -> Result<&'a Entry<T>, Refusal> {
    let org_id = T::within(id, org_id);
    if let Some(org_id) = org_id {
        caller.may(org_id)?;
    }
    let entry = T::entry(&state.snapshot, id);
    let entry = entry.filter(|entry| caller.sees(entry.value.org_id(), org_id));
    entry.ok_or_else(|| Refusal::NotFound(title(id)))
}

/// Refuses a change of an object that the caller may not make, or not as it is now.
pub(super) fn check_change<T: Resource>(
    entry: &Entry<T>,
    caller: &Caller,
    precondition: &Precondition,
    sealer: &Sealer,
) -> Result<(), Refusal> {
    T::may_change(caller, entry.value.org_id())?;
    if precondition.allows(Some(&sealer.tag(&entry.digest))) {
        Ok(())
    } else {
        Err(Refusal::Precondition(title(&entry.value.id())))
    }
}

/// The identifier in the path.
pub(super) fn id_of<T: Resource>(text: &str) -> Result<ObjectId, ApiError> {
    // What does not read as an identifier names nothing.
    ObjectId::of(T::KIND, text).ok_or_else(|| ApiError::not_found(&format!("the {} {text:?}", T::NOUN)))
}

/// The body as an object. Organization of the query and identifier of the path stand in where the body has none.
fn read_body<T: Resource>(
    mut document: Document<T>,
    org_id: Option<u64>,
    id: Option<&ObjectId>,
) -> Result<T, ApiError> {
    fill_organization(&mut document.value, org_id);
    if let (Value::Object(fields), Some(id)) = (&mut document.value, id) {
        let given = fields.entry(T::ID).or_insert(Value::Null);
        if given.is_null() || *given == "" {
            *given = json_of(id);
        }
    }
    let value = document.read()?;
    let mut problems = Vec::new();
    if let Some(id) = id.filter(|id| **id != value.id()) {
        let message = format!("is not that of the path, {}; leave it out", json_of(id));
        problems.push(Problem::new(T::ID, message));
    }
    problems.extend(other_organization(org_id, value.org_id()));
    if problems.is_empty() {
        Ok(value)
    } else {
        Err(ApiError::validation(problems))
    }
}

/// The organization of the query stands in where the body has none.
pub(super) fn fill_organization(body: &mut Value, org_id: Option<u64>) {
    if let (Value::Object(fields), Some(org_id)) = (body, org_id) {
        fields.entry("orgId").or_insert_with(|| org_id.into());
    }
}

/// What is wrong if query and body name different organizations.
pub(super) fn other_organization(asked: Option<u64>, given: u64) -> Option<Problem> {
    let asked = asked.filter(|asked| *asked != given)?;
    Some(Problem::new("orgId", format!("is {given}, and the query says {asked}")))
}

/// Makes a change of one object, and answers with what has become of it.
pub(super) async fn publish<T, F>(
    app: &App,
    caller: &Caller,
    id: &ObjectId,
    message: String,
    edit: F,
) -> Result<Answer<T>, ApiError>
where
    T: Resource,
    F: Fn(&Configuration) -> Result<Edit, Refusal> + Send + 'static,
{
    let by = caller.author(message);
    let Published { state, outcomes, .. } = app.publisher.publish(by, Mode::Commit, edit).await?;
    let entry = T::entry(&state.snapshot, id).ok_or_else(ApiError::internal)?;
    let (tag, body) = (app.sealer.tag(&entry.digest), entry.value.shown());
    let created = outcomes.iter().any(|outcome| outcome.action == Action::Created);
    Ok(if created {
        Answer::created(tag, format!("/api/v1/{}/{}", T::PATH, id.text()), body)
    } else {
        Answer::found(tag, body)
    })
}

pub(super) fn title(id: &ObjectId) -> String {
    format!("the {id}")
}

pub(super) fn taken<T: Resource>(id: &ObjectId) -> String {
    if T::ID == "id" {
        format!("the id {:?} is taken; leave it out to have one made", id.text())
    } else {
        format!("{id} is there already")
    }
}
