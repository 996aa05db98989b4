//! The one path of a change: edit -> prepare -> compile -> version -> store -> swap -> push.
//!
//! Changes happen one after the other. What a caller is told was done is on disk, and in the state that gateways are
//! told of. If the outcome of a write is not known (a store that went away in the middle), the state stays as it is and
//! the next change finds out from the store.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::model::push::{Object, ObjectId};
use filters::model::{Problem, Security};
use jiff::{Timestamp, Unit};
use tokio::sync::{Mutex, MutexGuard, watch};

use crate::audit::{self, Actor};
use crate::metrics::Metrics;
use crate::rollups::Clocks;
use crate::secrets::{Resolved, Secrets, wanted_by};
use crate::store::{Store, StoreError, Write};

mod entitled;
mod fitting;
mod left;
mod limited;
mod needed;
mod prepare;
mod proposal;
mod renew;
mod state;
mod trial;
mod unique;

pub use prepare::{Action, Outcome};
use proposal::Proposal;
pub use state::State;
pub use trial::Trial;
pub(crate) use trial::{Stage, Turn};

/// What somebody wants to change.
#[derive(Debug, Default)]
pub struct Edit {
    /// Objects to put, each with the place in the request that its problems are reported at.
    pub put: Vec<(String, Object)>,
    /// Objects to delete. Those that are not there are passed over.
    pub delete: Vec<ObjectId>,
    /// Changes on shelves that are made with it, or not at all.
    pub writes: Vec<Write>,
    /// What is put was in force before, and is not held against schemas again: to go back must always be possible. It
    /// comes back with the time that it was made at.
    pub restores: bool,
}

impl Edit {
    /// Puts one object, which is all that the request is about.
    pub fn of_one(object: Object) -> Self {
        Self {
            put: vec![(String::new(), object)],
            ..Self::default()
        }
    }
}

/// Who changes something, and why.
#[derive(Clone, Debug)]
pub struct Author {
    /// Name of the operator.
    pub name: String,
    /// In the operator's words; may be empty.
    pub message: String,
    /// The organizations that they may touch; `None` for all.
    pub org_ids: Option<BTreeSet<u64>>,
    /// The request that asks for the change.
    pub request_id: Option<String>,
}

impl Author {
    /// As the one who does something, for the audit.
    fn actor(&self) -> Actor {
        Actor {
            name: self.name.clone(),
            request_id: self.request_id.clone(),
        }
    }
}

/// Whether a change is made or only tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is made.
    Commit,
    /// It goes the same way up to the store, and is then forgotten.
    DryRun,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The configuration would not be right.
    #[error("the configuration has {} problem(s)", .0.len())]
    Problems(Vec<Problem>),
    /// There is no such object, or not for this operator.
    #[error("{0} is not there")]
    NotFound(String),
    /// The operator may not touch it.
    #[error("{0}")]
    Forbidden(String),
    /// It is in the way of what is there.
    #[error("{0}")]
    Conflict(String),
    /// The object is not at the version that the caller knows.
    #[error("{0} was changed in the meantime; read it again")]
    Precondition(String),
    /// Other changes take too long.
    #[error("too many changes are waiting")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fault of this program.
    #[error("the change was stopped by an internal fault")]
    Internal,
}

/// What became of a change.
#[derive(Clone, Debug)]
pub struct Published {
    /// The state with the change in it; for a dry run the state that it was tried on.
    pub state: Arc<State>,
    /// What happened to each object, in the order of the request.
    pub outcomes: Vec<Outcome>,
    /// What may be wrong with it all the same.
    pub warnings: Vec<Problem>,
}

/// Makes changes, and tells of them.
#[derive(Clone, Debug)]
pub struct Publisher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    secrets: Secrets,
    state: watch::Sender<Arc<State>>,
    turn: Mutex<()>,
    metrics: Arc<Metrics>,
}

impl Publisher {
    /// Reads everything from the store, and sees to it that the `security` of this process is part of it.
    ///
    /// # Errors
    /// If the store does not work, or what it holds breaks the rules of `security`.
    pub(crate) async fn start(
        store: Arc<Store>,
        secrets: Secrets,
        security: Security,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Refusal> {
        let contents = store.load().await?;
        let trial = trial::restored(&store, &secrets, &contents).await?;
        let snapshot = contents.snapshot;
        let (snapshot, wanted) = blocking(move || {
            let wanted = snapshot.objects().iter().flat_map(wanted_by).collect();
            (snapshot, wanted)
        })
        .await?;
        let read = secrets.read(wanted).await;
        let (snapshot, resolved, compiled) = blocking(move || {
            let resolved = Resolved::of(&snapshot, &read);
            let compiled = filters::compile(&resolved.snapshot, None);
            (snapshot, resolved, compiled)
        })
        .await?;
        for problem in resolved.problems(&snapshot.objects()) {
            tracing::error!(%problem, "a secret cannot be read; gateways keep what they have until it can");
        }
        if let Err(problems) = &compiled {
            for problem in problems {
                tracing::error!(%problem, "the stored configuration has an error; mend it through the API");
            }
        }
        let state = State {
            digest: resolved.snapshot.digest(),
            at: contents.recent.last().map(|step| step.version.at),
            plan: compiled.ok().map(Arc::new),
            recent: contents.recent.into_iter().map(Arc::new).collect(),
            snapshot,
            resolved,
            trial,
        };
        metrics.version(state.snapshot.version);
        let publisher = Self(Arc::new(Inner {
            store,
            secrets,
            state: watch::Sender::new(Arc::new(state)),
            turn: Mutex::new(()),
            metrics,
        }));
        let author = Author {
            name: "control-plane".to_owned(),
            message: "security rules of this control plane".to_owned(),
            org_ids: None,
            request_id: None,
        };
        publisher
            .publish(author, Mode::Commit, move |state| {
                let mut edit = Edit::default();
                if state.snapshot.version == 0 || state.snapshot.security != security {
                    edit.put.push(("security".to_owned(), Object::Security(security)));
                }
                Ok(edit)
            })
            .await?;
        publisher.0.renew_all().await?;
        Ok(publisher)
    }

    /// The time zones of the organizations, at the newest version.
    pub fn clocks(&self) -> Clocks {
        Clocks::of(self.state().snapshot.organizations.values().map(|entry| &*entry.value))
    }

    /// The newest state.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.0.state.borrow())
    }

    /// Tells of each new state; those that come faster than they are taken are passed over.
    pub fn subscribe(&self) -> watch::Receiver<Arc<State>> {
        self.0.state.subscribe()
    }

    /// Makes a change, or tries it. `edit` sees the state that the change is made to; it is asked again if another
    /// process was faster. A change that was begun goes on even if the caller is no longer there.
    ///
    /// # Errors
    /// What `edit` refuses, every problem of the configuration, or a failure of the store.
    pub async fn publish<F>(&self, author: Author, mode: Mode, edit: F) -> Result<Published, Refusal>
    where
        F: Fn(&State) -> Result<Edit, Refusal> + Send + 'static,
    {
        let turn = move |state: &State| {
            Ok(Turn {
                edit: edit(state)?,
                ..Turn::default()
            })
        };
        self.publish_turn(author, mode, turn).await
    }

    /// The same for a change that begins or ends a rollout.
    ///
    /// # Errors
    /// As [`Self::publish`]; a conflict if a rollout is in the way.
    pub(crate) async fn publish_turn<F>(&self, author: Author, mode: Mode, edit: F) -> Result<Published, Refusal>
    where
        F: Fn(&State) -> Result<Turn, Refusal> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        let task = tokio::spawn(async move {
            let begun = Instant::now();
            let result = inner.publish(&author, mode, edit).await;
            inner.metrics.publish(mode, result.is_ok(), begun.elapsed());
            result
        });
        task.await.unwrap_or(Err(Refusal::Internal))
    }

    /// Takes over the versions that other processes made.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn catch_up(&self) -> Result<(), Refusal> {
        if self.0.store.head().await? == self.state().snapshot.version {
            return Ok(());
        }
        let inner = Arc::clone(&self.0);
        let task = tokio::spawn(async move {
            let _turn = inner.turn().await?;
            inner.catch_up().await
        });
        task.await.unwrap_or(Err(Refusal::Internal))
    }
}

impl Inner {
    async fn turn(&self) -> Result<MutexGuard<'_, ()>, Refusal> {
        tokio::time::timeout(LONGEST_WAIT, self.turn.lock())
            .await
            .map_err(|_| Refusal::Busy)
    }

    async fn publish<F>(&self, author: &Author, mode: Mode, edit: F) -> Result<Published, Refusal>
    where
        F: Fn(&State) -> Result<Turn, Refusal> + Send,
    {
        // Before the turn, as it may take a while.
        let early = self.secrets.are_configured().then(|| edit(&self.state.borrow()));
        let early = early.and_then(Result::ok).map(|turn| turn.edit);
        let read = self.read_unknown(early).await?;
        // What is only tried gets in nobody's way.
        let _turn = match mode {
            Mode::Commit => Some(self.turn().await?),
            Mode::DryRun => None,
        };
        for _ in 0..MOST_TRIES {
            let state = Arc::clone(&self.state.borrow());
            let Turn {
                edit,
                stage,
                audit: said,
            } = edit(&state)?;
            let (base, by, read, part) = (Arc::clone(&state), author.clone(), read.clone(), stage.clone());
            let worked_out = blocking(move || {
                let proposal = Proposal::new(&base, edit, &part, &by, &read)?;
                let next = proposal.next.as_ref().filter(|_| mode == Mode::Commit);
                let audit =
                    next.map(|next| audit::of_version(&base.snapshot, &next.change, &next.version, &by.actor()));
                Ok::<_, Refusal>((proposal, audit))
            });
            let (proposal, audit) = worked_out.await??;
            if let Some(next) = &proposal.next {
                entitled::check(&self.store, &next.change.delete).await?;
            }
            let Proposal {
                outcomes,
                warnings,
                next,
            } = proposal;
            // Where nothing is to change, nothing is in the way of a rollout.
            let (Some(mut next), Some(audit)) = (next, audit) else {
                return Ok(Published {
                    state,
                    outcomes,
                    warnings,
                });
            };
            stage.check(&state)?;
            next.beside.audit = audit;
            next.beside.audit.extend(said);
            match self.store.commit(&next.version, &next.change, next.beside).await {
                Ok(()) => {
                    let next = Arc::new(next.state.on_trial(&next.version, &state));
                    self.swap(&next);
                    // To free what only the old state held takes milliseconds, for which nobody should wait.
                    drop(tokio::task::spawn_blocking(move || drop(state)));
                    return Ok(Published {
                        state: next,
                        outcomes,
                        warnings,
                    });
                }
                Err(StoreError::Conflict(_)) => self.catch_up().await?,
                Err(StoreError::Stale) => return Err(Refusal::Conflict(STALE.to_owned())),
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refusal::Busy)
    }

    /// Reads what others made since this process's version. The turn is held.
    async fn catch_up(&self) -> Result<(), Refusal> {
        let mut state = Arc::clone(&self.state.borrow());
        let head = self.store.head().await?;
        if head < state.snapshot.version {
            // Somebody restored or emptied the database. To push that to every gateway must be a decision of a person.
            return Err(Refusal::Store(StoreError::Corrupt {
                object: "the sequence of versions".to_owned(),
                reason: format!(
                    "it ends at {head}, and this process has {} already; restart it to serve what the store has",
                    state.snapshot.version
                ),
            }));
        }
        for number in state.snapshot.version + 1..=head {
            let (version, change) = self.store.version(number).await?.ok_or_else(|| StoreError::Corrupt {
                object: format!("version {number}"),
                reason: "it is missing".to_owned(),
            })?;
            let base = Arc::clone(&state);
            // All of them: the version may be about secrets that are other ones now.
            let read = self.secrets.read(change.put.iter().flat_map(wanted_by).collect()).await;
            state = blocking(move || {
                let snapshot = base.snapshot.changed(number, change.put.clone(), &change.delete);
                let resolved = base.resolved.changed(&snapshot, &change, &base.known_with(&read));
                let compiled = filters::compile(&resolved.snapshot, base.plan.as_deref());
                let next = base.next(snapshot, resolved, compiled.ok(), version.clone(), &change);
                Arc::new(next.on_trial(&version, &base))
            })
            .await?;
        }
        self.swap(&state);
        Ok(())
    }

    /// Shows `next` to everybody.
    fn swap(&self, next: &Arc<State>) {
        self.state.send_replace(Arc::clone(next));
        self.metrics.version(next.snapshot.version);
    }
}

/// Compiling takes longer than the threads that serve requests should be held.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Internal)
}

/// The time in milliseconds, the finest that both stores keep.
fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Millisecond).unwrap_or(now)
}

const STALE: &str = "it was changed in the meantime; read it again";
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How often a change is tried anew when other processes are faster.
const MOST_TRIES: usize = 5;

#[cfg(test)]
pub(crate) mod tests;
