//! `gwctl diff`.

use std::io::{self, Write};

use clap::Args;
use filters::model::Snapshot;
use filters::model::push::ObjectId;
use serde::Serialize;
use similar::TextDiff;

use super::answers::Done;
use super::change::{self, Change};
use super::client::Client;
use super::documents::Documents;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::{Files, Prune, comparable};

#[derive(Debug, Args)]
pub(super) struct Diff {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    prune: Prune,
}

/// What would happen to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    Create,
    Change,
    Delete,
}

/// An object that would change.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Difference {
    /// `integration/648-lab-results`.
    object: String,
    change: Kind,
    /// Unified diff of the object as YAML.
    diff: String,
}

/// Everything that would change.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Differences {
    differences: Vec<Difference>,
}

impl Diff {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let documents = self.files.load()?;
        documents.refuse_security()?;
        documents.check()?;
        self.prune.check(&documents.snapshot)?;
        let live = change::live(client, &documents, &self.prune)?;
        let change = Change::new(&documents, &self.prune, &live);
        let mut differences = compare(&documents, &live, &change.delete);
        // The control plane tells what nobody else can: whether secrets differ, and whether it would refuse.
        differences.add_hidden(&change.send(client, true, "")?.objects);
        let colour = output.colour;
        output.show(&differences, |differences, out| write(differences, colour, out))?;
        if differences.differences.is_empty() {
            Ok(Outcome::Done)
        } else {
            Ok(Outcome::Different)
        }
    }
}

fn compare(documents: &Documents, live: &Snapshot, delete: &[ObjectId]) -> Differences {
    let live_organization = |id: &u64| {
        let entry = live.organizations.get(id)?;
        Some(comparable::organization(&entry.value))
    };
    let live_integration = |id: &str| {
        let entry = live.integrations.get(id)?;
        Some(comparable::integration(&entry.value))
    };
    let mut found = Differences::default();
    for (id, entry) in &documents.snapshot.organizations {
        let wanted = comparable::organization(&entry.value);
        let file = documents.organization_file(*id);
        found.add(format!("organization/{id}"), live_organization(id), Some(wanted), file);
    }
    for (id, entry) in &documents.snapshot.integrations {
        let wanted = comparable::integration(&entry.value);
        let file = documents.integration_file(id);
        found.add(format!("integration/{id}"), live_integration(id), Some(wanted), file);
    }
    for id in delete {
        let (object, before) = match id {
            ObjectId::Organization(id) => (format!("organization/{id}"), live_organization(id)),
            ObjectId::Integration(id) => (format!("integration/{id}"), live_integration(id)),
        };
        found.add(object, before, None, "");
    }
    found
}

impl Differences {
    fn add(&mut self, object: String, before: Option<String>, after: Option<String>, file: &str) {
        let change = match (&before, &after) {
            (None, _) => Kind::Create,
            (_, None) => Kind::Delete,
            (Some(before), Some(after)) if before == after => return,
            _ => Kind::Change,
        };
        let nowhere = || "/dev/null".to_owned();
        let names = (
            before.as_ref().map_or_else(nowhere, |_| format!("live: {object}")),
            after.as_ref().map_or_else(nowhere, |_| format!("{file}: {object}")),
        );
        let diff = TextDiff::from_lines(&before.unwrap_or_default(), &after.unwrap_or_default())
            .unified_diff()
            .context_radius(3)
            .header(&names.0, &names.1)
            .to_string();
        self.differences.push(Difference { object, change, diff });
    }

    /// Adds what the control plane would change although nothing that is shown differs: secrets.
    fn add_hidden(&mut self, changes: &[Done]) {
        for change in changes {
            let object = change.object();
            if self.differences.iter().all(|known| known.object != object) {
                self.differences.push(Difference {
                    diff: format!("# {object}: what differs is secret, and not shown\n"),
                    object,
                    change: Kind::Change,
                });
            }
        }
    }
}

fn write(differences: &Differences, colour: bool, out: &mut dyn Write) -> io::Result<()> {
    for difference in &differences.differences {
        for line in difference.diff.lines() {
            match colour_of(line).filter(|_| colour) {
                Some(code) => writeln!(out, "\u{1b}[{code}m{line}\u{1b}[0m")?,
                None => writeln!(out, "{line}")?,
            }
        }
    }
    Ok(())
}

fn colour_of(line: &str) -> Option<u8> {
    match line.as_bytes().first() {
        Some(b'+') => Some(32),
        Some(b'-') => Some(31),
        Some(b'@') => Some(36),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
