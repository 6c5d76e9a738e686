//! Slows down who guesses passwords: by network and for the account as a whole.
//!
//! A network (/24 or /48) has a few tries, then must wait twice as long after each wrong one. So does the
//! account, with more tries and shorter waits, which bounds an attack from many networks without locking
//! the owner out for long (and a one-time link does not wait at all). A try counts as wrong from the moment
//! it begins, so that a thousand tries at once are still a few; the right password clears it.
//!
//! Networks are kept as keyed hashes, in memory only, for a day after their last try.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// How fast tries are slowed.
struct Pace {
    free: u32,
    /// The longest wait, ms.
    most_ms: i64,
}

const NETWORK: Pace = Pace { free: 5, most_ms: 3_600_000 };
const ACCOUNT: Pace = Pace { free: 15, most_ms: 60_000 };

/// After this long without a wrong try all is forgotten, ms.
const FORGET_MS: i64 = 24 * 3_600_000;

/// How many networks are remembered; the one that was quiet longest gives way.
const MOST_NETWORKS: usize = 10_000;

#[derive(Clone, Copy, Default)]
struct Tries {
    wrong: u32,
    last_ms: i64,
}

impl Tries {
    /// How long until the next try may begin, ms; 0: now.
    fn wait_ms(&self, pace: &Pace, now_ms: i64) -> i64 {
        if self.wrong < pace.free || now_ms - self.last_ms > FORGET_MS {
            return 0;
        }
        let doublings = (self.wrong - pace.free).min(30);
        let wait_ms = (1000i64 << doublings).min(pace.most_ms);
        (self.last_ms + wait_ms - now_ms).clamp(0, wait_ms)
    }

    fn begin(&mut self, now_ms: i64) {
        if now_ms - self.last_ms > FORGET_MS {
            self.wrong = 0;
        }
        self.wrong = self.wrong.saturating_add(1);
        self.last_ms = now_ms;
    }
}

#[derive(Default)]
struct Known {
    account: Tries,
    networks: HashMap<u64, Tries>,
}

/// The tries of late.
#[derive(Default)]
pub struct Backoff {
    key: RandomState,
    /// Guards the counts; held for a look and a change.
    known: Mutex<Known>,
}

impl Backoff {
    /// Begins a try from an address, or says how many seconds to wait.
    pub fn begin(&self, address: IpAddr, now_ms: i64) -> Result<(), u64> {
        let network = self.key.hash_one(prefix(address));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let of_network = known.networks.get(&network).copied().unwrap_or_default();
        let wait_ms = of_network.wait_ms(&NETWORK, now_ms).max(known.account.wait_ms(&ACCOUNT, now_ms));
        if wait_ms > 0 {
            return Err(wait_ms.unsigned_abs().div_ceil(1000));
        }
        if known.networks.len() >= MOST_NETWORKS && !known.networks.contains_key(&network) {
            let quietest =
                known.networks.iter().min_by_key(|(_, tries)| tries.last_ms).map(|(network, _)| *network);
            quietest.map(|network| known.networks.remove(&network));
        }
        known.networks.entry(network).or_default().begin(now_ms);
        known.account.begin(now_ms);
        Ok(())
    }

    /// The try from this address was right.
    pub fn right(&self, address: IpAddr) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.networks.remove(&self.key.hash_one(prefix(address)));
        known.account = Tries::default();
    }
}

/// The network of an address: its first 24 bits, or 48 of version 6; and which of the two.
fn prefix(address: IpAddr) -> (bool, [u8; 6]) {
    let mut prefix = [0; 6];
    match address.to_canonical() {
        IpAddr::V4(v4) => prefix[..3].copy_from_slice(&v4.octets()[..3]),
        IpAddr::V6(v6) => prefix.copy_from_slice(&v6.octets()[..6]),
    }
    (address.to_canonical().is_ipv4(), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_thousand_tries_at_once_are_five() {
        let backoff = Backoff::default();
        let begun = (0..1000).filter(|_| backoff.begin(address("192.0.2.7"), 0).is_ok()).count();
        assert_eq!(begun, 5);
        assert_eq!(backoff.begin(address("192.0.2.200"), 0), Err(1), "the same network");
        assert_eq!(backoff.begin(address("198.51.100.1"), 0), Ok(()), "another network still may");
        assert_eq!(backoff.begin(address("2001:db8::1"), 0), Ok(()));
    }

    #[test]
    fn waits_double_and_end() {
        let backoff = Backoff::default();
        let (mut now_ms, mut waits) = (0, Vec::new());
        for _ in 0..20 {
            match backoff.begin(address("2001:db8::1"), now_ms) {
                Ok(()) => {}
                Err(wait_s) => {
                    waits.push(wait_s);
                    now_ms += wait_s as i64 * 1000;
                }
            }
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128]);
        assert_eq!(
            backoff.begin(address("2001:db8::1"), now_ms + FORGET_MS + 1),
            Ok(()),
            "a day later all is forgotten"
        );
        assert_eq!(backoff.begin(address("2001:db8::1"), now_ms + FORGET_MS + 1), Ok(()));
    }

    #[test]
    fn many_networks_meet_the_accounts_limit() {
        let backoff = Backoff::default();
        let begun = (0..=255).filter(|i| backoff.begin(address(&format!("198.51.{i}.1")), 0).is_ok()).count();
        assert_eq!(begun, 15);
    }

    #[test]
    fn the_right_password_clears() {
        let backoff = Backoff::default();
        for _ in 0..5 {
            assert_eq!(backoff.begin(address("192.0.2.7"), 0), Ok(()));
        }
        backoff.right(address("192.0.2.7"));
        assert_eq!(backoff.begin(address("192.0.2.7"), 0), Ok(()));
    }
}
