//! Repeats of events, known by the digests of their identities.
//!
//! Digests come in no order, so that an ordinary index would write a page for each event. New ones are appended to a log,
//! one row for each commit, and looked up in memory. When there are many, they are written to disk sorted, as a slice
//! that never changes; a filter in memory spares nearly all look-ups of digests that are not in it. A slice goes when
//! its last digest has expired.

use ahash::AHashMap;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::Seq;

/// Identity of an event.
pub(super) type Digest = [u8; 16];

/// The event that is kept under a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) seq: Seq,
    pub(super) expires_ms: i64,
}

/// All known digests.
#[derive(Debug)]
pub(super) struct Digests {
    recent: AHashMap<Digest, Known>,
    /// From the oldest to the newest.
    slices: Vec<Slice>,
    /// As many recent ones are written to a slice.
    most_recent: usize,
}

#[derive(Debug)]
struct Slice {
    id: i64,
    expires_ms: i64,
    filter: Filter,
}

impl Digests {
    /// What the queue knows.
    pub(super) fn load(store: &Connection, most_recent: usize) -> rusqlite::Result<Self> {
        let mut recent = AHashMap::new();
        let mut log = store.prepare("SELECT entries FROM dedupe_log ORDER BY id")?;
        let mut rows = log.query([])?;
        while let Some(row) = rows.next()? {
            for (digest, known) in entries(row.get_ref(0)?.as_blob()?) {
                recent.insert(digest, known);
            }
        }
        let mut slices = store.prepare("SELECT id, expires_ms, filter FROM dedupe_slice ORDER BY id")?;
        let slices = slices.query_map([], |row| {
            Ok(Slice {
                id: row.get(0)?,
                expires_ms: row.get(1)?,
                filter: Filter::read(row.get_ref(2)?.as_blob()?),
            })
        })?;
        Ok(Self {
            recent,
            slices: slices.collect::<Result<_, _>>()?,
            most_recent,
        })
    }

    /// The event that is kept under `digest`, unless that is forgotten at `now_ms`.
    pub(super) fn find(&self, store: &Connection, digest: &Digest, now_ms: i64) -> rusqlite::Result<Option<Seq>> {
        if let Some(known) = self.recent.get(digest) {
            return Ok((known.expires_ms > now_ms).then_some(known.seq));
        }
        for slice in self.slices.iter().rev() {
            if slice.expires_ms <= now_ms || !slice.filter.may_have(digest) {
                continue;
            }
            if let Some(known) = slice.find(store, digest)? {
                return Ok((known.expires_ms > now_ms).then_some(known.seq));
            }
        }
        Ok(None)
    }

    /// Takes in what a commit wrote.
    pub(super) fn learn(&mut self, committed: AHashMap<Digest, Known>) {
        self.recent.extend(committed);
    }

    /// True if the recent ones should be written to a slice.
    pub(super) fn is_full(&self) -> bool {
        self.recent.len() >= self.most_recent
    }

    /// Writes the recent ones to a slice or, if most of them have expired, the log anew. It is a commit of its own.
    pub(super) fn compact(&mut self, store: &mut Connection, now_ms: i64) -> rusqlite::Result<()> {
        let mut live: Vec<(Digest, Known)> = self.recent.iter().map(|(digest, known)| (*digest, *known)).collect();
        live.retain(|(_, known)| known.expires_ms > now_ms);
        let transaction = store.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute("DELETE FROM dedupe_log", [])?;
        if live.len() < self.most_recent / 2 {
            for chunk in live.chunks(CHUNK) {
                append(&transaction, chunk.iter())?;
            }
            transaction.commit()?;
            self.recent = live.into_iter().collect();
            return Ok(());
        }
        live.sort_unstable_by_key(|(digest, _)| *digest);
        let slice = write_slice(&transaction, &live)?;
        transaction.commit()?;
        self.recent = AHashMap::new();
        self.slices.push(slice);
        Ok(())
    }

    /// Throws the oldest slice out if it has expired; true if there may be another.
    pub(super) fn expire(&mut self, store: &mut Connection, now_ms: i64) -> rusqlite::Result<bool> {
        let Some(index) = self.slices.iter().position(|slice| slice.expires_ms <= now_ms) else {
            return Ok(false);
        };
        let transaction = store.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute("DELETE FROM dedupe WHERE slice = ?1", [self.slices[index].id])?;
        transaction.execute("DELETE FROM dedupe_slice WHERE id = ?1", [self.slices[index].id])?;
        transaction.commit()?;
        self.slices.remove(index);
        Ok(true)
    }
}

/// Appends a row to the log.
pub(super) fn append<'a>(
    store: &Connection,
    entries: impl Iterator<Item = &'a (Digest, Known)>,
) -> rusqlite::Result<()> {
    let mut bytes = Vec::new();
    for (digest, known) in entries {
        write_entry(&mut bytes, digest, *known);
    }
    store
        .prepare_cached("INSERT INTO dedupe_log(entries) VALUES (?1)")?
        .execute([&bytes])?;
    Ok(())
}

fn write_slice(store: &Connection, sorted: &[(Digest, Known)]) -> rusqlite::Result<Slice> {
    let filter = Filter::of(sorted);
    let expires_ms = sorted.iter().map(|(_, known)| known.expires_ms).max().unwrap_or(0);
    store.execute(
        "INSERT INTO dedupe_slice(expires_ms, filter) VALUES (?1, ?2)",
        params![expires_ms, filter.bytes()],
    )?;
    let id = store.last_insert_rowid();
    let mut insert = store.prepare_cached("INSERT INTO dedupe(slice, first, entries) VALUES (?1, ?2, ?3)")?;
    let mut bytes = Vec::with_capacity(CHUNK * ENTRY_BYTES);
    for chunk in sorted.chunks(CHUNK) {
        bytes.clear();
        for (digest, known) in chunk {
            write_entry(&mut bytes, digest, *known);
        }
        insert.execute(params![id, &chunk[0].0[..], &bytes])?;
    }
    Ok(Slice { id, expires_ms, filter })
}

impl Slice {
    fn find(&self, store: &Connection, digest: &Digest) -> rusqlite::Result<Option<Known>> {
        let mut select = store.prepare_cached(
            "SELECT entries FROM dedupe WHERE slice = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1",
        )?;
        let found = select
            .query_row(params![self.id, &digest[..]], |row| {
                let bytes = row.get_ref(0)?.as_blob()?;
                Ok(entries(bytes).find(|(one, _)| one == digest).map(|(_, known)| known))
            })
            .optional()?;
        Ok(found.flatten())
    }
}

fn write_entry(bytes: &mut Vec<u8>, digest: &Digest, known: Known) {
    bytes.extend_from_slice(digest);
    bytes.extend_from_slice(&known.seq.to_le_bytes());
    bytes.extend_from_slice(&known.expires_ms.to_le_bytes());
}

fn entries(bytes: &[u8]) -> impl Iterator<Item = (Digest, Known)> + '_ {
    let (whole, _) = bytes.as_chunks::<ENTRY_BYTES>();
    whole.iter().map(|entry| {
        let mut digest = [0; 16];
        let mut seq = [0; 8];
        let mut expires = [0; 8];
        digest.copy_from_slice(&entry[..16]);
        seq.copy_from_slice(&entry[16..24]);
        expires.copy_from_slice(&entry[24..]);
        let known = Known {
            seq: i64::from_le_bytes(seq),
            expires_ms: i64::from_le_bytes(expires),
        };
        (digest, known)
    })
}

/// A Bloom filter: says for certain that a digest is not there, and is wrong about every 150th time that it may be.
#[derive(Debug)]
struct Filter(Vec<u64>);

impl Filter {
    fn of(digests: &[(Digest, Known)]) -> Self {
        let words = (digests.len() * BITS_PER_DIGEST).div_ceil(64).max(1);
        let mut filter = Self(vec![0; words]);
        for (digest, _) in digests {
            for bit in filter.bits(digest) {
                filter.0[bit / 64] |= 1 << (bit % 64);
            }
        }
        filter
    }

    fn may_have(&self, digest: &Digest) -> bool {
        self.bits(digest).all(|bit| self.0[bit / 64] >> (bit % 64) & 1 == 1)
    }

    /// Digests are as good as random, so that their halves serve as hashes.
    fn bits(&self, digest: &Digest) -> impl Iterator<Item = usize> + use<> {
        let number = u128::from_le_bytes(*digest);
        let (low, high) = (number as u64, (number >> 64) as u64 | 1);
        let bits = self.0.len() as u64 * 64;
        (0..HASHES).map(move |index| (low.wrapping_add(high.wrapping_mul(index)) % bits) as usize)
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// An empty one, which cannot be, has everything: a look-up too many does no harm.
    fn read(bytes: &[u8]) -> Self {
        let (words, _) = bytes.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        Self(if words.is_empty() { vec![u64::MAX] } else { words })
    }
}

/// Recent digests before they become a slice: about 8 MB.
pub(super) const MOST_RECENT: usize = 131_072;
pub(super) const ENTRY_BYTES: usize = 32;
/// Entries of a row of a slice: half a page.
const CHUNK: usize = 120;
const BITS_PER_DIGEST: usize = 12;
const HASHES: u64 = 4;
