//! `gwctl get`.

use std::io::{self, Write};

use filters::model::{InboundIntegration, Organization};
use serde::Serialize;

use super::answers::{self, Page, Versions};
use super::client::Client;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::table::Table;
use super::{Get, Noun};

/// Integrations asked for at a time.
const PAGE: usize = 200;

/// Integrations as a document that `apply` reads.
#[derive(Serialize)]
struct Integrations {
    integrations: Vec<InboundIntegration>,
}

/// Organizations as a document that `apply` reads.
#[derive(Serialize)]
struct Organizations {
    organizations: Vec<Organization>,
}

impl Get {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        match self.what {
            Noun::Integrations => output.show(&self.integrations(client)?, write_integrations)?,
            Noun::Organizations => output.show(&self.organizations(client)?, write_organizations)?,
            Noun::Versions => output.show(&self.versions(client)?, write_versions)?,
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
        let wanted = match &self.id {
            Some(id) => Some(
                id.parse()
                    .map_err(|_| Failure::Usage(format!("the id of an organization is a number, not {id:?}")))?,
            ),
            None => self.org,
        };
        let organizations: Vec<Organization> = answers::export(client, wanted)?
            .organizations
            .values()
            .filter(|entry| wanted.is_none_or(|id| entry.value.org_id == id))
            .map(|entry| (*entry.value).clone())
            .collect();
        Ok(Organizations { organizations })
    }

    fn versions(&self, client: &Client) -> Result<Versions, Failure> {
        let mut versions: Versions = client.get(&["versions"], &[])?;
        if let Some(id) = &self.id {
            versions.versions.retain(|version| version.version.to_string() == *id);
        }
        Ok(versions)
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
    let mut table = Table::new(&["VERSION", "MADE", "BY", "MESSAGE"]);
    for version in &versions.versions {
        table.row([
            version.version.to_string(),
            version.created_at.clone().unwrap_or_default(),
            version.author.clone().unwrap_or_default(),
            version.message.clone().unwrap_or_default(),
        ]);
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
