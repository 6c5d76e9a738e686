//! A unit being made: requests of a log become hits, events, blocks and a fold's state of its own, and at the end
//! what one checkpoint writes. The same functions count it as count what browsers send.
//!
//! Days stay open to the end, since rotated logs overlap within a day and are seldom given in order. Should their
//! state outgrow [`MAX_STATE`], the earliest day leaves memory finished; what comes for it later is dropped by
//! name rather than its visitors counted twice.

use super::access_log::{self, Refusal, Request};
use super::tally::Tally;
use anyhow::{Context, Result};
use passerby_engine::block::{Dropped, Flush, blocks};
use passerby_engine::day::DayState;
use passerby_engine::enrich::{self, BatchKey, Peer, Rules, Tables};
use passerby_engine::event::{Batch, Day, Kind, SiteId, Text};
use passerby_engine::fold::{State, fold};
use passerby_engine::freeze::freeze;
use passerby_engine::receive::{Form, Hit, Hits};
use passerby_engine::remember::Remembered;
use passerby_engine::rollup::{Counts, Dim};
use passerby_engine::visitor::Salt;
use passerby_engine::{segment, time};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;
use zeroize::Zeroize;

/// How many page views are folded at a time.
const FLUSH_EVENTS: usize = 2_000;

/// A day's events leave the fold, encoded, once there are this many.
const PART_EVENTS: usize = 16_384;

/// How much memory the open days may take, bytes. Events that have not left the fold may take an eighth of it
/// beside them, all days together.
pub const MAX_STATE: usize = 256 << 20;

/// The longest path and query that is kept, bytes.
const MAX_TARGET: usize = 4_000;

/// Which rules are in force from when (Unix ms) on; ascending, the first from the beginning of time.
pub type RulesInTime = Vec<(i64, Rules)>;

/// A unit, growing line by line.
pub struct Unit<'a> {
    rules: &'a RulesInTime,
    tables: &'a Tables,
    key: BatchKey,
    salts: Salts,
    batches: Vec<Batch>,
    dropped: Vec<Dropped>,
    state: State,
    max_state: usize,
    /// Encoded parts of the open days.
    parts: HashMap<Day, Vec<Vec<u8>>>,
    finished: BTreeMap<Day, Finished>,
    pub tally: Tally,
}

/// A day that is complete.
#[derive(Debug, PartialEq)]
pub struct Finished {
    pub totals: Counts,
    pub rollups: Vec<(Dim, Vec<u8>)>,
    /// None if the day holds drops alone.
    pub segment: Option<Vec<u8>>,
}

impl<'a> Unit<'a> {
    /// `max_state`: how many bytes the open days may take, [`MAX_STATE`] but for tests.
    pub fn new(rules: &'a RulesInTime, tables: &'a Tables, max_state: usize) -> Result<Unit<'a>> {
        let mut key = BatchKey { key: [0; 16], fresh: 0 };
        getrandom::fill(&mut key.key).context("the system's random generator does not answer")?;
        Ok(Unit {
            rules,
            tables,
            key,
            salts: Salts::default(),
            batches: Vec::new(),
            dropped: Vec::new(),
            state: State::new(),
            max_state,
            parts: HashMap::new(),
            finished: BTreeMap::new(),
            tally: Tally::default(),
        })
    }

    /// Counts one line.
    pub fn line(&mut self, line: &[u8]) -> Result<()> {
        self.tally.lines += 1;
        let request = match access_log::parse(line) {
            Ok(request) => request,
            Err(refusal) => {
                self.tally.refuse(refusal);
                return Ok(());
            }
        };
        match access_log::page_view(&request) {
            Ok(target) => self.view(&request, target),
            Err(why) => {
                self.tally.no_view(why);
                Ok(())
            }
        }
    }

    /// Counts a line that is too long to be read.
    pub fn too_long(&mut self) {
        self.tally.lines += 1;
        self.tally.refuse(Refusal::TooLong);
    }

    fn view(&mut self, request: &Request, target: &str) -> Result<()> {
        let in_force = self.rules.partition_point(|(from_ms, _)| *from_ms <= request.at_ms);
        let (_, rules) = &self.rules[in_force.saturating_sub(1)];
        let day = time::local(&rules.zone, request.at_ms).day;
        if self.finished.contains_key(&day) {
            self.tally.drop_late();
            return Ok(());
        }
        // Every line is a batch of its own, and no line is another's retry.
        self.key.fresh += 1;
        let hits = hits(rules, target, &request.referrer);
        let peer = Peer {
            address: request.address,
            agent: &request.agent,
            languages: "",
            opted_out: false,
            place: None,
        };
        let salts = self.salts.of(day)?;
        let enriched = enrich::events(&hits, rules, salts, &peer, self.tables, request.at_ms, &self.key);
        for (_, reason) in enriched.dropped {
            self.tally.drop(reason);
            self.dropped.push(Dropped { site: rules.id, day, reason, count: 1 });
        }
        for batch in enriched.batches {
            self.tally.pageviews += batch.events.len() as u64;
            self.batches.push(batch);
        }
        if self.batches.len() + self.dropped.len() >= FLUSH_EVENTS {
            self.fold();
        }
        Ok(())
    }

    fn fold(&mut self) {
        let flush = Flush {
            blocks: blocks(std::mem::take(&mut self.batches)),
            dropped: std::mem::take(&mut self.dropped),
        };
        let changed = fold(&mut self.state, &flush);
        // No line is sent again: there is nothing to remember.
        self.state.batches = Remembered::default();
        for key in changed {
            if self.state.days.get(&key).is_some_and(|day| day.fresh.len() >= PART_EVENTS) {
                self.part(key);
            }
        }
        // Many days with few events each hold as much as one with many.
        if self.state.days.values().map(|day| day.fresh.bytes()).sum::<usize>() > self.max_state / 8 {
            let all: Vec<_> = self.state.days.keys().copied().collect();
            all.into_iter().for_each(|key| self.part(key));
        }
        while self.state.bytes() > self.max_state && self.state.days.len() > 1 {
            self.finish_first();
        }
    }

    /// Lets the events that a day holds leave the state, encoded.
    fn part(&mut self, key: (SiteId, Day)) {
        if let Some(part) = self.state.days.get_mut(&key).and_then(DayState::take_part) {
            self.parts.entry(key.1).or_default().push(segment::encode_part(&part));
        }
    }

    /// Lets the earliest day leave the state, finished.
    fn finish_first(&mut self) {
        if let Some(((_, day), state)) = self.state.days.pop_first() {
            let parts = self.parts.remove(&day).unwrap_or_default();
            self.finished.insert(day, finish(&state, &parts));
        }
    }

    /// All days, complete. The salts are overwritten here.
    pub fn finish(mut self) -> (BTreeMap<Day, Finished>, Tally) {
        self.fold();
        while !self.state.days.is_empty() {
            self.finish_first();
        }
        (self.finished, self.tally)
    }
}

/// A page view as a browser would have sent it.
fn hits(rules: &Rules, target: &str, referrer: &str) -> Hits {
    let hit = Hit {
        index: 0,
        kind: Kind::PageView,
        url: Text::from(format!("https://{}{}", rules.domain, cut(target, MAX_TARGET))),
        referrer: cut(referrer, MAX_TARGET).into(),
        age_ms: 0,
        hash_mode: false,
        name: Text::default(),
        props: Vec::new(),
        interactive: true,
        engaged_ms: 0,
        scroll: None,
        revenue: None,
        numbers: Vec::new(),
    };
    // Like Plausible's event it carries nothing to tell a retry by.
    Hits { form: Form::Plausible, hits: vec![hit], ..Hits::default() }
}

/// The text, or as much of it as fits into so many bytes.
fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rfind(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}

fn finish(day: &DayState, parts: &[Vec<u8>]) -> Finished {
    // What was encoded a moment ago decodes; were it not to, that would be a fault of the codec, and the cells,
    // which do not come from the parts, are right all the same.
    let parts: Vec<_> = parts.iter().filter_map(|bytes| segment::decode_part(bytes).ok()).collect();
    let segment = freeze(day, &parts);
    let rollup = |dim| Some((dim, day.rollup(dim))).filter(|(_, rollup)| !rollup.cells.is_empty());
    let rollups = Dim::TABLE.iter().filter_map(|row| rollup(row.dim));
    let totals = day.rollup(Dim::Total).cells.first().map_or(Counts::default(), |(_, counts)| *counts);
    Finished {
        totals,
        rollups: rollups.map(|(dim, rollup)| (dim, rollup.encode())).collect(),
        segment: (!segment.events.events.is_empty()).then(|| segment::encode(&segment)),
    }
}

/// The days of a unit with page views, first to last; None without any.
pub fn span(days: &BTreeMap<Day, Finished>) -> Option<RangeInclusive<Day>> {
    let viewed: BTreeSet<Day> =
        days.iter().filter(|(_, day)| day.totals.pageviews > 0).map(|(day, _)| *day).collect();
    Some(*viewed.first()?..=*viewed.last()?)
}

/// Each day's own salt, made when the day is first met. They stay where they were made, so that no copy is left
/// behind, and are overwritten with the unit.
#[derive(Default)]
struct Salts {
    by_day: HashMap<Day, Box<[(Day, Salt); 1]>>,
}

impl Salts {
    fn of(&mut self, day: Day) -> Result<&[(Day, Salt)]> {
        match self.by_day.entry(day) {
            Entry::Occupied(salt) => Ok(&salt.into_mut()[..]),
            Entry::Vacant(empty) => {
                let salt = empty.insert(Box::new([(day, [0; 16])]));
                getrandom::fill(&mut salt[0].1).context("the system's random generator does not answer")?;
                Ok(&salt[..])
            }
        }
    }
}

impl Drop for Salts {
    fn drop(&mut self) {
        for salt in self.by_day.values_mut() {
            salt[0].1.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use passerby_engine::enrich::{OptOut, PlaceDetail};
    use passerby_engine::place;

    fn rules() -> RulesInTime {
        let rules = Rules {
            id: SiteId(1),
            domain: "example.com".into(),
            zone: jiff::tz::TimeZone::UTC,
            place_detail: PlaceDetail::City,
            cut_address: false,
            opt_out: OptOut::default(),
            keep_bots: true,
            keep_params: Vec::new(),
        };
        vec![(i64::MIN, rules)]
    }

    /// A unit of so many views a day by three visitors, a day after the other.
    fn unit(days: u32, views: u32, max_state: usize) -> (BTreeMap<Day, Finished>, Tally) {
        let (rules, tables) = (rules(), Tables::new([1; 16], place::Tables::new()));
        let mut unit = Unit::new(&rules, &tables, max_state).unwrap();
        for day in 1..=days {
            for n in 0..views {
                let (hour, minute, second) = (n / 3600 % 24, n / 60 % 60, n % 60);
                let line = format!(
                    "192.0.2.{} - - [{day:02}/Jan/2020:{hour:02}:{minute:02}:{second:02} +0000] \"GET /{} HTTP/1.1\" 200 1",
                    n % 3,
                    n % 50
                );
                unit.line(line.as_bytes()).unwrap();
            }
        }
        // One more for the first day, at the end.
        unit.line(b"192.0.2.0 - - [01/Jan/2020:23:59:59 +0000] \"GET /last HTTP/1.1\" 200 1").unwrap();
        unit.finish()
    }

    #[test]
    fn events_that_left_as_parts_come_back_in_the_segment() {
        let views = PART_EVENTS as u32 + 3 * FLUSH_EVENTS as u32;
        let (days, tally) = unit(1, views, MAX_STATE);
        let (_, day) = days.first_key_value().unwrap();
        assert_eq!((tally.pageviews, day.totals.pageviews), (u64::from(views) + 1, i64::from(views) + 1));
        assert_eq!(day.totals.visitors, 3);
        let segment = segment::decode(day.segment.as_deref().unwrap()).unwrap();
        assert_eq!(segment.events.events.len() as u32, views + 1);
    }

    /// Days that are all too small to leave by themselves.
    #[test]
    fn events_of_many_small_days_leave_memory_too() {
        const MAX: usize = 8 << 20;
        let (rules, tables) = (rules(), Tables::new([1; 16], place::Tables::new()));
        let mut unit = Unit::new(&rules, &tables, MAX).unwrap();
        let bytes = |events: usize| events * size_of::<segment::SegmentEvent>();
        let (mut most, mut views) = (0, 0);
        while bytes(views) < MAX / 4 {
            let (who, day, page) = (views / 28 % 3, views % 28 + 1, views % 50);
            let line = format!(
                "192.0.2.{who} - - [{day:02}/Jan/2020:12:00:00 +0000] \"GET /{page} HTTP/1.1\" 200 1"
            );
            unit.line(line.as_bytes()).unwrap();
            most = most.max(unit.state.days.values().map(|day| day.fresh.len()).sum());
            views += 1;
        }
        assert!(bytes(most) < MAX / 8 + bytes(FLUSH_EVENTS), "{most} events");
        let (days, tally) = unit.finish();
        let events =
            |day: &Finished| segment::decode(day.segment.as_deref().unwrap()).unwrap().events.events.len();
        assert_eq!(days.values().map(events).sum::<usize>(), views);
        assert_eq!(days.values().map(|day| day.totals.visitors).sum::<i64>(), 3 * 28);
        assert_eq!(tally.dropped.len(), 0);
    }

    #[test]
    fn a_day_that_had_to_leave_memory_counts_nobody_twice() {
        let views = FLUSH_EVENTS as u32;
        let (all, tally) = unit(4, views, MAX_STATE);
        assert_eq!(tally.dropped.len(), 0);
        let (some, tally) = unit(4, views, 1);
        assert_eq!(tally.dropped.get(super::super::tally::DAY_CLOSED), Some(&1));
        let totals = |days: &BTreeMap<Day, Finished>| -> Vec<(i64, i64)> {
            days.values().map(|day| (day.totals.pageviews, day.totals.visitors)).collect()
        };
        let n = i64::from(views);
        assert_eq!(totals(&all), [(n + 1, 3), (n, 3), (n, 3), (n, 3)]);
        assert_eq!(totals(&some), [(n, 3), (n, 3), (n, 3), (n, 3)]);
    }

    #[test]
    fn each_day_has_a_salt_of_its_own() {
        let mut salts = Salts::default();
        let [a, b] = [Day(1), Day(2)].map(|day| salts.of(day).unwrap()[0]);
        assert_ne!(a.1, b.1);
        assert_ne!(a.1, [0; 16]);
        assert_eq!(salts.of(Day(1)).unwrap(), [a]);
    }
}
