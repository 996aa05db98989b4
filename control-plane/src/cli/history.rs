//! `gwctl history`, `gwctl compare` and `gwctl rollback`: what was, what differs, and back to it.

use std::io::{self, Write};

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::answers::{Applied, Version, shown};
use super::client::Client;
use super::diff::write_lines;
use super::failure::{Failure, Outcome};
use super::orders::within;
use super::output::Output;
use super::table::Table;
use super::{Noun, apply, identifier};

/// Versions to show.
#[derive(Debug, Args)]
pub(super) struct History {
    /// Kind of one object; all versions if left out
    #[arg(value_enum, requires = "id")]
    what: Option<Noun>,
    /// Its identifier
    #[arg(value_parser = identifier, requires = "what")]
    id: Option<String>,
    /// Organization that it is about; must be given if the key is limited to some
    #[arg(long, value_name = "ORG_ID")]
    org: Option<u64>,
    /// Only versions before this one
    #[arg(long, value_name = "VERSION")]
    before: Option<u64>,
    /// The most versions that are shown
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
}

/// Two versions to compare.
#[derive(Debug, Args)]
pub(super) struct Compare {
    /// The one version; 0 for before everything
    from: u64,
    /// The other one; the newest if left out
    to: Option<u64>,
    /// Organization that it is about; must be given if the key is limited to some
    #[arg(long, value_name = "ORG_ID")]
    org: Option<u64>,
}

/// What to roll back.
#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// The version whose content comes back
    version: u64,
    /// Kind of the one object to roll back; all of them if left out
    #[arg(value_enum, requires = "id")]
    what: Option<Noun>,
    /// Its identifier
    #[arg(value_parser = identifier, requires = "what")]
    id: Option<String>,
    /// Organization that it is about; must be given if the key is limited to some
    #[arg(long, value_name = "ORG_ID")]
    org: Option<u64>,
    /// Changes nothing, and shows what would differ
    #[arg(long)]
    dry_run: bool,
    /// Why; stays with the new version
    #[arg(short, long)]
    message: Option<String>,
}

/// Versions of one object, or of all.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Past {
    versions: Vec<PastVersion>,
    has_more: bool,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct PastVersion {
    /// Of one object only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    difference: Option<Difference>,
    #[serde(flatten)]
    version: Version,
}

/// What differs between two states of an object.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Difference {
    kind: String,
    id: Value,
    action: String,
    #[serde(default)]
    changes: Vec<FieldChange>,
    unified: String,
    truncated: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct FieldChange {
    path: String,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Comparison {
    from: u64,
    to: u64,
    differences: Vec<Difference>,
    has_more: bool,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RolledBack {
    differences: Vec<Difference>,
    more_differences: bool,
    #[serde(flatten)]
    applied: Applied,
}

impl History {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let mut query = within(self.org);
        query.push(("limit", self.limit.to_string()));
        query.extend(self.before.map(|before| ("before", before.to_string())));
        let path = match (self.what.map(kind_of).transpose()?, &self.id) {
            (Some(kind), Some(id)) => [kind.path, &[id.as_str(), "versions"]].concat(),
            _ => vec!["versions"],
        };
        let past: Past = client.get(&path, &query)?;
        output.show(&past, write_past)?;
        if past.has_more {
            let last = past.versions.last().map_or(0, |version| version.version.version);
            output.say(format_args!("there are older ones: --before {last}"))?;
        }
        Ok(Outcome::Done)
    }
}

impl Compare {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let mut query = within(self.org);
        query.push(("from", self.from.to_string()));
        query.push(("limit", PAGE.to_string()));
        query.extend(self.to.map(|to| ("to", to.to_string())));
        let mut all: Comparison = client.get(&["versions", "compare"], &query)?;
        // The next pages are of the same two versions, also if there are newer ones by then.
        let mut query = within(self.org);
        query.extend([("from", all.from.to_string()), ("to", all.to.to_string())]);
        query.push(("limit", PAGE.to_string()));
        while all.has_more {
            let mut query = query.clone();
            query.push(("offset", all.differences.len().to_string()));
            let page: Comparison = client.get(&["versions", "compare"], &query)?;
            all.has_more = page.has_more && !page.differences.is_empty();
            all.differences.extend(page.differences);
        }
        let colour = output.colour;
        output.show(&all, |all, out| write_differences(&all.differences, colour, out))?;
        if all.differences.is_empty() {
            Ok(Outcome::Done)
        } else {
            Ok(Outcome::Different)
        }
    }
}

impl Rollback {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let object = match (self.what.map(kind_of).transpose()?, &self.id) {
            (Some(kind), Some(id)) => {
                let number = || id.parse::<u64>().ok().filter(|_| kind.is_numbered());
                let id = number().map_or_else(|| id.as_str().into(), Value::from);
                Some(json!({"kind": kind.kind, "id": id}))
            }
            _ => None,
        };
        let body = json!({"object": object, "dryRun": self.dry_run, "message": self.message});
        let path = ["versions", &self.version.to_string(), "rollback"];
        let done: RolledBack = client.post_within(&path, &within(self.org), &body, self.dry_run)?;
        let colour = output.colour;
        output.show(&done, |done, out| {
            if done.applied.dry_run {
                write_differences(&done.differences, colour, out)?;
            }
            apply::write(&done.applied, out)
        })?;
        if done.applied.dry_run && done.more_differences {
            output.say("more objects would differ than are shown")?;
        }
        Ok(Outcome::Done)
    }
}

fn kind_of(noun: Noun) -> Result<super::kind::Kind, Failure> {
    let of_versions = || Failure::Usage("versions are no objects; name a kind of objects".to_owned());
    noun.kind().ok_or_else(of_versions)
}

/// The unified diffs, one after the other.
pub(super) fn write_differences(differences: &[Difference], colour: bool, out: &mut dyn Write) -> io::Result<()> {
    for difference in differences {
        write_lines(&difference.unified, colour, out)?;
        let secrets = difference
            .changes
            .iter()
            .filter(|change| change.more.contains_key("secret"));
        for secret in secrets {
            let (kind, id, path) = (&difference.kind, shown(&difference.id), &secret.path);
            writeln!(out, "# {kind}/{id}: {path} differs, and is secret")?;
        }
        if difference.truncated {
            writeln!(out, "# more differs than is shown")?;
        }
    }
    Ok(())
}

fn write_past(past: &Past, out: &mut dyn Write) -> io::Result<()> {
    let of_one = past.versions.iter().any(|version| version.difference.is_some());
    let header: &[&'static str] = if of_one {
        &["VERSION", "MADE", "BY", "ACTION", "FIELDS", "MESSAGE"]
    } else {
        &["VERSION", "MADE", "BY", "PUT", "DELETED", "MESSAGE"]
    };
    let mut table = Table::new(header);
    for PastVersion { version, difference } in &past.versions {
        let (what, of_what) = match difference {
            Some(difference) => (difference.action.clone(), fields_of(difference)),
            None if of_one => (String::new(), String::new()),
            None => (version.put.to_string(), version.deleted.to_string()),
        };
        let (number, made) = (version.version.to_string(), version.created_at.clone());
        table.row([
            number,
            made,
            version.author.clone(),
            what,
            of_what,
            version.message.clone(),
        ]);
    }
    table.write(out)
}

/// The fields that a version changed, as far as they fit in a cell.
fn fields_of(difference: &Difference) -> String {
    let mut paths = difference.changes.iter().map(|change| change.path.as_str());
    let mut text = paths.by_ref().take(MOST_FIELDS).collect::<Vec<_>>().join(", ");
    match paths.count() {
        0 => {}
        more => text.push_str(&format!(" +{more}")),
    }
    text
}

const PAGE: u32 = 200;
const MOST_FIELDS: usize = 3;
