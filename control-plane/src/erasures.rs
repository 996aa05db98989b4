//! Removing what is kept of a person: here, and in the queues of the gateways.
//!
//! An erasure is kept before anything is done, under a hash of the person's name. It is done by steps that may be repeated,
//! so that it goes on after a restart: the store is gone through, each gateway is given a command, and when all of them
//! have carried theirs out, the store is gone through once more for what they brought in meanwhile. A gateway that was
//! removed is waited for no more; if it comes back after all, it is given its command then.

mod erasure;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use filters::model::command::Command;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub(crate) use self::erasure::{Erasure, ErasureState, GatewayPart, Removed};
use crate::audit::AuditEntry;
use crate::commands::{Commands, Draft};
use crate::fleet::Fleet;
use crate::store::{Sheet, Store, StoreError, Write};

/// Carries erasures out.
#[derive(Debug)]
pub(crate) struct Erasures {
    store: Arc<Store>,
    commands: Arc<Commands>,
    fleet: Arc<Fleet>,
}

impl Erasures {
    pub(crate) fn new(store: Arc<Store>, commands: Arc<Commands>, fleet: Arc<Fleet>) -> Self {
        Self { store, commands, fleet }
    }

    /// Keeps a new one; it is begun within a second.
    pub(crate) async fn begin(&self, erasure: &Erasure) -> Result<(), StoreError> {
        let entry = AuditEntry {
            after: serde_json::to_value(erasure).ok(),
            ..AuditEntry::new(
                &erasure.requested_by,
                "erasure.begin",
                format!("erasure {}", erasure.id),
                Some(erasure.org_id),
            )
        };
        self.store
            .write(vec![Write::new(erasure)?], vec![entry])
            .await
            .map(drop)
    }

    /// Goes on with those that are open, until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut works = true;
        loop {
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => return,
            }
            let gone_on = tokio::select! {
                gone_on = self.go_on() => gone_on,
                () = stop.cancelled() => return,
            };
            match gone_on {
                Ok(()) => works = true,
                Err(error) if works => {
                    tracing::warn!(%error, "erasures cannot go on; they are tried again");
                    works = false;
                }
                Err(_) => {}
            }
        }
    }

    async fn go_on(&self) -> Result<(), StoreError> {
        let mut after: Option<String> = None;
        loop {
            let sheets: Vec<Sheet<Erasure>> = self.store.sheets(None, after.as_deref(), PAGE).await?;
            let Some(last) = sheets.last() else { return Ok(()) };
            after = Some(last.value.id.clone());
            for sheet in sheets {
                let is_open = match sheet.value.state {
                    ErasureState::Running => true,
                    ErasureState::Incomplete => sheet.value.gateways.iter().any(|part| self.is_back(part)),
                    ErasureState::Done => false,
                };
                if is_open {
                    self.step(sheet).await?;
                }
            }
        }
    }

    fn is_back(&self, part: &GatewayPart) -> bool {
        part.gone && self.fleet.knows(&part.gateway_id)
    }

    /// Does what can be done now of one erasure.
    async fn step(&self, Sheet { revision, value }: Sheet<Erasure>) -> Result<(), StoreError> {
        let mut erasure = value.clone();
        erasure.state = ErasureState::Running;
        if erasure.swept_at.is_none() {
            let removed = sweep::sweep(&self.store, &erasure).await?;
            erasure.removed.add(removed);
            erasure.swept_at = Some(Timestamp::now());
        }
        self.command_gateways(&mut erasure).await?;
        let mut audit = Vec::new();
        if erasure.gateways.iter().all(|part| part.done || part.gone) {
            let removed = sweep::sweep(&self.store, &erasure).await?;
            erasure.removed.add(removed);
            // While somebody reads, what was removed is still in the log of the embedded store: it is emptied next time.
            if self.store.empty_log().await? {
                audit.push(finish(&mut erasure));
            }
        }
        if erasure != value {
            // Where another control plane was quicker, it goes on there.
            self.store
                .write(vec![Write::replace(&erasure, revision)?], audit)
                .await?;
        }
        Ok(())
    }

    /// Gives each gateway its command, and notes what became of those that were given.
    async fn command_gateways(&self, erasure: &mut Erasure) -> Result<(), StoreError> {
        let (org_id, author) = (erasure.org_id, erasure.requested_by.clone());
        if erasure.gateways.iter().all(|part| part.done) {
            return Ok(());
        }
        self.fleet.refresh().await?;
        for part in erasure.gateways.iter_mut().filter(|part| !part.done) {
            let was_gone = std::mem::replace(&mut part.gone, !self.fleet.knows(&part.gateway_id));
            if part.gone {
                continue;
            }
            if was_gone {
                part.command_id = None;
            }
            let Some(id) = &part.command_id else {
                let draft = Draft {
                    org_id,
                    gateway_id: part.gateway_id.as_str().into(),
                    command: Command::Erase {
                        org_id,
                        subject: erasure.subject.clone(),
                        paths: erasure.paths.clone(),
                        only_paths: erasure.only_paths,
                    },
                };
                let given = self.commands.give(vec![draft], &author).await?;
                part.command_id = given.first().map(|command| command.id.clone());
                continue;
            };
            let Some(command) = self.store.command(id).await? else {
                // Too old: it is given anew.
                part.command_id = None;
                continue;
            };
            if let Some((result, _)) = command.done {
                part.events += result.done;
                if result.failed.is_empty() {
                    part.done = true;
                } else {
                    // What was in flight is over by then.
                    part.command_id = None;
                }
            }
        }
        Ok(())
    }
}

/// Ends it, and says so for the audit.
fn finish(erasure: &mut Erasure) -> AuditEntry {
    let (state, action) = match erasure.gateways.iter().any(|part| part.gone) {
        true => (ErasureState::Incomplete, "erasure.incomplete"),
        false => (ErasureState::Done, "erasure.done"),
    };
    erasure.state = state;
    erasure.finished_at = Some(Timestamp::now());
    let target = format!("erasure {}", erasure.id);
    AuditEntry {
        after: serde_json::to_value(&*erasure).ok(),
        ..AuditEntry::new("control-plane", action, target, Some(erasure.org_id))
    }
}

const PAUSE: Duration = Duration::from_secs(1);
const PAGE: u32 = 100;

#[cfg(test)]
mod tests;
