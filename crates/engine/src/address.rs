//! Whose address it is: the peer's, or what proxies that we trust say it is.
//!
//! Each proxy appends the address of its own peer to `X-Forwarded-For`. So the list is read from its end:
//! the last entry was written by our peer, the one before by the proxy that it names, and so on for as long
//! as each is a proxy that we trust. The first that is not one is the client; what stands before it, the
//! client wrote itself. An entry that is no address ends the walk: the last good one counts.
//!
//! `Forwarded` (RFC 7239) is read only when there is no `X-Forwarded-For`. A proxy that writes one must
//! remove or write the other, since a client may send either.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network: addresses that begin with the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cidr {
    network: IpAddr,
    bits: u32,
}

impl Cidr {
    /// All addresses, for where nobody but the platform can reach us.
    pub const EVERYBODY: [Cidr; 2] = [
        Cidr { network: IpAddr::V4(Ipv4Addr::UNSPECIFIED), bits: 0 },
        Cidr { network: IpAddr::V6(Ipv6Addr::UNSPECIFIED), bits: 0 },
    ];

    /// Whether the address lies in the network. An IPv4 address mapped into IPv6 is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= self.bits
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

/// `10.0.0.0/8`, `2001:db8::/32`, or a single address. Bits after the prefix are not looked at. The error
/// is a sentence for the one who configures it.
impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Cidr, String> {
        let not_one = || format!("{text:?} is not a network: write one like 10.0.0.0/8, or a single address");
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().map_err(|_| not_one())?)),
            None => (text.trim(), None),
        };
        let network: IpAddr = address.parse().map_err(|_| not_one())?;
        let width = if network.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        if bits > width { Err(not_one()) } else { Ok(Cidr { network, bits }) }
    }
}

/// Whether an address is that of a proxy we trust.
pub fn is_trusted(trusted: &[Cidr], address: IpAddr) -> bool {
    trusted.iter().any(|cidr| cidr.contains(address))
}

/// The client's address. `xff` and `forwarded` are the values of all headers `X-Forwarded-For` and
/// `Forwarded`, in the order received; they count only if the peer is trusted.
pub fn client_address<'a, X, F>(peer: IpAddr, trusted: &[Cidr], xff: X, forwarded: F) -> IpAddr
where
    X: IntoIterator<Item = &'a [u8]>,
    F: IntoIterator<Item = &'a [u8]>,
{
    let peer = peer.to_canonical();
    if !is_trusted(trusted, peer) {
        return peer;
    }
    let mut entries: Vec<Option<IpAddr>> = Vec::new();
    for value in xff {
        entries.extend(value.split(|b| *b == b',').map(address_of));
    }
    if entries.is_empty() {
        for value in forwarded {
            entries.extend(value.split(|b| *b == b',').map(forwarded_for));
        }
    }
    let mut client = peer;
    for entry in entries.into_iter().rev() {
        let Some(address) = entry else { break };
        client = address;
        if !is_trusted(trusted, address) {
            break;
        }
    }
    client
}

/// An address as proxies write it: with or without brackets, port and quotes.
pub fn address_of(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim().trim_matches('"');
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        // One colon is a port's; more are an IPv6 address's.
        None => match text.split_once(':') {
            Some((v4, port)) if !port.contains(':') => v4,
            _ => text,
        },
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// `203.0.113.9:4711`, `2001:db8::1:4711`: an address and always a port, an IPv6 address without brackets
/// (CloudFront-Viewer-Address).
pub fn address_with_port(text: &[u8]) -> Option<IpAddr> {
    let (address, port) = std::str::from_utf8(text).ok()?.trim().rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    address_of(address.as_bytes())
}

/// The `for` of one element of a `Forwarded` header.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    element.split(|b| *b == b';').find_map(|pair| {
        let pair = pair.trim_ascii();
        let value = pair.get(..4).filter(|key| key.eq_ignore_ascii_case(b"for=")).and(pair.get(4..))?;
        Some(address_of(value))
    })?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client(peer: &str, xff: &[&str], forwarded: &[&str]) -> String {
        let trusted: Vec<Cidr> =
            ["10.0.0.0/8", "2001:db8:aaaa::/48"].iter().map(|c| c.parse().unwrap()).collect();
        let bytes = |values: &[&str]| values.iter().map(|v| v.as_bytes().to_vec()).collect::<Vec<_>>();
        let (xff, forwarded) = (bytes(xff), bytes(forwarded));
        let xff = xff.iter().map(Vec::as_slice);
        client_address(peer.parse().unwrap(), &trusted, xff, forwarded.iter().map(Vec::as_slice)).to_string()
    }

    #[test]
    fn the_last_address_that_is_not_a_proxy() {
        let table: [(&str, &[&str], &[&str], &str); 20] = [
            // The peer is nobody we know: it is the client, whatever it says.
            ("203.0.113.5", &["198.51.100.1"], &["for=198.51.100.1"], "203.0.113.5"),
            ("::ffff:203.0.113.5", &[], &[], "203.0.113.5"),
            // The peer is a proxy.
            ("10.0.0.1", &[], &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], &[], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], &[], "198.51.100.1"),
            ("10.0.0.1", &["192.0.2.66, 198.51.100.1, 10.9.9.9"], &[], "198.51.100.1"),
            ("10.0.0.1", &["192.0.2.66", "198.51.100.1", "10.9.9.9"], &[], "198.51.100.1"),
            ("10.0.0.1", &["10.1.1.1, 10.2.2.2"], &[], "10.1.1.1"),
            ("10.0.0.1", &["198.51.100.1:4711"], &[], "198.51.100.1"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], &[], "2001:db8::1"),
            ("10.0.0.1", &["2001:db8::1"], &[], "2001:db8::1"),
            ("2001:db8:aaaa::1", &["::ffff:198.51.100.1"], &[], "198.51.100.1"),
            // What is no address ends the walk.
            ("10.0.0.1", &["198.51.100.1, unknown"], &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, garbage, 10.2.2.2"], &[], "10.2.2.2"),
            ("10.0.0.1", &[""], &["for=198.51.100.1"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1,"], &[], "10.0.0.1"),
            // RFC 7239.
            ("10.0.0.1", &[], &["for=192.0.2.60;proto=http;by=203.0.113.43"], "192.0.2.60"),
            ("10.0.0.1", &[], &["For=192.0.2.66, proto=https; for=\"[2001:db8::17]:4711\""], "2001:db8::17"),
            ("10.0.0.1", &[], &["for=192.0.2.66, for=_hidden"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], &["for=192.0.2.60"], "198.51.100.1"),
        ];
        for (peer, xff, forwarded, expected) in table {
            assert_eq!(client(peer, xff, forwarded), expected, "{peer} {xff:?} {forwarded:?}");
        }
    }

    #[test]
    fn networks_are_read_and_hold_their_addresses() {
        let holds =
            |cidr: &str, address: &str| cidr.parse::<Cidr>().unwrap().contains(address.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("192.0.2.1", "192.0.2.1") && !holds("192.0.2.1", "192.0.2.2"));
        assert!(holds("0.0.0.0/0", "203.0.113.1") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1") && holds("::/0", "2001:db8::1"));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/x", "::/129", "example.com"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_port_is_after_the_last_colon() {
        for (text, expected) in [
            ("203.0.113.9:4711", Some("203.0.113.9")),
            ("2001:db8::1:4711", Some("2001:db8::1")),
            ("203.0.113.9", None),
            ("203.0.113.9:x", None),
            (":80", None),
        ] {
            assert_eq!(
                address_with_port(text.as_bytes()).map(|a| a.to_string()).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_from_a_proxy_are_survived(xff in prop::collection::vec(any::<Vec<u8>>(), 0..3), forwarded in prop::collection::vec("[for=,;\"\\[\\]:.0-9a-f ]{0,40}", 0..3)) {
            let trusted = Cidr::EVERYBODY;
            let xff = xff.iter().map(Vec::as_slice);
            client_address("10.0.0.1".parse().unwrap(), &trusted, xff, forwarded.iter().map(String::as_bytes));
        }
    }
}
