//! A stop for floods: more requests from one address than any number of people behind it could send.
//!
//! A whole office, or a town behind its provider's one address, stays far below the limit; it is there so that
//! one machine cannot fill the log. Constant memory and no lock: each address has a word, found by a keyed
//! hash, that holds a window of time and how many came in it. Two addresses may share a word; then the two
//! together have the limit of one. No address is kept.
//!
//! Addresses of this machine and of private networks have no limit: a proxy that was not named as trusted
//! stands there, and speaks for everybody.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Length of a window, ms.
const WINDOW_MS: i64 = 10_000;

/// Most requests of one address in a window.
const MOST: u64 = 5_000;

/// How many words there are.
const WORDS: usize = 4096;

/// How many requests came of late, by address.
pub struct Flood {
    key: RandomState,
    /// The window's number in the upper half, how many came in the lower.
    words: Box<[AtomicU64]>,
}

impl Default for Flood {
    fn default() -> Flood {
        let words = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        Flood { key: RandomState::new(), words }
    }
}

impl Flood {
    /// Lets a request in, or says in how many seconds to come again.
    pub fn admit(&self, address: IpAddr, now_ms: i64) -> Result<(), u32> {
        let Some(whose) = limited(address) else {
            return Ok(());
        };
        let window = (now_ms.div_euclid(WINDOW_MS) as u64) & 0xffff_ffff;
        let word = &self.words[self.key.hash_one(whose) as usize % WORDS];
        // Two requests at once may count as one: the limit need not be exact.
        let (last, came) = {
            let held = word.load(Relaxed);
            (held >> 32, held & 0xffff_ffff)
        };
        let came = if last == window { came } else { 0 };
        if came >= MOST {
            let left_ms = WINDOW_MS - now_ms.rem_euclid(WINDOW_MS);
            return Err(u32::try_from(left_ms.unsigned_abs().div_ceil(1000)).unwrap_or(1));
        }
        word.store(window << 32 | (came + 1), Relaxed);
        Ok(())
    }
}

/// What has a limit: an address of version 4, or a network of 64 bits, which one subscriber of version 6 has.
fn limited(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        IpAddr::V4(v4) => (!v4.is_loopback() && !v4.is_private() && !v4.is_link_local()).then_some(v4.into()),
        IpAddr::V6(v6) => {
            let network = Ipv6Addr::from_bits(v6.to_bits() & !0 << 64);
            (!v6.is_loopback() && !v6.is_unique_local() && !v6.is_unicast_link_local())
                .then_some(network.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(flood: &Flood, address: &str, now_ms: i64, tries: u64) -> u64 {
        let address = address.parse().unwrap();
        (0..tries).map(|_| u64::from(flood.admit(address, now_ms).is_ok())).sum()
    }

    #[test]
    fn one_address_is_stopped_and_others_are_not() {
        let flood = Flood::default();
        assert_eq!(admitted(&flood, "192.0.2.1", 0, 6_000), MOST);
        assert_eq!(flood.admit("192.0.2.1".parse().unwrap(), 7_500), Err(3));
        // One of these could share the word, not all.
        let others = ["192.0.2.2", "198.51.100.1", "2001:db8::1"];
        assert!(others.iter().filter(|address| admitted(&flood, address, 0, 1) == 1).count() >= 2);
        assert_eq!(admitted(&flood, "192.0.2.1", WINDOW_MS, 6_000), MOST, "the next window");
    }

    #[test]
    fn a_subscriber_of_version_6_is_one() {
        let flood = Flood::default();
        assert_eq!(admitted(&flood, "2001:db8::1", 0, 6_000), MOST);
        assert_eq!(admitted(&flood, "2001:db8::ffff:2", 0, 1), 0);
    }

    #[test]
    fn who_may_stand_for_everybody_has_no_limit() {
        let flood = Flood::default();
        for address in [
            "127.0.0.1",
            "::1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(admitted(&flood, address, 0, 6_000), 6_000, "{address}");
        }
    }
}
