//! `gwctl dlq`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::client::Client;
use super::failure::{Failure, Outcome};
use super::identifier;
use super::logs::{self, Attempt, Page, Which, say_more};
use super::orders::{give, within};
use super::output::Output;
use super::table::{Table, printable};

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(super) enum Dlq {
    /// Shows dead letters, newest first
    List(List),
    /// Shows a dead letter with its payload and what was tried
    Show(One),
    /// Tries a dead letter again
    Retry(Retry),
    /// Tries many dead letters again, in the background: all of an organization, or those that the options let through
    RetryMany(RetryMany),
    /// Shows how far a retry of many is
    Progress(One),
    /// Gives a dead letter up: it is not tried again by itself
    Abandon(One),
    /// Deletes a dead letter: its event is not delivered
    Delete(One),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    which: Which,
    /// Only those of deliveries, or of calls of clients
    #[arg(long, value_enum)]
    direction: Option<Direction>,
    #[command(flatten)]
    page: Page,
}

/// Which way it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Direction {
    /// Calls of clients
    Inbound,
    /// Deliveries
    Outbound,
}

impl Direction {
    fn parameter(self) -> (&'static str, String) {
        let name = match self {
            Self::Inbound => "INBOUND",
            Self::Outbound => "OUTBOUND",
        };
        ("direction", name.to_owned())
    }
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// Its identifier
    #[arg(value_parser = identifier)]
    id: String,
    /// Organization that it belongs to; must be given if the key is limited to some
    #[arg(long, value_name = "ORG_ID")]
    org: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct Retry {
    #[command(flatten)]
    one: One,
    /// File with the JSON that takes the place of the payload
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RetryMany {
    #[command(flatten)]
    which: Which,
    /// Only those of deliveries, or of calls of clients
    #[arg(long, value_enum)]
    direction: Option<Direction>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    dead_letters: Vec<Letter>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// A dead letter.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Letter {
    id: String,
    integration_name: String,
    event_type: String,
    status: String,
    attempt_count: u32,
    next_retry_at: Option<String>,
    last_error: String,
    created_at: String,
    /// What is shown to programs, and with a single one.
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// A dead letter with what was tried.
#[derive(Debug, Deserialize, Serialize)]
struct Traced {
    trace: Vec<Attempt>,
    #[serde(flatten)]
    letter: Letter,
}

/// How far a retry of many is.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    id: String,
    state: String,
    total: u64,
    queued: u64,
    done: u64,
    failed: u64,
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Dlq {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        match self {
            Self::List(list) => list.run(client, output),
            Self::Show(One { id, org }) => {
                let traced: Traced = client.get(&["dlq", id], &within(*org))?;
                output.show(&traced, write_one)?;
                Ok(Outcome::Done)
            }
            Self::Retry(Retry {
                one: One { id, org },
                payload,
            }) => {
                let body = payload.as_ref().map(payload_in).transpose()?;
                give(
                    client,
                    output,
                    Method::POST,
                    &["dlq", id, "retry"],
                    &within(*org),
                    body.as_ref(),
                )
            }
            Self::RetryMany(many) => many.run(client, output),
            Self::Progress(One { id, org }) => {
                let progress: Progress = client.get(&["dlq", "bulk", id], &within(*org))?;
                output.show(&progress, write_progress)?;
                Ok(Outcome::Done)
            }
            Self::Abandon(One { id, org }) => give(
                client,
                output,
                Method::POST,
                &["dlq", id, "abandon"],
                &within(*org),
                None,
            ),
            Self::Delete(One { id, org }) => give(client, output, Method::DELETE, &["dlq", id], &within(*org), None),
        }
    }
}

impl List {
    fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let mut query = self.which.query();
        query.extend(self.direction.map(Direction::parameter));
        query.extend(self.page.query());
        let answer: Answer = client.get(&["dlq"], &query)?;
        output.show(&answer, |answer, out| write(&answer.dead_letters, out))?;
        say_more(answer.next_cursor.as_deref(), output)?;
        Ok(Outcome::Done)
    }
}

impl RetryMany {
    fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let query = self.which.query();
        let direction = self.direction.map(Direction::parameter);
        let narrowings = query.into_iter().chain(direction).filter(|(name, _)| *name != "orgId");
        let filter: Map<String, Value> = narrowings
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let body = json!({"orgId": self.which.org, "filter": filter});
        let progress: Progress = client.order(Method::POST, &["dlq", "bulk-retry"], &[], Some(&body))?;
        output.show(&progress, write_progress)?;
        output.say(format_args!("`gwctl dlq progress {}` shows how far it is", progress.id))?;
        Ok(Outcome::Done)
    }
}

fn payload_in(file: &PathBuf) -> Result<Value, Failure> {
    let unusable = |what: String| Failure::Usage(format!("--payload {} {what}", file.display()));
    let text = std::fs::read(file).map_err(|error| unusable(format!("cannot be read: {error}")))?;
    let payload: Value = serde_json::from_slice(&text).map_err(|error| unusable(format!("is not JSON: {error}")))?;
    Ok(json!({"payload": payload}))
}

fn write(letters: &[Letter], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&[
        "ID",
        "SINCE",
        "INTEGRATION",
        "EVENT TYPE",
        "STATUS",
        "ATTEMPTS",
        "NEXT RETRY",
        "ERROR",
    ]);
    for letter in letters {
        table.row([
            letter.id.clone(),
            letter.created_at.clone(),
            letter.integration_name.clone(),
            letter.event_type.clone(),
            letter.status.clone(),
            letter.attempt_count.to_string(),
            letter.next_retry_at.clone().unwrap_or_default(),
            letter.last_error.clone(),
        ]);
    }
    table.write(out)
}

fn write_one(traced: &Traced, out: &mut dyn Write) -> io::Result<()> {
    let letter = &traced.letter;
    let more = |field: &str| match letter.more.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let lines = [
        ("id", letter.id.clone()),
        (
            "integration",
            format!("{} ({})", letter.integration_name, more("integrationConfigId")),
        ),
        ("event", format!("{} {}", letter.event_type, more("eventId"))),
        ("status", letter.status.clone()),
        ("since", letter.created_at.clone()),
        (
            "next retry",
            letter.next_retry_at.clone().unwrap_or_else(|| "none".to_owned()),
        ),
        ("target", format!("{} {}", more("httpMethod"), more("targetUrl"))),
        ("error", format!("{}: {}", more("errorCategory"), letter.last_error)),
        ("gateway", more("gatewayId")),
        ("trace", more("traceId")),
        ("payload", more("originalPayload")),
    ];
    // Of a client's call, what came.
    let call = Some(("call", more("call"))).filter(|(_, call)| !call.is_empty());
    for (name, value) in lines.into_iter().chain(call) {
        writeln!(out, "{name:<12} {}", printable(&value))?;
    }
    writeln!(out)?;
    logs::write(&traced.trace, out)
}

fn write_progress(progress: &Progress, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&["ID", "STATE", "TOTAL", "QUEUED", "TRIED AGAIN", "NOT TRIED"]);
    table.row([
        progress.id.clone(),
        progress.state.clone(),
        progress.total.to_string(),
        progress.queued.to_string(),
        progress.done.to_string(),
        progress.failed.to_string(),
    ]);
    table.write(out)
}
