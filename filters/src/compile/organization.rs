//! One organization: what is wrong with it, and what it allows its integrations.

use super::{limits, redaction};
use crate::model::{Organization, Problem};
use crate::route::host;
use crate::subject;

/// The longest text for people, in bytes.
const LONGEST_TEXT: usize = 200;
/// The most tags of an organization or a unit, and the longest in bytes.
const MOST_TAGS: usize = 50;
const LONGEST_TAG: usize = 100;
/// The most host patterns of one organization.
const MOST_HOSTS: usize = 100;
/// The largest number of an organization: the largest that every JSON reader keeps exactly.
const LARGEST_ID: u64 = (1 << 53) - 1;

/// Adds what is wrong with `organization`, which stands at `path`.
pub(super) fn check(organization: &Organization, path: &str, problems: &mut Vec<Problem>) {
    check_id(organization.org_id, &format!("{path}.orgId"), problems);
    if let Some(limit) = &organization.rate_limit {
        limits::check(limit, &format!("{path}.rateLimit"), problems);
    }
    redaction::check(organization.redaction.as_ref(), &format!("{path}.redaction"), problems);
    subject::check(&organization.subject_paths, &format!("{path}.subjectPaths"), problems);
    Profile {
        name: &organization.name,
        texts: [
            ("code", organization.code.as_deref()),
            ("email", organization.email.as_deref()),
            ("phone", organization.phone.as_deref()),
            ("address", organization.address.as_deref()),
            ("region", organization.region.as_deref()),
        ],
        tags: &organization.tags,
        timezone: organization.timezone.as_deref(),
    }
    .check(path, problems);
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

/// What an organization or a unit says of itself.
pub(super) struct Profile<'a> {
    pub(super) name: &'a str,
    /// Other texts for people, each with its field.
    pub(super) texts: [(&'static str, Option<&'a str>); 5],
    pub(super) tags: &'a [String],
    pub(super) timezone: Option<&'a str>,
}

impl Profile<'_> {
    /// Adds what is wrong with it, below `path`.
    pub(super) fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        let texts = self.texts.iter().filter_map(|(field, text)| Some((*field, (*text)?)));
        for (field, text) in std::iter::once(("name", self.name)).chain(texts) {
            let path = format!("{path}.{field}");
            if text.len() > LONGEST_TEXT {
                problems.push(Problem::new(
                    &path,
                    format!("must be at most {LONGEST_TEXT} bytes long"),
                ));
            }
            check_text(text, &path, problems);
        }
        if self.tags.len() > MOST_TAGS {
            let message = format!("holds {} entries; at most {MOST_TAGS} are allowed", self.tags.len());
            problems.push(Problem::new(format!("{path}.tags"), message));
        }
        for (index, tag) in self.tags.iter().enumerate() {
            let path = format!("{path}.tags[{index}]");
            if !(1..=LONGEST_TAG).contains(&tag.len()) {
                problems.push(Problem::new(&path, format!("must be 1 to {LONGEST_TAG} bytes long")));
            }
            check_text(tag, &path, problems);
        }
        if let Some(name) = self.timezone
            && jiff::tz::TimeZone::get(name).is_err()
        {
            let message = format!("{name:?} is no time zone; give an IANA name such as `Asia/Kolkata`");
            problems.push(Problem::new(format!("{path}.timezone"), message));
        }
    }
}

/// The names of a certificate must lie within the hosts of its organization, as those of its integrations must.
pub(super) fn check_certificate(organization: Option<&Organization>, names: &[Box<str>], problems: &mut Vec<Problem>) {
    let Some(organization) = organization.filter(|organization| !organization.hosts.is_empty()) else {
        return;
    };
    for name in names {
        if !organization.hosts.iter().any(|pattern| host::covers(pattern, name)) {
            let message = format!("{name:?} is not within `hosts` of organization {}", organization.org_id);
            problems.push(Problem::new("certificate", message));
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
