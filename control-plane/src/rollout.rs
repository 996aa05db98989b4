//! Rollouts: a version goes to some of the gateways first, is watched there, and then goes on or is taken back by itself.
//!
//! Whether a rollout is under way is told by the sequence of versions alone: its version names the gateways that get it
//! (`publish/trial.rs`), and the version that ends it is for all of them. The document on the shelf says the rest: the
//! rules, and how it ended. Both are written in one transaction, so that a control plane that is killed at any moment, and
//! others on the same store, see the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::audit::AuditEntry;
use crate::fleet::Fleet;
use crate::publish::{Author, Edit, Mode, Published, Publisher, Refusal, Stage, State, Turn};
use crate::store::{Sheet, Shelf, Shelved, Store, StoreError, Write};

mod judge;
mod pick;

pub(crate) use judge::Standing;
use judge::{Facts, Verdict};
pub(crate) use pick::Share;

/// A version that went to some of the gateways first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rollout {
    /// Identifier (UUIDv7).
    pub(crate) id: String,
    /// Who began it.
    pub(crate) author: String,
    /// What for.
    pub(crate) message: String,
    /// When it began (RFC 3339).
    #[schemars(with = "String")]
    pub(crate) created_at: Timestamp,
    /// How far it is.
    pub(crate) state: RolloutState,
    /// The version that the gateways of the rollout have.
    pub(crate) version: u64,
    /// The version that all others stay at meanwhile.
    pub(crate) base: u64,
    /// The gateways of the rollout, by name.
    pub(crate) gateways: Vec<String>,
    /// When it goes on, and when it is taken back.
    pub(crate) rules: Rules,
    /// Why it ended as it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Who ended it; left out if it ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended_by: Option<String>,
    /// When it ended (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub(crate) ended_at: Option<Timestamp>,
    /// The version that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended_version: Option<u64>,
}

/// How far a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RolloutState {
    /// Its gateways are watched.
    Watching,
    /// The version went to all gateways.
    Promoted,
    /// All gateways have again what they had before.
    RolledBack,
}

/// When a rollout goes on, and when it is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Rules {
    /// For how many seconds its gateways are watched, 1 to 86,400.
    pub(crate) watch_seconds: u32,
    /// By how many percentage points more of the requests may fail than at the other gateways, and than before, 0 to 100.
    pub(crate) tolerance_percent: f64,
    /// So many requests must have failed before their share counts, 1 to 1,000,000.
    pub(crate) min_failures: u64,
    /// False waits for an operator when the time is over, instead of going on.
    pub(crate) promote: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            watch_seconds: 60,
            tolerance_percent: 5.0,
            min_failures: 5,
            promote: true,
        }
    }
}

impl Shelved for Rollout {
    const SHELF: Shelf = Shelf::Rollouts;
    const NAME: &'static str = "rollout";

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        None
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.ended_at?.checked_add(KEPT_FOR).ok()
    }
}

/// Begins, watches and ends rollouts.
#[derive(Debug)]
pub(crate) struct Rollouts {
    publisher: Publisher,
    store: Arc<Store>,
    fleet: Arc<Fleet>,
    /// Since when gateways are listened to here.
    since: Timestamp,
}

/// What somebody wants to roll out.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// To which gateways first.
    pub(crate) share: Share,
    /// When it goes on, and when it is taken back.
    pub(crate) rules: Rules,
    /// What is written in the same transaction, as a draft that is gone then.
    pub(crate) writes: Vec<Write>,
}

/// How a rollout ends.
#[derive(Clone, Debug)]
struct Ending {
    state: RolloutState,
    reason: String,
    /// `None` if it ends by itself.
    by: Option<Author>,
}

impl Rollouts {
    pub(crate) fn new(publisher: Publisher, store: Arc<Store>, fleet: Arc<Fleet>) -> Self {
        Self {
            publisher,
            store,
            fleet,
            since: now(),
        }
    }

    /// Begins a rollout of `edit`, or tries it. Returns what was published, and the rollout if one began: not if there was
    /// nothing to change.
    ///
    /// # Errors
    /// What `edit` refuses, every problem of the configuration, a conflict if another rollout is under way or there are too
    /// few gateways, or a failure of the store.
    pub(crate) async fn begin<F>(
        &self,
        author: Author,
        mode: Mode,
        wanted: Wanted,
        edit: F,
    ) -> Result<(Published, Option<Rollout>), Refusal>
    where
        F: Fn(&State) -> Result<Edit, Refusal> + Send + 'static,
    {
        let id = Uuid::now_v7().to_string();
        let gateways = pick::pick(&wanted.share, &self.fleet.list(&self.publisher.state()), &id)?;
        let turn = {
            let (id, author) = (id.clone(), author.clone());
            move |state: &State| {
                let rollout = Rollout {
                    id: id.clone(),
                    author: author.name.clone(),
                    message: author.message.clone(),
                    created_at: now(),
                    state: RolloutState::Watching,
                    version: state.snapshot.version + 1,
                    base: state.snapshot.version,
                    gateways: gateways.iter().cloned().collect(),
                    rules: wanted.rules,
                    reason: None,
                    ended_by: None,
                    ended_at: None,
                    ended_version: None,
                };
                let mut edit = edit(state)?;
                edit.writes.push(Write::new(&rollout)?);
                edit.writes.extend(wanted.writes.iter().cloned());
                Ok(Turn {
                    edit,
                    stage: Stage::Begin {
                        rollout: id.clone(),
                        gateways: gateways.clone(),
                    },
                    audit: vec![entry(&author.name, "rollout.begin", &rollout)],
                })
            }
        };
        let published = self.publisher.publish_turn(author, mode, turn).await?;
        let began = published.state.trial().is_some_and(|trial| trial.rollout == id);
        if !began {
            return Ok((published, None));
        }
        tracing::info!(
            rollout = id,
            version = published.state.snapshot.version,
            "a rollout began"
        );
        let sheet = self.find(&id).await?;
        Ok((published, sheet.map(|sheet| sheet.value)))
    }

    /// Lets the version of a rollout go to all gateways.
    ///
    /// # Errors
    /// If there is no such rollout, it is over, or the store does not work.
    pub(crate) async fn promote(&self, id: &str, by: Author) -> Result<Rollout, Refusal> {
        let ending = Ending {
            state: RolloutState::Promoted,
            reason: format!("{} let it go on", by.name),
            by: Some(by),
        };
        self.end(id, ending).await
    }

    /// Takes the version of a rollout back.
    ///
    /// # Errors
    /// If there is no such rollout, it is over, or the store does not work.
    pub(crate) async fn abort(&self, id: &str, by: Author) -> Result<Rollout, Refusal> {
        let ending = Ending {
            state: RolloutState::RolledBack,
            reason: format!("{} aborted it", by.name),
            by: Some(by),
        };
        self.end(id, ending).await
    }

    /// The rollout `id`.
    ///
    /// # Errors
    /// If the store does not work.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<Sheet<Rollout>>, StoreError> {
        self.store.sheet(id).await
    }

    /// How the gateways of a rollout are doing, by name; nothing if it is over.
    pub(crate) fn standings(&self, rollout: &Rollout) -> Vec<Standing> {
        let state = self.publisher.state();
        let is_on = state.trial().is_some_and(|trial| trial.rollout == rollout.id);
        if is_on {
            self.facts(rollout).canaries
        } else {
            Vec::new()
        }
    }

    /// Watches what is under way until `stop`.
    ///
    /// Each control plane watches the gateways that are connected to it; the first that finds something ends the rollout, for
    /// which it must be the first to write the next version.
    pub(crate) async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut works = true;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            match self.look().await {
                // Somebody else was faster.
                Ok(()) | Err(Refusal::Conflict(_) | Refusal::NotFound(_)) => works = true,
                Err(error) if works => {
                    tracing::warn!(%error, "the rollout cannot be watched or ended; it is tried again");
                    works = false;
                }
                Err(_) => {}
            }
        }
    }

    /// Looks once.
    async fn look(&self) -> Result<(), Refusal> {
        let Some(id) = self.publisher.state().trial().map(|trial| trial.rollout.clone()) else {
            return Ok(());
        };
        let Some(Sheet { value: rollout, .. }) = self.find(&id).await? else {
            return Err(Refusal::NotFound(format!("the rollout {id}")));
        };
        if self.store.is_shared() && rollout.is_over(now()) {
            // What other control planes know of their gateways may be a while old here, and decides now.
            self.fleet.refresh().await?;
        }
        let facts = self.facts(&rollout);
        let (state, reason) = match judge::judge(&rollout, &facts, now()) {
            Verdict::Wait => return Ok(()),
            Verdict::Promote(reason) => (RolloutState::Promoted, reason),
            Verdict::RollBack(reason) => (RolloutState::RolledBack, reason),
        };
        let ending = Ending {
            state,
            reason,
            by: None,
        };
        self.end(&id, ending).await.map(drop)
    }

    fn facts(&self, rollout: &Rollout) -> Facts {
        let gateways: BTreeSet<&str> = rollout.gateways.iter().map(String::as_str).collect();
        let (canaries, others) = self
            .fleet
            .rolling(rollout.version)
            .into_iter()
            .partition(|standing| gateways.contains(standing.gateway_id.as_str()));
        Facts {
            canaries,
            others,
            since: self.since,
            elsewhere: self.store.is_shared(),
        }
    }

    async fn end(&self, id: &str, ending: Ending) -> Result<Rollout, Refusal> {
        let sheet: Option<Sheet<Rollout>> = self.find(id).await?;
        let Some(Sheet { revision, value }) = sheet else {
            return Err(Refusal::NotFound(format!("the rollout {id:?}")));
        };
        if value.state != RolloutState::Watching {
            return Err(Refusal::Conflict(format!("the rollout {id} is over already")));
        }
        let what = match ending.state {
            RolloutState::RolledBack => "rolled back",
            RolloutState::Promoted | RolloutState::Watching => "promoted",
        };
        let mut author = ending.by.clone().unwrap_or_else(|| Author {
            name: "control-plane".to_owned(),
            message: String::new(),
            org_ids: None,
            request_id: None,
        });
        author.message = format!("rollout {id} {what}: {}", ending.reason);
        let turn = {
            let (ending, name) = (ending.clone(), author.name.clone());
            move |state: &State| ending.turn(state, &value, revision, &name)
        };
        let published = self.publisher.publish_turn(author, Mode::Commit, turn).await?;
        tracing::info!(
            rollout = id,
            version = published.state.snapshot.version,
            what,
            reason = ending.reason,
            "a rollout ended"
        );
        let ended = self.find(id).await?;
        ended
            .map(|sheet| sheet.value)
            .ok_or_else(|| Refusal::NotFound(format!("the rollout {id:?}")))
    }
}

impl Rollout {
    /// True once its gateways were watched for as long as they are to be.
    fn is_over(&self, now: Timestamp) -> bool {
        let watched = SignedDuration::from_secs(i64::from(self.rules.watch_seconds));
        now.duration_since(self.created_at) >= watched
    }
}

impl Ending {
    /// The change that ends `rollout`.
    fn turn(&self, state: &State, rollout: &Rollout, revision: u64, actor: &str) -> Result<Turn, Refusal> {
        let edit = match self.state {
            RolloutState::RolledBack => state.taken_back(),
            RolloutState::Promoted | RolloutState::Watching => None,
        };
        let ended = Rollout {
            state: self.state,
            reason: Some(self.reason.clone()),
            ended_by: self.by.as_ref().map(|by| by.name.clone()),
            ended_at: Some(now()),
            ended_version: Some(state.snapshot.version + 1),
            ..rollout.clone()
        };
        let action = match self.state {
            RolloutState::RolledBack => "rollout.rollBack",
            RolloutState::Promoted | RolloutState::Watching => "rollout.promote",
        };
        let mut edit = edit.unwrap_or_default();
        edit.writes.push(Write::replace(&ended, revision)?);
        Ok(Turn {
            edit,
            stage: Stage::End {
                rollout: rollout.id.clone(),
            },
            audit: vec![entry(actor, action, &ended)],
        })
    }
}

fn entry(actor: &str, action: &str, rollout: &Rollout) -> AuditEntry {
    AuditEntry {
        after: serde_json::to_value(rollout).ok(),
        ..AuditEntry::new(actor, action, format!("rollout {}", rollout.id), None)
    }
}

/// In whole milliseconds, the finest that both stores keep.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a rollout stays listed after its end.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(90 * 24);

#[cfg(test)]
mod tests;
