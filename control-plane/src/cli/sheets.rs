//! `gwctl templates` and `gwctl jobs`: documents that the control plane keeps for itself.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use filters::model::Problem;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::documents;
use super::failure::{Failure, FileProblem, Outcome};
use super::identifier;
use super::output::Output;
use super::table::Table;

/// What is done with templates.
#[derive(Debug, Subcommand)]
pub(super) enum Templates {
    /// Shows the templates of the installation, and those of the organization
    List(Within),
    /// Shows one template
    Show(One),
    /// Makes or replaces a template
    Put(Put),
    /// Makes an integration of a template
    Create(Create),
    /// Deletes a template; what was made of it stays
    Delete(One),
}

/// What is done with scheduled jobs.
#[derive(Debug, Subcommand)]
pub(super) enum Jobs {
    /// Shows scheduled jobs
    List(Within),
    /// Shows one job; secrets are masked
    Show(One),
    /// Makes or replaces a job; a secret that is `***` stays as it is
    Put(Put),
    /// Deletes a job
    Delete(One),
}

/// Documents to show.
#[derive(Debug, Args)]
pub(super) struct Within {
    /// Organization; must be given if the key is limited to some
    #[arg(long, value_name = "ORG_ID")]
    org: Option<u64>,
}

/// One document.
#[derive(Debug, Args)]
pub(super) struct One {
    /// Its identifier
    #[arg(value_parser = identifier)]
    id: String,
    #[command(flatten)]
    within: Within,
}

/// A document to make or replace.
#[derive(Debug, Args)]
pub(super) struct Put {
    /// The document, JSON or YAML; - for standard input. One with an `id` replaces the one that has it
    #[arg(short, long, value_name = "FILE|-")]
    file: PathBuf,
}

/// An integration to make of a template.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// Identifier of the template
    #[arg(value_parser = identifier)]
    template: String,
    /// Organization that it is made for
    #[arg(long, value_name = "ORG_ID")]
    org: u64,
    /// Value of a parameter: JSON, or a text as it stands; can be given several times
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, Value)>,
    /// JSON or YAML file with the values of parameters, for those that others are not to see; --set goes first
    #[arg(short, long, value_name = "FILE|-")]
    file: Option<PathBuf>,
    /// Identifier of what is made; made by the control plane if left out
    #[arg(long, value_parser = identifier)]
    id: Option<String>,
    /// Makes nothing and shows what would be made
    #[arg(long)]
    dry_run: bool,
}

/// A kind of documents.
struct Kind {
    path: &'static str,
    /// The field of a list that they are in.
    list: &'static str,
    noun: &'static str,
    /// Heading and field of each column.
    columns: &'static [(&'static str, &'static str)],
}

const TEMPLATES: Kind = Kind {
    path: "templates",
    list: "templates",
    noun: "template",
    columns: &[("ID", "id"), ("NAME", "name"), ("KIND", "kind"), ("ORG", "orgId")],
};
const JOBS: Kind = Kind {
    path: "scheduled-jobs",
    list: "jobs",
    noun: "job",
    columns: &[
        ("ID", "id"),
        ("NAME", "name"),
        ("TYPE", "type"),
        ("ORG", "orgId"),
        ("ACTIVE", "isActive"),
        ("TARGET", "targetUrl"),
    ],
};

impl Templates {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        match self {
            Self::List(within) => TEMPLATES.list(within, client, output),
            Self::Show(one) => TEMPLATES.show(one, client, output),
            Self::Put(put) => TEMPLATES.put(put, client, output),
            Self::Delete(one) => TEMPLATES.delete(one, client, output),
            Self::Create(create) => create.run(client, output),
        }
    }
}

impl Jobs {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        match self {
            Self::List(within) => JOBS.list(within, client, output),
            Self::Show(one) => JOBS.show(one, client, output),
            Self::Put(put) => JOBS.put(put, client, output),
            Self::Delete(one) => JOBS.delete(one, client, output),
        }
    }
}

impl Kind {
    fn list(&self, within: &Within, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let (mut found, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..MOST_PAGES {
            let mut query = within.query();
            query.push(("limit", PAGE.to_string()));
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let mut page: Map<String, Value> = client.get(&[self.path], &query)?;
            match page.remove(self.list) {
                Some(Value::Array(documents)) => found.extend(documents),
                _ => return Err(client.strange(format!("its list has no {:?}", self.list))),
            }
            match page.get("nextCursor").and_then(Value::as_str) {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        let shown = json!({(self.list): found});
        output.show(&shown, |shown, out| {
            self.write(shown[self.list].as_array().map_or(&[][..], Vec::as_slice), out)
        })?;
        Ok(Outcome::Done)
    }

    fn show(&self, one: &One, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let document: Value = client.get(&[self.path, &one.id], &one.within.query())?;
        self.show_one(&document, output)
    }

    fn put(&self, put: &Put, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let document = mapping_in(&put.file)?;
        let id = document.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        let kept: Value = match id {
            Some(id) => client.order(Method::PUT, &[self.path, id], &[], Some(&document))?,
            None => client.order(Method::POST, &[self.path], &[], Some(&document))?,
        };
        self.show_one(&kept, output)
    }

    fn delete(&self, one: &One, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        client.delete(&[self.path, &one.id], &one.within.query())?;
        output.say(format_args!("deleted the {} {}", self.noun, one.id))?;
        Ok(Outcome::Done)
    }

    fn show_one(&self, document: &Value, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        output.show(document, |document, out| {
            self.write(std::slice::from_ref(document), out)
        })?;
        Ok(Outcome::Done)
    }

    fn write(&self, documents: &[Value], out: &mut dyn Write) -> io::Result<()> {
        let headings: Vec<&'static str> = self.columns.iter().map(|(heading, _)| *heading).collect();
        let mut table = Table::new(&headings);
        for document in documents {
            table.row(self.columns.iter().map(|(_, field)| match &document[*field] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }));
        }
        table.write(out)
    }
}

impl Within {
    fn query(&self) -> Vec<(&'static str, String)> {
        self.org.map(|org| ("orgId", org.to_string())).into_iter().collect()
    }
}

impl Create {
    fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let mut parameters = self.file.as_deref().map(mapping_in).transpose()?.unwrap_or_default();
        parameters.extend(self.parameters.iter().cloned());
        let mut body = json!({"parameters": parameters, "dryRun": self.dry_run});
        if let Some(id) = &self.id {
            body["id"] = json!(id);
        }
        let path = ["templates", &self.template, "create"];
        let made: Value = client.post_within(&path, &[("orgId", self.org.to_string())], &body, self.dry_run)?;
        output.show(&made, write_made)?;
        if self.dry_run {
            output.say("nothing was made")?;
        }
        Ok(Outcome::Done)
    }
}

/// The mapping that a file holds.
fn mapping_in(file: &Path) -> Result<Map<String, Value>, Failure> {
    let shown = file.display().to_string();
    let wrong = |problem| Failure::Invalid(vec![FileProblem::new(shown.clone(), problem)]);
    match documents::value_in(&shown).map_err(wrong)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(wrong(Problem::new("", "must be a mapping"))),
    }
}

/// `NAME=VALUE`. What is no JSON is the text that it is.
fn parameter(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    if name.is_empty() {
        return Err("has no name before the `=`".to_owned());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}

fn write_made(made: &Value, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&["KIND", "ID", "NAME"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let integration = &made["integration"];
    table.row([
        text(&made["kind"]),
        text(&integration["id"]),
        text(&integration["name"]),
    ]);
    table.write(out)
}

const PAGE: usize = 200;
/// Documents of one list that are shown: 10,000.
const MOST_PAGES: usize = 50;
