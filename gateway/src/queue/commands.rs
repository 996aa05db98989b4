//! What operators want: carried out once, however often it is asked for.

use filters::model::command::{CommandFailure, CommandResult};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::group::{Group, Refusal};
use super::operation::{Action, Command};
use super::stats::Move;
use super::{Handed, Hold, OpenDelivery, QueueError, Record, Replay, Seq};

impl Group<'_> {
    /// Carries a command out, unless that was done already.
    pub(super) fn command(&mut self, command: &Command) -> Result<CommandResult, Refusal> {
        let Some(id) = &command.id else {
            return self.act(&command.action);
        };
        if let Some(result) = done(self.store, id)? {
            return Ok(result?);
        }
        let result = self.act(&command.action)?;
        let json = serde_json::to_vec(&result).map_err(|error| QueueError::Invalid(error.to_string()))?;
        self.store
            .prepare_cached("INSERT INTO commands(id, done_ms, result) VALUES (?1, ?2, ?3)")?
            .execute(params![id, self.now_ms, json])?;
        self.record(&Record::Commanded {
            id: id.clone(),
            result: result.clone(),
        })?;
        Ok(result)
    }

    fn act(&mut self, action: &Action) -> Result<CommandResult, Refusal> {
        match action {
            Action::Retry { ids, payload } => each(ids, |id| self.retry(id, payload.as_deref())),
            Action::Abandon(ids) => each(ids, |id| self.abandon(id)),
            Action::Forget(ids) => each(ids, |id| self.forget(id)),
            Action::Cancel(settlings) => each(settlings, |(_, settling)| self.settle(settling)),
            Action::Replay(replays) => each(replays, |replay| self.replay(replay)),
            Action::Erase(seqs) => each(seqs, |seq| self.erase(*seq)),
            Action::Hold { subscription, reason } => {
                match reason {
                    Some(reason) => self
                        .store
                        .prepare_cached(
                            "INSERT OR REPLACE INTO held(subscription, reason, since_ms) VALUES (?1, ?2, ?3)",
                        )?
                        .execute(params![&**subscription, reason, self.now_ms])?,
                    None => self
                        .store
                        .prepare_cached("DELETE FROM held WHERE subscription = ?1")?
                        .execute([&**subscription])?,
                };
                Ok(CommandResult {
                    done: 1,
                    failed: Vec::new(),
                })
            }
            Action::Remember { result, records } => {
                for record in records {
                    self.record(record)?;
                }
                Ok(result.clone())
            }
        }
    }

    /// Makes deliveries of an event that is kept.
    fn replay(&mut self, replay: &Replay) -> Result<(), Refusal> {
        let Some(row) = self.reopened(replay.seq)? else {
            return Err(QueueError::NoEvent(replay.seq).into());
        };
        let used = row.deliveries.iter().map(|one| one.number);
        let used = used.chain(row.outcomes.iter().map(|one| one.number)).max();
        let first = used.map_or(0, |number| usize::from(number) + 1);
        if first + replay.deliveries.len() > usize::from(u16::MAX) {
            let message = format!(
                "event {} was delivered too often; it can be delivered 65535 times",
                replay.seq
            );
            return Err(QueueError::Invalid(message).into());
        }
        let numbered = replay
            .deliveries
            .iter()
            .zip(first..)
            .map(|(delivery, number)| OpenDelivery {
                number: u16::try_from(number).unwrap_or(u16::MAX),
                ..delivery.clone()
            });
        let deliveries: Vec<OpenDelivery> = numbered.collect();
        row.deliveries.extend_from_slice(&deliveries);
        let (org_id, accepted_ms) = (row.org_id, row.accepted_ms);
        for delivery in &deliveries {
            self.staged.moves.push(Move {
                seq: replay.seq,
                subscription: delivery.subscription.clone(),
                org_id,
                accepted_ms,
                open: 1,
                dead: 0,
            });
        }
        self.staged.handed.push(Handed {
            seq: replay.seq,
            accepted_ms,
            event: None,
            deliveries,
        });
        Ok(())
    }
}

/// The result of the command `id`, if it is remembered.
pub(super) fn done(store: &Connection, id: &str) -> rusqlite::Result<Option<Result<CommandResult, QueueError>>> {
    let json: Option<Vec<u8>> = store
        .prepare_cached("SELECT result FROM commands WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    Ok(json.map(|json| serde_json::from_slice(&json).map_err(|error| QueueError::damaged("commands", 0, &error))))
}

/// The subscriptions that are held back.
pub(super) fn held(store: &Connection) -> rusqlite::Result<Vec<Hold>> {
    let mut select = store.prepare_cached("SELECT subscription, reason, since_ms FROM held ORDER BY subscription")?;
    let held = select.query_map([], |row| {
        Ok(Hold {
            integration_config_id: row.get::<_, String>(0)?.into(),
            reason: row.get(1)?,
            since_ms: row.get(2)?,
        })
    })?;
    held.collect()
}

/// Something that a command names.
trait Named {
    fn name(&self) -> String;
}

impl Named for String {
    fn name(&self) -> String {
        self.clone()
    }
}

impl Named for Seq {
    fn name(&self) -> String {
        self.to_string()
    }
}

impl<T> Named for (String, T) {
    fn name(&self) -> String {
        self.0.clone()
    }
}

impl Named for Replay {
    fn name(&self) -> String {
        self.seq.to_string()
    }
}

/// Carries something out on each of `objects`; what cannot be done is in the result.
fn each<T: Named>(objects: &[T], mut act: impl FnMut(&T) -> Result<(), Refusal>) -> Result<CommandResult, Refusal> {
    let mut result = CommandResult {
        done: 0,
        failed: Vec::new(),
    };
    for object in objects {
        match act(object) {
            Ok(()) => result.done += 1,
            Err(Refusal::Store(error)) => return Err(Refusal::Store(error)),
            Err(Refusal::Operation(_)) if result.failed.len() >= MOST_FAILURES => {}
            Err(Refusal::Operation(error)) => result.failed.push(CommandFailure {
                id: object.name(),
                error: error.to_string(),
            }),
        }
    }
    Ok(result)
}

const MOST_FAILURES: usize = 100;
