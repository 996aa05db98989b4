//! `gwctl import`.

use std::io::{self, Read as _, Write};
use std::path::PathBuf;

use clap::Args;
use filters::model::Problem;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::client::Client;
use super::failure::{Failure, Outcome};
use super::identifier;
use super::output::Output;
use super::table::{Table, printable};

/// An OpenAPI document, and the integration that it is for.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// OpenAPI 3.0 or 3.1 document, JSON or YAML; - for standard input
    #[arg(short, long, value_name = "FILE|-")]
    file: PathBuf,
    /// Organization that the integration belongs to
    #[arg(long, value_name = "ORG_ID")]
    org: u64,
    /// Identifier of the integration; one that is there is changed
    #[arg(long, value_parser = identifier)]
    id: Option<String>,
    /// Name for people; the document's title if left out
    #[arg(long)]
    name: Option<String>,
    /// Last part of the runtime address; made of the title if left out
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Host name that clients call; can be given several times, and must be for a new integration
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// The partner's address; that of the document's first server if left out
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// Leaves the partner's answers unchecked
    #[arg(long)]
    no_answers: bool,
    /// Changes nothing and says what would happen
    #[arg(long)]
    dry_run: bool,
}

/// What came of it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    created: bool,
    dry_run: bool,
    operations: usize,
    integration: Map<String, Value>,
    notes: Vec<Problem>,
}

impl Import {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let body = json!({
            "document": self.text()?,
            "integration": self.fields(),
            "answers": !self.no_answers,
            "dryRun": self.dry_run,
        });
        let answer: Answer = client.post(&["inbound-integrations", "import"], &body, self.dry_run)?;
        output.show(&answer, write)?;
        for note in &answer.notes {
            output.say(format_args!("note: {}", printable(&note.to_string())))?;
        }
        if answer.dry_run {
            output.say("nothing was changed")?;
        }
        Ok(Outcome::Done)
    }

    fn text(&self) -> Result<String, Failure> {
        let mut text = String::new();
        let read = if self.file.as_os_str() == "-" {
            io::stdin().lock().read_to_string(&mut text).map(drop)
        } else {
            std::fs::read_to_string(&self.file).map(|read| text = read)
        };
        match read {
            Ok(()) => Ok(text),
            Err(error) => Err(Failure::Usage(format!(
                "--file {} cannot be read: {error}",
                self.file.display()
            ))),
        }
    }

    /// The fields of the integration that the command line names.
    fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("orgId".to_owned(), self.org.into());
        let named = [
            ("id", &self.id),
            ("name", &self.name),
            ("type", &self.kind),
            ("targetUrl", &self.target),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value.as_str().into());
            }
        }
        if !self.hosts.is_empty() {
            fields.insert("hosts".to_owned(), self.hosts.clone().into());
        }
        fields
    }
}

fn write(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let text = |name: &str| {
        answer
            .integration
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let count = |name: &str| {
        answer
            .integration
            .get(name)
            .and_then(Value::as_array)
            .map_or(0, Vec::len)
    };
    let mut table = Table::new(&["ID", "NAME", "TYPE", "TARGET", "PATHS", "OPERATIONS", "DONE"]);
    table.row([
        text("id"),
        text("name"),
        text("type"),
        text("targetUrl"),
        count("paths").to_string(),
        answer.operations.to_string(),
        if answer.created { "created" } else { "changed" }.to_owned(),
    ]);
    table.write(out)
}
