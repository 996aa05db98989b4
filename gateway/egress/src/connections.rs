//! The open connections of one pool.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use filters::target::Scheme;
use http::uri::Authority;
use parking_lot::Mutex;
use tokio::sync;
use tokio::time::{Instant, timeout_at};

use crate::connector::{Connector, Opened, Sender};
use crate::error::EgressError;
use crate::idle::{IdleLimit, Room};
use crate::multiplex::{Multiplexed, Stream};
use crate::pool::{Deadline, PoolSettings};
use crate::upstream::Upstream;

/// What an exchange goes over.
pub(crate) enum Link {
    /// A connection that it has to itself.
    Own(Sender),
    /// Its place on a connection that it shares.
    Shared(Stream),
}

impl Link {
    /// The connection, if it is a shared one.
    pub(crate) fn shared(&self) -> Option<Arc<Multiplexed>> {
        match self {
            Self::Own(_) => None,
            Self::Shared(stream) => Some(stream.connection()),
        }
    }
}

/// What a pool's clones and answers share.
#[derive(Debug)]
pub(crate) struct Connections {
    connector: Connector,
    settings: PoolSettings,
    idle: Mutex<Idle>,
    shared: Shared,
    limit: Option<Arc<IdleLimit>>,
}

/// Connections without an exchange, the one that was used last at the end.
#[derive(Debug, Default)]
struct Idle {
    waiting: VecDeque<Waiting>,
    /// True while a task closes what is idle for too long.
    swept: bool,
}

#[derive(Debug)]
struct Waiting {
    sender: Sender,
    since: Instant,
    _room: Option<Room>,
}

/// Connections that carry several exchanges.
#[derive(Debug)]
struct Shared {
    /// What such a connection calls the partner; `None` if the pool never has one.
    authority: Option<Authority>,
    connections: Mutex<Vec<Arc<Multiplexed>>>,
    /// Held while one is opened, so that those who come meanwhile share it.
    opening: sync::Mutex<()>,
    /// True once the partner has chosen HTTP/1.1: nobody waits for anybody then.
    refused: AtomicBool,
}

impl Connections {
    pub(crate) fn new(connector: Connector, settings: PoolSettings, limit: Option<Arc<IdleLimit>>) -> Self {
        let target = connector.upstream().target();
        let may_share = settings.http2 && target.scheme() == Scheme::Https;
        let authority = Authority::try_from(target.authority().as_bytes()).ok();
        Self {
            shared: Shared {
                authority: authority.filter(|_| may_share),
                connections: Mutex::default(),
                opening: sync::Mutex::default(),
                refused: AtomicBool::new(false),
            },
            connector,
            settings,
            idle: Mutex::default(),
            limit,
        }
    }

    pub(crate) fn upstream(&self) -> &Upstream {
        self.connector.upstream()
    }

    pub(crate) fn host(&self) -> String {
        self.connector.upstream().host().to_owned()
    }

    /// What a shared connection calls the partner.
    pub(crate) fn authority(&self) -> Option<&Authority> {
        self.shared.authority.as_ref()
    }

    pub(crate) fn out_of_time(&self, deadline: Deadline) -> EgressError {
        EgressError::TotalTimeout {
            host: self.host(),
            after: deadline.limit,
        }
    }

    pub(crate) fn idle_count(&self) -> usize {
        let idle = self.idle.lock();
        let own = idle.waiting.iter().filter(|waiting| !waiting.sender.is_closed());
        let shared = self.shared.connections.lock();
        let idle_shared = shared.iter().filter(|one| one.is_open() && one.idle_since().is_some());
        own.count() + idle_shared.count()
    }

    /// A connection that can take a request now: a shared one, or that which was used last.
    pub(crate) fn take(&self) -> Option<Link> {
        if let Some(stream) = self.share(None) {
            return Some(Link::Shared(stream));
        }
        let mut idle = self.idle.lock();
        let mut place = idle.waiting.len();
        while place > 0 {
            place -= 1;
            let Waiting { sender, since, .. } = &idle.waiting[place];
            if sender.is_closed() || since.elapsed() >= self.settings.idle_timeout {
                idle.waiting.remove(place);
            } else if sender.is_ready() {
                return idle.waiting.remove(place).map(|waiting| Link::Own(waiting.sender));
            }
        }
        None
    }

    /// Opens a connection within `limit`, or joins one that somebody else opened meanwhile, but not `except`.
    pub(crate) async fn connect(
        self: &Arc<Self>,
        limit: Duration,
        except: Option<&Arc<Multiplexed>>,
    ) -> Result<Link, EgressError> {
        if self.shared.authority.is_none() || self.shared.refused.load(Ordering::Relaxed) {
            return Ok(self.opened(self.connector.connect(limit).await?));
        }
        let begun = Instant::now();
        let Ok(_opening) = timeout_at(begun + limit, self.shared.opening.lock()).await else {
            return Err(self.connector.timed_out(limit));
        };
        if self.shared.refused.load(Ordering::Relaxed) {
            drop(_opening);
            return Ok(self.opened(self.connector.connect(limit.saturating_sub(begun.elapsed())).await?));
        }
        if let Some(stream) = self.share(except) {
            return Ok(Link::Shared(stream));
        }
        let opened = self.connector.connect(limit.saturating_sub(begun.elapsed())).await?;
        Ok(self.opened(opened))
    }

    /// Keeps a connection whose exchange is over for the next one.
    pub(crate) fn give_back(self: &Arc<Self>, link: Link) {
        // The place on a shared connection is free again when it is dropped.
        let Link::Own(sender) = link else { return };
        if sender.is_closed() || self.settings.max_idle == 0 {
            return;
        }
        let Ok(room) = self.room() else { return };
        let mut idle = self.idle.lock();
        if idle.waiting.len() >= self.settings.max_idle {
            idle.waiting.pop_front();
        }
        idle.waiting.push_back(Waiting {
            sender,
            since: Instant::now(),
            _room: room,
        });
        self.sweep(&mut idle);
    }

    /// When the connection that is idle for longest became so.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let own = self.idle.lock().waiting.front().map(|waiting| waiting.since);
        let shared = self.shared.connections.lock();
        own.into_iter()
            .chain(shared.iter().filter_map(|one| one.idle_since()))
            .min()
    }

    /// Closes the connection that is idle for longest; false if none is.
    pub(crate) fn close_oldest(&self) -> bool {
        let oldest = self.idle_since();
        let mut idle = self.idle.lock();
        if idle.waiting.front().map(|waiting| waiting.since) == oldest {
            return idle.waiting.pop_front().is_some();
        }
        let mut shared = self.shared.connections.lock();
        let place = shared.iter().position(|one| one.idle_since() == oldest);
        place.is_some_and(|place| {
            shared.swap_remove(place);
            true
        })
    }

    fn opened(self: &Arc<Self>, opened: Opened) -> Link {
        let connection = match opened {
            Opened::Own(sender) => {
                self.shared.refused.store(true, Ordering::Relaxed);
                return Link::Own(sender);
            }
            Opened::Shared(connection) => connection,
        };
        self.shared.refused.store(false, Ordering::Relaxed);
        let room = self.room();
        let keeps = room.is_ok();
        let connection = Arc::new(connection.within(room.unwrap_or_default()));
        let stream = connection.first();
        if keeps {
            self.shared.connections.lock().push(connection);
            self.sweep(&mut self.idle.lock());
        }
        Link::Shared(stream)
    }

    /// A place on a shared connection, but not on `except`.
    fn share(&self, except: Option<&Arc<Multiplexed>>) -> Option<Stream> {
        self.shared.authority.as_ref()?;
        let mut connections = self.shared.connections.lock();
        connections.retain(|connection| connection.is_open());
        let usable = |connection: &&Arc<Multiplexed>| except.is_none_or(|except| !Arc::ptr_eq(connection, except));
        connections.iter().filter(usable).find_map(Multiplexed::join)
    }

    /// A place among the idle connections of all pools, if there is a limit on them.
    fn room(&self) -> Result<Option<Room>, NoRoom> {
        match &self.limit {
            Some(limit) => limit.room().map(Some).ok_or(NoRoom),
            None => Ok(None),
        }
    }

    fn sweep(self: &Arc<Self>, idle: &mut Idle) {
        if !std::mem::replace(&mut idle.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self), self.settings.idle_timeout));
        }
    }
}

/// All places for idle connections are taken.
struct NoRoom;

/// Closes what is idle for too long, until no connection is left or the pool is gone.
async fn sweep(connections: Weak<Connections>, idle_timeout: Duration) {
    let mut wait = idle_timeout;
    loop {
        tokio::time::sleep(wait).await;
        let Some(connections) = connections.upgrade() else {
            return;
        };
        let mut idle = connections.idle.lock();
        idle.waiting
            .retain(|waiting| !waiting.sender.is_closed() && waiting.since.elapsed() < idle_timeout);
        let mut shared = connections.shared.connections.lock();
        shared.retain(|one| one.is_open() && one.idle_since().is_none_or(|since| since.elapsed() < idle_timeout));
        if idle.waiting.is_empty() && shared.is_empty() {
            idle.swept = false;
            return;
        }
        let own = idle.waiting.front().map(|waiting| waiting.since);
        let oldest = own
            .into_iter()
            .chain(shared.iter().filter_map(|one| one.idle_since()))
            .min();
        // Those in use become idle later, and are looked at after their own time.
        wait = oldest.map_or(idle_timeout, |since| idle_timeout.saturating_sub(since.elapsed()));
    }
}
