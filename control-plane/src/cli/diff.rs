//! `gwctl diff`.

use std::io::{self, Write};

use clap::Args;
use filters::model::Snapshot;
use filters::model::push::{Object, ObjectId};
use serde::Serialize;
use similar::TextDiff;

use super::answers::Done;
use super::change::{self, Change};
use super::client::Client;
use super::documents::Documents;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::{Files, Prune};
use crate::comparable;

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
        documents.compiled()?;
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
    let shown = |snapshot: &Snapshot, id: &ObjectId| snapshot.object(id).map(|object| comparable::object(&object));
    let name = |id: &ObjectId| format!("{}/{}", id.kind().name(), id.text());
    let mut found = Differences::default();
    let wanted = documents.snapshot.objects();
    for id in wanted.iter().filter_map(Object::id) {
        let (before, after) = (shown(live, &id), shown(&documents.snapshot, &id));
        found.add(name(&id), before, after, documents.file_of(&id));
    }
    for id in delete {
        found.add(name(id), shown(live, id), None, "");
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
        write_lines(&difference.diff, colour, out)?;
    }
    Ok(())
}

/// Writes a unified diff.
pub(super) fn write_lines(diff: &str, colour: bool, out: &mut dyn Write) -> io::Result<()> {
    for line in diff.lines() {
        match colour_of(line).filter(|_| colour) {
            Some(code) => writeln!(out, "\u{1b}[{code}m{line}\u{1b}[0m")?,
            None => writeln!(out, "{line}")?,
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
