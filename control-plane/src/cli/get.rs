//! `gwctl get`.

use std::io::{self, Write};

use filters::model::{InboundIntegration, Organization};
use serde::{Deserialize, Serialize};

use super::answers::{Page, VersionWithChange, Versions};
use super::client::Client;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::table::{Table, counted, printable};
use super::{Get, Noun};

/// Integrations asked for at a time.
const PAGE: usize = 200;

/// Integrations as a document that `apply` reads.
#[derive(Serialize)]
struct Integrations {
    integrations: Vec<InboundIntegration>,
}

/// Organizations as a document that `apply` reads.
#[derive(Deserialize, Serialize)]
struct Organizations {
    organizations: Vec<Organization>,
}

impl Get {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        match self.what {
            Noun::Integrations => output.show(&self.integrations(client)?, write_integrations)?,
            Noun::Organizations => output.show(&self.organizations(client)?, write_organizations)?,
            Noun::Versions => self.versions(client, output)?,
        }
        Ok(Outcome::Done)
    }

    fn integrations(&self, client: &Client) -> Result<Integrations, Failure> {
        let organization = self.org.map(|id| ("orgId", id.to_string()));
        let mut integrations: Vec<InboundIntegration> = Vec::new();
        if let Some(id) = &self.id {
            let query: Vec<_> = organization.into_iter().collect();
            integrations.push(client.get(&["inbound-integrations", id], &query)?);
        } else {
            for number in 1.. {
                let mut query = vec![("page", number.to_string()), ("limit", PAGE.to_string())];
                query.extend(organization.clone());
                let page: Page = client.get(&["inbound-integrations"], &query)?;
                let last = !page.has_more || page.integrations.is_empty();
                integrations.extend(page.integrations);
                if last {
                    break;
                }
            }
        }
        // The server masks them already; a terminal must not depend on that.
        let integrations = integrations.iter().map(InboundIntegration::masked).collect();
        Ok(Integrations { integrations })
    }

    fn organizations(&self, client: &Client) -> Result<Organizations, Failure> {
        if let Some(id) = self.number()?.or(self.org) {
            let organization = client.get(&["admin", "organizations", &id.to_string()], &[])?;
            return Ok(Organizations {
                organizations: vec![organization],
            });
        }
        client.get(&["admin", "organizations"], &[])
    }

    fn versions(&self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        if let Some(number) = self.number()? {
            let version: VersionWithChange = client.get(&["versions", &number.to_string()], &[])?;
            return output.show(&version, write_version);
        }
        let versions: Versions = client.get(&["versions"], &[("limit", PAGE.to_string())])?;
        output.show(&versions, write_versions)?;
        if versions.has_more {
            output.say(format_args!(
                "these are the newest {}; there are older ones",
                counted(PAGE, "version")
            ))?;
        }
        Ok(())
    }

    /// The identifier, where it must be a number.
    fn number(&self) -> Result<Option<u64>, Failure> {
        let wrong = |id: &String| Failure::Usage(format!("{id:?} is not a number, as these are known by"));
        self.id.as_ref().map(|id| id.parse().map_err(|_| wrong(id))).transpose()
    }
}

fn write_integrations(document: &Integrations, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&[
        "ID", "NAME", "ORG", "ACTIVE", "HOSTS", "TARGET", "AUTH IN", "AUTH OUT", "CHANGED",
    ]);
    for integration in &document.integrations {
        table.row([
            integration.id.clone(),
            integration.name.clone(),
            integration.org_id.to_string(),
            if integration.is_active { "yes" } else { "no" }.to_owned(),
            few(integration.hosts.iter().map(String::as_str)),
            few(integration
                .target_url
                .iter()
                .chain(integration.targets.iter().map(|target| &target.url))
                .map(String::as_str)),
            word(&integration.inbound_auth_type),
            word(&integration.outgoing_auth_type),
            integration.updated_at.clone().unwrap_or_default(),
        ]);
    }
    table.write(out)
}

fn write_organizations(document: &Organizations, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&["ID", "NAME", "LIMIT", "ALLOWED NETWORKS"]);
    for organization in &document.organizations {
        let limit = organization
            .rate_limit
            .map(|limit| format!("{} in {} s", limit.max_requests, limit.window_seconds));
        let networks: Vec<String> = organization.allowed_networks.iter().map(ToString::to_string).collect();
        table.row([
            organization.org_id.to_string(),
            organization.name.clone(),
            limit.unwrap_or_default(),
            few(networks.iter().map(String::as_str)),
        ]);
    }
    table.write(out)
}

fn write_versions(versions: &Versions, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&["VERSION", "MADE", "BY", "PUT", "DELETED", "MESSAGE"]);
    for version in &versions.versions {
        table.row([
            version.version.to_string(),
            version.created_at.clone(),
            version.author.clone(),
            version.put.to_string(),
            version.deleted.to_string(),
            version.message.clone(),
        ]);
    }
    table.write(out)
}

fn write_version(shown: &VersionWithChange, out: &mut dyn Write) -> io::Result<()> {
    let version = &shown.version;
    let head = format!(
        "version {}, made {} by {}: {}",
        version.version, version.created_at, version.author, version.message
    );
    writeln!(out, "{}", printable(head.trim_end_matches([' ', ':'])))?;
    let mut table = Table::new(&["KIND", "ID", "ACTION"]);
    let row = |kind: &str, id: String, action: &str| [kind.to_owned(), id, action.to_owned()];
    for organization in &shown.organizations {
        table.row(row("organization", organization.org_id.to_string(), "put"));
    }
    for unit in &shown.units {
        table.row(row("unit", unit.rid.to_string(), "put"));
    }
    for event_type in &shown.event_types {
        table.row(row("eventType", event_type.id.clone(), "put"));
    }
    for key in &shown.producer_keys {
        table.row(row("producerKey", key.id.clone(), "put"));
    }
    for integration in &shown.integrations {
        let outbound = integration["direction"] == "OUTBOUND";
        let id = integration["id"].as_str().unwrap_or_default().to_owned();
        table.row(row(if outbound { "outbound" } else { "integration" }, id, "put"));
    }
    for deleted in &shown.delete {
        table.row(row(&deleted.kind, deleted.id(), "deleted"));
    }
    table.write(out)
}

/// The first two of a list, and how many more there are.
fn few<'a>(mut items: impl Iterator<Item = &'a str>) -> String {
    let shown: Vec<&str> = items.by_ref().take(2).collect();
    let mut text = shown.join(", ");
    match items.count() {
        0 => {}
        more => text.push_str(&format!(" +{more}")),
    }
    text
}

/// An enum of the model as it is written in documents.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}
