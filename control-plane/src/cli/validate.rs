//! `gwctl validate`.

use serde::Serialize;

use super::Files;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::table::counted;

/// What was found valid.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Valid {
    organizations: usize,
    units: usize,
    event_types: usize,
    producer_keys: usize,
    certificates: usize,
    lookups: usize,
    consumers: usize,
    /// Of both directions.
    integrations: usize,
    digest: String,
}

pub(super) fn run(files: &Files, output: &mut Output<'_>) -> Result<Outcome, Failure> {
    let documents = files.load()?;
    let findings = documents.check()?;
    for warning in documents.with_files(findings.warnings) {
        output.say(format_args!("warning: {warning}"))?;
    }
    if documents.security_from.is_none() {
        output.say(
            "note: the documents have no `security` section, so the control plane's own rules for https and private \
             networks were not checked",
        )?;
    }
    if documents.has_masks() {
        output.say("note: *** stands for secrets that the server has; whether it has them was not checked")?;
    }
    let snapshot = &documents.snapshot;
    let valid = Valid {
        organizations: snapshot.organizations.len(),
        units: snapshot.units.len(),
        event_types: snapshot.event_types.len(),
        producer_keys: snapshot.producer_keys.len(),
        certificates: snapshot.certificates.len(),
        lookups: snapshot.lookups.len(),
        consumers: snapshot.consumers.len(),
        integrations: snapshot.integrations.len() + snapshot.outbound.len(),
        digest: snapshot.digest(),
    };
    output.show(&valid, |valid, out| {
        let mut text = counted(valid.organizations, "organization");
        let some = [
            (valid.units, "unit"),
            (valid.event_types, "event type"),
            (valid.producer_keys, "producer key"),
            (valid.certificates, "certificate"),
            (valid.lookups, "lookup table"),
            (valid.consumers, "consumer"),
        ];
        for (count, noun) in some.into_iter().filter(|(count, _)| *count > 0) {
            text.push_str(&format!(", {}", counted(count, noun)));
        }
        writeln!(out, "valid: {text}, {}", counted(valid.integrations, "integration"))
    })?;
    Ok(Outcome::Done)
}
