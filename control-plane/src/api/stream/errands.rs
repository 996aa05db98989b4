//! What the store does for one gateway beside the conversation with it, which goes on meanwhile.

use std::collections::HashSet;
use std::sync::Arc;

use filters::model::ExecutionRecord;
use filters::model::delivery::DeliveryRecord;
use tokio::task::JoinHandle;

use crate::commands::Commands;
use crate::outcomes::{self, Settled};
use crate::records;
use crate::rollups::{Clocks, Deltas};
use crate::store::{CommandRecord, Store};

/// What is under way: at most one of each. What comes before its answer is sent again by the gateway, or looked for again.
#[derive(Debug, Default)]
pub(super) struct Errands {
    records: Option<JoinHandle<Option<String>>>,
    outcomes: Option<JoinHandle<Option<Settled>>>,
    commands: Option<JoinHandle<Option<Vec<CommandRecord>>>>,
    /// True if there may be more commands than those that are being read.
    look_again: bool,
    /// Commands that were sent on this connection and have no result.
    sent: HashSet<String>,
}

/// What is done.
#[derive(Debug)]
pub(super) enum Done {
    /// A batch of records of calls is kept.
    Recorded(String),
    /// A batch of outcomes is kept.
    Settled { up_to: i64, commanded: bool },
    /// There are commands to send.
    Commands(Vec<CommandRecord>),
    /// It did not work.
    Nothing,
}

impl Errands {
    pub(super) fn keep_records(
        &mut self,
        store: &Arc<Store>,
        gateway_id: &str,
        batch: String,
        records: Vec<ExecutionRecord>,
        counted: Deltas,
    ) {
        if self.records.is_none() {
            self.records = Some(records::keep(store, gateway_id, batch, records, counted));
        }
    }

    pub(super) fn keep_outcomes(
        &mut self,
        store: &Arc<Store>,
        gateway_id: &str,
        up_to: i64,
        records: Vec<DeliveryRecord>,
        clocks: Clocks,
    ) {
        if self.outcomes.is_none() {
            self.outcomes = Some(outcomes::keep(store, gateway_id, up_to, records, clocks));
        }
    }

    pub(super) fn fetch_commands(&mut self, commands: &Commands, gateway_id: &str) {
        self.look_again = self.commands.is_some();
        if self.commands.is_none() {
            self.commands = Some(commands.due(gateway_id));
        }
    }

    /// True if commands are to be fetched once more, as some came while they were being read.
    pub(super) fn should_look_again(&mut self) -> bool {
        self.commands.is_none() && std::mem::take(&mut self.look_again)
    }

    /// The next thing that is done; for ever if nothing is under way. Safe to drop while it waits.
    pub(super) async fn done(&mut self) -> Done {
        tokio::select! {
            batch = end_of(&mut self.records) => batch.map_or(Done::Nothing, Done::Recorded),
            settled = end_of(&mut self.outcomes) => settled.map_or(Done::Nothing, |Settled { up_to, commanded }| {
                Done::Settled { up_to, commanded }
            }),
            due = end_of(&mut self.commands) => due.map_or(Done::Nothing, |due| {
                let open: HashSet<String> = due.iter().map(|command| command.id.clone()).collect();
                let new = due.into_iter().filter(|command| !self.sent.contains(&command.id)).collect();
                self.sent = open;
                Done::Commands(new)
            }),
        }
    }
}

/// The result of a task, which is gone then.
async fn end_of<T>(task: &mut Option<JoinHandle<Option<T>>>) -> Option<T> {
    let Some(running) = task else {
        return std::future::pending().await;
    };
    let result = running.await.ok().flatten();
    *task = None;
    result
}
