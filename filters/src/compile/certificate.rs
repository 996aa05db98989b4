//! Certificates for clients, compiled: read, with key and names, so that a handshake only looks one up.

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::AHashMap;

use super::organization;
use crate::certificate::{Certificate, CertificateError};
use crate::model::{self, Entry, Problem, Snapshot};
use crate::plan::CertificatePlan;

/// The most bytes of a chain or a key.
const MOST_BYTES: usize = 64 * 1024;

/// Compiles those that are active. What `previous` has of them already is not read again.
pub(super) fn compile(
    snapshot: &Snapshot,
    previous: Option<&CertificatePlan>,
    problems: &mut Vec<Problem>,
) -> CertificatePlan {
    let mut plan = BTreeMap::new();
    let mut owners: AHashMap<Box<str>, (u64, Arc<str>)> = AHashMap::new();
    for (id, entry) in snapshot.certificates.iter().filter(|(_, entry)| entry.value.is_active) {
        let mut own = Vec::new();
        let known = previous.and_then(|plan| plan.get(id));
        let compiled = match known {
            Some((digest, known)) if *digest == entry.digest => Some(Arc::clone(known)),
            _ => read(entry, &mut own),
        };
        if let Some(compiled) = compiled {
            let org_id = entry.value.org_id;
            let organization = snapshot.organizations.get(&org_id).map(|entry| &*entry.value);
            organization::check_certificate(organization, &compiled.names, &mut own);
            for name in &compiled.names {
                let (owner, other) = owners.entry(name.clone()).or_insert_with(|| (org_id, Arc::clone(id)));
                if *owner != org_id {
                    let message = format!("{name:?} is a name in {other:?} of another organization as well");
                    own.push(Problem::new("certificate", message));
                }
            }
            plan.insert(Arc::clone(id), (entry.digest, compiled));
        }
        let path = format!("certificates[{:?}]", &**id);
        problems.extend(own.into_iter().map(|problem| problem.within(&path)));
    }
    plan
}

fn read(entry: &Entry<model::Certificate>, problems: &mut Vec<Problem>) -> Option<Arc<Certificate>> {
    let source = &entry.value;
    let (chain, key) = (source.certificate.as_bytes(), source.private_key.expose().as_bytes());
    for (field, text) in [("certificate", chain), ("privateKey", key)] {
        if text.len() > MOST_BYTES {
            let message = format!("has {} bytes; at most {MOST_BYTES} are allowed", text.len());
            problems.push(Problem::new(field, message));
            return None;
        }
    }
    match Certificate::from_pem(chain, key) {
        Ok(certificate) => Some(Arc::new(certificate)),
        Err(error) => {
            let field = match error {
                CertificateError::Key(_) => "privateKey",
                _ => "certificate",
            };
            problems.push(Problem::new(field, error.to_string()));
            None
        }
    }
}

#[cfg(test)]
mod tests;
