//! `gwctl dump`: everything of an organization as files that `apply` and `diff` read.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use filters::model::problem::join;
use filters::model::push::{Object, ObjectId, ObjectKind};
use filters::model::secret::MASK;
use serde::Serialize;
use serde_json::{Map, Value};

use super::answers;
use super::client::Client;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::placeholder;
use super::table::counted;

#[derive(Debug, Args)]
pub(super) struct Dump {
    /// Organization to write down
    #[arg(long, value_name = "ORG_ID")]
    org: u64,
    /// Folder for the files, one for each object; made if it is not there
    #[arg(short, long, value_name = "DIR")]
    dir: PathBuf,
    /// What stands in the place of secrets
    #[arg(long, value_enum, default_value_t)]
    secrets: Secrets,
    /// Replaces the files of an earlier dump in the folder, and deletes those of objects that are gone
    #[arg(long)]
    overwrite: bool,
}

/// What stands in the place of secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Secrets {
    /// ***, which keeps what the control plane has; for the control plane that the dump is of
    #[default]
    Masks,
    /// ${NAME}, for which `apply --set NAME=VALUE` gives the value; for any control plane
    Placeholders,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Dumped {
    folder: String,
    files: usize,
    /// Files of objects that are gone.
    deleted: usize,
    /// Names that `apply --set` must give values for.
    placeholders: BTreeSet<String>,
}

/// A file to write.
#[derive(Debug)]
struct Document {
    name: String,
    text: String,
}

impl Dump {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let live = answers::export(client, &BTreeSet::from([self.org]))?;
        let mut placeholders = BTreeSet::new();
        let objects = live.objects();
        let objects = objects.iter().filter(|object| object.org_id() == Some(self.org));
        let documents: Vec<Document> = objects
            .filter_map(|object| self.document(object, &mut placeholders))
            .collect();
        if documents.is_empty() {
            return Err(Failure::Usage(format!(
                "organization {} has nothing, or is not there",
                self.org
            )));
        }
        let deleted = self.write(&documents)?;
        let dumped = Dumped {
            folder: self.dir.display().to_string(),
            files: documents.len(),
            deleted,
            placeholders,
        };
        output.show(&dumped, write)?;
        Ok(Outcome::Done)
    }

    /// The file of one object.
    fn document(&self, object: &Object, placeholders: &mut BTreeSet<String>) -> Option<Document> {
        let id = object.id()?;
        let mut value = match serde_json::to_value(object.masked()) {
            Ok(Value::Object(mut fields)) => fields.remove("value")?,
            _ => return None,
        };
        if let Value::Object(fields) = &mut value {
            // Only the control plane sets these.
            fields.retain(|name, _| !matches!(name.as_str(), "createdAt" | "updatedAt"));
        }
        placeholder::escape(&mut value);
        if self.secrets == Secrets::Placeholders && has_secrets(id.kind()) {
            let stem = format!("{}_{}", id.kind().name(), id.text());
            name_secrets(&mut value, &stem, placeholders);
        }
        let document = Map::from_iter([(list_of(id.kind()).to_owned(), Value::Array(vec![value]))]);
        let text = serde_saphyr::to_string(&document).expect("model types have text keys and serialize without fail");
        Some(Document {
            name: file_of(&id),
            text,
        })
    }

    /// Writes the files; returns how many of an earlier dump were deleted.
    fn write(&self, documents: &[Document]) -> Result<usize, Failure> {
        let failed = |path: &Path, error: io::Error| {
            Failure::Output(io::Error::new(error.kind(), format!("{}: {error}", path.display())))
        };
        fs::create_dir_all(&self.dir).map_err(|error| failed(&self.dir, error))?;
        let entries = fs::read_dir(&self.dir).map_err(|error| failed(&self.dir, error))?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        let names: Vec<String> = names
            .collect::<io::Result<_>>()
            .map_err(|error| failed(&self.dir, error))?;
        let earlier: Vec<&String> = names.iter().filter(|name| is_ours(name)).collect();
        if !earlier.is_empty() && !self.overwrite {
            return Err(Failure::Usage(format!(
                "{} holds the files of an earlier dump; give another folder, or --overwrite",
                self.dir.display()
            )));
        }
        for document in documents {
            let path = self.dir.join(&document.name);
            // Whole or not at all: a reader of the folder never sees a part.
            let draft = self.dir.join(format!(".{}.new", document.name));
            fs::write(&draft, &document.text).map_err(|error| failed(&draft, error))?;
            fs::rename(&draft, &path).map_err(|error| failed(&path, error))?;
        }
        let written: BTreeSet<&str> = documents.iter().map(|document| document.name.as_str()).collect();
        let gone = earlier.into_iter().filter(|name| !written.contains(name.as_str()));
        let mut deleted = 0;
        for name in gone {
            let path = self.dir.join(name);
            fs::remove_file(&path).map_err(|error| failed(&path, error))?;
            deleted += 1;
        }
        Ok(deleted)
    }
}

fn write(dumped: &Dumped, out: &mut dyn Write) -> io::Result<()> {
    let Dumped {
        folder, files, deleted, ..
    } = dumped;
    writeln!(
        out,
        "{} written to {folder}, {deleted} deleted",
        counted(*files, "file")
    )?;
    for name in &dumped.placeholders {
        writeln!(out, "--set {name}=")?;
    }
    Ok(())
}

/// The file of an object: identifiers have only characters that file names may have.
fn file_of(id: &ObjectId) -> String {
    format!("{}-{}.yaml", id.kind().name(), id.text())
}

fn is_ours(name: &str) -> bool {
    let kind = name.strip_suffix(".yaml").and_then(|stem| stem.split_once('-'));
    kind.is_some_and(|(kind, _)| ObjectKind::of_name(kind).is_some())
}

/// The list of a document that objects of a kind stand in.
fn list_of(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Security => "security",
        ObjectKind::Organization => "organizations",
        ObjectKind::Unit => "units",
        ObjectKind::EventType => "eventTypes",
        ObjectKind::ProducerKey => "producerKeys",
        ObjectKind::Certificate => "certificates",
        ObjectKind::Lookup => "lookups",
        ObjectKind::Integration | ObjectKind::Outbound => "integrations",
        ObjectKind::Consumer => "consumers",
    }
}

fn has_secrets(kind: ObjectKind) -> bool {
    match kind {
        ObjectKind::Integration
        | ObjectKind::Outbound
        | ObjectKind::ProducerKey
        | ObjectKind::Certificate
        | ObjectKind::Consumer => true,
        ObjectKind::Security
        | ObjectKind::Organization
        | ObjectKind::Unit
        | ObjectKind::EventType
        | ObjectKind::Lookup => false,
    }
}

/// Puts a placeholder of its own in the place of each mask, and notes its name.
fn name_secrets(value: &mut Value, path: &str, taken: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text == MASK => {
            let mut name = name_of(path);
            let stem = name.clone();
            let mut number = 2;
            while !taken.insert(name.clone()) {
                name = format!("{stem}_{number}");
                number += 1;
            }
            *text = format!("${{{name}}}");
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                name_secrets(field, &join(path, name), taken);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                name_secrets(item, &format!("{path}_{index}"), taken);
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// As a setting may be called: upper case letters, digits and underscores.
fn name_of(path: &str) -> String {
    let mut name = String::with_capacity(path.len());
    let mut before = ' ';
    for c in path.chars() {
        // `outgoingAuthConfig` reads as OUTGOING_AUTH_CONFIG.
        if c.is_ascii_uppercase() && before.is_ascii_lowercase() {
            name.push('_');
        }
        name.push(if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        });
        before = c;
    }
    name
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_secret_gets_a_name_of_its_own() {
        let mut value = json!({"outgoingAuthConfig": {"token": "***", "tokenUrl": "https://p.example"},
            "keys": [{"name": "a", "hash": "***"}, {"name": "b", "hash": "***"}]});
        let mut taken = BTreeSet::from(["INTEGRATION_648_LAB_KEYS_1_HASH".to_owned()]);
        name_secrets(&mut value, "integration_648-lab", &mut taken);
        assert_eq!(
            value["outgoingAuthConfig"]["token"],
            "${INTEGRATION_648_LAB_OUTGOING_AUTH_CONFIG_TOKEN}"
        );
        assert_eq!(value["outgoingAuthConfig"]["tokenUrl"], "https://p.example");
        assert_eq!(value["keys"][0]["hash"], "${INTEGRATION_648_LAB_KEYS_0_HASH}");
        assert_eq!(value["keys"][1]["hash"], "${INTEGRATION_648_LAB_KEYS_1_HASH_2}");
    }

    #[test]
    fn only_files_of_a_dump_count_as_such() {
        for (name, expected) in [
            ("integration-648-lab.yaml", true),
            ("organization-648.yaml", true),
            ("notes.yaml", false),
            ("integration-648-lab.yml", false),
            ("values-integration.yaml", false),
        ] {
            assert_eq!(is_ours(name), expected, "{name}");
        }
    }
}
