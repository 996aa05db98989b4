//! What is checked of requests and answers before they go on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::route::{HttpMethod, PathMatch};

/// The operations of a partner's API, and what their requests and answers look like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Validation {
    /// The operations, 1 to 1,000. A request is checked by the one with the most literal path that has its method.
    pub operations: Vec<Operation>,
    /// What becomes of a request that is none of them.
    #[serde(default)]
    pub unlisted: Unlisted,
    /// Schemas that others refer to as `#/$defs/{name}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub definitions: Map<String, Value>,
    /// True refuses values that do not have the `format` of their schema; formats only describe otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub formats: bool,
}

/// What becomes of what is not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Unlisted {
    /// It is refused.
    #[default]
    Reject,
    /// It goes on unchecked.
    Pass,
}

impl Unlisted {
    fn is_pass(&self) -> bool {
        *self == Self::Pass
    }

    fn pass() -> Self {
        Self::Pass
    }
}

/// One operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Operation {
    /// Name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The client's path; any if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathMatch>,
    /// The client's method; any if left out. `HEAD` comes with `GET`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<HttpMethod>,
    /// Parameters, up to 200.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// What becomes of query parameters that are not listed; they pass if left out.
    #[serde(default = "Unlisted::pass", skip_serializing_if = "Unlisted::is_pass")]
    pub unlisted_query: Unlisted,
    /// The client's body; not looked at if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_body: Option<RequestBody>,
    /// The partner's answers, up to 50; one with a status that is not listed is not looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub responses: Vec<ResponseRule>,
}

/// A parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Where it stands.
    #[serde(rename = "in")]
    pub place: ParameterPlace,
    /// True refuses a request without it. Parameters of the path are always there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// JSON Schema of its value; the `type` says what its text is read as.
    pub schema: Value,
    /// How a value that is more than a text is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<ParameterEncoding>,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ParameterPlace {
    /// In braces in the path.
    Path,
    /// In the query.
    Query,
    /// A header field.
    Header,
    /// In `Cookie`.
    Cookie,
}

/// How a value that is more than a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ParameterEncoding {
    /// A list: one parameter for each item. The default for lists in the query, and only possible there.
    Repeated,
    /// A list with commas between its items. The default for lists elsewhere.
    Comma,
    /// A list with spaces between its items.
    Space,
    /// A list with `|` between its items.
    Pipe,
    /// JSON text.
    Json,
}

/// The client's body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestBody {
    /// True refuses a request without one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// The content types that it may have, 1 to 20.
    pub content: Vec<Content>,
}

/// A content type, and what a body of it looks like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Content {
    /// `application/json`, `image/*` or `*/*`; without parameters.
    pub content_type: String,
    /// JSON Schema of the body, where that is JSON or a form; the body is not looked at if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// The partner's answers with some status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResponseRule {
    /// `200`, `2XX` for all of a class, or `default` for all that are not listed.
    pub status: String,
    /// The content types that the answer may have, up to 20; any if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<Content>,
}
