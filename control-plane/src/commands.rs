//! Commands to gateways: kept first, then sent, and sent again at each connect until the gateway says what became of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use filters::model::command::Command;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::store::{Bulk, CommandRecord, Store, StoreError};

/// Where operators leave commands, and where streams hear of them.
#[derive(Debug)]
pub(crate) struct Commands {
    store: Arc<Store>,
    /// The streams that wait, by gateway.
    bells: Mutex<BTreeMap<String, Weak<Notify>>>,
}

/// A command that is not kept yet.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// The organization that it is about.
    pub(crate) org_id: u64,
    /// The gateway that is to carry it out.
    pub(crate) gateway_id: Arc<str>,
    /// What to do.
    pub(crate) command: Command,
}

impl Commands {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            bells: Mutex::default(),
        }
    }

    /// Keeps commands of the operator `author`, and has those gateways told that are connected here. Others hear of them
    /// soon, or when they connect.
    ///
    /// # Errors
    /// If they are not kept.
    pub(crate) async fn give(&self, drafts: Vec<Draft>, author: &str) -> Result<Vec<CommandRecord>, StoreError> {
        let commands = records(drafts, author, None);
        self.store.add_commands(&commands, None).await?;
        self.ring(&commands);
        Ok(commands)
    }

    /// The same for commands of a retry of many, which is written with them; `None` if another process has gone on with it.
    ///
    /// # Errors
    /// If they are not kept.
    pub(crate) async fn give_for(
        &self,
        drafts: Vec<Draft>,
        bulk: &Bulk,
    ) -> Result<Option<Vec<CommandRecord>>, StoreError> {
        let commands = records(drafts, &bulk.created_by, Some(&bulk.id));
        if !self.store.add_commands(&commands, Some(bulk)).await? {
            return Ok(None);
        }
        self.ring(&commands);
        Ok(Some(commands))
    }

    /// Rings when there are commands for a gateway.
    pub(crate) fn bell(&self, gateway_id: &str) -> Arc<Notify> {
        let mut bells = self.bells.lock();
        bells.retain(|_, bell| bell.strong_count() > 0);
        match bells.get(gateway_id).and_then(Weak::upgrade) {
            Some(bell) => bell,
            None => {
                let bell = Arc::new(Notify::new());
                bells.insert(gateway_id.to_owned(), Arc::downgrade(&bell));
                bell
            }
        }
    }

    /// The commands that a gateway is to be sent; they count as sent from now on.
    pub(crate) fn due(&self, gateway_id: &str) -> JoinHandle<Option<Vec<CommandRecord>>> {
        let (store, gateway_id) = (Arc::clone(&self.store), gateway_id.to_owned());
        tokio::spawn(async move {
            let due = async {
                let due = store.due_commands(&gateway_id, MOST_AT_ONCE).await?;
                let new = due.iter().filter(|command| command.sent_at.is_none());
                let new: Vec<String> = new.map(|command| command.id.clone()).collect();
                if !new.is_empty() {
                    store.commands_sent(&new, Timestamp::now()).await?;
                }
                Ok::<_, StoreError>(due)
            };
            due.await
                .inspect_err(|error| tracing::warn!(%error, gateway_id, "commands cannot be read; it is tried again"))
                .ok()
        })
    }

    fn ring(&self, commands: &[CommandRecord]) {
        let bells = self.bells.lock();
        for command in commands {
            if let Some(bell) = bells.get(&*command.gateway_id).and_then(Weak::upgrade) {
                bell.notify_one();
            }
        }
    }
}

fn records(drafts: Vec<Draft>, author: &str, bulk_id: Option<&str>) -> Vec<CommandRecord> {
    let now = Timestamp::now();
    let records = drafts.into_iter().map(|draft| CommandRecord {
        id: Uuid::now_v7().to_string(),
        org_id: draft.org_id,
        gateway_id: draft.gateway_id,
        bulk_id: bulk_id.map(str::to_owned),
        command: draft.command,
        created_by: author.to_owned(),
        created_at: now,
        sent_at: None,
        done: None,
    });
    records.collect()
}

/// Commands that a gateway is given before it has said what became of the first of them.
const MOST_AT_ONCE: u32 = 100;
