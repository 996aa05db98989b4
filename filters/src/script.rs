//! Scripts: `fn transform(payload, context)` in rhai, or in JavaScript where the program was built with it, for what a
//! mapping table cannot say.
//!
//! A [`Script`] is source that was checked, and its hash; it crosses threads. A [`Runner`] stays on its thread, compiles a
//! script when it first meets it, and runs it within limits on operations, data, depth and output. Time and memory belong
//! to the caller, whose stop check is asked at every operation. A script sees its payload and its context and nothing
//! else: no file, no network, no clock, no output, no other module.

mod bounded;
mod engine;
mod fault;
mod gate;
#[cfg(feature = "javascript")]
mod javascript;
#[cfg(not(feature = "javascript"))]
#[path = "script/no_javascript.rs"]
mod javascript;
mod json;
mod library;
mod runner;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::lookup::{Table, Tables};
use crate::model::Problem;
use crate::model::mapping::ScriptLanguage;
use crate::variable::{Environment, Known};

pub use fault::{Limit, ScriptFault, Stopped};
pub use runner::{Runner, STACK_SIZE};

/// The most bytes of a script's source.
pub const MAX_SOURCE: usize = 64 * 1_024;

/// The most bytes of a payload and of a result.
pub const MAX_BODY: usize = 1_024 * 1_024;

/// A script that was checked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Script {
    language: ScriptLanguage,
    source: Arc<str>,
    hash: [u8; 32],
    tables: Arc<[Arc<Table>]>,
}

impl Script {
    /// Checks `source`, the rhai script at `path` of its document: that it parses, and that it has `fn transform(payload,
    /// context)`. Adds what is wrong to `problems`, with line and column.
    pub fn check(source: &str, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        Self::check_in(ScriptLanguage::Rhai, source, path, problems)
    }

    /// The same of a script in `language`.
    pub fn check_in(language: ScriptLanguage, source: &str, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let checked = match language {
            ScriptLanguage::Rhai => engine::compile(&engine::parser(), source).map(drop),
            ScriptLanguage::Javascript => javascript::check(source),
        };
        match checked {
            Ok(()) => Some(Self {
                language,
                source: source.into(),
                hash: Sha256::digest(source).into(),
                tables: Arc::default(),
            }),
            Err(message) => {
                problems.push(Problem::new(path, message));
                None
            }
        }
    }

    /// The same script with those of `tables` whose names stand in it: it may ask these, and no others.
    #[must_use]
    pub fn with_tables(mut self, tables: &Tables) -> Self {
        self.tables = self.tables_of(tables).into();
        self
    }

    /// Those of `tables` whose names stand in the source.
    pub(crate) fn tables_of(&self, tables: &Tables) -> Vec<Arc<Table>> {
        let named = tables.iter().filter(|(name, _)| self.source.contains(&***name));
        named.map(|(_, table)| Arc::clone(table)).collect()
    }

    /// The lookup tables that it may ask.
    pub fn tables(&self) -> &[Arc<Table>] {
        &self.tables
    }

    /// The source text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// SHA-256 of the source.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

/// What a script is told besides the payload. Credentials have no place in it: the caller passes only what may be seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ScriptContext {
    /// The organization.
    pub org_id: u64,
    /// Unit of the organization that the request or event belongs to.
    pub entity_rid: Option<u64>,
    /// Type of the event.
    pub event_type: Option<String>,
    /// The integration.
    pub integration_id: String,
    /// Header fields by lower-case name, without credentials.
    pub headers: BTreeMap<String, String>,
    /// Parameters of the query.
    pub query: BTreeMap<String, String>,
    /// Parameters of the path.
    pub params: BTreeMap<String, String>,
    /// Status of the partner's answer, where it is the answer that is transformed.
    pub status: Option<u16>,
    /// What else is known about the event or job.
    pub metadata: BTreeMap<String, Value>,
    /// The time, in RFC 3339 and UTC.
    pub now: String,
    /// Who is calling.
    pub caller: CallerContext,
    /// Unit that the integration belongs to; the organization if left out.
    pub tenant_id: Option<u64>,
    /// Parameters of the query as they came, for what looks for all of one name.
    #[serde(skip)]
    pub pairs: Vec<(String, String)>,
    /// What may be read of the environment.
    #[serde(skip)]
    pub env: Environment,
    /// What random identifiers are made of; another one for each run.
    #[serde(skip)]
    pub seed: [u8; 16],
}

/// Who is calling.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CallerContext {
    /// Name of the consumer or credential, or subject of the token.
    pub name: Option<Arc<str>>,
    /// Claims of the token.
    pub claims: Option<Arc<Value>>,
}

impl ScriptContext {
    /// What variables of texts are filled from.
    pub fn known(&self) -> Known {
        Known {
            org_id: self.org_id,
            tenant_id: self.tenant_id.unwrap_or(self.org_id),
            integration_id: self.integration_id.as_str().into(),
            now: self.now.parse().unwrap_or_default(),
            env: self.env.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
