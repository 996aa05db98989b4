//! `gwctl status` and `gwctl remove-gateway`.

use std::io::{self, Write};

use clap::Args;

use super::answers::{Gateway, Gateways};
use super::client::Client;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::table::{Table, counted};

pub(super) fn run(client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
    let gateways: Gateways = client.get(&["gateways"], &[])?;
    output.show(&gateways, write)?;
    if gateways.gateways.is_empty() {
        output.say("no gateway has ever connected to this control plane")?;
    }
    if gateways.gateways.iter().all(Gateway::is_up_to_date) {
        Ok(Outcome::Done)
    } else {
        Ok(Outcome::Different)
    }
}

/// The gateway to forget.
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Its name, as `gwctl status` shows it
    #[arg(value_name = "GATEWAY", value_parser = super::identifier)]
    gateway: String,
}

impl Remove {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        client.delete(&["gateways", self.gateway.as_str()], &[])?;
        output.say(format_args!(
            "gateway {} is forgotten; what is in its data folder stays there",
            self.gateway
        ))?;
        Ok(Outcome::Done)
    }
}

impl Gateway {
    fn is_up_to_date(&self) -> bool {
        self.connected && self.applied_version >= self.target_version
    }
}

fn write(gateways: &Gateways, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&[
        "GATEWAY",
        "CONNECTED",
        "APPLIED",
        "TARGET",
        "LAG",
        "REFUSED, OR WHY NOT TOLD",
    ]);
    for gateway in &gateways.gateways {
        let refused = gateway.last_nack.as_ref().map(|nack| {
            let problems = counted(nack.problems.len(), "problem");
            let at = nack.at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
            match nack.problems.first() {
                Some(first) => format!("version {}{at}: {problems}, first: {first}", nack.version),
                None => format!("version {}{at}", nack.version),
            }
        });
        table.row([
            gateway.gateway_id.clone(),
            if gateway.connected { "yes" } else { "no" }.to_owned(),
            number(gateway.applied_version),
            number(gateway.target_version),
            lag(gateway),
            refused.or_else(|| gateway.reason.clone()).unwrap_or_default(),
        ]);
    }
    table.write(out)
}

fn lag(gateway: &Gateway) -> String {
    match (gateway.lag_versions, gateway.lag_ms) {
        (Some(0) | None, _) => String::new(),
        (Some(versions), Some(milliseconds)) => format!(
            "{}, {milliseconds} ms",
            counted(usize::try_from(versions).unwrap_or(usize::MAX), "version")
        ),
        (Some(versions), None) => counted(usize::try_from(versions).unwrap_or(usize::MAX), "version"),
    }
}

fn number(version: Option<u64>) -> String {
    version.map(|version| version.to_string()).unwrap_or_default()
}
