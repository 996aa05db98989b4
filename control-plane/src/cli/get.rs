//! `gwctl get`.

use std::io::{self, Write};

use filters::model::push::{Object, ObjectKind};
use filters::model::{InboundIntegration, Organization, OutboundIntegration};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::Get;
use super::answers::{VersionWithChange, Versions};
use super::client::Client;
use super::failure::{Failure, Outcome};
use super::history::write_differences;
use super::kind::Kind;
use super::orders::within;
use super::output::Output;
use super::table::{Table, counted, printable};

/// Objects asked for at a time.
const PAGE: usize = 200;

/// Objects of one kind as a document that `apply` reads.
struct Objects {
    kind: Kind,
    objects: Vec<Object>,
}

impl Serialize for Objects {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values: Vec<Untagged<'_>> = self.objects.iter().map(Untagged).collect();
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.kind.list, &values)?;
        map.end()
    }
}

/// An object without its kind, as lists have it.
struct Untagged<'a>(&'a Object);

impl Serialize for Untagged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Object::Security(value) => value.serialize(serializer),
            Object::Organization(value) => value.serialize(serializer),
            Object::Unit(value) => value.serialize(serializer),
            Object::EventType(value) => value.serialize(serializer),
            Object::ProducerKey(value) => value.serialize(serializer),
            Object::Certificate(value) => value.serialize(serializer),
            Object::Lookup(value) => value.serialize(serializer),
            Object::Consumer(value) => value.serialize(serializer),
            Object::Integration(value) => value.serialize(serializer),
            Object::Outbound(value) => value.serialize(serializer),
        }
    }
}

impl Get {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        match self.what.kind() {
            Some(kind) => output.show(&self.objects(client, kind)?, write_objects)?,
            None => self.versions(client, output)?,
        }
        Ok(Outcome::Done)
    }

    fn objects(&self, client: &Client, kind: Kind) -> Result<Objects, Failure> {
        let organization = self.org.map(|id| ("orgId", id.to_string()));
        let mut values: Vec<Value> = Vec::new();
        if let Some(id) = &self.id {
            let query: Vec<_> = organization.into_iter().collect();
            values.push(client.get(&[kind.path, &[id.as_str()]].concat(), &query)?);
        } else {
            for number in 1.. {
                let mut query = vec![("page", number.to_string()), ("limit", PAGE.to_string())];
                query.extend(organization.clone());
                let mut page: Map<String, Value> = client.get(kind.path, &query)?;
                let Some(Value::Array(found)) = page.remove(kind.list) else {
                    return Err(client.strange(format!("its list has no `{}`", kind.list)));
                };
                let last = page.get("hasMore") != Some(&Value::Bool(true)) || found.is_empty();
                values.extend(found);
                if last {
                    break;
                }
            }
        }
        let mut problems = Vec::new();
        let objects: Option<Vec<Object>> = values
            .iter()
            .map(|value| kind.kind.read(value, kind.noun, &mut problems))
            .collect();
        let objects = objects.ok_or_else(|| {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            client.strange(format!(
                "what it has does not read; it may be newer than this gwctl: {first}"
            ))
        })?;
        // The server masks them already; a terminal must not depend on that.
        let objects = objects.iter().map(Object::masked).collect();
        Ok(Objects { kind, objects })
    }

    fn versions(&self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        if let Some(number) = self.number()? {
            let version: VersionWithChange = client.get(&["versions", &number.to_string()], &within(self.org))?;
            let colour = output.colour;
            return output.show(&version, |version, out| {
                write_version(version, out)?;
                write_differences(&version.differences, colour, out)
            });
        }
        let versions: Versions = {
            let mut query = within(self.org);
            query.push(("limit", PAGE.to_string()));
            client.get(&["versions"], &query)?
        };
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

fn write_objects(document: &Objects, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(header(document.kind));
    for object in &document.objects {
        match object {
            Object::Security(_) => {}
            Object::Integration(integration) => table.row(inbound(integration)),
            Object::Outbound(integration) => table.row(outbound(integration)),
            Object::Organization(one) => table.row(organization(one)),
            Object::Unit(unit) => table.row([
                unit.rid.to_string(),
                unit.name.clone(),
                unit.org_id.to_string(),
                unit.code.clone().unwrap_or_default(),
                unit.timezone.clone().unwrap_or_default(),
                unit.updated_at.clone().unwrap_or_default(),
            ]),
            Object::EventType(event_type) => table.row([
                event_type.id.clone(),
                event_type.event_type.clone(),
                event_type.org_id.to_string(),
                event_type.action_id.map(|id| id.to_string()).unwrap_or_default(),
                yes(event_type.schema.is_some()),
                event_type.updated_at.clone().unwrap_or_default(),
            ]),
            Object::ProducerKey(key) => table.row([
                key.id.clone(),
                key.name.clone(),
                key.org_id.to_string(),
                yes(key.is_active),
                key.created_at.clone().unwrap_or_default(),
            ]),
            Object::Certificate(certificate) => table.row([
                certificate.id.clone(),
                certificate.name.clone(),
                certificate.org_id.to_string(),
                yes(certificate.is_active),
                certificate.updated_at.clone().unwrap_or_default(),
            ]),
            Object::Lookup(lookup) => table.row([
                lookup.id.clone(),
                lookup.name.clone(),
                lookup.org_id.to_string(),
                lookup.entries.len().to_string(),
                lookup.updated_at.clone().unwrap_or_default(),
            ]),
            Object::Consumer(consumer) => table.row([
                consumer.id.clone(),
                consumer.name.clone(),
                consumer.org_id.to_string(),
                yes(consumer.is_active),
                consumer.updated_at.clone().unwrap_or_default(),
            ]),
        }
    }
    table.write(out)
}

fn header(kind: Kind) -> &'static [&'static str] {
    match kind.kind {
        ObjectKind::Security => &[],
        ObjectKind::Integration => &[
            "ID", "NAME", "ORG", "ACTIVE", "HOSTS", "TARGET", "AUTH IN", "AUTH OUT", "CHANGED",
        ],
        ObjectKind::Outbound => &[
            "ID", "NAME", "ORG", "OF", "ACTIVE", "EVENTS", "TARGET", "AUTH OUT", "SIGNED", "CHANGED",
        ],
        ObjectKind::Organization => &["ID", "NAME", "CODE", "LIMIT", "ALLOWED NETWORKS", "ZONE"],
        ObjectKind::Unit => &["ID", "NAME", "ORG", "CODE", "ZONE", "CHANGED"],
        ObjectKind::EventType => &["ID", "EVENT TYPE", "ORG", "ACTION ID", "SCHEMA", "CHANGED"],
        ObjectKind::ProducerKey => &["ID", "NAME", "ORG", "ACTIVE", "MADE"],
        ObjectKind::Certificate | ObjectKind::Consumer => &["ID", "NAME", "ORG", "ACTIVE", "CHANGED"],
        ObjectKind::Lookup => &["ID", "NAME", "ORG", "ENTRIES", "CHANGED"],
    }
}

fn inbound(integration: &InboundIntegration) -> [String; 9] {
    let targets = integration.targets.iter().map(|target| &target.url);
    [
        integration.id.clone(),
        integration.name.clone(),
        integration.org_id.to_string(),
        yes(integration.is_active),
        few(integration.hosts.iter().map(String::as_str)),
        few(integration.target_url.iter().chain(targets).map(String::as_str)),
        word(&integration.inbound_auth_type),
        word(&integration.outgoing_auth_type),
        integration.updated_at.clone().unwrap_or_default(),
    ]
}

fn outbound(integration: &OutboundIntegration) -> [String; 10] {
    let targets = integration
        .actions
        .iter()
        .filter_map(|action| action.target_url.as_ref());
    let events = integration.event_type.clone();
    [
        integration.id.clone(),
        integration.name.clone(),
        integration.org_id.to_string(),
        integration.tenant().to_string(),
        yes(integration.is_active),
        events.unwrap_or_else(|| integration.action_id.map(|id| id.to_string()).unwrap_or_default()),
        few(integration.target_url.iter().chain(targets).map(String::as_str)),
        word(&integration.outgoing_auth_type),
        word(&integration.signing_type),
        integration.updated_at.clone().unwrap_or_default(),
    ]
}

fn organization(organization: &Organization) -> [String; 6] {
    let limit = organization.rate_limit.map(|limit| {
        let window = limit
            .max_requests
            .map(|most| format!("{most} in {} s", limit.window_seconds));
        let day = limit.max_per_day.map(|most| format!("{most} a day"));
        few(window.iter().chain(&day).map(String::as_str))
    });
    let networks: Vec<String> = organization.allowed_networks.iter().map(ToString::to_string).collect();
    [
        organization.org_id.to_string(),
        organization.name.clone(),
        organization.code.clone().unwrap_or_default(),
        limit.unwrap_or_default(),
        few(networks.iter().map(String::as_str)),
        organization.timezone.clone().unwrap_or_default(),
    ]
}

fn yes(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
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
    for certificate in &shown.certificates {
        table.row(row("certificate", certificate.id.clone(), "put"));
    }
    for lookup in &shown.lookups {
        table.row(row("lookup", lookup.id.clone(), "put"));
    }
    for consumer in &shown.consumers {
        table.row(row("consumer", consumer.id.clone(), "put"));
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
