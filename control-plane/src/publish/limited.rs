//! What an author who is limited to certain organizations may claim, and what they are told of the others.

use std::collections::{BTreeSet, HashSet};

use filters::model::push::Object;
use filters::model::{InboundIntegration, Problem, Snapshot};

use super::Author;
use crate::store::Change;

/// Refuses hosts that are not for the author to give: those of other organizations, and new ones of an organization that
/// has no list of its own. That hosts are within such a list is a rule of the configuration, whoever changes it.
pub(super) fn check(base: &Snapshot, change: &Change, author: &Author) -> Result<(), Vec<Problem>> {
    let Some(own) = &author.org_ids else { return Ok(()) };
    let put = change.put.iter().filter_map(|object| match object {
        Object::Integration(integration) if !integration.hosts.is_empty() => Some(&**integration),
        _ => None,
    });
    let put: Vec<&InboundIntegration> = put.collect();
    if put.is_empty() {
        return Ok(());
    }
    let taken = hosts_of_others(base, own);
    let mut problems = Vec::new();
    for integration in put {
        let organization = base.organizations.get(&integration.org_id);
        let has_list = organization.is_some_and(|entry| !entry.value.hosts.is_empty());
        let previous = base.integrations.get(integration.id.as_str());
        let given = previous.map_or(&[][..], |entry| &entry.value.hosts);
        for (index, host) in integration.hosts.iter().enumerate() {
            let message = if integration.is_active && taken.contains(&host.to_ascii_lowercase()) {
                format!("{host:?} belongs to another organization")
            } else if !has_list && !given.iter().any(|given| given.eq_ignore_ascii_case(host)) {
                format!(
                    "{host:?} cannot be claimed with a key for certain organizations: organization {} has no list of \
                     `hosts`; someone with a key for all organizations must set it",
                    integration.org_id
                )
            } else {
                continue;
            };
            let path = format!("integrations[{:?}].hosts[{index}]", integration.id);
            problems.push(Problem::new(path, message));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The problems that the author may see: those of their own request, and that there are others.
pub(super) fn visible(problems: Vec<Problem>, author: &Author) -> Vec<Problem> {
    if author.org_ids.is_none() {
        return problems;
    }
    // What could be located in the request does not begin with the place in the configuration any more.
    let (others, own): (Vec<_>, Vec<_>) = problems
        .into_iter()
        .partition(|problem| OBJECTS.iter().any(|list| problem.path.starts_with(list)));
    if own.is_empty() && !others.is_empty() {
        let message = "the configuration has problems outside of this request; someone with a key for all organizations \
                       must see to them";
        return vec![Problem::new("", message)];
    }
    own
}

/// How the places of objects in the configuration begin.
const OBJECTS: [&str; 8] = [
    "organizations[",
    "units[",
    "eventTypes[",
    "producerKeys[",
    "certificates[",
    "lookups[",
    "consumers[",
    "integrations[",
];

fn hosts_of_others(base: &Snapshot, own: &BTreeSet<u64>) -> HashSet<String> {
    let integrations = base.integrations.values().map(|entry| &entry.value);
    integrations
        .filter(|integration| integration.is_active && !own.contains(&integration.org_id))
        .flat_map(|integration| integration.hosts.iter().map(|host| host.to_ascii_lowercase()))
        .collect()
}
