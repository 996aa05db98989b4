//! Changes that are saved and not published yet.

use std::collections::BTreeSet;

use filters::model::push::{Object, ObjectId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::publish::State;
use crate::store::{Shelf, Shelved};

/// A change that is saved and not published yet. It is encrypted as a whole, as objects hold secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Draft {
    /// Identifier (UUIDv7).
    pub(crate) id: String,
    /// The organization that all of its objects belong to; `None` for those who may change everything.
    pub(crate) org_id: Option<u64>,
    /// Name for people.
    pub(crate) name: String,
    /// What for; the version gets it.
    pub(crate) message: String,
    /// Who saved it last.
    pub(crate) author: String,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// When it was saved last.
    pub(crate) updated_at: Timestamp,
    /// The newest version when it was saved last.
    pub(crate) base: u64,
    /// Objects to make or replace; a secret that stands as its mask stays as it is.
    pub(crate) put: Vec<Object>,
    /// Objects to delete.
    pub(crate) delete: Vec<ObjectId>,
    /// What the objects were when it was saved last.
    pub(crate) known: Vec<Known>,
}

/// What an object was when a draft about it was saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Known {
    object: ObjectId,
    /// SHA-256 of its JSON; `None` if it was not there.
    digest: Option<String>,
}

impl Shelved for Draft {
    const SHELF: Shelf = Shelf::Drafts;
    const NAME: &'static str = "draft";
    const SEALED: bool = true;

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        self.org_id
    }
}

impl Draft {
    /// Notes what its objects are in `state`.
    pub(crate) fn based_on(mut self, state: &State) -> Self {
        let put = self.put.iter().filter_map(Object::id);
        let ids: BTreeSet<ObjectId> = put.chain(self.delete.iter().cloned()).collect();
        self.known = ids
            .into_iter()
            .map(|object| Known {
                digest: digest(state, &object),
                object,
            })
            .collect();
        self.base = state.snapshot.version;
        self
    }

    /// Its objects that somebody changed since it was saved.
    pub(crate) fn stale(&self, state: &State) -> Vec<ObjectId> {
        let stale = self
            .known
            .iter()
            .filter(|known| digest(state, &known.object) != known.digest);
        stale.map(|known| known.object.clone()).collect()
    }
}

fn digest(state: &State, id: &ObjectId) -> Option<String> {
    let object = state.snapshot.object(id)?;
    let json = serde_json::to_vec(&object).expect("model types have text keys and serialize without fail");
    Some(hex::encode(Sha256::digest(json)))
}
