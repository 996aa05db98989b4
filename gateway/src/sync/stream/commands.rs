//! Commands of operators, carried out on queue and dispatcher. The queue remembers what became of them, so that a repeat
//! does nothing, and the result goes the way of all outcomes.

mod cancel;
mod erase;
mod replay;

use std::sync::Arc;
use std::time::Duration;

use ahash::AHashSet;
use filters::model::command::{Command, CommandFailure, CommandResult, ResetScope};
use filters::subject::Search;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use self::replay::Wanted;
use super::limits;
use crate::events::EventFlow;
use crate::live::Shared;
use crate::queue::{Queue, QueueError, Record};

/// Carries commands out, in the order in which they come; those that may take long beside the others. It outlives
/// connections.
pub(super) struct Commands {
    waiting: mpsc::Sender<Given>,
    /// Those that wait or are under way: the control plane says them again at each connect.
    known: Arc<Mutex<AHashSet<String>>>,
}

struct Given {
    id: String,
    command: Command,
}

/// What commands are carried out on.
#[derive(Clone)]
struct Operator {
    events: Arc<EventFlow>,
    shared: Arc<Shared>,
    gateway_id: Arc<str>,
    stop: CancellationToken,
}

/// Why a command has no result yet.
#[derive(Debug, thiserror::Error)]
enum Unfinished {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("{0}")]
    Dispatcher(String),
    #[error("the gateway stops")]
    Stopping,
}

impl Commands {
    /// Begins to carry commands out, until `stop`.
    pub(super) fn begin(
        events: Arc<EventFlow>,
        shared: Arc<Shared>,
        gateway_id: &str,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let (waiting, given) = mpsc::channel(MOST_WAITING);
        let known = Arc::new(Mutex::default());
        let operator = Operator {
            events,
            shared,
            gateway_id: gateway_id.into(),
            stop: stop.clone(),
        };
        tasks.spawn(work(operator, given, Arc::clone(&known), tasks.clone()));
        Self { waiting, known }
    }

    /// Takes a command in.
    pub(super) fn take(&self, id: String, command: Command) {
        if !self.known.lock().insert(id.clone()) {
            return;
        }
        if let Err(refused) = self.waiting.try_send(Given { id, command }) {
            let given = refused.into_inner();
            self.known.lock().remove(&given.id);
            warn!(
                id = given.id,
                "too many commands wait; the control plane says this one again"
            );
        }
    }
}

async fn work(
    operator: Operator,
    mut given: mpsc::Receiver<Given>,
    known: Arc<Mutex<AHashSet<String>>>,
    tasks: TaskTracker,
) {
    loop {
        let next = tokio::select! {
            next = given.recv() => next,
            () = operator.stop.cancelled() => return,
        };
        let Some(next) = next else { return };
        if takes_long(&next.command) {
            let (operator, known) = (operator.clone(), Arc::clone(&known));
            tasks.spawn(async move { operator.carry_out(next, &known).await });
        } else {
            operator.carry_out(next, &known).await;
        }
    }
}

fn takes_long(command: &Command) -> bool {
    match command {
        Command::Replay { .. } | Command::Test { .. } | Command::Erase { .. } => true,
        Command::RetryDeadLetters { .. }
        | Command::AbandonDeadLetters { .. }
        | Command::DeleteDeadLetters { .. }
        | Command::CancelScheduled { .. }
        | Command::Pause { .. }
        | Command::Resume { .. }
        | Command::ResetLimits { .. } => false,
    }
}

impl Operator {
    /// Carries a command out, however often that takes.
    async fn carry_out(&self, Given { id, command }: Given, known: &Mutex<AHashSet<String>>) {
        loop {
            let tried = tokio::select! {
                tried = self.attempt(&id, &command) => tried,
                () = self.stop.cancelled() => return,
            };
            match tried {
                Ok(result) => {
                    info!(
                        id,
                        done = result.done,
                        failed = result.failed.len(),
                        "carried a command out"
                    );
                    break;
                }
                Err(Unfinished::Stopping | Unfinished::Queue(QueueError::Closed)) => break,
                Err(error) => {
                    warn!(id, %error, "a command cannot be carried out; it is tried again");
                    tokio::select! {
                        () = sleep(PAUSE) => {}
                        () = self.stop.cancelled() => return,
                    }
                }
            }
        }
        known.lock().remove(&id);
    }

    async fn attempt(&self, id: &str, command: &Command) -> Result<CommandResult, Unfinished> {
        let queue = self.queue().await?;
        self.configured().await;
        if let Some(result) = queue.command_done(id).await? {
            return Ok(result);
        }
        let remembered = Some(id.to_owned());
        let result = match command {
            Command::RetryDeadLetters { ids, payload } => {
                let payload = payload.as_ref().map(ToString::to_string);
                queue.dead_retry(ids.clone(), payload, remembered).await?
            }
            Command::AbandonDeadLetters { ids } => queue.dead_abandon(ids.clone(), remembered).await?,
            Command::DeleteDeadLetters { ids } => queue.dead_drop(ids.clone(), remembered).await?,
            Command::CancelScheduled { ids } => self.cancel(&queue, ids, id).await?,
            Command::Erase {
                org_id,
                subject,
                paths,
                only_paths,
            } => {
                let search = Search::new(subject, paths, *only_paths);
                self.erase(&queue, *org_id, search, id).await?
            }
            Command::Replay {
                org_id,
                integration_config_id,
                event_ids,
                from,
                to,
            } => {
                let wanted = Wanted {
                    command: id,
                    org_id: *org_id,
                    subscription: integration_config_id.as_ref(),
                    event_ids,
                    from: from.as_deref(),
                    to: to.as_deref(),
                };
                self.replay(&queue, &wanted).await?
            }
            Command::Pause { integration_config_id } => self.pause(&queue, id, integration_config_id).await?,
            Command::Resume { integration_config_id } => self.resume(&queue, id, integration_config_id).await?,
            Command::ResetLimits {
                org_id,
                scope,
                id: which,
            } => self.reset_limits(&queue, id, *org_id, *scope, which.as_deref()).await?,
            Command::Test {
                integration_config_id,
                event_type,
                payload,
            } => {
                self.test(&queue, id, integration_config_id, event_type, payload)
                    .await?
            }
        };
        Ok(result)
    }

    async fn pause(&self, queue: &Queue, id: &str, subscription: &Arc<str>) -> Result<CommandResult, Unfinished> {
        let found = self.events.dispatcher().pause(subscription).await;
        finish_hold(queue, id, subscription, found).await
    }

    async fn resume(&self, queue: &Queue, id: &str, subscription: &Arc<str>) -> Result<CommandResult, Unfinished> {
        let found = self.events.dispatcher().resume(subscription).await;
        finish_hold(queue, id, subscription, found).await
    }

    /// Forgets what is used up of limits.
    async fn reset_limits(
        &self,
        queue: &Queue,
        id: &str,
        org_id: u64,
        scope: ResetScope,
        which: Option<&str>,
    ) -> Result<CommandResult, Unfinished> {
        let live = self.shared.load();
        let found = live.is_some_and(|live| limits::reset(&live, org_id, scope, which));
        let result = reset_result(found, which);
        Ok(queue.command_finish(id.to_owned(), result, Vec::new()).await?)
    }

    /// Delivers a test event, and tells what came of it.
    async fn test(
        &self,
        queue: &Queue,
        id: &str,
        subscription: &Arc<str>,
        event_type: &str,
        payload: &Value,
    ) -> Result<CommandResult, Unfinished> {
        let live = self.shared.load();
        let Some(runtime) = live.and_then(|live| live.subscription(subscription).cloned()) else {
            return finish_unknown(queue, id, subscription).await;
        };
        let log = self.events.attempts().test(&runtime, event_type, payload).await;
        let records = vec![Record::Log(Box::new(log))];
        Ok(queue.command_finish(id.to_owned(), done(1), records).await?)
    }

    /// Waits for the first configuration: without one there are no subscriptions.
    async fn configured(&self) {
        while self.shared.load().is_none() {
            sleep(CONFIGURATION_INTERVAL).await;
        }
    }

    /// The queue, as soon as it is open.
    async fn queue(&self) -> Result<Queue, Unfinished> {
        let mut opened = self.events.opened();
        let opened = opened.wait_for(Option::is_some).await;
        opened.ok().and_then(|queue| queue.clone()).ok_or(Unfinished::Stopping)
    }
}

async fn finish_hold(
    queue: &Queue,
    id: &str,
    subscription: &Arc<str>,
    found: Result<bool, crate::delivery::hold::NotKept>,
) -> Result<CommandResult, Unfinished> {
    if found.map_err(|error| Unfinished::Dispatcher(error.to_string()))? {
        Ok(queue.command_finish(id.to_owned(), done(1), Vec::new()).await?)
    } else {
        finish_unknown(queue, id, subscription).await
    }
}

async fn finish_unknown(queue: &Queue, id: &str, subscription: &Arc<str>) -> Result<CommandResult, Unfinished> {
    let result = CommandResult {
        done: 0,
        failed: vec![CommandFailure {
            id: subscription.to_string(),
            error: "this gateway has no such subscription".to_owned(),
        }],
    };
    Ok(queue.command_finish(id.to_owned(), result, Vec::new()).await?)
}

fn reset_result(found: bool, which: Option<&str>) -> CommandResult {
    if found {
        return done(1);
    }
    CommandResult {
        done: 0,
        failed: vec![CommandFailure {
            id: which.unwrap_or("organization").to_owned(),
            error: "this gateway has no such limit".to_owned(),
        }],
    }
}

const fn done(done: u64) -> CommandResult {
    CommandResult {
        done,
        failed: Vec::new(),
    }
}

/// The control plane says a hundred at a time.
const MOST_WAITING: usize = 256;
const CONFIGURATION_INTERVAL: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_secs(1);
