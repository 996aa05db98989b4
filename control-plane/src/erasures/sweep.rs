//! Going through the store for what it has of a person.

use std::collections::BTreeMap;

use filters::model::ExecutionRecord;
use filters::model::command::Command;
use filters::model::delivery::{DeadLetter, DeliveryLog, ScheduledDelivery};
use filters::subject::Search;
use serde_json::Value;

use super::erasure::{Erasure, Removed};
use crate::store::{Kept, Store, StoreError};

/// Empties or deletes what names the person. A second time finds nothing.
pub(super) async fn sweep(store: &Store, erasure: &Erasure) -> Result<Removed, StoreError> {
    let search = match Search::new(&erasure.subject, &erasure.paths, erasure.only_paths) {
        Ok(search) => search,
        Err(error) => {
            return Err(StoreError::Corrupt {
                object: format!("erasure {}", erasure.id),
                reason: error.to_string(),
            });
        }
    };
    let sweep = Sweep {
        store,
        search: &search,
        org_id: erasure.org_id,
    };
    Ok(Removed {
        delivery_logs: sweep.kept(DeliveryLog::erased).await?,
        execution_logs: sweep.kept(ExecutionRecord::erased).await?,
        dead_letters: sweep.dead_letters().await?,
        scheduled: sweep.kept(ScheduledDelivery::erased).await?,
        commands: sweep.commands().await?,
    })
}

struct Sweep<'s> {
    store: &'s Store,
    search: &'s Search,
    org_id: u64,
}

impl Sweep<'_> {
    /// Goes through one kind; `erased` makes what takes the place of a record, where it names the person.
    async fn kept<K: Kept>(&self, erased: impl Fn(K, u64, &Search) -> Option<K>) -> Result<u64, StoreError> {
        let (mut after, mut count) = (String::new(), 0);
        loop {
            let page = self.store.page::<K>(&after).await?;
            let Some((last, _)) = page.last() else { return Ok(count) };
            after.clone_from(last);
            let changed = page
                .into_iter()
                .filter_map(|(_, one)| erased(one, self.org_id, self.search));
            let changed: Vec<K> = changed.collect();
            if !changed.is_empty() {
                count += changed.len() as u64;
                self.store.rewrite(changed).await?;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn commands(&self) -> Result<u64, StoreError> {
        let (mut after, mut count) = (String::new(), 0);
        loop {
            let page = self.store.page_of_commands(&after).await?;
            let Some(last) = page.last() else { return Ok(count) };
            after.clone_from(&last.id);
            for mut kept in page {
                if kept.org_id == self.org_id && self.empty(&mut kept.command) {
                    count += 1;
                    self.store.change_command(kept).await?;
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// A command to try a dead letter again may carry another payload, one to try an endpoint out carries one, and one to
    /// deliver events again names them. True if there was something of the person.
    fn empty(&self, command: &mut Command) -> bool {
        let (payload, event_type) = match command {
            Command::RetryDeadLetters {
                payload: Some(payload), ..
            } => (payload, None),
            Command::Test {
                payload, event_type, ..
            } => (payload, Some(event_type.as_str())),
            Command::Replay { event_ids, .. } => {
                let named = event_ids.iter_mut().filter(|id| self.search.is_in_text(id));
                return named.map(|id| ERASED.clone_into(id)).count() > 0;
            }
            _ => return false,
        };
        let is_named = self.search.is_in(event_type, payload);
        if is_named {
            *payload = Value::String(ERASED.to_owned());
        }
        is_named
    }

    /// A dead letter without its payload could not be tried again: it goes as a whole.
    async fn dead_letters(&self) -> Result<u64, StoreError> {
        let (mut after, mut count) = (String::new(), 0);
        loop {
            let page = self.store.page::<DeadLetter>(&after).await?;
            let Some((last, _)) = page.last() else { return Ok(count) };
            after.clone_from(last);
            let names = |letter: &DeadLetter| {
                let texts = [
                    Some(&letter.event_id),
                    letter.correlation_id.as_ref(),
                    Some(&letter.last_error),
                    Some(&letter.target_url),
                ];
                letter.org_id == self.org_id
                    && (self.search.is_in(Some(&letter.event_type), &letter.original_payload)
                        || serde_json::to_value(&letter.call).is_ok_and(|call| self.search.is_anywhere_in(&call))
                        || is_in_any(self.search, texts))
            };
            let ids = page.into_iter().filter(|(_, letter)| names(letter)).map(|(id, _)| id);
            let ids: Vec<String> = ids.collect();
            if !ids.is_empty() {
                count += ids.len() as u64;
                self.store.forget_dead_letters(ids).await?;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// What can be emptied.
trait Erased: Sized {
    /// What takes its place; `None` where it does not name the person.
    fn erased(self, org_id: u64, search: &Search) -> Option<Self>;
}

impl Erased for DeliveryLog {
    fn erased(mut self, org_id: u64, search: &Search) -> Option<Self> {
        let texts = [
            Some(&self.event_id),
            self.correlation_id.as_ref(),
            self.error_message.as_ref(),
            // It repeats the payload, which may be searched at some places only.
            self.curl_command.as_ref().filter(|_| self.request_payload.is_none()),
            Some(&self.target_url),
        ];
        let payloads = [&self.request_payload, &self.response_body];
        let headers = [&self.request_headers, &self.response_headers];
        let event_type = Some(self.event_type.as_str());
        let is_named = || is_in_any(search, texts) || is_in_contents(search, event_type, payloads, headers);
        if self.org_id != org_id || !is_named() {
            return None;
        }
        self.request_payload = None;
        self.response_body = None;
        self.request_headers = BTreeMap::new();
        self.response_headers = BTreeMap::new();
        self.curl_command = None;
        self.error_message = self.error_message.map(|_| ERASED.to_owned());
        hide(search, &mut self.event_id);
        hide(search, &mut self.target_url);
        self.correlation_id.iter_mut().for_each(|text| hide(search, text));
        Some(self)
    }
}

impl Erased for ScheduledDelivery {
    fn erased(mut self, org_id: u64, search: &Search) -> Option<Self> {
        let texts = [Some(&self.original_event_id), Some(&self.target_url)];
        if self.org_id != org_id || !is_in_any(search, texts) {
            return None;
        }
        hide(search, &mut self.original_event_id);
        hide(search, &mut self.target_url);
        Some(self)
    }
}

impl Erased for ExecutionRecord {
    fn erased(mut self, org_id: u64, search: &Search) -> Option<Self> {
        let texts = [
            Some(&self.path),
            Some(&self.request_id),
            self.target_url.as_ref(),
            self.error_message.as_ref(),
        ];
        let payloads = [&self.request_payload, &self.response_body];
        let headers = [&self.request_headers, &self.response_headers];
        let is_named = || is_in_any(search, texts) || is_in_contents(search, None, payloads, headers);
        if self.org_id != org_id || !is_named() {
            return None;
        }
        self.request_payload = None;
        self.response_body = None;
        self.request_headers = BTreeMap::new();
        self.response_headers = BTreeMap::new();
        self.error_message = self.error_message.map(|_| ERASED.to_owned());
        hide(search, &mut self.path);
        hide(search, &mut self.request_id);
        self.target_url.iter_mut().for_each(|text| hide(search, text));
        Some(self)
    }
}

fn is_in_any<const N: usize>(search: &Search, texts: [Option<&String>; N]) -> bool {
    texts.into_iter().flatten().any(|text| search.is_in_text(text))
}

fn is_in_contents(
    search: &Search,
    event_type: Option<&str>,
    payloads: [&Option<Value>; 2],
    headers: [&BTreeMap<String, String>; 2],
) -> bool {
    payloads
        .into_iter()
        .flatten()
        .any(|value| search.is_in(event_type, value))
        || headers
            .into_iter()
            .flat_map(BTreeMap::values)
            .any(|value| search.is_in_text(value))
}

fn hide(search: &Search, text: &mut String) {
    if search.is_name_in(text) {
        ERASED.clone_into(text);
    }
}

const ERASED: &str = "erased";

#[cfg(test)]
mod tests;
