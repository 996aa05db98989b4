//! Commands to gateways, as they are given and as `gwctl command` shows them.

use std::io::{self, Write};

use clap::Args;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::client::Client;
use super::failure::{Failure, Outcome};
use super::identifier;
use super::output::Output;
use super::table::Table;

/// A command to show.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Its identifier
    #[arg(value_parser = identifier)]
    id: String,
    /// Organization that it is about; must be given if the key is limited to some
    #[arg(long, value_name = "ORG_ID")]
    org: Option<u64>,
}

/// Commands that were given.
#[derive(Debug, Deserialize, Serialize)]
struct Given {
    commands: Vec<Order>,
}

/// A command to a gateway.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    id: String,
    gateway_id: String,
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<OrderResult>,
    /// What is shown to programs only.
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// What became of a command.
#[derive(Debug, Deserialize, Serialize)]
struct OrderResult {
    done: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failed: Vec<OrderFailure>,
}

#[derive(Debug, Deserialize, Serialize)]
struct OrderFailure {
    id: String,
    error: String,
}

impl Show {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let order: Order = client.get(&["commands", &self.id], &within(self.org))?;
        output.show(&order, |order, out| write(std::slice::from_ref(order), out))?;
        Ok(Outcome::Done)
    }
}

/// Has gateways do something, and shows the commands that were made of it.
pub(super) fn give(
    client: &Client,
    output: &mut Output<'_>,
    method: Method,
    segments: &[&str],
    query: &[(&str, String)],
    body: Option<&Value>,
) -> Result<Outcome, Failure> {
    let given: Given = client.order(method, segments, query, body)?;
    output.show(&given, |given, out| write(&given.commands, out))?;
    output.say("gateways have it done when they are connected; `gwctl command ID` shows what became of it")?;
    Ok(Outcome::Done)
}

/// The organization as a query parameter.
pub(super) fn within(org: Option<u64>) -> Vec<(&'static str, String)> {
    org.map(|org| ("orgId", org.to_string())).into_iter().collect()
}

fn write(orders: &[Order], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&["COMMAND", "GATEWAY", "STATE", "DONE", "NOT DONE, FIRST OF ALL"]);
    for order in orders {
        let result = order.result.as_ref();
        let failed = result.and_then(|result| {
            let first = result.failed.first()?;
            Some(format!("{}: {} ({})", result.failed.len(), first.error, first.id))
        });
        table.row([
            order.id.clone(),
            order.gateway_id.clone(),
            order.state.clone(),
            result.map(|result| result.done.to_string()).unwrap_or_default(),
            failed.unwrap_or_default(),
        ]);
    }
    table.write(out)
}
