//! How the console looks to an organization.

use filters::model::Problem;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::store::{Shelf, Shelved};

/// How the console looks to an organization. What is left out has the value that it has without any of this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct UiConfig {
    /// The organization; set by the control plane.
    pub(crate) org_id: u64,
    /// Title of its pages.
    pub(crate) title: String,
    /// Address of its logo, with TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logo_url: Option<String>,
    /// Colour of buttons and links, as `#1677ff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) accent_color: Option<String>,
    /// Light or dark.
    pub(crate) theme: Theme,
    /// Language and region of texts, numbers and dates (BCP 47), as `en-IN`.
    pub(crate) locale: String,
    /// How times are written.
    pub(crate) time_format: TimeFormat,
    /// Rows of a page; 10 to 200.
    pub(crate) page_size: u32,
    /// Seconds after which lists are read again; 5 to 3,600, or 0 for never.
    pub(crate) refresh_seconds: u32,
    /// The page that is shown first.
    pub(crate) landing_page: Section,
    /// Sections that are not shown. This hides them, and protects nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) hidden_sections: Vec<Section>,
    /// Whom to ask for help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) support_email: Option<String>,
    /// When it was changed last (RFC 3339); set by the control plane.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub(crate) updated_at: Option<Timestamp>,
    /// Identifier in the store: the number of the organization as text.
    #[schemars(skip)]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) id: String,
}

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Theme {
    /// As the person's machine has it.
    #[default]
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// How times are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum TimeFormat {
    /// In the time zone of the organization.
    #[default]
    Organization,
    /// In that of the person's machine.
    Local,
    /// In UTC.
    Utc,
}

/// Sections of the console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Section {
    /// How everything is.
    #[default]
    Dashboard,
    /// Inbound and outbound integrations.
    Integrations,
    /// Attempts at deliveries.
    Logs,
    /// Dead letters.
    Dlq,
    /// Scheduled deliveries.
    Scheduled,
    /// Lookup tables.
    Lookups,
    /// Templates.
    Templates,
    /// Alerts.
    Alerts,
    /// Organizations, users, audit.
    Admin,
    /// Preferences.
    Settings,
}

impl Section {
    /// All of them.
    pub(crate) const ALL: [Self; 10] = [
        Self::Dashboard,
        Self::Integrations,
        Self::Logs,
        Self::Dlq,
        Self::Scheduled,
        Self::Lookups,
        Self::Templates,
        Self::Alerts,
        Self::Admin,
        Self::Settings,
    ];
}

impl Default for UiConfig {
    fn default() -> Self {
        Self {
            org_id: 0,
            title: "Integration Gateway".to_owned(),
            logo_url: None,
            accent_color: None,
            theme: Theme::default(),
            locale: "en".to_owned(),
            time_format: TimeFormat::default(),
            page_size: 50,
            refresh_seconds: 30,
            landing_page: Section::default(),
            hidden_sections: Vec::new(),
            support_email: None,
            updated_at: None,
            id: String::new(),
        }
    }
}

impl UiConfig {
    /// Everything that is wrong with it.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |field: &str, message: &str| problems.push(Problem::new(field, message));
        if self.title.trim().is_empty() || self.title.len() > LONGEST {
            refuse("title", "must have 1 to 200 bytes");
        }
        let is_safe = |text: &String| {
            text.len() <= LONGEST_ADDRESS && Url::parse(text).is_ok_and(|url| url.scheme() == "https" && url.has_host())
        };
        if self.logo_url.as_ref().is_some_and(|url| !is_safe(url)) {
            refuse("logoUrl", "must be an address that begins with https://");
        }
        let is_color = |text: &String| {
            text.strip_prefix('#')
                .is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        };
        if self.accent_color.as_ref().is_some_and(|color| !is_color(color)) {
            refuse("accentColor", "must be `#` and six hexadecimal digits, as #1677ff");
        }
        let mut parts = self.locale.split('-');
        let language = parts.next().unwrap_or_default();
        let is_part =
            |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_language = (2..=8).contains(&language.len()) && language.bytes().all(|byte| byte.is_ascii_alphabetic());
        if !is_language || !parts.all(is_part) || self.locale.len() > 35 {
            refuse("locale", "must be a language tag, as en or en-IN");
        }
        if !(10..=200).contains(&self.page_size) {
            refuse("pageSize", "must be 10 to 200");
        }
        if self.refresh_seconds != 0 && !(5..=3_600).contains(&self.refresh_seconds) {
            refuse("refreshSeconds", "must be 5 to 3600, or 0 for never");
        }
        if self.hidden_sections.contains(&self.landing_page) {
            refuse("landingPage", "is one of `hiddenSections`");
        }
        let mut known = std::collections::HashSet::new();
        if self.hidden_sections.iter().any(|section| !known.insert(*section)) {
            refuse("hiddenSections", "names a section twice");
        }
        let is_mail = |text: &String| {
            text.len() <= LONGEST
                && !text.contains(char::is_whitespace)
                && text
                    .split_once('@')
                    .is_some_and(|(who, host)| !who.is_empty() && !host.is_empty() && !host.contains('@'))
        };
        if self.support_email.as_ref().is_some_and(|mail| !is_mail(mail)) {
            refuse("supportEmail", "must be a mail address, as help@clinic.example");
        }
        problems
    }
}

impl Shelved for UiConfig {
    const SHELF: Shelf = Shelf::UiConfigs;
    const NAME: &'static str = "console configuration";

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        Some(self.org_id)
    }
}

const LONGEST: usize = 200;
const LONGEST_ADDRESS: usize = 2_048;
