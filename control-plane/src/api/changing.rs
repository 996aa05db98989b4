//! What a request says of the change that it makes: in which organization, and what for.

use std::sync::Arc;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Documented};
use aide::operation::{ParamLocation, add_parameters, parameters_from_schema};
use axum::extract::{FromRequestParts, Query};
use filters::model::Problem;
use http::HeaderMap;
use http::request::Parts;
use schemars::{JsonSchema, json_schema};
use serde::Deserialize;

use super::App;
use super::error::{ApiError, documented};
use super::request::query;

/// What a request says of the change that it makes.
#[derive(Clone, Debug)]
pub(super) struct Changing {
    /// The organization; must be given if the key is not for all of them.
    pub(super) org_id: Option<u64>,
    /// What for; empty if nothing is said.
    pub(super) message: String,
}

/// The query of a change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    /// The organization; must be given if the key is not for all of them.
    #[serde(default)]
    org_id: Option<u64>,
    /// What for; kept with the version. The header `X-Change-Message` says the same.
    #[serde(default)]
    message: Option<String>,
}

impl FromRequestParts<Arc<App>> for Changing {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, ApiError> {
        let asked: Asked = query(parts.uri.query().unwrap_or_default())?;
        let wrong = |problem| ApiError::validation(vec![problem]);
        let in_header = header_of(&parts.headers).map_err(wrong)?;
        let message = match (asked.message, in_header) {
            (Some(one), Some(other)) if one != other => {
                let message = format!("differs from the header {HEADER}; give one of them");
                return Err(wrong(Problem::new("message", message)));
            }
            (one, other) => one.or(other).unwrap_or_default(),
        };
        check_message(&message, "message").map_err(wrong)?;
        Ok(Self {
            org_id: asked.org_id,
            message,
        })
    }
}

impl OperationInput for Changing {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        Query::<Asked>::operation_input(ctx, operation);
        let schema = json_schema!({
            "type": "object",
            "properties": {HEADER: {
                "type": "string",
                "maxLength": LONGEST_MESSAGE,
                "description": "What the change is for; kept with the version.",
            }},
        });
        let header = parameters_from_schema(ctx, schema, ParamLocation::Header);
        add_parameters(ctx, operation, header);
    }

    fn inferred_early_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Documented)> {
        documented(ctx, operation, &[400])
    }
}

/// Refuses a message that cannot be kept with a version.
pub(super) fn check_message(message: &str, field: &str) -> Result<(), Problem> {
    if message.len() > LONGEST_MESSAGE {
        return Err(Problem::new(field, format!("is longer than {LONGEST_MESSAGE} bytes")));
    }
    let is_bad = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    match message.chars().find(|c| is_bad(*c)) {
        Some(bad) => Err(Problem::new(
            field,
            format!("must not hold the control character {bad:?}"),
        )),
        None => Ok(()),
    }
}

fn header_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value.as_bytes());
    let text = text.map_err(|_| Problem::new(HEADER, "must be UTF-8 text"))?;
    Ok(Some(text.to_owned()))
}

const HEADER: &str = "x-change-message";
const LONGEST_MESSAGE: usize = 4_096;
