//! Who passes by, without knowing who it is: the salt of the day and the keyed hash.
//!
//! Every hash here is SipHash-2-4, a keyed pseudo-random function, over fields that each carry their
//! length, so that no two different lists of fields are the same bytes. Without the key nobody can compute
//! a visitor again from an address; and the key of a day is wiped when the day is over.

use crate::event::{Day, SiteId, Visitor};
use siphasher::sip::SipHasher24;
use std::hash::Hasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU64;

/// 16 random bytes for one site and day (PRIVACY.md, clause 3). Overwritten by its owner.
pub type Salt = [u8; 16];

/// The visitor that an address and a user agent are on this site and day. With `cut_address` only the
/// first 24 bits of an IPv4 address, or 48 of an IPv6 address, count.
pub fn hash(salt: &Salt, site: SiteId, address: IpAddr, agent: &str, cut_address: bool) -> Visitor {
    let mut hasher = SipHasher24::new_with_key(salt);
    field(&mut hasher, &site.0.to_le_bytes());
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let bits = v4.to_bits() & if cut_address { !0xff } else { !0 };
            field(&mut hasher, &Ipv4Addr::from_bits(bits).octets());
        }
        IpAddr::V6(v6) => {
            let bits = v6.to_bits() & if cut_address { !0 << 80 } else { !0 };
            field(&mut hasher, &Ipv6Addr::from_bits(bits).octets());
        }
    }
    field(&mut hasher, agent.as_bytes());
    Visitor(NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MIN))
}

/// What a batch is known by: what tells a retry from something new.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BatchName<'a> {
    /// The browser's random id.
    Sent(&'a str),
    /// None was sent: whoever sent these very bytes today (a hash of the body).
    Contents(Visitor, u64),
    /// Nothing tells a retry: a random number made for this request.
    Fresh(u64),
}

/// The id under which a batch's part for one site and day is remembered. `key` is the store's, the same
/// for as long as ids are remembered; ids of one batch at two sites or days are unrelated.
pub fn batch_id(key: &[u8; 16], site: SiteId, day: Day, name: BatchName) -> u64 {
    let mut hasher = SipHasher24::new_with_key(key);
    field(&mut hasher, &site.0.to_le_bytes());
    field(&mut hasher, &day.0.to_le_bytes());
    match name {
        BatchName::Sent(id) => {
            field(&mut hasher, b"sent");
            field(&mut hasher, id.as_bytes());
        }
        BatchName::Contents(visitor, contents) => {
            field(&mut hasher, b"contents");
            field(&mut hasher, &visitor.0.get().to_le_bytes());
            field(&mut hasher, &contents.to_le_bytes());
        }
        BatchName::Fresh(number) => {
            field(&mut hasher, b"fresh");
            field(&mut hasher, &number.to_le_bytes());
        }
    }
    hasher.finish()
}

fn field(hasher: &mut SipHasher24, bytes: &[u8]) {
    hasher.write(&(bytes.len() as u64).to_le_bytes());
    hasher.write(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SITE: SiteId = SiteId(7);

    fn visitor(salt: u8, site: u64, address: &str, agent: &str, cut: bool) -> Visitor {
        hash(&[salt; 16], SiteId(site), address.parse().unwrap(), agent, cut)
    }

    #[test]
    fn each_field_counts() {
        let here = visitor(1, 7, "192.0.2.1", "agent", false);
        assert_eq!(here, visitor(1, 7, "192.0.2.1", "agent", false));
        assert_eq!(here, visitor(1, 7, "::ffff:192.0.2.1", "agent", false), "mapped IPv4 is IPv4");
        assert_ne!(here, visitor(2, 7, "192.0.2.1", "agent", false), "another day");
        assert_ne!(here, visitor(1, 8, "192.0.2.1", "agent", false), "another site");
        assert_ne!(here, visitor(1, 7, "192.0.2.2", "agent", false), "another address");
        assert_ne!(here, visitor(1, 7, "192.0.2.1", "agent2", false), "another agent");
    }

    #[test]
    fn a_cut_address_is_a_network() {
        let v4 = |a| visitor(1, 7, a, "", true);
        assert_eq!(v4("192.0.2.1"), v4("192.0.2.254"));
        assert_ne!(v4("192.0.2.1"), v4("192.0.3.1"));
        let v6 = |a| visitor(1, 7, a, "", true);
        assert_eq!(v6("2001:db8:1:2::3"), v6("2001:db8:1:ffff::4"));
        assert_ne!(v6("2001:db8:1::"), v6("2001:db8:2::"));
    }

    /// The bytes and the result, from an independent SipHash (the reference implementation's algorithm,
    /// in Python), so that a change of either would be seen.
    #[test]
    fn the_hash_is_the_published_one() {
        // The published test vector of SipHash-2-4: key 00..0f, message 00..0e.
        let key: [u8; 16] = std::array::from_fn(|i| i as u8);
        let message: Vec<u8> = (0..15).collect();
        let mut hasher = SipHasher24::new_with_key(&key);
        hasher.write(&message);
        assert_eq!(hasher.finish(), 0xa129_ca61_49be_45e5);
        // Writing in pieces is writing at once.
        let mut framed = Vec::new();
        for part in [&7u64.to_le_bytes()[..], &[192, 0, 2, 1], b"agent"] {
            framed.extend((part.len() as u64).to_le_bytes());
            framed.extend(part);
        }
        let mut hasher = SipHasher24::new_with_key(&[1; 16]);
        hasher.write(&framed);
        assert_eq!(visitor(1, 7, "192.0.2.1", "agent", false).0.get(), hasher.finish());
    }

    #[test]
    fn ids_of_two_days_are_unrelated() {
        let id = |day, name| batch_id(&[3; 16], SITE, Day(day), name);
        assert_eq!(id(1, BatchName::Sent("abc")), id(1, BatchName::Sent("abc")));
        assert_ne!(id(1, BatchName::Sent("abc")), id(2, BatchName::Sent("abc")));
        assert_ne!(id(1, BatchName::Fresh(5)), id(2, BatchName::Fresh(5)));
        let visitor = |n| Visitor(NonZeroU64::new(n).unwrap());
        assert_ne!(id(1, BatchName::Contents(visitor(1), 9)), id(1, BatchName::Contents(visitor(2), 9)));
        assert_ne!(id(1, BatchName::Contents(visitor(1), 9)), id(1, BatchName::Contents(visitor(1), 8)));
    }

    proptest! {
        #[test]
        fn where_one_field_ends_matters(a in "[a-c]{0,6}", b in "[a-c]{0,6}") {
            prop_assume!(a != b);
            prop_assert_ne!(visitor(1, 7, "192.0.2.1", &a, false), visitor(1, 7, "192.0.2.1", &b, false));
        }
    }
}
