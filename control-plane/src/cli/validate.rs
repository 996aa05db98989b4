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
    integrations: usize,
    digest: String,
}

pub(super) fn run(files: &Files, output: &mut Output<'_>) -> Result<Outcome, Failure> {
    let documents = files.load()?;
    documents.check()?;
    if documents.security_from.is_none() {
        output.say(
            "note: the documents have no `security` section, so the control plane's own rules for https and private \
             networks were not checked",
        )?;
    }
    if documents.has_masks() {
        output.say("note: *** stands for secrets that the server has; whether it has them was not checked")?;
    }
    let valid = Valid {
        organizations: documents.snapshot.organizations.len(),
        integrations: documents.snapshot.integrations.len(),
        digest: documents.snapshot.digest(),
    };
    output.show(&valid, |valid, out| {
        writeln!(
            out,
            "valid: {}, {}",
            counted(valid.organizations, "organization"),
            counted(valid.integrations, "integration")
        )
    })?;
    Ok(Outcome::Done)
}
