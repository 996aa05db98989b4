//! What becomes of a body on its way.

use std::sync::Arc;

use http::HeaderValue;

use crate::format::{Conversion, FormatFault};
use crate::lookup::{Table, Tables};
use crate::schema::Schema;
use crate::script::{Script, ScriptContext};
use crate::transform::{Mapped, Mapping, MappingFault};

/// A change of a body: it is read, changed, and written, perhaps in another format.
#[derive(Debug)]
pub struct Transform {
    /// What changes in it.
    pub change: Change,
    /// How it is read and written; `None` where both are JSON.
    pub conversion: Option<Box<Conversion>>,
    /// What each result is checked by.
    pub target: Option<Box<Schema>>,
}

/// What changes in a body.
#[derive(Debug)]
pub enum Change {
    /// Nothing but its format.
    Nothing,
    /// By a mapping table.
    Mapping(Mapping),
    /// By a script.
    Script(Script),
}

impl Transform {
    /// The content type of what comes out.
    pub fn content_type(&self) -> HeaderValue {
        match &self.conversion {
            Some(conversion) => conversion.content_type().clone(),
            None => HeaderValue::from_static("application/json"),
        }
    }

    /// True if what is around the body matters: [`Self::map`] and scripts need a context then.
    pub fn asks_around(&self) -> bool {
        match &self.change {
            Change::Nothing => false,
            Change::Mapping(mapping) => mapping.asks_around(),
            Change::Script(_) => true,
        }
    }

    /// True if it changes something around the body, which has to be done where there is no body as well.
    pub fn edits_around(&self) -> bool {
        matches!(&self.change, Change::Mapping(mapping) if mapping.edits_around())
    }

    /// Changes `body`, which came with this content type. The body stays as it is where it is not in the result. What a
    /// script does is not done here.
    ///
    /// # Errors
    /// As of [`Mapping::apply_within`], and if a format does not fit.
    pub fn map(
        &self,
        body: &[u8],
        content_type: Option<&HeaderValue>,
        context: &ScriptContext,
    ) -> Result<Mapped, MappingFault> {
        let Some(conversion) = &self.conversion else {
            let mapped = match &self.change {
                Change::Mapping(mapping) => mapping.apply_within(body, context)?,
                Change::Nothing | Change::Script(_) => Mapped::default(),
            };
            if let Some(json) = &mapped.body {
                self.check(json)?;
            }
            return Ok(mapped);
        };
        let source = if body.is_empty() {
            None
        } else {
            conversion.read(body, content_type)?
        };
        let mut mapped = match (&self.change, &source) {
            (Change::Mapping(mapping), None) => mapping.apply_within(body, context)?,
            (Change::Mapping(mapping), source) => mapping.map(source.as_ref(), true, context)?,
            (Change::Nothing | Change::Script(_), _) => Mapped::default(),
        };
        mapped.body = match (mapped.body, source) {
            (Some(json), _) => Some(self.written(json)?),
            (None, None) if body.is_empty() || conversion.writes_json() => None,
            (None, None) => Some(conversion.write(&serde_json::from_slice(body)?)?),
            (None, Some(source)) => Some(conversion.write(&source)?),
        };
        Ok(mapped)
    }

    /// `body` as the JSON that a script gets; `None` if it is JSON already.
    ///
    /// # Errors
    /// If it is not what its content type says.
    pub fn json_of(&self, body: &[u8], content_type: Option<&HeaderValue>) -> Result<Option<Vec<u8>>, FormatFault> {
        match &self.conversion {
            Some(conversion) if !body.is_empty() => {
                let value = conversion.read(body, content_type)?;
                Ok(value.map(|value| value.to_string().into_bytes()))
            }
            _ => Ok(None),
        }
    }

    /// `json`, which is a result, in the format that is asked for.
    ///
    /// # Errors
    /// If that format cannot express it, or it is not what its target takes.
    pub fn written(&self, json: Vec<u8>) -> Result<Vec<u8>, MappingFault> {
        self.check(&json)?;
        match &self.conversion {
            Some(conversion) if !json.is_empty() && !conversion.writes_json() => {
                Ok(conversion.write(&serde_json::from_slice(&json)?)?)
            }
            _ => Ok(json),
        }
    }

    /// Checks a result, where that is asked for.
    fn check(&self, json: &[u8]) -> Result<(), MappingFault> {
        let Some(schema) = self.target.as_ref().filter(|_| !json.is_empty()) else {
            return Ok(());
        };
        let problems = schema.check(&serde_json::from_slice(json)?, json.len(), "");
        if problems.is_empty() {
            return Ok(());
        }
        Err(MappingFault::Target(problems))
    }

    /// True if a compilation with `tables` would not come out different.
    pub(crate) fn is_current(&self, tables: &Tables) -> bool {
        match &self.change {
            Change::Nothing => true,
            Change::Mapping(mapping) => are_current(mapping.tables(), tables),
            Change::Script(script) => script
                .tables_of(tables)
                .iter()
                .map(Arc::as_ptr)
                .eq(script.tables().iter().map(Arc::as_ptr)),
        }
    }
}

fn are_current(used: &[Arc<Table>], tables: &Tables) -> bool {
    used.iter()
        .all(|table| tables.get(table.name()).is_some_and(|now| Arc::ptr_eq(now, table)))
}
