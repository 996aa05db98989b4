//! Why a request is answered as it is: the route that it takes and why others do not, who is let in, and what every option of
//! the integration does on its way. It is for people: nothing of it is a secret, and nothing of it is sent anywhere.

mod options;
mod question;
mod routes;
mod steps;

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, Method, Uri, header};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

pub use steps::address_line;

use crate::auth::query_value;
use crate::path;
use crate::plan::{Integration, Plan};
use crate::route::{Found, host};

/// A request that is asked about.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its method.
    pub method: Method,
    /// Path and query, as they stand in the request line.
    pub uri: Uri,
    /// Its header fields, `Host` among them.
    pub headers: HeaderMap,
    /// Where the client calls from; unknown if `None`.
    pub client: Option<IpAddr>,
    /// Seconds since 1970.
    pub now_s: fn() -> i64,
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// In one sentence.
    pub verdict: String,
    /// Status that the gateway itself answers with; `None` if the partner is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Version of the configuration.
    pub version: u64,
    /// The request as it was read.
    pub request: Asked,
    /// The integration that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integration: Option<Answering>,
    /// The routes of the host, the one that answers first, with why the others do not.
    pub routes: Vec<Considered>,
    /// What happens to the request, in order.
    pub steps: Vec<Step>,
    /// Where it may go.
    pub targets: Vec<TargetLine>,
    /// Every option that the integration sets, secrets masked.
    pub options: Vec<OptionLine>,
}

/// A request as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// Its host, in lower case and without port.
    pub host: Option<String>,
    /// Its path in canonical form.
    pub path: Option<String>,
}

/// An integration that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answering {
    /// Identifier.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Organization that owns it.
    pub org_id: u64,
}

/// A route that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Considered {
    /// The integration's identifier.
    pub integration: String,
    /// The host name or pattern of the rule.
    pub host: String,
    /// The rule, as `prefix /fhir`.
    pub path: String,
    /// The methods, as in an `Allow` field; `*` for all.
    pub methods: String,
    /// True for the one that answers.
    pub matches: bool,
    /// Why it does, or does not.
    pub why: String,
}

/// Something that happens to the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Step {
    /// Which step it is.
    pub step: String,
    /// What happens.
    pub says: String,
}

/// A place that requests may go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetLine {
    /// Scheme, host and port.
    pub target: String,
    /// Its share, relative to the others.
    pub weight: u32,
    /// The addresses behind it and their classes, as far as they are known.
    pub addresses: Vec<AddressLine>,
    /// What is to be known beside that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// An address of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddressLine {
    /// The address.
    pub address: String,
    /// What kind of place it is.
    pub class: String,
    /// True if connections to it are allowed.
    pub allowed: bool,
}

/// An option that is set.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct OptionLine {
    /// Its name in the model.
    pub option: String,
    /// What it is set to, secrets masked.
    pub configured: Value,
}

/// Says what becomes of a request under `plan`. `api_hosts` are the hosts on which the reserved paths win.
pub fn explain(plan: &Plan, api_hosts: &[String], question: &Question) -> Explanation {
    let authority = question.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let host = authority.and_then(host::of_authority);
    let canonical = path::canonical(question.uri.path());
    let mut explanation = Explanation {
        verdict: String::new(),
        status: None,
        version: plan.version,
        request: Asked {
            method: question.method.to_string(),
            host: host.as_deref().map(str::to_owned),
            path: canonical.as_deref().ok().map(str::to_owned),
        },
        integration: None,
        routes: Vec::new(),
        steps: Vec::new(),
        targets: Vec::new(),
        options: Vec::new(),
    };
    let Some(host) = host else {
        return explanation.refused(
            404,
            "the request has no usable Host field, so that no integration answers",
        );
    };
    let path = match canonical {
        Ok(path) => path,
        Err(refusal) => return explanation.refused(400, &refusal.to_string()),
    };
    let found = match answering(plan, api_hosts, &host, &path, question, &mut explanation) {
        Ok(found) => found,
        Err((status, why)) => return explanation.refused(status, &why),
    };
    let integration = found.as_ref();
    explanation.integration = Some(Answering {
        id: integration.id.to_string(),
        name: integration.source.name.clone(),
        org_id: integration.source.org_id,
    });
    explanation.options = options::of(&integration.source);
    explanation.targets = steps::targets(integration);
    match steps::walk(plan, integration, &path, question, &mut explanation.steps) {
        Ok(verdict) => {
            explanation.verdict = verdict;
            explanation
        }
        Err((status, why)) => explanation.refused(status, &why),
    }
}

impl Explanation {
    fn refused(mut self, status: u16, why: &str) -> Self {
        self.status = Some(status);
        self.verdict = format!("the gateway answers {status}: {why}");
        self
    }
}

/// Who answers; why nobody does otherwise.
fn answering(
    plan: &Plan,
    api_hosts: &[String],
    host: &str,
    path: &str,
    question: &Question,
    explanation: &mut Explanation,
) -> Result<Arc<Integration>, (u16, String)> {
    let is_reserved = RESERVED.iter().any(|reserved| {
        let rest = path.strip_prefix(reserved);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    if is_reserved && (api_hosts.iter().any(|own| own == host) || !plan.routes.has_host(host)) {
        return runtime_address(plan, path, question);
    }
    match plan.routes.find(host, path, &question.method) {
        Found::Route(found) => {
            let winner = Arc::clone(found.integration);
            explanation.routes = routes::considered(plan, host, path, &question.method, Some(&winner));
            Ok(winner)
        }
        Found::MethodNotAllowed(allowed) => {
            explanation.routes = routes::considered(plan, host, path, &question.method, None);
            Err((405, format!("the path answers to {} only", allowed.allow())))
        }
        Found::Nothing => {
            explanation.routes = routes::considered(plan, host, path, &question.method, None);
            let why = if plan.routes.has_host(host) {
                "no rule of the integrations on this host matches the path"
            } else {
                "no active integration answers on this host"
            };
            Err((404, why.to_owned()))
        }
    }
}

fn runtime_address(plan: &Plan, path: &str, question: &Question) -> Result<Arc<Integration>, (u16, String)> {
    let Some(kind) = path.strip_prefix(RUNTIME_ADDRESS) else {
        let why = if path == EVENTS {
            "this is where events are handed over; they are not proxied"
        } else {
            "the path is one of the gateway's own, and nothing is there"
        };
        return Err((if path == EVENTS { 202 } else { 404 }, why.to_owned()));
    };
    let query = question.uri.query().unwrap_or_default();
    let org_id = query_value(query, "orgId").and_then(|value| value.parse().ok());
    let Some(org_id) = org_id else {
        return Err((400, "the runtime address needs orgId=N in the query".to_owned()));
    };
    let Some(integration) = plan.routes.find_type(org_id, kind) else {
        let why = format!("organization {org_id} has no active integration of this type");
        return Err((404, why));
    };
    if integration.methods.contains(&question.method) {
        Ok(Arc::clone(integration))
    } else {
        Err((
            405,
            format!("the integration answers to {} only", integration.methods.allow()),
        ))
    }
}

/// Where the runtime addresses of integrations start.
const RUNTIME_ADDRESS: &str = "/api/v1/integrations/";
/// Where events are handed over.
const EVENTS: &str = "/api/v1/events";
/// Paths that integrations cannot have on the gateway's own hosts.
const RESERVED: [&str; 3] = ["/api/v1/integrations", EVENTS, "/webhook"];

#[cfg(test)]
mod tests;
