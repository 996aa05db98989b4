//! `gwctl undelivered`, `pause`, `resume` and `replay`.

use std::io::{self, Write};

use clap::Args;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::client::Client;
use super::failure::{Failure, Outcome};
use super::identifier;
use super::orders::{give, within};
use super::output::Output;
use super::table::Table;

/// Endpoints to show.
#[derive(Debug, Args)]
pub(super) struct Undelivered {
    /// Organization; must be given if the key is limited to some
    #[arg(long, value_name = "ORG_ID")]
    org: Option<u64>,
    /// Only this outbound integration
    #[arg(long, value_name = "ID")]
    integration: Option<String>,
}

/// An endpoint to stop or to go on with.
#[derive(Debug, Args)]
pub(super) struct Endpoint {
    /// The outbound integration
    #[arg(value_parser = identifier)]
    id: String,
    /// Organization that it belongs to; must be given if the key is limited to some
    #[arg(long, value_name = "ORG_ID")]
    org: Option<u64>,
    /// Only at this gateway; at all that are known if left out
    #[arg(long, value_name = "ID")]
    gateway: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Pause {
    #[command(flatten)]
    endpoint: Endpoint,
}

#[derive(Debug, Args)]
pub(super) struct Resume {
    #[command(flatten)]
    endpoint: Endpoint,
}

/// Events to deliver once more.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// Organization
    #[arg(long, value_name = "ORG_ID")]
    org: u64,
    /// This event; can be given several times
    #[arg(long = "event", value_name = "ID", required_unless_present = "from")]
    events: Vec<String>,
    /// Events accepted from this time on: RFC 3339, or a date (UTC)
    #[arg(long, value_name = "TIME", conflicts_with = "events")]
    from: Option<String>,
    /// Events accepted before this time: RFC 3339; or a date (UTC), which is included. Now if left out
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<String>,
    /// To this outbound integration only; to all that match if left out
    #[arg(long, value_name = "ID")]
    integration: Option<String>,
    /// Only what this gateway has; all gateways if left out
    #[arg(long, value_name = "ID")]
    gateway: Option<String>,
}

/// The body of a replay.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplayBody<'a> {
    org_id: u64,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    event_ids: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    integration_config_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway_id: Option<&'a str>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Answer {
    endpoints: Vec<Waiting>,
}

/// What waits for an endpoint at one gateway.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    gateway_id: String,
    connected: bool,
    integration_config_id: String,
    open: u64,
    oldest: Option<String>,
    state: String,
    reason: Option<String>,
    next_attempt_at: Option<String>,
    /// What is shown to programs only.
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Undelivered {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let mut query = within(self.org);
        query.extend(self.integration.clone().map(|id| ("integrationConfigId", id)));
        let answer: Answer = client.get(&["undelivered"], &query)?;
        output.show(&answer, write)?;
        Ok(Outcome::Done)
    }
}

impl Pause {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        self.endpoint.order("pause", client, output)
    }
}

impl Resume {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        self.endpoint.order("resume", client, output)
    }
}

impl Endpoint {
    fn order(&self, action: &str, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let mut query = within(self.org);
        query.extend(self.gateway.clone().map(|gateway| ("gatewayId", gateway)));
        let path = ["outbound-integrations", &self.id, action];
        give(client, output, Method::POST, &path, &query, None)
    }
}

impl Replay {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let body = ReplayBody {
            org_id: self.org,
            event_ids: &self.events,
            from: self.from.as_deref(),
            to: self.to.as_deref(),
            integration_config_id: self.integration.as_deref(),
            gateway_id: self.gateway.as_deref(),
        };
        let body = serde_json::to_value(&body).map_err(io::Error::from)?;
        give(client, output, Method::POST, &["replay"], &[], Some(&body))
    }
}

fn write(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&[
        "INTEGRATION",
        "GATEWAY",
        "WAITING",
        "OLDEST",
        "STATE",
        "NEXT ATTEMPT",
        "WHY",
    ]);
    for waiting in &answer.endpoints {
        table.row([
            waiting.integration_config_id.clone(),
            if waiting.connected {
                waiting.gateway_id.clone()
            } else {
                format!("{} (away)", waiting.gateway_id)
            },
            waiting.open.to_string(),
            waiting.oldest.clone().unwrap_or_default(),
            waiting.state.clone(),
            waiting.next_attempt_at.clone().unwrap_or_default(),
            waiting.reason.clone().unwrap_or_default(),
        ]);
    }
    table.write(out)
}
