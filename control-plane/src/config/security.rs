//! The rules for connections to partners, which gateways get, and for the pages of browsers, which are the API's own.

use filters::cors::Cors;
use filters::model::route::HttpMethod;
use filters::model::{Problem, Security, cors};
use serde::Deserialize;

/// Who may connect to what.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SecurityConfig {
    /// Refuses targets in private networks, unless the organization is allowed the range.
    pub block_private_networks: bool,
    /// Refuses targets without TLS.
    pub enforce_https: bool,
    /// Which pages of browsers may use the API; none of another origin if left out.
    pub cors: Option<CorsConfig>,
}

impl Default for SecurityConfig {
    fn default() -> Self {
        let pushed = Security::default();
        Self {
            block_private_networks: pushed.block_private_networks,
            enforce_https: pushed.enforce_https,
            cors: None,
        }
    }
}

/// Which pages of browsers may use the API.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CorsConfig {
    /// Their origins, 1 to 100: `https://console.example`, `https://*.clinic.example` for any name below, or `*` for all.
    pub allow_origins: Vec<String>,
    /// True lets them send what a browser keeps for the API, as cookies; not with origin `*`.
    #[serde(default)]
    pub allow_credentials: bool,
    /// How long a browser may remember the answer to a preflight request, in seconds; 0 to 86,400.
    #[serde(default = "ten_minutes")]
    pub max_age_seconds: u32,
}

impl SecurityConfig {
    /// The part that gateways get.
    pub fn pushed(&self) -> Security {
        Security {
            block_private_networks: self.block_private_networks,
            enforce_https: self.enforce_https,
        }
    }

    /// What browsers are told; `None` where nothing is, or what is set cannot be used.
    pub(crate) fn cors(&self, problems: &mut Vec<Problem>) -> Option<Cors> {
        let config = self.cors.as_ref()?;
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let whole = cors::Cors {
            allow_origins: config.allow_origins.clone(),
            allow_methods: METHODS.to_vec(),
            allow_headers: texts(&SENT),
            expose_headers: texts(&READ),
            allow_credentials: config.allow_credentials,
            max_age_seconds: config.max_age_seconds,
        };
        let mut found = Vec::new();
        let compiled = Cors::compile(&whole, &METHODS, &mut found);
        let below = |problem: Problem| Problem::new(format!("security.{}", problem.path), problem.message);
        problems.extend(found.into_iter().map(below));
        compiled
    }
}

fn ten_minutes() -> u32 {
    600
}

/// Methods of the API.
const METHODS: [HttpMethod; 5] = [
    HttpMethod::Get,
    HttpMethod::Post,
    HttpMethod::Put,
    HttpMethod::Patch,
    HttpMethod::Delete,
];
/// Header fields that the API reads.
const SENT: [&str; 7] = [
    "authorization",
    "content-type",
    "if-match",
    "if-none-match",
    "x-api-key",
    "x-change-message",
    "x-request-id",
];
/// Header fields of its answers that a page has a use for.
const READ: [&str; 8] = [
    "content-disposition",
    "etag",
    "link",
    "location",
    "retry-after",
    "www-authenticate",
    "x-request-id",
    "x-session-token",
];
