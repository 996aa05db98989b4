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
const STEPS: [&str; 9] = [
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
    // Records of calls become like those of deliveries; and each filter of a list gets an index.
    "
    ALTER TABLE execution_logs RENAME COLUMN org_id TO orgId;
    ALTER TABLE execution_logs RENAME COLUMN trace_id TO traceId;
    ALTER TABLE execution_logs RENAME COLUMN integration_id TO integrationConfigId;
    ALTER TABLE execution_logs RENAME COLUMN created_at TO createdAt;
    ALTER TABLE execution_logs RENAME COLUMN body TO document;
    ALTER TABLE execution_logs ADD COLUMN errorCategory TEXT NOT NULL DEFAULT '';
    UPDATE execution_logs SET errorCategory = document ->> '$.errorCategory'
        WHERE document ->> '$.errorCategory' IS NOT NULL;
    DROP INDEX execution_logs_of_trace;
    CREATE INDEX execution_logs_of_trace ON execution_logs (traceId, createdAt, id);
    DROP INDEX execution_logs_of_integration;
    -- With the status at the end, so that whoever asks for both need not look at records that do not fit.
    CREATE INDEX execution_logs_of_integration ON execution_logs (orgId, integrationConfigId, createdAt, id, status);
    CREATE INDEX execution_logs_of_category ON execution_logs (orgId, errorCategory, createdAt, id, integrationConfigId)
        WHERE status <> 'SUCCESS';
    CREATE INDEX execution_logs_of_failures ON execution_logs (orgId, integrationConfigId, status, createdAt, id)
        WHERE status <> 'SUCCESS';
    DROP INDEX delivery_logs_of_integration;
    CREATE INDEX delivery_logs_of_integration ON delivery_logs (orgId, integrationConfigId, createdAt, id, status);
    CREATE INDEX delivery_logs_of_type ON delivery_logs (orgId, eventType, createdAt, id, status);
    CREATE INDEX delivery_logs_of_category ON delivery_logs (orgId, errorCategory, createdAt, id, integrationConfigId)
        WHERE status <> 'SUCCESS';
    CREATE INDEX delivery_logs_of_failures ON delivery_logs (orgId, integrationConfigId, status, createdAt, id)
        WHERE status <> 'SUCCESS';
    CREATE INDEX delivery_logs_of_correlation ON delivery_logs (correlationId, createdAt, id);
    CREATE INDEX dlq_of_type ON dlq (orgId, eventType, createdAt, id, status);
    CREATE INDEX dlq_of_category ON dlq (orgId, errorCategory, createdAt, id, status);
    CREATE INDEX dlq_of_event ON dlq (eventId, createdAt, id);
    CREATE INDEX scheduled_integrations_of_integration
        ON scheduled_integrations (orgId, integrationConfigId, createdAt, id, status);
    CREATE INDEX scheduled_integrations_of_type
        ON scheduled_integrations (orgId, eventType, createdAt, id, status);
    -- What is searched, without the documents, which may be large. It follows them by itself.
    CREATE TABLE execution_logs_texts (number INTEGER PRIMARY KEY, text TEXT NOT NULL);
    INSERT INTO execution_logs_texts SELECT rowid, concat_ws(char(10),
        document ->> '$.requestId', document ->> '$.integrationName', document ->> '$.path',
        document ->> '$.errorCategory', document ->> '$.errorMessage') FROM execution_logs;
    CREATE TRIGGER execution_logs_text_new AFTER INSERT ON execution_logs BEGIN
        INSERT OR REPLACE INTO execution_logs_texts VALUES (new.rowid, concat_ws(char(10),
        new.document ->> '$.requestId', new.document ->> '$.integrationName', new.document ->> '$.path',
        new.document ->> '$.errorCategory', new.document ->> '$.errorMessage'));
    END;
    CREATE TRIGGER execution_logs_text_changed AFTER UPDATE OF document ON execution_logs BEGIN
        UPDATE execution_logs_texts SET text = concat_ws(char(10),
        new.document ->> '$.requestId', new.document ->> '$.integrationName', new.document ->> '$.path',
        new.document ->> '$.errorCategory', new.document ->> '$.errorMessage') WHERE number = new.rowid;
    END;
    CREATE TRIGGER execution_logs_text_gone AFTER DELETE ON execution_logs BEGIN
        DELETE FROM execution_logs_texts WHERE number = old.rowid;
    END;
    CREATE TABLE delivery_logs_texts (number INTEGER PRIMARY KEY, text TEXT NOT NULL);
    INSERT INTO delivery_logs_texts SELECT rowid, concat_ws(char(10),
        document ->> '$.eventId', document ->> '$.messageId', document ->> '$.eventType',
        document ->> '$.integrationName', document ->> '$.targetUrl', document ->> '$.errorCategory',
        document ->> '$.errorMessage', document ->> '$.correlationId', document ->> '$.traceId') FROM delivery_logs;
    CREATE TRIGGER delivery_logs_text_new AFTER INSERT ON delivery_logs BEGIN
        INSERT OR REPLACE INTO delivery_logs_texts VALUES (new.rowid, concat_ws(char(10),
        new.document ->> '$.eventId', new.document ->> '$.messageId', new.document ->> '$.eventType',
        new.document ->> '$.integrationName', new.document ->> '$.targetUrl', new.document ->> '$.errorCategory',
        new.document ->> '$.errorMessage', new.document ->> '$.correlationId', new.document ->> '$.traceId'));
    END;
    CREATE TRIGGER delivery_logs_text_changed AFTER UPDATE OF document ON delivery_logs BEGIN
        UPDATE delivery_logs_texts SET text = concat_ws(char(10),
        new.document ->> '$.eventId', new.document ->> '$.messageId', new.document ->> '$.eventType',
        new.document ->> '$.integrationName', new.document ->> '$.targetUrl', new.document ->> '$.errorCategory',
        new.document ->> '$.errorMessage', new.document ->> '$.correlationId', new.document ->> '$.traceId') WHERE number = new.rowid;
    END;
    CREATE TRIGGER delivery_logs_text_gone AFTER DELETE ON delivery_logs BEGIN
        DELETE FROM delivery_logs_texts WHERE number = old.rowid;
    END;
    CREATE TABLE dlq_texts (number INTEGER PRIMARY KEY, text TEXT NOT NULL);
    INSERT INTO dlq_texts SELECT rowid, concat_ws(char(10),
        document ->> '$.eventId', document ->> '$.eventType', document ->> '$.integrationName',
        document ->> '$.targetUrl', document ->> '$.errorCategory', document ->> '$.lastError',
        document ->> '$.correlationId', document ->> '$.traceId') FROM dlq;
    CREATE TRIGGER dlq_text_new AFTER INSERT ON dlq BEGIN
        INSERT OR REPLACE INTO dlq_texts VALUES (new.rowid, concat_ws(char(10),
        new.document ->> '$.eventId', new.document ->> '$.eventType', new.document ->> '$.integrationName',
        new.document ->> '$.targetUrl', new.document ->> '$.errorCategory', new.document ->> '$.lastError',
        new.document ->> '$.correlationId', new.document ->> '$.traceId'));
    END;
    CREATE TRIGGER dlq_text_changed AFTER UPDATE OF document ON dlq BEGIN
        UPDATE dlq_texts SET text = concat_ws(char(10),
        new.document ->> '$.eventId', new.document ->> '$.eventType', new.document ->> '$.integrationName',
        new.document ->> '$.targetUrl', new.document ->> '$.errorCategory', new.document ->> '$.lastError',
        new.document ->> '$.correlationId', new.document ->> '$.traceId') WHERE number = new.rowid;
    END;
    CREATE TRIGGER dlq_text_gone AFTER DELETE ON dlq BEGIN
        DELETE FROM dlq_texts WHERE number = old.rowid;
    END;
    CREATE TABLE scheduled_integrations_texts (number INTEGER PRIMARY KEY, text TEXT NOT NULL);
    INSERT INTO scheduled_integrations_texts SELECT rowid, concat_ws(char(10),
        document ->> '$.originalEventId', document ->> '$.eventType', document ->> '$.integrationName',
        document ->> '$.targetUrl') FROM scheduled_integrations;
    CREATE TRIGGER scheduled_integrations_text_new AFTER INSERT ON scheduled_integrations BEGIN
        INSERT OR REPLACE INTO scheduled_integrations_texts VALUES (new.rowid, concat_ws(char(10),
        new.document ->> '$.originalEventId', new.document ->> '$.eventType', new.document ->> '$.integrationName',
        new.document ->> '$.targetUrl'));
    END;
    CREATE TRIGGER scheduled_integrations_text_changed AFTER UPDATE OF document ON scheduled_integrations BEGIN
        UPDATE scheduled_integrations_texts SET text = concat_ws(char(10),
        new.document ->> '$.originalEventId', new.document ->> '$.eventType', new.document ->> '$.integrationName',
        new.document ->> '$.targetUrl') WHERE number = new.rowid;
    END;
    CREATE TRIGGER scheduled_integrations_text_gone AFTER DELETE ON scheduled_integrations BEGIN
        DELETE FROM scheduled_integrations_texts WHERE number = old.rowid;
    END;
    -- Counts by hour and day, of one integration or, where that is empty, of the organization.
    CREATE TABLE rollups (
        orgId INTEGER NOT NULL,
        span TEXT NOT NULL,
        direction TEXT NOT NULL,
        integrationConfigId TEXT NOT NULL,
        startAt INTEGER NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (orgId, span, direction, integrationConfigId, startAt)
    ) WITHOUT ROWID;
    CREATE INDEX rollups_of_org ON rollups (orgId, span, startAt);
    CREATE INDEX rollups_by_age ON rollups (span, startAt);
    -- The last batch of calls of each gateway, so that it is counted once.
    CREATE TABLE call_batches (
        gatewayId TEXT PRIMARY KEY,
        batch TEXT NOT NULL
    ) WITHOUT ROWID;
",
    "
    -- Dead letters of proxied calls are told apart from those of deliveries.
    ALTER TABLE dlq ADD COLUMN direction TEXT NOT NULL DEFAULT 'OUTBOUND';
    CREATE INDEX dlq_of_direction ON dlq (orgId, direction, createdAt, id, status);
    ",
    // What a version changed of each organization: as JSON with it, and by organization to find it. The organization of a
    // deleted object stands in the change before.
    "
    ALTER TABLE versions ADD COLUMN shares TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE versions ADD COLUMN canary TEXT;
    CREATE TABLE version_shares (
        orgId INTEGER NOT NULL,
        version INTEGER NOT NULL REFERENCES versions (number),
        PRIMARY KEY (orgId, version)
    ) WITHOUT ROWID;
    CREATE INDEX changes_of_object ON changes (kind, id, version);
    CREATE TEMPORARY TABLE counted AS
        SELECT version, orgId, sum(put) AS put, sum(1 - put) AS deleted FROM (
            SELECT version, body IS NOT NULL AS put, json_extract(coalesce(body, (
                SELECT earlier.body FROM changes AS earlier
                WHERE earlier.kind = changes.kind AND earlier.id = changes.id AND earlier.version < changes.version
                AND earlier.body IS NOT NULL ORDER BY earlier.version DESC LIMIT 1
            )), '$.orgId') AS orgId FROM changes WHERE kind <> 'security'
        ) WHERE orgId IS NOT NULL GROUP BY version, orgId;
    INSERT INTO version_shares (orgId, version) SELECT CAST(orgId AS INTEGER), version FROM counted;
    UPDATE versions SET shares = (
        SELECT json_group_array(json_object('orgId', CAST(orgId AS INTEGER), 'put', put, 'deleted', deleted))
        FROM counted WHERE counted.version = versions.number
    );
    DROP TABLE counted;
",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_earlier_releases_say_what_they_changed_of_whom() {
        let mut connection = Connection::open_in_memory().unwrap();
        for step in &STEPS[..8] {
            connection.execute_batch(step).unwrap();
        }
        connection.pragma_update(None, "user_version", 8).unwrap();
        let earlier = r#"
            INSERT INTO versions (number, author, message, at, digest, put, deleted) VALUES
                (1, 'ops', '', '2024-01-15T10:00:00Z', 'd', 3, 0), (2, 'ops', '', '2024-01-15T10:00:00Z', 'd', 0, 1);
            INSERT INTO changes (version, kind, id, body) VALUES
                (1, 'security', '', '{}'), (1, 'unit', '1', '{"orgId": 7}'), (1, 'unit', '2', '{"orgId": 8}'),
                (2, 'unit', '1', NULL);
        "#;
        connection.execute_batch(earlier).unwrap();
        migrate(&mut connection).unwrap();
        let shares = |number: u32| -> String {
            let statement = "SELECT shares FROM versions WHERE number = ?";
            connection.query_row(statement, [number], |row| row.get(0)).unwrap()
        };
        assert_eq!(
            shares(1),
            r#"[{"orgId":7,"put":1,"deleted":0},{"orgId":8,"put":1,"deleted":0}]"#
        );
        assert_eq!(shares(2), r#"[{"orgId":7,"put":0,"deleted":1}]"#);
        let of_seven = "SELECT count(*) FROM version_shares WHERE orgId = 7";
        let count: u32 = connection.query_row(of_seven, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 2);
    }

    #[test]
    fn records_of_earlier_releases_are_found_as_new_ones_are() {
        let mut connection = Connection::open_in_memory().unwrap();
        for step in &STEPS[..5] {
            connection.execute_batch(step).unwrap();
        }
        connection.pragma_update(None, "user_version", 5).unwrap();
        let earlier = r#"
            INSERT INTO execution_logs (id, org_id, trace_id, integration_id, status, created_at, body)
                VALUES ('call', 648, 't', 'labs', 'FAILED', 1, '{"errorCategory": "TIMEOUT", "path": "/labs/17"}'),
                ('good', 648, 't', 'labs', 'SUCCESS', 1, '{"path": "/labs/18"}');
            INSERT INTO delivery_logs VALUES
                ('log', 648, 'SUCCESS', 'OUTBOUND', 1, 'bills', 'bill', 'e', 'm', '', 't', '', '{"eventId": "evt-1"}');
        "#;
        connection.execute_batch(earlier).unwrap();
        migrate(&mut connection).unwrap();
        let texts = |statement: &str| -> Vec<String> {
            let mut select = connection.prepare(statement).unwrap();
            let texts = select.query_map([], |row| row.get(0)).unwrap();
            texts.map(Result::unwrap).collect()
        };
        assert_eq!(
            texts("SELECT errorCategory FROM execution_logs ORDER BY id"),
            ["TIMEOUT", ""]
        );
        let searched = "SELECT text FROM execution_logs_texts ORDER BY number";
        assert_eq!(texts(searched), ["/labs/17\nTIMEOUT", "/labs/18"]);
        assert_eq!(texts("SELECT text FROM delivery_logs_texts"), ["evt-1"]);

        // What is searched follows the documents, whoever changes them.
        connection
            .execute_batch(
                r#"UPDATE execution_logs SET document = '{"path": "***"}' WHERE id = 'call';
                DELETE FROM execution_logs WHERE id = 'good'; DELETE FROM delivery_logs;"#,
            )
            .unwrap();
        assert_eq!(texts(searched), ["***"]);
        assert!(texts("SELECT text FROM delivery_logs_texts").is_empty());
    }

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
