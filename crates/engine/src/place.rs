//! Where a hit was sent from, no finer than a city.
//!
//! Three sources, the better first: the headers of a platform in front of us, if its peer is trusted; a
//! database in MaxMind's format that the user brings; and with no set-up the country to which a regional
//! registry assigned the address (`iptocc`, built in: right for about 95 % of IPv4 addresses).

pub use crate::address::{Cidr, address_of, client_address, is_trusted};

use crate::address::address_with_port;
use crate::event::{Place, Text};
use crate::json::Json;
use crate::url;
use maxminddb::{PathElement, Reader};
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// What addresses are looked up in.
#[derive(Default)]
pub struct Tables {
    database: Option<Reader<Vec<u8>>>,
}

impl Tables {
    /// Countries by registry alone.
    pub fn new() -> Tables {
        Tables::default()
    }

    /// With a database in MaxMind's format (GeoLite2 City or Country, DB-IP, IPinfo), as the bytes of its
    /// file. The error says what is wrong with them.
    pub fn with_database(bytes: Vec<u8>) -> Result<Tables, String> {
        let database = Reader::from_source(bytes)
            .map_err(|error| format!("not a database in MaxMind's format: {error}"))?;
        Ok(Tables { database: Some(database) })
    }

    /// The place of an address; empty texts for what is not known.
    pub fn look_up(&self, address: IpAddr) -> Place {
        let address = address.to_canonical();
        let mut place =
            self.database.as_ref().map_or_else(Place::default, |database| in_database(database, address));
        if place.country.is_empty() {
            place =
                Place { country: country(iptocc::country_code(address).unwrap_or("")), ..Place::default() };
        }
        place
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "place::Tables {{ database: {} }}", self.database.is_some())
    }
}

fn in_database(database: &Reader<Vec<u8>>, address: IpAddr) -> Place {
    let Ok(record) = database.lookup(address) else {
        return Place::default();
    };
    if !record.has_data() {
        return Place::default();
    }
    let text = |path: &[PathElement]| record.decode_path::<&str>(path).ok().flatten().unwrap_or("");
    let key = PathElement::Key;
    // IPinfo's databases are flat; there `country` may be a code or a name.
    let code = [&[key("country"), key("iso_code")][..], &[key("country_code")], &[key("country")]]
        .into_iter()
        .map(|path| country(text(path)))
        .find(|country| !country.is_empty());
    let city = match text(&[key("city"), key("names"), key("en")]) {
        "" => text(&[key("city")]),
        name => name,
    };
    let region = text(&[key("subdivisions"), PathElement::Index(0), key("iso_code")]);
    place(code.unwrap_or_default(), region, city)
}

/// A country's code, upper case; empty for what is none, and for codes that mean "unknown" (`XX`, `ZZ`),
/// Tor (`T1`) and anonymous proxies (`A1`, `A2`).
fn country(code: &str) -> Text {
    let code = code.trim();
    let letters = code.len() == 2 && code.bytes().all(|b| b.is_ascii_alphabetic());
    let known = letters && !code.eq_ignore_ascii_case("XX") && !code.eq_ignore_ascii_case("ZZ");
    if known { code.to_ascii_uppercase().into() } else { Text::default() }
}

/// Country, region and city made into values that stand alone.
fn place(country: Text, region: &str, city: &str) -> Place {
    if country.is_empty() {
        return Place::default();
    }
    let region = region.trim();
    let is_region =
        (1..=8).contains(&region.len()) && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let region = match region.to_ascii_uppercase() {
        _ if !is_region => Text::default(),
        whole if whole.contains('-') => whole.into(),
        part => Text::from(format!("{country}-{part}")),
    };
    let city = url::plain(city.trim(), 100);
    let city = if city.is_empty() { city } else { Text::from(format!("{city}, {country}")) };
    Place { country, region, city }
}

/// Who runs the machines in front of us, and so whose headers tell the place and the client's address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Platform {
    Vercel,
    Cloudflare,
    CloudFront,
    Netlify,
}

/// The headers of a platform: names as sent, lower case. An empty name: there is none.
struct Headers {
    name: &'static str,
    platform: Platform,
    country: &'static str,
    region: &'static str,
    city: &'static str,
    address: &'static str,
}

const HEADERS: [Headers; 4] = [
    Headers {
        name: "vercel",
        platform: Platform::Vercel,
        country: "x-vercel-ip-country",
        region: "x-vercel-ip-country-region",
        city: "x-vercel-ip-city",
        address: "x-real-ip",
    },
    Headers {
        name: "cloudflare",
        platform: Platform::Cloudflare,
        country: "cf-ipcountry",
        region: "cf-region-code",
        city: "cf-ipcity",
        address: "cf-connecting-ip",
    },
    Headers {
        name: "cloudfront",
        platform: Platform::CloudFront,
        country: "cloudfront-viewer-country",
        region: "cloudfront-viewer-country-region",
        city: "cloudfront-viewer-city",
        address: "cloudfront-viewer-address",
    },
    Headers {
        name: "netlify",
        platform: Platform::Netlify,
        country: "x-country",
        region: "",
        city: "",
        address: "x-nf-client-connection-ip",
    },
];

/// The header that holds Netlify's place, as JSON or as JSON in base64.
const NETLIFY_GEO: &str = "x-nf-geo";

impl Platform {
    /// The name in settings.
    pub fn name(self) -> &'static str {
        self.headers().map_or("", |row| row.name)
    }

    fn headers(self) -> Option<&'static Headers> {
        HEADERS.iter().find(|row| row.platform == self)
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(name: &str) -> Result<Platform, String> {
        let row = HEADERS.iter().find(|row| row.name.eq_ignore_ascii_case(name.trim()));
        row.map(|row| row.platform).ok_or_else(|| {
            let names: Vec<&str> = HEADERS.iter().map(|row| row.name).collect();
            format!("{name:?} is not a platform we know: {}", names.join(", "))
        })
    }
}

/// What the headers of a request tell about its sender: the client's address, and the place if a platform
/// says it. Headers count only if the peer is trusted; from any other peer they change nothing.
/// `get` gives the first value of a header by its lower-case name; `xff` and `forwarded` are all values.
pub fn sender<'a, X, F>(
    peer: IpAddr,
    trusted: &[Cidr],
    platform: Option<Platform>,
    get: impl Fn(&str) -> Option<&'a [u8]>,
    xff: X,
    forwarded: F,
) -> (IpAddr, Option<Place>)
where
    X: IntoIterator<Item = &'a [u8]>,
    F: IntoIterator<Item = &'a [u8]>,
{
    let peer = peer.to_canonical();
    if !is_trusted(trusted, peer) {
        return (peer, None);
    }
    let by_platform = platform.and_then(|platform| platform_address(platform, &get));
    let address = by_platform.unwrap_or_else(|| client_address(peer, trusted, xff, forwarded));
    (address, platform.and_then(|platform| from_headers(platform, &get)))
}

/// The client's address by the platform's own header. To be asked only about requests from trusted peers.
pub fn platform_address<'a>(platform: Platform, get: impl Fn(&str) -> Option<&'a [u8]>) -> Option<IpAddr> {
    let value = get(platform.headers()?.address)?;
    match platform {
        Platform::CloudFront => address_with_port(value),
        _ => address_of(value),
    }
}

/// The place by the platform's headers; None if they name no country. To be asked only about requests from
/// trusted peers.
pub fn from_headers<'a>(platform: Platform, get: impl Fn(&str) -> Option<&'a [u8]>) -> Option<Place> {
    if platform == Platform::Netlify
        && let Some(place) = get(NETLIFY_GEO).and_then(netlify)
    {
        return Some(place);
    }
    let row = platform.headers()?;
    let text = |name: &str| get(name).map_or(String::new(), header_text);
    let place = place(country(&text(row.country)), &text(row.region), &text(row.city));
    (!place.country.is_empty()).then_some(place)
}

/// A header's bytes as text: UTF-8, else Latin-1 (each byte a character); then percent-decoded if every `%`
/// is followed by two hex digits and the result is UTF-8. Right for Vercel, which encodes all, CloudFront,
/// which encodes what is not ASCII, and Cloudflare, which sends UTF-8 as it is.
pub fn header_text(bytes: &[u8]) -> String {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => bytes.iter().map(|&b| char::from(b)).collect(),
    };
    let mut escapes = text.match_indices('%').map(|(at, _)| text.as_bytes().get(at + 1..at + 3));
    let whole = escapes.all(|digits| digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)));
    if whole { url::decode(&text, false).into_owned() } else { text.into_owned() }
}

/// `{"city":"…","country":{"code":"DE"},"subdivision":{"code":"BE"}}`, possibly in base64.
fn netlify(bytes: &[u8]) -> Option<Place> {
    let decoded;
    let json = if bytes.trim_ascii_start().starts_with(b"{") {
        bytes
    } else {
        decoded = base64(bytes)?;
        &decoded
    };
    // Latin-1 here too would be JSON that is not UTF-8; a header_text of it is.
    let json = header_text(json);
    if !crate::json::is_shallow(json.as_bytes()) {
        return None;
    }
    let geo: Json = serde_json::from_str(&json).ok()?;
    let code = |name| field(field(&geo, name)?, "code")?.text();
    let city = field(&geo, "city").and_then(Json::text).unwrap_or("");
    let place = place(country(code("country")?), code("subdivision").unwrap_or(""), city);
    (!place.country.is_empty()).then_some(place)
}

fn field<'a>(object: &'a Json<'a>, name: &str) -> Option<&'a Json<'a>> {
    match object {
        Json::Object(fields) => fields.iter().find(|(key, _)| key == name).map(|(_, value)| value),
        _ => None,
    }
}

/// Standard or URL-safe base64, with or without padding.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0u32, 0);
    for &byte in text.trim_ascii().iter().filter(|b| **b != b'=') {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(six)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn print(place: Option<Place>) -> String {
        place.map_or("-".into(), |place| format!("{} | {} | {}", place.country, place.region, place.city))
    }

    #[test]
    fn headers_of_platforms() {
        use Platform::*;
        type Row<'a> = (Platform, &'a [(&'a str, &'a [u8])], &'a str);
        let table: [Row; 17] = [
            (Vercel, &[("x-vercel-ip-country", b"US"), ("x-vercel-ip-country-region", b"CA"), ("x-vercel-ip-city", b"San%20Francisco")], "US | US-CA | San Francisco, US"),
            (Vercel, &[("x-vercel-ip-country", b"DE"), ("x-vercel-ip-city", b"K%C3%B6ln")], "DE |  | K\u{f6}ln, DE"),
            (Cloudflare, &[("cf-ipcountry", b"BR"), ("cf-region-code", b"SP"), ("cf-ipcity", "S\u{e3}o Paulo".as_bytes())], "BR | BR-SP | S\u{e3}o Paulo, BR"),
            (Cloudflare, &[("cf-ipcountry", b"BR"), ("cf-ipcity", b"S\xe3o Paulo")], "BR |  | S\u{e3}o Paulo, BR"),
            (Cloudflare, &[("cf-ipcountry", b"XX")], "-"),
            (Cloudflare, &[("cf-ipcountry", b"T1"), ("cf-ipcity", b"Nowhere")], "-"),
            (Cloudflare, &[("cf-ipcountry", b"A1")], "-"),
            (Cloudflare, &[("cf-ipcountry", b"zz")], "-"),
            (Cloudflare, &[("cf-ipcountry", b"")], "-"),
            (Cloudflare, &[("cf-ipcountry", b"fr"), ("cf-region-code", b"FR-IDF"), ("cf-ipcity", b"100% Paris")], "FR | FR-IDF | 100% Paris, FR"),
            (CloudFront, &[("cloudfront-viewer-country", b"PL"), ("cloudfront-viewer-country-region", b"MZ"), ("cloudfront-viewer-city", b"Nowy S%C4%85cz")], "PL | PL-MZ | Nowy S\u{105}cz, PL"),
            (CloudFront, &[("cloudfront-viewer-country", b"PL"), ("cloudfront-viewer-city", b"%FF")], "PL |  | %FF, PL"),
            (Netlify, &[("x-nf-geo", br#"{"city":"Berlin","country":{"code":"DE","name":"Germany"},"subdivision":{"code":"BE"}}"#)], "DE | DE-BE | Berlin, DE"),
            (Netlify, &[("x-nf-geo", b"eyJjaXR5IjoiS8O2bG4iLCJjb3VudHJ5Ijp7ImNvZGUiOiJERSJ9fQ==")], "DE |  | K\u{f6}ln, DE"),
            (Netlify, &[("x-nf-geo", b"{"), ("x-country", b"IT")], "IT |  | "),
            // Another platform's headers are no platform's.
            (Vercel, &[("cf-ipcountry", b"DE")], "-"),
            (Cloudflare, &[("cf-ipcountry", b"D\xff")], "-"),
        ];
        for (platform, headers, expected) in table {
            let get = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
            assert_eq!(print(from_headers(platform, get)), expected, "{platform:?} {headers:?}");
        }
    }

    #[test]
    fn platforms_have_names() {
        for row in &HEADERS {
            assert_eq!(row.name.to_uppercase().parse(), Ok(row.platform));
            assert_eq!(row.platform.name(), row.name);
        }
        let error = "x".parse::<Platform>().unwrap_err();
        assert_eq!(error, r#""x" is not a platform we know: vercel, cloudflare, cloudfront, netlify"#);
    }

    #[test]
    fn addresses_of_platforms() {
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let headers: [(&str, &[u8]); 4] = [
            ("x-real-ip", b"203.0.113.1"),
            ("cf-connecting-ip", b"2001:db8::2"),
            ("cloudfront-viewer-address", b"2001:db8::3:443"),
            ("x-nf-client-connection-ip", b"garbage"),
        ];
        let get = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let xff: [&[u8]; 1] = [b"198.51.100.9"];
        let address = |platform| sender(peer, &trusted, platform, get, xff, []).0.to_string();
        assert_eq!(address(None), "198.51.100.9");
        assert_eq!(address(Some(Platform::Vercel)), "203.0.113.1");
        assert_eq!(address(Some(Platform::Cloudflare)), "2001:db8::2");
        assert_eq!(address(Some(Platform::CloudFront)), "2001:db8::3");
        assert_eq!(address(Some(Platform::Netlify)), "198.51.100.9", "what is no address is as if missing");
    }

    #[test]
    fn countries_with_no_set_up() {
        let tables = Tables::new();
        let country = |address: &str| tables.look_up(address.parse().unwrap()).country;
        assert_eq!(country("8.8.8.8"), "US");
        assert_eq!(country("::ffff:8.8.8.8"), "US");
        assert_eq!(country("2a02:2e0::1"), "DE");
        assert_eq!(country("192.168.1.1"), "");
        assert_eq!(country("::1"), "");
    }

    /// A database of one record for all addresses, written by hand after MaxMind's description of the
    /// format: a search tree of one node, a data section, metadata.
    fn database(record: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        // One node of two 24-bit records; both point to the data: node count (1) + 16 + offset 0.
        bytes.extend([0, 0, 17, 0, 0, 17]);
        bytes.extend([0; 16]);
        bytes.extend(record);
        bytes.extend(b"\xab\xcd\xefMaxMind.com");
        let text = |text: &str| [&[0x40 | text.len() as u8], text.as_bytes()].concat();
        let u16 = |key: &str, n: u8| [text(key), vec![0xa1, n]].concat();
        bytes.push(0xe0 | 9);
        for field in [
            [text("node_count"), vec![0xc1, 1]].concat(),
            u16("record_size", 24),
            u16("ip_version", 6),
            u16("binary_format_major_version", 2),
        ] {
            bytes.extend(field);
        }
        // A u16 of no bytes is 0; build_epoch is a u64 (extended type 9, so 2); languages an empty array.
        bytes.extend([text("binary_format_minor_version"), vec![0xa0]].concat());
        bytes.extend([text("build_epoch"), vec![0x01, 0x02, 0x05]].concat());
        bytes.extend([text("database_type"), text("Test")].concat());
        bytes.extend([text("languages"), vec![0x00, 0x04]].concat());
        bytes.extend([text("description"), vec![0xe0]].concat());
        bytes
    }

    fn text(text: &str) -> Vec<u8> {
        [&[0x40 | text.len() as u8], text.as_bytes()].concat()
    }

    fn map(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![0xe0 | fields.len() as u8];
        for (key, value) in fields {
            bytes.extend(text(key));
            bytes.extend(value);
        }
        bytes
    }

    fn list(item: Vec<u8>) -> Vec<u8> {
        [vec![0x01, 0x04], item].concat()
    }

    #[test]
    fn places_of_a_users_database() {
        let look_up = |record: Vec<u8>| {
            let tables = Tables::with_database(database(&record)).unwrap();
            print(Some(tables.look_up("8.8.8.8".parse().unwrap())))
        };
        let full = map(&[
            ("city", map(&[("names", map(&[("de", text("M\u{fc}nchen")), ("en", text("Munich"))]))])),
            ("country", map(&[("iso_code", text("DE"))])),
            ("subdivisions", list(map(&[("iso_code", text("BY"))]))),
        ]);
        assert_eq!(look_up(full), "DE | DE-BY | Munich, DE");
        assert_eq!(look_up(map(&[("country", map(&[("iso_code", text("DE"))]))])), "DE |  | ");
        assert_eq!(look_up(map(&[("country_code", text("FR")), ("country", text("France"))])), "FR |  | ");
        assert_eq!(look_up(map(&[("country", text("FR")), ("city", text("Lyon"))])), "FR |  | Lyon, FR");
        assert_eq!(
            look_up(map(&[("asn", text("AS1"))])),
            "US |  | ",
            "the registry's country where it knows none"
        );
        let error = Tables::with_database(b"nonsense".to_vec()).unwrap_err();
        assert!(error.starts_with("not a database in MaxMind's format"), "{error}");
    }

    type AnyHeaders = Vec<(String, Vec<u8>)>;

    /// Any set of headers that a spoofer may send.
    fn headers() -> impl Strategy<Value = AnyHeaders> {
        let mut names: Vec<&str> =
            HEADERS.iter().flat_map(|row| [row.country, row.region, row.city, row.address]).collect();
        names.extend([NETLIFY_GEO, "x-forwarded-for", "forwarded", "true-client-ip", "x-plausible-ip"]);
        let value = prop_oneof![
            "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]\\.[0-9]".prop_map(String::into_bytes),
            "for=\"?\\[?[0-9a-f:]{2,9}\\]?".prop_map(String::into_bytes),
            prop::sample::select(vec![
                "DE",
                "US",
                "Paris",
                "198.51.100.7",
                "198.51.100.7, 203.0.113.77",
                "{\"country\":{\"code\":\"DE\"}}"
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            any::<Vec<u8>>(),
        ];
        prop::collection::vec((prop::sample::select(names).prop_map(str::to_owned), value), 0..8)
    }

    fn ask(peer: IpAddr, platform: Option<Platform>, headers: &AnyHeaders) -> (IpAddr, Option<Place>) {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        let all = |name: &'static str| {
            headers.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_slice())
        };
        let get = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice());
        sender(peer, &trusted, platform, get, all("x-forwarded-for"), all("forwarded"))
    }

    fn platforms() -> impl Strategy<Value = Option<Platform>> {
        prop::option::of(prop::sample::select(HEADERS.iter().map(|row| row.platform).collect::<Vec<_>>()))
    }

    proptest! {
        #[test]
        fn headers_of_an_untrusted_peer_change_nothing(headers in headers(), platform in platforms(), peer in any::<[u8; 4]>()) {
            let peer = IpAddr::from(peer);
            prop_assume!(!matches!(peer, IpAddr::V4(v4) if v4.octets()[0] == 10));
            prop_assert_eq!(ask(peer, platform, &headers), ask(peer, platform, &Vec::new()));
            prop_assert_eq!(ask(peer, platform, &headers), (peer, None));
        }

        #[test]
        fn headers_of_a_trusted_peer_are_survived(headers in headers(), platform in platforms()) {
            ask("10.0.0.1".parse().unwrap(), platform, &headers);
        }

        #[test]
        fn any_database_is_survived(record in prop::collection::vec(any::<u8>(), 0..40), address in any::<[u8; 16]>()) {
            if let Ok(tables) = Tables::with_database(database(&record)) {
                tables.look_up(IpAddr::from(address));
            }
            let _ = Tables::with_database(record).map(|tables| tables.look_up(IpAddr::from(address)));
        }
    }
}
