//! Variables in texts: `{{config.tenantId}}`, `{{date.today()}}`, `{{env.NAME}}`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, Zoned};

/// A variable of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `config.tenantId`: the unit that the integration belongs to, or its organization.
    TenantId,
    /// `config.orgId`: the organization.
    OrgId,
    /// `config.integrationId`: the integration.
    IntegrationId,
    /// `date.now()`: the time, RFC 3339 in UTC.
    Now,
    /// `date.today()`: the day, as `2026-03-02`.
    Today,
    /// `date.yesterday()`: the day before.
    Yesterday,
    /// `date.todayStart()`: the first moment of the day, RFC 3339.
    TodayStart,
    /// `date.todayEnd()`: its last second, RFC 3339.
    TodayEnd,
    /// `env.NAME`: a variable of the gateway's environment that its settings allow.
    Env(Box<str>),
}

/// What variables are filled from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// The organization.
    pub org_id: u64,
    /// The unit, or the organization.
    pub tenant_id: u64,
    /// The integration.
    pub integration_id: Arc<str>,
    /// The time.
    pub now: Timestamp,
    /// What may be read of the environment.
    pub env: Environment,
}

/// What texts and scripts may read of the environment: the variables that the process settings name. Some are secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(Option<Arc<BTreeMap<String, String>>>);

impl Environment {
    /// The variables `allowed` of `environment`.
    pub fn of(allowed: &[String], environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let kept = environment.into_iter().filter(|(name, _)| allowed.contains(name));
        Self(Some(Arc::new(kept.collect())))
    }

    /// The value of `name`, if it is set and allowed.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.as_ref()?.get(name).map(String::as_str)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().flat_map(|variables| variables.keys()))
            .finish()
    }
}

/// Why a text cannot be filled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableFault {
    /// There is no such variable.
    #[error(
        "`{{{{{0}}}}}` is no variable: there are config.tenantId, config.orgId, config.integrationId, date.now(), \
         date.today(), date.yesterday(), date.todayStart(), date.todayEnd() and env.NAME"
    )]
    Unknown(String),
    /// A variable is not closed.
    #[error("a `{{{{` is not closed: write `{{{{date.today()}}}}`")]
    NotClosed,
    /// The gateway has no such environment variable, or does not allow it.
    #[error("`{{{{env.{0}}}}}` is not set, or not named in the setting `scripts.env` of the gateway")]
    NoEnv(String),
}

impl Variable {
    /// Reads what stands between the braces.
    ///
    /// # Errors
    /// [`VariableFault::Unknown`].
    pub fn parse(text: &str) -> Result<Self, VariableFault> {
        let name = text.trim();
        let unknown = || VariableFault::Unknown(name.chars().take(LONGEST_NAME).collect());
        if let Some(name) = name.strip_prefix("env.") {
            let is_name = !name.is_empty()
                && name.len() <= LONGEST_NAME
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            return if is_name {
                Ok(Self::Env(name.into()))
            } else {
                Err(unknown())
            };
        }
        Ok(match name.strip_suffix("()").unwrap_or(name) {
            "config.tenantId" => Self::TenantId,
            "config.orgId" => Self::OrgId,
            "config.integrationId" => Self::IntegrationId,
            "date.now" => Self::Now,
            "date.today" => Self::Today,
            "date.yesterday" => Self::Yesterday,
            "date.todayStart" => Self::TodayStart,
            "date.todayEnd" => Self::TodayEnd,
            _ => return Err(unknown()),
        })
    }

    /// Its value. Days are those of UTC.
    ///
    /// # Errors
    /// [`VariableFault::NoEnv`].
    pub fn value(&self, known: &Known) -> Result<String, VariableFault> {
        Ok(match self {
            Self::TenantId => known.tenant_id.to_string(),
            Self::OrgId => known.org_id.to_string(),
            Self::IntegrationId => known.integration_id.to_string(),
            Self::Now => format!("{:.3}", known.now),
            Self::Today => day(known.now, Span::new()),
            Self::Yesterday => day(known.now, 1.day()),
            Self::TodayStart => format!("{}T00:00:00Z", day(known.now, Span::new())),
            Self::TodayEnd => format!("{}T23:59:59Z", day(known.now, Span::new())),
            Self::Env(name) => known
                .env
                .get(name)
                .ok_or_else(|| VariableFault::NoEnv(name.to_string()))?
                .to_owned(),
        })
    }
}

/// `text` with the value of each variable in it.
///
/// # Errors
/// As of [`Variable::parse`] and [`Variable::value`], and for braces that are not closed.
pub fn fill(text: &str, known: &Known) -> Result<String, VariableFault> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, behind) = after.split_once("}}").ok_or(VariableFault::NotClosed)?;
        filled.push_str(before);
        filled.push_str(&Variable::parse(name)?.value(known)?);
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn day(now: Timestamp, before: Span) -> String {
    let today: Zoned = now.to_zoned(TimeZone::UTC);
    today.date().saturating_sub(before).to_string()
}

const LONGEST_NAME: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let environment = [("REGION", "south"), ("HOME", "/")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        Known {
            org_id: 648,
            tenant_id: 7001,
            integration_id: "labs".into(),
            now: "2026-03-01T09:30:00Z".parse().unwrap(),
            env: Environment::of(&["REGION".to_owned()], environment),
        }
    }

    #[test]
    fn each_variable_has_its_value() {
        let text = "{{config.tenantId}} {{config.orgId}} {{config.integrationId}} {{date.today()}} {{ date.yesterday() }} \
                    {{date.todayStart()}} {{date.todayEnd()}} {{date.now()}} {{env.REGION}} {not one}";
        assert_eq!(
            fill(text, &known()).unwrap(),
            "7001 648 labs 2026-03-01 2026-02-28 2026-03-01T00:00:00Z 2026-03-01T23:59:59Z 2026-03-01T09:30:00.000Z \
             south {not one}"
        );
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for (text, fault) in [
            (
                "{{date.tomorrow()}}",
                VariableFault::Unknown("date.tomorrow()".to_owned()),
            ),
            ("{{env.a-b}}", VariableFault::Unknown("env.a-b".to_owned())),
            ("{{date.now()", VariableFault::NotClosed),
            ("{{env.HOME}}", VariableFault::NoEnv("HOME".to_owned())),
        ] {
            assert_eq!(fill(text, &known()), Err(fault), "{text}");
        }
    }

    #[test]
    fn values_of_the_environment_are_not_shown() {
        assert_eq!(format!("{:?}", known().env), r#"{"REGION"}"#);
    }
}
