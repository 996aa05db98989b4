//! `gwctl diff`, and the list of differences that `apply --prune` deletes by.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::Args;
use filters::model::Snapshot;
use filters::model::push::ObjectId;
use serde::Serialize;
use similar::TextDiff;

use super::answers;
use super::client::Client;
use super::comparable::Comparable;
use super::documents::Documents;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::{Files, Prune};

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
    /// Objects whose visible parts are equal, but that have secrets, which cannot be compared.
    secrets_not_compared: Vec<String>,
}

impl Diff {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let documents = self.files.load()?;
        documents.refuse_security()?;
        documents.check()?;
        let live = answers::export(client, only_organization(&documents.snapshot, &self.prune))?;
        let differences = compare(&documents, &live, &to_prune(&documents.snapshot, &live, &self.prune));
        let colour = output.colour;
        output.show(&differences, |differences, out| write(differences, colour, out))?;
        if !differences.secrets_not_compared.is_empty() {
            output.say(format_args!(
                "note: secrets cannot be compared, as the server does not show them: {}",
                differences.secrets_not_compared.join(", ")
            ))?;
        }
        if differences.differences.is_empty() {
            Ok(Outcome::Done)
        } else {
            Ok(Outcome::Different)
        }
    }
}

/// The organization that everything in question belongs to, if it is only one.
pub(super) fn only_organization(wanted: &Snapshot, prune: &Prune) -> Option<u64> {
    let organizations: BTreeSet<u64> = wanted
        .integrations
        .values()
        .map(|entry| entry.value.org_id)
        .chain(wanted.organizations.keys().copied())
        .chain(prune.org)
        .collect();
    match organizations.len() {
        1 => organizations.first().copied(),
        _ => None,
    }
}

/// The live integrations of the pruned organization that are not wanted any more.
pub(super) fn to_prune(wanted: &Snapshot, live: &Snapshot, prune: &Prune) -> Vec<ObjectId> {
    let Some(organization) = prune.org.filter(|_| prune.prune) else {
        return Vec::new();
    };
    live.integrations
        .iter()
        .filter(|(id, entry)| entry.value.org_id == organization && !wanted.integrations.contains_key(*id))
        .map(|(id, _)| ObjectId::Integration(id.clone()))
        .collect()
}

fn compare(documents: &Documents, live: &Snapshot, delete: &[ObjectId]) -> Differences {
    let mut found = Differences::default();
    for (id, entry) in &documents.snapshot.organizations {
        found.add(
            format!("organization/{id}"),
            live.organizations
                .get(id)
                .map(|entry| Comparable::of_organization(&entry.value)),
            Some(Comparable::of_organization(&entry.value)),
            documents.organization_file(*id),
        );
    }
    for (id, entry) in &documents.snapshot.integrations {
        found.add(
            format!("integration/{id}"),
            live.integrations
                .get(id)
                .map(|entry| Comparable::of_integration(&entry.value)),
            Some(Comparable::of_integration(&entry.value)),
            documents.integration_file(id),
        );
    }
    for id in delete {
        let (object, before) = match id {
            ObjectId::Organization(id) => (
                format!("organization/{id}"),
                live.organizations
                    .get(id)
                    .map(|entry| Comparable::of_organization(&entry.value)),
            ),
            ObjectId::Integration(id) => (
                format!("integration/{id}"),
                live.integrations
                    .get(id)
                    .map(|entry| Comparable::of_integration(&entry.value)),
            ),
        };
        found.add(object, before, None, "");
    }
    found
}

impl Differences {
    fn add(&mut self, object: String, before: Option<Comparable>, after: Option<Comparable>, file: &str) {
        let change = match (&before, &after) {
            (None, _) => Kind::Create,
            (_, None) => Kind::Delete,
            (Some(before), Some(after)) if before.text == after.text => {
                if after.has_secrets {
                    self.secrets_not_compared.push(object);
                }
                return;
            }
            _ => Kind::Change,
        };
        let text = |side: &Option<Comparable>| side.as_ref().map(|side| side.text.clone()).unwrap_or_default();
        let name = |side: &Option<Comparable>, name: String| if side.is_some() { name } else { "/dev/null".to_owned() };
        let diff = TextDiff::from_lines(&text(&before), &text(&after))
            .unified_diff()
            .context_radius(3)
            .header(
                &name(&before, format!("live/{object}")),
                &name(&after, format!("{file}/{object}")),
            )
            .to_string();
        self.differences.push(Difference { object, change, diff });
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
