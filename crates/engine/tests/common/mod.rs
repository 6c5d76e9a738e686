//! A day's log as text, so that tests read like what happened.
//!
//! One line an event: `A 10:00 /a source=Google`, visitor, local time, then a path (page view), `!Name`
//! (custom event), `?Name` (one that is not interactive) or `~` (engagement). Visitor `-` is none. A line
//! that begins with `+` belongs to the batch of the line before; `---` ends a flush; `again N` sends batch N
//! (from 1) once more.

#![allow(dead_code)]

use passerby_engine::block::{Flush, blocks};
use passerby_engine::event::*;
use std::num::NonZeroU64;

pub const SITE: SiteId = SiteId(7);
pub const DAY: Day = Day(20_000);

pub fn visitor(name: &str) -> Option<Visitor> {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (name != "-").then(|| Visitor(NonZeroU64::new(hash).unwrap()))
}

/// A plain page view of the test's site and day, `ms` after the day's midnight (UTC).
pub fn page_view(ms: i64, page: &str) -> Event {
    Event {
        kind: Kind::PageView,
        at_ms: i64::from(DAY.0) * 86_400_000 + ms,
        offset_s: 0,
        hostname: "example.com".into(),
        page: page.into(),
        origin: Origin::default(),
        name: Text::default(),
        props: Vec::new(),
        interactive: true,
        engaged_ms: 0,
        scroll: None,
        revenue: None,
        numbers: Vec::new(),
    }
}

/// A batch of one visitor, received when its last event happened.
pub fn batch(id: u64, who: &str, events: Vec<Event>) -> Batch {
    Batch {
        id,
        received_ms: events.last().map_or(0, |e| e.at_ms),
        sent_ms: 0,
        site: SITE,
        day: DAY,
        visitor: visitor(who),
        place: Place { country: "DE".into(), region: "DE-BE".into(), city: "Berlin, DE".into() },
        device: Device { class: "Desktop".into(), browser: "Firefox".into(), ..Device::default() },
        language: "de".into(),
        events,
    }
}

fn time_ms(text: &str) -> i64 {
    let parts: Vec<i64> = text.split(':').map(|n| n.parse().unwrap()).collect();
    (parts[0] * 3600 + parts[1] * 60 + parts.get(2).copied().unwrap_or(0)) * 1000
}

fn event(words: &[&str]) -> (Event, Vec<(String, String)>) {
    let mut event = page_view(time_ms(words[0]), words[1]);
    match words[1].split_at(1) {
        ("/", _) => {}
        ("!" | "?", name) => {
            event.kind = Kind::Custom;
            event.interactive = words[1].starts_with('!');
            event.name = name.into();
            event.page = "/".into();
        }
        ("~", _) => {
            event.kind = Kind::Engagement;
            event.engaged_ms = 1000;
            event.page = "/".into();
        }
        _ => panic!("what is {}?", words[1]),
    }
    let mut rest = Vec::new();
    for word in &words[2..] {
        let (key, value) = word.split_once('=').unwrap();
        match key {
            "source" => event.origin.source = value.into(),
            "campaign" => event.origin.utm_campaign = value.into(),
            "host" => event.hostname = value.into(),
            "country" | "browser" => rest.push((key.into(), value.into())),
            _ => event.props.push((key.into(), value.into())),
        }
    }
    (event, rest)
}

/// The flushes that a text tells.
pub fn flushes(text: &str) -> Vec<Flush> {
    let mut all: Vec<Batch> = Vec::new();
    let mut flushes = vec![Vec::new()];
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[0] {
            "---" => flushes.push(Vec::new()),
            "again" => flushes.last_mut().unwrap().push(words[1].parse::<usize>().unwrap() - 1),
            "+" => {
                let last = all.last_mut().unwrap();
                last.events.push(event(&words[1..]).0);
                last.received_ms = last.events.last().unwrap().at_ms;
            }
            who => {
                let (event, rest) = event(&words[1..]);
                let mut batch = batch(all.len() as u64 + 1, who, vec![event]);
                for (key, value) in rest {
                    match key.as_str() {
                        "country" => batch.place = Place { country: value.into(), ..Place::default() },
                        _ => batch.device.browser = value.into(),
                    }
                }
                flushes.last_mut().unwrap().push(all.len());
                all.push(batch);
            }
        }
    }
    let flush = |indices: Vec<usize>| Flush {
        blocks: blocks(indices.into_iter().map(|i| all[i].clone()).collect()),
        dropped: Vec::new(),
    };
    flushes.into_iter().map(flush).collect()
}
