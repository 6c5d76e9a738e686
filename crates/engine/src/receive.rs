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
use crate::json::{self, Json};
use crate::raw::{RawBatch, RawElement, RawEvent, RawEvents, parse, parse_one_by_one};
use crate::url;
use siphasher::sip::SipHasher24;
use std::borrow::Cow;
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
            let raw =
                parse(repaired).or_else(|_| parse_one_by_one(repaired)).map_err(|_| Reason::Malformed)?;
            hits(raw, body, fallback_site, now_ms)
        }
    }
}

fn hits(raw: RawBatch, body: &[u8], fallback_site: Option<&str>, now_ms: i64) -> Result<Hits, Reason> {
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
        sent_ms: raw.sent.rounded().unwrap_or(0).clamp(0, i64::from(u32::MAX)) as u32,
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
    hits.dropped.extend((MAX_EVENTS as u32..count as u32).map(|index| (index, Reason::TooManyEvents)));
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
    let has = |measures: &[Measure]| numbers.iter().any(|(measure, _)| measures.contains(measure));
    let bare = form == Form::Bare;
    let kind_name = optional_text(&raw.kind)?.unwrap_or("pageview");
    let kind = match kind_name {
        "pageview" | "" => Some(Kind::PageView),
        "event" if !bare || !raw.name.is_none() => Some(Kind::Custom),
        "engagement" if !bare || !raw.engaged.is_none() || !raw.scroll.is_none() => Some(Kind::Engagement),
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
        engaged => engaged.rounded().ok_or(Reason::BadField)?.clamp(0, MAX_AGE_MS) as u32,
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
        referrer: Text::from(url::cut(optional_text(&raw.referrer)?.unwrap_or(""), MAX_REFERRER)),
        age_ms: age_ms(&raw, now_ms)?,
        hash_mode: matches!(raw.hash, Json::Bool(true) | Json::Int(1)),
        name,
        props: props(std::mem::take(&mut raw.props)).ok_or(Reason::BadField)?,
        interactive: raw.interactive != Json::Bool(false),
        engaged_ms: if kind == Kind::Engagement { engaged_ms } else { 0 },
        scroll: scroll.filter(|_| kind == Kind::Engagement),
        revenue: revenue(&raw.revenue).filter(|_| kind == Kind::Custom),
        numbers,
    })
}

const VITALS: [Measure; 5] = [Measure::Lcp, Measure::Inp, Measure::Cls, Measure::Fcp, Measure::Ttfb];

fn optional_text<'a>(field: &'a Json) -> Result<Option<&'a str>, Reason> {
    match field {
        Json::Text(text) => Ok(Some(text)),
        none if none.is_none() => Ok(None),
        _ => Err(Reason::BadField),
    }
}

fn page_url(raw: &RawEvent) -> Result<Text, Reason> {
    let field = if raw.url.is_none() { &raw.pathname } else { &raw.url };
    let url = url::cut(optional_text(field)?.unwrap_or("").trim(), MAX_URL);
    let parts = url::parts(url);
    if url.is_empty() || (parts.scheme.is_empty() != parts.host.is_empty() && !url.starts_with("//")) {
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
    if age_ms > MAX_AGE_MS { Err(Reason::TooOld) } else { Ok(age_ms.max(0)) }
}

/// A moment as Unix milliseconds. Numbers below 10^11 are seconds: as milliseconds they would lie in 1973
/// or before, as seconds up to the year 5138.
fn timestamp_ms(field: &Json) -> Option<i64> {
    match field {
        Json::Text(text) => text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond()),
        number => {
            let number = number.number()?;
            Some(if number.abs() < 1e11 { number * 1_000.0 } else { number }.round() as i64)
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
        let Some(value) = value.printed().filter(|value| !value.trim_start().is_empty()) else {
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
        Json::Text(text) if json::is_shallow(text.as_bytes()) => {
            match serde_json::from_str::<Json>(text).ok()? {
                object @ Json::Object(_) => revenue(&object),
                _ => None,
            }
        }
        Json::Object(fields) => {
            let get = |key: &str| fields.iter().find(|(k, _)| k == key).map(|(_, value)| value);
            let amount = match get("amount")? {
                Json::Text(text) => text.trim().parse().ok()?,
                number => number.number()?,
            };
            let milli = (amount * 1_000.0).round();
            let currency: [u8; 3] =
                get("currency")?.text()?.trim().to_ascii_uppercase().into_bytes().try_into().ok()?;
            (milli.abs() < 1e15 && currency.iter().all(u8::is_ascii_uppercase))
                .then_some(Revenue { milli: milli as i64, currency })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    /// 2024-05-01T12:00:00Z.
    const NOW: i64 = 1_714_564_800_000;

    fn read(body: &str) -> Result<Hits, Reason> {
        batch(body.as_bytes(), None, NOW)
    }

    /// Reads the events (a JSON list without its brackets) as a batch's, and prints one line for each.
    fn check(events: &str, expected: Expect) {
        check_body(&format!(r#"{{"site":"e.com","events":[{events}]}}"#), expected);
    }

    fn check_body(body: &str, expected: Expect) {
        let hits = match read(body) {
            Ok(hits) => hits,
            Err(reason) => return expected.assert_eq(reason.name()),
        };
        let mut lines: Vec<(u32, String)> = hits.hits.iter().map(|hit| (hit.index, print(hit))).collect();
        lines.extend(hits.dropped.iter().map(|(index, reason)| (*index, reason.name().to_owned())));
        lines.sort();
        let lines: String = lines.iter().map(|(index, line)| format!("{index} {line}\n")).collect();
        expected.assert_eq(&lines);
    }

    fn print(hit: &Hit) -> String {
        let mut line = format!("{:?} {}", hit.kind, hit.url);
        let mut add =
            |there: bool, text: String| line += &if there { format!(" {text}") } else { String::new() };
        add(!hit.name.is_empty(), format!("name={}", hit.name));
        add(!hit.referrer.is_empty(), format!("ref={}", hit.referrer));
        add(hit.age_ms != 0, format!("age={}", hit.age_ms));
        add(hit.hash_mode, "hash".into());
        add(!hit.props.is_empty(), format!("{:?}", hit.props));
        add(!hit.interactive, "passive".into());
        add(hit.engaged_ms != 0, format!("engaged={}", hit.engaged_ms));
        add(hit.scroll.is_some(), format!("scroll={}", hit.scroll.unwrap_or(0)));
        if let Some(Revenue { milli, currency }) = hit.revenue {
            add(true, format!("{milli} {}", String::from_utf8_lossy(&currency)));
        }
        add(!hit.numbers.is_empty(), format!("{:?}", hit.numbers));
        line
    }

    #[test]
    fn the_issues_example() {
        let hits = read(
            r#"{"v":1, "site":"WWW.example.com", "batch":"0123456789abcdef", "sent":12,
                "events":[{"type":"pageview", "url":"https://example.com/a", "ref":"https://other.org/", "age":8200, "width":1440}]}"#,
        );
        expect![[r#"
            Ok(
                Hits {
                    form: Batch,
                    sites: [
                        "example.com",
                    ],
                    batch: Some(
                        "0123456789abcdef",
                    ),
                    contents: 0,
                    sent_ms: 12,
                    hits: [
                        Hit {
                            index: 0,
                            kind: PageView,
                            url: "https://example.com/a",
                            referrer: "https://other.org/",
                            age_ms: 8200,
                            hash_mode: false,
                            name: "",
                            props: [],
                            interactive: true,
                            engaged_ms: 0,
                            scroll: None,
                            revenue: None,
                            numbers: [
                                (
                                    Width,
                                    1440,
                                ),
                            ],
                        },
                    ],
                    dropped: [],
                },
            )
        "#]]
        .assert_debug_eq(&hits);
    }

    #[test]
    fn kinds_and_their_fields() {
        check(
            r#"{"type":"pageview","url":"/a"},
               {"url":"/a","type":null},
               {"type":"event","url":"/a","name":" Signup ","props":{"plan":"pro","n":3,"x":1.5,"b":true,"none":null,"blank":"  ","list":[1],"map":{}},"interactive":false,"revenue":{"amount":"12.505","currency":"eur"}},
               {"type":"event","url":"/a","name":404,"props":"{\"a\":\"b\"}"},
               {"type":"event","url":"/a"},
               {"type":"engagement","url":"/a","engaged":4200.4,"scroll":140},
               {"type":"engagement","url":"/a","scroll":-1},
               {"type":"engagement","url":"/a","engaged":1e300},
               {"type":"click","url":"/a","name":"main>a","x":1234.4,"y":88,"width":1280},
               {"type":"vitals","url":"/a","lcp":1234.5,"cls":0.1234,"inp":-5,"ttfb":60001},
               {"type":"vitals","url":"/a","width":5},
               {"type":"purchase","url":"/a"},
               {"type":7,"url":"/a"}"#,
            expect![[r#"
                0 PageView /a
                1 PageView /a
                2 Custom /a name=Signup [("plan", "pro"), ("n", "3"), ("x", "1.5"), ("b", "true")] passive 12505 EUR
                3 Custom /a name=404 [("a", "b")]
                4 no_name
                5 Engagement /a engaged=4200 scroll=100
                6 nothing_measured
                7 Engagement /a engaged=86400000
                8 Click /a name=main>a [(Width, 1280), (ClickX, 1234), (ClickY, 88)]
                9 Vitals /a [(Lcp, 1235), (Cls, 123)]
                10 nothing_measured
                11 bad_field
                12 bad_field
            "#]],
        );
    }

    #[test]
    fn one_bad_field_costs_one_event() {
        check(
            r#"{"url":"/a"}, {"url":5}, {"url":"/b","age":"x"}, {"url":"/c","ref":{}}, {"url":"/d","scroll":"x"},
               {"url":"/e","width":"x"}, {"url":"/f","unknown":{"a":[{}]},"sessionId":5}, 7, null, "x", [1], {},
               {"url":"/g","age":1e999}, {"url":"/h","ref":"\ud83d"}, {"url":"/i"}, {"url":"/j","url":"/k"}"#,
            expect![[r#"
                0 PageView /a
                1 bad_field
                2 bad_field
                3 bad_field
                4 bad_field
                5 bad_field
                6 PageView /f
                7 malformed
                8 malformed
                9 malformed
                10 malformed
                11 bad_url
                12 malformed
                13 PageView /h ref=�
                14 PageView /i
                15 PageView /k
            "#]],
        );
    }

    #[test]
    fn urls_that_can_be_pages() {
        check(
            r#"{"url":"https://e.com"}, {"url":"app://localhost/login"}, {"url":"//e.com/x"}, {"url":"a/b"}, {"url":"?q"},
               {"url":""}, {"url":"  "}, {"url":"data:text/html,x"}, {"url":"javascript:alert(1)"}, {"url":"about:blank"},
               {"url":"https://e com/"}, {"url":"https:///x"}, {"url":"http://a\"b/"}, {"url":"/a","hash":true}"#,
            expect![[r#"
                0 PageView https://e.com
                1 PageView app://localhost/login
                2 PageView //e.com/x
                3 PageView a/b
                4 PageView ?q
                5 bad_url
                6 bad_url
                7 bad_url
                8 bad_url
                9 bad_url
                10 bad_url
                11 bad_url
                12 bad_url
                13 PageView /a hash
            "#]],
        );
        let long = format!(r#"{{"site":"e.com","events":[{{"url":"/{}"}}]}}"#, "ü".repeat(3_000));
        assert_eq!(read(&long).unwrap().hits[0].url.len(), 4_095, "cut, between characters");
    }

    #[test]
    fn ages() {
        check(
            r#"{"url":"/","age":-5}, {"url":"/","age":86400000}, {"url":"/","age":86400001}, {"url":"/","age":1.6},
               {"url":"/","timestamp":1714564799}, {"url":"/","timestamp":1714564799500}, {"url":"/","timestamp":1714564799.25},
               {"url":"/","timestamp":"2024-05-01T13:59:00+02:00"}, {"url":"/","timestamp":"2024-05-01T12:00:09.5Z"},
               {"url":"/","timestamp":"yesterday"}, {"url":"/","timestamp":true}, {"url":"/","timestamp":0},
               {"url":"/","timestamp":-1e300}, {"url":"/","timestamp":1,"age":3}"#,
            expect![[r#"
                0 PageView /
                1 PageView / age=86400000
                2 too_old
                3 PageView / age=2
                4 PageView / age=1000
                5 PageView / age=500
                6 PageView / age=750
                7 PageView / age=60000
                8 PageView /
                9 bad_field
                10 bad_field
                11 too_old
                12 too_old
                13 PageView / age=3
            "#]],
        );
    }

    #[test]
    fn a_bare_array() {
        check_body(
            r#" [{"pathname":"/a","url":"https://e.com/b","referrer":"https://x.org","sessionId":"s1","timestamp":1714564799000},
                 {"type":"page_view","pathname":"/a"}, {"type":"click","pathname":"/a"}, {"type":"click","pathname":"/a","x":5,"y":6},
                 {"type":"engagement","pathname":"/a"}, {"type":"vitals","pathname":"/a","lcp":5}, {"type":"event","pathname":"/a"},
                 {"type":"event","pathname":"/a","name":"x"}, {"type":"","pathname":"/a"}]"#,
            expect![[r#"
                0 PageView https://e.com/b ref=https://x.org age=1000
                1 Custom /a name=page_view
                2 Custom /a name=click
                3 Click /a [(ClickX, 5), (ClickY, 6)]
                4 Custom /a name=engagement
                5 Vitals /a [(Lcp, 5)]
                6 Custom /a name=event
                7 Custom /a name=x
                8 PageView /a
            "#]],
        );
    }

    #[test]
    fn whose_site_it_is() {
        let site = |body: &str, fallback: Option<&str>| {
            batch(body.as_bytes(), fallback, NOW)
                .map(|hits| hits.sites.join(","))
                .unwrap_or_else(|reason| reason.name().to_owned())
        };
        let table = [
            (r#"{"site":"www.E.com","events":[]}"#, None, "e.com"),
            (r#"{"site":"e.com","events":[]}"#, Some("f.com"), "e.com"),
            (r#"{"events":[]}"#, Some("f.com"), "f.com"),
            (r#"{"site":"","events":[{"url":"https://www.g.com/x"}]}"#, None, "g.com"),
            (r#"[{"pathname":"/a"},{"url":"https://g.com/x"}]"#, None, "g.com"),
            (r#"[{"url":"https://g.com/x"}]"#, Some("f.com"), "f.com"),
            (r#"[{"pathname":"/a"}]"#, None, "unknown_site"),
            (r#"{"site":5,"events":[]}"#, None, "unknown_site"),
        ];
        for (body, fallback, expected) in table {
            assert_eq!(site(body, fallback), expected, "{body}");
        }
    }

    #[test]
    fn requests_that_are_none() {
        let table = [
            ("", Reason::Malformed),
            ("5", Reason::Malformed),
            ("{}", Reason::Malformed),
            (r#"{"site":"e.com"}"#, Reason::Malformed),
            (r#"{"site":"e.com","events":{}}"#, Reason::Malformed),
            (r#"{"site":"e.com","events":[}"#, Reason::Malformed),
            (r#"{"site":"e.com","events":[]} x"#, Reason::Malformed),
            (r#"{"v":2,"site":"e.com","events":[]}"#, Reason::Malformed),
            (r#"[{"a":[[[[[[[1]]]]]]]}]"#, Reason::Malformed),
            ("{\"site\":\"e.com\",\"events\":[{\"url\":\"/\u{fffd}\"}", Reason::Malformed),
        ];
        for (body, reason) in table {
            assert_eq!(read(body), Err(reason), "{body}");
        }
        assert_eq!(
            batch(b"[{\"url\":\"http://e.com/\xff\"}]", None, NOW),
            Err(Reason::Malformed),
            "not UTF-8"
        );
        let long = format!(r#"{{"site":"e.com","x":"{}","events":[]}}"#, "x".repeat(MAX_BODY));
        assert_eq!(read(&long), Err(Reason::Malformed));
    }

    #[test]
    fn events_after_the_hundredth() {
        let body =
            |n: usize| format!(r#"{{"site":"e.com","events":[{}]}}"#, vec![r#"{"url":"/"}"#; n].join(","));
        let hits = read(&body(103)).unwrap();
        assert_eq!(hits.hits.len(), 100);
        assert_eq!(hits.dropped, [100, 101, 102].map(|index| (index, Reason::TooManyEvents)));
        assert_eq!(read(&body(1_001)), Err(Reason::TooManyEvents));
    }

    #[test]
    fn batch_ids() {
        let id =
            |id: &str| read(&format!(r#"{{"site":"e.com","batch":{id},"sent":-3,"events":[]}}"#)).unwrap();
        assert_eq!(id(r#""0123456789abcdef""#).batch.as_deref(), Some("0123456789abcdef"));
        for other in [r#""short""#, "5", "null", r#""0123456789 abcdef""#, &format!("{:?}", "x".repeat(65))] {
            assert_eq!((id(other).batch.as_ref(), id(other).sent_ms), (None, 0), "{other}");
            assert_ne!(id(other).contents, 0, "the body tells a retry");
        }
        assert_ne!(id("5").contents, id("6").contents);
    }

    #[test]
    fn limits_of_names_and_properties() {
        let hits =
            |fields: &str| read(&format!(r#"[{{"url":"http://e.com/","type":"event",{fields}}}]"#)).unwrap();
        let dropped = |fields: &str| hits(fields).dropped.first().map_or("", |(_, reason)| reason.name());
        let text = |n: usize| format!("{:?}", "x".repeat(n));
        assert_eq!(dropped(&format!(r#""name":{}"#, text(120))), "");
        assert_eq!(dropped(&format!(r#""name":{}"#, text(121))), "bad_field");
        assert_eq!(dropped(&format!(r#""name":"a","props":{{{}:"v"}}"#, text(300))), "");
        assert_eq!(dropped(&format!(r#""name":"a","props":{{{}:"v"}}"#, text(301))), "bad_field");
        assert_eq!(dropped(&format!(r#""name":"a","props":{{"k":{}}}"#, text(2_000))), "");
        assert_eq!(dropped(&format!(r#""name":"a","props":{{"k":{}}}"#, text(2_001))), "bad_field");
        let many: Vec<String> = (0..35).map(|n| format!(r#""k{n}":{n}"#)).collect();
        let props =
            hits(&format!(r#""name":"a","props":{{"none":null,{}}}"#, many.join(","))).hits[0].props.clone();
        assert_eq!((props.len(), props[29].0.as_str()), (30, "k29"), "the first thirty that have a value");
    }

    /// JSON that is nearly a batch: right keys, any values.
    fn nearly() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            "[0-9]{1,20}",
            "-?[0-9]{1,3}\\.[0-9]{1,3}e[0-9]{1,2}",
            Just("null".to_owned()),
            Just("true".to_owned()),
            Just("[]".to_owned()),
            Just(r#"{"amount":1,"currency":"EUR","a":{}}"#.to_owned()),
            any::<String>().prop_map(|text| format!("{:?}", text)),
            "https?://[a-z.@:]{0,9}/[a-z%?#&=]{0,9}".prop_map(|url| format!("\"{url}\"")),
        ];
        let key = prop::sample::select(vec![
            "type",
            "url",
            "pathname",
            "ref",
            "age",
            "timestamp",
            "name",
            "props",
            "interactive",
            "engaged",
            "scroll",
            "revenue",
            "hash",
            "width",
            "x",
            "y",
            "lcp",
            "cls",
            "other",
        ]);
        let event = prop::collection::vec((key, value.clone()), 0..5).prop_map(|fields| {
            format!("{{{}}}", fields.iter().map(|(k, v)| format!("{k:?}:{v}")).collect::<Vec<_>>().join(","))
        });
        (prop::collection::vec(event, 0..4), value)
            .prop_map(|(events, site)| format!(r#"{{"site":{site},"events":[{}]}}"#, events.join(",")))
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in any::<Vec<u8>>()) {
            let _ = batch(&body, None, NOW);
        }

        #[test]
        fn of_nearly_a_batch_each_event_is_kept_or_named(body in nearly(), now in any::<i64>()) {
            if let Ok(hits) = batch(body.as_bytes(), Some("e.com"), now) {
                let mut all: Vec<u32> = hits.hits.iter().map(|hit| hit.index).chain(hits.dropped.iter().map(|d| d.0)).collect();
                all.sort();
                prop_assert_eq!(&all, &(0..all.len() as u32).collect::<Vec<_>>());
                prop_assert!(hits.hits.iter().all(|hit| (0..=MAX_AGE_MS).contains(&hit.age_ms)));
            }
        }

        #[test]
        fn a_broken_event_harms_no_other(break_at in 0usize..3) {
            let mut events = [r#"{"url":"http://e.com/0"}"#, r#"{"url":"http://e.com/1"}"#, r#"{"url":"http://e.com/2"}"#];
            events[break_at] = r#"{"url":"http://e.com/x","age":1e999}"#;
            let hits = read(&format!("[{}]", events.join(","))).unwrap();
            prop_assert_eq!(hits.hits.len(), 2);
            prop_assert_eq!(hits.dropped, [(break_at as u32, Reason::Malformed)]);
        }
    }
}
