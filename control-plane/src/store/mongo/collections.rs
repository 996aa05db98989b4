//! The collections and their indexes.

use filters::model::push::ObjectKind;
use mongodb::bson::{Document, doc};
use mongodb::{Collection, Database};

use super::super::kept::Place;

/// The collections. The names of those of objects, and of the last, are those of the product's source documents.
#[derive(Debug)]
pub(super) struct Collections {
    pub(super) integrations: Collection<Document>,
    pub(super) organizations: Collection<Document>,
    pub(super) units: Collection<Document>,
    pub(super) event_types: Collection<Document>,
    pub(super) producer_keys: Collection<Document>,
    pub(super) certificates: Collection<Document>,
    pub(super) lookups: Collection<Document>,
    pub(super) consumers: Collection<Document>,
    pub(super) settings: Collection<Document>,
    pub(super) versions: Collection<Document>,
    pub(super) changes: Collection<Document>,
    pub(super) gateways: Collection<Document>,
    execution_logs: Collection<Document>,
    delivery_logs: Collection<Document>,
    dead_letters: Collection<Document>,
    dead_letters_gone: Collection<Document>,
    scheduled: Collection<Document>,
    commands: Collection<Document>,
    bulk_retries: Collection<Document>,
    alerts: Collection<Document>,
    audit: Collection<Document>,
    pub(super) rollups: Collection<Document>,
    pub(super) call_batches: Collection<Document>,
}

impl Collections {
    pub(super) fn of(database: &Database) -> Self {
        Self {
            integrations: database.collection("integration_configs"),
            organizations: database.collection("organizations"),
            units: database.collection("org_units"),
            event_types: database.collection("event_types"),
            producer_keys: database.collection("producer_keys"),
            certificates: database.collection("certificates"),
            lookups: database.collection("lookups"),
            consumers: database.collection("consumers"),
            settings: database.collection("settings"),
            versions: database.collection("version_history"),
            changes: database.collection("version_changes"),
            gateways: database.collection("gateways"),
            execution_logs: database.collection(Place::ExecutionLogs.name()),
            delivery_logs: database.collection(Place::DeliveryLogs.name()),
            dead_letters: database.collection(Place::DeadLetters.name()),
            dead_letters_gone: database.collection(Place::DeadLettersGone.name()),
            scheduled: database.collection(Place::Scheduled.name()),
            commands: database.collection(Place::Commands.name()),
            bulk_retries: database.collection(Place::BulkRetries.name()),
            alerts: database.collection(Place::Alerts.name()),
            audit: database.collection(Place::AdminAudit.name()),
            rollups: database.collection("rollups"),
            call_batches: database.collection("call_batches"),
        }
    }

    /// The collection of the objects of one kind.
    pub(super) fn objects(&self, kind: ObjectKind) -> &Collection<Document> {
        match kind {
            ObjectKind::Security => &self.settings,
            ObjectKind::Organization => &self.organizations,
            ObjectKind::Integration | ObjectKind::Outbound => &self.integrations,
            ObjectKind::Unit => &self.units,
            ObjectKind::EventType => &self.event_types,
            ObjectKind::ProducerKey => &self.producer_keys,
            ObjectKind::Certificate => &self.certificates,
            ObjectKind::Lookup => &self.lookups,
            ObjectKind::Consumer => &self.consumers,
        }
    }

    /// The collection of what is told of deliveries.
    pub(super) fn place(&self, place: Place) -> &Collection<Document> {
        match place {
            Place::ExecutionLogs => &self.execution_logs,
            Place::DeliveryLogs => &self.delivery_logs,
            Place::DeadLetters => &self.dead_letters,
            Place::DeadLettersGone => &self.dead_letters_gone,
            Place::Scheduled => &self.scheduled,
            Place::Commands => &self.commands,
            Place::BulkRetries => &self.bulk_retries,
            Place::Alerts => &self.alerts,
            Place::AdminAudit => &self.audit,
        }
    }

    /// Which index each of them has, and whether it is unique. Making one that is there already changes nothing.
    pub(super) fn indexes(&self) -> Vec<(&Collection<Document>, Document, bool)> {
        let mut indexes = vec![
            (
                &self.integrations,
                doc! {"tenantId": 1, "direction": 1, "isActive": 1},
                false,
            ),
            (
                &self.integrations,
                doc! {"tenantId": 1, "eventType": 1, "isActive": 1},
                false,
            ),
            (
                &self.integrations,
                doc! {"orgId": 1, "direction": 1, "isActive": 1},
                false,
            ),
            (&self.integrations, doc! {"rateLimits.enabled": 1}, false),
            (&self.organizations, doc! {"orgId": 1}, true),
            (&self.units, doc! {"rid": 1}, true),
            (&self.units, doc! {"orgId": 1}, false),
            (&self.event_types, doc! {"orgId": 1, "eventType": 1}, false),
            (&self.event_types, doc! {"orgId": 1, "actionId": 1}, false),
            (&self.producer_keys, doc! {"orgId": 1, "isActive": 1}, false),
            (&self.producer_keys, doc! {"orgId": 1, "name": 1}, false),
            (&self.certificates, doc! {"orgId": 1, "name": 1}, false),
            (&self.lookups, doc! {"orgId": 1, "name": 1}, false),
            (&self.consumers, doc! {"orgId": 1, "name": 1}, false),
            (&self.versions, doc! {"at": 1}, false),
            (&self.versions, doc! {"shares.orgId": 1, "_id": -1}, false),
            (&self.changes, doc! {"version": 1}, false),
            (&self.changes, doc! {"kind": 1, "id": 1, "version": -1}, false),
            (&self.gateways, doc! {"lastSeenAt": 1}, false),
            (
                &self.rollups,
                doc! {"orgId": 1, "span": 1, "direction": 1, "integrationConfigId": 1, "startAt": 1},
                false,
            ),
            (&self.rollups, doc! {"orgId": 1, "span": 1, "startAt": 1}, false),
            (&self.rollups, doc! {"span": 1, "startAt": 1}, false),
        ];
        let not_unique = |(place, keys)| (self.place(place), keys, false);
        indexes.extend(deliveries().into_iter().chain(alerts()).map(not_unique));
        // Of the alerts about one thing at most one is open.
        indexes.push((&self.alerts, doc! {"openKey": 1}, true));
        indexes
    }
}

/// Indexes of what is told of deliveries: those of the product's source documents, and those that lists and old age ask
/// for.
fn deliveries() -> [(Place, Document); 30] {
    [
        (Place::ExecutionLogs, doc! {"orgId": 1, "createdAt": -1}),
        (Place::ExecutionLogs, doc! {"status": 1, "orgId": 1, "createdAt": -1}),
        (Place::ExecutionLogs, doc! {"integrationConfigId": 1, "createdAt": -1}),
        (Place::ExecutionLogs, doc! {"traceId": 1}),
        (Place::DeliveryLogs, doc! {"orgId": 1, "createdAt": -1, "_id": -1}),
        (
            Place::DeliveryLogs,
            doc! {"status": 1, "orgId": 1, "createdAt": -1, "_id": -1},
        ),
        (Place::DeliveryLogs, doc! {"integrationConfigId": 1, "createdAt": -1}),
        (Place::DeliveryLogs, doc! {"correlationId": 1}),
        (Place::DeliveryLogs, doc! {"traceId": 1}),
        (Place::DeliveryLogs, doc! {"eventId": 1}),
        (Place::DeliveryLogs, doc! {"messageId": 1}),
        (Place::DeadLetters, doc! {"status": 1, "nextRetryAt": 1}),
        (Place::DeadLetters, doc! {"eventId": 1}),
        (
            Place::DeadLetters,
            doc! {"orgId": 1, "direction": 1, "createdAt": -1, "_id": -1},
        ),
        (Place::DeadLetters, doc! {"orgId": 1, "status": 1}),
        (Place::DeadLetters, doc! {"orgId": 1, "createdAt": -1, "_id": -1}),
        (Place::DeadLetters, doc! {"integrationConfigId": 1, "createdAt": -1}),
        (Place::DeadLetters, doc! {"status": 1, "updatedAt": 1}),
        (Place::DeadLettersGone, doc! {"goneAt": 1}),
        (Place::Scheduled, doc! {"scheduledFor": 1, "status": 1}),
        (Place::Scheduled, doc! {"orgId": 1, "status": 1}),
        (Place::Scheduled, doc! {"orgId": 1, "createdAt": -1, "_id": -1}),
        (Place::Scheduled, doc! {"status": 1, "updatedAt": 1}),
        (Place::Commands, doc! {"gatewayId": 1, "doneAt": 1, "_id": 1}),
        (Place::Commands, doc! {"bulkId": 1}),
        (Place::Commands, doc! {"orgId": 1, "createdAt": -1}),
        (Place::Commands, doc! {"createdAt": 1}),
        (Place::BulkRetries, doc! {"queuedAt": 1}),
        (Place::BulkRetries, doc! {"orgId": 1, "createdAt": -1}),
        (Place::BulkRetries, doc! {"createdAt": 1}),
    ]
}

/// Indexes of alerts, of what has to be counted for them, and of the audit.
fn alerts() -> [(Place, Document); 7] {
    [
        (Place::Alerts, doc! {"orgId": 1, "createdAt": -1, "_id": -1}),
        (Place::Alerts, doc! {"createdAt": -1, "_id": -1}),
        (Place::Alerts, doc! {"status": 1, "resolvedAt": 1}),
        (Place::AdminAudit, doc! {"orgId": 1, "createdAt": -1, "_id": -1}),
        (Place::AdminAudit, doc! {"createdAt": -1, "_id": -1}),
        (Place::AdminAudit, doc! {"actor": 1, "createdAt": -1}),
        (
            Place::DeadLetters,
            doc! {"orgId": 1, "integrationConfigId": 1, "status": 1, "createdAt": 1, "updatedAt": 1},
        ),
    ]
}
