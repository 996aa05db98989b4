//! Settings of signing in and of the audit.

use filters::model::Problem;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::oidc::OidcConfig;

/// How people sign in.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuthConfig {
    /// A session ends when it was not used for so many days; 1 to 365.
    pub session_days: u32,
    /// A session ends after so many days, however much it is used; not less than `sessionDays`.
    pub longest_session_days: u32,
    /// An identity provider at which people may sign in.
    pub oidc: Option<OidcConfig>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            session_days: 7,
            longest_session_days: 90,
            oidc: None,
        }
    }
}

impl AuthConfig {
    /// When a session that began at `since` ends if it is used at `now`.
    pub fn end_of_session(&self, since: Timestamp, now: Timestamp) -> Timestamp {
        let unused = now.checked_add(days(self.session_days));
        let longest = since.checked_add(days(self.longest_session_days));
        // Both are within a few years, far from the end of time.
        unused.unwrap_or(now).min(longest.unwrap_or(now))
    }

    /// How old a token is when a new one is given in its place: a seventh of its time.
    pub fn renew_after(&self) -> SignedDuration {
        days(self.session_days) / 7
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        let wrong = |value: u32, least: u32| format!("{value} is not between {least} and {MOST_DAYS}");
        if !(1..=MOST_DAYS).contains(&self.session_days) {
            problems.push(Problem::new("auth.sessionDays", wrong(self.session_days, 1)));
        } else if !(self.session_days..=MOST_DAYS).contains(&self.longest_session_days) {
            let message = wrong(self.longest_session_days, self.session_days);
            problems.push(Problem::new("auth.longestSessionDays", message));
        }
        if let Some(oidc) = &self.oidc {
            oidc.check(problems);
        }
    }
}

/// How long it is kept what people did.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuditConfig {
    /// Entries of the audit from before so many days are deleted; 1 to 3,650.
    pub retention_days: u32,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { retention_days: 400 }
    }
}

impl AuditConfig {
    /// How long an entry is kept.
    pub fn retention(&self) -> SignedDuration {
        days(self.retention_days)
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if !(1..=LONGEST_RETENTION_DAYS).contains(&self.retention_days) {
            let message = format!("{} is not between 1 and {LONGEST_RETENTION_DAYS}", self.retention_days);
            problems.push(Problem::new("audit.retentionDays", message));
        }
    }
}

fn days(days: u32) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(days))
}

const MOST_DAYS: u32 = 365;
const LONGEST_RETENTION_DAYS: u32 = 3_650;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_prolonged_up_to_its_longest_time() {
        let config = AuthConfig {
            session_days: 7,
            longest_session_days: 10,
            oidc: None,
        };
        let day = |day: i64| Timestamp::from_second(day * 86_400).unwrap();
        assert_eq!(config.end_of_session(day(0), day(0)), day(7));
        assert_eq!(config.end_of_session(day(0), day(2)), day(9));
        assert_eq!(config.end_of_session(day(0), day(6)), day(10));
        assert_eq!(config.renew_after(), SignedDuration::from_hours(24));
    }
}
