//! Dead letters: kept until they are delivered or forgotten, tried again by the clock or by an operator.

use std::sync::Arc;

use filters::event::Event;
use filters::model::delivery::{DeadLetter, DeadLetterStatus, DeliveryDirection, TriggerType};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::Value;
use uuid::Uuid;

use super::group::{Group, Refusal, unwritable};
use super::row::{decode_state, encode_state};
use super::stats::Move;
use super::{DeadEntry, DeadFilter, DeliveryKey, DeliveryState, Handed, OpenDelivery, QueueError, Record, reader};

impl Group<'_> {
    /// Tries the dead letters again whose time has come.
    pub(super) fn retry_due(&mut self) -> rusqlite::Result<()> {
        let mut select = self
            .store
            .prepare_cached("SELECT key FROM dead WHERE retry_ms <= ?1 ORDER BY retry_ms LIMIT ?2")?;
        let keys = select.query_map(params![self.now_ms, MOST_DUE], |row| row.get::<_, i64>(0))?;
        let keys: Vec<i64> = keys.collect::<Result<_, _>>()?;
        for key in keys {
            let found = entry(self.store, "key = ?1", key)?;
            let revived = match found {
                Ok(Some(entry)) => self.revive(entry, TriggerType::Scheduled, None),
                Ok(None) => continue,
                Err(error) => Err(error.into()),
            };
            match revived {
                Ok(()) => {}
                Err(Refusal::Store(error)) => return Err(error),
                Err(Refusal::Operation(error)) => {
                    // It stays for an operator to look at, rather than being tried for ever.
                    tracing::error!(%error, "a dead letter cannot be tried again");
                    self.store
                        .prepare_cached("UPDATE dead SET retry_ms = NULL WHERE key = ?1")?
                        .execute([key])?;
                }
            }
        }
        self.staged.retries_changed = true;
        Ok(())
    }

    /// Tries a dead letter again, for an operator.
    pub(super) fn retry(&mut self, id: &str, payload: Option<&str>) -> Result<(), Refusal> {
        let entry = self.resting(id)?;
        self.revive(entry, TriggerType::Manual, payload)
    }

    /// Gives a dead letter up.
    pub(super) fn abandon(&mut self, id: &str) -> Result<(), Refusal> {
        let mut entry = self.resting(id)?;
        entry.letter.status = DeadLetterStatus::Abandoned;
        entry.letter.next_retry_at = None;
        entry.letter.updated_at = crate::clock::now_rfc3339();
        let letter = serde_json::to_vec(&entry.letter).map_err(unspeakable)?;
        self.store
            .prepare_cached("UPDATE dead SET retry_ms = NULL, abandoned_ms = ?2, letter = ?3 WHERE key = ?1")?
            .execute(params![entry.key.packed(), self.now_ms, letter])?;
        self.staged.retries_changed = true;
        entry.letter.original_payload = payload(self.store, &entry)?;
        self.record(&Record::DeadLetter(Box::new(entry.letter)))
    }

    /// Forgets a dead letter.
    pub(super) fn forget(&mut self, id: &str) -> Result<(), Refusal> {
        let entry = self.resting(id)?;
        let mut moved = moved(&entry, 0);
        self.undead(entry.key, &mut moved)?;
        self.staged.moves.push(moved);
        self.staged.retries_changed = true;
        self.record(&Record::DeadLetterGone(entry.letter.id))
    }

    /// The dead letter `id`, if it is not being tried again right now.
    fn resting(&self, id: &str) -> Result<DeadEntry, Refusal> {
        let unknown = || QueueError::Invalid(format!("there is no dead letter `{id}` in this queue"));
        let uuid = Uuid::try_parse(id).map_err(|_| unknown())?;
        let entry = entry(self.store, "id = ?1", uuid.into_bytes().to_vec())??.ok_or_else(unknown)?;
        if entry.retrying {
            return Err(QueueError::Invalid(format!("dead letter `{id}` is being tried again already")).into());
        }
        Ok(entry)
    }

    /// Makes a dead letter an open delivery again, which is due now.
    fn revive(&mut self, mut entry: DeadEntry, trigger: TriggerType, edited: Option<&str>) -> Result<(), Refusal> {
        let (key, now_ms) = (entry.key, self.now_ms);
        let moved = moved(&entry, 1);
        let state = &mut entry.state;
        let retries = state.dead_retries.unwrap_or(0);
        state.dead_retries = Some(retries + u32::from(trigger == TriggerType::Scheduled));
        state.trigger = trigger;
        state.due_ms = now_ms;
        if let Some(edited) = edited {
            state.payload = Some(edited.into());
        }
        let encoded = encode_state(state).map_err(unwritable)?;
        let delivery = OpenDelivery {
            number: key.number,
            subscription: self.names.shared(&entry.letter.integration_config_id),
            state: state.clone(),
        };
        let Some(row) = self.reopened(key.seq)? else {
            return Err(QueueError::NoEvent(key.seq).into());
        };
        row.outcomes.retain(|outcome| outcome.number != key.number);
        row.deliveries.push(delivery.clone());
        let accepted_ms = row.accepted_ms;
        self.store
            .prepare_cached(
                "UPDATE dead SET retrying = 1, retry_ms = NULL, abandoned_ms = NULL, state = ?2 WHERE key = ?1",
            )?
            .execute(params![key.packed(), encoded])?;
        self.staged.moves.push(Move { accepted_ms, ..moved });
        self.staged.handed.push(Handed {
            seq: key.seq,
            accepted_ms,
            event: None,
            deliveries: vec![delivery],
        });
        self.staged.retries_changed = true;
        self.tell_of_retry(entry)
    }

    /// Operators see that it is being tried again, and with which payload.
    fn tell_of_retry(&mut self, entry: DeadEntry) -> Result<(), Refusal> {
        if !self.records {
            return Ok(());
        }
        let letter = DeadLetter {
            status: DeadLetterStatus::Retrying,
            retry_count: entry.state.dead_retries.unwrap_or(0),
            next_retry_at: None,
            updated_at: crate::clock::now_rfc3339(),
            original_payload: payload(self.store, &entry)?,
            ..entry.letter
        };
        self.record(&Record::DeadLetter(Box::new(letter)))
    }

    /// Adds a record of something that the queue did itself.
    pub(super) fn record(&mut self, record: &Record) -> Result<(), Refusal> {
        if !self.records {
            return Ok(());
        }
        let mut json = serde_json::to_vec(record).map_err(unspeakable)?;
        json.push(b',');
        Ok(self.staged.spool.push(self.store, &json, 1)?)
    }
}

/// A page of the dead letters, without their payloads.
pub(super) fn page(store: &Connection, filter: &DeadFilter) -> Result<Vec<DeadEntry>, QueueError> {
    let select = format!(
        "{SELECT} WHERE key > ?1 AND (?2 IS NULL OR org = ?2) AND (?3 IS NULL OR subscription = ?3) ORDER BY key LIMIT ?4"
    );
    let after = filter.after.map_or(-1, DeliveryKey::packed);
    let org = filter.org_id.map(u64::cast_signed);
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let mut select = store.prepare_cached(&select).map_err(unread)?;
    let entries = select
        .query_map(params![after, org, filter.subscription.as_deref(), limit], |row| {
            Ok(read(row))
        })
        .map_err(unread)?;
    let entries = entries.map(|entry| {
        let mut entry = entry.map_err(unread)??;
        entry.letter.original_payload = Value::Null;
        Ok(entry)
    });
    entries.collect()
}

/// The dead letter `id` with its payload.
pub(super) fn whole(store: &Connection, id: Uuid) -> Result<Option<DeadEntry>, QueueError> {
    let found = entry(store, "id = ?1", id.into_bytes().to_vec()).map_err(unread)??;
    let Some(mut entry) = found else { return Ok(None) };
    entry.letter.original_payload = payload(store, &entry).map_err(unread)?;
    Ok(Some(entry))
}

/// What the dead letter's endpoint should have got. Of a call, the letter has what may be seen of its body.
pub(super) fn payload(store: &Connection, entry: &DeadEntry) -> rusqlite::Result<Value> {
    if let Some(edited) = &entry.state.payload {
        return Ok(shown(edited.as_bytes()));
    }
    if entry.letter.direction == DeliveryDirection::Inbound {
        return Ok(entry.letter.original_payload.clone());
    }
    let event: Option<Arc<Event>> = reader::event(store, entry.key.seq)?;
    Ok(event.map_or(Value::Null, |event| shown(&event.payload)))
}

/// A payload as JSON; base64 text if it is none.
pub(super) fn shown(payload: &[u8]) -> Value {
    use base64::Engine as _;
    serde_json::from_slice(payload)
        .unwrap_or_else(|_| Value::String(base64::engine::general_purpose::STANDARD.encode(payload)))
}

/// The dead letter for which `condition` holds.
pub(super) fn entry(
    store: &Connection,
    condition: &str,
    value: impl rusqlite::ToSql,
) -> rusqlite::Result<Result<Option<DeadEntry>, QueueError>> {
    let found = store
        .prepare_cached(&format!("{SELECT} WHERE {condition}"))?
        .query_row([value], |row| Ok(read(row)))
        .optional()?;
    Ok(found.transpose())
}

fn read(row: &Row<'_>) -> Result<DeadEntry, QueueError> {
    let packed = row.get(0).map_err(unread)?;
    let damaged = |reason: &dyn std::fmt::Display| QueueError::damaged("dead", packed, &reason);
    let blob = |index| row.get_ref(index)?.as_blob().map_err(rusqlite::Error::from);
    let state: DeliveryState = decode_state(blob(3).map_err(unread)?).map_err(|error| damaged(&error))?;
    let letter: DeadLetter = serde_json::from_slice(blob(4).map_err(unread)?).map_err(|error| damaged(&error))?;
    Ok(DeadEntry {
        key: DeliveryKey::unpacked(packed),
        retry_ms: row.get(1).map_err(unread)?,
        retrying: row.get(2).map_err(unread)?,
        state,
        letter,
    })
}

fn moved(entry: &DeadEntry, open: i32) -> Move {
    Move {
        seq: entry.key.seq,
        subscription: Arc::clone(&entry.letter.integration_config_id),
        org_id: entry.letter.org_id,
        accepted_ms: 0,
        open,
        dead: 0,
    }
}

fn unread(error: rusqlite::Error) -> QueueError {
    QueueError::from_store("read its dead letters", error)
}

pub(super) fn unspeakable(error: serde_json::Error) -> Refusal {
    QueueError::Invalid(format!("it cannot be written down: {error}")).into()
}

const SELECT: &str = "SELECT key, retry_ms, retrying, state, letter FROM dead";
/// Dead letters that one commit brings back by the clock.
const MOST_DUE: u32 = 256;
