//! Error answers in an integration's own words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a client gets in the place of the gateway's own error body. Of several that fit, the first counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ErrorPage {
    /// Of errors with these statuses: `404`, or `5XX` for all of a class; all if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<String>,
    /// Of errors with these codes, such as `RATE_LIMITED`; all if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<String>,
    /// True replaces errors that the partner answers with as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaces_partner: bool,
    /// Content type, up to 200 bytes. Only clients whose `Accept` allows it get the page.
    pub content_type: String,
    /// The page, up to 65,536 bytes, with places: `{{status}}`, `{{error.code}}`, `{{error.message}}`, `{{request.id}}`
    /// and the others that header fields may have. Values are escaped for HTML, XML and JSON.
    pub body: String,
}
