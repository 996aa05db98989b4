//! Checks everything that the queue has, row by row.

use std::path::Path;

use ahash::AHashSet;
use filters::model::EventHead;
use filters::model::delivery::{DeadLetter, DeliveryRecord};
use rusqlite::{Connection, Row};

use super::operation::Audit;
use super::row::{Names, decode_open, decode_outcomes, decode_state};
use super::{DeliveryKey, QueueError, browse, dedupe, schema};

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Events.
    pub events: u64,
    /// Open deliveries.
    pub open: u64,
    /// Dead letters.
    pub dead: u64,
    /// Records that the control plane does not have yet.
    pub records: u64,
    /// What is wrong; at most 100 of it.
    pub faults: Vec<String>,
    /// How much is wrong.
    pub fault_count: u64,
}

/// Checks the queue in `dir`, also while a gateway works with it: what is seen is of one moment.
///
/// # Errors
/// If there is no queue, or it cannot be opened. What is wrong in it is in the result.
pub fn verify(dir: &Path) -> Result<Verified, QueueError> {
    let store = schema::open_reader(&schema::file_in(dir))?;
    let moment = store.unchecked_transaction().map_err(browse::unread)?;
    let mut check = Check {
        store: &moment,
        names: Names::default(),
        found: Verified::default(),
        open: AHashSet::new(),
    };
    check.file();
    check.events();
    check.open();
    check.settled();
    check.dead();
    check.spool();
    check.digests();
    Ok(check.found)
}

/// A check under way.
struct Check<'s> {
    store: &'s Connection,
    names: Names,
    found: Verified,
    open: AHashSet<DeliveryKey>,
}

impl Check<'_> {
    fn file(&mut self) {
        self.each("the file", "PRAGMA integrity_check", |check, row| {
            let told: String = row.get(0)?;
            if told != "ok" {
                check.fault(told);
            }
            Ok(())
        });
    }

    fn events(&mut self) {
        self.each("events", "SELECT seq, head, audit FROM events", |check, row| {
            let seq: i64 = row.get(0)?;
            check.found.events += 1;
            if let Err(error) = serde_json::from_slice::<EventHead>(row.get_ref(1)?.as_blob()?) {
                check.fault(format!("event {seq}: its head cannot be read: {error}"));
            }
            if let Err(error) = serde_json::from_slice::<Audit>(row.get_ref(2)?.as_blob()?) {
                check.fault(format!("event {seq}: its audit cannot be read: {error}"));
            }
            Ok(())
        });
    }

    fn open(&mut self) {
        let select = "SELECT open.seq, state, events.seq IS NULL FROM open LEFT JOIN events USING (seq)";
        self.each("open", select, |check, row| {
            let seq: i64 = row.get(0)?;
            if row.get(2)? {
                check.fault(format!("event {seq}: it has open deliveries, and is not there"));
            }
            match decode_open(row.get_ref(1)?.as_blob()?, &mut check.names) {
                Ok((deliveries, _)) => {
                    if deliveries.is_empty() {
                        check.fault(format!("event {seq}: its row of open deliveries has none"));
                    }
                    check.found.open += deliveries.len() as u64;
                    let keys = deliveries.iter().map(|delivery| DeliveryKey {
                        seq,
                        number: delivery.number,
                    });
                    check.open.extend(keys);
                }
                Err(error) => check.fault(format!("event {seq}: its open deliveries cannot be read: {error}")),
            }
            Ok(())
        });
    }

    fn settled(&mut self) {
        self.each("settled", "SELECT seq, outcomes FROM settled", |check, row| {
            let seq: i64 = row.get(0)?;
            if let Err(error) = decode_outcomes(row.get_ref(1)?.as_blob()?, &mut check.names) {
                check.fault(format!("event {seq}: its outcomes cannot be read: {error}"));
            }
            Ok(())
        });
    }

    fn dead(&mut self) {
        let select = "SELECT key, retrying, state, letter, events.seq IS NULL FROM dead
            LEFT JOIN events ON events.seq = dead.key >> 16";
        self.each("dead", select, |check, row| {
            let key = DeliveryKey::unpacked(row.get(0)?);
            let name = format!("dead letter {}-{}", key.seq, key.number);
            check.found.dead += 1;
            if row.get(4)? {
                check.fault(format!("{name}: its event is not there"));
            }
            if row.get::<_, bool>(1)? != check.open.contains(&key) {
                check.fault(format!("{name}: it is either being tried again or not, and is both"));
            }
            if let Err(error) = decode_state(row.get_ref(2)?.as_blob()?) {
                check.fault(format!("{name}: its state cannot be read: {error}"));
            }
            if let Err(error) = serde_json::from_slice::<DeadLetter>(row.get_ref(3)?.as_blob()?) {
                check.fault(format!("{name}: its record cannot be read: {error}"));
            }
            Ok(())
        });
    }

    fn spool(&mut self) {
        self.each("spool", "SELECT seq, count, records FROM spool", |check, row| {
            let (seq, count): (i64, u64) = (row.get(0)?, row.get::<_, u32>(1)?.into());
            let records = [b"[", row.get_ref(2)?.as_blob()?, b"]"].concat();
            match serde_json::from_slice::<Vec<DeliveryRecord>>(&records) {
                Ok(records) if records.len() as u64 == count => check.found.records += count,
                Ok(records) => {
                    check.fault(format!(
                        "records {seq}: there are {}, and should be {count}",
                        records.len()
                    ));
                }
                Err(error) => check.fault(format!("records {seq}: they cannot be read: {error}")),
            }
            Ok(())
        });
    }

    fn digests(&mut self) {
        let select = "SELECT 'log', id, length(entries) FROM dedupe_log
            UNION ALL SELECT 'slice', slice, length(entries) FROM dedupe
            UNION ALL SELECT 'slice', slice, ?1 + 1 FROM dedupe WHERE slice NOT IN (SELECT id FROM dedupe_slice)";
        let select = select.replace("?1", &dedupe::ENTRY_BYTES.to_string());
        self.each("dedupe", &select, |check, row| {
            let (kind, id, bytes): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if bytes.cast_unsigned() % dedupe::ENTRY_BYTES as u64 != 0 {
                check.fault(format!("digests of {kind} {id}: they are damaged"));
            }
            Ok(())
        });
    }

    /// Looks at each row of a query; if it cannot go on, that is a fault, too.
    fn each(&mut self, what: &str, select: &str, mut look: impl FnMut(&mut Self, &Row<'_>) -> rusqlite::Result<()>) {
        let store = self.store;
        let mut go = || {
            let mut select = store.prepare(select)?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                look(self, row)?;
            }
            Ok::<_, rusqlite::Error>(())
        };
        if let Err(error) = go() {
            self.fault(format!("{what}: the rows cannot be read: {error}"));
        }
    }

    fn fault(&mut self, fault: String) {
        self.found.fault_count += 1;
        if self.found.faults.len() < MOST_FAULTS {
            self.found.faults.push(fault);
        }
    }
}

const MOST_FAULTS: usize = 100;
