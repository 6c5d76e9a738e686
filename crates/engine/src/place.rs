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
        Ok(Tables {
            database: Some(database),
        })
    }

    /// The place of an address; empty texts for what is not known.
    pub fn look_up(&self, address: IpAddr) -> Place {
        let address = address.to_canonical();
        let mut place = self
            .database
            .as_ref()
            .map_or_else(Place::default, |database| in_database(database, address));
        if place.country.is_empty() {
            place = Place {
                country: country(iptocc::country_code(address).unwrap_or("")),
                ..Place::default()
            };
        }
        place
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "place::Tables {{ database: {} }}",
            self.database.is_some()
        )
    }
}

fn in_database(database: &Reader<Vec<u8>>, address: IpAddr) -> Place {
    let Ok(record) = database.lookup(address) else {
        return Place::default();
    };
    if !record.has_data() {
        return Place::default();
    }
    let text = |path: &[PathElement]| {
        record
            .decode_path::<&str>(path)
            .ok()
            .flatten()
            .unwrap_or("")
    };
    let key = PathElement::Key;
    // IPinfo's databases are flat; there `country` may be a code or a name.
    let code = [
        &[key("country"), key("iso_code")][..],
        &[key("country_code")],
        &[key("country")],
    ]
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
    if known {
        code.to_ascii_uppercase().into()
    } else {
        Text::default()
    }
}

/// Country, region and city made into values that stand alone.
fn place(country: Text, region: &str, city: &str) -> Place {
    if country.is_empty() {
        return Place::default();
    }
    let region = region.trim();
    let is_region = (1..=8).contains(&region.len())
        && region
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let region = match region.to_ascii_uppercase() {
        _ if !is_region => Text::default(),
        whole if whole.contains('-') => whole.into(),
        part => Text::from(format!("{country}-{part}")),
    };
    let city = url::plain(city.trim(), 100);
    let city = if city.is_empty() {
        city
    } else {
        Text::from(format!("{city}, {country}"))
    };
    Place {
        country,
        region,
        city,
    }
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
        let row = HEADERS
            .iter()
            .find(|row| row.name.eq_ignore_ascii_case(name.trim()));
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
    (
        address,
        platform.and_then(|platform| from_headers(platform, &get)),
    )
}

/// The client's address by the platform's own header. To be asked only about requests from trusted peers.
pub fn platform_address<'a>(
    platform: Platform,
    get: impl Fn(&str) -> Option<&'a [u8]>,
) -> Option<IpAddr> {
    let value = get(platform.headers()?.address)?;
    match platform {
        Platform::CloudFront => address_with_port(value),
        _ => address_of(value),
    }
}

/// The place by the platform's headers; None if they name no country. To be asked only about requests from
/// trusted peers.
pub fn from_headers<'a>(
    platform: Platform,
    get: impl Fn(&str) -> Option<&'a [u8]>,
) -> Option<Place> {
    if platform == Platform::Netlify
        && let Some(place) = get(NETLIFY_GEO).and_then(netlify)
    {
        return Some(place);
    }
    let row = platform.headers()?;
    let text = |name: &str| get(name).map_or(String::new(), header_text);
    let place = place(
        country(&text(row.country)),
        &text(row.region),
        &text(row.city),
    );
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
    let mut escapes = text
        .match_indices('%')
        .map(|(at, _)| text.as_bytes().get(at + 1..at + 3));
    let whole =
        escapes.all(|digits| digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)));
    if whole {
        url::decode(&text, false).into_owned()
    } else {
        text.into_owned()
    }
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
    let place = place(
        country(code("country")?),
        code("subdivision").unwrap_or(""),
        city,
    );
    (!place.country.is_empty()).then_some(place)
}

fn field<'a>(object: &'a Json<'a>, name: &str) -> Option<&'a Json<'a>> {
    match object {
        Json::Object(fields) => fields
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value),
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
