//! Formats of bodies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a body is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// RFC 8259.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// XML 1.0 in UTF-8.
    Xml,
}

/// How a body is read before it is transformed, and written after that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BodyFormat {
    /// What it comes in; what its content type says if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Format>,
    /// What it goes out in; JSON if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Format>,
    /// XML: name of the outermost element. If left out, the body must be an object with one field, which becomes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// XML: true reads names with their prefixes (`soap:Body`), and namespaces as attributes; without, prefixes go.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_prefixes: bool,
    /// Content type of what goes out; that of the format if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}
