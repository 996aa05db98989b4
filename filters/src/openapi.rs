//! Reads an OpenAPI document (3.0 and 3.1) as what an integration is: paths, methods, and what requests and answers must
//! look like.
//!
//! What would make the integration refuse good requests, or let bad ones pass unnoticed, is a problem and ends the import.
//! What is only not checked afterwards is a note.

mod operation;
mod reference;
mod schema;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use url::Url;

use crate::compile::validation;
use crate::model::problem::join;
use crate::model::route::{HttpMethod, PathMatch, PathRewrite};
use crate::model::validation::{Operation, Unlisted, Validation};
use crate::model::{InboundIntegration, Problem};
use reference::References;

/// What a document says.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its title.
    pub title: Option<String>,
    /// Address of its first server, if that is one that can be called as it stands.
    pub server: Option<String>,
    /// Its paths; one prefix for all where there are more than an integration may have.
    pub paths: Vec<PathMatch>,
    /// Its methods.
    pub methods: Vec<HttpMethod>,
    /// What its requests and answers look like.
    pub validation: Validation,
    /// What will not be checked, and where that stands in the document.
    pub notes: Vec<Problem>,
}

/// What is wanted of a document.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// True checks the partner's answers too.
    pub answers: bool,
}

/// Reads `document`.
///
/// # Errors
/// Every problem, with its place in the document: `paths./patients/{id}.get.parameters[0].schema`.
pub fn import(document: &Value, wanted: Wanted) -> Result<Imported, Vec<Problem>> {
    let mut reading = Reading::new(document, wanted)?;
    let title = document.pointer("/info/title").and_then(Value::as_str);
    let operations = reading.operations();
    let definitions = reading.definitions();
    reading.note_what_is_left_out();
    let Reading {
        problems, mut notes, ..
    } = reading;
    if !problems.is_empty() {
        return Err(problems);
    }
    let server = server(document, &mut notes);
    let imported = Imported {
        title: title.map(str::to_owned),
        server,
        paths: paths(&operations),
        methods: methods(&operations),
        validation: Validation {
            operations: operations.iter().map(|(_, operation)| operation.clone()).collect(),
            unlisted: Unlisted::Reject,
            definitions,
            formats: false,
        },
        notes,
    };
    check(&imported.validation, &operations)?;
    Ok(imported)
}

impl Imported {
    /// Writes it into `integration`: paths, methods and validation are replaced; name, type and target are only filled in.
    pub fn apply(&self, integration: &mut InboundIntegration) {
        integration.paths.clone_from(&self.paths);
        integration.methods.clone_from(&self.methods);
        integration.validation = Some(self.validation.clone());
        // The partner's paths are those of the document.
        integration.path_rewrite.get_or_insert(PathRewrite::AppendPath);
        if integration.name.is_empty() {
            integration.name = self.title.clone().unwrap_or_default();
        }
        if integration.target_url.is_none() && integration.targets.is_empty() {
            integration.target_url.clone_from(&self.server);
        }
    }

    /// The title as a type: `appointment-booking`; `None` if nothing of it can stand there.
    pub fn kind(&self) -> Option<String> {
        let mut kind = String::new();
        for character in self.title.as_deref()?.chars() {
            if character.is_ascii_alphanumeric() {
                kind.push(character.to_ascii_lowercase());
            } else if !kind.is_empty() && !kind.ends_with('-') {
                kind.push('-');
            }
        }
        kind.truncate(100);
        let kind = kind.trim_end_matches('-').to_owned();
        (!kind.is_empty()).then_some(kind)
    }
}

/// A document that is being read.
struct Reading<'d> {
    root: &'d Value,
    references: References<'d>,
    wanted: Wanted,
    /// True for 3.0, whose schemas are an older dialect.
    is_older: bool,
    /// Schemas that were referred to, by name.
    needed: BTreeSet<String>,
    problems: Vec<Problem>,
    notes: Vec<Problem>,
}

impl<'d> Reading<'d> {
    fn new(root: &'d Value, wanted: Wanted) -> Result<Self, Vec<Problem>> {
        let wrong = |path: &str, message: String| Err(vec![Problem::new(path, message)]);
        if root.get("swagger").is_some() {
            return wrong("swagger", "is version 2; convert the document to OpenAPI 3".to_owned());
        }
        let version = root.get("openapi").and_then(Value::as_str).unwrap_or_default();
        let is_older = version.starts_with("3.0");
        if !is_older && !version.starts_with("3.1") {
            return wrong("openapi", format!("{version:?} must be 3.0 or 3.1"));
        }
        if root.get("paths").and_then(Value::as_object).is_none_or(Map::is_empty) {
            return wrong("paths", "must hold at least one path".to_owned());
        }
        Ok(Self {
            root,
            references: References::of(root),
            wanted,
            is_older,
            needed: BTreeSet::new(),
            problems: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// All operations, each with its place in the document.
    fn operations(&mut self) -> Vec<(String, Operation)> {
        let root: &'d Value = self.root;
        let paths = root.get("paths").and_then(Value::as_object);
        let mut operations = Vec::new();
        for (path, item) in paths.into_iter().flatten().filter(|(path, _)| !path.starts_with("x-")) {
            let place = format!("paths.{path}");
            let Some(item) = self.resolved(item, &place) else {
                continue;
            };
            let Some(path) = self.path(path, &place) else { continue };
            for (name, part) in item.as_object().into_iter().flatten() {
                let Some(method) = method_of(name) else {
                    if name == "trace" {
                        self.refuse(join(&place, name), "is a method that no integration has; take it out");
                    }
                    continue;
                };
                let place = join(&place, name);
                let operation = self.operation(item, part, &path, method, &place);
                operations.push((place, operation));
            }
        }
        if operations.is_empty() && self.problems.is_empty() {
            self.refuse("paths".to_owned(), "hold no operation");
        }
        operations
    }

    /// The schemas that were referred to, and those that they refer to.
    fn definitions(&mut self) -> Map<String, Value> {
        let root: &'d Value = self.root;
        let schemas = root.pointer("/components/schemas").and_then(Value::as_object);
        let mut definitions = BTreeMap::new();
        while let Some(name) = self
            .needed
            .iter()
            .find(|name| !definitions.contains_key(*name))
            .cloned()
        {
            let converted = match schemas.and_then(|schemas| schemas.get(&name)) {
                Some(schema) => self.schema(schema, &format!("components.schemas.{name}")),
                // Told where it is referred to.
                None => Value::Bool(true),
            };
            definitions.insert(name, converted);
        }
        definitions.into_iter().collect()
    }

    /// The rule of a path. Names of parameters may hold more in OpenAPI than here.
    fn path(&mut self, path: &str, place: &str) -> Option<PathMatch> {
        let segments = path.split('/').map(|segment| {
            let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            name.map_or_else(
                || segment.to_owned(),
                |name| format!("{{{}}}", operation::path_name(name)),
            )
        });
        let text = segments.collect::<Vec<_>>().join("/");
        let rule = if text.contains('{') {
            PathMatch::Template(text)
        } else {
            PathMatch::Exact(text)
        };
        match crate::route::PathPattern::parse(&rule) {
            Ok(_) => Some(rule),
            Err(message) => {
                self.refuse(place.to_owned(), message);
                None
            }
        }
    }

    fn refuse(&mut self, place: String, message: impl Into<String>) {
        self.problems.push(Problem::new(place, message));
    }

    fn note(&mut self, place: String, message: impl Into<String>) {
        self.notes.push(Problem::new(place, message));
    }

    fn note_what_is_left_out(&mut self) {
        let has = |name: &str| self.root.get(name).is_some();
        if has("security") || self.root.pointer("/components/securitySchemes").is_some() {
            let message = "are not taken over; say in inboundAuthType how clients show who they are";
            self.note("components.securitySchemes".to_owned(), message);
        }
        if has("webhooks") {
            self.note("webhooks".to_owned(), "are not taken over");
        }
    }
}

/// Compiles what was read. Problems are told with the document's places.
fn check(validation: &Validation, operations: &[(String, Operation)]) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    validation::compile(validation, &[], &mut problems);
    if problems.is_empty() {
        return Ok(());
    }
    for problem in &mut problems {
        if let Some(rest) = problem.path.strip_prefix("validation.definitions.") {
            problem.path = format!("components.schemas.{rest}");
        } else if let Some(rest) = problem.path.strip_prefix("validation.operations[")
            && let Some((index, rest)) = rest.split_once(']')
            && let Some((place, _)) = index.parse().ok().and_then(|index: usize| operations.get(index))
        {
            problem.path = format!("{place}{rest}");
        }
    }
    Err(problems)
}

/// The paths of all operations, each once.
fn paths(operations: &[(String, Operation)]) -> Vec<PathMatch> {
    let mut paths: Vec<PathMatch> = Vec::new();
    for rule in operations.iter().filter_map(|(_, operation)| operation.path.as_ref()) {
        if !paths.contains(rule) {
            paths.push(rule.clone());
        }
    }
    if paths.len() <= MOST_PATHS {
        return paths;
    }
    // The validation tells the paths apart then.
    vec![PathMatch::Prefix(common_prefix(&paths))]
}

/// The longest path whose segments all paths begin with.
fn common_prefix(paths: &[PathMatch]) -> String {
    let segments = |rule: &PathMatch| match rule {
        PathMatch::Exact(text) | PathMatch::Prefix(text) | PathMatch::Template(text) => {
            text.split('/').skip(1).map(str::to_owned).collect::<Vec<_>>()
        }
    };
    let mut common = paths.first().map(segments).unwrap_or_default();
    for rule in paths {
        let shared = common
            .iter()
            .zip(segments(rule))
            .take_while(|(one, other)| *one == other && !one.starts_with('{'));
        let length = shared.count();
        common.truncate(length);
    }
    format!("/{}", common.join("/"))
}

fn methods(operations: &[(String, Operation)]) -> Vec<HttpMethod> {
    let methods: BTreeSet<HttpMethod> = operations
        .iter()
        .flat_map(|(_, operation)| operation.methods.iter().copied())
        .collect();
    methods.into_iter().collect()
}

/// Address of the first server.
fn server(document: &Value, notes: &mut Vec<Problem>) -> Option<String> {
    let text = document.pointer("/servers/0/url")?.as_str()?;
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"));
    if url.is_none() || text.contains('{') {
        let message = format!("{text:?} cannot be called as it stands; say in targetUrl where the partner is");
        notes.push(Problem::new("servers[0].url", message));
        return None;
    }
    Some(text.to_owned())
}

fn method_of(name: &str) -> Option<HttpMethod> {
    Some(match name {
        "get" => HttpMethod::Get,
        "head" => HttpMethod::Head,
        "post" => HttpMethod::Post,
        "put" => HttpMethod::Put,
        "delete" => HttpMethod::Delete,
        "options" => HttpMethod::Options,
        "patch" => HttpMethod::Patch,
        _ => return None,
    })
}

/// The most paths that an integration may have.
const MOST_PATHS: usize = 100;

#[cfg(test)]
mod tests;
