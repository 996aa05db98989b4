//! `gwctl erase` and `gwctl erasures`.

use std::io::{self, Write};

use clap::Args;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::client::Client;
use super::failure::{Failure, Outcome};
use super::logs::say_more;
use super::orders::within;
use super::output::Output;
use super::table::Table;

/// Whose payloads are to be removed.
#[derive(Debug, Args)]
pub(super) struct Erase {
    /// Organization that the person is known to
    #[arg(long, value_name = "ORG_ID")]
    org: u64,
    /// What the person is known by in payloads, as an identifier or an e-mail address: the whole value or a word of it
    #[arg(long, value_name = "ID")]
    subject: String,
    /// Looks for it in everything, however short it is and wherever the organization's subjectPaths say: what has it by
    /// chance is removed, too
    #[arg(long)]
    anywhere: bool,
}

/// Erasures to show.
#[derive(Debug, Args)]
pub(super) struct Erasures {
    /// Organization; must be given if the key is limited to some
    #[arg(long, value_name = "ORG_ID")]
    org: Option<u64>,
    /// Go on where the page before ended
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct List {
    erasures: Vec<Shown>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// What is shown to programs only.
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// An erasure.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: String,
    state: String,
    gateways: Vec<Part>,
    removed: Removed,
    /// What is shown to programs only.
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    gateway_id: String,
    done: bool,
    #[serde(default)]
    gone: bool,
    events: u64,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Removed {
    delivery_logs: u64,
    execution_logs: u64,
    dead_letters: u64,
    scheduled: u64,
}

impl Erase {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let body = json!({"orgId": self.org, "subject": self.subject, "anywhere": self.anywhere});
        let begun: Shown = client.order(Method::POST, &["admin", "erasures"], &[], Some(&body))?;
        output.show(&begun, |begun, out| write(std::slice::from_ref(begun), out))?;
        output.say(
            "it goes on until every gateway has done its part, or is removed; `gwctl erasures` shows how far it is",
        )?;
        Ok(Outcome::Done)
    }
}

impl Erasures {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let mut query = within(self.org);
        query.extend(self.cursor.clone().map(|cursor| ("cursor", cursor)));
        let list: List = client.get(&["admin", "erasures"], &query)?;
        output.show(&list, |list, out| write(&list.erasures, out))?;
        say_more(list.next_cursor.as_deref(), output)?;
        Ok(Outcome::Done)
    }
}

fn write(erasures: &[Shown], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&[
        "ERASURE",
        "STATE",
        "LOGS",
        "CALLS",
        "DEAD LETTERS",
        "SCHEDULED",
        "EVENTS IN QUEUES",
        "WAITS FOR",
        "NOT REACHED",
    ]);
    for erasure in erasures {
        let events: u64 = erasure.gateways.iter().map(|part| part.events).sum();
        let named = |is_wanted: fn(&Part) -> bool| {
            let wanted = erasure.gateways.iter().filter(|part| is_wanted(part));
            let names: Vec<&str> = wanted.map(|part| part.gateway_id.as_str()).collect();
            names.join(", ")
        };
        let removed = &erasure.removed;
        table.row([
            erasure.id.clone(),
            erasure.state.clone(),
            removed.delivery_logs.to_string(),
            removed.execution_logs.to_string(),
            removed.dead_letters.to_string(),
            removed.scheduled.to_string(),
            events.to_string(),
            named(|part| !part.done && !part.gone),
            named(|part| part.gone),
        ]);
    }
    table.write(out)
}
