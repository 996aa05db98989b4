//! `gwctl trash`: deleted objects, and how they come back.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::Client;
use super::failure::{Failure, Outcome};
use super::identifier;
use super::output::Output;
use super::table::Table;

/// What is done with deleted objects.
#[derive(Debug, Subcommand)]
pub(super) enum Trash {
    /// Shows what was deleted in the last 30 days, the newest deletion first
    List(List),
    /// Brings a deleted object back under its identifier
    Restore(Restore),
}

/// Deleted objects to show.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Organization; must be given if the key is limited to some
    #[arg(long, value_name = "ORG_ID")]
    org: Option<u64>,
    /// The most to show, 1 to 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
}

/// A deleted object to bring back.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// Identifier of the entry, as `gwctl trash list` shows it
    #[arg(value_parser = identifier)]
    id: String,
    /// Organization; must be given if the key is limited to some
    #[arg(long, value_name = "ORG_ID")]
    org: Option<u64>,
    /// Brings it back switched off
    #[arg(long)]
    inactive: bool,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    trash: Vec<Entry>,
    has_more: bool,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    id: String,
    kind: String,
    object_id: String,
    org_id: u64,
    name: String,
    version: u64,
    deleted_by: String,
    deleted_at: String,
    expires_at: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Restored {
    version: u64,
    kind: String,
    object_id: String,
}

impl Trash {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        match self {
            Self::List(list) => list.run(client, output),
            Self::Restore(restore) => restore.run(client, output),
        }
    }
}

impl List {
    fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let mut query = vec![("limit", self.limit.to_string())];
        query.extend(self.org.map(|org| ("orgId", org.to_string())));
        let page: Page = client.get(&["trash"], &query)?;
        output.show(&page, write_page)?;
        if page.has_more {
            output.say("there are more; give a larger --limit")?;
        }
        Ok(Outcome::Done)
    }
}

impl Restore {
    fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let mut query = vec![("inactive", self.inactive.to_string())];
        query.extend(self.org.map(|org| ("orgId", org.to_string())));
        let path = ["trash", &self.id, "restore"];
        let restored: Restored = client.order(Method::POST, &path, &query, None::<&Value>)?;
        output.show(&restored, write_restored)?;
        Ok(Outcome::Done)
    }
}

fn write_page(page: &Page, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&["ID", "KIND", "OBJECT", "NAME", "ORG", "DELETED", "BY", "UNTIL"]);
    for entry in &page.trash {
        table.row([
            entry.id.clone(),
            entry.kind.clone(),
            entry.object_id.clone(),
            entry.name.clone(),
            entry.org_id.to_string(),
            entry.deleted_at.clone(),
            entry.deleted_by.clone(),
            entry.expires_at.clone(),
        ]);
    }
    table.write(out)
}

fn write_restored(restored: &Restored, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&["KIND", "OBJECT", "VERSION"]);
    table.row([
        restored.kind.clone(),
        restored.object_id.clone(),
        restored.version.to_string(),
    ]);
    table.write(out)
}
