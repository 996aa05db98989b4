//! Why a request is answered as it is, by the version that is live.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use filters::explain::{Explanation, Question, address_line, explain};
use filters::plan::Integration;

use super::Context;
use super::fault::AdminFault;
use crate::clock;
use crate::live::{Live, TargetRuntime};

/// Explains the request that the query describes: `line`, the request line; `header`, as often as there are header lines;
/// `client`, the address that it comes from.
pub(super) async fn show(State(context): State<Context>, uri: Uri) -> Result<Json<Explanation>, AdminFault> {
    let question = asked(uri.query().unwrap_or_default())?;
    let Some(live) = context.shared.load() else {
        return Err(AdminFault::not_ready("no configuration is live yet; /config says why"));
    };
    let explaining = Arc::clone(&live);
    // All routes of a large configuration take their time.
    let told = tokio::task::spawn_blocking(move || explain(&explaining.plan, &explaining.api_hosts, &question)).await;
    let mut told = told.map_err(|error| AdminFault::internal(&error))?;
    add_addresses(&live, &mut told).await;
    Ok(Json(told))
}

fn asked(query: &str) -> Result<Question, AdminFault> {
    let (mut line, mut client, mut headers) = (None, None, Vec::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "line" => line = Some(value.into_owned()),
            "header" => headers.push(value.into_owned()),
            "client" => client = Some(address(&value)?),
            other => {
                let message = format!("{other:?} is unknown; give `line`, `header` and `client`");
                return Err(AdminFault::invalid("query", message));
            }
        }
    }
    let line = line.ok_or_else(|| {
        let message = "is missing; give a request line, as in /explain?line=GET%20/v1&header=Host:%20a.example";
        AdminFault::invalid("line", message.to_owned())
    })?;
    let question = Question::read(&line, &headers, client, now_s);
    question.map_err(|problem| AdminFault::invalid(&problem.path, problem.message))
}

fn address(text: &str) -> Result<IpAddr, AdminFault> {
    let parsed = text.parse::<IpAddr>();
    parsed.map_err(|_| AdminFault::invalid("client", format!("{text:?} is no IP address, as `192.0.2.7` is one")))
}

/// Looks up the names of the targets, as a call would.
async fn add_addresses(live: &Live, told: &mut Explanation) {
    let id = told.integration.as_ref().map(|integration| integration.id.as_str());
    let integration = id.and_then(|id| live.plan.integration(id));
    let Some(runtime) = integration.and_then(|integration| live.runtime(integration.slot)) else {
        return;
    };
    for (line, target) in told.targets.iter_mut().zip(&runtime.targets) {
        if line.addresses.is_empty() {
            let (address, note) = looked_up(&runtime.integration, target).await;
            line.addresses.extend(address);
            line.note = Some(note);
        }
    }
}

async fn looked_up(
    integration: &Integration,
    target: &TargetRuntime,
) -> (Option<filters::explain::AddressLine>, String) {
    match tokio::time::timeout(LOOK_UP_WITHIN, target.upstream.address()).await {
        Ok(Ok(address)) => {
            let line = address_line(integration, address.ip());
            (Some(line), "a name; this is one of its addresses".to_owned())
        }
        Ok(Err(error)) => (None, error.to_string()),
        Err(_) => (None, "a name; it was not found in two seconds".to_owned()),
    }
}

fn now_s() -> i64 {
    clock::now_ms() / 1000
}

/// How long an answer waits for one name.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(2);
