//! `gwctl logs`.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::client::Client;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::table::Table;

/// Which records of an organization.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Organization
    #[arg(long, value_name = "ORG_ID")]
    pub(super) org: u64,
    /// Only those of this outbound integration
    #[arg(long, value_name = "ID")]
    pub(super) integration: Option<String>,
    /// Only those in this state, such as FAILED, or ABANDONED
    #[arg(long)]
    pub(super) status: Option<String>,
    /// Only those of events of this type
    #[arg(long, value_name = "TYPE")]
    pub(super) event_type: Option<String>,
    /// Only those from this time on: RFC 3339, or a date (UTC)
    #[arg(long, value_name = "TIME")]
    pub(super) from: Option<String>,
    /// Only those before this time: RFC 3339; or a date (UTC), which is included
    #[arg(long, value_name = "TIME")]
    pub(super) to: Option<String>,
}

/// Which page of them.
#[derive(Debug, Args)]
pub(super) struct Page {
    /// Only those with this text in an identifier, name, address or error
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// How many, 1 to 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Go on where the page before ended
    #[arg(long)]
    cursor: Option<String>,
}

/// Attempts to show.
#[derive(Debug, Args)]
pub(super) struct Logs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    page: Page,
    /// Only those for this event
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// Only those at this delivery
    #[arg(long, value_name = "ID")]
    message: Option<String>,
    /// Write all of them in this form instead of showing a page, as in `--export csv > logs.csv`
    #[arg(long, value_name = "FORM", conflicts_with_all = ["limit", "cursor"])]
    export: Option<Export>,
}

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Export {
    /// A table
    Csv,
    /// A JSON object on each line
    Jsonl,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    logs: Vec<Attempt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// An attempt at a delivery.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attempt {
    created_at: String,
    integration_name: String,
    event_type: String,
    status: String,
    response_status: Option<u16>,
    response_time_ms: u64,
    attempt_count: u32,
    error_message: Option<String>,
    /// What is shown to programs only.
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Logs {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let mut query = self.which.query();
        query.extend(self.event.clone().map(|event| ("eventId", event)));
        query.extend(self.message.clone().map(|message| ("messageId", message)));
        if let Some(export) = self.export {
            let format = match export {
                Export::Csv => "csv",
                Export::Jsonl => "jsonl",
            };
            query.push(("format", format.to_owned()));
            query.extend(self.page.search.clone().map(|text| ("search", text)));
            client.copy(&["logs", "export"], &query, output.data)?;
            return Ok(Outcome::Done);
        }
        query.extend(self.page.query());
        let answer: Answer = client.get(&["logs"], &query)?;
        output.show(&answer, |answer, out| write(&answer.logs, out))?;
        say_more(answer.next_cursor.as_deref(), output)?;
        Ok(Outcome::Done)
    }
}

impl Which {
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = vec![("orgId", self.org.to_string())];
        let narrowings = [
            ("integrationConfigId", &self.integration),
            ("status", &self.status),
            ("eventType", &self.event_type),
            ("startDate", &self.from),
            ("endDate", &self.to),
        ];
        query.extend(
            narrowings
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.clone()?))),
        );
        query
    }
}

impl Page {
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = vec![("limit", self.limit.to_string())];
        query.extend(self.search.clone().map(|text| ("search", text)));
        query.extend(self.cursor.clone().map(|cursor| ("cursor", cursor)));
        query
    }
}

/// Says where to go on, if there is more.
pub(super) fn say_more(next_cursor: Option<&str>, output: &mut Output<'_>) -> Result<(), Failure> {
    match next_cursor {
        Some(cursor) => output.say(format_args!("there are more: --cursor {cursor}")),
        None => Ok(()),
    }
}

pub(super) fn write(attempts: &[Attempt], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&[
        "AT",
        "INTEGRATION",
        "EVENT TYPE",
        "STATUS",
        "ATTEMPT",
        "ANSWER",
        "MS",
        "ERROR",
    ]);
    for attempt in attempts {
        table.row([
            attempt.created_at.clone(),
            attempt.integration_name.clone(),
            attempt.event_type.clone(),
            attempt.status.clone(),
            attempt.attempt_count.to_string(),
            attempt
                .response_status
                .map(|status| status.to_string())
                .unwrap_or_default(),
            attempt.response_time_ms.to_string(),
            attempt.error_message.clone().unwrap_or_default(),
        ]);
    }
    table.write(out)
}
