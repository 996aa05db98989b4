//! `gwctl doc`: the design document of an integration, made of what is configured.

mod contract;
mod events;
mod faults;
mod inbound;
mod markdown;
mod monitoring;
mod outbound;
mod parties;
mod resilience;
mod topology;

use clap::Args;
use filters::model::push::ObjectKind;
use filters::model::{Consumer, EventType, InboundIntegration, Organization, OutboundIntegration, Problem, decode};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use self::markdown::{Markdown, code, plain};
use super::client::Client;
use super::failure::{Failure, Outcome};
use super::identifier;
use super::kind::Kind;
use super::output::{Format, Output};

/// The integration to describe.
#[derive(Debug, Args)]
pub(super) struct Doc {
    /// Identifier of an inbound or outbound integration
    #[arg(value_parser = identifier)]
    id: String,
    /// Organization that it belongs to
    #[arg(long, value_name = "ORG_ID")]
    org: u64,
    /// Who answers for the document
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

/// What the document is made of.
pub(super) struct Facts {
    subject: Subject,
    organization: Organization,
    consumers: Vec<Consumer>,
    event_types: Vec<EventType>,
    author: Option<String>,
    now: Timestamp,
}

/// The integration.
enum Subject {
    Inbound(Box<InboundIntegration>),
    Outbound(Box<OutboundIntegration>),
}

impl Doc {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        if output.format != Format::Table {
            let message = "the document is Markdown; leave --output out";
            return Err(Failure::Usage(message.to_owned()));
        }
        let facts = self.gather(client)?;
        write!(output.data, "{}", facts.document())?;
        Ok(Outcome::Done)
    }

    fn gather(&self, client: &Client) -> Result<Facts, Failure> {
        let organization: Value = client.get(&["admin", "organizations", &self.org.to_string()], &[])?;
        Ok(Facts {
            subject: self.subject(client)?,
            organization: read(client, &organization)?,
            consumers: self.list(client, super::Noun::Consumers.kind())?,
            event_types: self.list(client, super::Noun::EventTypes.kind())?,
            author: self.author.clone(),
            now: Timestamp::now(),
        })
    }

    /// An inbound integration of this name, or else an outbound one.
    fn subject(&self, client: &Client) -> Result<Subject, Failure> {
        let get = |path: &str| client.get::<Value>(&[path, &self.id], &[("orgId", self.org.to_string())]);
        match get("inbound-integrations") {
            // The server masks secrets already; a document that is passed around must not depend on that.
            Ok(value) => Ok(Subject::Inbound(Box::new(
                read::<InboundIntegration>(client, &value)?.masked(),
            ))),
            Err(Failure::Refused(error)) if error.status_code == 404 => {
                let value = get("outbound-integrations")?;
                Ok(Subject::Outbound(Box::new(
                    read::<OutboundIntegration>(client, &value)?.masked(),
                )))
            }
            Err(failure) => Err(failure),
        }
    }

    /// The first page of what the organization has of `kind`.
    fn list<T: DeserializeOwned>(&self, client: &Client, kind: Option<Kind>) -> Result<Vec<T>, Failure> {
        let Some(kind) = kind.filter(|kind| kind.kind != ObjectKind::Security) else {
            return Ok(Vec::new());
        };
        let query = [("orgId", self.org.to_string()), ("limit", PAGE.to_string())];
        let mut page: Map<String, Value> = client.get(kind.path, &query)?;
        let found = page.remove(kind.list).unwrap_or_default();
        let found = found.as_array().map(Vec::as_slice).unwrap_or_default();
        found.iter().map(|value| read(client, value)).collect()
    }
}

impl Facts {
    /// The whole document.
    pub(super) fn document(&self) -> String {
        let mut page = Markdown::default();
        self.head(&mut page);
        match &self.subject {
            Subject::Inbound(integration) => inbound::write(self, integration, &mut page),
            Subject::Outbound(integration) => outbound::write(self, integration, &mut page),
        }
        approval(&mut page);
        page.into_text()
    }

    fn head(&self, page: &mut Markdown) {
        let (name, id, active, made, changed) = match &self.subject {
            Subject::Inbound(one) => (&one.name, &one.id, one.is_active, &one.created_at, &one.updated_at),
            Subject::Outbound(one) => (&one.name, &one.id, one.is_active, &one.created_at, &one.updated_at),
        };
        page.heading(1, "Integration Design Document");
        let date = self.now.strftime("%Y-%m-%d").to_string();
        let status = if active { "Active" } else { "Inactive" };
        page.facts([
            ("Project", self.organization_name()),
            ("Integration", format!("{} ({})", plain(name), code(id))),
            ("Version", changed.as_deref().map_or_else(|| OPEN.to_owned(), plain)),
            ("Date", date),
            ("Author", self.author.as_deref().map_or_else(|| OPEN.to_owned(), plain)),
            ("Status", status.to_owned()),
        ]);
        page.paragraph(
            "Made of the live configuration: what stands here is what the gateways do. What a configuration cannot know is \
             marked with a dash and is for people to fill in.",
        );
        page.heading(2, "Document History");
        let row = |what: &str, at: &Option<String>| {
            let at = at.as_deref().map_or_else(|| OPEN.to_owned(), plain);
            vec![at, OPEN.to_owned(), what.to_owned()]
        };
        page.table(
            &["Date", "Author", "Changes"],
            [
                row("Integration made", made),
                row("Last change of the integration", changed),
            ],
        );
    }

    /// As people know it.
    fn organization_name(&self) -> String {
        let organization = &self.organization;
        match organization.name.as_str() {
            "" => format!("Organization {}", organization.org_id),
            name => format!("{} (organization {})", plain(name), organization.org_id),
        }
    }

    /// How to reach the organization.
    fn contact(&self) -> String {
        let organization = &self.organization;
        let ways = [&organization.email, &organization.phone];
        let ways: Vec<String> = ways.into_iter().flatten().map(|way| plain(way)).collect();
        if ways.is_empty() {
            OPEN.to_owned()
        } else {
            ways.join(", ")
        }
    }
}

/// What people say of an integration, and no configuration does.
fn purpose(page: &mut Markdown) {
    page.facts([
        ("Business purpose", OPEN.to_owned()),
        ("Criticality", OPEN.to_owned()),
        ("Impact if down", OPEN.to_owned()),
        ("Acceptable downtime, data loss", OPEN.to_owned()),
    ]);
}

fn approval(page: &mut Markdown) {
    page.heading(2, "Approval");
    let roles = [
        "Author",
        "Consumer team lead",
        "Provider team lead",
        "Platform and infrastructure",
        "Approver",
    ];
    let row = |role: &str| vec![role.to_owned(), OPEN.to_owned(), OPEN.to_owned(), OPEN.to_owned()];
    page.table(&["Role", "Name", "Date", "Signature"], roles.map(row));
}

fn read<T: DeserializeOwned>(client: &Client, value: &Value) -> Result<T, Failure> {
    let mut problems: Vec<Problem> = Vec::new();
    let read = decode::from_value(value, "", &mut problems);
    read.filter(|_| problems.is_empty()).ok_or_else(|| {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        client.strange(format!(
            "what it has does not read; it may be newer than this gwctl: {first}"
        ))
    })
}

/// The name that a value of a closed set has in JSON.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) => text,
        _ => String::new(),
    }
}

/// What is for people to fill in.
const OPEN: &str = "–";
/// Consumers and event types that are looked at.
const PAGE: usize = 200;

#[cfg(test)]
mod tests;
