//! Producer keys: made here, shown once, kept as hashes.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::extract::State;
use filters::model::{ProducerKey, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use super::App;
use super::answer::Answer;
use super::changing::Changing;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::Document;
use super::resource::{Filter, Resource, fill_organization, kept_in, make, other_organization};

/// Parameters of the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only active ones, or only inactive ones.
    #[serde(default)]
    is_active: Option<bool>,
}

impl Filter<ProducerKey> for Wanted {
    fn picks(&self, key: &ProducerKey) -> bool {
        self.is_active.is_none_or(|wanted| wanted == key.is_active)
    }
}

impl Resource for ProducerKey {
    type Filter = Wanted;

    const PATH: &'static str = "producer-keys";
    const NOUN: &'static str = "producer key";
    const LIST: &'static str = "producerKeys";

    kept_in!(producer_keys as ProducerKey, named);

    fn shown(&self) -> Self {
        self.masked()
    }

    fn is_active(&self) -> Option<bool> {
        Some(self.is_active)
    }

    fn switch(&mut self, active: bool) {
        self.is_active = active;
    }

    fn texts(&self) -> Vec<&str> {
        vec![&self.id, &self.name]
    }
}

/// A key to make. Its value is made here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "NewProducerKey")]
pub(super) struct New {
    /// Identifier; made if left out.
    #[serde(default)]
    id: String,
    /// Organization whose events it may hand over.
    org_id: u64,
    /// Name of the producer; appears in logs and audits. Unique in its organization.
    name: String,
    /// False makes a key that is refused until it is activated.
    #[serde(default = "yes")]
    is_active: bool,
}

/// Makes a key. The answer is the only one that has it in clear.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    changing: Changing,
    mut document: Document<New>,
) -> Result<Answer<ProducerKey>, ApiError> {
    fill_organization(&mut document.value, changing.org_id);
    let New {
        id,
        org_id,
        name,
        is_active,
    } = document.read()?;
    if let Some(problem) = other_organization(changing.org_id, org_id) {
        return Err(ApiError::validation(vec![problem]));
    }
    let secret = format!("{PREFIX}{}", hex::encode(rand::random::<[u8; KEY_BYTES]>()));
    let key = ProducerKey {
        id,
        org_id,
        name,
        hash: None,
        value: Some(Secret::new(&secret)),
        is_active,
        created_at: None,
        updated_at: None,
    };
    let answer = make(&app, &caller, key, changing.message).await?;
    Ok(answer.map(|key| ProducerKey {
        hash: None,
        value: Some(Secret::new(secret)),
        ..key
    }))
}

pub(super) fn create_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Make a producer key; the answer shows it once, in `value`")
        .description(
            "Keep the key where the producer finds it: only its hash is stored, and no other answer has it. To rotate a key, \
             make another one, hand it to the producer, and delete the old one.",
        )
        .made::<ProducerKey>()
        .errors(&[409])
}

fn yes() -> bool {
    true
}

/// By what people, and programs that look for leaked keys, know one.
const PREFIX: &str = "pk_";
const KEY_BYTES: usize = 32;
