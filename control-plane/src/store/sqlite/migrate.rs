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
const STEPS: [&str; 2] = [
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
            matches!(refused, MigrateError::Newer { found: 99, known: 2 }),
            "{refused:?}"
        );
    }
}
