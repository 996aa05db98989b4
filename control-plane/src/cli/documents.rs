//! Snapshot documents: read from files, folders or standard input, merged into one, and checked without a server.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use filters::fit::{self, Findings};
use filters::model::push::{Object, ObjectId};
use filters::model::secret::{self, MASK};
use filters::model::{Problem, Secret, Security, Snapshot, decode};
use filters::plan::Plan;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::failure::{Failure, FileProblem};
use super::placeholder::{self, Settings};

/// The most bytes of a document; ten thousand integrations take a tenth of it.
const MOST_BYTES: u64 = 128 * 1024 * 1024;
/// How the person names standard input, on the command line and in messages.
const STANDARD_INPUT: &str = "-";

/// The merged documents, and which file each object came from.
#[derive(Debug, Default)]
pub(super) struct Documents {
    pub(super) snapshot: Snapshot,
    /// The file that has a `security` section.
    pub(super) security_from: Option<String>,
    files: BTreeMap<ObjectId, String>,
}

impl Documents {
    /// Reads and merges everything that `sources` name, with the placeholders replaced.
    pub(super) fn load(sources: &[PathBuf], settings: &Settings) -> Result<Self, Failure> {
        let mut documents = Self::default();
        let mut problems = Vec::new();
        for source in sources {
            match files_of(source) {
                Ok(files) => {
                    for file in files {
                        documents.add(&file, settings, &mut problems);
                    }
                }
                Err(problem) => problems.push(problem),
            }
        }
        documents.or_problems(problems)
    }

    /// Compiles the merged documents as the control plane and the gateways would.
    ///
    /// Without a `security` section, what only the server's rules forbid is allowed here. Masked secrets count as good
    /// ones: whether there is a stored one to put in their place is known to the server alone.
    ///
    /// # Errors
    /// Every problem in them; those of mapping tables with the schemas of bodies only where there are no others.
    pub(super) fn check(&self) -> Result<Findings, Failure> {
        let plan = self.compiled()?;
        let all = self.files.keys().cloned().collect();
        let mut findings = fit::mappings(&self.snapshot, &plan, &all);
        let problems = std::mem::take(&mut findings.problems);
        if problems.is_empty() {
            Ok(findings)
        } else {
            Err(Failure::Invalid(self.with_files(problems)))
        }
    }

    /// Compiles the documents as [`Self::check`] does.
    ///
    /// # Errors
    /// Every problem in them.
    pub(super) fn compiled(&self) -> Result<Plan, Failure> {
        let mut snapshot = self.snapshot.clone();
        if self.security_from.is_none() {
            snapshot.security = Security {
                block_private_networks: false,
                enforce_https: false,
            };
        }
        let mut masks = 0;
        for mut object in snapshot.objects() {
            if let Object::Certificate(certificate) = &object
                && certificate.private_key.expose() == MASK
            {
                // No text stands in for a key that fits its certificate.
                snapshot.certificates.remove(certificate.id.as_str());
                continue;
            }
            if stand_in(&mut object, &mut masks) {
                snapshot.put(object);
            }
        }
        filters::compile(&snapshot, None).map_err(|problems| Failure::Invalid(self.with_files(problems)))
    }

    /// Refuses a `security` section, for commands that send the documents to a control plane.
    pub(super) fn refuse_security(&self) -> Result<(), Failure> {
        match &self.security_from {
            None => Ok(()),
            Some(file) => Err(Failure::Invalid(vec![FileProblem::new(
                file,
                Problem::new(
                    "security",
                    "cannot be applied, as these rules are set in the control plane's own configuration; take the section \
                     out of the file",
                ),
            )])),
        }
    }

    /// The problems, each with the file of the object that it is in.
    pub(super) fn with_files(&self, problems: Vec<Problem>) -> Vec<FileProblem> {
        problems
            .into_iter()
            .map(|problem| FileProblem::new(self.file_at(&problem.path), problem))
            .collect()
    }

    /// True if a secret stands as its mask somewhere.
    pub(super) fn has_masks(&self) -> bool {
        let mut objects = self.snapshot.objects();
        objects.iter_mut().any(|object| stand_in(object, &mut 0))
    }

    /// The file of an object.
    pub(super) fn file_of(&self, id: &ObjectId) -> &str {
        self.files.get(id).map_or("", String::as_str)
    }

    /// What was read from one file.
    #[cfg(test)]
    pub(super) fn of(snapshot: Snapshot, file: &str) -> Self {
        let mut documents = Self::default();
        documents.merge(file, snapshot, false);
        documents
    }

    /// The file of what is at a place of the merged documents.
    fn file_at(&self, path: &str) -> &str {
        if path.starts_with("security") {
            return self.security_from.as_deref().unwrap_or_default();
        }
        let found = self.files.iter().find(|(id, _)| path.starts_with(&id.path()));
        found.map_or("", |(_, file)| file)
    }

    fn add(&mut self, file: &str, settings: &Settings, problems: &mut Vec<FileProblem>) {
        let in_file = |found: Vec<Problem>| found.into_iter().map(|problem| FileProblem::new(file, problem));
        match read(file, settings) {
            Ok((snapshot, has_security)) => {
                let found = self.merge(file, snapshot, has_security);
                problems.extend(in_file(found));
            }
            Err(found) => problems.extend(in_file(found)),
        }
    }

    fn merge(&mut self, file: &str, snapshot: Snapshot, has_security: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        if has_security {
            match &self.security_from {
                Some(other) => problems.push(twice("security", "the section", other)),
                None => {
                    self.security_from = Some(file.to_owned());
                    self.snapshot.security = snapshot.security;
                }
            }
        }
        for object in snapshot.objects() {
            let Some(id) = object.id() else { continue };
            if let Some(other) = self.files.get(&id) {
                problems.push(twice(&id.path(), &format!("the {}", noun(&id)), other));
            } else {
                self.files.insert(id, file.to_owned());
                self.snapshot.put(object);
            }
        }
        problems
    }

    fn or_problems(self, problems: Vec<FileProblem>) -> Result<Self, Failure> {
        if problems.is_empty() {
            Ok(self)
        } else {
            Err(Failure::Invalid(problems))
        }
    }
}

/// The files that one `-f` names, a folder's in the order of their names.
fn files_of(source: &Path) -> Result<Vec<String>, FileProblem> {
    let shown = source.display().to_string();
    let wrong = |message: String| FileProblem::new(shown.clone(), Problem::new("", message));
    if shown == STANDARD_INPUT || !source.is_dir() {
        return Ok(vec![shown]);
    }
    let mut files = fs::read_dir(source)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>())
        .map_err(|error| wrong(format!("cannot be listed: {error}")))?;
    files.retain(|path| path.is_file() && is_document(path));
    files.sort();
    if files.is_empty() {
        return Err(wrong(
            "holds no file whose name ends in .yaml, .yml or .json (folders inside are not looked into)".to_owned(),
        ));
    }
    Ok(files.iter().map(|path| path.display().to_string()).collect())
}

fn is_document(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let known = path
        .extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "json");
    known && !hidden
}

/// Reads one file; the answer says too whether it has a `security` section.
fn read(file: &str, settings: &Settings) -> Result<(Snapshot, bool), Vec<Problem>> {
    let text = text_of(file).map_err(|problem| vec![problem])?;
    let mut document = decode::from_text(&text).map_err(|problem| vec![problem])?;
    match &document {
        Value::Object(_) => {}
        // A file in which everything is commented out.
        Value::Null => document = Value::Object(serde_json::Map::new()),
        _ => {
            return Err(vec![Problem::new(
                "",
                "must be a mapping with `organizations`, `units`, `eventTypes`, `producerKeys`, `certificates`, `lookups`, \
                 `integrations`, `consumers` or `security`",
            )]);
        }
    }
    let mut problems = Vec::new();
    placeholder::fill(&mut document, settings, &mut problems);
    let has_security = document.get("security").is_some();
    match Snapshot::from_document(&document) {
        Ok(snapshot) if problems.is_empty() => Ok((snapshot, has_security)),
        Ok(_) => Err(problems),
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}

/// What a file holds, JSON or YAML; `-` is standard input.
pub(super) fn value_in(file: &str) -> Result<Value, Problem> {
    decode::from_text(&text_of(file)?)
}

fn text_of(file: &str) -> Result<String, Problem> {
    let mut text = String::new();
    let read = if file == STANDARD_INPUT {
        io::stdin().lock().take(MOST_BYTES + 1).read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|opened| opened.take(MOST_BYTES + 1).read_to_string(&mut text))
    };
    match read {
        Ok(bytes) if bytes as u64 > MOST_BYTES => Err(Problem::new(
            "",
            format!("is larger than {} MiB; split it", MOST_BYTES / (1024 * 1024)),
        )),
        Ok(_) => Ok(text),
        Err(error) => Err(Problem::new("", format!("cannot be read: {error}"))),
    }
}

/// Puts a text that no check objects to in the place of each mask, another one each time. False if there is none.
fn stand_in(object: &mut Object, masks: &mut u64) -> bool {
    let before = *masks;
    let mut next = || {
        *masks += 1;
        format!("sha256:{masks:064x}")
    };
    let mut replace = |config: &mut Value| {
        leave_out_keys(config, &mut next);
        secret::for_each(config, &mut |secret| {
            if secret == MASK {
                *secret = Value::String(next());
            }
        });
    };
    match object {
        Object::Integration(value) => {
            let value = Arc::make_mut(value);
            let configs = [
                &mut value.inbound_auth_config,
                &mut value.outgoing_auth_config,
                &mut value.outgoing_tls,
            ];
            configs.into_iter().flatten().for_each(replace);
        }
        Object::Outbound(value) => Arc::make_mut(value).for_each_config(&mut replace),
        Object::ProducerKey(value) => {
            let value = Arc::make_mut(value);
            for secret in [&mut value.hash, &mut value.value].into_iter().flatten() {
                if secret.expose() == MASK {
                    *secret = Secret::new(next());
                }
            }
        }
        Object::Certificate(value) => in_json(Arc::make_mut(value), &mut replace),
        Object::Consumer(value) => in_json(Arc::make_mut(value), &mut replace),
        Object::Security(_) | Object::Organization(_) | Object::EventType(_) | Object::Unit(_) | Object::Lookup(_) => {}
    }
    *masks > before
}

/// Leaves out each private key that stands as its mask, with the certificate that it belongs to, as no text stands in for a
/// key. Who signs in with it does so by a secret then.
fn leave_out_keys(config: &mut Value, next: &mut impl FnMut() -> String) {
    match config {
        Value::Object(fields) => {
            fields.values_mut().for_each(|value| leave_out_keys(value, next));
            let is_masked = fields.get("privateKey").is_some_and(|key| key == MASK);
            if is_masked {
                for name in [
                    "privateKey",
                    "clientCertificate",
                    "keyId",
                    "algorithm",
                    "assertionAudience",
                ] {
                    fields.remove(name);
                }
            }
            let by_certificate = fields
                .get("clientAuthentication")
                .is_some_and(|by| by == "tls_client_auth");
            let lost_certificate = by_certificate && fields.get("tls").is_some_and(|tls| *tls == left_out());
            if fields.contains_key("clientAuthentication") && (is_masked || lost_certificate) {
                fields.insert("clientAuthentication".to_owned(), "client_secret_post".into());
                fields.insert("clientSecret".to_owned(), next().into());
            } else if is_masked {
                next();
                if fields.is_empty() {
                    *config = left_out();
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| leave_out_keys(item, next)),
        _ => {}
    }
}

/// What is left of TLS settings that were a certificate and its key.
fn left_out() -> Value {
    serde_json::json!({"serverName": "left-out.invalid"})
}

/// Changes texts of an object in its JSON.
fn in_json<T: Serialize + DeserializeOwned>(object: &mut T, change: &mut impl FnMut(&mut Value)) {
    let changed = serde_json::to_value(&*object).and_then(|mut value| {
        change(&mut value);
        serde_json::from_value(value)
    });
    *object = changed.expect("one text in the place of another is of the same type");
}

/// What kind of object it is, for people.
fn noun(id: &ObjectId) -> &'static str {
    match id {
        ObjectId::Organization(_) => "organization",
        ObjectId::Integration(_) | ObjectId::Outbound(_) => "integration",
        ObjectId::EventType(_) => "event type",
        ObjectId::Unit(_) => "unit",
        ObjectId::ProducerKey(_) => "producer key",
        ObjectId::Certificate(_) => "certificate",
        ObjectId::Lookup(_) => "lookup table",
        ObjectId::Consumer(_) => "consumer",
    }
}

fn twice(path: &str, what: &str, other: &str) -> Problem {
    Problem::new(path, format!("{what} is in {other} too; keep one of them"))
}

#[cfg(test)]
mod tests;
