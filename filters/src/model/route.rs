//! Which requests belong to an integration, and how their path becomes the partner's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// HTTP methods that a partner may be called with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// RFC 9110 section 9.3.1.
    Get,
    /// RFC 9110 section 9.3.2.
    Head,
    /// RFC 9110 section 9.3.3.
    Post,
    /// RFC 9110 section 9.3.4.
    Put,
    /// RFC 9110 section 9.3.5.
    Delete,
    /// RFC 9110 section 9.3.7.
    Options,
    /// RFC 5789.
    Patch,
}

/// A path that an integration answers to. Paths are compared after percent-encoded unreserved characters were decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum PathMatch {
    /// This path and no other: `/patients`.
    Exact(String),
    /// This path and everything below it, by whole segments: `/fhir` matches `/fhir/Patient`, not `/fhirx`.
    Prefix(String),
    /// Segments with parameters, each in braces and a whole segment: `/patients/{id}/bills`.
    Template(String),
}

/// How the client's path becomes the partner's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum PathRewrite {
    /// `targetUrl` as it stands. The default for exact paths, templates and the runtime address.
    Target,
    /// `targetUrl` and what follows the matched prefix. The default for prefixes.
    AppendRest,
    /// `targetUrl` and the whole path of the client.
    AppendPath,
    /// A path of its own, with the parameters of the matched template: `/v2/p/{id}`; it takes the place of that in
    /// `targetUrl`.
    Template(String),
}

/// One of several places that an integration's requests go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// An `http` or `https` address, with a path if the partner has one.
    pub url: String,
    /// Share of the requests, relative to the other targets; 0 to 1,000, 1 if left out.
    #[serde(default = "one")]
    pub weight: u32,
}

/// Which host names an integration's targets may have, beyond the rules of the organization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TargetHosts {
    /// If not empty, only these: `api.partner.example` or `*.partner.example` (any depth).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Never these; wins over `allow`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}

fn one() -> u32 {
    1
}
