//! One site-local day while it is open: visitors, visits, cells, and the events counted so far.
//!
//! An event either belongs to a visit or it does not. What it changes there is a difference of two
//! [`Counts`], which is added to every cell that the visit belongs to; exit page and duration of a visit
//! move, so counts are signed and merge by addition. Whether a visitor is new in a cell is known exactly:
//! values of a whole visit are compared with the visitor's other visits, and for pages, hostnames, event
//! names and properties there is a set of (visit, value), from which the visit's own first page and
//! hostname are left out since they stand in the visit.

use crate::block::{BatchRow, Block, EventRow};
use crate::cells::{Cells, VALUE_CAP, at};
use crate::event::{Day, Kind, Measure, Reason, SiteId};
use crate::fresh::{Fresh, PartCodes, Shared};
use crate::intern::Interner;
use crate::rollup::{Counts, Dim, Rollup};
use crate::segment::Part;
use crate::time::hour_of;
use crate::visit::{NONE, Visit, Visits};
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};

/// A set of (visit, dimension, value code), 9 to 20 bytes each.
#[derive(Clone)]
pub struct Seen {
    table: HashTable<u64>,
    /// Keys are small numbers that a sender can influence, so they are mixed with a number that he cannot know.
    key: u64,
}

impl Default for Seen {
    fn default() -> Self {
        Seen { table: HashTable::new(), key: RandomState::new().hash_one(0_u8) | 1 }
    }
}

/// Dimensions of single events, as they stand in [`Seen`].
#[derive(Clone, Copy)]
enum EventDim {
    Page = 0,
    Hostname = 1,
    Name = 2,
    Prop = 3,
}

impl Seen {
    fn entry(visit: u32, dim: EventDim, code: u32) -> u64 {
        u64::from(visit) << 32 | (dim as u64) << 30 | u64::from(code & 0x3fff_ffff)
    }

    fn mix(key: u64, entry: u64) -> u64 {
        let product = u128::from(entry ^ key) * u128::from(key.rotate_left(32) | 1);
        (product as u64) ^ (product >> 64) as u64
    }

    fn contains(&self, entry: u64) -> bool {
        self.table.find(Seen::mix(self.key, entry), |&e| e == entry).is_some()
    }

    pub fn insert(&mut self, entry: u64) {
        let key = self.key;
        self.table.insert_unique(Seen::mix(key, entry), entry, |&e| Seen::mix(key, e));
    }

    /// All entries, ascending.
    pub fn sorted(&self) -> Vec<u64> {
        let mut entries: Vec<u64> = self.table.iter().copied().collect();
        entries.sort_unstable();
        entries
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    fn bytes(&self) -> usize {
        self.table.capacity() * 8 / 7 * 9
    }
}

/// Who is here: within the last five minutes, and in each of the last thirty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Here {
    pub now: u32,
    /// Visitors minute by minute, the oldest first, the running minute last.
    pub minutes: [u32; 30],
}

/// How long after its last event a visitor still counts as here, ms.
pub const HERE_MS: i64 = 5 * 60 * 1000;

/// Where days end last, seconds east of UTC: what a day is taken for until an event tells.
const WESTERNMOST_S: i32 = -12 * 3600;

/// An open day.
#[derive(Clone)]
pub struct DayState {
    pub site: SiteId,
    pub day: Day,
    pub cells: Cells,
    pub visits: Visits,
    pub seen: Seen,
    pub fresh: Fresh,
    /// How many events were counted: the next one's number.
    pub counted: u32,
    /// How many parts have left.
    pub parts: u32,
    /// The least of the events' distances from UTC, seconds east: tells when the day is over at the latest.
    pub offset_s: i32,
}

/// A block's codes in the day's cells, made as they are needed.
struct CellCodes {
    page: Vec<u32>,
    hostname: Vec<u32>,
    origin: Vec<u32>,
    place: Vec<u32>,
    device: Vec<u32>,
    language: Vec<u32>,
    name: Vec<u32>,
}

/// What is known of a block while its batches are folded.
pub struct Codes {
    cells: CellCodes,
    part: PartCodes,
}

impl Codes {
    pub fn new(block: &Block) -> Codes {
        let slots = |n: usize| vec![NONE; n];
        Codes {
            cells: CellCodes {
                page: slots(block.dicts.page.0.len()),
                hostname: slots(block.dicts.hostname.0.len()),
                origin: slots(block.origins.len()),
                place: slots(block.places.len()),
                device: slots(block.devices.len()),
                language: slots(block.dicts.language.0.len()),
                name: slots(block.dicts.name.0.len()),
            },
            part: PartCodes::new(block),
        }
    }
}

fn known(slot: &mut u32, make: impl FnOnce() -> u32) -> u32 {
    if *slot == NONE {
        *slot = make();
    }
    *slot
}

/// Where one event stands, in cells.
struct Where {
    at: u32,
    hour: usize,
    page: u32,
    hostname: u32,
    place: u32,
    device: u32,
    language: u32,
}

impl DayState {
    pub fn new(site: SiteId, day: Day) -> DayState {
        DayState {
            site,
            day,
            cells: Cells::default(),
            visits: Visits::default(),
            seen: Seen::default(),
            fresh: Fresh::default(),
            counted: 0,
            parts: 0,
            offset_s: WESTERNMOST_S,
        }
    }

    /// Unix milliseconds of time 0 in this day's visits: two days before the day, so that no zone's day
    /// begins earlier; 32 bits hold 49 days from there.
    pub fn base_ms(&self) -> i64 {
        (i64::from(self.day.0) - 2) * 86_400_000
    }

    /// When the day is over on the site's calendar, Unix milliseconds, as far as its events tell.
    pub fn end_ms(&self) -> i64 {
        (i64::from(self.day.0) + 1) * 86_400_000 - i64::from(self.offset_s) * 1000
    }

    /// Counts one batch of a block: `rows` are its events, `props` and `numbers` start with theirs.
    pub fn batch(
        &mut self,
        codes: &mut Codes,
        block: &Block,
        batch: &BatchRow,
        rows: &[EventRow],
        mut props: &[(u32, u32)],
        mut numbers: &[(Measure, i64)],
    ) {
        // Found or made once for the batch: all its events are one visitor's.
        let mut visitor = batch.visitor.and_then(|v| self.visits.find(v));
        for row in rows {
            let (own_props, rest) = props.split_at(row.props as usize);
            props = rest;
            let (own_numbers, rest) = numbers.split_at(row.numbers as usize);
            numbers = rest;
            let mut place = self.place(codes, block, batch, row);
            let visit = match row.kind {
                Kind::PageView | Kind::Custom => {
                    if let (None, Some(hash)) = (visitor, batch.visitor) {
                        visitor = Some(self.visits.insert(hash));
                    }
                    let visit = visitor.map(|visitor| self.visit_at(visitor, codes, block, row, &mut place));
                    match visit {
                        Some(visit) => self.count_in_visit(visit, codes, block, row, own_props, &place),
                        None => self.count_loose(codes, block, row, own_props, &place),
                    }
                    visit
                }
                Kind::Engagement => {
                    let visit = visitor.and_then(|visitor| self.visits.holding(visitor, place.at));
                    let Some(visit) = visit else {
                        self.cells.dropped[Reason::NoVisit as usize] += 1;
                        continue;
                    };
                    let alive = &mut self.visits.visits[visit as usize].alive;
                    *alive = place.at.max(*alive);
                    Some(visit)
                }
                Kind::Click | Kind::Vitals => {
                    visitor.and_then(|visitor| self.visits.holding(visitor, place.at))
                }
            };
            let known_s = if self.counted == 0 { i32::MAX } else { self.offset_s };
            self.offset_s = row.offset_s.min(known_s);
            let shared = Shared { place: batch.place, device: batch.device, language: batch.language };
            self.fresh.push(
                &mut codes.part,
                block,
                &shared,
                row,
                own_props,
                own_numbers,
                self.counted,
                visit,
            );
            self.counted += 1;
        }
    }

    fn place(&mut self, codes: &mut Codes, block: &Block, batch: &BatchRow, row: &EventRow) -> Where {
        let (cells, codes) = (&mut self.cells, &mut codes.cells);
        let dicts = &block.dicts;
        let counted = matches!(row.kind, Kind::PageView | Kind::Custom);
        let base_ms = (i64::from(self.day.0) - 2) * 86_400_000;
        let at = (row.at_ms - base_ms).clamp(0, i64::from(u32::MAX)) as u32;
        let hour = hour_of(row.at_ms, row.offset_s);
        if !counted {
            // Engagement, clicks and vitals are in no cell yet: no value is admitted for them.
            return Where { at, hour, page: 0, hostname: 0, place: 0, device: 0, language: 0 };
        }
        let page = known(&mut codes.page[row.page as usize], || {
            cells.page.code_capped(&dicts.page.0[row.page as usize], VALUE_CAP)
        });
        let hostname = known(&mut codes.hostname[row.hostname as usize], || {
            cells.hostname.code_capped(&dicts.hostname.0[row.hostname as usize], VALUE_CAP)
        });
        let place = known(&mut codes.place[batch.place as usize], || {
            let tuple = block.places[batch.place as usize];
            cells.place.tuple(std::array::from_fn(|i| dicts.place[i].0[tuple[i] as usize].as_str()))
        });
        let device = known(&mut codes.device[batch.device as usize], || {
            let tuple = block.devices[batch.device as usize];
            cells.device.tuple(std::array::from_fn(|i| dicts.device[i].0[tuple[i] as usize].as_str()))
        });
        let language = known(&mut codes.language[batch.language as usize], || {
            cells.language.tuple([dicts.language.0[batch.language as usize].as_str()])
        });
        Where { at, hour, page, hostname, place, device, language }
    }

    /// The visit that a page view or custom event belongs to, opened if there is none.
    fn visit_at(
        &mut self,
        visitor: u32,
        codes: &mut Codes,
        block: &Block,
        row: &EventRow,
        here: &mut Where,
    ) -> u32 {
        if let Some(visit) = self.visits.holding(visitor, here.at) {
            return visit;
        }
        let cells = &mut self.cells;
        let origin = known(&mut codes.cells.origin[row.origin as usize], || {
            let tuple = block.origins[row.origin as usize];
            cells.origin.tuple(std::array::from_fn(|i| block.dicts.origin[i].0[tuple[i] as usize].as_str()))
        });
        let older: Vec<Visit> = self.visits.of(visitor).map(|n| self.visits.visits[n as usize]).collect();
        if older.is_empty() {
            cells.total.visitors += 1;
        }
        cells.origin.count_visitor(origin, older.iter().map(|v| v.origin));
        cells.place.count_visitor(here.place, older.iter().map(|v| v.place));
        cells.device.count_visitor(here.device, older.iter().map(|v| v.device));
        cells.language.count_visitor(here.language, older.iter().map(|v| v.language));
        let visit = self.visits.open(Visit {
            visitor,
            older: NONE,
            start: here.at,
            last: here.at,
            alive: here.at,
            exit_at: here.at,
            origin,
            place: here.place,
            device: here.device,
            language: here.language,
            hostname: NONE,
            entry: NONE,
            exit: NONE,
            views: 0,
            events: 0,
            hour: here.hour as u8,
            interacted: false,
        });
        let visits = Counts { visits: 1, ..Counts::default() };
        cells.total += visits;
        cells.hours[here.hour] += visits;
        cells.origin.counts[origin as usize] += visits;
        cells.place.counts[here.place as usize] += visits;
        cells.device.counts[here.device as usize] += visits;
        cells.language.counts[here.language as usize] += visits;
        visit
    }

    fn count_in_visit(
        &mut self,
        n: u32,
        codes: &mut Codes,
        block: &Block,
        row: &EventRow,
        props: &[(u32, u32)],
        here: &Where,
    ) {
        let before = self.visits.visits[n as usize];
        let visitor = before.visitor;

        // The event's own cells.
        let view = row.kind == Kind::PageView;
        let one = Counts { pageviews: i64::from(view), events: i64::from(!view), ..Counts::default() };
        let hour = &mut self.cells.hours[here.hour];
        hour.pageviews += one.pageviews;
        hour.events += one.events;
        let hours = &mut self.visits.visitors[visitor as usize].hours;
        if *hours & (1 << here.hour) == 0 {
            *hours |= 1 << here.hour;
            hour.visitors += 1;
        }
        if view {
            let new = self.see(n, EventDim::Page, here.page);
            *at(&mut self.cells.pages, here.page) += one.and(new);
        }
        let new = self.see(n, EventDim::Hostname, here.hostname);
        *at(&mut self.cells.hostnames, here.hostname) += one.and(new);
        if !view {
            let name = self.name(codes, block, row);
            let new = self.see(n, EventDim::Name, name);
            *at(&mut self.cells.names, name) += one.and(new);
        }
        for &(key, value) in props {
            let code = self.prop(block, key, value);
            let new = self.see(n, EventDim::Prop, code);
            *at(&mut self.cells.props, code) += one.and(new);
        }

        // The visit's cells.
        let visit = &mut self.visits.visits[n as usize];
        visit.start = visit.start.min(here.at);
        visit.last = visit.last.max(here.at);
        visit.alive = visit.alive.max(here.at);
        if visit.hostname == NONE {
            visit.hostname = here.hostname;
        }
        if view {
            visit.views += 1;
            if visit.entry == NONE {
                visit.entry = here.page;
            }
            if visit.exit == NONE || here.at >= visit.exit_at {
                visit.exit = here.page;
                visit.exit_at = here.at;
            }
        } else {
            visit.events += 1;
            visit.interacted |= row.interactive;
        }
        let after = *visit;
        let change = after.counts().minus(before.counts());
        let cells = &mut self.cells;
        cells.total += change;
        let opened = &mut cells.hours[usize::from(after.hour)];
        opened.engaged += change.engaged;
        opened.duration_s += change.duration_s;
        cells.origin.counts[after.origin as usize] += change;
        cells.place.counts[after.place as usize] += change;
        cells.device.counts[after.device as usize] += change;
        cells.language.counts[after.language as usize] += change;
        self.count_end(n, before.entry, after.entry, before, after, |c| &mut c.entries, |v| v.entry);
        self.count_end(n, before.exit, after.exit, before, after, |c| &mut c.exits, |v| v.exit);
    }

    /// Brings the cells of a visit's entry or exit page up to date.
    #[allow(clippy::too_many_arguments)]
    fn count_end(
        &mut self,
        n: u32,
        old: u32,
        new: u32,
        before: Visit,
        after: Visit,
        cells: impl Fn(&mut Cells) -> &mut Vec<Counts>,
        end: impl Fn(&Visit) -> u32,
    ) {
        if old == new {
            if new != NONE {
                *at(cells(&mut self.cells), new) += after.counts().minus(before.counts());
            }
            return;
        }
        // The visitor leaves the old page's cell, or enters the new one's, unless another visit keeps him there.
        let others = |page: u32| {
            self.visits.of(before.visitor).any(|m| m != n && end(&self.visits.visits[m as usize]) == page)
        };
        let (leaves, enters) = (old != NONE && !others(old), new != NONE && !others(new));
        if old != NONE {
            let mut change = Counts::default().minus(before.counts());
            change.visitors = -i64::from(leaves);
            *at(cells(&mut self.cells), old) += change;
        }
        if new != NONE {
            let mut change = after.counts();
            change.visitors = i64::from(enters);
            *at(cells(&mut self.cells), new) += change;
        }
    }

    /// A page view or custom event without a visitor: in the totals and in its own dimensions.
    fn count_loose(
        &mut self,
        codes: &mut Codes,
        block: &Block,
        row: &EventRow,
        props: &[(u32, u32)],
        here: &Where,
    ) {
        let view = row.kind == Kind::PageView;
        let one = Counts {
            pageviews: i64::from(view),
            loose: i64::from(view),
            events: i64::from(!view),
            ..Counts::default()
        };
        let cells = &mut self.cells;
        cells.total += one;
        cells.hours[here.hour] += one;
        if view {
            *at(&mut cells.pages, here.page) += one;
        }
        *at(&mut cells.hostnames, here.hostname) += one;
        cells.place.counts[here.place as usize] += one;
        cells.device.counts[here.device as usize] += one;
        cells.language.counts[here.language as usize] += one;
        if !view {
            let name = self.name(codes, block, row);
            *at(&mut self.cells.names, name) += one;
        }
        for &(key, value) in props {
            let code = self.prop(block, key, value);
            *at(&mut self.cells.props, code) += one;
        }
    }

    fn name(&mut self, codes: &mut Codes, block: &Block, row: &EventRow) -> u32 {
        let names: &mut Interner = &mut self.cells.name;
        known(&mut codes.cells.name[row.name as usize], || {
            names.code_capped(&block.dicts.name.0[row.name as usize], VALUE_CAP)
        })
    }

    fn prop(&mut self, block: &Block, key: u32, value: u32) -> u32 {
        let (keys, values) = (&block.dicts.prop_key.0, &block.dicts.prop_value.0);
        self.cells.prop_code(&keys[key as usize], &values[value as usize])
    }

    /// Marks a value as seen in a visit: whether it is new there, and new to the visitor.
    fn see(&mut self, n: u32, dim: EventDim, code: u32) -> New {
        if self.saw(n, dim, code) {
            return New { visit: false, visitor: false };
        }
        let visitor = self.visits.visits[n as usize].visitor;
        let before = self.visits.of(visitor).any(|m| m != n && self.saw(m, dim, code));
        let visit = &self.visits.visits[n as usize];
        let stands_in_visit = match dim {
            EventDim::Page => visit.entry == NONE,
            EventDim::Hostname => visit.hostname == NONE,
            _ => false,
        };
        if !stands_in_visit {
            self.seen.insert(Seen::entry(n, dim, code));
        }
        New { visit: true, visitor: !before }
    }

    fn saw(&self, n: u32, dim: EventDim, code: u32) -> bool {
        let visit = &self.visits.visits[n as usize];
        match dim {
            EventDim::Page if visit.entry == code => return true,
            EventDim::Hostname if visit.hostname == code => return true,
            _ => {}
        }
        self.seen.contains(Seen::entry(n, dim, code))
    }

    /// The cells of one dimension.
    pub fn rollup(&self, dim: Dim) -> Rollup {
        self.cells.rollup(dim)
    }

    /// Who is here at a moment.
    pub fn here(&self, now_ms: i64) -> Here {
        let now = (now_ms - self.base_ms()).clamp(0, i64::from(u32::MAX)) as u32;
        let minute = now / 60_000;
        let mut here = Here { now: 0, minutes: [0; 30] };
        for visit in &self.visits.visits {
            if visit.alive.saturating_add(30 * 60_000) < now || visit.start > now {
                continue;
            }
            // A visitor has one visit within any half hour, so visits are visitors here.
            if i64::from(visit.alive) + HERE_MS >= i64::from(now) {
                here.now += 1;
            }
            let (from, to) = (visit.start / 60_000, (visit.alive / 60_000).min(minute));
            for m in from.max(minute.saturating_sub(29))..=to {
                here.minutes[(m + 29 - minute) as usize] += 1;
            }
        }
        here
    }

    /// The events counted since the last part, as the next one.
    pub fn part(&self) -> Part {
        self.fresh.to_part(self.site, self.day)
    }

    /// Lets the events counted since the last part leave, if there are any.
    pub fn take_part(&mut self) -> Option<Part> {
        if self.fresh.is_empty() {
            return None;
        }
        let part = self.part();
        self.fresh = Fresh::default();
        self.parts += 1;
        Some(part)
    }

    /// Bytes held, about; events not yet in a part left out, which [`Fresh::bytes`] tells.
    pub fn bytes(&self) -> usize {
        self.visits.bytes() + self.seen.bytes() + self.cells.bytes()
    }
}

/// What an event is to a cell.
#[derive(Clone, Copy)]
struct New {
    visit: bool,
    visitor: bool,
}

impl Counts {
    fn minus(self, other: Counts) -> Counts {
        let (a, b) = (self.to_array(), other.to_array());
        Counts::from_array(std::array::from_fn(|i| a[i] - b[i]))
    }

    fn and(mut self, new: New) -> Counts {
        self.visits += i64::from(new.visit);
        self.visitors += i64::from(new.visitor);
        self
    }
}
