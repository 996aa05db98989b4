//! Looking through the queue beside the writer.

use std::sync::Arc;

use filters::model::delivery::DeliveryStatus;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::operation::Audit;
use super::reader::decode_event;
use super::row::{Names, decode_open, decode_outcomes};
use super::{
    CALL, DeliveryAudit, EventAudit, History, HistoryRange, KeptEvent, OpenEntry, OpenFilter, QueueError, Seq,
};

/// A page of the open deliveries.
pub(super) fn open_deliveries(store: &Connection, filter: &OpenFilter) -> Result<Vec<OpenEntry>, QueueError> {
    let mut names = Names::default();
    let mut found = Vec::new();
    let mut select = store
        .prepare_cached(
            "SELECT seq, accepted_ms, org, state FROM open WHERE seq > ?1 AND (?2 IS NULL OR org = ?2) ORDER BY seq",
        )
        .map_err(unread)?;
    let org = filter.org_id.map(u64::cast_signed);
    let mut rows = select.query(params![filter.after, org]).map_err(unread)?;
    while let Some(row) = rows.next().map_err(unread)? {
        if found.len() >= filter.limit {
            break;
        }
        let seq = row.get(0).map_err(unread)?;
        let state = row
            .get_ref(3)
            .map_err(unread)?
            .as_blob()
            .map_err(|error| unread(error.into()))?;
        let (deliveries, _) =
            decode_open(state, &mut names).map_err(|error| QueueError::damaged("open", seq, &error))?;
        for delivery in deliveries {
            if filter
                .subscription
                .as_ref()
                .is_some_and(|one| *one != delivery.subscription)
            {
                continue;
            }
            found.push(OpenEntry {
                seq,
                accepted_ms: row.get(1).map_err(unread)?,
                org_id: row.get::<_, i64>(2).map_err(unread)?.cast_unsigned(),
                delivery,
            });
        }
    }
    Ok(found)
}

/// A page of an organization's events.
pub(super) fn history(store: &Connection, range: &HistoryRange) -> rusqlite::Result<History> {
    let after = match range.after {
        0 => first_from(store, range.from_ms.saturating_sub(CLOCK_SLACK_MS))?,
        after => after,
    };
    let mut select = store
        .prepare_cached("SELECT seq, accepted_ms, org, head, body FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    let mut rows = select.query(params![after, MOST_LOOKED_AT])?;
    let mut history = History::default();
    let (mut looked_at, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        let (seq, accepted_ms): (Seq, i64) = (row.get(0)?, row.get(1)?);
        if accepted_ms >= range.to_ms.saturating_add(CLOCK_SLACK_MS) {
            return Ok(history);
        }
        looked_at += 1;
        history.next = Some(seq);
        let is_within = (range.from_ms..range.to_ms).contains(&accepted_ms);
        if !is_within || row.get::<_, i64>(2)?.cast_unsigned() != range.org_id {
            continue;
        }
        let event = decode_event(row.get_ref(3)?, row.get_ref(4)?)?;
        if event.head.event_type == CALL {
            continue;
        }
        bytes += event.payload.len();
        history.events.push(KeptEvent {
            seq,
            accepted_ms,
            event,
        });
        if history.events.len() >= range.limit || bytes >= MOST_BYTES {
            return Ok(history);
        }
    }
    if looked_at < MOST_LOOKED_AT {
        history.next = None;
    }
    Ok(history)
}

/// Events by their identifiers, from the newest on. It looks at `before` and older ones, a piece at a time; what is
/// left to look at is given back.
pub(super) fn find(
    store: &Connection,
    org_id: u64,
    ids: &mut Vec<String>,
    before: Seq,
) -> rusqlite::Result<(Vec<KeptEvent>, Option<Seq>)> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head<'a> {
        #[serde(borrow)]
        id: std::borrow::Cow<'a, str>,
        #[serde(borrow)]
        event_type: std::borrow::Cow<'a, str>,
    }
    let mut select = store.prepare_cached(
        "SELECT seq, accepted_ms, org, head, body FROM events WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
    )?;
    let mut rows = select.query(params![before, MOST_LOOKED_AT])?;
    let mut found = Vec::new();
    let (mut looked_at, mut last) = (0, before);
    while let Some(row) = rows.next()? {
        looked_at += 1;
        last = row.get(0)?;
        if row.get::<_, i64>(2)?.cast_unsigned() != org_id {
            continue;
        }
        let head = serde_json::from_slice::<Head<'_>>(row.get_ref(3)?.as_blob()?);
        // A call is none of the events that are delivered.
        let head = head.ok().filter(|head| head.event_type != CALL);
        let Some(index) = head.and_then(|head| ids.iter().position(|id| *id == head.id)) else {
            continue;
        };
        ids.swap_remove(index);
        found.push(KeptEvent {
            seq: last,
            accepted_ms: row.get(1)?,
            event: decode_event(row.get_ref(3)?, row.get_ref(4)?)?,
        });
        if ids.is_empty() {
            return Ok((found, None));
        }
    }
    Ok((found, (looked_at == MOST_LOOKED_AT).then_some(last)))
}

/// What became of an event.
pub(super) fn audit(store: &Connection, seq: Seq) -> Result<Option<EventAudit>, QueueError> {
    let columns = store
        .prepare_cached(
            "SELECT events.accepted_ms, audit, state, outcomes FROM events
            LEFT JOIN open USING (seq) LEFT JOIN settled USING (seq) WHERE events.seq = ?1",
        )
        .and_then(|mut select| {
            select
                .query_row([seq], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
                .optional()
        })
        .map_err(unread)?;
    let Some((accepted_ms, audit, state, settled)) = columns else {
        return Ok(None);
    };
    let (audit, state, settled): (Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>) = (audit, state, settled);
    let audit: Audit = serde_json::from_slice(&audit).map_err(|error| QueueError::damaged("events", seq, &error))?;
    let mut names = Names::default();
    let (open, outcomes) = match (state, settled) {
        // While something is open, the row of `open` has the other outcomes, too.
        (Some(state), _) => {
            decode_open(&state, &mut names).map_err(|error| QueueError::damaged("open", seq, &error))?
        }
        (None, Some(settled)) => {
            let outcomes =
                decode_outcomes(&settled, &mut names).map_err(|error| QueueError::damaged("settled", seq, &error))?;
            (Vec::new(), outcomes)
        }
        (None, None) => (Vec::new(), Vec::new()),
    };
    let open = open.into_iter().map(|delivery| DeliveryAudit {
        number: delivery.number,
        integration_config_id: delivery.subscription,
        status: match delivery.state.attempts {
            0 => DeliveryStatus::Pending,
            _ => DeliveryStatus::Retrying,
        },
        settled_ms: None,
    });
    let settled = outcomes.into_iter().map(|outcome| DeliveryAudit {
        number: outcome.number,
        integration_config_id: outcome.subscription,
        status: outcome.status,
        settled_ms: Some(outcome.settled_ms),
    });
    let mut deliveries: Vec<_> = open.chain(settled).collect();
    deliveries.sort_unstable_by_key(|one| one.number);
    Ok(Some(EventAudit {
        seq,
        accepted_ms,
        producer: Arc::clone(&audit.producer),
        deliveries,
        skipped: audit.skipped,
    }))
}

/// The last event before those that were accepted from `from_ms` on, found by halving: they are in the order of their
/// acceptance but for jumps of the clock.
fn first_from(store: &Connection, from_ms: i64) -> rusqlite::Result<Seq> {
    let newest: Option<Seq> = store.query_row("SELECT max(seq) FROM events", [], |row| row.get(0))?;
    let mut select = store.prepare_cached("SELECT accepted_ms FROM events WHERE seq >= ?1 ORDER BY seq LIMIT 1")?;
    let (mut low, mut high) = (0, newest.unwrap_or(0) + 1);
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        let accepted_ms: i64 = select.query_row([middle], |row| row.get(0))?;
        if accepted_ms < from_ms {
            low = middle
        } else {
            high = middle
        }
    }
    Ok(low)
}

pub(super) fn unread(error: rusqlite::Error) -> QueueError {
    QueueError::from_store("read", error)
}

/// Clocks jump, by an hour at most without anybody's fault.
const CLOCK_SLACK_MS: i64 = 3_600_000;
/// Rows of a page; a look holds the log back as long as it lasts.
const MOST_LOOKED_AT: i64 = 10_000;
const MOST_BYTES: usize = 8 << 20;
