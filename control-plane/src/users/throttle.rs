//! How often somebody may try to sign in, by account and by address. Tries are counted before they are looked at, so that
//! many at a time are no way around; one that was good is taken back. Each control plane counts for itself.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Instant;

use filters::window::Window;
use parking_lot::Mutex;

/// Counts tries to sign in.
#[derive(Debug)]
pub(super) struct Throttle {
    started: Instant,
    /// One account from one address.
    pairs: Counted<(String, Option<IpAddr>)>,
    /// One account from anywhere.
    accounts: Counted<String>,
    /// All accounts from one address.
    addresses: Counted<IpAddr>,
}

impl Throttle {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            pairs: Counted::new(PER_PAIR, PAIR_SECONDS),
            accounts: Counted::new(PER_ACCOUNT, ACCOUNT_SECONDS),
            addresses: Counted::new(PER_ADDRESS, PAIR_SECONDS),
        }
    }

    /// Counts a try, or says after how many seconds there may be one.
    pub(super) fn take(&self, account: &str, address: Option<IpAddr>) -> Result<(), u32> {
        let now_ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.take_at(account, address, now_ns)
    }

    fn take_at(&self, account: &str, address: Option<IpAddr>, now_ns: u64) -> Result<(), u32> {
        let pair = (account.to_owned(), address);
        self.pairs.take(pair.clone(), now_ns)?;
        if let Err(seconds) = self.accounts.take(account.to_owned(), now_ns) {
            self.pairs.take_back(&pair);
            return Err(seconds);
        }
        let Some(address) = address else { return Ok(()) };
        self.addresses.take(address, now_ns).inspect_err(|_| {
            self.pairs.take_back(&pair);
            self.accounts.take_back(account);
        })
    }

    /// Takes a try back that was good.
    pub(super) fn forgive(&self, account: &str, address: Option<IpAddr>) {
        self.pairs.take_back(&(account.to_owned(), address));
        self.accounts.take_back(account);
        if let Some(address) = address {
            self.addresses.take_back(&address);
        }
    }
}

/// Windows by who tries, of a bounded number.
#[derive(Debug)]
struct Counted<K> {
    most: u32,
    seconds: u32,
    windows: Mutex<HashMap<K, Window<SLOTS>>>,
}

impl<K: Eq + Hash> Counted<K> {
    fn new(most: u32, seconds: u32) -> Self {
        Self {
            most,
            seconds,
            windows: Mutex::default(),
        }
    }

    fn take(&self, who: K, now_ns: u64) -> Result<(), u32> {
        let mut windows = self.windows.lock();
        if windows.len() >= MOST_COUNTED && !windows.contains_key(&who) {
            windows.retain(|_, window| window.at(now_ns) > 0);
            // Whoever is near the limit is the last to be forgotten.
            if windows.len() >= MOST_COUNTED {
                let half = self.most / 2;
                windows.retain(|_, window| window.at(now_ns) > half);
            }
        }
        let window = windows.entry(who).or_insert_with(|| Window::new(self.seconds));
        if window.at(now_ns) < self.most {
            window.add();
            return Ok(());
        }
        let seconds = window.first_leaves_in(now_ns).div_ceil(1_000_000_000);
        Err(u32::try_from(seconds).unwrap_or(u32::MAX).max(1))
    }

    fn take_back<Q>(&self, who: &Q)
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(window) = self.windows.lock().get_mut(who) {
            window.take_back();
        }
    }
}

/// Tries of one account from one address, and of all accounts from one address, in five minutes.
const PER_PAIR: u32 = 5;
const PER_ADDRESS: u32 = 50;
const PAIR_SECONDS: u32 = 300;
/// Tries of one account from anywhere, in a quarter of an hour.
const PER_ACCOUNT: u32 = 50;
const ACCOUNT_SECONDS: u32 = 900;
const SLOTS: usize = 31;
const MOST_COUNTED: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn an_account_is_tried_five_times_from_one_address() {
        let throttle = Throttle::new();
        for _ in 0..5 {
            assert_eq!(throttle.take_at("ana", address(1), SECOND), Ok(()));
        }
        let wait = throttle.take_at("ana", address(1), SECOND).unwrap_err();
        assert!((290..=310).contains(&wait), "{wait}");
        assert_eq!(throttle.take_at("ben", address(1), SECOND), Ok(()), "another account");
        assert_eq!(throttle.take_at("ana", address(2), SECOND), Ok(()), "another address");
        assert_eq!(
            throttle.take_at("ana", address(1), (u64::from(wait) + 1) * SECOND),
            Ok(())
        );
    }

    #[test]
    fn good_tries_do_not_count() {
        let throttle = Throttle::new();
        for _ in 0..100 {
            assert_eq!(throttle.take_at("ana", address(1), SECOND), Ok(()));
            throttle.forgive("ana", address(1));
        }
    }

    #[test]
    fn an_account_is_not_guessed_from_many_addresses_nor_many_accounts_from_one() {
        let throttle = Throttle::new();
        let passed = (0..200).filter(|last| throttle.take_at("ana", address(*last), SECOND).is_ok());
        assert_eq!(passed.count(), 50);
        let throttle = Throttle::new();
        let passed = (0..200).filter(|number| throttle.take_at(&format!("user {number}"), address(1), SECOND).is_ok());
        assert_eq!(passed.count(), 50);
    }

    #[test]
    fn memory_is_bounded_and_whoever_is_at_the_limit_stays_known() {
        let throttle = Throttle::new();
        while throttle.take_at("ana", None, 0).is_ok() {}
        for number in 0..2 * MOST_COUNTED {
            assert_eq!(throttle.take_at(&format!("user {number}"), None, SECOND), Ok(()));
        }
        assert!(throttle.pairs.windows.lock().len() <= MOST_COUNTED);
        assert!(throttle.take_at("ana", None, SECOND).is_err());
    }
}
