//! `gwctl`, the operators' command line: applies snapshot documents, shows what is configured and how the gateways are.
//!
//! Data goes to standard output and everything else to standard error. It talks to the control plane's public API only.

use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use filters::model::Secret;

mod answers;
mod apply;
mod change;
mod client;
mod dead_letters;
mod delete;
mod diff;
mod doc;
mod documents;
mod dump;
mod endpoints;
mod erase;
mod explain;
mod failure;
mod get;
mod history;
mod import;
mod keys;
mod kind;
mod login;
mod logs;
mod lookups;
mod orders;
mod output;
mod placeholder;
mod rollout;
mod sheets;
mod status;
mod table;
mod tokens;
mod trash;
mod users;
mod validate;

use client::Client;
use failure::{Failure, Outcome};
use output::{Format, Output};

/// Reads the process's own command line, does what it says, and reports on the process's own streams.
pub fn main() -> ExitCode {
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    run(
        std::env::args_os(),
        colour,
        &mut io::stdout().lock(),
        &mut io::stderr().lock(),
    )
    .into()
}

/// The same for a given command line and given streams; returns the exit code.
fn run(
    arguments: impl IntoIterator<Item = OsString>,
    colour: bool,
    data: &mut dyn Write,
    messages: &mut dyn Write,
) -> u8 {
    let arguments = match CommandLine::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let text = error.render();
            let to: &mut dyn Write = if error.use_stderr() { messages } else { data };
            // Nobody is left to tell if this fails.
            let _ = write!(to, "{text}");
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let mut output = Output {
        format: arguments.output,
        colour,
        data,
        messages,
    };
    let ended = arguments.execute(&mut output);
    let ended = ended.and_then(|outcome| Ok(output.data.flush().map(|()| outcome)?));
    match ended {
        Ok(outcome) => outcome.exit_code(),
        // The reader has seen enough, as `head` does.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(failure) => {
            let _ = writeln!(output.messages, "error: {}", table::printable(&failure.to_string()));
            for detail in failure.details() {
                let _ = writeln!(output.messages, "  {}", table::printable(&detail));
            }
            failure.exit_code()
        }
    }
}

/// Heading of the options that every command has.
const CONNECTION: &str = "Connection";

const EXIT_CODES: &str = "\
Exit codes:
  0  done; no differences; every gateway up to date
  1  diff, compare: there are differences; status: a gateway is behind or away; apply --wait: not live in time;
     rollout: it was rolled back
  2  the command line is wrong
  3  the files are wrong: every problem is printed with its file and path
  4  the control plane refused
  5  the control plane cannot be reached, or did not answer as one
  6  the output cannot be written";

/// Applies integrations to the Integration Gateway and shows what is configured.
#[derive(Debug, Parser)]
#[command(name = "gwctl", version, after_help = EXIT_CODES)]
struct CommandLine {
    /// Address of the control plane
    #[arg(long, help_heading = CONNECTION, env = "GWCTL_SERVER", default_value = "http://127.0.0.1:7070", global = true)]
    server: String,
    /// Operator's API key; better given by the environment, as others see command lines
    #[arg(long, help_heading = CONNECTION, env = "GWCTL_KEY", hide_env_values = true, value_parser = secret, global = true)]
    key: Option<Secret>,
    /// File that holds the operator's API key
    #[arg(long, help_heading = CONNECTION, env = "GWCTL_KEY_FILE", conflicts_with = "key", global = true)]
    key_file: Option<PathBuf>,
    /// The longest that one call may take, in seconds
    #[arg(long, help_heading = CONNECTION, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600), global = true)]
    timeout: u64,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Signs in with an account; calls without a key are made in its session from then on
    Login(login::Login),
    /// Ends the session of `login`
    Logout,
    /// Checks documents and makes them live, all or nothing
    Apply(apply::Apply),
    /// Shows what apply would change; exits with 1 if anything
    Diff(diff::Diff),
    /// Shows what is configured (json and yaml can be applied again), or versions
    Get(Get),
    /// Writes everything of an organization to files that apply and diff read
    Dump(dump::Dump),
    /// Deletes one object of an organization
    Delete(Delete),
    /// Shows the versions, or those of one object with what each changed, newest first
    History(history::History),
    /// Shows what differs between two versions; exits with 1 if anything
    Compare(history::Compare),
    /// Puts one object, or all of them, back to what they were at a version, by a new version
    Rollback(history::Rollback),
    /// Publishes a change to some of the gateways first, and watches over it
    #[command(subcommand)]
    Rollout(rollout::Rollout),
    /// Makes an inbound integration of an OpenAPI document, or changes one
    Import(import::Import),
    /// Checks documents without a server
    Validate(Files),
    /// Writes the design document of an integration, as Markdown, from what is configured
    Doc(doc::Doc),
    /// Says what becomes of a request under the documents, and why, without a server
    Explain(explain::Explain),
    /// Shows the gateways and which version each of them runs; exits with 1 if one is behind or away
    Status,
    /// Forgets a gateway that was taken away for good, so that nothing waits for it
    RemoveGateway(status::Remove),
    /// Makes lookup tables of files, and files of lookup tables
    #[command(subcommand)]
    Lookup(lookups::Lookup),
    /// Shows deleted objects, and brings them back
    #[command(subcommand)]
    Trash(trash::Trash),
    /// Shows accounts of people, makes, changes and deletes them
    #[command(subcommand)]
    Users(users::Users),
    /// Shows API keys of programs, makes, changes and deletes them
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Shows templates, keeps them, and makes integrations of them
    #[command(subcommand)]
    Templates(sheets::Templates),
    /// Shows scheduled jobs and keeps them
    #[command(subcommand)]
    Jobs(sheets::Jobs),
    /// Shows dead letters, tries them again, gives them up, deletes them
    #[command(subcommand)]
    Dlq(dead_letters::Dlq),
    /// Shows attempts at deliveries, newest first
    Logs(logs::Logs),
    /// Shows what is not delivered yet and why, by endpoint
    Undelivered(endpoints::Undelivered),
    /// Stops deliveries to the endpoint of an outbound integration; its events are kept
    Pause(endpoints::Pause),
    /// Goes on with deliveries to an endpoint that was paused, disabled or left alone
    Resume(endpoints::Resume),
    /// Delivers events once more that gateways still have
    Replay(endpoints::Replay),
    /// Removes what is kept of a person: in logs, dead letters and the queues of the gateways
    Erase(erase::Erase),
    /// Shows erasures, and which gateways they wait for
    Erasures(erase::Erasures),
    /// Shows what became of a command to a gateway
    #[command(name = "command")]
    Order(orders::Show),
}

/// Documents to read.
#[derive(Debug, Args)]
struct Files {
    /// File, folder (its *.yaml, *.yml and *.json) or - for standard input; can be given several times
    #[arg(short, long = "file", value_name = "FILE|DIR|-", required = true)]
    file: Vec<PathBuf>,
    /// Value for ${NAME} in the texts of the documents; ${NAME:-default} needs none, $${NAME} stays as it is
    #[arg(long, value_name = "NAME=VALUE", value_parser = placeholder::parse_setting)]
    set: Vec<(String, String)>,
}

/// What to delete beside what the documents say.
#[derive(Debug, Args)]
struct Prune {
    /// Also deletes the integrations, inbound and outbound, of the organization --org that are not in the documents
    #[arg(long, requires = "org")]
    prune: bool,
    /// Organization to prune
    #[arg(long, requires = "prune", value_name = "ORG_ID")]
    org: Option<u64>,
    /// Prunes objects of every kind, not integrations only; the organization itself stays
    #[arg(long, requires = "prune")]
    all_kinds: bool,
    /// Prunes even if the documents hold no integration of --org, which deletes all that it has
    #[arg(long, requires = "prune")]
    allow_empty: bool,
}

impl Prune {
    /// Refuses to delete all that an organization has because of an empty or wrong file.
    fn check(&self, wanted: &filters::model::Snapshot) -> Result<(), Failure> {
        let Some(org) = self.org.filter(|_| self.prune && !self.allow_empty) else {
            return Ok(());
        };
        let inbound = wanted.integrations.values().map(|entry| entry.value.org_id);
        let outbound = wanted.outbound.values().map(|entry| entry.value.org_id);
        if inbound.chain(outbound).any(|owner| owner == org) {
            return Ok(());
        }
        let message = format!(
            "no document holds an integration of organization {org}, so --prune would delete all that it has; give the \
             right files, or --allow-empty if that is meant"
        );
        let problem = filters::model::Problem::new("", message);
        Err(Failure::Invalid(vec![failure::FileProblem::new("", problem)]))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Noun {
    /// Inbound integrations
    #[value(alias = "integration")]
    Integrations,
    /// Outbound integrations
    #[value(alias = "outbounds")]
    Outbound,
    #[value(alias = "event-type")]
    EventTypes,
    #[value(alias = "producer-key")]
    ProducerKeys,
    #[value(alias = "certificate")]
    Certificates,
    #[value(alias = "lookup")]
    Lookups,
    #[value(alias = "consumer")]
    Consumers,
    #[value(alias = "unit")]
    Units,
    #[value(alias = "organization")]
    Organizations,
    #[value(alias = "version")]
    Versions,
}

/// Nouns of what belongs to an organization, as they may be written.
const OWNED: [&str; 16] = [
    "integrations",
    "integration",
    "outbound",
    "outbounds",
    "event-types",
    "event-type",
    "producer-keys",
    "producer-key",
    "certificates",
    "certificate",
    "lookups",
    "lookup",
    "consumers",
    "consumer",
    "units",
    "unit",
];

#[derive(Debug, Args)]
struct Get {
    #[arg(value_enum)]
    what: Noun,
    /// Identifier of one of them; all if left out
    #[arg(value_parser = identifier)]
    id: Option<String>,
    /// Organization that it belongs to; must be given for all but organizations and versions
    #[arg(long, value_name = "ORG_ID", required_if_eq_any = OWNED.map(|noun| ("what", noun)))]
    org: Option<u64>,
}

#[derive(Debug, Args)]
struct Delete {
    #[arg(value_enum)]
    what: Deletable,
    /// Its identifier
    #[arg(value_parser = identifier)]
    id: String,
    /// Organization that it belongs to
    #[arg(long, value_name = "ORG_ID")]
    org: u64,
    /// Why; stays with the version
    #[arg(short, long)]
    message: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Deletable {
    /// An inbound integration
    #[value(alias = "integrations")]
    Integration,
    /// An outbound integration
    Outbound,
    #[value(alias = "event-types")]
    EventType,
    #[value(alias = "producer-keys")]
    ProducerKey,
    #[value(alias = "certificates")]
    Certificate,
    #[value(alias = "lookups")]
    Lookup,
    #[value(alias = "consumers")]
    Consumer,
    #[value(alias = "units")]
    Unit,
}

impl CommandLine {
    fn execute(&self, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        match &self.command {
            Command::Validate(files) => validate::run(files, output),
            Command::Explain(explain) => explain.run(output),
            Command::Login(login) => login.run(&self.client(output)?, output),
            Command::Logout => login::logout(&self.client(output)?, output),
            Command::Apply(apply) => apply.run(&self.client(output)?, output),
            Command::Diff(diff) => diff.run(&self.client(output)?, output),
            Command::History(history) => history.run(&self.client(output)?, output),
            Command::Compare(compare) => compare.run(&self.client(output)?, output),
            Command::Rollback(rollback) => rollback.run(&self.client(output)?, output),
            Command::Rollout(rollout) => rollout.run(&self.client(output)?, output),
            Command::Import(import) => import.run(&self.client(output)?, output),
            Command::Get(get) => get.run(&self.client(output)?, output),
            Command::Dump(dump) => dump.run(&self.client(output)?, output),
            Command::Delete(delete) => delete.run(&self.client(output)?, output),
            Command::Doc(doc) => doc.run(&self.client(output)?, output),
            Command::Status => status::run(&self.client(output)?, output),
            Command::RemoveGateway(remove) => remove.run(&self.client(output)?, output),
            Command::Lookup(lookup) => lookup.run(&self.client(output)?, output),
            Command::Trash(trash) => trash.run(&self.client(output)?, output),
            Command::Users(users) => users.run(&self.client(output)?, output),
            Command::Keys(keys) => keys.run(&self.client(output)?, output),
            Command::Templates(templates) => templates.run(&self.client(output)?, output),
            Command::Jobs(jobs) => jobs.run(&self.client(output)?, output),
            Command::Dlq(dlq) => dlq.run(&self.client(output)?, output),
            Command::Logs(logs) => logs.run(&self.client(output)?, output),
            Command::Undelivered(undelivered) => undelivered.run(&self.client(output)?, output),
            Command::Pause(pause) => pause.run(&self.client(output)?, output),
            Command::Resume(resume) => resume.run(&self.client(output)?, output),
            Command::Replay(replay) => replay.run(&self.client(output)?, output),
            Command::Erase(erase) => erase.run(&self.client(output)?, output),
            Command::Erasures(erasures) => erasures.run(&self.client(output)?, output),
            Command::Order(show) => show.run(&self.client(output)?, output),
        }
    }

    fn client(&self, output: &mut Output<'_>) -> Result<Client, Failure> {
        let from_file = self.key_file.as_ref().map(key_in).transpose()?;
        let key = self.key.as_ref().or(from_file.as_ref());
        let client = Client::new(&self.server, key, Duration::from_secs(self.timeout))?;
        if let Some(warning) = client.warning() {
            output.say(warning)?;
        }
        Ok(client)
    }
}

impl Files {
    fn load(&self) -> Result<documents::Documents, Failure> {
        let settings = self.set.iter().cloned().collect();
        documents::Documents::load(&self.file, &settings)
    }
}

fn key_in(file: &PathBuf) -> Result<Secret, Failure> {
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::Usage(format!("--key-file {} cannot be read: {error}", file.display())))?;
    match text.trim() {
        "" => Err(Failure::Usage(format!("--key-file {} is empty", file.display()))),
        key => Ok(Secret::new(key)),
    }
}

fn secret(text: &str) -> Result<Secret, String> {
    match text.trim() {
        "" => Err("is empty".to_owned()),
        key => Ok(Secret::new(key)),
    }
}

fn identifier(text: &str) -> Result<String, String> {
    match text {
        "" | "." | ".." => Err("is not an identifier".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests;
