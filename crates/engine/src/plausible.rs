//! Plausible's event: one JSON object a request, with short or long names (`POST /api/event`).
//!
//! After its server's behaviour rather than its documentation, where they differ. Ours is stricter in one
//! thing: the body may be 64 KiB, not a megabyte, and nested 8 deep.

use crate::event::{Kind, Text};
use crate::json::{self, Json, Key};
use crate::receive::{Form, Hit, Hits, MAX_BODY, props, revenue};
use crate::url;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;

const MAX_URL: usize = 2_000;
const MAX_REFERRER_CHARS: usize = 2_000;
const MAX_NAME_CHARS: usize = 120;
/// Most sites in the list of domains; each costs a lookup.
const MAX_DOMAINS: usize = 100;
/// Greatest engaged time, ms: 30 days.
const MAX_ENGAGED_MS: i64 = 30 * 86_400_000;

/// Events for which `interactive` is not looked at: they always are.
const SYSTEM_EVENTS: [&str; 6] = [
    "Outbound Link: Click",
    "Cloaked Link: Click",
    "File Download",
    "404",
    "WP Form Completions",
    "Form: Submission",
];

/// Why a Plausible event was refused. Printed as the body of the 400: `{"errors":{"url":["is required"]}}`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlausibleRefusal {
    /// Not a JSON object, too long or too deep.
    Request,
    /// No url.
    NoUrl,
    /// Not a text, longer than 2,000 bytes, or a `data:` url.
    BadUrl,
    /// An empty domain, or none and a url without a host.
    NoDomain,
    /// More than 100 domains.
    TooManyDomains,
    /// No name, or a blank one.
    NoName,
    /// A name of more than 120 characters, or that is neither text nor whole number.
    BadName,
    /// A property key of more than 300 bytes or a value of more than 2,000.
    LongProps,
    /// An engagement event with neither a scroll depth nor an engaged time.
    NothingMeasured,
}

impl PlausibleRefusal {
    /// The field and what is wrong with it.
    pub fn field_and_message(self) -> (&'static str, &'static str) {
        match self {
            PlausibleRefusal::Request => ("request", "Unable to parse request body as json"),
            PlausibleRefusal::NoUrl => ("url", "is required"),
            PlausibleRefusal::BadUrl => ("url", "must be a valid url"),
            PlausibleRefusal::NoDomain => ("domain", "can't be blank"),
            PlausibleRefusal::TooManyDomains => ("domain", "should have at most 100 item(s)"),
            PlausibleRefusal::NoName => ("event_name", "can't be blank"),
            PlausibleRefusal::BadName => ("event_name", "should be at most 120 character(s)"),
            PlausibleRefusal::LongProps => (
                "props",
                "keys may have at most 300 bytes and values at most 2000 bytes",
            ),
            PlausibleRefusal::NothingMeasured => (
                "event_name",
                "engagement needs a whole number in 'sd' or 'e'",
            ),
        }
    }
}

impl fmt::Display for PlausibleRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (field, message) = self.field_and_message();
        write!(f, "{{\"errors\":{{\"{field}\":[\"{message}\"]}}}}")
    }
}

/// Reads Plausible's event. It happened now: the format knows no other time.
pub fn plausible(body: &[u8]) -> Result<Hits, PlausibleRefusal> {
    if body.len() > MAX_BODY || !json::is_shallow(body) {
        return Err(PlausibleRefusal::Request);
    }
    let repaired;
    let raw: RawEvent = match serde_json::from_slice(body) {
        Ok(raw) => raw,
        Err(_) => {
            repaired = json::repaired(body).ok_or(PlausibleRefusal::Request)?;
            serde_json::from_slice(&repaired).map_err(|_| PlausibleRefusal::Request)?
        }
    };
    let url = url(&raw.url)?;
    let sites = sites(&raw.domain, url)?;
    let name = name(&raw.name)?;
    let kind = match name.as_str() {
        "pageview" => Kind::PageView,
        "engagement" => Kind::Engagement,
        _ => Kind::Custom,
    };
    let (mut scroll, mut engaged_ms) = (None, 0);
    if kind == Kind::Engagement {
        scroll = whole(&raw.scroll)
            .filter(|percent| *percent >= 0)
            .map(|percent| percent.min(100) as u8);
        engaged_ms = whole(&raw.engaged)
            .filter(|ms| (0..MAX_ENGAGED_MS).contains(ms))
            .unwrap_or(0) as u32;
        if scroll.is_none() && engaged_ms == 0 {
            return Err(PlausibleRefusal::NothingMeasured);
        }
    }
    let system = kind != Kind::Custom || SYSTEM_EVENTS.contains(&name.as_str());
    let hit = Hit {
        index: 0,
        kind,
        url: Text::from(url),
        referrer: raw.referrer.text().map(first_chars).unwrap_or_default(),
        age_ms: 0,
        hash_mode: matches!(raw.hash, Json::Int(1) | Json::Bool(true)),
        name: if kind == Kind::Custom {
            name
        } else {
            Text::default()
        },
        props: props(raw.props).ok_or(PlausibleRefusal::LongProps)?,
        interactive: system || !raw.not_interactive,
        engaged_ms,
        scroll,
        revenue: revenue(&raw.revenue).filter(|_| kind == Kind::Custom),
        numbers: Vec::new(),
    };
    Ok(Hits {
        form: Form::Plausible,
        sites,
        hits: vec![hit],
        ..Hits::default()
    })
}

fn url<'a>(field: &'a Json) -> Result<&'a str, PlausibleRefusal> {
    if field.is_none() {
        return Err(PlausibleRefusal::NoUrl);
    }
    let url = field
        .text()
        .filter(|url| url.len() <= MAX_URL)
        .ok_or(PlausibleRefusal::BadUrl)?;
    let parts = url::parts(url);
    let host_or_none = parts.host.is_empty() || url::is_host(parts.host);
    if parts.scheme.eq_ignore_ascii_case("data") || !host_or_none {
        return Err(PlausibleRefusal::BadUrl);
    }
    Ok(url)
}

/// The domains of the list, each once; without a list the url's host.
fn sites(field: &Json, url: &str) -> Result<Vec<Text>, PlausibleRefusal> {
    let mut sites: Vec<Text> = Vec::new();
    if field.is_none() {
        sites.push(url::hostname(url::parts(url).host));
    } else {
        let list = field
            .text()
            .map(str::trim)
            .filter(|list| !list.is_empty())
            .ok_or(PlausibleRefusal::NoDomain)?;
        for domain in list.split(',').map(url::hostname) {
            if !domain.is_empty() && !sites.contains(&domain) {
                sites.push(domain);
            }
            if sites.len() > MAX_DOMAINS {
                return Err(PlausibleRefusal::TooManyDomains);
            }
        }
    }
    sites.retain(|site| !site.is_empty());
    if sites.is_empty() {
        Err(PlausibleRefusal::NoDomain)
    } else {
        Ok(sites)
    }
}

fn name(field: &Json) -> Result<Text, PlausibleRefusal> {
    let name = match field {
        Json::Int(_) | Json::Text(_) => field.printed().unwrap_or_default(),
        none if none.is_none() => return Err(PlausibleRefusal::NoName),
        _ => return Err(PlausibleRefusal::BadName),
    };
    if name.trim().is_empty() {
        return Err(PlausibleRefusal::NoName);
    }
    if name.chars().count() > MAX_NAME_CHARS {
        return Err(PlausibleRefusal::BadName);
    }
    Ok(url::plain(&name, usize::MAX))
}

/// A whole number, or a text of one.
fn whole(field: &Json) -> Option<i64> {
    match field {
        Json::Int(number) => Some(*number),
        Json::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn first_chars(text: &str) -> Text {
    match text.char_indices().nth(MAX_REFERRER_CHARS) {
        Some((end, _)) => Text::from(&text[..end]),
        None => Text::from(text),
    }
}

/// The fields that we read, short and long names already merged.
#[derive(Default)]
struct RawEvent<'a> {
    name: Json<'a>,
    url: Json<'a>,
    domain: Json<'a>,
    referrer: Json<'a>,
    props: Json<'a>,
    revenue: Json<'a>,
    hash: Json<'a>,
    scroll: Json<'a>,
    engaged: Json<'a>,
    not_interactive: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for RawEvent<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = RawEvent<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an event")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawEvent<'de>, A::Error> {
                let mut raw = RawEvent::default();
                // Long names, and the less preferred of the properties: used where the others are missing.
                let mut long = RawEvent::default();
                let (mut meta, mut p, mut long_props) =
                    (Json::Missing, Json::Missing, Json::Missing);
                while let Some(Key(key)) = map.next_key()? {
                    let field = match &*key {
                        "n" => &mut raw.name,
                        "name" => &mut long.name,
                        "u" => &mut raw.url,
                        "url" => &mut long.url,
                        "d" => &mut raw.domain,
                        "domain" => &mut long.domain,
                        "r" => &mut raw.referrer,
                        "referrer" => &mut long.referrer,
                        "m" => &mut raw.props,
                        "meta" => &mut meta,
                        "p" => &mut p,
                        "props" => &mut long_props,
                        "$" => &mut raw.revenue,
                        "revenue" => &mut long.revenue,
                        "h" => &mut raw.hash,
                        "hashMode" => &mut long.hash,
                        "sd" => &mut raw.scroll,
                        "e" => &mut raw.engaged,
                        "i" | "interactive" => {
                            raw.not_interactive |= map.next_value::<Json>()? == Json::Bool(false);
                            continue;
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    *field = map.next_value()?;
                }
                Ok(RawEvent {
                    name: raw.name.or(long.name),
                    url: raw.url.or(long.url),
                    domain: raw.domain.or(long.domain),
                    referrer: raw.referrer.or(long.referrer),
                    props: raw.props.or(meta).or(p).or(long_props),
                    revenue: raw.revenue.or(long.revenue),
                    hash: raw.hash.or(long.hash),
                    ..raw
                })
            }
        }
        deserializer.deserialize_map(Object)
    }
}
