//! One organization: what is wrong with it, and what it allows its integrations.

use super::check_limit;
use crate::model::{Organization, Problem};
use crate::route::host;

/// The most host patterns of one organization.
const MOST_HOSTS: usize = 100;
/// The largest number of an organization: the largest that every JSON reader keeps exactly.
const LARGEST_ID: u64 = (1 << 53) - 1;

/// Adds what is wrong with `organization`, which stands at `path`.
pub(super) fn check(organization: &Organization, path: &str, problems: &mut Vec<Problem>) {
    check_id(organization.org_id, &format!("{path}.orgId"), problems);
    if let Some(limit) = &organization.rate_limit {
        check_limit(limit, &format!("{path}.rateLimit"), problems);
    }
    if organization.name.len() > 200 {
        problems.push(Problem::new(format!("{path}.name"), "must be at most 200 bytes long"));
    }
    check_text(&organization.name, &format!("{path}.name"), problems);
    if organization.hosts.len() > MOST_HOSTS {
        let message = format!(
            "holds {} entries; at most {MOST_HOSTS} are allowed",
            organization.hosts.len()
        );
        problems.push(Problem::new(format!("{path}.hosts"), message));
    }
    for (index, text) in organization.hosts.iter().enumerate() {
        if let Err(message) = host::parse(text) {
            problems.push(Problem::new(
                format!("{path}.hosts[{index}]"),
                format!("{text:?} {message}"),
            ));
        }
    }
}

/// Adds the hosts of an integration that its organization is not allowed.
pub(super) fn check_hosts(organization: Option<&Organization>, hosts: &[Box<str>], problems: &mut Vec<Problem>) {
    let Some(organization) = organization.filter(|organization| !organization.hosts.is_empty()) else {
        return;
    };
    for host in hosts {
        if !organization.hosts.iter().any(|pattern| host::covers(pattern, host)) {
            let message = format!("{host:?} is not within `hosts` of organization {}", organization.org_id);
            problems.push(Problem::new("hosts", message));
        }
    }
}

/// Adds a number that no organization can have.
pub(super) fn check_id(org_id: u64, path: &str, problems: &mut Vec<Problem>) {
    if !(1..=LARGEST_ID).contains(&org_id) {
        problems.push(Problem::new(
            path,
            format!("{org_id} must be between 1 and {LARGEST_ID}"),
        ));
    }
}

/// Adds a text for people that holds characters which terminals and logs act upon.
pub(super) fn check_text(text: &str, path: &str, problems: &mut Vec<Problem>) {
    if text.contains(char::is_control) {
        problems.push(Problem::new(
            path,
            "must not hold control characters, such as line breaks",
        ));
    }
}
