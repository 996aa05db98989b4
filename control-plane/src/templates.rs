//! Templates: integrations with parameters, to make integrations of. Those of the installation are for everybody, those of an
//! organization for itself.
//!
//! A text of the body that is `{{parameters.name}}` becomes the parameter's value, whatever type that has; within a longer
//! text the value is written out. Secrets never are in a template: where an integration has one, a parameter of the type
//! `secret` stands.

mod body;
mod parameter;

use std::collections::{BTreeMap, HashSet};

use filters::model::push::{Object, ObjectKind};
use filters::model::{Problem, secret};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use parameter::{Parameter, ParameterType};

use crate::store::{Shelf, Shelved};
use body::Filled;

/// An integration with parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Template {
    /// Identifier; made by the control plane when left out.
    #[serde(default)]
    pub(crate) id: String,
    /// The organization that it is for; without one it is for all, and only for those to change who may touch all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) org_id: Option<u64>,
    /// Name for people. Unique among those of the organization, or of the installation.
    pub(crate) name: String,
    /// What it is good for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    /// What is made of it.
    pub(crate) kind: TemplateKind,
    /// What has to be said to make something of it.
    #[serde(default)]
    pub(crate) parameters: Vec<Parameter>,
    /// The fields of the integration, without `id` and `orgId`; `{{parameters.name}}` stands for a parameter.
    pub(crate) body: Map<String, Value>,
    /// When it was made (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub(crate) created_at: Option<Timestamp>,
    /// When it was changed last (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub(crate) updated_at: Option<Timestamp>,
}

/// What is made of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TemplateKind {
    /// An inbound integration.
    Inbound,
    /// An outbound integration.
    Outbound,
}

impl TemplateKind {
    /// The kind of the objects that are made.
    pub(crate) const fn object(self) -> ObjectKind {
        match self {
            Self::Inbound => ObjectKind::Integration,
            Self::Outbound => ObjectKind::Outbound,
        }
    }
}

impl Shelved for Template {
    const SHELF: Shelf = Shelf::Templates;
    const NAME: &'static str = "template";

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        self.org_id
    }

    fn unique(&self) -> Option<String> {
        let owner = self
            .org_id
            .map_or_else(|| "all".to_owned(), |org_id| org_id.to_string());
        Some(format!("{owner}/{}", self.name))
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("name", self.name.clone())]
    }
}

impl Template {
    /// Everything that is wrong with it: it is tried with the examples of its parameters.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.name.trim().is_empty() || self.name.len() > LONGEST_NAME {
            problems.push(Problem::new("name", format!("must have 1 to {LONGEST_NAME} bytes")));
        }
        if self.description.len() > LONGEST_DESCRIPTION {
            let message = format!("is longer than {LONGEST_DESCRIPTION} bytes");
            problems.push(Problem::new("description", message));
        }
        if self.parameters.len() > MOST_PARAMETERS {
            let message = format!(
                "has {} parameters; at most {MOST_PARAMETERS} are allowed",
                self.parameters.len()
            );
            problems.push(Problem::new("parameters", message));
        }
        let mut names = HashSet::new();
        for (at, parameter) in self.parameters.iter().enumerate() {
            let path = format!("parameters[{at}]");
            parameter.check(&path, &mut problems);
            if !names.insert(parameter.name.as_str()) {
                let message = format!("{:?} is there twice", parameter.name);
                problems.push(Problem::new(format!("{path}.name"), message));
            }
        }
        for name in OF_THE_OBJECT {
            if self.body.contains_key(name) {
                let message = "is said when something is made of the template; leave it out";
                problems.push(Problem::new(format!("body.{name}"), message));
            }
        }
        let bytes = Value::Object(self.body.clone()).to_string().len();
        if bytes > LONGEST_BODY {
            problems.push(Problem::new(
                "body",
                format!("has {bytes} bytes; at most {LONGEST_BODY} are allowed"),
            ));
        }
        if problems.is_empty() {
            problems = self.tried();
        }
        problems
    }

    /// What is made of it with these values.
    ///
    /// # Errors
    /// What is wrong with the values, at paths below `parameters`; or with what they make, at paths below `body`.
    pub(crate) fn fill(&self, org_id: u64, given: &Map<String, Value>) -> Result<Map<String, Value>, Vec<Problem>> {
        let mut problems = Vec::new();
        for name in given.keys() {
            if !self.parameters.iter().any(|parameter| parameter.name == *name) {
                let message = "is no parameter of the template";
                problems.push(Problem::new(format!("parameters.{name}"), message));
            }
        }
        let mut values = BTreeMap::new();
        for parameter in &self.parameters {
            match parameter.value(given.get(&parameter.name)) {
                Ok(value) => drop(values.insert(parameter.name.as_str(), value)),
                Err(message) => problems.push(Problem::new(format!("parameters.{}", parameter.name), message)),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut made = Filled::of(&self.body, &values)?.fields;
        made.insert("orgId".to_owned(), org_id.into());
        Ok(made)
    }

    /// Made with examples: does it read as what it is to be, and are secrets where they should be?
    fn tried(&self) -> Vec<Problem> {
        let values = self
            .parameters
            .iter()
            .map(|parameter| (parameter.name.as_str(), parameter.sample()));
        let filled = match Filled::of(&self.body, &values.collect()) {
            Ok(filled) => filled,
            Err(problems) => return problems,
        };
        let (mut fields, mut problems) = (filled.fields, Vec::new());
        fields.insert("orgId".to_owned(), 1.into());
        fields.insert("id".to_owned(), "template".into());
        let object = self.kind.object();
        let read = object.read(&Value::Object(fields), "body", &mut problems);
        if let Some(object) = read.filter(|_| problems.is_empty()) {
            self.check_secrets(&object, &mut problems);
        }
        for (at, parameter) in self.parameters.iter().enumerate() {
            if !filled.used.contains(&parameter.name) {
                let message = "is used nowhere in the body";
                problems.push(Problem::new(format!("parameters[{at}].name"), message));
            }
        }
        problems
    }

    /// Secrets are parameters of that type, and such parameters are secrets.
    fn check_secrets(&self, object: &Object, problems: &mut Vec<Problem>) {
        let masked = serde_json::to_value(object.masked()).unwrap_or_default();
        let Some(masked) = masked.get("value") else { return };
        let is_secret = |name: &str| {
            let parameter = self.parameters.iter().find(|parameter| parameter.name == name);
            parameter.is_some_and(|parameter| parameter.kind == ParameterType::Secret)
        };
        body::each_text(&self.body, masked, &mut |path, text, masked| {
            let is_kept = masked.and_then(Value::as_str) == Some(secret::MASK);
            let names = body::names_in(text);
            match (is_kept, body::only_name(text).is_some_and(is_secret)) {
                (true, false) => {
                    let message =
                        "is a secret, and templates have none; let a parameter of the type `secret` stand here";
                    problems.push(Problem::new(path, message));
                }
                (false, _) if names.iter().any(|name| is_secret(name)) => {
                    let message = "has a parameter of the type `secret`, and would be shown to everybody";
                    problems.push(Problem::new(path, message));
                }
                _ => {}
            }
        });
    }
}

const OF_THE_OBJECT: [&str; 5] = ["id", "orgId", "createdAt", "updatedAt", "direction"];
const LONGEST_NAME: usize = 200;
const LONGEST_DESCRIPTION: usize = 4_096;
const LONGEST_BODY: usize = 256 * 1_024;
const MOST_PARAMETERS: usize = 50;

#[cfg(test)]
mod tests;
