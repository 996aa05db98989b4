//! `gwctl explain`.

use std::io::{self, Write};
use std::net::IpAddr;

use clap::Args;
use filters::explain::{Explanation, Question, explain};

use super::Files;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::table::{Table, printable};

/// A request to explain.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    files: Files,
    /// Request line, as `GET /v1/a HTTP/1.1` or `GET https://a.example/v1/a`
    #[arg(value_name = "REQUEST_LINE")]
    line: String,
    /// Header line, as `Host: a.example`; can be given several times
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Address that the client calls from
    #[arg(long, value_name = "ADDRESS")]
    client: Option<IpAddr>,
    /// Host on which the gateway's own paths win, as `gateway.apiHosts` says; can be given several times
    #[arg(long, value_name = "HOST")]
    api_host: Vec<String>,
}

impl Explain {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let question = Question::read(&self.line, &self.header, self.client, now_s);
        let question = question.map_err(|problem| Failure::Usage(problem.to_string()))?;
        let documents = self.files.load()?;
        let plan = documents.compiled()?;
        let told = explain(&plan, &self.api_host, &question);
        output.show(&told, write)?;
        Ok(Outcome::Done)
    }
}

fn write(told: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", printable(&told.verdict))?;
    if let Some(integration) = &told.integration {
        let name = format!(
            "integration {} ({}), organization {}",
            integration.id, integration.name, integration.org_id
        );
        writeln!(out, "{}", printable(&name))?;
    }
    if !told.routes.is_empty() {
        writeln!(out)?;
        let mut table = Table::new(&["", "INTEGRATION", "HOST", "PATH", "METHODS", "WHY"]);
        for route in &told.routes {
            table.row([
                if route.matches { "*" } else { "" }.to_owned(),
                route.integration.clone(),
                route.host.clone(),
                route.path.clone(),
                route.methods.clone(),
                route.why.clone(),
            ]);
        }
        table.write(out)?;
    }
    if !told.steps.is_empty() {
        writeln!(out)?;
        let mut table = Table::new(&["STEP", "WHAT HAPPENS"]);
        for step in &told.steps {
            table.row([step.step.clone(), step.says.clone()]);
        }
        table.write(out)?;
    }
    if !told.targets.is_empty() {
        writeln!(out)?;
        let mut table = Table::new(&["TARGET", "WEIGHT", "ADDRESSES"]);
        for target in &told.targets {
            let addresses: Vec<String> = target
                .addresses
                .iter()
                .map(|line| {
                    let refused = if line.allowed { "" } else { ", refused" };
                    format!("{} ({}{refused})", line.address, line.class)
                })
                .chain(target.note.clone())
                .collect();
            table.row([target.target.clone(), target.weight.to_string(), addresses.join("; ")]);
        }
        table.write(out)?;
    }
    if !told.options.is_empty() {
        writeln!(out)?;
        let mut table = Table::new(&["OPTION", "CONFIGURED"]);
        for line in &told.options {
            table.row([line.option.clone(), line.configured.to_string()]);
        }
        table.write(out)?;
    }
    Ok(())
}

fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}
