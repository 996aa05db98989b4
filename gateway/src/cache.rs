//! Answers of partners that are kept in memory for the next request, of bounded size together.
//!
//! Of several requests for what is not there one goes to the partner, and the others wait for its answer. When there is no
//! more room, what was not asked for the longest goes.

use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use bytes::Bytes;
use http::HeaderMap;
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::metrics::CacheMetrics;

/// What tells an answer from all others.
pub type Key = [u8; 32];

/// An answer as the partner gave it, transformed if it is.
#[derive(Debug)]
pub struct Entry {
    /// Its fields, without those of connections and of single requests.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// When it came.
    pub since: Instant,
    /// Until when it is given.
    pub fresh_until: Instant,
    /// Until when it stands in for an error.
    pub usable_until: Instant,
}

/// All answers that are kept.
#[derive(Debug)]
pub struct Cache {
    state: Arc<Mutex<State>>,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Looked {
    /// There is an answer.
    Found(Arc<Entry>),
    /// It goes to the partner, and its answer is handed over here.
    Fill(Filling),
    /// It goes to the partner, and its answer is not kept.
    Pass,
}

/// The duty to fetch an answer. When it is dropped, those who wait for it are woken.
#[derive(Debug)]
pub struct Filling {
    state: Arc<Mutex<State>>,
    key: Key,
    /// What may stand in for an error of the partner.
    pub stale: Option<Arc<Entry>>,
    _wakes: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    slots: LruCache<Key, Slot>,
    fetched: AHashMap<Key, watch::Receiver<()>>,
    bytes: usize,
    most_bytes: usize,
    metrics: CacheMetrics,
}

#[derive(Clone, Debug)]
enum Slot {
    Answer(Arc<Entry>),
    /// The last answer was none to keep: requests do not wait for each other until then.
    Pass(Instant),
}

impl Cache {
    /// Nothing kept yet, and room for `most_bytes`.
    pub fn new(most_bytes: usize, metrics: CacheMetrics) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                slots: LruCache::unbounded(),
                fetched: AHashMap::new(),
                bytes: 0,
                most_bytes,
                metrics,
            })),
        }
    }

    /// Looks for an answer; waits until `deadline` for one that is being fetched. With `refresh` only a new one counts.
    pub async fn look(&self, key: Key, refresh: bool, deadline: Instant) -> Looked {
        let mut refresh = refresh;
        loop {
            let mut fetched = match self.state.lock().look(&self.state, key, refresh) {
                Step::Done(looked) => return looked,
                Step::Wait(fetched) => fetched,
            };
            // The sender sends nothing: it is dropped. What comes then is new.
            if tokio::time::timeout_at(deadline, fetched.changed()).await.is_err() {
                return Looked::Pass;
            }
            refresh = false;
        }
    }

    /// Bytes that are kept.
    pub fn bytes(&self) -> usize {
        self.state.lock().bytes
    }
}

enum Step {
    Done(Looked),
    Wait(watch::Receiver<()>),
}

impl State {
    fn look(&mut self, shared: &Arc<Mutex<Self>>, key: Key, refresh: bool) -> Step {
        let now = Instant::now();
        let mut stale = None;
        match self.slots.get(&key) {
            Some(Slot::Answer(entry)) if !refresh && now < entry.fresh_until => {
                return Step::Done(Looked::Found(Arc::clone(entry)));
            }
            Some(Slot::Answer(entry)) => stale = Some(Arc::clone(entry)).filter(|entry| now < entry.usable_until),
            Some(Slot::Pass(until)) if now < *until => return Step::Done(Looked::Pass),
            Some(Slot::Pass(_)) | None => {}
        }
        if let Some(fetched) = self.fetched.get(&key) {
            return Step::Wait(fetched.clone());
        }
        let (wakes, fetched) = watch::channel(());
        self.fetched.insert(key, fetched);
        Step::Done(Looked::Fill(Filling {
            state: Arc::clone(shared),
            key,
            stale,
            _wakes: wakes,
        }))
    }

    fn put(&mut self, key: Key, slot: Slot) {
        self.bytes += size_of_slot(&slot);
        if let Some(old) = self.slots.put(key, slot) {
            self.bytes -= size_of_slot(&old);
        }
        while self.bytes > self.most_bytes {
            let Some((_, old)) = self.slots.pop_lru() else { break };
            self.bytes -= size_of_slot(&old);
            if matches!(old, Slot::Answer(_)) {
                self.metrics.evicted.inc();
            }
        }
        self.metrics.bytes.set(i64::try_from(self.bytes).unwrap_or(i64::MAX));
    }
}

impl Filling {
    /// Keeps an answer.
    pub fn keep(self, entry: Entry) {
        let mut state = self.state.lock();
        state.metrics.stored.inc();
        state.put(self.key, Slot::Answer(Arc::new(entry)));
    }

    /// Notes that the answer is none to keep.
    pub fn pass(self) {
        let until = Instant::now() + PASS;
        self.state.lock().put(self.key, Slot::Pass(until));
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.state.lock().fetched.remove(&self.key);
    }
}

fn size_of_slot(slot: &Slot) -> usize {
    match slot {
        Slot::Pass(_) => OVERHEAD,
        Slot::Answer(entry) => {
            let fields = entry
                .headers
                .iter()
                .map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD);
            OVERHEAD + entry.body.len() + fields.sum::<usize>()
        }
    }
}

/// Bytes that an entry takes beside its content, and a field.
const OVERHEAD: usize = 256;
const FIELD_OVERHEAD: usize = 64;
/// How long requests for what is not kept do not wait for each other.
const PASS: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn room_for(bytes: usize) -> Cache {
        Cache::new(bytes, Metrics::new(0).unwrap().cache)
    }

    fn entry(bytes: usize, fresh: u64, usable: u64) -> Entry {
        let now = Instant::now();
        Entry {
            headers: HeaderMap::new(),
            body: Bytes::from(vec![b'x'; bytes]),
            since: now,
            fresh_until: now + Duration::from_secs(fresh),
            usable_until: now + Duration::from_secs(usable),
        }
    }

    async fn look(cache: &Cache, key: u8) -> Looked {
        cache
            .look([key; 32], false, Instant::now() + Duration::from_secs(5))
            .await
    }

    async fn filling(cache: &Cache, key: u8) -> Filling {
        match look(cache, key).await {
            Looked::Fill(filling) => filling,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_fetches_and_the_others_wait() {
        let cache = Arc::new(room_for(10_000));
        let first = filling(&cache, 1).await;
        let others: Vec<_> = (0..50)
            .map(|_| {
                let cache = Arc::clone(&cache);
                tokio::spawn(async move { matches!(look(&cache, 1).await, Looked::Found(_)) })
            })
            .collect();
        tokio::task::yield_now().await;
        first.keep(entry(10, 60, 60));
        for other in others {
            assert!(other.await.unwrap());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn if_the_first_fails_the_next_one_fetches() {
        let cache = Arc::new(room_for(10_000));
        let first = filling(&cache, 1).await;
        let waits = tokio::spawn({
            let cache = Arc::clone(&cache);
            async move { matches!(look(&cache, 1).await, Looked::Fill(_)) }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waits.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_beyond_its_time_or_for_what_is_not_kept() {
        let cache = room_for(10_000);
        let first = filling(&cache, 1).await;
        assert!(matches!(look(&cache, 1).await, Looked::Pass));
        first.pass();
        assert!(matches!(look(&cache, 1).await, Looked::Pass));
        tokio::time::advance(PASS).await;
        drop(filling(&cache, 1).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_is_fetched_again_and_stands_in_for_a_while() {
        let cache = room_for(10_000);
        filling(&cache, 1).await.keep(entry(10, 60, 90));
        assert!(matches!(look(&cache, 1).await, Looked::Found(_)));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(filling(&cache, 1).await.stale.is_some());
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(filling(&cache, 1).await.stale.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_wants_a_new_answer_gets_one() {
        let cache = room_for(10_000);
        filling(&cache, 1).await.keep(entry(10, 60, 60));
        let looked = cache.look([1; 32], true, Instant::now()).await;
        assert!(matches!(looked, Looked::Fill(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_asked_for_the_longest_goes_first() {
        let cache = room_for(3 * (1_000 + OVERHEAD));
        for key in 1..=3 {
            filling(&cache, key).await.keep(entry(1_000, 60, 60));
        }
        assert!(matches!(look(&cache, 1).await, Looked::Found(_)));
        filling(&cache, 4).await.keep(entry(1_000, 60, 60));
        assert!(matches!(look(&cache, 1).await, Looked::Found(_)));
        drop(filling(&cache, 2).await);
        assert!(cache.bytes() <= 3 * (1_000 + OVERHEAD));
        filling(&cache, 5).await.keep(entry(100_000, 60, 60));
        assert_eq!(cache.bytes(), 0);
        let state = cache.state.lock();
        let counts = &state.metrics;
        assert_eq!(
            (counts.stored.get(), counts.evicted.get(), counts.bytes.get()),
            (5, 5, 0)
        );
    }
}
