//! Bytes to hits: our batch format, a bare JSON array, and (in [`plausible`]) Plausible's event.
//!
//! | field | meaning | limit, and what happens beyond it |
//! | --- | --- | --- |
//! | (body) | JSON | 64 KiB, nested 8 deep; else the request is `malformed` |
//! | `v` | version of the format | 1 or missing; else the request is `malformed` |
//! | `site` | domain | 253 bytes; else the request is `unknown_site` |
//! | `batch` | random id, the same in each retry | 16 to 64 visible ASCII characters; else as if missing |
//! | `sent` | ms since the batch was first sent | below 0 is 0; not a number is 0 |
//! | `events` | list | from the 101st on `too_many_events`; over 1,000 the whole request is |
//! | `type` | `pageview` (default), `event`, `engagement`, `click`, `vitals` | another word is `bad_field`; in a bare array a custom event of that name |
//! | `url`, or `pathname` | page | cut to 4,096 bytes; missing, or a scheme without a host: `bad_url` |
//! | `ref`, or `referrer` | referring page | cut to 2,000 bytes |
//! | `age` | ms since it happened | below 0 is 0; over 24 h `too_old` |
//! | `timestamp` | when it happened, if there is no `age`: Unix s or ms, or RFC 3339 | in the future is now; over 24 h ago `too_old` |
//! | `name` | of a custom event (also a number); selector of a click | 120 characters, else `bad_field`, empty `no_name`; a selector is cut to 200 bytes |
//! | `props` | object, or JSON text of one | first 30 pairs; values that are null, blank, lists or objects are left out; key over 300 or value over 2,000 bytes: `bad_field` |
//! | `interactive` | whether a custom event ends a bounce | only `false` means no |
//! | `engaged` | ms in view and focused | 0 to 24 h, moved to the nearer end |
//! | `scroll` | deepest scroll, per cent | over 100 is 100; below 0 as if missing |
//! | `revenue` | `{"amount": 12.5, "currency": "EUR"}` | left out if not an amount below 10^12 and three letters |
//! | `hash` | whether the fragment is part of the page | only `true` or 1 means yes |
//! | `width`, `x`, `y`, `lcp`, `inp`, `cls`, `fcp`, `ttfb` | numbers, see [`MEASURES`] | out of range: left out |
//!
//! Null is as if missing. Unknown keys are skipped. A field of the wrong type makes its event `bad_field`,
//! and harms no other. An event that cannot be read at all (a number beyond any float) is `malformed`.
//! Engagement with neither time nor scroll, and vitals without numbers, are `nothing_measured`.
//!
//! In a bare array, which scripts written by hand send, `click`, `engagement` and `vitals` without any of
//! their own numbers, and `event` without a name, are custom events of that name.

pub use crate::plausible::{PlausibleRefusal, plausible};

use crate::event::{Kind, Measure, Reason, Revenue, Text};
use crate::json::{self, Json, Key};
use crate::url;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use siphasher::sip::SipHasher24;
use std::borrow::Cow;
use std::fmt;
use std::hash::Hasher;

/// Greatest body, bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// Most events of one batch.
pub const MAX_EVENTS: usize = 100;
/// Most events that are refused one by one; a batch of more is refused as a whole.
pub const MAX_LISTED: usize = 1_000;
/// Greatest age of an event, ms.
pub const MAX_AGE_MS: i64 = 24 * 3_600_000;

const MAX_URL: usize = 4_096;
const MAX_REFERRER: usize = 2_000;
const MAX_NAME_CHARS: usize = 120;
const MAX_SELECTOR: usize = 200;
const MAX_PROPS: usize = 30;
const MAX_PROP_KEY: usize = 300;
const MAX_PROP_VALUE: usize = 2_000;

/// What one request sent, before anything is known about who sent it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Hits {
    pub form: Form,
    /// The sites it is for: one domain, or several for Plausible's comma-separated list. Without `www.`.
    pub sites: Vec<Text>,
    /// The browser's random id of the batch, if it sent one.
    pub batch: Option<Text>,
    /// A hash of the whole body, which tells a retry of a batch without an id.
    pub contents: u64,
    /// How long ago the batch was first sent, ms.
    pub sent_ms: u32,
    pub hits: Vec<Hit>,
    /// Hits refused while reading, by their index in the request.
    pub dropped: Vec<(u32, Reason)>,
}

/// Which of the formats a request was in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Form {
    /// Our batch.
    #[default]
    Batch,
    /// A bare array of events.
    Bare,
    /// Plausible's event. It has no id and no time of its own, so that a retry cannot be told.
    Plausible,
}

/// One thing that a page sent.
#[derive(Clone, PartialEq, Debug)]
pub struct Hit {
    /// Its index in the request.
    pub index: u32,
    pub kind: Kind,
    /// As sent, except that it is cut to what we read of it.
    pub url: Text,
    pub referrer: Text,
    /// Milliseconds since it happened, by the sender's own clock differences: 0 to 24 hours.
    pub age_ms: i64,
    /// Whether the fragment belongs to the path.
    pub hash_mode: bool,
    pub name: Text,
    pub props: Vec<(Text, Text)>,
    pub interactive: bool,
    pub engaged_ms: u32,
    pub scroll: Option<u8>,
    pub revenue: Option<Revenue>,
    /// Sorted by measure, each at most once.
    pub numbers: Vec<(Measure, i64)>,
}

/// The fields that are numbers: name, measure, factor (what is stored is the rounded product), and the
/// range of what is stored.
pub const MEASURES: [(&str, Measure, f64, i64, i64); 8] = [
    ("width", Measure::Width, 1.0, 1, 100_000),
    ("x", Measure::ClickX, 1.0, 0, 10_000),
    ("y", Measure::ClickY, 1.0, 0, 10_000_000),
    ("lcp", Measure::Lcp, 1.0, 0, 60_000),
    ("inp", Measure::Inp, 1.0, 0, 60_000),
    ("cls", Measure::Cls, 1_000.0, 0, 100_000),
    ("fcp", Measure::Fcp, 1.0, 0, 60_000),
    ("ttfb", Measure::Ttfb, 1.0, 0, 60_000),
];

/// Reads our batch object or a bare array of events. The site is the batch's, else `fallback_site`, else
/// the host of the first absolute url. `now_ms` (Unix milliseconds) serves `timestamp` alone.
///
/// The error is for the whole request: nothing of it can be counted.
pub fn batch(body: &[u8], fallback_site: Option<&str>, now_ms: i64) -> Result<Hits, Reason> {
    if body.len() > MAX_BODY || !json::is_shallow(body) {
        return Err(Reason::Malformed);
    }
    match parse(body) {
        Ok(raw) => hits(raw, body, fallback_site, now_ms),
        Err(_) => {
            let repaired = json::repaired(body);
            let repaired = repaired.as_deref().unwrap_or(body);
            let raw = parse(repaired)
                .or_else(|_| parse_one_by_one(repaired))
                .map_err(|_| Reason::Malformed)?;
            hits(raw, body, fallback_site, now_ms)
        }
    }
}

fn hits(
    raw: RawBatch,
    body: &[u8],
    fallback_site: Option<&str>,
    now_ms: i64,
) -> Result<Hits, Reason> {
    let RawEvents::Read { events, count } = raw.events else {
        return Err(Reason::Malformed);
    };
    if !(raw.v.is_none() || raw.v == Json::Int(1)) {
        return Err(Reason::Malformed);
    }
    if count > MAX_LISTED {
        return Err(Reason::TooManyEvents);
    }
    let site = match raw.site.text().map(str::trim).or(fallback_site) {
        Some(site) if !site.is_empty() => url::hostname(site),
        _ => first_host(&events).ok_or(Reason::UnknownSite)?,
    };
    if site.is_empty() || site.len() > 252 {
        return Err(Reason::UnknownSite);
    }
    let id = raw
        .batch
        .text()
        .filter(|id| (16..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()));
    let mut hits = Hits {
        form: raw.form,
        sites: vec![site],
        batch: id.map(Text::from),
        contents: if id.is_none() { contents(body) } else { 0 },
        sent_ms: raw
            .sent
            .rounded()
            .unwrap_or(0)
            .clamp(0, i64::from(u32::MAX)) as u32,
        hits: Vec::with_capacity(events.len()),
        dropped: Vec::new(),
    };
    for (index, event) in (0..).zip(events) {
        let hit = match event {
            RawElement::Event(event) => hit(*event, index, hits.form, now_ms),
            RawElement::Other => Err(Reason::Malformed),
        };
        match hit {
            Ok(hit) => hits.hits.push(hit),
            Err(reason) => hits.dropped.push((index, reason)),
        }
    }
    hits.dropped
        .extend((MAX_EVENTS as u32..count as u32).map(|index| (index, Reason::TooManyEvents)));
    Ok(hits)
}

fn first_host(events: &[RawElement]) -> Option<Text> {
    events.iter().find_map(|event| {
        let RawElement::Event(event) = event else {
            return None;
        };
        let host = url::parts(event.url.text()?).host;
        (!host.is_empty()).then(|| url::hostname(host))
    })
}

/// Keyless, since it meets a key in [`crate::visitor::batch_id`], together with who sent it: two bodies
/// made to collide harm only their maker.
fn contents(body: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(body);
    hasher.finish()
}

fn hit(mut raw: RawEvent, index: u32, form: Form, now_ms: i64) -> Result<Hit, Reason> {
    let numbers = numbers(&raw.numbers)?;
    let has = |measures: &[Measure]| {
        numbers
            .iter()
            .any(|(measure, _)| measures.contains(measure))
    };
    let bare = form == Form::Bare;
    let kind_name = optional_text(&raw.kind)?.unwrap_or("pageview");
    let kind = match kind_name {
        "pageview" | "" => Some(Kind::PageView),
        "event" if !bare || !raw.name.is_none() => Some(Kind::Custom),
        "engagement" if !bare || !raw.engaged.is_none() || !raw.scroll.is_none() => {
            Some(Kind::Engagement)
        }
        "click" if !bare || has(&[Measure::ClickX, Measure::ClickY]) => Some(Kind::Click),
        "vitals" if !bare || has(&VITALS) => Some(Kind::Vitals),
        _ if bare => None,
        _ => return Err(Reason::BadField),
    };
    let name = match kind {
        Some(Kind::PageView | Kind::Engagement | Kind::Vitals) => Text::default(),
        Some(Kind::Click) => url::plain(optional_text(&raw.name)?.unwrap_or(""), MAX_SELECTOR),
        Some(Kind::Custom) => event_name(&raw.name)?,
        None => event_name(&raw.kind)?,
    };
    let kind = kind.unwrap_or(Kind::Custom);

    let engaged_ms = match &raw.engaged {
        none if none.is_none() => 0,
        engaged => engaged
            .rounded()
            .ok_or(Reason::BadField)?
            .clamp(0, MAX_AGE_MS) as u32,
    };
    let scroll = match &raw.scroll {
        none if none.is_none() => None,
        scroll => u8::try_from(scroll.rounded().ok_or(Reason::BadField)?.min(100)).ok(),
    };
    if (kind == Kind::Engagement && engaged_ms == 0 && scroll.is_none())
        || (kind == Kind::Vitals && !has(&VITALS))
    {
        return Err(Reason::Nothing);
    }
    Ok(Hit {
        index,
        kind,
        url: page_url(&raw)?,
        referrer: Text::from(url::cut(
            optional_text(&raw.referrer)?.unwrap_or(""),
            MAX_REFERRER,
        )),
        age_ms: age_ms(&raw, now_ms)?,
        hash_mode: matches!(raw.hash, Json::Bool(true) | Json::Int(1)),
        name,
        props: props(std::mem::take(&mut raw.props)).ok_or(Reason::BadField)?,
        interactive: raw.interactive != Json::Bool(false),
        engaged_ms: if kind == Kind::Engagement {
            engaged_ms
        } else {
            0
        },
        scroll: scroll.filter(|_| kind == Kind::Engagement),
        revenue: revenue(&raw.revenue).filter(|_| kind == Kind::Custom),
        numbers,
    })
}

const VITALS: [Measure; 5] = [
    Measure::Lcp,
    Measure::Inp,
    Measure::Cls,
    Measure::Fcp,
    Measure::Ttfb,
];

fn optional_text<'a>(field: &'a Json) -> Result<Option<&'a str>, Reason> {
    match field {
        Json::Text(text) => Ok(Some(text)),
        none if none.is_none() => Ok(None),
        _ => Err(Reason::BadField),
    }
}

fn page_url(raw: &RawEvent) -> Result<Text, Reason> {
    let field = if raw.url.is_none() {
        &raw.pathname
    } else {
        &raw.url
    };
    let url = url::cut(optional_text(field)?.unwrap_or("").trim(), MAX_URL);
    let parts = url::parts(url);
    if url.is_empty()
        || (parts.scheme.is_empty() != parts.host.is_empty() && !url.starts_with("//"))
    {
        return Err(Reason::BadUrl);
    }
    if !parts.host.is_empty() && !url::is_host(parts.host) {
        return Err(Reason::BadUrl);
    }
    Ok(Text::from(url))
}

/// The name of a custom event: a text, or a whole number (`404`) as its digits.
fn event_name(field: &Json) -> Result<Text, Reason> {
    let name = match field {
        Json::Int(number) => Cow::Owned(number.to_string()),
        field => Cow::Borrowed(optional_text(field)?.unwrap_or("").trim()),
    };
    if name.is_empty() {
        return Err(Reason::NoName);
    }
    if name.chars().count() > MAX_NAME_CHARS {
        return Err(Reason::BadField);
    }
    Ok(url::plain(&name, usize::MAX))
}

fn age_ms(raw: &RawEvent, now_ms: i64) -> Result<i64, Reason> {
    let age_ms = match (&raw.age, &raw.timestamp) {
        (age, _) if !age.is_none() => age.rounded().ok_or(Reason::BadField)?,
        (_, timestamp) if !timestamp.is_none() => {
            now_ms.saturating_sub(timestamp_ms(timestamp).ok_or(Reason::BadField)?)
        }
        _ => 0,
    };
    if age_ms > MAX_AGE_MS {
        Err(Reason::TooOld)
    } else {
        Ok(age_ms.max(0))
    }
}

/// A moment as Unix milliseconds. Numbers below 10^11 are seconds: as milliseconds they would lie in 1973
/// or before, as seconds up to the year 5138.
fn timestamp_ms(field: &Json) -> Option<i64> {
    match field {
        Json::Text(text) => text
            .parse::<jiff::Timestamp>()
            .ok()
            .map(|at| at.as_millisecond()),
        number => {
            let number = number.number()?;
            Some(
                if number.abs() < 1e11 {
                    number * 1_000.0
                } else {
                    number
                }
                .round() as i64,
            )
        }
    }
}

fn numbers(raw: &[Json; 8]) -> Result<Vec<(Measure, i64)>, Reason> {
    let mut numbers = Vec::new();
    for (field, (_, measure, factor, least, greatest)) in raw.iter().zip(MEASURES) {
        if field.is_none() {
            continue;
        }
        let number = (field.number().ok_or(Reason::BadField)? * factor).round() as i64;
        if (least..=greatest).contains(&number) {
            numbers.push((measure, number));
        }
    }
    Ok(numbers)
}

/// The properties that are kept, in the order sent, a key at most once (the last value counts). None if a
/// key or value is too long.
pub(crate) fn props(field: Json) -> Option<Vec<(Text, Text)>> {
    let pairs = match field {
        Json::Object(pairs) => pairs,
        Json::Text(text) => return props_text(&text),
        _ => return Some(Vec::new()),
    };
    let mut props: Vec<(Text, Text)> = Vec::new();
    for (key, value) in &pairs {
        let Some(value) = value
            .printed()
            .filter(|value| !value.trim_start().is_empty())
        else {
            continue;
        };
        let known = props.iter().position(|(k, _)| k == key);
        if known.is_none() && props.len() == MAX_PROPS {
            continue;
        }
        if key.len() > MAX_PROP_KEY || value.len() > MAX_PROP_VALUE {
            return None;
        }
        let value = url::plain(&value, usize::MAX);
        match known.and_then(|at| props.get_mut(at)) {
            Some(pair) => pair.1 = value,
            None => props.push((url::plain(key, usize::MAX), value)),
        }
    }
    Some(props)
}

/// Properties as JSON text. What is not an object in JSON is no properties.
fn props_text(text: &str) -> Option<Vec<(Text, Text)>> {
    let parsed = if json::is_shallow(text.as_bytes()) {
        serde_json::from_str::<Json>(text)
    } else {
        return Some(Vec::new());
    };
    match parsed {
        Ok(object @ Json::Object(_)) => props(object),
        _ => Some(Vec::new()),
    }
}

/// Money: `{amount, currency}` or JSON text of it; the amount a number, or a text of one.
pub(crate) fn revenue(field: &Json) -> Option<Revenue> {
    match field {
        Json::Text(text) => match serde_json::from_str::<Json>(text)
            .ok()
            .filter(|_| json::is_shallow(text.as_bytes()))?
        {
            object @ Json::Object(_) => revenue(&object),
            _ => None,
        },
        Json::Object(fields) => {
            let get = |key: &str| {
                fields
                    .iter()
                    .find(|(k, _)| k == key)
                    .map(|(_, value)| value)
            };
            let amount = match get("amount")? {
                Json::Text(text) => text.trim().parse().ok()?,
                number => number.number()?,
            };
            let milli = (amount * 1_000.0).round();
            let currency: [u8; 3] = get("currency")?
                .text()?
                .trim()
                .to_ascii_uppercase()
                .into_bytes()
                .try_into()
                .ok()?;
            (milli.abs() < 1e15 && currency.iter().all(u8::is_ascii_uppercase)).then_some(Revenue {
                milli: milli as i64,
                currency,
            })
        }
        _ => None,
    }
}

/// A request as it was written.
#[derive(Default)]
struct RawBatch<'a> {
    form: Form,
    v: Json<'a>,
    site: Json<'a>,
    batch: Json<'a>,
    sent: Json<'a>,
    events: RawEvents<'a>,
}

#[derive(Default)]
enum RawEvents<'a> {
    /// No list of events.
    #[default]
    Missing,
    /// The first [`MAX_EVENTS`], and how many there are.
    Read {
        events: Vec<RawElement<'a>>,
        count: usize,
    },
}

enum RawElement<'a> {
    Event(Box<RawEvent<'a>>),
    /// Not an object, or not to be read.
    Other,
}

#[derive(Default)]
struct RawEvent<'a> {
    kind: Json<'a>,
    url: Json<'a>,
    pathname: Json<'a>,
    referrer: Json<'a>,
    age: Json<'a>,
    timestamp: Json<'a>,
    name: Json<'a>,
    props: Json<'a>,
    interactive: Json<'a>,
    engaged: Json<'a>,
    scroll: Json<'a>,
    revenue: Json<'a>,
    hash: Json<'a>,
    /// In the order of [`MEASURES`].
    numbers: [Json<'a>; 8],
}

impl<'a> RawEvent<'a> {
    fn field(&mut self, key: &str) -> Option<&mut Json<'a>> {
        Some(match key {
            "type" => &mut self.kind,
            "url" => &mut self.url,
            "pathname" => &mut self.pathname,
            "ref" | "referrer" => &mut self.referrer,
            "age" => &mut self.age,
            "timestamp" => &mut self.timestamp,
            "name" => &mut self.name,
            "props" => &mut self.props,
            "interactive" => &mut self.interactive,
            "engaged" => &mut self.engaged,
            "scroll" => &mut self.scroll,
            "revenue" => &mut self.revenue,
            "hash" => &mut self.hash,
            key => {
                let at = MEASURES.iter().position(|row| row.0 == key)?;
                return self.numbers.get_mut(at);
            }
        })
    }
}

fn parse(body: &[u8]) -> serde_json::Result<RawBatch<'_>> {
    serde_json::from_slice(body)
}

/// The same, with each event read on its own, so that one that cannot be read harms no other. Slower.
fn parse_one_by_one(body: &[u8]) -> serde_json::Result<RawBatch<'_>> {
    #[derive(serde::Deserialize)]
    struct Outer<'a> {
        #[serde(borrow, default)]
        v: Option<&'a RawValue>,
        #[serde(borrow, default)]
        site: Option<&'a RawValue>,
        #[serde(borrow, default)]
        batch: Option<&'a RawValue>,
        #[serde(borrow, default)]
        sent: Option<&'a RawValue>,
        #[serde(borrow)]
        events: Vec<&'a RawValue>,
    }
    fn read<'a>(value: Option<&'a RawValue>) -> Json<'a> {
        value
            .and_then(|value| serde_json::from_str(value.get()).ok())
            .unwrap_or_default()
    }
    let bare = body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[');
    let outer = if bare {
        Outer {
            v: None,
            site: None,
            batch: None,
            sent: None,
            events: serde_json::from_slice(body)?,
        }
    } else {
        serde_json::from_slice(body)?
    };
    let count = outer.events.len();
    let events = outer.events.into_iter().take(MAX_EVENTS);
    let events = events
        .map(|raw| serde_json::from_str(raw.get()).unwrap_or(RawElement::Other))
        .collect();
    Ok(RawBatch {
        form: if bare { Form::Bare } else { Form::Batch },
        v: read(outer.v),
        site: read(outer.site),
        batch: read(outer.batch),
        sent: read(outer.sent),
        events: RawEvents::Read { events, count },
    })
}

impl<'de: 'a, 'a> Deserialize<'de> for RawBatch<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectOrList;
        impl<'de> Visitor<'de> for ObjectOrList {
            type Value = RawBatch<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a batch, or a list of events")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawBatch<'de>, A::Error> {
                let mut raw = RawBatch::default();
                while let Some(Key(key)) = map.next_key()? {
                    match &*key {
                        "v" => raw.v = map.next_value()?,
                        "site" => raw.site = map.next_value()?,
                        "batch" => raw.batch = map.next_value()?,
                        "sent" => raw.sent = map.next_value()?,
                        "events" => raw.events = map.next_value()?,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(raw)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<RawBatch<'de>, A::Error> {
                Ok(RawBatch {
                    form: Form::Bare,
                    events: EventsVisitor.visit_seq(list)?,
                    ..RawBatch::default()
                })
            }
        }
        deserializer.deserialize_any(ObjectOrList)
    }
}

struct EventsVisitor;

impl<'de> Visitor<'de> for EventsVisitor {
    type Value = RawEvents<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of events")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawEvents<'de>, A::Error> {
        let mut events = Vec::new();
        let mut count = 0;
        while events.len() < MAX_EVENTS {
            let Some(event) = list.next_element()? else {
                return Ok(RawEvents::Read { events, count });
            };
            events.push(event);
            count += 1;
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(RawEvents::Read { events, count })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawEvents<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EventsVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawElement<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Element;
        impl<'de> Visitor<'de> for Element {
            type Value = RawElement<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an event")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawElement<'de>, A::Error> {
                let mut event = Box::<RawEvent>::default();
                while let Some(Key(key)) = map.next_key()? {
                    match event.field(&key) {
                        Some(field) => *field = map.next_value()?,
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(RawElement::Event(event))
            }
            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> Result<RawElement<'de>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(RawElement::Other)
            }
            fn visit_unit<E>(self) -> Result<RawElement<'de>, E> {
                Ok(RawElement::Other)
            }
            fn visit_bool<E>(self, _: bool) -> Result<RawElement<'de>, E> {
                Ok(RawElement::Other)
            }
            fn visit_i64<E>(self, _: i64) -> Result<RawElement<'de>, E> {
                Ok(RawElement::Other)
            }
            fn visit_u64<E>(self, _: u64) -> Result<RawElement<'de>, E> {
                Ok(RawElement::Other)
            }
            fn visit_f64<E>(self, _: f64) -> Result<RawElement<'de>, E> {
                Ok(RawElement::Other)
            }
            fn visit_str<E>(self, _: &str) -> Result<RawElement<'de>, E> {
                Ok(RawElement::Other)
            }
        }
        deserializer.deserialize_any(Element)
    }
}
