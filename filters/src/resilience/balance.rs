//! Which of several targets a request goes to.

use std::cmp::Ordering;

use http::HeaderName;

use crate::model::Problem;
use crate::model::resilience::{Balancing, HashKey};

/// How requests are spread over targets, compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// By the targets' weights.
    #[default]
    Weighted,
    /// In turn.
    RoundRobin,
    /// To the less busy one of two that are picked by chance.
    LeastRequests,
    /// Equal keys to the same target.
    ConsistentHash(KeySource),
}

/// Where the key of a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In this header field.
    Header(HeaderName),
    /// In this parameter of the query.
    Query(String),
    /// In this cookie.
    Cookie(String),
    /// It is the client's address.
    ClientIp,
    /// It is the name of the caller.
    Caller,
    /// It is the path.
    Path,
}

impl Balance {
    /// Checks `balance`, which stands at `balance`.
    pub(crate) fn compile(balancing: &Balancing, problems: &mut Vec<Problem>) -> Self {
        match balancing {
            Balancing::Weighted {} => Self::Weighted,
            Balancing::RoundRobin {} => Self::RoundRobin,
            Balancing::LeastRequests {} => Self::LeastRequests,
            Balancing::ConsistentHash { key } => match KeySource::compile(key) {
                Ok(key) => Self::ConsistentHash(key),
                Err((field, message)) => {
                    problems.push(Problem::new(format!("balance.key.{field}"), message));
                    Self::Weighted
                }
            },
        }
    }
}

impl KeySource {
    fn compile(key: &HashKey) -> Result<Self, (&'static str, String)> {
        let named = |field, name: &String| {
            let is_name = (1..=100).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
            if is_name {
                Ok(name.clone())
            } else {
                Err((field, format!("{name:?} must be 1 to 100 visible characters")))
            }
        };
        Ok(match key {
            HashKey::Header(name) => Self::Header(
                name.parse()
                    .map_err(|_| ("header", format!("{name:?} is no name of a header")))?,
            ),
            HashKey::Query(name) => Self::Query(named("query", name)?),
            HashKey::Cookie(name) => Self::Cookie(named("cookie", name)?),
            HashKey::ClientIp => Self::ClientIp,
            HashKey::Caller => Self::Caller,
            HashKey::Path => Self::Path,
        })
    }
}

/// Place among `weights` of the `ticket`-th request: shares follow the weights, spread evenly. `None` if they are all 0.
pub fn share(weights: impl Iterator<Item = u32> + Clone, ticket: u64) -> Option<usize> {
    let all: u64 = weights.clone().map(u64::from).sum();
    if all == 0 {
        return None;
    }
    // Multiplying by the golden ratio spreads neighbouring tickets over the whole range.
    let spread = ticket.wrapping_mul(GOLDEN) >> 32;
    let at = (spread * all) >> 32;
    let mut up_to = 0;
    weights
        .map(|weight| {
            up_to += u64::from(weight);
            up_to
        })
        .position(|up_to| at < up_to)
}

/// Two different places among `count`, picked by `chance`; the same one twice if there is only one.
pub fn two_of(count: usize, chance: u64) -> (usize, usize) {
    let many = count as u64;
    let first = (chance & 0xffff_ffff) % many.max(1);
    let step = (chance >> 32) % many.saturating_sub(1).max(1);
    let second = if many > 1 { (first + 1 + step) % many } else { first };
    (first as usize, second as usize)
}

/// True if a target with `in_flight` requests and `weight` is no busier than the other, weights considered.
pub fn is_less_busy(in_flight: usize, weight: u32, other_in_flight: usize, other_weight: u32) -> bool {
    in_flight as u64 * u64::from(other_weight) <= other_in_flight as u64 * u64::from(weight)
}

/// Place of the target that `key` belongs to, among their hashes and weights (rendezvous hashing): if a target goes, only
/// its keys move, and if one comes, only those that it gets.
pub fn home(key: u64, targets: impl Iterator<Item = (u64, u32)>) -> Option<usize> {
    let scored = targets.enumerate().filter(|(_, (_, weight))| *weight > 0);
    let scored = scored.map(|(place, (target, weight))| {
        let mixed = mix(key ^ mix(target));
        // Between 0 and 1, neither included.
        let unit = ((mixed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        (place, -f64::from(weight) / unit.ln())
    });
    let best = scored.max_by(|(_, one), (_, two)| one.partial_cmp(two).unwrap_or(Ordering::Equal));
    best.map(|(place, _)| place)
}

/// A hash that is the same in every process (FNV-1a, mixed).
pub fn hash(bytes: &[u8]) -> u64 {
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    }))
}

/// Spreads what is close together (the finalizer of splitmix64).
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_weights() {
        let mut counts = [0; 3];
        for ticket in 0..10_000 {
            counts[share([1, 0, 3].into_iter(), ticket).unwrap()] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((2_450..2_550).contains(&counts[0]), "{counts:?}");
        assert_eq!(share([0, 0].into_iter(), 7), None);
    }

    #[test]
    fn two_choices_are_two_targets_and_each_comes_up() {
        assert_eq!(two_of(1, 77), (0, 0));
        let mut seen = [0; 5];
        for chance in 0..10_000_u64 {
            let (one, two) = two_of(5, mix(chance));
            assert_ne!(one, two);
            seen[one] += 1;
            seen[two] += 1;
        }
        assert!(seen.iter().all(|count| (3_700..4_300).contains(count)), "{seen:?}");
    }

    #[test]
    fn the_less_busy_one_is_less_busy_for_its_weight() {
        assert!(is_less_busy(1, 1, 2, 1) && !is_less_busy(2, 1, 1, 1));
        assert!(is_less_busy(3, 10, 1, 1), "ten times the weight bears more");
    }

    #[test]
    fn keys_stay_where_they_are_when_another_target_goes() {
        let targets = [(hash(b"a"), 1), (hash(b"b"), 1), (hash(b"c"), 1), (hash(b"d"), 1)];
        let mut moved = 0;
        let mut counts = [0; 4];
        for key in 0..4_000_u64 {
            let key = hash(&key.to_be_bytes());
            let before = home(key, targets.into_iter()).unwrap();
            let after = home(key, targets[..3].iter().copied()).unwrap();
            counts[before] += 1;
            if before == 3 {
                moved += 1;
            } else {
                assert_eq!(before, after);
            }
        }
        assert_eq!(moved, counts[3]);
        assert!(counts.iter().all(|count| (880..1_120).contains(count)), "{counts:?}");
    }

    #[test]
    fn keys_follow_the_weights() {
        let heavy = (0..4_000_u64)
            .filter(|key| home(hash(&key.to_be_bytes()), [(1, 1), (2, 3), (3, 0)].into_iter()) == Some(1))
            .count();
        assert!((2_880..3_120).contains(&heavy), "{heavy}");
    }
}
