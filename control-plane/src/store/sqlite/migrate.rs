//! Schema of the embedded store, step by step.

use rusqlite::{Connection, TransactionBehavior};

/// Why the schema cannot be brought up to date.
#[derive(Debug)]
pub(super) enum MigrateError {
    Newer { found: i64, known: i64 },
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for MigrateError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// Applies the steps that are missing, all of them or none.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), MigrateError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = STEPS.len() as i64;
    if found > known {
        return Err(MigrateError::Newer { found, known });
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

/// Each step takes the schema from its index to the next number. Steps that were released are never changed.
const STEPS: [&str; 6] = [
    "
    CREATE TABLE objects (
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        body TEXT NOT NULL,
        version INTEGER NOT NULL,
        PRIMARY KEY (kind, id)
    ) WITHOUT ROWID;
    CREATE TABLE versions (
        number INTEGER PRIMARY KEY,
        author TEXT NOT NULL,
        message TEXT NOT NULL,
        at TEXT NOT NULL,
        digest TEXT NOT NULL,
        put INTEGER NOT NULL,
        deleted INTEGER NOT NULL
    );
    -- A deleted object has no body.
    CREATE TABLE changes (
        version INTEGER NOT NULL REFERENCES versions (number),
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        body TEXT,
        PRIMARY KEY (version, kind, id)
    ) WITHOUT ROWID;
    CREATE TABLE gateways (
        id TEXT PRIMARY KEY,
        body TEXT NOT NULL
    ) WITHOUT ROWID;
",
    "
    CREATE TABLE execution_logs (
        id TEXT PRIMARY KEY,
        org_id INTEGER NOT NULL,
        trace_id TEXT NOT NULL,
        integration_id TEXT NOT NULL,
        status TEXT NOT NULL,
        -- Milliseconds since 1970.
        created_at INTEGER NOT NULL,
        body TEXT NOT NULL
    );
    CREATE INDEX execution_logs_of_org ON execution_logs (org_id, created_at, id);
    CREATE INDEX execution_logs_of_status ON execution_logs (org_id, status, created_at, id);
    CREATE INDEX execution_logs_of_integration ON execution_logs (org_id, integration_id, created_at, id);
    CREATE INDEX execution_logs_of_trace ON execution_logs (trace_id);
    CREATE INDEX execution_logs_by_age ON execution_logs (created_at);
",
    // Columns have the JSON names of what they hold; times are milliseconds since 1970.
    "
    CREATE TABLE delivery_logs (
        id TEXT PRIMARY KEY,
        orgId INTEGER NOT NULL,
        status TEXT NOT NULL,
        direction TEXT NOT NULL,
        createdAt INTEGER NOT NULL,
        integrationConfigId TEXT NOT NULL,
        eventType TEXT NOT NULL,
        eventId TEXT NOT NULL,
        messageId TEXT NOT NULL,
        correlationId TEXT NOT NULL,
        traceId TEXT NOT NULL,
        errorCategory TEXT NOT NULL,
        document TEXT NOT NULL
    );
    CREATE INDEX delivery_logs_of_org ON delivery_logs (orgId, createdAt, id);
    CREATE INDEX delivery_logs_of_status ON delivery_logs (orgId, status, createdAt, id);
    CREATE INDEX delivery_logs_of_integration ON delivery_logs (orgId, integrationConfigId, createdAt, id);
    CREATE INDEX delivery_logs_of_event ON delivery_logs (eventId, createdAt, id);
    CREATE INDEX delivery_logs_of_message ON delivery_logs (messageId, createdAt, id);
    CREATE INDEX delivery_logs_of_trace ON delivery_logs (traceId, createdAt, id);
    CREATE INDEX delivery_logs_by_age ON delivery_logs (createdAt);
    CREATE TABLE dlq (
        id TEXT PRIMARY KEY,
        orgId INTEGER NOT NULL,
        status TEXT NOT NULL,
        createdAt INTEGER NOT NULL,
        updatedAt INTEGER NOT NULL,
        nextRetryAt INTEGER,
        integrationConfigId TEXT NOT NULL,
        eventType TEXT NOT NULL,
        eventId TEXT NOT NULL,
        traceId TEXT NOT NULL,
        errorCategory TEXT NOT NULL,
        gatewayId TEXT NOT NULL,
        document TEXT NOT NULL,
        originalPayload TEXT NOT NULL
    );
    CREATE INDEX dlq_of_org ON dlq (orgId, createdAt, id);
    CREATE INDEX dlq_of_status ON dlq (orgId, status, createdAt, id);
    CREATE INDEX dlq_of_integration ON dlq (orgId, integrationConfigId, createdAt, id);
    CREATE INDEX dlq_by_age ON dlq (status, updatedAt);
    -- Dead letters that are none any more, so that a batch that comes late does not bring them back.
    CREATE TABLE dlq_gone (
        id TEXT PRIMARY KEY,
        goneAt INTEGER NOT NULL
    );
    CREATE INDEX dlq_gone_by_age ON dlq_gone (goneAt);
    CREATE TABLE scheduled_integrations (
        id TEXT PRIMARY KEY,
        orgId INTEGER NOT NULL,
        status TEXT NOT NULL,
        createdAt INTEGER NOT NULL,
        updatedAt INTEGER NOT NULL,
        scheduledFor INTEGER NOT NULL,
        integrationConfigId TEXT NOT NULL,
        eventType TEXT NOT NULL,
        originalEventId TEXT NOT NULL,
        gatewayId TEXT NOT NULL,
        document TEXT NOT NULL
    );
    CREATE INDEX scheduled_integrations_of_org ON scheduled_integrations (orgId, createdAt, id);
    CREATE INDEX scheduled_integrations_of_status ON scheduled_integrations (orgId, status, createdAt, id);
    CREATE INDEX scheduled_integrations_by_age ON scheduled_integrations (status, updatedAt);
    CREATE TABLE commands (
        id TEXT PRIMARY KEY,
        orgId INTEGER NOT NULL,
        gatewayId TEXT NOT NULL,
        bulkId TEXT,
        createdAt INTEGER NOT NULL,
        sentAt INTEGER,
        doneAt INTEGER,
        -- How many objects it was carried out on, and how many not.
        done INTEGER,
        failed INTEGER,
        document TEXT NOT NULL,
        result TEXT
    );
    CREATE INDEX commands_of_gateway ON commands (gatewayId, id) WHERE doneAt IS NULL;
    CREATE INDEX commands_of_bulk ON commands (bulkId) WHERE bulkId IS NOT NULL;
    CREATE INDEX commands_by_age ON commands (createdAt);
    CREATE TABLE bulk_retries (
        id TEXT PRIMARY KEY,
        orgId INTEGER NOT NULL,
        step INTEGER NOT NULL,
        createdAt INTEGER NOT NULL,
        queuedAt INTEGER,
        document TEXT NOT NULL
    );
    CREATE INDEX bulk_retries_open ON bulk_retries (id) WHERE queuedAt IS NULL;
    CREATE INDEX bulk_retries_by_age ON bulk_retries (createdAt);
",
    "
    CREATE TABLE alert_center_logs (
        id TEXT PRIMARY KEY,
        -- Alerts about the whole installation have none.
        orgId INTEGER,
        status TEXT NOT NULL,
        rule TEXT NOT NULL,
        createdAt INTEGER NOT NULL,
        resolvedAt INTEGER,
        integrationConfigId TEXT,
        -- What the alert is about while it is open, so that there is one at a time; its identifier from then on.
        openKey TEXT NOT NULL UNIQUE,
        revision INTEGER NOT NULL,
        document TEXT NOT NULL
    );
    CREATE INDEX alert_center_logs_of_org ON alert_center_logs (orgId, createdAt, id);
    CREATE INDEX alert_center_logs_by_time ON alert_center_logs (createdAt, id);
    CREATE INDEX alert_center_logs_by_age ON alert_center_logs (status, resolvedAt);
    -- To count dead letters without reading them.
    CREATE INDEX dlq_by_subscription ON dlq (orgId, integrationConfigId, status, createdAt, updatedAt);
",
    "
    -- What gateways never see: a document each.
    CREATE TABLE shelves (
        shelf TEXT NOT NULL,
        id TEXT NOT NULL,
        -- Those of the whole installation have none.
        orgId INTEGER,
        uniqueKey TEXT NOT NULL,
        revision INTEGER NOT NULL,
        expiresAt INTEGER,
        document TEXT NOT NULL,
        PRIMARY KEY (shelf, id),
        UNIQUE (shelf, uniqueKey)
    ) WITHOUT ROWID;
    CREATE INDEX shelves_of_org ON shelves (shelf, orgId, id);
    CREATE INDEX shelves_by_age ON shelves (expiresAt) WHERE expiresAt IS NOT NULL;
    CREATE TABLE admin_audit (
        id TEXT PRIMARY KEY,
        orgId INTEGER,
        createdAt INTEGER NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        target TEXT NOT NULL,
        document TEXT NOT NULL
    );
    CREATE INDEX admin_audit_of_org ON admin_audit (orgId, createdAt, id);
    CREATE INDEX admin_audit_by_time ON admin_audit (createdAt, id);
    CREATE INDEX admin_audit_of_actor ON admin_audit (actor, createdAt, id);
",
    "
    -- What MongoDB keeps beside the document, by name.
    ALTER TABLE shelves ADD COLUMN fields TEXT NOT NULL DEFAULT '{}';
",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrating_twice_changes_nothing_and_a_newer_schema_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let refused = migrate(&mut connection).unwrap_err();
        assert!(
            matches!(refused, MigrateError::Newer { found: 99, known } if known == STEPS.len() as i64),
            "{refused:?}"
        );
    }
}
