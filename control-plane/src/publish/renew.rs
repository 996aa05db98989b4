//! A new version for secrets that are other ones than before: the objects that refer to them stay as they are, and
//! gateways get them anew.

use std::sync::Arc;
use std::time::Duration;

use filters::model::push::ObjectId;

use super::proposal::{Next, Proposal, shares};
use super::{Author, Edit, Inner, Publisher, Refusal, State, blocking, now};
use crate::audit::AuditEntry;
use crate::secrets::{Values, wanted_by};
use crate::store::{Beside, Change, StoreError, Version};

impl Publisher {
    /// How often [`Self::refresh_secrets`] is to be called.
    pub(crate) fn refresh_every(&self) -> Duration {
        self.0.secrets.refresh_every()
    }

    /// Reads what is referred to again, and publishes what is another secret now.
    ///
    /// # Errors
    /// If the store does not work, or the configuration is not right with the new secrets; gateways then keep the old ones.
    pub async fn refresh_secrets(&self) -> Result<(), Refusal> {
        let inner = Arc::clone(&self.0);
        let task = tokio::spawn(async move {
            let resolved = inner.state.borrow().resolved.clone();
            let read = inner.secrets.read(resolved.wanted()).await;
            if resolved.outdated(&read).is_empty() {
                return Ok(());
            }
            let _turn = inner.turn().await?;
            let outdated = inner.state.borrow().resolved.outdated(&read);
            inner.renew(&read, outdated).await
        });
        task.await.unwrap_or(Err(Refusal::Internal))
    }
}

impl Inner {
    /// Publishes these objects as they are with what was read. The turn is held.
    pub(super) async fn renew(&self, read: &Values, outdated: Vec<ObjectId>) -> Result<(), Refusal> {
        if outdated.is_empty() {
            return Ok(());
        }
        let state = Arc::clone(&self.state.borrow());
        if state.trial.is_some() {
            // A version would end the rollout. The next walk finds these secrets again.
            return Ok(());
        }
        let change = Change {
            put: outdated.iter().filter_map(|id| state.snapshot.object(id)).collect(),
            delete: Vec::new(),
        };
        let (base, read) = (Arc::clone(&state), read.clone());
        let mut next = blocking(move || Proposal::of_secrets(&base, change, &read)).await??;
        let target = format!("version {}", next.version.number);
        let entry = AuditEntry::new(&next.version.author, "secrets.refresh", target, None);
        next.beside.audit = vec![entry];
        match self.store.commit(&next.version, &next.change, next.beside).await {
            Ok(()) => {
                tracing::info!(
                    version = next.version.number,
                    objects = next.change.put.len(),
                    "secrets were read again"
                );
                self.swap(&Arc::new(next.state));
                Ok(())
            }
            // Another control plane may have done it; the next walk tells.
            Err(StoreError::Conflict(_)) => self.catch_up().await,
            Err(error) => Err(error.into()),
        }
    }

    /// Publishes what refers to secrets that were other ones when the newest version was made.
    pub(super) async fn renew_all(&self) -> Result<(), Refusal> {
        let _turn = self.turn().await?;
        let state = Arc::clone(&self.state.borrow());
        let published = state.recent.back().map(|step| step.version.digest.as_str());
        if !state.resolved.is_whole() || published == Some(&state.digest) {
            return Ok(());
        }
        self.renew(&Values::default(), state.resolved.users()).await
    }

    /// What the references say that an edit brings and that are not known; nothing of one that was refused, which may not
    /// be when it is its turn.
    pub(super) async fn read_unknown(&self, edit: Option<Edit>) -> Result<Values, Refusal> {
        let Some(edit) = edit else { return Ok(Values::default()) };
        let state = Arc::clone(&self.state.borrow());
        let unknown = blocking(move || {
            let wanted = edit.put.iter().flat_map(|(_, object)| wanted_by(object));
            let unknown = state.resolved.unknown(wanted);
            // What a rollout takes back is known, though its source may be gone or not answer.
            match state.trial() {
                Some(trial) => trial.base.resolved.unknown(unknown),
                None => unknown,
            }
        });
        Ok(self.secrets.read(unknown.await?).await)
    }
}

impl Proposal {
    fn of_secrets(base: &State, change: Change, read: &Values) -> Result<Next, Refusal> {
        let number = base.snapshot.version + 1;
        let snapshot = base.snapshot.changed(number, change.put.clone(), &change.delete);
        let resolved = base.resolved.changed(&snapshot, &change, read);
        let plan = filters::compile(&resolved.snapshot, base.plan.as_deref()).map_err(Refusal::Problems)?;
        let author = Author {
            name: "control-plane".to_owned(),
            message: "secrets that integrations refer to were read again".to_owned(),
            org_ids: None,
            request_id: None,
        };
        let version = Version {
            number,
            author: author.name,
            message: author.message,
            at: now(),
            digest: plan.digest.clone(),
            put: change.put.len() as u64,
            deleted: 0,
            shares: shares(&base.snapshot, &change),
            canary: None,
        };
        Ok(Next {
            state: base.next(snapshot, resolved, Some(plan), version.clone(), &change),
            version,
            change,
            beside: Beside::default(),
        })
    }
}
