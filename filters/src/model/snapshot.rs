//! The whole configuration of a gateway, as data.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::decode;
use super::integration::InboundIntegration;
use super::organization::Organization;
use super::problem::Problem;

/// Rules for every connection to a partner. The strict values are the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Security {
    /// Refuses targets in private networks, unless the organization is allowed the range.
    pub block_private_networks: bool,
    /// Refuses targets without TLS.
    pub enforce_https: bool,
}

impl Default for Security {
    fn default() -> Self {
        Self {
            block_private_networks: true,
            enforce_https: true,
        }
    }
}

/// An object of a snapshot, shared between the versions that hold it unchanged, with the digest of its content.
#[derive(Debug)]
pub struct Entry<T> {
    /// The object.
    pub value: Arc<T>,
    /// SHA-256 of its JSON.
    pub digest: [u8; 32],
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            digest: self.digest,
        }
    }
}

impl<T: Serialize> Entry<T> {
    /// Wraps an object and computes its digest.
    pub fn new(value: T) -> Self {
        Self::of(Arc::new(value))
    }

    /// The same for an object that is shared already.
    pub fn of(value: Arc<T>) -> Self {
        let json = serde_json::to_vec(&*value).expect("model types have text keys and serialize without fail");
        Self {
            digest: Sha256::digest(&json).into(),
            value,
        }
    }
}

/// The whole configuration, at one version. Cloning shares the objects.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Position in the control plane's one sequence of versions; 0 for a file.
    pub version: u64,
    /// Rules for every connection to a partner.
    pub security: Security,
    /// Organizations by number.
    pub organizations: BTreeMap<u64, Entry<Organization>>,
    /// Inbound integrations by identifier.
    pub integrations: BTreeMap<Arc<str>, Entry<InboundIntegration>>,
}

impl Snapshot {
    /// Digest of the content, whatever the version: 64 hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update([
            u8::from(self.security.block_private_networks),
            u8::from(self.security.enforce_https),
        ]);
        for (id, entry) in &self.organizations {
            hash.update(id.to_be_bytes());
            hash.update(entry.digest);
        }
        for (id, entry) in &self.integrations {
            hash.update(id.as_bytes());
            hash.update(entry.digest);
        }
        hex::encode(hash.finalize())
    }

    /// Reads a document `{security?, organizations?, integrations?}`. Integrations without an `id` get one made of
    /// their organization and type, so that a file need not name it.
    ///
    /// # Errors
    /// Every problem of the document's shape, with paths such as `integrations[2].targetUrl`.
    pub fn from_document(document: &Value) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let file: Option<SnapshotFile> = decode::from_value(document, "", &mut problems);
        let Some(file) = file else {
            return Err(problems);
        };
        let mut snapshot = Self {
            security: file.security,
            ..Self::default()
        };
        for (index, value) in file.organizations.iter().enumerate() {
            let path = format!("organizations[{index}]");
            if let Some(organization) = decode::from_value::<Organization>(value, &path, &mut problems) {
                let id = organization.org_id;
                if snapshot.organizations.insert(id, Entry::new(organization)).is_some() {
                    problems.push(Problem::new(format!("{path}.orgId"), format!("{id} is there twice")));
                }
            }
        }
        for (index, value) in file.integrations.iter().enumerate() {
            let path = format!("integrations[{index}]");
            if let Some(mut integration) = decode::from_value::<InboundIntegration>(value, &path, &mut problems) {
                if integration.id.is_empty() {
                    integration.id = format!("{}-{}", integration.org_id, integration.kind);
                }
                let id: Arc<str> = integration.id.as_str().into();
                if snapshot
                    .integrations
                    .insert(Arc::clone(&id), Entry::new(integration))
                    .is_some()
                {
                    problems.push(Problem::new(
                        path,
                        format!("the id {id} is there twice; give each integration its own `id` or `type`"),
                    ));
                }
            }
        }
        if problems.is_empty() {
            Ok(snapshot)
        } else {
            Err(problems)
        }
    }
}

/// A snapshot as a file. Its objects are read one by one, so that each reports all of its problems.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct SnapshotFile {
    security: Security,
    organizations: Vec<Value>,
    integrations: Vec<Value>,
}
